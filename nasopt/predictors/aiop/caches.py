"""The computational-graph caches of AIO-P's authors (``gpi_*_comp_graph_cache.pkl``), read as data: nothing of the pickle is executed.

A cache is a list of dictionaries: ``compute graph`` (an object with nodes and edges), ``acc`` (a fraction), ``flops``, and more that is
left alone. (Ascend-Research/AIO-P, ``make_cg.py``, ``make_cg_task_cache.py``.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.graphs.computational_graph import VOCABULARY, CGNode, ComputationalGraph
from nasopt.spaces.tables.importing.content import reading
from nasopt.spaces.tables.importing.inert_pickle import read_pickle
from nasopt.spaces.tables.importing.named import Record

__all__ = ["CachedNetwork", "read_cache"]

MODULES = "model_src."
"""Where the authors' classes are: their objects are read as records."""
PLAIN = 1e6
"""A count of FLOPs above it is in units of 1, else in 1e9 (AIO-P's code)."""
LIMITS = ("max_hidden_size", "max_kernel_size", "max_derived_H", "max_derived_W")


@dataclass(frozen=True)
class CachedNetwork:
    """One entry.

    Attributes:
        graph: its CG.
        accuracy: or whatever the cache's task measures; a fraction.
        gflops: FLOPs / 1e9, by whichever counter the cache used.
    """

    graph: ComputationalGraph
    accuracy: float
    gflops: float


def read_cache(path: str | Path) -> tuple[CachedNetwork, ...]:
    """All entries, in the file's order.

    Raises:
        UsageError: the file is not there, is no such cache, or asks for anything to be executed.
    """
    origin = Path(path)
    try:
        with origin.open("rb") as file, reading(origin, "a cache of computational graphs (a pickle)"):
            found = read_pickle(file, records=MODULES)
    except OSError as error:
        raise UsageError(f"{origin}: cannot be read ({error.strerror})") from None
    if not isinstance(found, list) or not found:
        raise UsageError(f"{origin}: no cache of computational graphs: expected a list of dictionaries with 'compute graph' and 'acc'")
    return tuple(_network(entry, f"{origin}, entry {place}") for place, entry in enumerate(found))


def _network(entry: object, where: str) -> CachedNetwork:
    try:
        if not isinstance(entry, dict):
            raise TypeError(f"a {type(entry).__name__}, not a dictionary")
        graph, flops = _graph(entry["compute graph"]), float(entry["flops"])
        return CachedNetwork(graph, float(entry["acc"]), flops / 1e9 if flops > PLAIN else flops)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UsageError(f"{where}: not a computational graph with its accuracy ({type(error).__name__}: {error})") from None


def _graph(told: object) -> ComputationalGraph:
    fields = _fields(told, "ComputeGraph")
    nodes = tuple(
        [_node(_fields(node, "WeightedNode")) for node in fields["weighted_nodes"]]
        + [_node(_fields(node, "RegularNode")) for node in fields["regular_nodes"]]
    )
    edges = tuple(sorted((int(begin), int(end)) for begin, end in fields["edge_pairs"]))
    if any(not 0 <= place < len(nodes) for edge in edges for place in edge):
        raise ValueError("an edge leads to a node that is not there")
    limits = {name: int(fields[name]) for name in LIMITS if fields.get(name) is not None}
    return ComputationalGraph(str(fields["name"]), tuple(int(size) for size in fields["input_shape"]), nodes, edges, limits)


def _fields(told: object, kind: str) -> Mapping[str, Any]:
    if not isinstance(told, Record) or not told.kind.endswith(f".{kind}"):
        raise TypeError(f"expected a {kind}")
    return told.fields


def _node(fields: Mapping[str, Any]) -> CGNode:
    index, metadata, strides = int(fields["op_type_idx"]), fields.get("metadata"), fields.get("strides")
    height, out_height, width, out_width, channels, out_channels = (int(size) for size in fields["resolution"])
    if index < 0:
        raise ValueError(f"an operation {index}")
    shape = tuple(float(size) for size in np.ravel(fields["shape"])) if "shape" in fields else None
    if shape is not None and len(shape) != 4:
        raise ValueError(f"a weight of shape {shape}")
    return CGNode(
        VOCABULARY[index], (height, out_height, width, out_width, channels, out_channels), shape,
        shape is not None and bool((metadata or {}).get("use_bias")), None if strides is None else tuple(int(step) for step in strides),
        str(fields["str_id"]), str(fields["label"]), metadata,
    )  # fmt: skip
