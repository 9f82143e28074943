"""What is known of a benchmark table before it is opened."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ColumnInfo", "Rule", "TableInfo"]


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """What a column holds.

    Attributes:
        kind: ``key``, ``metric``, ``proxy``, ``latency``, ``cost``, ``split``, ``task``, ``setting``, or
            ``copy`` of a column of another table, which is not looked up unless the table is named.
        unit: of its numbers; empty where they have none.
        device: of a latency, as in ``latency:DEVICE``.
    """

    kind: str
    unit: str = ""
    device: str = ""


@dataclass(frozen=True)
class Rule:
    """What columns whose whole name matches a pattern are; a group ``device`` of the pattern names the device of a latency."""

    pattern: str
    kind: str
    unit: str = ""


@dataclass(frozen=True)
class TableInfo:
    """One table.

    Attributes:
        name: ``GROUP/FILE``; users ask for the group, whose tables are joined by architecture.
        file: below the data directory.
        space: whose architectures the rows are; empty for tables of other things (networks by name).
        key: how a row names its architecture: a column, or ``ofa`` or ``mnasnet`` where several columns do.
        about: what it holds, in a sentence.
        source: who published it, where.
        licence: of the data.
        rules: what its columns are, the first rule that fits; columns without one are settings.
        settings: of the space, under which costs and proxies were computed.
        task: the column that says on which task a row was measured; empty where there is none.
        failed: a number that stands for "could not be measured".
        parsed: whether keys have to be read by the space, as they are not in its own form.
        fetch: what to fetch from where, and how to import it, where the table is not there.
    """

    name: str
    file: str
    space: str
    key: str
    about: str
    source: str
    licence: str
    rules: tuple[Rule, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    task: str = ""
    failed: float | None = None
    parsed: bool = False
    fetch: str = ""

    @property
    def group(self) -> str:
        return self.name.partition("/")[0]

    @property
    def stem(self) -> str:
        """The name within the group."""
        return self.name.partition("/")[2]

    def column(self, name: str) -> ColumnInfo:
        """What a column of this name holds."""
        if name == self.task:
            return ColumnInfo("task")
        for rule in self.rules:
            found = re.fullmatch(rule.pattern, name)
            if found:
                return ColumnInfo(rule.kind, rule.unit, found.groupdict().get("device") or (name if rule.kind == "latency" else ""))
        return ColumnInfo("setting")
