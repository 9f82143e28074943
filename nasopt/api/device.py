"""``device``: devices calibrated, listed and shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import perf_counter

from nasopt.device_results import Calibrated, Calibration, Device, DeviceDetail, DevicesResult, FailedNetwork, NetworkLatency
from nasopt.errors import DeviceError, NasoptError, UsageError
from nasopt.graphs.graph import Graph
from nasopt.runtime.devices import store
from nasopt.runtime.devices.contract import Backend
from nasopt.runtime.devices.machine import machine
from nasopt.runtime.devices.registry import BACKENDS, COMMAND, DEFAULT, available
from nasopt.runtime.latency import stats, timings
from nasopt.runtime.sessions import random_inputs
from nasopt.spaces.calibration_networks import build_network, calibration_networks

__all__ = ["calibrate", "list_devices", "show_device"]

Progress = Callable[[str, float | None, str], None]

SECONDS = 60.0
AT_ONCE = 4
"""Networks that are timed in turns: each is in memory, with what the engine makes of it."""
TRIAL = 2
"""The first ones: if none of them runs, nothing else is tried, since every hang takes minutes."""


def calibrate(
    name: str,
    *,
    backend: str | None = None,
    threads: int = 1,
    command: str | None = None,
    timeout: float | None = None,
    networks: int | None = None,
    seconds: float = SECONDS,
    force: bool = False,
    progress: Progress | None = None,
) -> Calibrated:
    """Times the calibration networks on a device, and keeps what was measured under the device's name.

    Networks that fail are noted. If the first two do, the device is taken to be broken.

    Args:
        name: of the device: letters, digits, ``. _ -``.
        backend: one of `nasopt.runtime.devices.registry.BACKENDS`; if left out, ``command`` where there is a command, else ``onnxruntime``.
        threads: within an operator.
        command: of the back-end ``command``: a command line with ``{model}``.
        timeout: of a run of the command, in seconds.
        networks: time the first of them only.
        seconds: about how long the runs may take in all; each network gets at least as many as the back-end asks for.
        force: replace an earlier calibration.
        progress: is told what happens.

    Raises:
        UsageError: a name, back-end or option that cannot be used, or the device is calibrated already.
        MissingExtraError: the engine is not installed.
        DeviceError: the device is broken.
    """
    backend = backend if backend is not None else DEFAULT if command is None else COMMAND
    device = Device(store.check_name(name, backend), backend, threads, command, timeout)
    opened = store.open_device(device)
    if networks is not None and networks < 1:
        raise UsageError(f"{networks} networks calibrate nothing; ask for one or more")
    path = store.file_of(name)
    if path.exists() and not force:
        raise UsageError(f"{path}: device '{name}' is calibrated already; --force does it anew")
    store.check_folder()
    report = progress or (lambda _stage, _share, _detail: None)
    names = calibration_networks()[:networks]
    begun = perf_counter()
    measured: list[NetworkLatency] = []
    failed: list[FailedNetwork] = []
    while (done := len(measured) + len(failed)) < len(names):
        part = names[done : done + (AT_ONCE if done else TRIAL)]
        report("calibrate", done / len(names), f"{done} of {len(names)} networks")
        good, bad, error = _measure(opened, part, seconds * len(part) / len(names))
        measured += good
        failed += bad
        if error is not None and not measured:
            raise DeviceError(f"device '{name}' runs none of the first {len(failed)} networks: {error}")
    calibration = Calibration(device, machine(backend), datetime.now(UTC).isoformat(timespec="seconds"), tuple(measured), tuple(failed))
    return Calibrated(calibration, store.write(calibration), perf_counter() - begun)


def list_devices() -> DevicesResult:
    """All devices that were calibrated, and the back-ends.

    Files that cannot be read are named, and no error.
    """
    devices: list[Calibration] = []
    damaged: list[str] = []
    for _, found in store.stored():
        if isinstance(found, Calibration):
            devices.append(found)
        else:
            damaged.append(str(found))
    return DevicesResult(store.folder(), tuple(devices), {name: available(name) for name in BACKENDS}, tuple(damaged))


def show_device(name: str) -> DeviceDetail:
    """What was measured on a device, and what of the machine is another since.

    Raises:
        UsageError: no device of this name was calibrated, or its file is damaged.
    """
    calibration = store.read(name)
    now = machine(calibration.device.backend)
    changed = {what: (was, now.get(what, "")) for what, was in calibration.machine.items() if now.get(what, "") != was}
    return DeviceDetail(calibration, store.file_of(name), changed)


def _measure(
    opened: Backend, names: Sequence[str], seconds: float
) -> tuple[list[NetworkLatency], list[FailedNetwork], NasoptError | None]:  # fmt: skip
    """What was measured of some networks, what failed, and an error of one of those."""
    models = [build_network(name) for name in names]
    inputs = [random_inputs(Graph(model), 0) for model in models]
    failures: dict[int, NasoptError] = {}
    times = timings(models, inputs, seconds=seconds, backend=opened, failures=failures)
    good = [place for place in range(len(names)) if place not in failures]
    found = stats(times[:, good]) if good else []
    measured = [
        NetworkLatency(names[place], one.median_ms, one.q1_ms, one.q3_ms, len(times)) for place, one in zip(good, found, strict=True)
    ]
    failed = [FailedNetwork(names[place], str(error)) for place, error in sorted(failures.items())]
    return measured, failed, next(iter(failures.values()), None)
