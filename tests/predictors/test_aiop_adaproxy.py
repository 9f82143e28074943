"""AdaProxy scales the last layer of a predictor, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from nasopt.predictors.aiop.adaproxy import AdaProxy, ada_proxied
from nasopt.predictors.aiop.finetune import Transfer
from nasopt.predictors.aiop.training import Data
from tests.predictors.test_aiop_finetune import data, part, transfer

__all__ = ["data", "transfer"]


def test_last_layer_alone_changes(transfer: Transfer, data: Data) -> None:
    tuned = ada_proxied(transfer, part(data, slice(0, 20)), AdaProxy(epochs=20))
    for old, new in zip((transfer.network, *transfer.adapters), (tuned.network, *tuned.adapters), strict=True):
        changed = {name for name, value in old.state_dict().items() if not torch.equal(value, new.state_dict()[name])}
        asked = not transfer.adapters or old is not transfer.network
        assert changed == ({"head.4.weight"} if asked else set())


def test_a_scale_of_the_predictor_is_found(transfer: Transfer, data: Data) -> None:
    few = part(data, slice(0, 20))
    single = transfer if not transfer.adapters else Transfer(transfer.network, transfer.adapters[:1])
    bias = single.heads()[0][-1].bias.item()
    wanted = 1.5 * (single.outputs(few) - bias) + bias
    tuned = ada_proxied(single, replace(few, targets=wanted))
    assert np.abs(tuned.outputs(few) - wanted).mean() < 0.1 * np.abs(single.outputs(few) - wanted).mean()


def test_sparsity_keeps_the_vector_small(transfer: Transfer, data: Data) -> None:
    few = part(data, slice(0, 20))

    def unevenness(sparsity: float) -> float:
        tuned = ada_proxied(transfer, few, AdaProxy(epochs=300, sparsity=sparsity))
        ratio = (tuned.heads()[0][-1].weight / transfer.heads()[0][-1].weight).detach().numpy()
        return float(ratio.std())

    assert unevenness(10.0) < 0.1 * unevenness(1e-5)
