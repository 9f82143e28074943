"""Latencies of real networks (timm's tables): families held out, few samples on a set-up whose device is unknown.

    python -m training.latency_networks --state FOLDER      # encodings; once, an hour
    python -m benchmarks.latency_real --state FOLDER [--seeds 5]

By seed three tenths of timm's families are set aside. For each set-up a belief is learned from all set-ups of *other* devices (and the
spaces of `training.latency_prior`), from families that are not set aside; 10 or 20 networks of those families, timed on the set-up, adapt
it; the families set aside are predicted. Baselines see the same samples, and, where "other set-ups" stands before their names, the same
other set-ups: their weights are fitted on these, and one factor on the samples. Spearman and median relative error, medians over
set-ups, means and deviations over seeds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cache import remembered
from benchmarks.document import document, say
from benchmarks.latency_predicted import fitted
from nasopt.predictors.agreement import agreement
from nasopt.predictors.latency.bayes import adapted, summed
from nasopt.predictors.latency.encoding import CLASSES, MEASURES
from training.latency_prior import Task, learned, space_tasks, timm_tasks

Values = np.ndarray[Any, np.dtype[np.float64]]
Row = dict[str, dict[str, float]]

ASIDE = 0.3
SAMPLES = (10, 20)


def features(encodings: Values) -> dict[str, Values]:
    """What baselines read."""
    classes = encodings.reshape(len(encodings), len(CLASSES), len(MEASURES))
    macs, moved, weights = (classes[:, :, MEASURES.index(name)].sum(axis=1) for name in ("macs", "bytes", "weight bytes"))
    by_class = classes[:, :, [MEASURES.index(name) for name in ("macs", "bytes", "count")]].reshape(len(encodings), -1)
    return {"MACs": macs[:, None], "MACs, activations, parameters": np.stack([macs, moved, weights], 1), "operators": by_class}


def judged(logs: Values, truth: Values) -> dict[str, float]:
    return {"srcc": float(agreement(logs, truth).srcc), "median_error": float(np.median(np.abs(np.exp(logs - truth) - 1)))}


def families() -> dict[str, str]:
    """Family of every network, by name and image size."""
    from nasopt.predictors.aiop.zoo import load_zoo

    zoo = load_zoo()
    return dict(zip(zoo.corpus.keys, zoo.families, strict=True))


def split(task: Task, aside: set[str], family: dict[str, str]) -> tuple[Task, Task]:
    """Networks of families that may be known, and of those that may not."""
    far = np.array([family[name] in aside for name in task.names])
    return task.rows(np.flatnonzero(~far)), task.rows(np.flatnonzero(far))


def once(tasks: list[Task], spaces: list[Task], family: dict[str, str], seed: int) -> dict[str, Row]:
    """One choice of families: results by set-up."""
    rng = np.random.default_rng(seed)
    named = sorted(set(family.values()))
    aside = set(rng.permutation(named)[: round(ASIDE * len(named))].tolist())
    parts = {task.setup: split(task, aside, family) for task in tasks}
    found: dict[str, Row] = {}
    for device in sorted({task.device for task in tasks}):
        others = [parts[task.setup][0] for task in tasks if task.device != device]
        prior = learned([*spaces, *others], seed)
        pooled = np.concatenate([one.encodings for one in others])
        paces = np.concatenate([one.log_ms - one.log_ms.mean() for one in others])
        for task in tasks:
            if task.device != device:
                continue
            near, far = parts[task.setup]
            row: Row = {}
            for few in SAMPLES:
                rows = near.rows(rng.permutation(len(near.names))[:few])
                belief = adapted(prior, summed(rows.encodings), rows.log_ms)
                logs, deviations = belief.predict(summed(far.encodings))
                row[f"belief, {few}"] = judged(logs, far.log_ms) | {"within": float((np.abs(logs - far.log_ms) < deviations).mean())}
                both = np.concatenate([rows.encodings, far.encodings])
                train, test = np.arange(few), np.arange(few, len(both))
                for name, values in features(both).items():
                    ms = np.exp(np.concatenate([rows.log_ms, np.zeros(len(test))]))
                    row[f"{name}, {few}"] = judged(np.log(fitted(values, ms, train, test)), far.log_ms)
                for name, values in features(np.concatenate([pooled, both])).items():
                    ms = np.exp(np.concatenate([paces, np.zeros(len(both))]))
                    known, asked = np.arange(len(pooled)), np.arange(len(pooled), len(values))
                    told = np.log(fitted(values, ms, known, asked))
                    factor = float(np.median(rows.log_ms - told[:few]))
                    row[f"other set-ups: {name}, {few}"] = judged(told[few:] + factor, far.log_ms)
            found[task.setup] = row
            say(seed, task.setup, len(far.names), {name: round(value["srcc"], 3) for name, value in row.items()})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    tasks, spaces, family = list(timm_tasks(arguments.state)), list(space_tasks(arguments.state)), families()
    networks = len({name for task in tasks for name in task.names})
    runs = [
        remembered("latency_real", (networks, seed), lambda seed=seed: once(tasks, spaces, family, seed)) for seed in range(arguments.seeds)
    ]  # fmt: skip
    names = next(iter(runs[0].values()))
    table: dict[str, Any] = {}
    for name in names:
        for what in runs[0][tasks[0].setup][name]:
            medians = [float(np.median([row[name][what] for row in run.values()])) for run in runs]
            table.setdefault(name, {})[what] = [round(float(np.mean(medians)), 4), round(float(np.std(medians)), 4)]
    print(document({"networks": networks, "setups": len(tasks), "seeds": arguments.seeds, "median_over_setups": table, "runs": runs}))


if __name__ == "__main__":
    main()
