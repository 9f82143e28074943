"""The distillation of `nasopt compress`, on the very images that it would be given, for networks that it did not make.

So a peer's result gets the same images, split alike, the same steps and the same optimiser. And a network can be distilled from itself,
to see what the recipe does where there is nothing to recover.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.cache import cached, remembered
from benchmarks.document import commit, say
from benchmarks.paired import Hits, pack, points_lost, standard_error, unpack
from benchmarks.protocols import base_hits, hits, images, model_path
from nasopt.api.preparation import prepare
from nasopt.graphs.graph import Graph, load_graph
from nasopt.graphs.write_back import write_weights
from nasopt.runtime.augment import Augment
from nasopt.runtime.calibration import Calibration, read_calibration

if TYPE_CHECKING:
    from nasopt.runtime.distil import Distilled  # with it comes torch


def prepared(network: str) -> Graph:
    """The original as `compress` distils from it: after its lossless rewrites."""
    return prepare(load_graph(model_path(network)))[1]


def calibration(original: Graph, network: str, draw: int, count: int) -> Calibration:
    """The inputs of one draw, split into those to learn from and those that judge as `compress` splits them."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "images.npy"
        np.save(data, images(network, draw, count))
        return read_calibration(data, original, limit=count, seed=draw)


def distilled(
    original: Graph,
    smaller: Graph,
    inputs: Calibration,
    *,
    steps: int,
    draw: int,
    augment: Sequence[str] = (),
    checkpoint: Path | None = None,
) -> Distilled:
    """What `compress` would do with a smaller network after its repair."""
    from nasopt.runtime.distil import distil

    changes = Augment.named(augment) if augment else None
    return distil(original, smaller, inputs.fit, inputs.held_out, steps=steps, seed=draw, augment=changes, checkpoint=checkpoint)


def self_distilled(
    network: str, draw: int, count: int, steps: int, augment: Sequence[str] = (), *, limit: int | None = None, fresh: bool = False
) -> tuple[dict[str, Any], Hits]:
    """The original distilled from itself: the record, and which cases are right after the last step.

    `distil` keeps what answers most like the original, and that is the original itself: what it returns here loses nothing, whatever
    happened. So the network after the last step is judged, which the checkpoint holds.
    """
    key = ("self", network, count, steps, *augment, draw, limit or "all")
    checkpoint = cached("recovery", key).with_suffix(".safetensors")

    def measure() -> dict[str, Any]:
        from safetensors.numpy import load_file

        checkpoint.parent.mkdir(exist_ok=True)
        if fresh:
            checkpoint.unlink(missing_ok=True)
        resumed, begun = checkpoint.exists(), time.process_time()
        original = prepared(network)
        inputs = calibration(original, network, draw, count)
        done = distilled(original, original, inputs, steps=steps, draw=draw, augment=augment, checkpoint=checkpoint)
        last = load_file(checkpoint)
        model = write_weights(original.model, {name: last[f"network.{name}"] for name in done.tensors})
        seconds = time.process_time() - begun
        found = hits(model.SerializeToString(), network, draw, limit)
        lost, error = points_lost(base_hits(network, draw, limit), found)
        row = {
            "network": network, "images": count, "finetune_steps": steps, "augment": list(augment), "draw": draw, "kept": done.kept,
            "accuracy": 100 * float(found.mean()), "error": standard_error(found), "lost": lost, "lost_error": error,
            "cpu_seconds": None if resumed else seconds, "commit": commit(), "count": len(found), "hits": pack(found),
        }  # fmt: skip
        say({name: value for name, value in row.items() if name != "hits"})
        return row

    known = remembered("recovery", key, measure, fresh=fresh)
    checkpoint.unlink(missing_ok=True)
    text = known.pop("hits")
    return known, unpack(text, known["count"])
