"""A choice made on measurements, from file to file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nasopt
from nasopt.api.choice import WORTH
from nasopt.errors import ConstraintUnreachableError, UsageError
from nasopt.results import CompressResult
from tests.api.test_repair import DIGITS, inputs


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "inputs.npy"
    np.save(path, inputs(DIGITS, 200))
    return path


def compress(output: Path | None, **options: Any) -> CompressResult:
    """Quick, bounded by generations, and the same each time."""
    return nasopt.compress(
        DIGITS, output, dry_run=output is None, **{"flops_drop": 0.4, "generations": 3, "measure_latency": False, **options}
    )


def test_the_best_of_what_was_measured_is_written(data: Path, tmp_path: Path) -> None:
    result = compress(tmp_path / "small.onnx", data=data, measure=5)
    assert 2 <= len(result.measured) <= 5
    (chosen,) = [one for one in result.measured if one.chosen]
    assert chosen.macs == result.after.macs
    assert result.repair is not None
    assert chosen.divergence == result.repair.after
    assert chosen.divergence <= min(one.divergence for one in result.measured if one.divergence is not None) / WORTH
    assert all(one.predicted > 0 and one.metric is None and one.latency is None for one in result.measured)
    assert {one.steps for one in result.measured[:3]} == {(16,), (8,), (4,)}
    assert nasopt.verify(DIGITS, tmp_path / "small.onnx").ok


def test_runs_bounded_by_generations_are_the_same(data: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        compress(tmp_path / name / "small.onnx", data=data, measure=4)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def test_one_candidate_or_one_granularity_if_that_was_asked_for(data: Path) -> None:
    assert len(compress(None, data=data, measure=1).measured) == 1
    steps = {one.steps for one in compress(None, data=data, measure=3, granularity=2).measured}
    assert steps == {(2,)}


def test_a_metric_decides(data: Path, tmp_path: Path) -> None:
    """This one loves wide layers in front, whatever the answers are worth."""
    (tmp_path / "mine.py").write_text(
        "import onnx\n\ndef wide(path):\n"
        "    tensors = [t for t in onnx.load(path).graph.initializer if len(t.dims) == 4]\n    return float(tensors[0].dims[0])\n"
    )
    result = compress(tmp_path / "small.onnx", data=data, measure=5, metric=f"{tmp_path / 'mine.py'}:wide")
    assert result.metric is not None
    (chosen,) = [one for one in result.measured if one.chosen]
    assert chosen.metric == max(one.metric for one in result.measured if one.metric is not None)
    assert all(one.metric is not None and one.metric <= result.metric for one in result.measured)


def test_a_metric_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import os\n\ndef small(path):\n    return -os.path.getsize(path)\n")
    result = compress(tmp_path / "small.onnx", measure=2, metric=f"{tmp_path / 'mine.py'}:small")
    assert len(result.measured) == 2
    assert result.metric is not None
    assert all(one.metric is not None and one.metric > result.metric for one in result.measured)


def test_a_metric_that_fails_is_one_line_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def wrong(path):\n    raise RuntimeError('no data here')\n")
    with pytest.raises(UsageError, match="no data here"):
        compress(tmp_path / "small.onnx", metric=f"{tmp_path / 'mine.py'}:wrong")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".py" and path.name != "__pycache__"] == []


def test_measuring_needs_something_to_measure_on() -> None:
    with pytest.raises(UsageError, match="--measure compares candidates"):
        compress(None, measure=3)


def test_out_of_reach_is_out_of_reach(data: Path) -> None:
    with pytest.raises(ConstraintUnreachableError):
        compress(None, data=data, flops_drop=0.9999)
    assert not compress(None, data=data, flops_drop=0.9999, best_effort=True).reached


def test_labels_report_accuracy_on_what_was_held_out(data: Path, tmp_path: Path) -> None:
    (name,) = nasopt.inspect(DIGITS).inputs
    from nasopt.graphs.graph import load_graph
    from nasopt.runtime.fidelity import answers

    known = answers(load_graph(DIGITS).model, [{name.name: np.load(data)}])[0][0].argmax(axis=1)
    np.save(tmp_path / "labels.npy", known)
    result = compress(None, data=data, measure=1, labels=tmp_path / "labels.npy")
    assert result.labelled is not None
    assert (result.labelled.inputs, result.labelled.before) == (20, 1.0)
    assert 0.3 < result.labelled.after <= 1.0


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (np.zeros(3, np.int64), "3 labels for 200 inputs"),
        (np.zeros(200), "one integer"),
        (np.full(200, 77), "outside the network's classes"),
    ],
)
def test_labels_that_cannot_be(data: Path, tmp_path: Path, labels: np.ndarray, said: str) -> None:
    np.save(tmp_path / "labels.npy", labels)
    with pytest.raises(UsageError, match=said):
        compress(None, data=data, measure=1, labels=tmp_path / "labels.npy")


def test_labels_need_data_and_learning_from_them_needs_distillation(data: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "labels.npy", np.zeros(200, np.int64))
    with pytest.raises(UsageError, match="bring both"):
        compress(None, labels=tmp_path / "labels.npy")
    with pytest.raises(UsageError, match="--learn-labels belong"):
        compress(None, data=data, labels=tmp_path / "labels.npy", learn_labels=True)


def test_what_was_passed_over_is_not_taken_after_all(data: Path) -> None:
    """A finer step that is better by less than `WORTH` loses to the coarser one for good."""
    result = compress(None, data=data, measure=6)
    (chosen,) = [one for one in result.measured if one.chosen]
    for one in result.measured:
        assert one.divergence is not None
        assert chosen.divergence is not None
        if max(one.steps) >= max(chosen.steps):
            assert chosen.divergence <= one.divergence


def test_a_metric_may_gain(tmp_path: Path) -> None:
    """Where less than nothing is lost, the least is still best."""
    (tmp_path / "mine.py").write_text("import os\n\ndef small(path):\n    return -os.path.getsize(path)\n")
    result = compress(None, measure=3, metric=f"{tmp_path / 'mine.py'}:small", compensate=False)
    (chosen,) = [one for one in result.measured if one.chosen]
    best = max(one.metric for one in result.measured if one.metric is not None)
    assert chosen.metric is not None
    assert result.metric is not None
    assert chosen.metric - result.metric > 0.85 * (best - result.metric)
    assert all(one.predicted is None for one in result.measured[:1])


def test_a_candidate_for_which_the_metric_fails_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\nfrom pathlib import Path\n\ndef third(path):\n    seen = Path(__file__).with_name('seen')\n"
        "    count = int(seen.read_text()) + 1 if seen.exists() else 1\n    seen.write_text(str(count))\n"
        "    if count == 4:\n        raise ValueError('third candidate')\n    return float(count)\n"
    )
    result = compress(None, measure=4, metric=f"{tmp_path / 'mine.py'}:third", compensate=False)
    assert [one.metric is None for one in result.measured] == [False, False, True, False]
    assert not result.measured[2].chosen


def test_few_inputs_still_tell_something(tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", inputs(DIGITS, 14))
    result = compress(None, data=tmp_path / "few.npy", measure=1)
    assert result.repair is not None
    assert result.repair.kept
    assert 0 < result.repair.after < result.repair.before


def test_labels_are_looked_at_before_the_work(data: Path, tmp_path: Path) -> None:
    labels = np.zeros(200, np.int64)
    labels[150] = 99
    np.save(tmp_path / "labels.npy", labels)
    stages: list[str] = []
    with pytest.raises(UsageError, match="outside the network's classes"):
        compress(None, data=data, labels=tmp_path / "labels.npy", progress=lambda stage, *_: stages.append(stage))
    assert set(stages) == {"read"}


def test_without_repair_channels_are_not_ranked_as_if_there_were_one(data: Path) -> None:
    assert compress(None, data=data, measure=1, compensate=False).importance == "meanfield"
    assert compress(None, data=data, measure=1).importance == "surgery"
