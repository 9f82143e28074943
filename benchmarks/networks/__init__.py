"""The networks that the benchmarks compress, each built on this machine: nothing is downloaded but what a package registry serves.

`NETWORKS` names the torch definitions; `build(name, exporter)` writes an ONNX file into the cache and returns its path.
`light_models()`, `wheel_models()` and `keras_models()` give the rest. `python -m benchmarks.networks --list` shows them all.
"""

from __future__ import annotations

from .export import EXPORTERS, build
from .light import light_models
from .nhwc import keras_models
from .registry import NETWORKS, Network
from .wheels import wheel_models

__all__ = ["EXPORTERS", "NETWORKS", "Network", "build", "keras_models", "light_models", "wheel_models"]
