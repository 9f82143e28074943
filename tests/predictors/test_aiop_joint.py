"""One head for several adapters."""

from __future__ import annotations

import numpy as np
import torch

from nasopt.predictors.aiop.finetune import Few, Transfer, fine_tuned
from nasopt.predictors.aiop.joint import joined
from nasopt.predictors.aiop.likeness import usual
from nasopt.predictors.aiop.network import About, Adapter, Network
from nasopt.predictors.aiop.training import Data, Recipe
from tests.predictors.test_aiop_finetune import data, part

__all__ = ["data"]

RECIPE = Recipe(epochs=150, batch=8, rate=2e-3)


def start(data: Data, *, describe: bool) -> Transfer:
    torch.manual_seed(0)
    assert data.described is not None
    about = About(*usual(data.described)) if describe else None
    return Transfer(Network(about), (Adapter(about), Adapter(about)))


def test_learns_and_leaves_the_rest(data: Data) -> None:
    given = start(data, describe=True)
    parts, rest = [part(data, slice(0, 10)), part(data, slice(10, 20))], part(data, slice(20, None))
    before = given.outputs(rest)
    found = joined(given, parts, RECIPE)
    assert np.abs(found.outputs(rest) - rest.targets).mean() < 0.7 * np.abs(rest.targets - np.median(data.targets[:20])).mean()
    np.testing.assert_array_equal(given.outputs(rest), before)
    np.testing.assert_array_equal(joined(given, parts, RECIPE).outputs(rest), found.outputs(rest))
    assert found.network is given.network
    assert found.adapters is given.adapters


def test_reads_all_adapters(data: Data) -> None:
    """An answer follows the embedding of each adapter."""
    found = joined(start(data, describe=False), [data], Recipe(epochs=2, batch=8))
    before = found.outputs(data)
    for place in range(2):
        changed = list(found.adapters)
        changed[place] = Adapter()
        assert not np.allclose(Transfer(found.network, tuple(changed), found.joint).outputs(data), before)


def test_few_labels_train_it(data: Data) -> None:
    found = joined(start(data, describe=True), [part(data, slice(20, None))], RECIPE)
    tuned = fine_tuned(found, part(data, slice(0, 20)), Few(epochs=2))
    assert found.joint is not None
    assert tuned.joint is not None
    assert not torch.equal(tuned.joint[0].weight, found.joint[0].weight)
    assert all(torch.equal(old, new) for old, new in zip(found.adapters[0].parameters(), tuned.adapters[0].parameters(), strict=True))
