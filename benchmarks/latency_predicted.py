"""Latency predictors on the devices at hand: 200 unseen pruned variants of six networks, after at most 20 timings of each network.

    python -m benchmarks.latency_predicted [--network NAME ...] [--device NAME ...] [--no-calibration]

Variants and times are those of `benchmarks.variants`. What is known grows from row to row: what is believed of any device ("nothing
timed"), a calibration of the device by networks of other kinds, then 1 (the network itself), 10 and 20 timings of this network. Baselines
see the same 20 timings: a line through MACs, a non-negative regression on MACs, activations and parameters, and an nn-Meter-like sum over
classes of operators (non-negative weights for MACs, bytes and number of each class). Figures are over the 200 others: Spearman, median and
90 % quantile of the relative error, and the share within one predicted deviation. "again" is the median difference of two measurements of
one variant.
"""

from __future__ import annotations

import argparse
import os
from time import process_time
from typing import Any

import numpy as np

from benchmarks.cache import cache_dir
from benchmarks.document import document, say
from benchmarks.variants import ADAPT, AGAIN, DEVICES, NETWORKS, TEST, Ints, Subject, Values, subject, times
from nasopt.api.device import calibrate
from nasopt.api.latency_goal import belief_about
from nasopt.predictors.agreement import agreement
from nasopt.predictors.latency.checkpoint import load_prior
from nasopt.predictors.latency.encoding import CLASSES, MEASURES, LatencyTable
from nasopt.predictors.latency.predictor import LatencyPredictor
from nasopt.runtime.devices.store import file_of, resolve

Row = dict[str, Any]


def errors(predicted: Values, truth: Values, deviations: Values | None = None) -> Row:
    """How far predictions are from what was measured."""
    relative = np.abs(predicted / truth - 1)
    told = {
        "srcc": float(agreement(predicted, truth).srcc), "median_error": float(np.median(relative)),
        "error_90": float(np.quantile(relative, 0.9)),
    }  # fmt: skip
    within = {} if deviations is None else {"within_deviation": float((np.abs(predicted - truth) < deviations).mean())}
    return {name: round(value, 4) for name, value in {**told, **within}.items()}


def believed(device: str, *, calibration: bool) -> dict[str, Any]:
    """Beliefs about a device: before and after it was calibrated."""
    known = {"nothing timed": load_prior()}
    if calibration:
        if not file_of(f"bench-{device}").exists():
            say("calibrating", device)
            calibrate(f"bench-{device}", backend=device)
        known["calibrated"] = belief_about(resolve(f"bench-{device}"))
    return known


def pace(predictor: LatencyPredictor, kept: Ints) -> float:
    """Microseconds of processor time a candidate, in a population of a thousand."""
    population = np.tile(kept, (5, 1))[:1000]
    predictor.milliseconds(population)
    begun = process_time()
    predictor.milliseconds(population)
    return 1e6 * (process_time() - begun) / len(population)


def baselines(one: Subject, table: LatencyTable, ms: Values, train: Ints, test: Ints) -> dict[str, Row]:
    """Regressions on the same timings; relative errors are what they minimise."""
    encodings = table.encodings(one.kept)
    classes = encodings.reshape(len(encodings), len(CLASSES), len(MEASURES))
    macs, moved, weights = (classes[:, :, MEASURES.index(name)].sum(axis=1) for name in ("macs", "bytes", "weight bytes"))
    ones = np.ones(len(encodings))
    by_class = classes[:, :, [MEASURES.index(name) for name in ("macs", "bytes", "count")]].reshape(len(encodings), -1)
    features = {
        "MACs": np.stack([ones, macs], 1), "MACs, activations, parameters": np.stack([ones, macs, moved, weights], 1), "operators": by_class
    }  # fmt: skip
    return {name: errors(fitted(values, ms, train, test), ms[test]) for name, values in features.items()}


def fitted(features: Values, ms: Values, train: Ints, test: Ints) -> Values:
    """Non-negative least squares of relative errors."""
    from scipy.optimize import nnls

    scale = np.maximum(features.max(axis=0), 1e-12)
    weights, _ = nnls(features[train] / scale / ms[train, None], np.ones(len(train)))
    return np.asarray(np.maximum(features[test] / scale @ weights, 1e-9))


def judged(name: str, device: str, beliefs: dict[str, Any]) -> Row:
    """Everything about one network on one device."""
    one, measured = subject(name), times(name, device)
    whole, ms, again = measured[0], measured[1 : 1 + ADAPT + TEST], measured[1 + ADAPT + TEST :]
    table = LatencyTable(one.graph, one.units)
    train, test = np.arange(ADAPT), np.arange(ADAPT, ADAPT + TEST)
    told: Row = {"ms": round(float(whole), 3), "again": round(float(np.median(np.abs(again / ms[ADAPT : ADAPT + AGAIN] - 1))), 4)}
    told["us_a_candidate"] = round(pace(LatencyPredictor.of(table, load_prior()), one.kept), 1)
    told["range"] = [round(float(value), 2) for value in (ms[test].min() / whole, ms[test].max() / whole)]
    sizes = np.array([[len(group) for group in one.units.groups]], np.int64)
    for knowledge, belief in beliefs.items():
        start = LatencyPredictor.of(table, belief)
        for few in (0, 1, 10, 20):
            if few == 1:
                predictor = start.adapted(sizes, np.array([whole]))
            else:
                predictor = start if few == 0 else start.adapted(one.kept[train[:few]], ms[train[:few]])
            told[f"{knowledge}, {few} of the network"] = errors(*_order(predictor.predict(one.kept[test]), ms[test]))
    return {**told, **baselines(one, table, ms, train, test)}


def _order(predicted: tuple[Values, Values], truth: Values) -> tuple[Values, Values, Values]:
    return predicted[0], truth, predicted[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--device", nargs="*", default=list(DEVICES))
    parser.add_argument("--no-calibration", action="store_true")
    arguments = parser.parse_args()
    os.environ.setdefault("NASOPT_DEVICES", str(cache_dir() / "devices"))
    found: dict[str, dict[str, Row]] = {}
    for device in arguments.device:
        beliefs = believed(device, calibration=not arguments.no_calibration)
        found[device] = {name: judged(name, device, beliefs) for name in arguments.network}
        for name, row in found[device].items():
            say(device, name, row)
    keys = [key for key, value in next(iter(next(iter(found.values())).values())).items() if isinstance(value, dict)]
    medians = {
        device: {
            key: {what: round(float(np.median([row[key][what] for row in rows.values()])), 4) for what in ("srcc", "median_error")}
            for key in keys
        }
        for device, rows in found.items()
    }
    print(document({"devices": found, "medians_over_networks": medians}))


if __name__ == "__main__":
    main()
