"""A checkpoint comes back as it was, answers as the networks that it holds, and a damaged one is not believed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nasopt.errors import UsageError
from nasopt.predictors.aiop.checkpoint import CARD, WEIGHTS, Checkpoint
from nasopt.predictors.aiop.corpus import Corpus, from_space
from nasopt.predictors.aiop.labels import Scale
from nasopt.predictors.aiop.likeness import Likeness, description
from nasopt.predictors.aiop.network import Network, parameters
from nasopt.predictors.aiop.training import outputs
from nasopt.spaces.registry import get_space


def sampled(name: str, count: int, seed: int = 0) -> Corpus:
    space, rng = get_space(name), np.random.default_rng(seed)
    genes = [space.sample(rng) for _ in range(count)]
    return from_space(space, genes, [space.text(one) for one in genes])


def described(corpus: Corpus) -> np.ndarray:
    return np.stack([description(*one) for one in zip(corpus.graphs, corpus.gflops, corpus.params, strict=True)])


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return sampled("nasbench_macro", 20)


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    torch.manual_seed(0)
    return [Network(), Network()]


@pytest.fixture(scope="module")
def checkpoint(corpus: Corpus, networks: list[Network]) -> Checkpoint:
    scales = (Scale("stand", 0.8, 0.1), Scale("stand_flops", 0.7, 0.2))
    card = {"task": "accuracy", "unit": "%", "factor": 100.0}
    return Checkpoint(tuple(map(parameters, networks)), scales, Likeness.of(described(corpus)), card)


def test_answers_are_those_of_the_networks(checkpoint: Checkpoint, corpus: Corpus, networks: list[Network]) -> None:
    said = checkpoint.predict(corpus.graphs, corpus.gflops, corpus.params)
    for row, network, scale in zip(said, networks, checkpoint.scales, strict=True):
        expected = 100 * scale.invert(outputs(network, corpus.graphs), corpus.gflops)
        np.testing.assert_allclose(row, expected, rtol=1e-5)


def test_files_hold_all_of_it(checkpoint: Checkpoint, corpus: Corpus, tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "new")
    read = Checkpoint.load(tmp_path / "new")
    np.testing.assert_array_equal(
        read.predict(corpus.graphs, corpus.gflops, corpus.params), checkpoint.predict(corpus.graphs, corpus.gflops, corpus.params)
    )
    one = described(corpus)[0] + 0.3
    assert read.likeness.unlikeness(one) == pytest.approx(checkpoint.likeness.unlikeness(one), rel=1e-4)
    checkpoint.save(tmp_path / "again")
    assert (tmp_path / "new" / WEIGHTS).read_bytes() == (tmp_path / "again" / WEIGHTS).read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / CARD).unlink(),
        lambda folder: (folder / CARD).write_text("[]"),
        lambda folder: (folder / CARD).write_text("{"),
        lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-4]),
        lambda folder: (folder / WEIGHTS).unlink(),
        lambda folder: (folder / CARD).write_text(json.dumps(json.loads((folder / CARD).read_text()) | {"members": 3})),
        lambda folder: (folder / CARD).write_text(json.dumps(json.loads((folder / CARD).read_text()) | {"scales": [{"mode": "stand"}]})),
        lambda folder: (folder / CARD).write_text(json.dumps(json.loads((folder / CARD).read_text()) | {"unit": None})),
        lambda folder: (folder / CARD).write_text(json.dumps(json.loads((folder / CARD).read_text()) | {"schema": "other"})),
    ],
)
def test_damage_is_refused_in_one_line(checkpoint: Checkpoint, tmp_path: Path, damage) -> None:
    checkpoint.save(tmp_path)
    damage(tmp_path)
    with pytest.raises(UsageError) as caught:
        Checkpoint.load(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_spaces_are_unlike_and_the_same_space_is_not() -> None:
    known = Likeness.of(described(sampled("nasbench201", 60)))
    same = [known.unlikeness(one) for one in described(sampled("nasbench201", 20, seed=1))]
    others = [known.unlikeness(one) for name in ("ofa_mbv3", "ofa_resnet50", "fbnet") for one in described(sampled(name, 3))]
    assert np.median(same) < 1
    assert min(others) > 2
