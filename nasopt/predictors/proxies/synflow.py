"""synflow: how much flows through a network of positive weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from nasopt.errors import ModelNotSupportedError
from nasopt.predictors.proxies.contract import Evidence, Proxy
from nasopt.predictors.proxies.observed import Norms, Observer

__all__ = ["SYNFLOW"]


def _score(evidence: Evidence) -> float:
    """The sum over all elements w of weights of products of ``|w dR/dw|``, R the sum of all outputs for one row of ones.

    All float tensors of the network are replaced by their absolute values, norms pass on what they get, and it is computed in double
    precision (in single where the network insists on that). It multiplies over depth: what is no finite number any more is inf.
    """
    try:
        return _flow(evidence, torch.float64)
    except (ModelNotSupportedError, RuntimeError):
        return _flow(evidence, torch.float32)  # a file may cast to single precision by itself


def _flow(evidence: Evidence, dtype: torch.dtype) -> float:
    subject = evidence.subject
    network: nn.Module = copy.deepcopy(subject.network).to(dtype)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.is_floating_point():
                tensor.abs_()
    ones = tuple(_ones(value, dtype) for value in subject.one())
    observer = Observer(len(ones[0]), norms=Norms.OFF)
    with torch.enable_grad():
        output = subject.run(observer, ones, network)
        weights = list({id(product.weight): product.weight for product in observer.products if product.weight is not None}.values())
        if not weights or not output.requires_grad:
            return 0.0
        gradients = torch.autograd.grad(output.sum(), weights, materialize_grads=True)
    flow = sum((weight.detach() * gradient).abs().double().sum() for weight, gradient in zip(weights, gradients, strict=True))
    return float(flow) / len(ones[0])


def _ones(value: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.ones_like(value, dtype=dtype if value.is_floating_point() else value.dtype)


SYNFLOW = Proxy("synflow", "Tanaka et al., NeurIPS 2020 (arXiv:2006.05467), Eq. 2; Abdelfattah et al., Eq. 1", frozenset(), _score)
