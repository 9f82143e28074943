"""Results as JSON documents. Every key is described in ``docs/json.md``; a change of meaning raises the number in the schema."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nasopt.results import MACS_DEFINITION

if TYPE_CHECKING:
    from nasopt.results import (
        ApplyResult,
        BenchResult,
        CompressResult,
        Cost,
        DiffResult,
        DoctorResult,
        DrawResult,
        ExplainResult,
        InspectResult,
        Latency,
        LatencyStats,
        VerifyResult,
    )

__all__ = ["apply", "bench", "compress", "diff", "doctor", "document", "draw", "dumps", "explain", "failure", "inspect", "verify"]

Body = dict[str, Any]


def document(verb: str, body: Body, *, command: str, seed: int | None, exit_code: int) -> Body:
    """Puts a body into the envelope that every document has.

    Args:
        verb: names the schema, e.g. ``compress`` for ``nasopt/compress/1``.
        body: what the functions of this module make.
        command: the command line that was run.
        seed: its seed; None where the verb has none.
        exit_code: what it ends with.
    """
    return {"schema": f"nasopt/{verb}/1", "command": command, "seed": seed, "exit": exit_code, **body}


def dumps(value: Body) -> str:
    """The text of a document: valid JSON, whatever numbers it holds (what is not finite becomes null)."""
    return json.dumps(_plain(value), indent=2, allow_nan=False)


def inspect(result: InspectResult) -> Body:
    """The body of ``nasopt inspect``."""
    return {
        "model": result.path,
        **asdict(result.cost),
        "layers": [asdict(node) for node in result.nodes],
        "inputs": [asdict(tensor) for tensor in result.inputs],
        "outputs": [asdict(tensor) for tensor in result.outputs],
        "opset": result.opset,
        "ir_version": result.ir_version,
        "producer": result.producer,
        "unknown_operators": result.unknown_operators,
        "notes": result.notes,
        "macs_definition": MACS_DEFINITION,
    }


def explain(result: ExplainResult) -> Body:
    """The body of ``nasopt explain``."""
    return {
        "model": result.path,
        "macs": result.macs,
        "reachable_macs": result.reachable_macs,
        "groups": [asdict(group) for group in result.groups],
        "frozen": [asdict(group) for group in result.frozen],
        "unknown_operators": result.unknown_operators,
        "macs_definition": MACS_DEFINITION,
    }


def compress(result: CompressResult) -> Body:
    """The body of ``nasopt compress``."""
    return {
        "model": result.path,
        "output": result.output,
        "script": result.script,
        "before": asdict(result.before),
        "after": asdict(result.after),
        "asked": result.asked,
        "drop": result.drop,
        "reached": result.reached,
        "latency": _latency(result.latency),
        "repair": None if result.repair is None else asdict(result.repair),
        "labelled": None if result.labelled is None else asdict(result.labelled),
        "predicted": None if result.predicted is None else asdict(result.predicted),
        "measured": [asdict(one) for one in result.measured],
        "metric": result.metric,
        "verification": None if result.verification is None else _verification(result.verification),
        "granularity": {"asked": result.granularity, "steps": {group.name: group.step for group in result.groups}},
        "importance": result.importance,
        "saliency": result.saliency,
        "front": [asdict(point) for point in result.front],
        "groups": [asdict(group) for group in result.groups],
        "frozen": [asdict(group) for group in result.frozen],
        "edits": result.edits,
        "generations": result.generations,
        "evaluations": result.evaluations,
        "seconds": result.seconds,
        "notes": result.notes,
        "macs_definition": MACS_DEFINITION,
    }


def apply(script: Path, model: Path, result: ApplyResult) -> Body:
    """The body of ``nasopt apply``."""
    return {"script": script, "model": model, "output": result.output, "structural": result.structural}


def diff(result: DiffResult) -> Body:
    """The body of ``nasopt diff``."""
    return {
        "models": {"before": result.before_path, "after": result.after_path},
        "before": asdict(result.before),
        "after": asdict(result.after),
        "drop": _drops(result.before, result.after),
        "changes": [asdict(change) for change in result.changes],
        "interface_equal": result.interface_equal,
        "macs_definition": MACS_DEFINITION,
    }


def verify(outcome: VerifyResult, *, original: Path, result: Path, script: Path | None) -> Body:
    """The body of ``nasopt verify``."""
    return {"original": original, "result": result, "script": script, **_verification(outcome)}


def bench(result: BenchResult) -> Body:
    """The body of ``nasopt bench``."""
    against = None
    if result.against is not None and result.against_latency is not None:
        ratio = _ratio(result.latency, result.against_latency)
        against = {"model": result.against, "latency": asdict(result.against_latency), "ratio": ratio}
    return {
        "model": result.path,
        "latency": asdict(result.latency),
        "threads": result.threads,
        "runs": result.runs,
        "device": result.device,
        "engine": result.engine,
        "against": against,
    }


def draw(result: DrawResult, output: Path) -> Body:
    """The body of ``nasopt draw``."""
    return {"model": result.path, "output": output, "name": result.drawing.title, **result.counts}


def doctor(result: DoctorResult) -> Body:
    """The body of ``nasopt doctor``."""
    return asdict(result)


def failure(kind: str, message: str, reachable: dict[str, float] | None) -> Body:
    """The body of any verb that failed.

    Args:
        kind: the name of the error's class.
        message: the line that the user reads.
        reachable: for each constraint, the largest drop in reach; None for other errors.
    """
    error: Body = {"type": kind, "message": message}
    if reachable is not None:
        error["reachable"] = reachable
    return {"error": error}


def _latency(latency: Latency | None) -> Body | None:
    if latency is None:
        return None
    told = latency.predicted
    return {
        "before_ms": latency.before.median_ms,
        "before_q1_ms": latency.before.q1_ms,
        "before_q3_ms": latency.before.q3_ms,
        "after_ms": latency.after.median_ms,
        "after_q1_ms": latency.after.q1_ms,
        "after_q3_ms": latency.after.q3_ms,
        "ratio": latency.ratio,
        "threads": latency.threads,
        "runs": latency.runs,
        "engine": latency.engine,
        "slower": latency.slower,
        "device": None if told is None else told.device,
        "predicted_ms": None if told is None else told.ms,
        "predicted_std": None if told is None else told.std,
        "predicted_from": None if told is None else told.timings,
    }


def _verification(outcome: VerifyResult) -> Body:
    return {"ok": outcome.ok, "max_relative_error": outcome.max_relative_error, "checks": [asdict(check) for check in outcome.checks]}


def _drops(before: Cost, after: Cost) -> dict[str, float | None]:
    pairs = {
        "flops": (before.macs, after.macs),
        "params": (before.params, after.params),
        "memory": (before.peak_activation_bytes, after.peak_activation_bytes),
    }
    return {name: 1 - new / old if old else None for name, (old, new) in pairs.items()}


def _ratio(latency: LatencyStats, against: LatencyStats) -> float | None:
    return latency.median_ms / against.median_ms if against.median_ms else None


def _plain(value: Any) -> Any:
    """`value` in JSON's own types."""
    match value:
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case Path():
            return str(value)
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
