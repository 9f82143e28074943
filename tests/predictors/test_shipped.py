"""What ships can be asked offline, and is as good as its card says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from nasopt.errors import UsageError
from nasopt.predictors.aiop.corpus import from_space
from nasopt.predictors.aiop.labelled import labelled
from nasopt.predictors.shipped import FOLDER, shipped, shipped_tasks
from nasopt.spaces.registry import get_space

NAMES = [path.name for path in sorted(FOLDER.iterdir()) if path.is_dir() and path.name != "latency"]  # which is of another kind


def test_there_are_some() -> None:
    assert "cifar10" in NAMES
    assert [task.name for task in shipped_tasks()] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_what_one_has_to_know(name: str) -> None:
    known = shipped(name)
    for key in ("about", "data", "labels", "split", "training", "test", "made_by"):
        assert known.card[key], key
    test = known.card["test"]
    assert all(one["source"] and one["licence"] for one in known.card["data"]["sources"])
    best = max(test["baselines"][cost]["srcc"] for cost in ("flops", "params"))
    assert test["agreement"]["srcc"] > best
    assert sum(path.stat().st_size for path in (FOLDER / name).iterdir()) < 1_000_000


def test_an_unknown_task_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="did you mean cifar10"):
        shipped("cifar")


def test_cells_of_nas_bench_201_are_ranked(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(data))
    space = get_space("nasbench201")
    table = labelled(space, "nats_test_cifar10")
    rows = np.random.default_rng(5).permutation(len(table.keys))[:60]
    corpus = from_space(space, [table.genes[row] for row in rows], [table.keys[row] for row in rows])
    said = shipped("cifar10").predict(corpus.graphs, corpus.gflops, corpus.params).mean(axis=0)
    assert spearmanr(said, table.values[rows])[0] > 0.85
    assert np.median(np.abs(said - table.values[rows])) < 1.0
