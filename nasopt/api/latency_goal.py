"""A latency budget on a device: variants are timed, a predictor learns from them, and the answer is measured before it counts.

The predictor begins with what is believed of any device, learns what a calibration says of this one, and then from a few timed variants of
the network itself. The search knows its predictions only. What it finds is timed beside the original; if that falls short, the measurement
is learned as well, and the search goes on with a margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import onnx

from nasopt.api.request import Progress
from nasopt.device_results import PredictedLatency
from nasopt.errors import DeviceError, NasoptError
from nasopt.graphs.graph import Graph
from nasopt.graphs.units import Units
from nasopt.mutations.prune_channels import removal_of
from nasopt.mutations.rewrite import remove_units
from nasopt.mutations.space import SearchSpace, choices_of
from nasopt.predictors.latency.bayes import Gaussian, adapted, summed
from nasopt.predictors.latency.checkpoint import load_prior
from nasopt.predictors.latency.encoding import LatencyTable, encode
from nasopt.predictors.latency.predictor import LatencyPredictor
from nasopt.results import Latency
from nasopt.runtime.devices.store import Resolved
from nasopt.runtime.latency import compare, timings
from nasopt.runtime.sessions import random_inputs
from nasopt.search.constraints import Constraints
from nasopt.search.descent import descend
from nasopt.search.granularity import STEPS
from nasopt.spaces.calibration_networks import build_network

__all__ = ["FOLLOW_UPS", "TIMED", "LatencyGoal", "random_variant"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]

TIMED, FOLLOW_UPS = 15, 4
"""Variants that are timed before the search, and answers after it: with the network itself no more than 20 timings."""
MOST = 0.6
"""Share of MACs beyond which nothing is timed before the search."""
TOGETHER = 5
"""Variants in memory at once."""
SLACK = 0.05
"""An answer that takes less than what was asked for by such a share is worth another search."""
SECONDS = 3.0
"""About how long as many are timed in turns with the original."""


def random_variant(units: Units, rng: np.random.Generator) -> Ints:
    """Units kept per group: a share of all channels goes, and other shares of each group, in steps of 16, 8 or 4 channels."""
    share, spread, step = rng.uniform(0.3, 1.0), rng.uniform(0.0, 0.3), int(rng.choice(STEPS, p=[0.5, 0.3, 0.2]))
    kept = []
    for group in units.groups:
        choices = np.array(choices_of(len(group), group.channels, step))
        wanted = len(group) * np.clip(share + spread * rng.standard_normal(), 0.1, 1.0)
        kept.append(int(choices[np.argmin(np.abs(choices - wanted))]))
    return np.array(kept, np.int64)


@dataclass
class LatencyGoal:
    """What is asked of a device, and what is known of it.

    Attributes:
        drop: relative drop to reach.
        resolved: the device.
        original: the network as it was read.
        start: what is believed before the network was timed.
        whole: ms of the original.
        kept: units kept per group of everything that was timed, once a variant.
        timings: ms that each of them took.
    """

    drop: float
    resolved: Resolved
    original: Graph
    start: LatencyPredictor
    whole: float
    kept: list[Ints]
    timings: list[float]
    margin: float = field(default=1.0, init=False)
    predictor: LatencyPredictor = field(init=False)

    def __post_init__(self) -> None:
        self._learn()

    def _learn(self) -> None:
        """From all timings at once: a belief about noise that was learned twice would be too sure of itself."""
        self.predictor = self.start.adapted(np.array(self.kept), np.array(self.timings))

    @classmethod
    def of(
        cls, drop: float, resolved: Resolved, original: Graph, prepared: Graph, space: SearchSpace, *, seed: int, report: Progress
    ) -> LatencyGoal:
        """Times variants and learns from them.

        Args:
            drop: relative drop to reach.
            resolved: the device.
            original: the network as it was read.
            prepared: after the edits that come before pruning.
            space: its compiled space.
            seed: of the variants, and of the inputs that they are timed on.
            report: is told what happens.

        Raises:
            DeviceError: the device fails on everything that the network can be pruned to.
            ModelNotSupportedError: the device does not run the network.
        """
        units, rng = space.units, np.random.default_rng(seed)
        whole = np.array([len(group) for group in units.groups], np.int64)
        likely = _likely(space, drop)
        kept = [whole, *likely, *(random_variant(units, rng) for _variant in range(TIMED - len(likely)))]
        inputs = random_inputs(original, seed)
        ratios, originals = [], []
        for begin in range(0, len(kept), TOGETHER):
            report("measure", begin / len(kept), f"variants on {resolved.device.name}")
            models = [original.model]
            for row in kept[begin : begin + TOGETHER]:
                removed = removal_of(units, space.order, row.tolist())
                models.append(remove_units(units, removed) if removed.any() else prepared.model)
            failures: dict[int, NasoptError] = {}
            times = timings(models, [inputs] * len(models), seconds=SECONDS, backend=resolved.backend, failures=failures)
            if 0 in failures:
                raise failures[0]
            originals.append(float(np.median(times[:, 0])))
            ratios += np.median(times[:, 1:] / times[:, :1], axis=0).tolist()
        measured = np.array(ratios)
        told = np.flatnonzero(np.isfinite(measured))
        if not any((kept[index] != whole).any() for index in told):
            raise DeviceError(f"device '{resolved.device.name}' runs {original.origin}, but nothing that it can be pruned to")
        ms = float(np.median(originals))
        predictor = LatencyPredictor.of(LatencyTable(prepared, units), belief_about(resolved))
        return cls(drop, resolved, original, predictor, ms, [kept[index] for index in told], (ms * measured[told]).tolist())

    @property
    def bound(self) -> float:
        """Milliseconds that a candidate may be predicted to take."""
        return (1.0 - self.drop) * self.whole * self.margin

    def milliseconds(self, kept: Ints) -> Floats:
        """Predictions for a population, (population,); `kept` is (population, groups)."""
        return self.predictor.milliseconds(kept)

    def measure(self, kept: Ints, model: onnx.ModelProto, seed: int) -> Latency:
        """Times a finished candidate beside the original, with what was predicted before; then learns from it.

        Args:
            kept: units kept per group, (groups,).
            model: the candidate.
            seed: of the inputs.
        """
        mean, deviation = (float(values[0]) for values in self.predictor.predict(kept[None]))
        latency = compare(self.original.model, model, random_inputs(self.original, seed), backend=self.resolved.backend)
        scale = latency.before.median_ms / self.whole  # the machine may have changed its pace since
        told = PredictedLatency(self.resolved.device.name, mean * scale, deviation * scale, len(self.timings))
        latency = replace(latency, predicted=told)
        self.kept.append(kept)
        self.timings.append(latency.ratio * self.whole)
        self._learn()
        if not self.reached(latency):
            self.margin *= min(1.0, (1.0 - self.drop) / latency.ratio)
        return latency

    def reached(self, latency: Latency | None) -> bool:
        """Whether what was measured is what was asked for."""
        return latency is not None and latency.ratio <= 1.0 - self.drop

    def met(self, latency: Latency | None) -> bool:
        """Whether it is, and not much more than that, which would cost what the network knows."""
        return latency is not None and (1.0 - SLACK) * (1.0 - self.drop) <= latency.ratio <= 1.0 - self.drop


def _likely(space: SearchSpace, drop: float) -> list[Ints]:
    """What a search might answer, by MACs: variants drawn at random say little of fine steps where the network can best spare channels."""
    whole = space.kept((space.lengths - 1)[None])
    base = {"flops": float(space.costs.macs(whole)[0])}
    found: list[Ints] = []
    for share, step in product((drop, min(2 * drop, MOST)), STEPS):
        genome, _ = descend(finer := space.at([step] * len(space.steps)), Constraints({"flops": share}, base))
        kept = finer.kept(genome[None])[0]
        if not any((kept == other).all() for other in (whole[0], *found)):
            found.append(kept)
    return found


def belief_about(resolved: Resolved) -> Gaussian:
    """Of a device: what holds for any, and what its calibration says."""
    prior = load_prior()
    networks = () if resolved.calibration is None else resolved.calibration.networks
    return learned_of(prior, [one.name for one in networks], np.array([one.median_ms for one in networks]))


def learned_of(prior: Gaussian, names: Sequence[str], milliseconds: Floats) -> Gaussian:
    """A belief after calibration networks were timed.

    Args:
        prior: before.
        names: of the networks.
        milliseconds: of each, (n,).
    """
    if not names:
        return prior
    encodings = np.stack([encode(Graph(build_network(name))) for name in names])
    return adapted(prior, summed(encodings), np.log(milliseconds))
