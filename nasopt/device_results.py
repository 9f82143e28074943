"""Devices, their calibrations, and latencies: frozen records, like `nasopt.results`. Times are milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "BenchResult",
    "Calibrated",
    "Calibration",
    "Device",
    "DeviceDetail",
    "DevicesResult",
    "FailedNetwork",
    "Latency",
    "LatencyStats",
    "NetworkLatency",
    "PredictedLatency",
]


@dataclass(frozen=True, slots=True)
class Device:
    """Something that networks are timed on.

    Attributes:
        name: what the user calls it; of a device that was never calibrated, its back-end.
        backend: one of `nasopt.runtime.devices.registry.BACKENDS`.
        threads: within an operator; 1 for a command, which decides about its own.
        command: of the back-end ``command``.
        timeout: of the back-end ``command``, in seconds; None for the usual one.
    """

    name: str
    backend: str
    threads: int = 1
    command: str | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class NetworkLatency:
    """Median and quartiles of a network over the timed runs. `nasopt.spaces.calibration_networks.build_network` makes it of the name."""

    name: str
    median_ms: float
    q1_ms: float
    q3_ms: float
    runs: int


@dataclass(frozen=True, slots=True)
class FailedNetwork:
    """A network that the device did not run, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured on a device.

    Attributes:
        device: the device.
        machine: system, processor, cores, and versions of what took part; of a command, those of the machine that ran the command.
        date: of the measurement, UTC, as in ISO 8601.
        networks: what was timed.
        failed: what did not run.
    """

    device: Device
    machine: Mapping[str, str]
    date: str
    networks: tuple[NetworkLatency, ...]
    failed: tuple[FailedNetwork, ...] = ()

    @property
    def medians(self) -> dict[str, float]:
        """Milliseconds by the name of the network."""
        return {network.name: network.median_ms for network in self.networks}


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A calibration that was made, the file that keeps it, and how many seconds it took."""

    calibration: Calibration
    path: Path
    seconds: float


@dataclass(frozen=True, slots=True)
class DeviceDetail:
    """A calibration that is kept; `changed` says what of the machine is another by now: what it was, and what it is (empty if gone)."""

    calibration: Calibration
    path: Path
    changed: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class DevicesResult:
    """All devices that were calibrated; the back-ends, and whether each is installed; files that cannot be read, a line each."""

    folder: Path
    devices: tuple[Calibration, ...]
    backends: Mapping[str, bool]
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PredictedLatency:
    """What was predicted of a network before it was timed.

    Attributes:
        device: what it was to be timed on.
        ms: the mean.
        std: the deviation.
        timings: of the network and its variants, that the prediction rests on.
    """

    device: str
    ms: float
    std: float
    timings: int


@dataclass(frozen=True, slots=True)
class LatencyStats:
    """Milliseconds of one network over the timed runs."""

    median_ms: float
    q1_ms: float
    q3_ms: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Two networks timed in turns."""

    before: LatencyStats
    after: LatencyStats
    threads: int
    runs: int
    engine: str = "onnxruntime"
    slower: bool = False
    """True where the result is slower by more than the spread of the measurement."""
    predicted: PredictedLatency | None = None
    """None where no latency was asked for."""

    @property
    def ratio(self) -> float:
        """after / before, medians."""
        return self.after.median_ms / self.before.median_ms


@dataclass(frozen=True, slots=True)
class BenchResult:
    path: Path
    latency: LatencyStats
    threads: int
    runs: int
    engine: str
    against: Path | None = None
    against_latency: LatencyStats | None = None
    device: str = "onnxruntime"  # as the user calls it: a calibrated device, or a back-end
