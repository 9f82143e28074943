"""Results of searches and their runs, as text and as the bodies of JSON documents."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nasopt.report.layout import columns
from nasopt.report.units import count

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nasopt.report.layout import Style
    from nasopt.search_results import FoundArchitecture, RunDetail, RunsResult, RunSummary, SearchObjective, SearchResult

__all__ = [
    "answer_text", "csv_of", "export_json", "export_text", "front_json", "front_text", "list_json", "list_text", "search_json",
    "search_text", "show_json", "show_text",
]  # fmt: skip

Body = dict[str, Any]


def search_json(result: SearchResult) -> Body:
    """The body of ``nasopt search``; its seed is in the envelope, but a resumed run's is its own."""
    return asdict(result)


def search_text(result: SearchResult, style: Style) -> str:
    """What was searched, the best, and the front where there is one to choose from."""
    read = f", predictor on {result.predictor}" if result.predictor else ""
    best, lines = result.best, []
    lines.append(f"{style(result.space, 'bold')} {result.task}: {result.strategy}{read}, seed {result.seed}")
    left = f"; {count(result.left_out)} that lack a figure left out" if result.left_out else ""
    lines.append(f"asked about {count(result.evaluations)} of {count(result.pool)} architectures{left}")
    lines.append("")
    lines += _table(result.front if len(result.objectives) > 1 else (best,), result.objectives, style)
    if result.run is not None:
        lines += ["", f"recorded in {result.run}"]
    return "\n".join(lines)


def list_json(result: RunsResult) -> Body:
    """The body of ``nasopt runs list``."""
    return {"folder": result.folder, "runs": [asdict(one) for one in result.runs]}


def list_text(result: RunsResult, style: Style) -> str:
    """A line a run."""
    if not result.runs:
        return f"no runs in {result.folder} (files named *.run)"
    rows = [(style(one.path.name, "bold"), one.state, _far(one), one.space, one.task, one.strategy, str(one.seed)) for one in result.runs]
    return "\n".join(columns([("run", "state", "evaluations", "space", "task", "strategy", "seed"), *rows], "llrlllr", indent=0))


def show_json(result: RunDetail) -> Body:
    """The body of ``nasopt runs show`` and ``watch``."""
    return {
        **asdict(result.summary), "predictor": result.predictor, "objectives": [asdict(one) for one in result.objectives],
        "best": None if result.best is None else asdict(result.best), "front": [asdict(one) for one in result.front],
        "history": [{"number": number, "value": value} for number, value in result.history],
    }  # fmt: skip


def show_text(result: RunDetail, style: Style) -> str:
    """How far it has come, and the best."""
    one = result.summary
    lines = [
        f"{style(one.path.name, 'bold')} {one.state}: {one.space} {one.task}, {one.strategy}, seed {one.seed}, {_far(one)} evaluations"
    ]
    if result.best is not None:
        lines += ["", *_table((result.best,), result.objectives, style)]
    return "\n".join(lines)


def front_json(result: RunDetail) -> Body:
    """The body of ``nasopt runs front``."""
    objectives, front = ([asdict(one) for one in some] for some in (result.objectives, result.front))
    return {"path": result.summary.path, "objectives": objectives, "front": front}


def front_text(result: RunDetail, style: Style) -> str:
    """A line an architecture."""
    return "\n".join(_table(result.front, result.objectives, style)) if result.front else "nothing was asked about yet"


def answer_text(number: int, samples: int, arch: str, values: Sequence[float]) -> str:
    """A line of ``nasopt runs watch``."""
    return f"{number}/{samples}  {'  '.join(f'{value:.6g}' for value in values)}  {arch}"


def csv_of(rows: Sequence[dict[str, object]]) -> str:
    """Rows that have the same columns; no rows, no header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    if rows:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def export_json(path: Path, rows: Sequence[dict[str, object]]) -> Body:
    """The body of ``nasopt runs export``."""
    return {"output": path, "evaluations": len(rows)}


def export_text(path: Path, rows: Sequence[dict[str, object]], style: Style) -> str:
    """One line."""
    return f"wrote {style(str(path), 'bold')}: {count(len(rows))} evaluations"


def _far(one: RunSummary) -> str:
    return f"{count(one.evaluations)}/{count(one.samples)}"


def _table(found: Sequence[FoundArchitecture], objectives: Sequence[SearchObjective], style: Style) -> list[str]:
    tested = any(one.test_accuracy is not None for one in found)
    head = (*(f"{one.name} ({one.unit})" if one.unit else one.name for one in objectives), *(("test accuracy",) if tested else ()))
    rows = [
        (
            *(f"{one.values[objective.name]:.6g}" for objective in objectives),
            *((f"{one.test_accuracy:.6g}" if one.test_accuracy is not None else "",) if tested else ()),
            str(one.number),
            style(one.arch, "bold") if one.file is None else f"{style(one.arch, 'bold')}  {one.file}",
        )
        for one in found
    ]
    return columns([(*head, "asked", "architecture"), *rows], "r" * (len(head) + 1) + "l", indent=0)
