"""What ships is asked through the verbs: `predict --task`, and `compress --predictor`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from nasopt.api.compress import compress
from nasopt.api.predict import predict
from nasopt.api.tasks import list_tasks
from nasopt.cli.main import application
from nasopt.errors import UsageError
from nasopt.predictors.shipped import FOLDER
from tests.cli.conftest import only_document


def test_tasks_are_listed() -> None:
    names = [task.name for task in list_tasks().tasks]
    assert {"cifar10", "imagenet"} <= set(names)
    document = only_document(CliRunner().invoke(application, ["predict", "--list-tasks", "--json"]))
    assert document["schema"] == "nasopt/predict-tasks/1"
    assert [task["name"] for task in document["tasks"]] == names
    assert all(name in CliRunner().invoke(application, ["predict", "--list-tasks"]).stdout for name in names)


def test_a_network_is_predicted_out_of_the_box(data: Path) -> None:
    model = data / "models/efficientnet_lite0.onnx"
    found = predict(model, task="imagenet")
    assert (found.task, found.unit, found.members) == ("imagenet", "%", 3)
    assert abs(found.mean - 75.1) < 4  # what its makers publish
    assert found.std is not None
    far = predict(model, task="cifar10")
    assert far.warning is not None
    assert far.unlikeness > found.unlikeness
    assert predict(model, FOLDER / "imagenet").mean == found.mean


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "imagenett"], "did you mean imagenet"),
        ([], "name a task"),
        (["--task", "imagenet", "--checkpoint", "."], "one of both"),
        (["--checkpoint", "."], "not a folder with a trained predictor"),
    ],
)
def test_bad_requests_get_one_line(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(application, ["predict", str(data / "models/efficientnet_lite0.onnx"), *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    nothing = CliRunner().invoke(application, ["predict"])
    assert nothing.exit_code == 2
    assert "--list-tasks" in nothing.stderr


def test_a_predictor_joins_the_search(data: Path) -> None:
    model = data / "models/resnet20_cifar10_jpeg.onnx"
    options = {"flops_drop": 0.3, "dry_run": True, "compensate": False, "measure_latency": False, "generations": 15}
    plain = compress(model, **options)  # type: ignore[arg-type]
    assert plain.predicted is None
    results = [compress(model, predictor="cifar10", predictor_weight=weight, **options) for weight in (0.0, 50.0)]  # type: ignore[arg-type]
    first, second = (result.predicted for result in results)
    assert first is not None
    assert second is not None
    assert first.before == pytest.approx(predict(model, task="cifar10").mean, abs=0.5)  # before and after lossless rewrites
    assert first.change == pytest.approx(first.after - first.before)
    assert second.change >= first.change
    assert (first.weight, second.weight) == (0.0, 50.0)
    assert all(result.drop["flops"] >= 0.3 for result in results)
    with pytest.raises(UsageError, match="no predictor of 'nothing' ships"):
        compress(model, predictor="nothing", **options)  # type: ignore[arg-type]
