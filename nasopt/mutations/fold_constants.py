"""Replace what is computed from weights alone by its value.

Exporters spell constants as little programs (torch 2.13 writes the zero bias of every convolution as ``Expand(0, Shape(weight)[:1])``).
Folded, each reader has a weight of its own, which can be cut with the channels that it belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx.numpy_helper import from_array

from nasopt.errors import InvalidEditError
from nasopt.graphs.graph import Graph
from nasopt.mutations.contract import Edit, Mutation, Site, register

__all__ = ["FoldConstants"]


class FoldConstants(Mutation):
    """Lossless: the edit lists the values that become stored ones. Their computation stays behind for `Simplify` to remove."""

    kind = "fold-constants"
    lossless = True

    def sites(self, graph: Graph) -> Sequence[Site]:
        return [Site(self.kind, name, (0, 1)) for name in _readings(graph)]

    def whole(self, graph: Graph) -> Edit | None:
        # Before IR version 4 stored values must be listed among the inputs: such models are left as they are.
        names = sorted(_readings(graph)) if graph.model.ir_version >= 4 else []
        return Edit(self.kind, {"fold": names}) if names else None

    def apply(self, graph: Graph, edit: Edit) -> onnx.ModelProto:
        readings = _readings(graph)
        model = onnx.ModelProto()
        model.CopyFrom(graph.model)
        taken = set(graph.shapes) | set(graph.producers) | set(graph.weights)
        for name in edit.detail["fold"]:
            if name not in readings:
                raise InvalidEditError(f"the script folds '{name}', which is no constant of this model")
            for number, (index, slot) in enumerate(readings[name]):
                stored = f"{name}.{number}"
                while stored in taken:
                    stored += ".folded"
                taken.add(stored)
                model.graph.initializer.append(from_array(graph.constants[name], stored))
                model.graph.node[index].input[slot] = stored
        return model

    def describe(self, edit: Edit) -> str:
        return f"folded {len(edit.detail['fold'])} values that are computed from weights alone"


def _readings(graph: Graph) -> dict[str, list[tuple[int, int]]]:
    """Constants that do not depend on any input's shape → where a node that is none of them reads them, as (node, input)."""
    fixed = {
        name
        for name in graph.constants
        if name in graph.producers
        and name not in graph.weights
        and all(source in graph.weights for source in graph.shape_sources.get(name, ()))
        and name not in graph.outputs
    }
    readings: dict[str, list[tuple[int, int]]] = {}
    for node in graph.nodes:
        if node.outputs and node.outputs[0] in fixed:
            continue
        for slot, name in enumerate(node.inputs):
            if name in fixed:
                readings.setdefault(name, []).append((node.index, slot))
    return readings


register(FoldConstants())
