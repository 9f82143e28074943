"""Compresses the digits network by 30 % of its MACs and shows what became of it: ``make demo``."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from evaluate import accuracy
from rich.console import Console
from rich.table import Table

MODEL = os.path.relpath(Path(__file__).with_name("digits.onnx"))


def main(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    output, report = str(directory / "digits.onnx"), str(directory / "report.html")
    arguments = ["compress", MODEL, "--flops-drop", "0.3", "-o", output, "--report", report, "--force"]
    console = Console(highlight=False)
    console.print(f"$ nasopt {shlex.join(arguments)}", style="bold", soft_wrap=True)

    command = Path(sys.executable).with_name("nasopt")
    done = subprocess.run([command, *arguments, "--json"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in {0, 5}:  # 5: written, but slower
        sys.exit(done.returncode)
    result = json.loads(done.stdout)
    before, after, latency = result["before"], result["after"], result["latency"]

    table = Table("", "before", "after", "change")
    for column in table.columns[1:]:
        column.justify = "right"

    def row(name: str, first: float, second: float, style: str = ",") -> None:
        table.add_row(name, format(first, style), format(second, style), f"{second / first - 1:+.1%}")

    right_before, right_after = accuracy(MODEL), accuracy(output)
    table.add_row(
        "accuracy on 450 test images", f"{right_before:.2%}", f"{right_after:.2%}", f"{100 * (right_after - right_before):+.2f} points"
    )
    row("MACs", before["macs"], after["macs"])
    row("parameters", before["params"], after["params"])
    row("file size in bytes", before["file_bytes"], after["file_bytes"])
    row(f"latency in ms, threads: {latency['threads']}", latency["before_ms"], latency["after_ms"], ".3f")
    console.print(table)
    console.print(f"Neither images nor training were used to compress it. The report: {report}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
