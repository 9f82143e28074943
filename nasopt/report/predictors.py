"""Results of predictors, as text and as the bodies of JSON documents."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nasopt.report.layout import columns, printable
from nasopt.report.units import milliseconds

if TYPE_CHECKING:
    from nasopt.device_results import PredictedLatency
    from nasopt.predictor_results import Agreement, Predicted, PredictResult, ProxiesResult, TasksResult, TrainResult
    from nasopt.report.layout import Style

__all__ = [
    "predict_json",
    "predict_text",
    "predicted_latency",
    "predicted_line",
    "proxies_json",
    "proxies_text",
    "tasks_json",
    "tasks_text",
    "train_json",
    "train_text",
]

Body = dict[str, Any]


def predict_json(result: PredictResult) -> Body:
    """The body of ``nasopt predict``."""
    return {**asdict(result), "model": str(result.model)}


def predict_text(result: PredictResult, style: Style) -> str:
    """One line."""
    figure = style(f"{result.mean:.3f} {printable(result.unit)}".strip(), "bold")
    spread = "" if result.std is None else f" +- {result.std:.3f} over {result.members} members"
    return f"{printable(result.task)}: {figure}{spread}"


def predicted_line(one: Predicted) -> str:
    """Both architectures, and how sure the change is."""
    spread = "" if one.std is None else f" +- {one.std:.2g}"
    unlike = "; an extrapolation: unlike the networks of training" if one.warning else ""
    figures = f"{one.before:.4g} -> {one.after:.4g} {printable(one.unit)} ({one.change:+.3g}{spread})"
    return f"{printable(one.task)} {figures} if trained anew{unlike}"


def predicted_latency(one: PredictedLatency) -> str:
    """What was predicted before it was measured."""
    figure = f"{milliseconds(one.ms)} +- {milliseconds(one.std)}"
    return f"predicted {figure} on {printable(one.device)}, from {one.timings} timings of this network"


def proxies_json(result: ProxiesResult) -> Body:
    """The body of ``nasopt proxies``."""
    return {**asdict(result), "model": str(result.model), "scores": dict(result.scores)}


def proxies_text(result: ProxiesResult, style: Style) -> str:
    """A line a proxy."""
    head = f"{result.batch} {printable(result.inputs)}, labels {printable(result.labels)}"
    missing = "-"
    rows = [(style(name, "bold"), f"{value:.6g}" if math.isfinite(value) else missing) for name, value in result.scores.items()]
    empty = [name for name, value in result.scores.items() if not math.isfinite(value)]
    foot = [f"no finite value for this network: {', '.join(empty)} (docs/proxies.md)"] if empty else []
    return "\n".join([head, *columns(rows, "lr"), *foot])


def tasks_json(result: TasksResult) -> Body:
    """The body of ``nasopt predict --list-tasks``."""
    return {"tasks": [asdict(one) for one in result.tasks]}


def tasks_text(result: TasksResult, style: Style) -> str:
    """A line a task."""
    rows = [("task", "unit", "Spearman", "error", "labels", "what")]
    for one in result.tasks:
        error = "" if one.agreement.mae is None else f"{one.agreement.mae:.3g}"
        rows.append((style(one.name, "bold"), one.unit, f"{one.agreement.srcc:.2f}", error, f"{one.labels:,}", printable(one.about)))
    return "\n".join([*columns(rows, "llrrrl"), "Spearman and error: on networks that were not learned from, of the same benchmarks"])


def train_json(result: TrainResult) -> Body:
    """The body of ``nasopt train aiop``."""
    return {**asdict(result), "folder": str(result.folder), "epochs": list(result.epochs)}


def train_text(result: TrainResult, style: Style) -> str:
    """How good the predictor is, beside what needs no training."""
    rows = [("on rows not learned from", "Kendall", "Spearman", f"error ({result.unit})")]
    rows += [_row(style(str(result.folder), "bold"), result.agreement)]
    rows += [_row(name, one) for name, one in result.baselines.items()]
    head = f"{result.labels:,} labels of {printable(result.space)}, {printable(result.metric)}; tested on {result.test_rows:,} others"
    return "\n".join([head, *columns(rows, "lrrr", indent=2)])


def _row(name: str, one: Agreement) -> tuple[str, str, str, str]:
    ranks = ("", "") if not one.tau and not one.srcc else (f"{one.tau:.3f}", f"{one.srcc:.3f}")
    return (name, *ranks, "" if one.mae is None else f"{one.mae:.4g}")
