"""What comes before a search: lossless rewrites, couplings, rankings, and the compiled space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nasopt.api.probing import WORK, probed
from nasopt.api.request import Progress
from nasopt.graphs.channels import Barrier, spans
from nasopt.graphs.graph import Graph
from nasopt.graphs.units import Units, couple, solve
from nasopt.mutations import MUTATIONS, Edit, apply_edit
from nasopt.mutations.importance import BY_DERIVATIVES, DEFAULT, WITH_INPUTS, Evidence, rank
from nasopt.mutations.space import SearchSpace
from nasopt.runtime.grams import gather
from nasopt.runtime.observe import observe
from nasopt.runtime.sessions import random_inputs
from nasopt.search.granularity import CPU_STEP

__all__ = ["compile_space", "prepare", "standing"]

NOISE = 8
"""Inputs of noise, where there are no better ones, for a network that remembers no statistics of its own."""


def prepare(original: Graph) -> tuple[tuple[Edit, ...], Graph]:
    """The lossless rewrites that come before pruning, and the graph that they leave."""
    edits, graph = [], original
    for kind in ("fold-constants", "simplify"):
        edit = MUTATIONS[kind].whole(graph)
        if edit is not None:
            edits.append(edit)
            graph = Graph(apply_edit(graph, edit), original.bound, origin=original.origin)
    return tuple(edits), graph


def standing(preserve: list[tuple[str, Barrier]], edits: Sequence[Edit]) -> list[tuple[str, Barrier]]:
    """Preserved values under the names that they have after the rewrites."""
    names = {old: new for edit in edits for old, new in edit.detail.get("replace", {}).items()}
    return [(names.get(value, value), barrier) for value, barrier in preserve]


def compile_space(
    graph: Graph,
    preserve: Sequence[tuple[str, Barrier]],
    importance: str,
    seed: int,
    inputs: Sequence[Mapping[str, Any]] = (),
    judges: Sequence[Mapping[str, Any]] = (),
    *,
    widest: int | None = None,
    work: float = WORK,
    report: Progress | None = None,
) -> tuple[Units, SearchSpace]:
    """Couples, solves, ranks and compiles.

    Args:
        graph: the network.
        preserve: values whose channels stay.
        importance: the measure that ranks channels.
        seed: of synthetic inputs.
        inputs: what the network sees, or what stands for it, once a batch; noise where there are none.
        widest: features of a product beyond which its second moments are not taken.
        work: MACs that all these trials may take together.
        judges: more of them, on which cuts are tried; nothing is fitted to them.
        report: is told how far it is.
    """
    coupling = couple(graph, preserve)
    units = solve(coupling)
    observed = {}
    if importance in (DEFAULT, WITH_INPUTS, *BY_DERIVATIVES) and units.groups and not _has_statistics(graph):
        axes = {name: spans(own[0])[0] for name, own in coupling.tracks.items() if len(own) == 1 and len(spans(own[0])) == 1}
        observed = observe(graph, axes, inputs or (random_inputs(graph, seed + number) for number in range(NOISE)))
    grams = {}
    if importance == WITH_INPUTS and judges:
        grams = gather(graph, inputs, widest=widest, progress=lambda share, node: report("observe", share, node) if report else None)
    derivatives = {}
    if importance in BY_DERIVATIVES and inputs:
        from nasopt.runtime.fisher import gate_derivatives, weight_derivatives  # PyTorch: only who asks for it needs it

        gather_by = gate_derivatives if importance == "fisher" else weight_derivatives
        derivatives[importance] = gather_by(
            units, inputs, seed=seed, progress=lambda share, what: report("observe", share, what) if report else None
        )
    rankings = rank(importance, Evidence(coupling, units, observed, grams, derivatives))
    space = SearchSpace.compile(units, rankings, [CPU_STEP] * len(units.groups))
    return units, probed(space, grams, judges, report or _silent, work=work) if grams else space


def _silent(*_: object) -> None:
    """Nobody asked what happens."""


def _has_statistics(graph: Graph) -> bool:
    """Whether most convolutions lead into a BatchNormalization, which remembers its inputs."""
    convolutions = [node for node in graph.nodes if node.op in ("Conv", "ConvTranspose")]
    normed = [
        node for node in convolutions if any(after.op == "BatchNormalization" for after, _ in graph.consumers.get(node.outputs[0], ()))
    ]
    return 2 * len(normed) > len(convolutions)
