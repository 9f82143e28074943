"""Second moments of what each product multiplies with its weight, over many inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nasopt.graphs.graph import Graph
from nasopt.graphs.products import Product, products
from nasopt.runtime.features import FEW_ROWS, Sample, features, positions, share_of, with_constant
from nasopt.runtime.walk import Walk

__all__ = ["gather"]

Array = np.ndarray[Any, Any]
Floats = np.ndarray[Any, np.dtype[np.float64]]


def gather(
    graph: Graph,
    batches: Sequence[Mapping[str, Array]],
    *,
    widest: int | None = None,
    sample: Sample = FEW_ROWS,
    threads: int = 1,
    progress: Callable[[float, str], None] | None = None,
) -> dict[str, Floats]:
    """Mean Gram matrices of the features of every product.

    Args:
        graph: the network.
        batches: its inputs, once a batch.
        widest: products of more features are left out.
        sample: how many rows to look at.
        threads: of ONNX Runtime.
        progress: is told the share that is done, and the node.

    Returns:
        Node name → (groups, features + 1, features + 1), a mean over rows; the last feature is the constant 1.
    """
    found: dict[str, Floats] = {}
    mine = [product for product in products(graph) if widest is None or _width(graph, product) <= widest]
    with Walk(graph, batches, threads=threads) as walk:
        for place, product in enumerate(mine):
            if progress:
                progress(place / len(mine), product.node.name)
            walk.advance(product.node.index)
            weight = graph.weights[product.weight].array()
            kernel, width = product.kernel(weight), product.matrix(weight).shape[1]
            total = np.zeros((product.groups, width + 1, width + 1))
            count = 0
            x = walk.values(product.node.inputs[0])
            rng = np.random.default_rng(place)
            for batch, (output,) in enumerate(walk.peek([product.node.outputs[0]])):
                rows_in_all = len(x) * (output.size // output.shape[product.axis])
                rows = positions(product, output, share_of(width, rows_in_all, sample), rng)
                into = with_constant(features(product, np.asarray(x[batch]), output.shape, kernel, rows))
                with np.errstate(all="ignore"):
                    total += into.transpose(0, 2, 1) @ into
                count += len(rows)
            if np.isfinite(total).all():  # a product that is fed infinities says nothing
                found[product.node.name] = total / max(count, 1)
    return found


def _width(graph: Graph, product: Product) -> int:
    shape = graph.shape(product.weight)
    return math.prod(shape) // shape[product.outputs]
