"""One pass forwards, and as few backwards as the definitions allow, for all proxies that look at the same batch.

The derivatives by weights (snip, grad_norm, plain), by outputs of layers (fisher) and the first half of grasp are of one loss, and so of
one pass backwards; nwot looks at what goes forwards; jacov and epe_nas ask for one more pass, backwards to the inputs and nothing else.
grasp's gradient g and the gradient that it differentiates again are the same numbers, so the published second pass is not needed.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import replace

from nasopt.errors import MissingExtraError

try:
    import torch
    from torch import Tensor
    from torch.nn import functional
    from torch.nn.attention import SDPBackend, sdpa_kernel
except ModuleNotFoundError:
    raise MissingExtraError("this needs PyTorch: pip install 'nasopt[torch]'") from None

from nasopt.predictors.proxies.contract import Evidence, Need
from nasopt.predictors.proxies.observed import Norms, Observer
from nasopt.predictors.proxies.subject import Subject

__all__ = ["gather"]

_OF_LOSS = frozenset({Need.BY_WEIGHTS, Need.BY_OUTPUTS, Need.CURVATURE})


def gather(subject: Subject, needs: AbstractSet[Need]) -> Evidence:
    """Runs the network once on a single row, to see its products, and once on the batch, for what is asked for.

    Raises:
        ModelNotSupportedError: the network fails on the inputs, or answers no float tensor.
        UsageError: labels do not fit the network.
    """
    evidence = _seen(subject)
    if needs:
        _fill(evidence, needs)
    return evidence


def _seen(subject: Subject) -> Evidence:
    """What needs no batch. Norms are off: a single row has no variance."""
    row = subject.one()
    observer = Observer(len(row[0]), norms=Norms.OFF)
    with torch.no_grad():
        subject.run(observer, row)
    seen = tuple(replace(product, macs=product.macs // len(row[0])) for product in observer.products)
    weights = {id(product.weight): product.weight for product in seen if product.weight is not None}
    return Evidence(subject, seen, tuple(weights.values()))


def _fill(evidence: Evidence, needs: AbstractSet[Need]) -> None:
    subject, of_loss = evidence.subject, needs & _OF_LOSS
    observer = Observer(subject.rows, keep=Need.BY_OUTPUTS in needs, agree=Need.AGREEMENT in needs)
    looked_at = Need.BY_INPUTS in needs
    leaves = [value.detach().requires_grad_(looked_at and value.is_floating_point()) for value in subject.inputs]
    # torch's fused attention has no second derivative, which grasp asks for; and all proxies shall see the same numbers.
    with torch.set_grad_enabled(bool(of_loss) or looked_at), sdpa_kernel(SDPBackend.MATH):
        logits = subject.run(observer, tuple(leaf.clone() for leaf in leaves))  # what comes next may overwrite it
        evidence.agreement = observer.agreements
        if of_loss or Need.LABELS in needs:
            evidence.labels, evidence.classes = subject.labels(logits), logits.shape[1] if logits.ndim > 1 else 0
        if evidence.labels is None:
            evidence.missing |= {*_OF_LOSS, Need.LABELS}
            of_loss = frozenset()
        if not logits.requires_grad:
            evidence.missing |= {*_OF_LOSS, Need.BY_INPUTS}
            return
        floats = [leaf for leaf in leaves if leaf.requires_grad]
        if floats:
            evidence.by_inputs = _by_inputs(logits, floats, subject.rows, keep=bool(of_loss))
        else:
            evidence.missing.add(Need.BY_INPUTS)
        if of_loss and evidence.labels is not None:
            evidence.products = tuple(product for product in observer.products if product.weight is not None)
            evidence.outputs = tuple(observer.outputs)
            _of_loss(evidence, functional.cross_entropy(logits, evidence.labels), needs)


def _by_inputs(logits: Tensor, leaves: list[Tensor], rows: int, *, keep: bool) -> Tensor:
    found = torch.autograd.grad(logits.sum(), leaves, retain_graph=keep, materialize_grads=True)
    return torch.cat([gradient.detach().reshape(rows, -1) for gradient in found], 1)


def _of_loss(evidence: Evidence, loss: Tensor, needs: AbstractSet[Need]) -> None:
    curved = Need.CURVATURE in needs
    weights = evidence.weights if curved or Need.BY_WEIGHTS in needs else ()
    asked = [*weights, *evidence.outputs]
    if not asked:
        return
    found = torch.autograd.grad(loss, asked, create_graph=curved, materialize_grads=True)
    gradients = found[: len(weights)]
    evidence.by_weights = tuple(gradient.detach() for gradient in gradients)
    evidence.by_outputs = tuple(gradient.detach() for gradient in found[len(weights) :])
    evidence.outputs = tuple(output.detach() for output in evidence.outputs)
    if curved and gradients:
        slope = torch.stack([(gradient.detach() * gradient).sum() for gradient in gradients]).sum()
        try:
            again = torch.autograd.grad(slope, weights, materialize_grads=True) if slope.requires_grad else map(torch.zeros_like, weights)
        except RuntimeError:  # torch has no second derivative of some operators
            evidence.missing.add(Need.CURVATURE)
        else:
            evidence.curvature = tuple(gradient.detach() for gradient in again)
