"""Remove what computes nothing: identities, branches that lead nowhere, and computations done twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx

from nasopt.errors import InvalidEditError
from nasopt.graphs.graph import Graph, Node
from nasopt.mutations.contract import Edit, Mutation, Site, register

__all__ = ["Simplify"]

_RANDOM = frozenset({"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"})


class Simplify(Mutation):
    """Lossless: the edit lists which nodes go and which value stands in for each of theirs."""

    kind = "simplify"
    lossless = True

    def sites(self, graph: Graph) -> Sequence[Site]:
        edit = self.whole(graph)
        return [Site(self.kind, name, (0, 1)) for name in edit.detail["remove"]] if edit else []

    def whole(self, graph: Graph) -> Edit | None:
        outputs = set(graph.outputs)
        replace: dict[str, str] = {}
        removed: list[Node] = []
        seen: dict[object, Node] = {}
        for node in graph.nodes:
            if any(name in outputs for name in node.outputs):
                continue
            if _is_identity(graph, node):
                replace[node.outputs[0]] = replace.get(node.inputs[0], node.inputs[0])
                removed.append(node)
                continue
            key = _computation(graph, node, replace)
            twin = seen.setdefault(key, node) if key is not None else node
            if twin is not node:
                replace.update({own: theirs for own, theirs in zip(node.outputs, twin.outputs, strict=False) if own})
                removed.append(node)
        removed += _dead(graph, {node.index for node in removed}, replace)
        if not removed:
            return None
        names = {node.index: _label(node) for node in removed}
        return Edit(self.kind, {"remove": [names[index] for index in sorted(names)], "replace": replace})

    def apply(self, graph: Graph, edit: Edit) -> onnx.ModelProto:
        gone, replace = set(edit.detail["remove"]), dict(edit.detail["replace"])
        known = {_label(node) for node in graph.nodes}
        if missing := sorted(gone - known):
            raise InvalidEditError(f"the script removes node '{missing[0]}', which this model does not have")
        model = onnx.ModelProto()
        model.CopyFrom(graph.model)
        kept = onnx.GraphProto()
        for node in graph.nodes:
            if _label(node) not in gone:
                proto = kept.node.add()
                proto.CopyFrom(graph.model.graph.node[node.index])
                _rename(proto, replace)
        model.graph.ClearField("node")
        model.graph.node.extend(kept.node)
        _drop_unused(model)
        return model

    def describe(self, edit: Edit) -> str:
        return f"removed {len(edit.detail['remove'])} nodes that compute nothing new"


def _is_identity(graph: Graph, node: Node) -> bool:
    if node.domain or node.captured:
        return False
    if node.op == "Identity":
        return True
    if node.op == "Dropout":
        mask_used = len(node.outputs) > 1 and node.outputs[1] in graph.consumers
        training = len(node.inputs) > 2 and node.inputs[2] != ""
        return not mask_used and not training and not any(name in graph.outputs for name in node.outputs)
    if node.op == "Cast":
        return graph.dtypes.get(node.inputs[0]) == int(node.attrs["to"])
    return False


def _computation(graph: Graph, node: Node, replace: dict[str, str]) -> object | None:
    """What a node computes, equal for two nodes exactly if one can stand in for the other; None where it cannot be compared."""
    if node.captured or node.op in _RANDOM or node.domain:
        return None
    proto = graph.model.graph.node[node.index]
    if any(attribute.HasField("g") or attribute.graphs for attribute in proto.attribute) or (not node.inputs and node.op == "Constant"):
        return None
    attributes = tuple(sorted(attribute.SerializeToString(deterministic=True) for attribute in proto.attribute))
    return node.op, tuple(replace.get(name, name) for name in node.inputs), len(node.outputs), attributes


def _dead(graph: Graph, gone: set[int], replace: dict[str, str]) -> list[Node]:
    """Nodes that no output depends on."""
    needed = set(graph.outputs)
    dead = []
    for node in reversed(graph.nodes):
        if node.index in gone:
            continue
        if any(name in needed for name in node.outputs):
            needed.update(replace.get(name, name) for name in (*node.inputs, *node.captured))
        else:
            dead.append(node)
    return dead


def _rename(proto: onnx.NodeProto, replace: dict[str, str]) -> None:
    for slot, name in enumerate(proto.input):
        if name in replace:
            proto.input[slot] = replace[name]
    for attribute in proto.attribute:
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            for node in graph.node:
                _rename(node, replace)
            for value in graph.output:
                value.name = replace.get(value.name, value.name)


def _drop_unused(model: onnx.ModelProto) -> None:
    """Initializers and value infos of values that are no more; initializers that are listed as inputs belong to the interface."""
    used = {value.name for value in [*model.graph.input, *model.graph.output]} | set(_names(model.graph.node))
    for field in (model.graph.initializer, model.graph.value_info):
        for place in reversed([place for place, entry in enumerate(field) if entry.name not in used]):
            del field[place]


def _names(nodes: Iterable[onnx.NodeProto]) -> Iterable[str]:
    for node in nodes:
        yield from node.input
        yield from node.output
        for attribute in node.attribute:
            for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
                yield from _names(graph.node)
                yield from (value.name for value in graph.output)


def _label(node: Node) -> str:
    """A node by its first output: names may be missing or repeated, values may not."""
    return next((name for name in node.outputs if name), node.name)


register(Simplify())
