"""Does `nasopt compress` reach −13.5, −30 and −50 % MACs on every network, verified, without a crash, and is the result ever slower?

Each case is one run of the command line in a process of its own. What was measured stays in the cache, so that a run can be interrupted
and taken up again; `--fresh` measures anew, `--failed` only what did not end well.

    python -m benchmarks.reach [--only GLOB] [--drop 0.3] [--no-latency] [--fresh | --failed] > reach.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from benchmarks.accuracy_data import data_dir
from benchmarks.cache import cache_dir
from benchmarks.document import ROOT, commit, document, say
from benchmarks.networks import NETWORKS, build, keras_models, light_models, wheel_models
from benchmarks.networks.wheels import SHAPES

DROPS = (0.3, 0.135, 0.5)
EXPORTERS = ("dynamo", "dynamo-optimized", "legacy")
TIMEOUT = 600


@dataclass(frozen=True)
class Case:
    """A network; `must` says that the drop has to be reached, not only accounted for."""

    name: str
    path: Path
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    must: bool = True


@dataclass(frozen=True)
class Outcome:
    """What one run of `compress` came to: `reached`, `unreachable` (exit 3), `refused` (exit 2 or 4) or `crash`."""

    network: str
    drop: float
    must: bool
    outcome: str
    exit: int
    reached: float | None = None
    error: float | None = None
    latency: float | None = None
    slower: bool | None = None
    steps: tuple[int, ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    reachable: float | None = None
    accounting: dict[str, object] | None = None
    message: str = ""
    notes: tuple[str, ...] = ()
    commit: str = ""

    @property
    def good(self) -> bool:
        return self.outcome == "reached" or (not self.must and self.outcome in ("unreachable", "refused") and bool(self.message))


def cases() -> Iterator[Case]:
    for path in sorted((data_dir() / "models").glob("*.onnx")):
        yield Case(f"models/{path.stem}", path)
    for name in NETWORKS:
        yield Case(f"dynamo/{name}", build(name, "dynamo"), must=not name.startswith("vit"))
    for name, path in keras_models().items():
        yield Case(f"keras/{name.removeprefix('keras_')}", path)
    for name, path in light_models().items():
        yield Case(f"light/{name.removeprefix('light_')}", path)
    for name, path in wheel_models().items():
        yield Case(f"wheel/{name}", path, SHAPES.get(name, {}), must=False)
    for exporter in EXPORTERS[1:]:
        for name in NETWORKS:
            yield Case(f"{exporter}/{name}", build(name, exporter), must=not name.startswith("vit"))


def run(case: Case, drop: float, *, latency: bool) -> Outcome:
    """One `nasopt compress`, its exit code, its document, its processor time and its peak memory."""
    shapes = [f"--input-shape={name}:{','.join(map(str, shape))}" for name, shape in case.shapes.items() if shape]
    with tempfile.TemporaryDirectory() as folder:
        out, result = Path(folder) / "stdout", Path(folder) / "result.onnx"
        command = [sys.executable, "-m", "nasopt", "compress", str(case.path), f"--flops-drop={drop}", "-o", str(result), "--json", "-vv"]
        command += [*shapes, *([] if latency else ["--no-latency"])]
        begun = time.monotonic()
        with out.open("wb") as stdout, (Path(folder) / "stderr").open("wb") as stderr:
            process = subprocess.Popen(["/usr/bin/env", "timeout", str(TIMEOUT), *command], stdout=stdout, stderr=stderr, cwd=ROOT)
            _, status, usage = os.wait4(process.pid, 0)
        seconds, code = time.monotonic() - begun, os.waitstatus_to_exitcode(status)
        said = (Path(folder) / "stderr").read_text(errors="replace")
        try:
            found = json.loads(out.read_text())
        except ValueError:
            found = {}
        if (code in (0, 5)) != result.exists():
            code, said = 1, f"exit {code}, but the result was {'written' if result.exists() else 'not written'}; {said}"
    costs = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }
    base = {"network": case.name, "drop": drop, "must": case.must, "exit": code, "commit": commit(), **costs}
    if code in (0, 5) and found.get("verification", {}).get("ok"):
        cut = {group["step"] for group in found["groups"] if group["units_after"] < group["units_before"]}
        timed = found["latency"] or {}
        return Outcome(
            outcome="reached" if found["drop"]["flops"] >= drop else "missed",
            reached=found["drop"]["flops"],
            error=found["verification"]["max_relative_error"],
            latency=timed.get("ratio"),
            slower=timed.get("slower"),
            steps=tuple(sorted(cut)),
            notes=tuple(found["notes"]),
            **base,
        )
    error = found.get("error", {})
    if code == 3:
        reachable = error["reachable"]["flops"]
        return Outcome(outcome="unreachable", reachable=reachable, accounting=accounting(case, reachable), message=error["message"], **base)
    if code in (2, 4) and error:
        return Outcome(outcome="refused", message=error["message"], **base)
    return Outcome(outcome="crash", message=said[-3000:], **base)


def accounting(case: Case, reachable: float) -> dict[str, object]:
    """`explain`'s figures beside a second count: every MAC that stays is locked by a barrier that it names, or the price of one unit.

    The second count walks the nodes itself. A node whose axes hold frozen channels, or none at all, is locked; what is left of the others
    with every group at one unit is the price of "at least one channel must stay".
    """
    import numpy as np

    import nasopt
    from nasopt.graphs.cost import node_macs
    from nasopt.graphs.graph import load_graph
    from nasopt.graphs.units import couple, solve

    told = nasopt.explain(case.path, input_shapes=case.shapes or None)
    units = solve(couple(load_graph(case.path, case.shapes or None)))
    size = np.zeros(units.count, np.int64)
    for group in units.groups:
        size[group.units] = len(group)
    locked = price = 0
    for node in units.graph.nodes:
        form = node_macs(units.graph, node)
        if form is None:
            continue
        floor, free = form.coefficient, []
        for value, axis in form.dims:
            rows = units.axes.get((value, axis))
            if rows:
                own = size[rows[0].classes]
                floor *= round(float((own == 0).sum() + (1.0 / own[own > 0]).sum()))
                free += [bool((size[row.classes] > 0).all()) for row in rows]
            else:
                floor *= units.graph.shape(value)[axis]
        if free and all(free):
            price += floor
        else:
            locked += floor
    named = sum(frozen.locked_macs for frozen in told.frozen)
    heaviest = [f"{frozen.op} {frozen.attribute}: {100 * frozen.locked_share:.1f} %" for frozen in told.frozen[:3] if frozen.locked_macs]
    return {
        "macs": told.macs,
        "reachable_macs": told.reachable_macs,
        "locked_macs": named,
        "one_unit_macs": price,
        "balanced": named == locked and named + price == told.reachable_macs,
        "bound_agrees": abs(1 - told.reachable_macs / max(told.macs, 1) - reachable) < 1e-3,
        "heaviest": heaviest,
    }


def measure(chosen: Sequence[Case], drops: Sequence[float], *, latency: bool, fresh: bool, failed: bool) -> Iterator[Outcome]:
    folder = cache_dir() / "reach"
    folder.mkdir(exist_ok=True)
    for drop in drops:
        for case in chosen:
            file = folder / f"{case.name.replace('/', '-')}-{drop}{'' if latency else '-plain'}.json"
            known = Outcome(**json.loads(file.read_text())) if file.exists() and not fresh else None
            if known is None or (failed and (not known.good or known.slower)):
                known = run(case, drop, latency=latency)
                file.write_text(json.dumps(asdict(known)))
                say(line(known))
            yield known


def line(o: Outcome) -> str:
    head = f"{o.network:44} {o.drop:5} {o.outcome:11}"
    if o.outcome == "reached":
        time_ = "" if o.latency is None else f"latency {o.latency:.2f}{' SLOWER' if o.slower else ''}"
        return f"{head} {o.reached:.4f} error {o.error or 0:.0e} {time_} steps {list(o.steps)} {o.seconds:.0f} s {o.peak_mb:.0f} MB"
    if o.outcome == "unreachable":
        return f"{head} reachable {o.reachable:.3f} {o.accounting}"
    return f"{head} {o.message.strip().splitlines()[-1] if o.message.strip() else ''}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Drops reached on every network; prints one JSON document.")
    parser.add_argument("--only", action="append", metavar="GLOB", help="names of networks, e.g. 'dynamo/*'")
    parser.add_argument("--drop", type=float, action="append")
    parser.add_argument("--latency", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--fresh", action="store_true", help="measure again what the cache holds")
    parser.add_argument("--failed", action="store_true", help="measure again what did not end well or was slower")
    a = parser.parse_args()
    chosen = [case for case in cases() if not a.only or any(fnmatch(case.name, pattern) for pattern in a.only)]
    rows = list(measure(chosen, a.drop or DROPS, latency=a.latency, fresh=a.fresh, failed=a.failed))
    timed = [row for row in rows if row.latency is not None]
    summary = {
        "cases": len(rows),
        "networks": len(chosen),
        "outcomes": dict(Counter(row.outcome for row in rows)),
        "must_reach": {"cases": sum(row.must for row in rows), "reached": sum(row.must and row.outcome == "reached" for row in rows)},
        "crashes": [f"{row.network} {row.drop}" for row in rows if row.outcome in ("crash", "missed")],
        "failures": [f"{row.network} {row.drop}" for row in rows if not row.good],
        "unbalanced": [f"{row.network} {row.drop}" for row in rows if row.accounting and not row.accounting["balanced"]],
        "largest_error": max((row.error or 0.0 for row in rows), default=None),
        "timed": len(timed),
        "slower": [f"{row.network} {row.drop}: {row.latency:.3f}" for row in timed if row.slower],
    }
    print(document({"summary": summary, "results": [asdict(row) for row in rows]}))
    return 1 if summary["failures"] or summary["unbalanced"] else 0


if __name__ == "__main__":
    sys.exit(main())
