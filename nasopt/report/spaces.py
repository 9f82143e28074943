"""Results about search spaces, as text and as the bodies of JSON documents."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nasopt.report.layout import columns, printable
from nasopt.report.units import count, shape
from nasopt.results import MACS_DEFINITION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nasopt.report.layout import Style
    from nasopt.space_results import BuiltNetwork, DrawnArchitecture, SampledArchitectures, SpaceDetail, SpacesResult

__all__ = [
    "build_json",
    "build_text",
    "draw_json",
    "draw_text",
    "list_json",
    "list_text",
    "sample_json",
    "sample_text",
    "show_json",
    "show_text",
]

Body = dict[str, Any]
MANY = 10**9


def list_json(result: SpacesResult) -> Body:
    """The body of ``nasopt spaces list``."""
    return {"spaces": [asdict(space) for space in result.spaces]}


def list_text(result: SpacesResult, style: Style) -> str:
    """A line a space."""
    rows = [(style(one.name, "bold"), _many(one.architectures), one.title, style(_settings(one.settings), "dim")) for one in result.spaces]
    return "\n".join(columns([("space", "architectures", "", "settings"), *rows], "lrll", indent=0))


def show_json(result: SpaceDetail) -> Body:
    """The body of ``nasopt spaces show``."""
    return {
        **asdict(result.summary),
        "source": result.source,
        "options": list(result.options),
        "operations": list(result.operations),
        "example": asdict(result.example),
    }


def show_text(result: SpaceDetail, style: Style) -> str:
    """What a space consists of."""
    summary = result.summary
    rows = [
        ("architectures", _many(summary.architectures)),
        ("genes", f"{len(result.options)}, with {', '.join(map(str, dict.fromkeys(result.options)))} values"),
        ("operations", ", ".join(result.operations)),
        ("settings", _settings(summary.settings) or "none"),
        ("example", result.example.text),
        ("its class", result.example.key),
        ("source", result.source),
    ]
    return "\n".join([f"{style(summary.name, 'bold')}  {summary.title}", *columns(rows, "ll")])


def sample_json(result: SampledArchitectures) -> Body:
    """The body of ``nasopt spaces sample``."""
    return {"space": result.space, "settings": dict(result.settings), "architectures": [asdict(one) for one in result.architectures]}


def sample_text(result: SampledArchitectures, style: Style) -> str:  # noqa: ARG001 - plain lines, to be piped
    """An official string a line."""
    return "\n".join(one.text for one in result.architectures)


def build_json(result: BuiltNetwork) -> Body:
    """The body of ``nasopt spaces build``."""
    body = asdict(result)
    body.pop("seed")  # the envelope has it
    return {**body, "macs_definition": MACS_DEFINITION}


def build_text(result: BuiltNetwork, style: Style) -> str:
    """Where the network is, and what it costs."""
    rows = [
        ("input", shape(result.input_shape)),
        ("MACs", count(result.macs)),
        ("parameters", count(result.params)),
        ("nodes", str(result.nodes)),
        ("settings", _settings(result.settings) or "none"),
    ]
    head = f"{printable(result.architecture.text)} -> {style(str(result.output), 'bold')}"
    return "\n".join([head, *columns(rows, "ll"), style(f"  {MACS_DEFINITION}", "dim")])


def draw_json(result: DrawnArchitecture, paths: Mapping[str, Path]) -> Body:
    """The body of ``nasopt spaces draw``."""
    return {"space": result.space, "architecture": asdict(result.architecture), "outputs": dict(paths)}


def draw_text(paths: Mapping[str, Path], style: Style) -> str:
    """Where the pictures are."""
    return "\n".join(columns([(part, style(str(path), "bold")) for part, path in paths.items()], "ll", indent=0))


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={'by task' if value is None else value}" for name, value in settings.items())


def _many(number: int) -> str:
    return f"{number:,}" if number < MANY else f"{number:.3g}"
