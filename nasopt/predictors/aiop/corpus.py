"""Networks that a predictor learns from or is asked of: their computational graphs, costs and labels, kept as flat arrays.

A network's features do not depend on weights, so that thousands take seconds to minutes and some megabytes; `Corpus.save` keeps them in one
safetensors file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.graphs.computational_graph import CGFeatures

if TYPE_CHECKING:
    from nasopt.spaces.space import Genes, Space

__all__ = ["Corpus", "from_space"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
PARTS = tuple(field.name for field in fields(CGFeatures))


@dataclass(frozen=True)
class Corpus:
    """Networks, aligned.

    Attributes:
        keys: names of the networks.
        graphs: their features.
        gflops: 2 x MACs / 1e9, (n,).
        params: parameters / 1e6, (n,).
        cg_gflops: AIO-P's own counter / 1e9, (n,).
    """

    keys: tuple[str, ...]
    graphs: tuple[CGFeatures, ...]
    gflops: Floats
    params: Floats
    cg_gflops: Floats

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, places: Sequence[int] | np.ndarray[Any, Any]) -> Corpus:
        """These networks, in this order."""
        rows = np.asarray(places, np.int64)
        return Corpus(
            tuple(self.keys[row] for row in rows),
            tuple(self.graphs[row] for row in rows),
            self.gflops[rows],
            self.params[rows],
            self.cg_gflops[rows],
        )

    def save(self, path: str | Path, about: str) -> None:
        """Writes all of it.

        Args:
            path: of the file.
            about: what it was made of; `load` compares it.
        """
        from safetensors.numpy import save_file

        arrays: dict[str, np.ndarray[Any, Any]] = {}
        for part in PARTS:
            different: dict[int, tuple[int, np.ndarray[Any, Any]]] = {}
            for graph in self.graphs:  # networks of a space share most arrays (`from_space`)
                value = getattr(graph, part)
                different.setdefault(id(value), (len(different), value.T if part == "edges" else value))
            arrays[part] = np.concatenate([value for _, value in different.values()])
            arrays[f"{part}.ends"] = np.cumsum([len(value) for _, value in different.values()])
            arrays[f"{part}.which"] = np.array([different[id(getattr(graph, part))][0] for graph in self.graphs])
        names = "\n".join(self.keys).encode()
        arrays |= {"gflops": self.gflops, "params": self.params, "cg_gflops": self.cg_gflops, "keys": np.frombuffer(names, np.uint8)}
        part_file = Path(f"{path}.part")
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, part_file, {"about": about})
        part_file.replace(path)

    @classmethod
    def load(cls, path: str | Path, about: str) -> Corpus:
        """Reads what `save` wrote.

        Raises:
            UsageError: it is no such file, or was made of something else.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, "numpy") as file:
                found = (file.metadata() or {}).get("about")
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except (OSError, SafetensorError) as error:
            raise UsageError(f"{path}: not a file of computational graphs ({error}): delete it, it is made anew") from None
        expected = {*(part + end for part in PARTS for end in ("", ".ends", ".which")), "keys", "gflops", "params", "cg_gflops"}
        if found != about or arrays.keys() != expected:
            raise UsageError(f"{path}: made of '{found}', or by another version, not of '{about}': delete it, it is made anew")
        different = {part: np.split(arrays[part], arrays[f"{part}.ends"][:-1]) for part in PARTS}
        different["edges"] = [edges.T for edges in different["edges"]]
        columns = [[different[part][which] for which in arrays[f"{part}.which"]] for part in PARTS]
        graphs = tuple(CGFeatures(*parts) for parts in zip(*columns, strict=True))
        keys = tuple(arrays["keys"].tobytes().decode().split("\n"))
        return cls(keys, graphs, arrays["gflops"], arrays["params"], arrays["cg_gflops"])

    @classmethod
    def joined(cls, parts: Iterable[Corpus]) -> Corpus:
        """One behind the other."""
        several = tuple(parts)
        return cls(
            tuple(key for part in several for key in part.keys),
            tuple(graph for part in several for graph in part.graphs),
            *(np.concatenate([getattr(part, name) for part in several]) for name in ("gflops", "params", "cg_gflops")),
        )


def from_space(
    space: Space, architectures: Sequence[Genes], keys: Sequence[str], *, progress: Callable[[float], None] = lambda _share: None
) -> Corpus:
    """Builds architectures, without weights, and turns them into features.

    Args:
        space: with the settings under which labels were measured.
        architectures: of it.
        keys: names for them.
        progress: is told the share that is done.
    """
    from nasopt.graphs.cg_from_graph import computational_graph
    from nasopt.graphs.cost import totals
    from nasopt.graphs.graph import Graph

    rows: list[tuple[CGFeatures, float, float, float]] = []
    words: dict[bytes, np.ndarray[Any, Any]] = {}
    for place, genes in enumerate(architectures):
        graph = Graph(space.build(genes))
        cost, cg = totals(graph), computational_graph(graph)
        rows.append((_shared(cg.features(), words), 2 * cost.macs / 1e9, cost.params / 1e6, cg.flops() / 1e9))
        progress((place + 1) / len(architectures))
    graphs, gflops, params, counted = zip(*rows, strict=True)
    return Corpus(tuple(keys), graphs, *(np.array(column, np.float64) for column in (gflops, params, counted)))


def _shared(features: CGFeatures, seen: dict[bytes, np.ndarray[Any, Any]]) -> CGFeatures:
    """The same with arrays that other networks of the space have as well held once: a space's networks differ in little."""
    kept = {part: seen.setdefault(part.encode() + getattr(features, part).tobytes(), getattr(features, part)) for part in PARTS}
    return replace(features, **kept)
