"""Repair of a pruned network: its weights are fitted to the original's answers, on the user's inputs or on synthetic ones."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from nasopt.api.request import Progress
from nasopt.graphs.graph import Graph
from nasopt.graphs.units import Mask, Units
from nasopt.graphs.write_back import write_weights
from nasopt.mutations import Edit
from nasopt.mutations.set_weights import weights_edit
from nasopt.results import LayerError, Repair
from nasopt.runtime.calibration import Calibration
from nasopt.runtime.fidelity import answers, divergence
from nasopt.runtime.reconstruct import reconstruct

__all__ = ["Repaired", "repair"]

WIDEST_WITHOUT_DATA = 1200
"""Features of a product that is still fitted freely on synthetic inputs; wider ones are only scaled and shifted, to be done in seconds."""


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


def repair(units: Units, removed: Mask, model: onnx.ModelProto, calibration: Calibration, *, threads: int, report: Progress) -> Repaired:
    """Fits the weights of a pruned network, and keeps them if inputs that were not fitted are answered better.

    Args:
        units: of the network before pruning.
        removed: the units that were taken.
        model: the pruned network.
        calibration: inputs to fit on, and others to judge by.
        threads: of ONNX Runtime.
        report: is told how far it is.
    """
    original = units.graph
    smaller = Graph(model, original.bound, origin=original.origin)
    tensors, refits = reconstruct(
        original,
        smaller,
        lambda value, axis: units.keep(value, axis, removed),
        calibration.fit,
        widest=WIDEST_WITHOUT_DATA if calibration.synthetic else 10_000,
        threads=threads,
        progress=lambda share, node: report("repair", share, node),
    )
    fitted = write_weights(model, tensors)
    expected = answers(original.model, calibration.held_out, threads=threads, origin=original.origin)
    before, after = (
        divergence(expected, answers(network, calibration.held_out, threads=threads, origin=original.origin)) for network in (model, fitted)
    )
    kept = bool(tensors) and after < before
    layers = tuple(LayerError(refit.node, refit.before, refit.after) for refit in refits)
    record = Repair("least squares", calibration.source, calibration.synthetic, before, after if kept else before, kept, layers)
    how = f"{record.method} on {calibration.source}"
    return Repaired(fitted if kept else model, weights_edit(tensors, how) if kept else None, record)
