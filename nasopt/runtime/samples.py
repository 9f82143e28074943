"""Samples to train on and to judge by, and what the original answers to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.helper import make_tensor_value_info

from nasopt.errors import UsageError
from nasopt.graphs.graph import Graph
from nasopt.runtime.sessions import open_session, run

__all__ = ["Feeds", "Samples", "Teacher"]

Array = np.ndarray[Any, Any]
Feeds = Sequence[Mapping[str, Array]]

EXAMPLES = 1024
"""Samples that decide what kind of output each is, and its variance."""

IN_MEMORY = 1 << 30
"""Bytes of the original's answers to remember; more are computed whenever they are needed."""


class Teacher:
    """The original in ONNX Runtime, for batches of any size; it answers with its outputs, and with values between on request."""

    def __init__(self, graph: Graph, threads: int, between: Sequence[str] = ()) -> None:
        model = onnx.ModelProto()
        model.CopyFrom(graph.model)
        del model.graph.value_info[:]
        for value in (*model.graph.input, *model.graph.output):
            if value.name not in graph.weights:
                value.type.tensor_type.ClearField("shape")
        model.graph.output.extend(make_tensor_value_info(name, graph.dtypes[name], None) for name in between)
        self._session = open_session(model, threads=threads, origin=graph.origin)
        self._origin, self._names = graph.origin, (*graph.outputs, *between)

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(self._names, run(self._session, inputs, origin=self._origin), strict=True))


class Samples:
    """Inputs one by one, and what the original answers to them.

    A sample is a mapping as it was given where the network does not take batches, and what fills the bound shapes where it does: a row.

    Attributes:
        size: samples in a step.
        together: whether samples can be joined.
    """

    def __init__(self, feeds: Feeds, graph: Graph, teacher: Teacher, *, rows: bool, size: int) -> None:
        self._feeds, self._teacher, self.together = feeds, teacher, rows
        if not feeds or not graph.inputs:
            raise UsageError("distillation needs inputs to train on, and others that are held out")
        first = graph.inputs[0]
        self._heights = {name: shape[0] if shape else 1 for name, shape in graph.bound.items()}
        counts = [len(feed[first]) // self._heights[first] if rows else 1 for feed in feeds]
        self._places = [(feed, row) for feed, count in enumerate(counts) for row in range(count)]
        self.size = min(max(size // self._heights[first], 1), len(self))
        self._known: list[dict[str, Array]] | None = None
        self._labels: list[Array] = []

    def __len__(self) -> int:
        return len(self._places)

    def pieces(self, chosen: Sequence[int]) -> list[Sequence[int]]:
        """What runs at once."""
        return [chosen] if self.together else [[sample] for sample in chosen]

    def inputs(self, chosen: Sequence[int]) -> dict[str, Array]:
        return _joined([self._cut(sample) for sample in chosen])

    def answers(self, chosen: Sequence[int]) -> dict[str, Array]:
        """What the original answers; remembered if all answers have room."""
        if self._known is None:
            first = self._teacher(self.inputs([0]))
            room = sum(value.nbytes for value in first.values()) * len(self) <= IN_MEMORY
            self._known = [answer for part in self.parts() for answer in self._answered(part)] if room else []
        return _joined([self._known[sample] for sample in chosen]) if self._known else self._teacher(self.inputs(chosen))

    def answer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._teacher(inputs)

    def examples(self) -> dict[str, list[Array]]:
        """Answers to some of the samples, by output."""
        found: dict[str, list[Array]] = {}
        count = size = 0
        for part in self.parts():
            answers = self.answers(part)
            for name, value in answers.items():
                found.setdefault(name, []).append(value)
                size += value.nbytes
            count += len(part)
            if count >= EXAMPLES or size >= IN_MEMORY:
                break
        return found

    def label(self, labels: Sequence[Array] | None) -> None:
        """Gives every sample its classes."""
        if labels is None:
            return
        first, rows = next(iter(self._heights.items()))
        if [len(array) for array in labels] != [len(feed[first]) for feed in self._feeds]:
            raise UsageError("there must be as many labels as inputs")
        self._labels = [
            np.asarray(labels[feed][row * rows : (row + 1) * rows] if self.together else labels[feed]).astype(np.int64)
            for feed, row in self._places
        ]

    def labels(self, chosen: Sequence[int]) -> Array | None:
        return np.concatenate([self._labels[sample] for sample in chosen]) if self._labels else None

    def parts(self) -> Iterator[Sequence[int]]:
        """All samples in order, as many at once as in a step."""
        step = self.size if self.together else 1
        return (range(start, min(start + step, len(self))) for start in range(0, len(self), step))

    def _answered(self, chosen: Sequence[int]) -> list[dict[str, Array]]:
        split = {
            name: np.split(value, len(chosen)) if self.together else [value] for name, value in self._teacher(self.inputs(chosen)).items()
        }
        return [{name: pieces[place] for name, pieces in split.items()} for place in range(len(chosen))]

    def _cut(self, sample: int) -> Mapping[str, Array]:
        feed, row = self._places[sample]
        if not self.together:
            return self._feeds[feed]
        return {name: self._feeds[feed][name][row * height : (row + 1) * height] for name, height in self._heights.items()}


def _joined(samples: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    if len(samples) == 1:
        return dict(samples[0])
    return {name: np.concatenate([sample[name] for sample in samples]) for name in samples[0]}
