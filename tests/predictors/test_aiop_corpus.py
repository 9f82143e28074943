"""A corpus on disk is the one that was made, and is not taken for another."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from nasopt.errors import UsageError
from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.computational_graph import CGFeatures
from nasopt.graphs.graph import Graph
from nasopt.predictors.aiop.corpus import Corpus, from_space
from nasopt.spaces.registry import get_space


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    parts = []
    for name in ("nasbench201", "nasbench_macro", "ofa_mbv3"):
        space = get_space(name)
        genes = [space.sample(rng) for _ in range(3)]
        parts.append(from_space(space, genes, [space.text(one) for one in genes]))
    return Corpus.joined(parts)


def equal(one: CGFeatures, other: CGFeatures) -> bool:
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(CGFeatures))


def test_features_are_those_of_the_network(corpus: Corpus) -> None:
    space = get_space("nasbench201")
    expected = computational_graph(Graph(space.build(space.parse(corpus.keys[0]))))
    assert equal(corpus.graphs[0], expected.features())
    assert corpus.cg_gflops[0] == expected.flops() / 1e9


def test_file_holds_all_of_it(corpus: Corpus, tmp_path: Path) -> None:
    corpus.save(tmp_path / "some.safetensors", "three spaces")
    read = Corpus.load(tmp_path / "some.safetensors", "three spaces")
    assert read.keys == corpus.keys
    assert all(map(equal, read.graphs, corpus.graphs))
    for name in ("gflops", "params", "cg_gflops"):
        np.testing.assert_array_equal(getattr(read, name), getattr(corpus, name))
    taken = corpus.take([4, 1])
    assert taken.keys == (corpus.keys[4], corpus.keys[1])
    assert equal(taken.graphs[1], corpus.graphs[1])


def test_another_file_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    corpus.save(tmp_path / "some.safetensors", "three spaces")
    with pytest.raises(UsageError, match="made of 'three spaces'"):
        Corpus.load(tmp_path / "some.safetensors", "others")
    (tmp_path / "broken.safetensors").write_bytes(b"no such thing")
    with pytest.raises(UsageError, match="delete it"):
        Corpus.load(tmp_path / "broken.safetensors", "three spaces")
