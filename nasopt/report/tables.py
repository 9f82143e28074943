"""Results about benchmark tables, as text and as the bodies of JSON documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nasopt.report.layout import columns, printable

if TYPE_CHECKING:
    from nasopt.report.layout import Style
    from nasopt.space_results import ImportResult, QueryResult, TableDetail, TablesDetail, TablesResult

__all__ = ["import_json", "import_text", "list_json", "list_text", "query_json", "query_text", "show_json", "show_text"]

Body = dict[str, Any]


def list_json(result: TablesResult) -> Body:
    """The body of ``nasopt tables list``."""
    return {"tables": [asdict(table) for table in result.tables]}


def list_text(result: TablesResult, style: Style) -> str:
    """A line a table."""
    rows = [
        (style(printable(one.name), "bold" if one.path else "dim"), f"{one.rows:,}" if one.path else "not here", printable(one.about))
        for one in result.tables
    ]
    missing = list(dict.fromkeys(one.fetch for one in result.tables if one.path is None and one.fetch))
    return "\n".join([*columns([("table", "rows", ""), *rows], "lrl", indent=0), *_where(missing, style)])


def show_json(result: TablesDetail) -> Body:
    """The body of ``nasopt tables show``."""
    return {
        "group": result.group,
        "tables": [
            {**asdict(one.summary), **{key: value for key, value in asdict(one).items() if key != "summary"}} for one in result.tables
        ],
    }


def show_text(result: TablesDetail, style: Style) -> str:
    """All that is known of each table."""
    return "\n\n".join("\n".join(_shown(one, style)) for one in result.tables)


def query_json(result: QueryResult) -> Body:
    """The body of ``nasopt tables query``."""
    return {
        "table": result.group,
        "architecture": result.architecture,
        "values": dict(result.values),
        "units": dict(result.units),
        "sources": dict(result.sources),
        "elsewhere": {metric: list(names) for metric, names in result.elsewhere.items()},
    }


def query_text(result: QueryResult, style: Style) -> str:
    """A line a metric."""
    rows = [
        (printable(name), style("missing" if value is None else printable(str(value)), "bold"), result.units[name], result.sources[name])
        for name, value in result.values.items()
    ]
    hints = [f"  {printable(metric)}: other tables have it: {printable(', '.join(names))}" for metric, names in result.elsewhere.items()]
    return "\n".join([printable(result.architecture), *columns(rows, "lrll"), *hints])


def import_json(result: ImportResult) -> Body:
    """The body of ``nasopt tables import``."""
    return {"table": asdict(result.table), "columns": list(result.columns), "notes": result.notes}


def import_text(result: ImportResult, style: Style) -> str:
    """Where the table is, and how to ask it."""
    rows = [
        ("rows", f"{result.table.rows:,}"),
        ("columns", printable(", ".join(result.columns))),
        ("notes", printable(result.notes)),
        ("file", str(result.table.path)),
    ]
    return "\n".join([style(printable(result.table.name), "bold"), *columns([row for row in rows if row[1]], "ll")])


def _detail(table: TableDetail) -> Body:
    body = asdict(table)
    return {**body.pop("summary"), **body}


def _where(missing: list[str], style: Style) -> list[str]:
    if not missing:
        return []
    return [
        "",
        style("Those that are not here: set NASOPT_DATA to the folder that holds data/, or", "dim"),
        *(f"  {one}" for one in missing),
    ]


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items()) or "as published"


def _shown(table: TableDetail, style: Style) -> list[str]:
    summary = table.summary
    checked = {True: "as on record", False: style("DIFFERS from the one on record", "bold", "red"), None: "none on record"}[table.verified]
    facts = [
        ("rows", f"{summary.rows:,}"),
        ("space", summary.space),
        *((f"settings{task and f' ({task})'}", _settings(settings)) for task, settings in table.settings.items()),
        ("tasks", printable(", ".join(table.tasks))),
        ("source", printable(table.source)),
        ("licence", printable(table.licence)),
        ("sha256", f"{table.sha256[:16]}… {checked}"),
        ("file", str(summary.path)),
    ]
    cells = [
        (printable(one.name), one.kind, one.unit, f"latency:{one.device}" if one.kind == "latency" else "") for one in table.columns
    ]  # fmt: skip
    head = f"{style(printable(summary.name), 'bold')}  {printable(summary.about)}"
    return [head, *columns([fact for fact in facts if fact[1]], "ll"), *columns(cells, "llll", indent=4)]
