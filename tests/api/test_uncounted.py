"""A network without anything to count: its drop would be reached by doing nothing."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import nasopt
from nasopt.errors import ModelNotSupportedError
from tests.small import Net


def test_a_drop_of_nothing_is_refused(tmp_path: Path) -> None:
    net = Net(x=(1, 3, 6, 6))
    path = tmp_path / "model.onnx"
    onnx.save(net.model(net.op("Relu", "x")), path)
    with pytest.raises(ModelNotSupportedError, match="nothing to count for --flops-drop"):
        nasopt.compress(path, tmp_path / "out.onnx", flops_drop=0.3)
    assert not (tmp_path / "out.onnx").exists()
