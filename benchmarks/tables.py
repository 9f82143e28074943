"""Known facts of the tables, recomputed: best accuracies, correlations between devices; and what a lookup costs.

The correlations are Spearman's, over all architectures, between training and test devices of Multi-Predict's default tasks (AutoML 2023,
Tables 9 and 10); both printed digits have to agree. A lookup is timed in a fresh process: import, catalogue, one value of NAS-Bench-201.

    python -m benchmarks.tables > tables.json
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.accuracy_data import data_dir
from benchmarks.document import document, say
from nasopt.spaces.tables.query import join, resolve

MAXIMA = {"nats_test_cifar10": 94.373, "nats_test_cifar100": 73.513, "nats_test_ImageNet16-120": 47.311}
"""Best test accuracies of NAS-Bench-201 (NATS-Bench, IEEE TPAMI 2021)."""

MACRO_BEST = 93.13
"""NAS-Bench-Macro (Su et al., CVPR 2021)."""

TEST_DEVICES = ("eyeriss", "fpga", "raspi4")
TABLE_9 = {
    "1080ti_1": (0.25, 0.23, 0.26), "1080ti_32": (0.53, 0.42, 0.52), "silver_4114": (0.62, 0.67, 0.64),
    "silver_4210r": (0.63, 0.68, 0.65), "essential_ph_1": (0.68, 0.70, 0.66), "samsung_s7": (0.69, 0.71, 0.68),
    "1080ti_64": (0.76, 0.61, 0.72), "samsung_a50": (0.86, 0.86, 0.84), "pixel3": (0.98, 0.91, 0.96),
}  # fmt: skip
TABLE_10 = {
    "1080ti_1": (0.42, 0.83, 0.65), "1080ti_32": (0.43, 0.84, 0.67), "samsung_s7": (0.52, 0.89, 0.76),
    "essential_ph_1": (0.62, 0.92, 0.81), "silver_4114": (0.59, 0.94, 0.84), "samsung_a50": (0.63, 0.96, 0.87),
    "silver_4210r": (0.62, 0.97, 0.88), "1080ti_256": (0.89, 0.89, 0.73), "pixel3": (0.72, 0.87, 0.97),
}  # fmt: skip
"""Multi-Predict's Tables 9 (FBNet) and 10 (NAS-Bench-201): training devices by test devices."""

LOOKUP = """
import json, sys, time
begun = time.process_time()
from nasopt.spaces.tables.query import query
value = query("nasbench201", sys.argv[1], ["nats_test_cifar10"]).values
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": time.process_time() - begun, "mb": int(peak) / 1024, **value}))
"""
CELL = "|avg_pool_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_connect~2|"


def correlations(group: str, published: dict[str, tuple[float, ...]]) -> dict[str, Any]:
    """Of every pair of devices, and how many agree with both printed digits."""
    names = [*published, *TEST_DEVICES]
    joined = join(group, [f"latency:{name}" for name in names])
    rows = []
    for train, wanted in published.items():
        for test, figure in zip(TEST_DEVICES, wanted, strict=True):
            found = float(spearmanr(joined.columns[f"latency:{train}"], joined.columns[f"latency:{test}"]).statistic)
            rows.append({"train": train, "test": test, "published": figure, "found": found, "equal": round(found, 2) == figure})
    return {"architectures": len(joined.keys), "pairs": len(rows), "equal": sum(row["equal"] for row in rows), "rows": rows}


def maxima() -> dict[str, Any]:
    found = join("nasbench201", list(MAXIMA)).columns
    return {name: {"published": figure, "found": float(np.max(found[name]))} for name, figure in MAXIMA.items()}


def macro_best() -> dict[str, Any]:
    metric = resolve("nasbench_macro", "mean_acc")
    values = metric.table.column("mean_acc")
    best = int(np.argmax(values))
    return {"published": MACRO_BEST, "found": float(values[best]), "architecture": metric.table.keys[best]}


def lookup() -> dict[str, Any]:
    """Processor seconds and peak memory of one lookup, the best of five."""
    environment = {**os.environ, "NASOPT_DATA": str(data_dir()), "OMP_NUM_THREADS": "1"}
    runs = []
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", LOOKUP, CELL], env=environment, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    return min(runs, key=lambda run: run["seconds"])


def main() -> int:
    data_dir()
    found = {
        "nasbench201_maxima": maxima(),
        "nasbench_macro_best": macro_best(),
        "multi_predict_table_9": correlations("fbnet", TABLE_9),
        "multi_predict_table_10": correlations("nasbench201", TABLE_10),
        "lookup": lookup(),
    }
    wrong = [name for name in ("multi_predict_table_9", "multi_predict_table_10") if found[name]["equal"] != found[name]["pairs"]]
    wrong += [name for name, row in found["nasbench201_maxima"].items() if round(row["found"], 3) != row["published"]]
    wrong += ["nasbench_macro_best"] if round(found["nasbench_macro_best"]["found"], 2) != MACRO_BEST else []
    say(wrong or "all as published")
    print(document({"failures": wrong, **found}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
