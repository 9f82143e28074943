"""`kill -9` at a random moment, then `--resume`: whether the result is bit for bit that of a run without interruption.

    python -m benchmarks.search_resume [--kills 50] [--seed 0]

Each time `nasopt search --run FILE` is killed after a random part of the time that a whole run takes, and gone on with; of a run that was
killed before its file was there, a new one is begun.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.document import document, say
from nasopt.search.run_state import read_run

ARGUMENTS = ["--space", "nasbench201", "--objective", "accuracy", "--objective", "latency:pixel3", "--samples", "120", "--seed", "7"]
PROGRAM = "from nasopt.cli.main import main; main()"


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, "search", *arguments, "--json"]


def result(*arguments: str) -> dict[str, Any]:
    """Of a run, without what names its file."""
    told: dict[str, Any] = json.loads(subprocess.run(command(*arguments), check=True, capture_output=True, text=True).stdout)
    return {key: value for key, value in told.items() if key not in {"command", "run", "seed"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    at: list[int] = []
    equal = 0
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.run"
        begun = time.monotonic()
        wanted = result(*ARGUMENTS, "--run", str(whole))
        seconds = time.monotonic() - begun
        answers = [(one.question, one.answer) for one in read_run(whole)[1]]
        for kill in range(arguments.kills):
            path = Path(folder) / f"{kill}.run"
            process = subprocess.Popen(command(*ARGUMENTS, "--run", str(path)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(float(rng.uniform(0.3, 1.0)) * seconds)
            process.kill()
            process.wait()
            at.append(len(read_run(path)[1]) if path.exists() else 0)
            found = result("--resume", str(path)) if path.exists() else result(*ARGUMENTS, "--run", str(path))
            equal += found == wanted and [(one.question, one.answer) for one in read_run(path)[1]] == answers
            say(kill, at[-1], equal)
    print(document({"kills": arguments.kills, "equal": equal, "answers_when_killed": at, "of": len(answers)}))


if __name__ == "__main__":
    main()
