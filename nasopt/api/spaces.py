"""``spaces``: search spaces listed, sampled, built and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.files import check_writable
from nasopt.graphs.cost import totals
from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import write_model
from nasopt.space_results import (
    Architecture,
    BuiltNetwork,
    DrawnArchitecture,
    SampledArchitectures,
    SpaceDetail,
    SpacesResult,
    SpaceSummary,
)
from nasopt.spaces.picture import cell_drawing, network_drawing
from nasopt.spaces.registry import SPACES, get_space
from nasopt.spaces.space import Genes, Space
from nasopt.spaces.weights import initialise

__all__ = ["build_architecture", "draw_architecture", "list_spaces", "sample_space", "show_space"]


def list_spaces() -> SpacesResult:
    """All search spaces, with the settings that were published."""
    return SpacesResult(tuple(_summary(get_space(name)) for name in SPACES))


def show_space(name: str, settings: Mapping[str, Any] | None = None) -> SpaceDetail:
    """One space: where it comes from, how many architectures it has, what its genes are.

    Raises:
        UsageError: there is no such space or setting.
    """
    space = get_space(name, **settings or {})
    example = _architecture(space, space.sample(np.random.default_rng(0)))
    return SpaceDetail(_summary(space), space.source, space.options, space.vocabulary, example)


def sample_space(name: str, count: int = 1, *, seed: int = 0, settings: Mapping[str, Any] | None = None) -> SampledArchitectures:
    """Random architectures; the same seed gives the same.

    Raises:
        UsageError: there is no such space or setting, or `count` is not positive.
    """
    if count < 1:
        raise UsageError(f"{count} architectures cannot be drawn; ask for one or more")
    space, rng = get_space(name, **settings or {}), np.random.default_rng(seed)
    drawn = tuple(_architecture(space, space.sample(rng)) for _ in range(count))
    return SampledArchitectures(name, space.settings, seed, drawn)


def build_architecture(
    name: str, architecture: str, output: str | Path, *, seed: int = 0, settings: Mapping[str, Any] | None = None, force: bool = False
) -> BuiltNetwork:
    """Writes the published network of an architecture as ONNX, with seeded initial weights.

    Args:
        name: of the space.
        architecture: its official string, or a key of the published tables.
        output: the file to write.
        seed: of the weights.
        settings: of the space (classes, resolution, width, …).
        force: overwrite.

    Raises:
        UsageError: there is no such space, setting or architecture, or the file cannot be written.
    """
    output, space = Path(output), get_space(name, **settings or {})
    genes = space.parse(architecture)
    check_writable(output, force=force)
    model = initialise(space.build(genes), seed)
    graph = Graph(model)
    cost = totals(graph)
    write_model(model, output)
    shape = graph.bound[graph.inputs[0]]
    return BuiltNetwork(
        name, space.settings, _architecture(space, genes), output, cost.macs, cost.params, len(graph.nodes), shape, seed
    )  # fmt: skip


def draw_architecture(
    name: str, architecture: str, *, network: bool = False, settings: Mapping[str, Any] | None = None
) -> DrawnArchitecture:
    """What is searched of an architecture, or its whole network, as drawings (`nasopt.report.dag` makes SVG of them).

    Args:
        name: of the space.
        architecture: its official string, or a key of the published tables.
        network: the network and not the cells.
        settings: of the space.

    Raises:
        UsageError: there is no such space, setting or architecture.
    """
    space = get_space(name, **settings or {})
    genes = space.parse(architecture)
    text = space.text(genes)
    if network:
        drawings = {"network": network_drawing(space.title, Graph(space.build(genes)), text)}
    else:
        cells = space.cells(genes)
        drawings = {part: cell_drawing(f"{space.title}, {part}", cell, text) for part, cell in cells.items()}
    return DrawnArchitecture(name, _architecture(space, genes), drawings)


def _summary(space: Space) -> SpaceSummary:
    return SpaceSummary(space.name, space.title, space.count(), space.settings)


def _architecture(space: Space, genes: Genes) -> Architecture:
    return Architecture(space.text(genes), space.key(genes), genes)
