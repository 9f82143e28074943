"""Which devices a latency predictor learns from, and to which it is taken: the tasks of Multi-Predict's tables."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TASKS", "DeviceTask", "metric"]

DEFAULT = tuple("1080ti_1 1080ti_32 {} silver_4114 silver_4210r samsung_a50 pixel3 essential_ph_1 samsung_s7".split())
GPUS = ("1080ti", "2080ti", "titan_rtx", "titanx", "titanxp")


@dataclass(frozen=True)
class DeviceTask:
    """Devices of one space.

    Attributes:
        space: whose architectures were measured.
        train: devices, as the table ``latency_help`` names them.
        test: devices that nothing is pre-trained on; ``TABLE/COLUMN`` where it is another table's.
        pretrain: architectures that are pre-trained on.
        few: measurements on a test device.
    """

    space: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    pretrain: int
    few: int


def metric(device: str) -> str:
    """A device as `nasopt.spaces.tables.query.join` takes it."""
    return device if "/" in device else f"latency_help/{device}"


TASKS = {
    "nasbench201-default": DeviceTask(
        "nasbench201", tuple(name.format("1080ti_256") for name in DEFAULT),
        ("titan_rtx_256", "gold_6226", "fpga", "pixel2", "raspi4", "eyeriss"), 900, 10,
    ),
    "nasbench201-adversarial": DeviceTask(
        "nasbench201",
        tuple(
            "titan_rtx_1 titan_rtx_32 titanxp_1 2080ti_1 titanx_1 1080ti_1 titanx_32 titanxp_32 2080ti_32 1080ti_32 gold_6226 samsung_s7 "
            "silver_4114 gold_6240 silver_4210r samsung_a50 pixel2".split()
        ),
        ("eyeriss", "latency_eagle_i7/latency_ms", "latency_oneproxy_eagle_1999/eagle_tpu"), 900, 20,
    ),
    "fbnet-default": DeviceTask(
        "fbnet", tuple(name.format("1080ti_64") for name in DEFAULT), ("fpga", "raspi4", "eyeriss"), 4000, 10,
    ),
    "fbnet-adversarial": DeviceTask(
        "fbnet", tuple(f"{gpu}_{batch}" for gpu in GPUS for batch in (1, 32, 64)),
        ("gold_6226", "essential_ph_1", "samsung_s7", "pixel2"), 4000, 20,
    ),
}  # fmt: skip
"""Multi-Predict's Tables 1 to 3. The adversarial task's desktop GPU is EAGLE's i7 here: that column of EAGLE is in effect a CPU's."""
