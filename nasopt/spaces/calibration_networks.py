"""Networks that a device is calibrated by: architectures of published spaces, of several kinds and sizes, with seeded weights.

A network's name says all that it is made of, so that whoever has the name can build the network again: ``SPACE:ARCHITECTURE``, or
``SPACE(SETTING=NUMBER,…):ARCHITECTURE`` where a setting is not the published one. They need no data and no file.
"""

from __future__ import annotations

import re

import onnx

from nasopt.errors import UsageError
from nasopt.spaces.registry import get_space
from nasopt.spaces.weights import initialise

__all__ = ["build_network", "calibration_networks"]

_NAME = re.compile(r"(?P<space>\w+)(?:\((?P<settings>\w+=\d+(?:,\w+=\d+)*)\))?:(?P<architecture>.+)", re.DOTALL)

# Drawn at random from each space. Any first few of them are of different kinds and sizes.
_NETWORKS = (
    "nasbench201:|avg_pool_3x3~0|+|nor_conv_3x3~0|nor_conv_1x1~1|+|skip_connect~0|skip_connect~1|none~2|",
    "fbnet:7_5_4_2_2_0_0_0_1_7_5_8_4_5_8_6_5_4_5_8_2_7",
    "ofa_resnet50(resolution=160):d=2,1,1,0,0;w=0,0,0,0,2,1;e=0.35,0.25,0.25,0,0.35,0.25,0.25,0,0.35,0.2,0.35,0.35,0,0,0.35,0.25,0,0",
    "nasbench_macro:11220022",
    "mnasnet(resolution=160):e6_k3_l1_se0-e4_k5_l2_se0-e4_k5_l3_se1-e6_k3_l3_se0-e4_k3_l1_se1-e1_k5_l2_se0-e6_k3_l3_se1",
    "ofa_mbv3:ks=3,7,7,0,3,7,5,0,7,3,5,5,5,3,3,7,7,7,0,0;e=3,4,6,0,3,3,4,0,3,4,4,6,3,4,3,3,6,3,0,0;d=3,3,4,4,2",
    "nasbench101:0100000001001000011010000001000001000000010000000|input,conv3x3-bn-relu,maxpool3x3,maxpool3x3,maxpool3x3,conv1x1-bn-relu,output",
    (
        "nasbench301:(((0, 5), (1, 4), (0, 1), (2, 2), (0, 0), (1, 0), (0, 5), (2, 4)), "
        "((0, 6), (1, 3), (0, 6), (2, 5), (1, 3), (2, 3), (3, 1), (4, 5)))"
    ),
    "ofa_pn(resolution=128):ks=3,7,7,0,3,7,5,0,7,3,5,5,5,3,3,7,7,7,0,0,3;e=4,6,3,0,3,4,6,0,4,4,6,3,4,3,3,6,3,3,0,0,3;d=3,3,4,4,2",
    "transnasbench101_micro(resolution=128):64-41414-3_22_110",
    "nasbench201:|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|avg_pool_3x3~2|",
    "fbnet(resolution=96):6_8_7_4_8_8_8_0_4_5_2_3_5_7_5_1_6_7_1_4_3_8",
    "ofa_mbv3(resolution=160):ks=7,5,3,5,5,7,0,0,3,7,0,0,3,3,0,0,5,3,3,0;e=4,6,6,6,4,3,0,0,6,6,0,0,4,3,0,0,4,4,4,0;d=4,2,2,2,3",
    "ofa_resnet50:d=0,1,2,2,0;w=0,2,2,0,0,2;e=0.25,0.2,0.35,0,0.25,0.25,0.25,0.2,0.2,0.35,0.35,0.35,0.25,0.35,0.2,0.25,0,0",
    "mnasnet:e4_k5_l3_se1-e1_k3_l3_se1-e1_k3_l3_se0-e1_k5_l1_se0-e4_k5_l1_se0-e6_k5_l4_se1-e6_k3_l2_se1",
    (
        "nasbench301(channels=16,layers=5):(((0, 3), (1, 3), (1, 6), (2, 0), (0, 5), (1, 6), (0, 2), (3, 6)), "
        "((0, 2), (1, 1), (1, 1), (2, 2), (1, 3), (2, 0), (0, 6), (1, 5)))"
    ),
    "transnasbench101_macro(resolution=64):64-43321-basic",
    "nasbench_macro:22212220",
    "nasbench101(channels=64):0100000001000100011100000100000001000000010000000|input,maxpool3x3,conv3x3-bn-relu,conv1x1-bn-relu,conv1x1-bn-relu,conv3x3-bn-relu,output",
    "ofa_pn:ks=7,5,3,5,5,7,0,0,3,7,0,0,3,3,0,0,5,3,3,0,5;e=6,6,6,4,3,4,0,0,6,6,0,0,3,3,0,0,4,4,6,0,6;d=4,2,2,2,3",
)


def calibration_networks() -> tuple[str, ...]:
    """The names of all twenty, in the order in which they are timed."""
    return _NETWORKS


def build_network(name: str) -> onnx.ModelProto:
    """The network of a name, always the same.

    Args:
        name: one of `calibration_networks`, or any other of this form.

    Raises:
        UsageError: the name is not of this form, or there is no such space, setting or architecture.
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise UsageError(f"'{name[:120]}' names no network: expected SPACE:ARCHITECTURE or SPACE(SETTING=NUMBER):ARCHITECTURE")
    settings = dict(pair.split("=") for pair in (parts["settings"] or "").split(",") if pair)
    space = get_space(parts["space"], **{setting: int(value) for setting, value in settings.items()})
    return initialise(space.build(space.parse(parts["architecture"])), seed=0)
