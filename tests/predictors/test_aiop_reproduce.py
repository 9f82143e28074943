"""The published tables, made of caches that hold stand-ins: small networks whose labels follow their size."""

from __future__ import annotations

import pickle  # noqa: TID251 - the real producer of the format; these tests never load with it
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from nasopt.api.train import reproduce_aiop
from nasopt.cli.main import application
from nasopt.errors import UsageError
from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.graph import Graph
from nasopt.predictor_results import Reproduced
from nasopt.predictors.aiop.finetune import Few
from nasopt.predictors.aiop.reproduce import ADAPTERS, BACKBONE, FAMILIES, TASKS, Recipes, cache_file, missing, reproduced
from nasopt.predictors.aiop.training import Recipe
from nasopt.spaces.registry import get_space
from tests.predictors.cache_classes import entry, stand_ins

QUICK = Recipes(Recipe(epochs=3, rate=2e-3, patience=3), Recipe(epochs=2, rate=2e-3, patience=2), Few(epochs=2, batch=5))


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("caches")
    space, rng = get_space("nasbench_macro"), np.random.default_rng(0)
    graphs = []
    for place in range(24):
        graph = computational_graph(Graph(space.build(space.sample(rng))))
        graphs.append(replace(graph, name=f"Net{place}"))
    with stand_ins() as classes:
        entries = [entry(classes, graph, 0.5 + 0.002 * len(graph.nodes)) for graph in graphs]
        blob = pickle.dumps(entries)
    names = [BACKBONE, *(f"{family}_{TASKS[task]}_shared" for family in FAMILIES for task in ADAPTERS)]
    for name in (*names, *(f"{family}_{task}_ind" for family in FAMILIES for task in TASKS.values())):
        (folder / cache_file(name)).write_bytes(blob)
    return folder


def test_every_cell_is_there_and_taken_up(caches: Path, tmp_path: Path) -> None:
    told: list[str] = []
    cells = reproduced(caches, tmp_path, 1, lambda _stage, _share, detail: told.append(detail), QUICK)
    assert len({(cell.family, cell.task, cell.method, cell.way) for cell in cells}) == len(cells) == 3 * 6 * 3 * 2
    assert all(np.isfinite([cell.mae, cell.mae_std, cell.srcc, cell.srcc_std]).all() and cell.seeds == 1 for cell in cells)
    assert told.count(BACKBONE) == 2  # raw and scaled
    assert reproduced(caches, tmp_path, 1, lambda *_: None, QUICK) == cells


def test_force_trains_anew(caches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[bool] = []

    def quick(_folder: Path, output: Path, *_: object) -> list[Reproduced]:
        state = output / "seed-1" / "nb101-none" / "state.safetensors"
        told.append(state.exists())
        state.parent.mkdir(parents=True, exist_ok=True)
        state.touch()
        return []

    monkeypatch.setattr("nasopt.predictors.aiop.reproduce.reproduced", quick)
    reproduce_aiop(caches, tmp_path / "out")
    with pytest.raises(UsageError, match="--force"):
        reproduce_aiop(caches, tmp_path / "out")
    reproduce_aiop(caches, tmp_path / "out", force=True)
    assert told == [False, False]


def test_what_is_missing_is_named(caches: Path, tmp_path: Path) -> None:
    assert missing(caches) == []
    assert len(missing(tmp_path)) == 1 + 3 * 8
    with pytest.raises(UsageError, match=r"gpi_nb101_comp_graph_cache\.pkl"):
        reproduce_aiop(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reproduce", "table3"], "--caches"),
        (["--caches", "."], "--reproduce"),
        (["--reproduce", "table3", "--caches", "nowhere"], "nowhere"),
        (["--space", "nasbench201"], "--metric"),
    ],
)
def test_one_line_for_what_is_not_asked_well(arguments: list[str], said: str, tmp_path: Path) -> None:
    answer = CliRunner().invoke(application, ["train", "aiop", "-o", str(tmp_path / "out"), *arguments])
    assert answer.exit_code == 2
    assert said in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1
