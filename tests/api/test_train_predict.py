"""A predictor is trained on a table, beats what needs no training, and is asked of files; what cannot be is refused before work is done."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasopt.api.predict import predict
from nasopt.api.spaces import build_architecture
from nasopt.api.train import AIOPTraining, train_aiop
from nasopt.errors import UsageError
from nasopt.predictor_results import TrainResult
from nasopt.predictors.aiop.checkpoint import Checkpoint
from nasopt.predictors.aiop.inference import ADAPTER
from nasopt.spaces.tables.query import query

SMALL = AIOPTraining(space="nasbench_macro", metric="mean_acc", settings={}, labels=80, test=60, members=2, epochs=100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained") / "here"


@pytest.fixture(scope="module")
def trained(folder: Path, data: Path) -> TrainResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NASOPT_DATA", str(data))
        return train_aiop(SMALL, folder)


def test_learns_more_than_a_constant(trained: TrainResult) -> None:
    assert (trained.labels, trained.test_rows, trained.unit) == (80, 60, "%")
    assert trained.agreement.srcc > 0.5
    assert trained.agreement.mae is not None
    assert trained.agreement.mae < trained.baselines["constant"].mae  # type: ignore[operator]


def test_is_asked_of_a_file_without_torch(trained: TrainResult, folder: Path, tmp_path: Path, data: Path, monkeypatch) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(data))
    model = tmp_path / "net.onnx"
    build_architecture("nasbench_macro", "22212220", model)
    result = predict(model, folder)
    (row,) = query("nasbench_macro", "22212220", ["mean_acc"])
    assert abs(result.mean - float(row.values["mean_acc"])) < 5  # type: ignore[arg-type]
    assert result.std is not None
    assert result.warning is None
    code = f"import sys, nasopt; nasopt.predict({str(model)!r}, {str(folder)!r}); assert not {{'torch', 'pyarrow'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_adapters_are_trained_beside_a_backbone_that_stays(
    trained: TrainResult, folder: Path, tmp_path: Path, data: Path, monkeypatch
) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(data))
    asked = replace(SMALL, labels=40, members=2, epochs=30, backbone=folder)
    result = train_aiop(asked, tmp_path / "adapted")
    assert result.agreement.srcc > 0.5
    first, adapted = Checkpoint.load(folder), Checkpoint.load(tmp_path / "adapted")
    for member in adapted.members:
        assert f"{ADAPTER}.head.0.weight" in member
        for name, value in first.members[0].items():
            np.testing.assert_array_equal(member[name], value)
    assert adapted.card["training"]["backbone"] == str(folder)


def test_strangers_are_warned_of(trained: TrainResult, folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "net.onnx"
    build_architecture("ofa_resnet50", _some("ofa_resnet50"), model)
    result = predict(model, folder)
    assert result.unlikeness > 2
    assert "unlike" in str(result.warning)


def _some(space: str) -> str:
    from nasopt.spaces.registry import get_space

    found = get_space(space)
    return found.text(found.sample(np.random.default_rng(0)))


def test_card_says_what_it_is(trained: TrainResult, folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    assert card["training"]["labels"] == 80
    assert card["data"]["source"]
    assert card["test"]["agreement"]["srcc"] == trained.agreement.srcc


def test_an_interrupted_run_ends_alike(trained: TrainResult, folder: Path, tmp_path: Path, data: Path, monkeypatch) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(data))

    class Killed(Exception):  # noqa: N818 - not an error
        pass

    def kill(stage: str, share: float | None, _detail: str) -> None:
        if stage == "member 2/2" and share is not None and share > 0.1:
            raise Killed

    with pytest.raises(Killed):
        train_aiop(SMALL, tmp_path / "other", progress=kill)
    assert not (tmp_path / "other" / "card.json").exists()
    assert replace(train_aiop(SMALL, tmp_path / "other"), folder=folder) == trained
    assert (tmp_path / "other" / "aiop.safetensors").read_bytes() == (folder / "aiop.safetensors").read_bytes()


def test_a_finished_run_is_left_alone(trained: TrainResult, folder: Path, data: Path, monkeypatch) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(data))
    before = (folder / "aiop.safetensors").read_bytes()
    with pytest.raises(UsageError, match="--force"):
        train_aiop(replace(SMALL, seed=1), folder)
    with pytest.raises(UsageError, match="no_such"):
        train_aiop(replace(SMALL, metric="no_such"), folder, force=True)
    assert (folder / "aiop.safetensors").read_bytes() == before
    assert (folder / "card.json").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"space": "nasbench999"}, "nasbench999"),
        ({"metric": "no_such"}, "no_such"),
        ({"labels": 9}, "at least 10"),
        ({"labels": 6561}, "leave too few"),
        ({"members": 0}, "at least"),
        ({"settings": {"depth": 3}}, "depth"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict, said: str, tmp_path: Path, data: Path, monkeypatch) -> None:
    monkeypatch.setenv("NASOPT_DATA", str(data))
    with pytest.raises(UsageError, match=said):
        train_aiop(replace(SMALL, **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()
