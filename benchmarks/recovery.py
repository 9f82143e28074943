"""Accuracy that is kept with unlabelled images, at −13.5, −30 and −50 % MACs: 500 of them and no training, or with distillation.

What each network learns from and what it is judged on says `protocols`; the base is measured on the same cases. A draw is a set of images
and the seed of everything else. Default flags and `--data`; `--images 0` is the column without data. With `--finetune-steps` as many
images are drawn as there are (of CIFAR-10 40,000), and the original is distilled from itself beside it (`recipe`).

Points lost are percentage points behind the base. Every cell stays in the cache once it is measured, so that a run can be killed and taken
up again, a distillation where it was a minute before; `--fresh` measures anew. All networks get their first draw before any gets its
second.

    python -m benchmarks.recovery [--network NAME] [--drop 0.3] [--draws 3] [--granularity auto] [--granularity 1] > recovery.json
    python -m benchmarks.recovery --images 0 > no_data.json
    python -m benchmarks.recovery --finetune-steps 400 > distilled.json
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import nasopt
from benchmarks.cache import cached, remembered
from benchmarks.document import commit, document, say
from benchmarks.paired import Hits, pack, points_lost, spread, standard_error, unpack
from benchmarks.protocols import IMAGES, NETWORKS, base_hits, hits, images, model_path, most
from benchmarks.recipe import self_distilled
from nasopt.errors import NasoptError, UsageError

DROPS = (0.135, 0.3, 0.5)


@dataclass(frozen=True)
class Column:
    """How much is given: images to learn from (none: no data), and steps of distillation (none: no training)."""

    images: int | None
    steps: int | None
    augment: tuple[str, ...] = ()
    limit: int | None = None
    """Of the reported cases, to try the script out."""

    def count(self, network: str) -> int:
        """Images for a network: what was asked for, no more than there are."""
        wanted = (IMAGES if self.steps is None else most(network)) if self.images is None else self.images
        return min(wanted, most(network))


def cell_key(network: str, drop: float, granularity: str, draw: int, column: Column) -> tuple[object, ...]:
    parts = (network, drop, granularity, column.count(network), column.steps or 0, *column.augment, draw)
    return (*parts, column.limit or "all")


def cell(network: str, drop: float, granularity: str, draw: int, column: Column, *, fresh: bool = False) -> tuple[dict[str, Any], Hits]:
    """One result, and which cases it gets right. Accuracies and their errors in percent, divergences on images that were not fitted.

    Raises:
        NasoptError: `compress` did not reach the drop; nothing is kept of that.
    """

    def measure() -> dict[str, Any]:
        if fresh:
            checkpoint.unlink(missing_ok=True)
        return _measured(network, drop, granularity, draw, column, checkpoint)

    key = cell_key(network, drop, granularity, draw, column)
    checkpoint = cached("recovery", key).with_suffix(".safetensors")
    row = remembered("recovery", key, measure, fresh=fresh)
    checkpoint.unlink(missing_ok=True)
    return row, unpack(row.pop("hits"), row["count"])


def known_cell(network: str, drop: float, granularity: str, draw: int, column: Column) -> tuple[dict[str, Any], Hits] | None:
    """The same if it was measured before."""
    key = cell_key(network, drop, granularity, draw, column)
    return cell(network, drop, granularity, draw, column) if cached("recovery", key).exists() else None


def _measured(network: str, drop: float, granularity: str, draw: int, column: Column, checkpoint: Path) -> dict[str, Any]:
    count = column.count(network)
    base = base_hits(network, draw, column.limit)
    step: Any = granularity if granularity == "auto" else int(granularity)
    given: dict[str, Any] = {"flops_drop": drop, "granularity": step, "seed": draw}
    with tempfile.TemporaryDirectory() as folder:
        data, result = Path(folder) / "images.npy", Path(folder) / "result.onnx"
        if count:
            np.save(data, images(network, draw, count))
            given |= {"data": data, "data_limit": count}
        if column.steps:
            checkpoint.parent.mkdir(exist_ok=True)
            given |= {"finetune_steps": column.steps, "augment": column.augment, "checkpoint": checkpoint}
        resumed, begun = checkpoint.exists(), time.process_time()
        try:
            done = nasopt.compress(model_path(network), result, **given)
        except UsageError:
            if not resumed:
                raise
            # Left by another version, or the clock chose other channels this time.
            checkpoint.unlink()
            resumed, begun = False, time.process_time()
            done = nasopt.compress(model_path(network), result, **given)
        seconds = time.process_time() - begun
        found = hits(str(result), network, draw, column.limit)
    assert done.latency is not None
    lost, error = points_lost(base, found)
    row = {
        "network": network, "drop": drop, "granularity": granularity, "images": count, "finetune_steps": column.steps or 0,
        "augment": list(column.augment), "draw": draw, "reached": done.drop["flops"], "before": 100 * float(base.mean()),
        "accuracy": 100 * float(found.mean()), "error": standard_error(found), "lost": lost, "lost_error": error,
        "latency": done.latency.ratio, "steps": sorted({group.step for group in done.groups if group.units_after < group.units_before}),
        "divergence_before": done.repair and done.repair.before, "divergence_after": done.repair and done.repair.after,
        "distilled_steps": done.repair.distilled_steps if done.repair else 0, "notes": list(done.notes),
        "cpu_seconds": None if resumed else seconds, "commit": commit(), "count": len(found), "hits": pack(found),
    }  # fmt: skip
    say({name: value for name, value in row.items() if name != "hits"})
    return row


def summary(rows: Sequence[dict[str, Any]], against_self: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """One cell of the table: means and deviations over draws; an `error` is the standard error within one draw."""
    first = rows[0]
    told: dict[str, Any] = {name: first[name] for name in ("network", "drop", "granularity", "images", "finetune_steps", "augment")}
    told |= {"draws": len(rows), **{name: spread([row[name] for row in rows]) for name in ("before", "accuracy", "lost", "latency")}}
    told |= {name: float(np.mean([row[name] for row in rows])) for name in ("error", "lost_error")}
    told["cpu_seconds"] = mean_seconds(rows)
    told["steps"] = sorted({step for row in rows for step in row["steps"]})
    if against_self:
        lost, errors = zip(*against_self, strict=True)
        told["lost_against_self_distilled"] = {**spread(lost), "error": float(np.mean(errors))}
    return told


def mean_seconds(rows: Sequence[dict[str, Any]]) -> float | None:
    """Processor time; a distillation that was taken up again has none, because nobody knows what it took before."""
    known = [row["cpu_seconds"] for row in rows if row["cpu_seconds"] is not None]
    return float(np.mean(known)) if known else None


def table(
    networks: Sequence[str], drops: Sequence[float], granularities: Sequence[str], draws: int, column: Column, *, twin: bool, fresh: bool
) -> dict[str, Any]:
    """All cells, draw by draw, and what they come to."""
    rows: dict[tuple[str, float, str], list[dict[str, Any]]] = {}
    against: dict[tuple[str, float, str], list[tuple[float, float]]] = {}
    failures, twins = [], []
    for draw, network in product(range(draws), networks):
        own = None
        if twin and column.steps:
            record, own = self_distilled(
                network, draw, column.count(network), column.steps, column.augment, limit=column.limit, fresh=fresh
            )  # fmt: skip
            twins.append(record)
        for place in product([network], drops, granularities):
            try:
                row, found = cell(*place, draw, column, fresh=fresh)
            except NasoptError as error:
                failures.append({"network": network, "drop": place[1], "granularity": place[2], "draw": draw, "error": str(error)})
                say(failures[-1])
                continue
            rows.setdefault(place, []).append(row)
            if own is not None:
                against.setdefault(place, []).append(points_lost(own, found))
    return {
        "summary": [summary(found, against.get(place, ())) for place, found in rows.items()],
        "self_distilled": twins,
        "failures": failures,
        "results": list(_flat(rows)),
    }


def _flat(rows: dict[tuple[str, float, str], list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    for found in rows.values():
        yield from found


def add_options(parser: argparse.ArgumentParser) -> None:
    """What says which column is filled, for how many draws."""
    parser.add_argument("--drop", type=float, action="append")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--images", type=int, help=f"to learn from: {IMAGES}, with --finetune-steps all there are; 0 for no data")
    parser.add_argument("--finetune-steps", type=int)
    parser.add_argument("--augment", choices=["flip", "crop"], action="append", default=[])
    parser.add_argument("--limit", type=int, help="only so many of the reported cases, to try it out")
    parser.add_argument("--fresh", action="store_true", help="measure again what the cache holds")


def column_of(a: argparse.Namespace) -> Column:
    if a.images == 0 and a.finetune_steps:
        raise SystemExit("distillation needs images")
    return Column(a.images, a.finetune_steps, tuple(a.augment), a.limit)


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracy kept with unlabelled images; prints one JSON document.")
    parser.add_argument("--network", choices=NETWORKS, action="append")
    parser.add_argument("--granularity", action="append", help="auto (default), or a number")
    parser.add_argument("--self-distilled", action=argparse.BooleanOptionalAction, default=True, help="beside --finetune-steps")
    add_options(parser)
    a = parser.parse_args()
    found = table(
        a.network or NETWORKS, a.drop or DROPS, a.granularity or ["auto"], a.draws, column_of(a), twin=a.self_distilled, fresh=a.fresh
    )  # fmt: skip
    data = "CIFAR-10: training set, full test set; LFW: fold 1, judged on folds 2 to 5; ImageNet: 500, judged on the other 500"
    print(document({"data": data, **found}))


if __name__ == "__main__":
    main()
