"""Stand-ins for the classes of AIO-P's authors, as their caches name them, and entries of such a cache."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from nasopt.graphs.computational_graph import VOCABULARY, ComputationalGraph

HOME = "model_src.comp_graph.tf_comp_graph"


@contextmanager
def stand_ins() -> Iterator[ModuleType]:
    """The authors' classes, as far as a pickle names them, while one is written."""
    modules = {}
    for name in ("model_src", "model_src.comp_graph", HOME):
        modules[name] = sys.modules[name] = ModuleType(name)
    for kind in ("ComputeGraph", "RegularNode", "WeightedNode", "ModelSpec"):
        setattr(modules[HOME], kind, type(kind, (), {"__module__": HOME}))
    yield modules[HOME]
    for name in modules:
        del sys.modules[name]


def entry(classes: ModuleType, graph: ComputationalGraph, accuracy: float) -> dict[str, Any]:
    told = classes.ComputeGraph()
    nodes = []
    for node in graph.nodes:
        one = (classes.WeightedNode if node.weighted else classes.RegularNode)()
        one.str_id, one.label, one.op_type_idx, one.type_idx = node.name, node.label, VOCABULARY.index(node.op), int(node.weighted)
        one.resolution, one.strides = list(node.resolution), node.strides
        one.metadata = dict(node.metadata) if node.metadata is not None else None
        if node.shape is not None:
            one.shape = list(node.shape)
        nodes.append(one)
    told.weighted_nodes, told.regular_nodes = nodes[: graph.weighted], nodes[graph.weighted :]
    told.name, told.input_shape, told.edge_pairs = graph.name, list(graph.input_shape), [tuple(edge) for edge in graph.edges]
    told.max_hidden_size, told.max_kernel_size, told.max_derived_H, told.max_derived_W = 512, 7, 256, 256
    spec = classes.ModelSpec()
    spec.matrix = np.eye(3)
    return {"compute graph": told, "acc": np.float64(accuracy), "flops": 1.5e9, "n_params": 7, "original config": (224, spec)}
