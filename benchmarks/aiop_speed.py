"""One query of AIO-P's predictor: ours in NumPy and SciPy beside PyTorch Geometric, in one process, one thread, in turns.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.aiop_speed

Times are processor time a graph, medians over rounds. Graphs have about 300 nodes; features are ready. The GEMM floor is the dense products
of the six layers alone, on matrices of the same sizes. Ours is measured with two adapters and as an ensemble as well; the largest
difference to PyTorch Geometric is relative.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.document import document, say
from nasopt.graphs.cg_from_graph import computational_graph
from nasopt.graphs.computational_graph import CGFeatures
from nasopt.graphs.graph import Graph
from nasopt.predictors.aiop.block import Block
from nasopt.predictors.aiop.inference import LAYERS, Backbone, Head
from nasopt.predictors.aiop.network import Adapter, Network, parameters, tensors
from nasopt.spaces.registry import get_space

GRAPHS, ROUNDS, MEMBERS = 64, 15, 5
SPACES = ("nasbench301", "nasbench201", "ofa_mbv3", "ofa_pn", "nasbench101")
NODES = range(250, 351)


def graphs() -> list[CGFeatures]:
    """Real networks of 250 to 350 nodes, of whatever spaces have them."""
    rng, found = np.random.default_rng(0), list[CGFeatures]()
    spaces = [get_space(name) for name in SPACES]
    while len(found) < GRAPHS:
        for space in spaces:
            features = computational_graph(Graph(space.build(space.sample(rng)))).features()
            found += [features] if len(features.resolutions) in NODES else []
    return found[:GRAPHS]


def in_turns(asked: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Median processor time a graph, in µs."""
    times: dict[str, list[float]] = {name: [] for name in asked}
    for _ in range(ROUNDS + 2):
        for name, ask in asked.items():
            begun = time.process_time()
            ask()
            times[name].append(time.process_time() - begun)
    return {name: 1e6 * statistics.median(taken[2:]) / GRAPHS for name, taken in times.items()}


def main() -> int:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    some = graphs()
    networks = [Network() for _ in range(MEMBERS)]
    adapters = {"first": Adapter(), "second": Adapter()}
    known = parameters(networks[0], adapters)
    backbones = [(Backbone(parameters(one)), Head(parameters(one), "head")) for one in networks]
    adapted = Backbone(known, list(adapters))
    blocks = {size: [Block.of(some[place : place + size]) for place in range(0, GRAPHS, size)] for size in (1, 4, 8, GRAPHS)}
    fed = {size: [tensors(block) for block in several] for size, several in blocks.items()}
    rng = np.random.default_rng(0)
    both, weight = rng.random((max(len(block.resolutions) for block in blocks[8]), 64), np.float32), rng.random((64, 32), np.float32)
    into = np.empty((len(both), 32), np.float32)

    def fresh(size: int) -> list[Block]:
        """Whose sparse matrices are made anew, as those of new networks are."""
        return [replace(block) for block in blocks[size]]

    def ours(size: int, members: int = 1) -> list[Any]:
        asked = fresh(size)
        return [head(backbone(block)[0]) for backbone, head in backbones[:members] for block in asked]

    def geometric(size: int) -> list[Any]:
        with torch.inference_mode():
            return [networks[0](block) for block in fed[size]]

    def floor() -> None:
        for block in blocks[8]:
            nodes = len(block.resolutions)
            for _ in range(LAYERS):
                np.matmul(both[:nodes], weight, out=into[:nodes])

    with threadpool_limits(1):
        found, expected = np.concatenate(ours(8)), torch.cat(geometric(8)).numpy()
        times = in_turns(
            {f"nasopt, blocks of {size}": lambda size=size: ours(size) for size in (1, 4, 8)}  # type: ignore[misc]
            | {f"PyG, batches of {size}": lambda size=size: geometric(size) for size in (1, 8, GRAPHS)}  # type: ignore[misc]
            | {
                "nasopt, backbone and two adapters, blocks of 8": lambda: [adapted(block) for block in fresh(8)],
                f"nasopt, ensemble of {MEMBERS}, blocks of 8": lambda: ours(8, MEMBERS),
                "GEMM floor": floor,
            }
        )
    say(times)
    print(
        document(
            {
                "graphs": GRAPHS,
                "nodes_mean": float(np.mean([len(graph.resolutions) for graph in some])),
                "largest_difference": float(np.abs(found - expected).max() / np.abs(expected).max()),
                "microseconds_a_graph": times,
            }
        )
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
