"""Other weights in the same structure: what a repair after pruning learned.

The numbers do not stand in the script but in a safetensors file beside it, which the edit names by hash. Without that file the edit does
nothing: replaying the script then gives the structural result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from nasopt.errors import InvalidEditError
from nasopt.graphs.graph import Graph
from nasopt.graphs.write_back import write_weights
from nasopt.mutations.contract import Edit, Mutation, Site, register

__all__ = ["SetWeights", "pack", "unpack", "weights_edit"]

Array = np.ndarray[Any, Any]


class SetWeights(Mutation):
    """Gives stored tensors other values; their names, types and shapes stay."""

    kind = "set-weights"
    lossless = False
    relearns = True

    def sites(self, graph: Graph) -> Sequence[Site]:  # noqa: ARG002  nothing to choose
        return []

    def whole(self, graph: Graph) -> Edit | None:  # noqa: ARG002  weights are learned, not found in a graph
        return None

    def apply(self, graph: Graph, edit: Edit) -> onnx.ModelProto:
        return graph.model if edit.tensors is None else write_weights(graph.model, edit.tensors)

    def describe(self, edit: Edit) -> str:
        return f"set {edit.detail['tensors']} weights anew ({edit.detail['how']})"


def weights_edit(tensors: Mapping[str, Array], how: str) -> Edit:
    """The edit that sets these weights; whoever writes the script names the file.

    Args:
        tensors: arrays by name.
        how: what they come from, in words.
    """
    sha256 = hashlib.sha256(pack(tensors)).hexdigest()
    return Edit(SetWeights.kind, {"file": "", "sha256": sha256, "tensors": len(tensors), "how": how}, tensors)


def pack(tensors: Mapping[str, Array]) -> bytes:
    """The bytes of a safetensors file."""
    from safetensors.numpy import save

    data: bytes = save({name: np.asarray(array, order="C") for name, array in sorted(tensors.items())})
    return data


def unpack(edit: Edit, folder: Path) -> Edit:
    """A `set-weights` edit with its tensors, from the file beside the script; without them where there is no such file.

    Raises:
        InvalidEditError: the file is not the one that the edit names.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / Path(str(edit.detail["file"])).name
    if not edit.detail["file"] or not path.is_file():
        return edit
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != edit.detail["sha256"]:
        raise InvalidEditError(f"{path}: is not the file of weights that the script names (its hash differs)")
    try:
        return Edit(edit.kind, edit.detail, load(data))
    except SafetensorError as error:
        raise InvalidEditError(f"{path}: not a safetensors file ({error})") from None


register(SetWeights())
