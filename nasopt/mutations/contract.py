"""The contract of a mutation, and the registry of all of them.

A mutation finds its *sites* (places where the graph may change, each with a list of choices), and applies an *edit* (what was chosen,
as JSON). A search chooses among the sites of the searched kinds; lossless rewrites are taken whole. What an edit did must be visible
in the edit: replaying it on the same model gives the same result, whatever version found it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import onnx

from nasopt.errors import InvalidEditError
from nasopt.graphs.graph import Graph

__all__ = ["MUTATIONS", "Edit", "Mutation", "Site", "apply_edit", "mutation_of", "register"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One applied mutation: its kind and what was done, ready for JSON, and the tensors that go in a file of their own, if any."""

    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Site:
    """A place that may change.

    Attributes:
        kind: the mutation.
        name: what the user knows the place by (a weight, a node).
        choices: the values that a gene may take, in ascending order of what is kept; the last one leaves the place as it is.
    """

    kind: str
    name: str
    choices: tuple[int, ...]


class Mutation(ABC):
    """One way in which a network may change.

    Attributes:
        kind: its name in scripts and on the command line.
        lossless: True where the result computes the same function as the original; otherwise `masked` says what it is equal to.
        relearns: True where weights take values that no reference can tell.
    """

    kind: ClassVar[str]
    lossless: ClassVar[bool]
    relearns: ClassVar[bool] = False

    @abstractmethod
    def sites(self, graph: Graph) -> Sequence[Site]:
        """Where this graph could change."""

    @abstractmethod
    def whole(self, graph: Graph) -> Edit | None:
        """The edit that takes every site, or None where there is none (or where only a search can choose)."""

    @abstractmethod
    def apply(self, graph: Graph, edit: Edit) -> onnx.ModelProto:
        """A new model with the edit made.

        Raises:
            InvalidEditError: the edit does not fit the graph.
        """

    @abstractmethod
    def describe(self, edit: Edit) -> str:
        """One line for the user."""

    def masked(self, graph: Graph, edit: Edit) -> onnx.ModelProto:  # noqa: ARG002  for mutations that lose something
        """The unedited model changed only so that it computes what the edited one claims to: the reference of its verification."""
        return graph.model

    def untouched(self, graph: Graph, edit: Edit) -> Collection[str]:  # noqa: ARG002  for mutations that take channels
        """Values that the edited model, where it has them, must compute as `masked` does: their names mean the same in both."""
        return graph.producers.keys()

    def ensures(self, before: Graph, after: onnx.ModelProto) -> None:
        """What must hold after any edit: the interface is untouched.

        Raises:
            InvalidEditError: inputs or outputs changed their names, types, shapes or order.
        """
        same_inputs = [v for v in before.model.graph.input if v.name in before.bound] == [
            v for v in after.graph.input if v.name in before.bound
        ]
        if not same_inputs or list(before.model.graph.output) != list(after.graph.output):
            raise InvalidEditError(f"{self.kind}: would change the network's inputs or outputs")


MUTATIONS: dict[str, Mutation] = {}


def register(mutation: Mutation) -> Mutation:
    """Adds a mutation to the registry."""
    if mutation.kind in MUTATIONS:
        raise ValueError(f"mutation {mutation.kind} is registered twice")
    MUTATIONS[mutation.kind] = mutation
    return mutation


def mutation_of(edit: Edit) -> Mutation:
    """The mutation that an edit belongs to.

    Raises:
        InvalidEditError: an unknown kind.
    """
    if edit.kind not in MUTATIONS:
        known = ", ".join(sorted(MUTATIONS))
        raise InvalidEditError(f"the script holds a '{edit.kind}' edit, which this version does not know; known: {known}")
    return MUTATIONS[edit.kind]


def apply_edit(graph: Graph, edit: Edit) -> onnx.ModelProto:
    """Applies one edit and checks what it ensures.

    Raises:
        InvalidEditError: an unknown kind, or an edit that does not fit.
    """
    mutation = mutation_of(edit)
    model = mutation.apply(graph, edit)
    mutation.ensures(graph, model)
    return model
