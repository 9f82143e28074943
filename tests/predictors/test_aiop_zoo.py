"""The zoo's files hold what they say, come back as they were, and are not believed when damaged."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from nasopt.errors import UsageError
from nasopt.graphs.computational_graph import KERNELS, VOCABULARY
from nasopt.predictors.aiop.zoo import FILE, Zoo, load_zoo


@pytest.fixture(scope="module", params=["imagenet.npz", "foreign.npz"])
def zoo(request: pytest.FixtureRequest) -> Zoo:
    return load_zoo(FILE.with_name(request.param))


def test_everything_is_aligned_and_makes_sense(zoo: Zoo) -> None:
    count = len(zoo.corpus)
    assert {len(part) for part in (zoo.names, zoo.families, zoo.sizes, zoo.top1, zoo.recipes, zoo.corpus.gflops)} == {count}
    assert len(set(zoo.corpus.keys)) == count
    assert (np.isfinite(zoo.top1) == (zoo.recipes > 0)).all()
    assert ((zoo.top1 > 20) & (zoo.top1 < 100))[np.isfinite(zoo.top1)].all()
    assert (zoo.corpus.gflops > 0.02).all()
    for graph, size in zip(zoo.corpus.graphs, zoo.sizes, strict=True):
        nodes = len(graph.resolutions)
        assert nodes == len(graph.weighted_ops) + len(graph.regular_ops)
        assert graph.edges.shape[0] == 2
        assert 0 <= graph.edges.min() <= graph.edges.max() < nodes
        assert max(graph.weighted_ops.max(), graph.regular_ops.max()) < len(VOCABULARY)
        assert graph.kernels.max() < KERNELS
        assert graph.resolutions[:, :4].max() * 256 >= size


def test_a_file_is_written_as_it_was_read(zoo: Zoo, tmp_path: Path) -> None:
    zoo.save(tmp_path / "again.npz")
    again = load_zoo(tmp_path / "again.npz")
    assert again.corpus.keys == zoo.corpus.keys
    assert (again.names, again.families) == (zoo.names, zoo.families)
    for first, second in zip(zoo.corpus.graphs, again.corpus.graphs, strict=True):
        np.testing.assert_array_equal(first.resolutions, second.resolutions)
        np.testing.assert_array_equal(first.edges, second.edges)


def test_known_networks_cost_what_is_known() -> None:
    zoo = load_zoo()
    place = zoo.corpus.keys.index("resnet50@224")
    assert zoo.corpus.params[place] == pytest.approx(25.5, abs=0.1)  # 25.56 with the statistics of norms
    assert zoo.corpus.gflops[place] == pytest.approx(2 * 4.09, abs=0.05)
    assert zoo.families[place] == "resnet"


@pytest.mark.parametrize(("card", "file"), [("card.json", "imagenet.npz"), ("foreign.json", "foreign.npz")])
def test_the_card_is_of_this_file(card: str, file: str) -> None:
    told = json.loads(FILE.with_name(card).read_text())
    assert told["sha256"] == hashlib.sha256(FILE.with_name(file).read_bytes()).hexdigest()
    assert told["networks"] == len(load_zoo(FILE.with_name(file)).names)
    assert told["accuracies"]


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"PK\x03\x04 nothing"])
def test_damaged_files_are_refused(tmp_path: Path, damage: object) -> None:
    file = tmp_path / "zoo.npz"
    file.write_bytes(damage(FILE.read_bytes()))  # type: ignore[operator]
    with pytest.raises(UsageError, match="not the table of networks"):
        load_zoo(file)
    with pytest.raises(UsageError, match="not the table of networks"):
        load_zoo(tmp_path / "missing.npz")
