"""Known facts of the benchmark tables, recomputed; and what a query costs.

The best architectures of NAS-Bench-201 and NAS-Bench-Macro, and the correlations between devices that Multi-Predict prints, all through
`nasopt.spaces.tables.query`, against the published figures. Then a query of NAS-Bench-201 in processes of their own: processor time and
memory from the start of Python to the answer.

    python -m benchmarks.tables [--processes 5] > tables.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

import numpy as np

from benchmarks.document import ROOT, document, say
from nasopt.spaces.tables.query import join

Row = dict[str, Any]

NATS = "the optimum of NAS-Bench-201 by the NATS-Bench API (Dong et al., TPAMI 2021), as $NASOPT_DATA/data/README.md and issue 4 quote it"
BEST = (
    ("nasbench201", "nats_test_cifar10", "94.373", NATS),
    ("nasbench201", "nats_test_cifar100", "73.513", NATS),
    ("nasbench201", "nats_test_ImageNet16-120", "47.311", NATS),
    ("nasbench_macro", "mean_acc", "93.13", "NAS-Bench-Macro (Su et al., CVPR 2021, arXiv:2103.11922), as the same quote it"),
)
"""Group, metric, the published maximum as printed, where it is published."""

TEST_DEVICES = ("eyeriss", "fpga", "raspi4")
TABLE_9 = {
    "1080ti_1": ("0.25", "0.23", "0.26"),
    "1080ti_32": ("0.53", "0.42", "0.52"),
    "silver_4114": ("0.62", "0.67", "0.64"),
    "silver_4210r": ("0.63", "0.68", "0.65"),
    "essential_ph_1": ("0.68", "0.7", "0.66"),
    "samsung_s7": ("0.69", "0.71", "0.68"),
    "1080ti_64": ("0.76", "0.61", "0.72"),
    "samsung_a50": ("0.86", "0.86", "0.84"),
    "pixel3": ("0.98", "0.91", "0.96"),
}
"""Multi-Predict (AutoML 2023), Table 9: Spearman correlation of FBNet's latency on a training device with that on each test device."""

TABLE_10 = {
    "1080ti_1": ("0.42", "0.83", "0.65"),
    "1080ti_32": ("0.43", "0.84", "0.67"),
    "samsung_s7": ("0.52", "0.89", "0.76"),
    "essential_ph_1": ("0.62", "0.92", "0.81"),
    "silver_4114": ("0.59", "0.94", "0.84"),
    "samsung_a50": ("0.63", "0.96", "0.87"),
    "silver_4210r": ("0.62", "0.97", "0.88"),
    "1080ti_256": ("0.89", "0.89", "0.73"),
    "pixel3": ("0.72", "0.87", "0.97"),
}
"""Multi-Predict, Table 10: the same of NAS-Bench-201."""

ARCHITECTURE = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
QUERIES = (
    ("nats_test_cifar10",),
    ("nats_test_cifar10", "latency:pixel3", "latency:edgegpu@cifar10", "zcp_cifar10_9445/synflow"),
)
PROGRAM = """
import sys, time
from nasopt.spaces.tables.query import query
(row,) = query("nasbench201", sys.argv[1], sys.argv[2:])
spent = time.process_time()
import json
with open("/proc/self/status") as file:
    (peak,) = (int(line.split()[1]) for line in file if line.startswith("VmHWM"))
print(json.dumps({"values": row.values, "seconds": spent, "megabytes": peak / 1024, "pandas": "pandas" in sys.modules}))
"""
# VmHWM, as ru_maxrss of a child process is at least its parent's


def best(group: str, metric: str, published: str, source: str) -> Row:
    """The maximum of a metric against what is printed of it."""
    found = join(group, [metric])
    place = int(np.argmax(found.values[metric]))
    value = float(found.values[metric][place])
    return {
        "group": group, "metric": metric, "architectures": len(found.keys), "best": value, "architecture": found.keys[place],
        "published": published, "source": source, "equal": f"{value:.{len(published.partition('.')[2])}f}" == published,
    }  # fmt: skip


def correlations(group: str, table: dict[str, tuple[str, ...]]) -> list[Row]:
    """Spearman's correlation between devices, rounded as printed."""
    from scipy.stats import spearmanr

    found = join(group, [f"latency:{device}" for device in (*table, *TEST_DEVICES)])
    rows = []
    for train, printed in table.items():
        for test, published in zip(TEST_DEVICES, printed, strict=True):
            value = float(spearmanr(found.values[f"latency:{train}"], found.values[f"latency:{test}"]).statistic)
            rows.append(
                {"train": train, "test": test, "found": value, "published": published, "equal": f"{value:.2f}" == f"{float(published):.2f}"}
            )  # fmt: skip
    return rows


def cost(metrics: tuple[str, ...], processes: int) -> Row:
    """The median process, and the worst."""
    runs = []
    for _ in range(processes):
        done = subprocess.run([sys.executable, "-c", PROGRAM, ARCHITECTURE, *metrics], cwd=ROOT, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    seconds, megabytes = ([run[name] for run in runs] for name in ("seconds", "megabytes"))
    return {
        "metrics": metrics, "values": runs[0]["values"], "processes": processes, "pandas_imported": any(run["pandas"] for run in runs),
        "median_seconds": float(np.median(seconds)), "worst_seconds": max(seconds), "worst_megabytes": max(megabytes),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Known facts of the benchmark tables; prints one JSON document.")
    parser.add_argument("--processes", type=int, default=5, metavar="N", help="that each query is timed in (5)")
    a = parser.parse_args()
    maxima = [best(*fact) for fact in BEST]
    tables = {"9 (fbnet)": correlations("fbnet", TABLE_9), "10 (nasbench201)": correlations("nasbench201", TABLE_10)}
    costs = [cost(metrics, a.processes) for metrics in QUERIES]
    summary = {
        "maxima_equal": f"{sum(row['equal'] for row in maxima)} of {len(maxima)}",
        "multi_predict_equal": {name: f"{sum(row['equal'] for row in rows)} of {len(rows)}" for name, rows in tables.items()},
        "queries_within_0.5_s_and_200_MB": all(row["worst_seconds"] < 0.5 and row["worst_megabytes"] < 200 for row in costs),
    }
    say(summary)
    print(document({"summary": summary, "maxima": maxima, "multi_predict": tables, "queries": costs}))
    return 0 if all(row["equal"] for row in [*maxima, *tables["9 (fbnet)"], *tables["10 (nasbench201)"]]) else 1


if __name__ == "__main__":
    sys.exit(main())
