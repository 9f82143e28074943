"""Published tables that were made anew, as text and as the body of a JSON document."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nasopt.report.layout import columns

if TYPE_CHECKING:
    from nasopt.predictor_results import Reproduced, ReproduceResult
    from nasopt.report.layout import Style

__all__ = ["reproduce_json", "reproduce_text"]


def reproduce_json(result: ReproduceResult) -> dict[str, Any]:
    """The body of ``nasopt train aiop --reproduce``."""
    return {"folder": str(result.folder), "caches": str(result.caches), "cells": [asdict(cell) for cell in result.cells]}


def reproduce_text(result: ReproduceResult, style: Style) -> str:
    """A block for errors and one for rank correlations, of each way; a line a family and task, a column a method."""
    lines = []
    for way, tables in (("zero-shot", ("Table 3", "Table 4")), ("fine-tuned", ("Table 21", "Table 22"))):
        cells = [cell for cell in result.cells if cell.way == way]
        for table, title, show in zip(tables, ("mean absolute error, %", "Spearman"), (_error, _rank), strict=True):
            lines.append(style(f"{table}: {title}, {way}, {max((cell.seeds for cell in cells), default=0)} seeds", "bold"))
            methods = list(dict.fromkeys(cell.method for cell in cells))
            rows = [("family", "task", *methods)]
            for family, task in dict.fromkeys((cell.family, cell.task) for cell in cells):
                found = {cell.method: show(cell) for cell in cells if (cell.family, cell.task) == (family, task)}
                rows.append((family, task, *(found[method] for method in methods)))
            lines += columns(rows, "ll" + "r" * len(methods), indent=2)
    return "\n".join(lines)


def _error(cell: Reproduced) -> str:
    return f"{cell.mae:.2f} +- {cell.mae_std:.2f}"


def _rank(cell: Reproduced) -> str:
    return f"{cell.srcc:.3f} +- {cell.srcc_std:.3f}"
