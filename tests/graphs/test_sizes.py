"""Channel counts that flow into data, and operators whose meaning depends on how many channels there are."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx.helper import make_model, make_opsetid

import nasopt
from nasopt.errors import ConstraintUnreachableError, ModelNotSupportedError

HEAD = """
<ir_version: 8, opset_import: ["" : {opset}, "com.microsoft" : 1]>
net (float[1,3,8,8] x) => (float[1,4,8,8] y{more})
<float[16,3,3,3] w1 = {{{w1}}}, float[4,16,3,3] w2 = {{{w2}}}>
{{
   a = Conv<pads=[1,1,1,1]>(x, w1)
   {body}
   y = Conv<pads=[1,1,1,1]>({last}, w2)
   {tail}
}}
"""


def network(path: Path, body: str, last: str, *, opset: int = 17, more: str = "", tail: str = "") -> Path:
    numbers = [((7 * i) % 19 - 9) / 40 for i in range(576)]
    weights = {"w1": ", ".join(map(str, numbers[:432])), "w2": ", ".join(map(str, numbers))}
    text = HEAD.format(opset=opset, more=more, body=body, last=last, tail=tail, **weights)
    model = make_model(
        onnx.parser.parse_model(text).graph, opset_imports=[make_opsetid("", opset), make_opsetid("com.microsoft", 1)], ir_version=8
    )
    onnx.save(model, path)
    return path


def compressed(path: Path, drop: float = 0.3) -> nasopt.CompressResult:
    return nasopt.compress(path, path.with_suffix(".small.onnx"), flops_drop=drop, granularity=1, generations=2, measure_latency=False)


@pytest.mark.parametrize(
    ("body", "last", "opset", "more", "tail"),
    [
        ("b = Softmax(a)", "b", 11, "", ""),  # before opset 13 over everything from axis 1 on
        ("s = Shape(a)\n c = Constant<value_int = 1>()\n n = Gather(s, c)\n f = Cast<to = 1>(n)\n b = Div(a, f)", "b", 17, "", ""),
        ("b = Relu(a)", "b", 17, ", int64[4] z", "z = Shape(b)"),
    ],
    ids=["softmax before 13", "divided by a count", "a count is an output"],
)
def test_channels_that_are_counted_stay(tmp_path: Path, body: str, last: str, opset: int, more: str, tail: str) -> None:
    with pytest.raises(ConstraintUnreachableError):
        compressed(network(tmp_path / "net.onnx", body, last, opset=opset, more=more, tail=tail))


def test_a_count_of_something_else_holds_no_channels(tmp_path: Path) -> None:
    height = "s = Shape(a)\n c = Constant<value_int = 2>()\n n = Gather(s, c)\n f = Cast<to = 1>(n)\n b = Div(a, f)"
    assert compressed(network(tmp_path / "net.onnx", height, "b")).drop["flops"] >= 0.3


def test_axes_of_size_one_are_named_before_channels_become_one(tmp_path: Path) -> None:
    squeezed = "p = GlobalAveragePool(a)\n q = Squeeze(p)\n i = Constant<value_ints = [0, 2, 3]>()\n g = Unsqueeze(q, i)\n b = Mul(a, g)"
    result = compressed(network(tmp_path / "net.onnx", squeezed, "b"), 0.9)
    assert result.groups[0].units_after == 1


def test_a_foreign_activation_keeps_its_shape(tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx", "b = com.microsoft.QuickGelu(a)", "b")
    assert nasopt.inspect(path).cost.macs == 64 * 9 * (3 * 16 + 16 * 4)


def test_a_drop_of_macs_behind_what_nobody_can_run_is_refused(tmp_path: Path) -> None:
    path = network(tmp_path / "net.onnx", "b = com.microsoft.QuickGelu(a)", "b")
    model = onnx.load(path)
    model.graph.node[1].op_type = "Unheard"
    onnx.save(model, path)
    with pytest.raises(ModelNotSupportedError, match=r"ONNX Runtime cannot load it: .*Unheard"):
        compressed(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.onnx"]
