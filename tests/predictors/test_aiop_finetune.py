"""A few labels change what they should, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasopt.predictors.aiop.corpus import from_space
from nasopt.predictors.aiop.finetune import Few, Transfer, fine_tuned, matched
from nasopt.predictors.aiop.labels import Scale
from nasopt.predictors.aiop.likeness import descriptions, usual
from nasopt.predictors.aiop.network import About, Adapter, Network
from nasopt.predictors.aiop.training import Data
from nasopt.spaces.registry import get_space


@pytest.fixture(scope="module")
def data() -> Data:
    """To learn: how large a network is."""
    space, rng = get_space("nasbench_macro"), np.random.default_rng(0)
    genes = [space.sample(rng) for _ in range(40)]
    corpus = from_space(space, genes, [space.text(one) for one in genes])
    labels = np.log(corpus.params)
    described = descriptions(corpus.graphs, corpus.gflops, corpus.params)
    return Data(corpus.graphs, Scale.fit("stand", labels, corpus.gflops).apply(labels, corpus.gflops), described)


def part(data: Data, rows: slice) -> Data:
    assert data.described is not None
    return Data(data.graphs[rows], data.targets[rows], data.described[rows])


@pytest.fixture(params=[0, 2], ids=["alone", "adapters"])
def transfer(request: pytest.FixtureRequest, data: Data) -> Transfer:
    torch.manual_seed(0)
    assert data.described is not None
    about = About(*usual(data.described))
    return Transfer(Network(about), tuple(Adapter(about) for _ in range(request.param)))


def test_learns_from_twenty(transfer: Transfer, data: Data) -> None:
    few, rest = part(data, slice(0, 20)), part(data, slice(20, None))
    before = transfer.outputs(rest)
    tuned = fine_tuned(transfer, few, Few(epochs=60, rate=2e-3))
    error = np.abs(tuned.outputs(rest) - rest.targets).mean()
    assert error < 0.7 * np.abs(rest.targets - np.median(few.targets)).mean()
    np.testing.assert_array_equal(transfer.outputs(rest), before)  # what was given stays
    again = fine_tuned(transfer, few, Few(epochs=60, rate=2e-3))
    np.testing.assert_array_equal(again.outputs(rest), tuned.outputs(rest))


def test_embedding_and_layers_of_adapters_stay(transfer: Transfer, data: Data) -> None:
    tuned = fine_tuned(transfer, part(data, slice(0, 20)), Few(epochs=2))
    same = {name: torch.equal(value, tuned.network.state_dict()[name]) for name, value in transfer.network.state_dict().items()}
    changed = {name.split(".")[0] for name, equal in same.items() if not equal}
    assert changed == ({"layers"} if transfer.adapters else {"embedding", "layers", "head"})
    for old, new in zip(transfer.adapters, tuned.adapters, strict=True):
        moved = {name.split(".")[0] for name, value in old.state_dict().items() if not torch.equal(value, new.state_dict()[name])}
        assert moved == {"head"}


def test_adapters_are_averaged(data: Data) -> None:
    torch.manual_seed(1)
    network, adapters = Network(), (Adapter(), Adapter())
    each = [Transfer(network, (adapter,)).outputs(data) for adapter in adapters]
    np.testing.assert_allclose(Transfer(network, adapters).outputs(data), np.mean(each, axis=0), atol=1e-6)


def test_matched_answers_are_standardised_and_in_order(transfer: Transfer, data: Data) -> None:
    before, found = transfer.outputs(data), matched(transfer, data)
    with torch.no_grad():
        answers = np.concatenate([torch.stack(found.answers(block)).numpy() for block in data.blocks(16)], axis=1)
    np.testing.assert_allclose(answers.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(answers.std(axis=1), 1, atol=1e-3)
    single = Transfer(transfer.network, transfer.adapters[:1])
    np.testing.assert_array_equal(np.argsort(matched(single, data).outputs(data)), np.argsort(single.outputs(data)))
    np.testing.assert_array_equal(transfer.outputs(data), before)
