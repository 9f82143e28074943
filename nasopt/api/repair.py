"""Repair of a pruned network: its weights are fitted to the original's answers, on the user's inputs or on synthetic ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from nasopt.api.request import Finetune, Progress
from nasopt.graphs.graph import Graph
from nasopt.graphs.units import Mask, Units
from nasopt.graphs.write_back import write_weights
from nasopt.mutations import Edit
from nasopt.mutations.set_weights import weights_edit
from nasopt.results import LayerFit, Repair
from nasopt.runtime.calibration import Batches, Calibration
from nasopt.runtime.features import FEW_ROWS, MANY_ROWS, Sample
from nasopt.runtime.fidelity import answers, divergence
from nasopt.runtime.matching import restated
from nasopt.runtime.reconstruct import reconstruct

__all__ = ["ENOUGH", "Lesson", "Repaired", "finetune", "lesson", "repair", "untouched"]

Array = np.ndarray[Any, Any]

WIDEST, WIDEST_WITHOUT_DATA = 10_000, 1200
"""Features of a product that is still fitted freely, on data and on synthetic inputs; wider ones are scaled and shifted, in seconds."""

ENOUGH = 1000
"""Inputs to fit and to rank on; distillation uses all."""


@dataclass(frozen=True)
class Repaired:
    """What a repair gives.

    Attributes:
        model: the network with its new weights.
        edit: sets them; None where the repair was no gain and was dropped.
        record: for the report.
    """

    model: onnx.ModelProto
    edit: Edit | None
    record: Repair


@dataclass(frozen=True)
class Lesson:
    """What is there to learn from.

    Attributes:
        calibration: inputs to fit on, and others to judge by.
        teacher: the network before pruning, as it answers them: on synthetic inputs with its norms restated.
        norms: what was restated, by name.
    """

    calibration: Calibration
    teacher: Graph
    norms: Mapping[str, Array]

    @property
    def inputs(self) -> Batches:
        """To fit and to rank on."""
        return self.calibration.few(ENOUGH)

    @property
    def widest(self) -> int:
        """Features of a product that is still fitted freely."""
        return WIDEST_WITHOUT_DATA if self.calibration.synthetic else WIDEST

    @property
    def sample(self) -> Sample:
        """Rows to fit a product on: seconds are all there is where nobody brought data."""
        return FEW_ROWS if self.calibration.synthetic else MANY_ROWS


def lesson(graph: Graph, calibration: Calibration, *, threads: int, report: Progress) -> Lesson:
    """Prepares a network to be learnt from.

    Args:
        graph: the network before pruning.
        calibration: its inputs.
        threads: of ONNX Runtime.
        report: is told how far it is.
    """
    if not calibration.synthetic:
        return Lesson(calibration, graph, {})
    report("observe", None, "norms restated on synthetic inputs")
    norms = restated(graph, calibration.few(ENOUGH), threads=threads)
    return Lesson(calibration, Graph(write_weights(graph.model, norms), graph.bound, origin=graph.origin), norms)


def repair(units: Units, removed: Mask, model: onnx.ModelProto, lesson: Lesson, *, threads: int, report: Progress) -> Repaired:
    """Fits the weights of a pruned network, and keeps them if inputs that were not fitted are answered better.

    Args:
        units: of the network before pruning.
        removed: the units that were taken.
        model: the pruned network.
        lesson: what to learn from.
        threads: of ONNX Runtime.
        report: is told how far it is.
    """
    teacher, calibration = lesson.teacher, lesson.calibration
    student = write_weights(model, {name: _kept(norm, units.keep(name, 0, removed)) for name, norm in lesson.norms.items()})
    tensors, refits = reconstruct(
        teacher,
        Graph(student, teacher.bound, origin=teacher.origin),
        lambda value, axis: units.keep(value, axis, removed),
        lesson.inputs,
        widest=lesson.widest,
        sample=lesson.sample,
        threads=threads,
        progress=lambda share, node: report("repair", share, node),
    )
    expected = answers(teacher.model, calibration.held_out, threads=threads, origin=teacher.origin)
    before, after = (
        divergence(expected, answers(network, calibration.held_out, threads=threads, origin=teacher.origin))
        for network in (student, write_weights(student, tensors))
    )
    kept = bool(tensors) and after < before
    fitted = write_weights(model, tensors)
    layers = tuple(LayerFit(refit.node, refit.before, refit.after) for refit in refits)
    record = Repair("least squares", calibration.source, calibration.synthetic, before, after if kept else before, kept, layers)
    how = f"{record.method} on {calibration.source}"
    return Repaired(fitted if kept else model, weights_edit(tensors, how) if kept else None, record)


def finetune(mended: Repaired, lesson: Lesson, wanted: Finetune, *, seed: int, threads: int, report: Progress) -> Repaired:
    """Distils a repaired network from its original, and keeps what it learned if inputs that were held out are answered better.

    Args:
        mended: the repaired network.
        lesson: what to learn from, on inputs that are not synthetic.
        wanted: for how long.
        seed: of batches and augmentation.
        threads: of PyTorch and ONNX Runtime.
        report: is told how far it is.

    Raises:
        MissingExtraError: PyTorch is not installed.
        ModelNotSupportedError: a network cannot run in PyTorch.
    """
    from nasopt.runtime.augment import Augment
    from nasopt.runtime.distil import distil

    original, calibration = lesson.teacher, lesson.calibration
    done = distil(
        original,
        Graph(mended.model, original.bound, origin=original.origin),
        calibration.fit,
        calibration.held_out,
        steps=wanted.steps,
        epochs=wanted.epochs,
        minutes=wanted.minutes,
        seed=seed,
        threads=threads,
        checkpoint=wanted.checkpoint,
        augment=Augment.named(wanted.augment) if wanted.augment else None,
        labels=calibration.labels if wanted.labels else None,
        progress=lambda share, said: report("distil", share, said),
    )
    if not done.kept:
        return mended
    model = write_weights(mended.model, done.tensors)
    expected = answers(original.model, calibration.held_out, threads=threads, origin=original.origin)
    after = divergence(expected, answers(model, calibration.held_out, threads=threads, origin=original.origin))
    method = f"{mended.record.method}, {done.steps} steps of distillation" if mended.record.kept else f"{done.steps} steps of distillation"
    record = replace(mended.record, method=method, after=after, kept=True, distilled_steps=done.steps)
    tensors = {**((mended.edit.tensors if mended.edit is not None else None) or {}), **done.tensors}
    return Repaired(model, weights_edit(tensors, f"{method} on {calibration.source}"), record)


def untouched(model: onnx.ModelProto, lesson: Lesson, *, threads: int) -> Repaired:
    """The inherited weights as they are, with how well they answer: where distillation begins without a repair."""
    teacher, calibration = lesson.teacher, lesson.calibration
    expected = answers(teacher.model, calibration.held_out, threads=threads, origin=teacher.origin)
    error = divergence(expected, answers(model, calibration.held_out, threads=threads, origin=teacher.origin))
    return Repaired(model, None, Repair("inherited weights", calibration.source, calibration.synthetic, error, error, kept=False))


def _kept(array: Array, keep: Mask | None) -> Array:
    return array if keep is None else array[keep]
