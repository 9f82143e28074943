"""What every search space is: architectures as short tuples of integers, their texts, their encodings and their networks.

An architecture is its *genes*, a tuple of small integers: what each means is the space's own business, what can be done with them is here.
A space is a frozen dataclass whose fields are its *settings* (width, resolution, classes, task, …): two tables that were measured under
different settings belong to two instances.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from math import prod
from typing import Any, ClassVar

import numpy as np
import onnx

from nasopt.errors import UsageError

__all__ = ["Genes", "OperationGraph", "Space"]

Genes = tuple[int, ...]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

ENUMERABLE = 1_000_000
"""Rows of genes that `Space.architectures` goes through at most."""

SHOWN = 120
"""Characters of a text that an error quotes."""

TRIES = 100_000
"""Draws after which sampling gives up: a space in which so few genes are valid has to sample in a way of its own."""


@dataclass(frozen=True)
class OperationGraph:
    """A cell, or a whole chain of layers, as operations and who reads whom: the adjacency + operation form.

    Attributes:
        operations: of each node, in an order in which data flow; the first is ``input`` (several where a cell has several inputs), the
            last ``output``.
        adjacency: (nodes, nodes), true where the row's result goes into the column: strictly upper triangular.
    """

    operations: tuple[str, ...]
    adjacency: Bools

    @classmethod
    def chain(cls, layers: Sequence[str]) -> OperationGraph:
        """Layers one after the other."""
        operations = ("input", *layers, "output")
        return cls(operations, np.eye(len(operations), k=1, dtype=np.bool_))


class Space(ABC):
    """A search space. What a subclass has to say is abstract; the rest follows from it, and may be overridden where it is known better.

    Attributes:
        name: in the registry, on the command line and in tables.
        title: as people call it.
        source: the paper and the published code that settles the rest.
        vocabulary: the operations that one may choose from, by number where genes are operations.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[str]
    vocabulary: ClassVar[tuple[str, ...]]

    @property
    @abstractmethod
    def options(self) -> tuple[int, ...]:
        """How many values each gene may take: gene ``i`` is 0 … ``options[i] - 1``."""

    @abstractmethod
    def count(self) -> int:
        """How many architectures there are, as the benchmark counts them: `architectures` gives as many."""

    @abstractmethod
    def parse(self, text: str) -> Genes:
        """Reads an architecture's official string, or a key of the published tables.

        Raises:
            UsageError: it is neither; says what is expected.
        """

    @abstractmethod
    def text(self, genes: Genes) -> str:
        """The official string; `parse` reads it."""

    @abstractmethod
    def cells(self, genes: Genes) -> Mapping[str, OperationGraph]:
        """The parts that are searched, by name: one cell, a normal and a reduction cell, or the chain of layers (``network``)."""

    @abstractmethod
    def build(self, genes: Genes) -> onnx.ModelProto:
        """The network as published, with blank weights (`nasopt.spaces.weights.initialise` draws them)."""

    def valid(self, genes: Genes) -> bool:  # noqa: ARG002 - for those that have to say no
        """Whether genes of the right length and range are an architecture of the space."""
        return True

    def canonical(self, genes: Genes) -> Genes:
        """The same architecture with genes that say nothing (of blocks that are not there, …) set to 0."""
        return genes

    def key(self, genes: Genes) -> str:
        """The benchmark's own notion of isomorphism: equal for architectures that it takes to be the same function."""
        return self.text(self.canonical(genes))

    def table_key(self, genes: Genes) -> str:
        """How the published tables name it."""
        return self.text(genes)

    def check(self, genes: Genes) -> Genes:
        """The genes, if they are an architecture.

        Raises:
            UsageError: they are too many or too few, out of range, or not valid.
        """
        options = self.options
        if len(genes) != len(options) or any(not 0 <= gene < count for gene, count in zip(genes, options, strict=True)):
            raise UsageError(f"{self.name}: {genes} is no architecture: expected {len(options)} integers below {options}")
        if not self.valid(genes):
            raise UsageError(f"{self.name}: {genes} is no architecture of the space")
        return genes

    def refused(self, text: str, expected: str) -> UsageError:
        """What `parse` raises: says what was expected instead."""
        shown = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
        return UsageError(f"{self.name}: '{shown}' is no architecture: expected {expected}")

    def sample(self, rng: np.random.Generator) -> Genes:
        """A random architecture: every gene uniform, drawn anew until they are valid."""
        options = np.array(self.options)
        for _ in range(TRIES):
            genes = tuple(rng.integers(0, options).tolist())
            if self.valid(genes):
                return self.canonical(genes)
        raise UsageError(f"{self.name}: found no valid architecture in {TRIES} draws")

    def mutate(self, genes: Genes, rng: np.random.Generator) -> Genes:
        """A random neighbour: a gene and its value are drawn until the architecture is valid and another one.

        Raises:
            UsageError: the genes are no architecture.
        """
        own, options = self.canonical(self.check(genes)), self.options
        free = [place for place, count in enumerate(options) if count > 1]
        for _ in range(TRIES):
            place = free[int(rng.integers(len(free)))]
            value = (own[place] + 1 + int(rng.integers(options[place] - 1))) % options[place]
            changed = (*own[:place], value, *own[place + 1 :])
            if self.valid(changed) and self.canonical(changed) != own:
                return self.canonical(changed)
        raise UsageError(f"{self.name}: {self.text(own)} has no neighbour")

    def neighbours(self, genes: Genes) -> Iterator[Genes]:
        """All architectures that a change of one gene leads to, each once.

        Genes that say nothing follow (`canonical`): a block that is taken away comes back with the first of its operations, so that being
        a neighbour is not mutual everywhere.

        Raises:
            UsageError: the genes are no architecture.
        """
        own = self.canonical(self.check(genes))
        seen = {own}
        for place, count in enumerate(self.options):
            for value in range(count):
                changed = (*own[:place], value, *own[place + 1 :])
                if value != own[place] and self.valid(changed) and (found := self.canonical(changed)) not in seen:
                    seen.add(found)
                    yield found

    def architectures(self) -> Iterator[Genes]:
        """All architectures, each once, in the order of their genes.

        Raises:
            UsageError: there are too many.
        """
        options = self.options
        if prod(options) > ENUMERABLE:
            raise UsageError(f"{self.name}: {self.count():,} architectures are too many to go through; sample them")
        for genes in product(*map(range, options)):
            if self.canonical(genes) == genes and self.valid(genes):
                yield genes

    def vec(self, genes: Genes) -> Floats:
        """The encoding "Vec" of Multi-Predict (AutoML 2023): all genes one-hot, unless the space says otherwise."""
        options = self.options
        vector = np.zeros(sum(options), np.float32)
        vector[np.cumsum((0, *options[:-1])) + np.array(genes)] = 1
        return vector

    def decode(self, vector: Floats) -> Genes:
        """The architecture that `vec` encodes so.

        Raises:
            UsageError: the space has no such architecture.
        """
        ends = np.cumsum(self.options)[:-1]
        return self.canonical(self.check(tuple(int(part.argmax()) for part in np.split(vector, ends))))

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of this instance, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]  # subclasses are dataclasses
