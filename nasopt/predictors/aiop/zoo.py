"""Real networks with published ImageNet accuracies: timm's, as computational graphs.

The file is made by ``training/zoo.py``, which states the rule for labels; it holds no weights and is read with NumPy, without pickle.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from nasopt.errors import UsageError
from nasopt.graphs.computational_graph import CGFeatures
from nasopt.predictors.aiop.corpus import Corpus

__all__ = ["FILE", "Zoo", "load_zoo"]

FILE = Path(__file__).parents[1] / "zoo" / "imagenet.npz"
SIZES = np.array([256, 256, 256, 256, 512, 512], np.float32)
"""What the six resolutions of a node are divided by; as they are stored they are whole numbers again."""
ENDS = ("weighted_ops", "regular_ops", "edges")
"""Parts whose lengths say where networks end; all others follow from them."""


@dataclass(frozen=True)
class Zoo:
    """Networks and their published accuracies.

    Attributes:
        corpus: graphs and costs; keys are ``NAME@SIZE``.
        names: of timm's architectures.
        sizes: of the image, in pixels, (n,).
        families: timm's module that has the architecture.
        top1: on ImageNet's validation images, %, the best of recipes without other data, (n,); NaN where there is none.
        recipes: of how many, (n,).
        top1_other_data: the best of weights that saw other data or a teacher, %; NaN where there are none.
    """

    corpus: Corpus
    names: tuple[str, ...]
    sizes: np.ndarray[Any, np.dtype[np.int64]]
    families: tuple[str, ...]
    top1: np.ndarray[Any, np.dtype[np.float64]]
    recipes: np.ndarray[Any, np.dtype[np.int64]]
    top1_other_data: np.ndarray[Any, np.dtype[np.float64]]

    def save(self, path: Path) -> None:
        """Writes it, compressed."""
        graphs = self.corpus.graphs
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "resolutions": np.concatenate([np.rint(graph.resolutions * SIZES) for graph in graphs]).astype(np.uint16),
            "edges": np.concatenate([graph.edges.T for graph in graphs]).astype(np.uint16),
            "text": np.frombuffer("\n".join(map("\t".join, zip(self.names, self.families, strict=True))).encode(), np.uint8),
        }
        for part in ("weighted_ops", "kernels", "biases", "regular_ops"):
            arrays[part] = np.concatenate([getattr(graph, part) for graph in graphs]).astype(np.uint8)
        for part in ENDS:
            arrays[f"{part}.counts"] = np.array([getattr(graph, part).shape[-1] for graph in graphs], np.uint16)
        numbers = {name: getattr(self, name) for name in ("sizes", "top1", "recipes", "top1_other_data")}
        costs = {name: getattr(self.corpus, name) for name in ("gflops", "params", "cg_gflops")}
        part_file = path.with_suffix(".part")
        with part_file.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays, **numbers, **costs)
        part_file.replace(path)


def load_zoo(path: Path = FILE) -> Zoo:
    """Reads it: a second.

    Raises:
        UsageError: it is not there or damaged.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return _read(arrays)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise UsageError(f"{path}: not the table of networks ({type(error).__name__}: {error}); install nasopt again") from None


def _read(arrays: dict[str, np.ndarray[Any, Any]]) -> Zoo:
    weighted, regular, edges = (np.cumsum(arrays[f"{part}.counts"], dtype=np.int64)[:-1] for part in ENDS)
    parts = [
        *(np.split(arrays[part].astype(np.int64), weighted) for part in ("weighted_ops", "kernels", "biases")),
        np.split(arrays["regular_ops"].astype(np.int64), regular),
        np.split(arrays["resolutions"].astype(np.float32) / SIZES, weighted + regular),
        [part.T for part in np.split(arrays["edges"].astype(np.int64), edges)],
    ]
    names, families = zip(*(line.split("\t") for line in arrays["text"].tobytes().decode().split("\n")), strict=True)
    keys = tuple(f"{name}@{size}" for name, size in zip(names, arrays["sizes"].tolist(), strict=True))
    corpus = Corpus(
        keys, tuple(CGFeatures(*one) for one in zip(*parts, strict=True)), arrays["gflops"], arrays["params"], arrays["cg_gflops"]
    )  # fmt: skip
    return Zoo(corpus, names, arrays["sizes"], families, arrays["top1"], arrays["recipes"], arrays["top1_other_data"])
