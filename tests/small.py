"""Small networks written by hand, an operator a line, and what tests do to any network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import content_hash
from nasopt.graphs.units import Units, couple, solve
from nasopt.mutations import Edit
from nasopt.mutations.prune_channels import edit_of
from nasopt.mutations.script import Script, refer_to_script, replay

CUSTOM = "custom.domain"


class Net:
    """A network in the making: `op` returns the name of what it adds."""

    def __init__(self, *, opset: int = 17, dtype: int = TensorProto.FLOAT, seed: int = 0, **inputs: Sequence[int | str]) -> None:
        self.opset = opset
        self.dtype = dtype
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.inputs = [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()]

    def weight(self, name: str, *shape: int) -> str:
        array = self.rng.standard_normal(shape).astype(helper.tensor_dtype_to_np_dtype(self.dtype))
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def ints(self, *values: int) -> str:
        name = f"ints{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def op(self, op: str, *inputs: str, out: str | Sequence[str] = "", **attributes: object) -> str:
        outputs = [out or f"v{len(self.nodes)}"] if isinstance(out, str) else list(out)
        self.nodes.append(helper.make_node(op, list(inputs), outputs, name=f"node{len(self.nodes)}", **attributes))
        return outputs[0]

    def conv(self, x: str, name: str, into: int, out: int, kernel: int = 1, *, group: int = 1, bias: bool = False) -> str:
        """A convolution with its weight, same padding."""
        inputs = [x, self.weight(name, out, into // group, kernel, kernel), *([self.weight(f"{name}.bias", out)] if bias else [])]
        return self.op("Conv", *inputs, group=group, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)

    def norm(self, x: str, name: str, channels: int) -> str:
        scale, shift, mean = (self.weight(f"{name}.{part}", channels) for part in ("scale", "shift", "mean"))
        variance = np.abs(self.rng.standard_normal(channels)).astype(np.float32) + 0.5
        self.initializers.append(numpy_helper.from_array(variance, f"{name}.var"))
        return self.op("BatchNormalization", x, scale, shift, mean, f"{name}.var")

    def model(self, *outputs: str, functions: Sequence[onnx.FunctionProto] = (), imports: Sequence[str] = ()) -> onnx.ModelProto:
        """The finished model; its outputs declare the shapes that onnx infers."""
        declared = [helper.make_empty_tensor_value_info(name) for name in outputs]
        graph = helper.make_graph(self.nodes, "small", self.inputs, declared, self.initializers)
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(domain, 1) for domain in imports)]
        made = helper.make_model(graph, opset_imports=opsets, functions=functions, ir_version=8)
        inferred = onnx.shape_inference.infer_shapes(made, data_prop=True)
        del made.graph.output[:]
        made.graph.output.extend(inferred.graph.output)
        return made


def chain(**options: object) -> onnx.ModelProto:
    """``x → conv a (3 → 8) → norm → relu → conv b (8 → 4)``, on 3 channels of 6 x 6."""
    net = Net(x=(1, 3, 6, 6), **options)  # type: ignore[arg-type]
    hidden = net.op("Relu", net.norm(net.conv("x", "a", 3, 8, 3), "n", 8))
    return net.model(net.conv(hidden, "b", 8, 4))


def units_of(model: onnx.ModelProto) -> Units:
    return solve(couple(Graph(model)))


def groups(model: onnx.ModelProto) -> dict[str, tuple[int, int]]:
    """Name of each group → how many units it has, and channels per unit."""
    found = units_of(model).groups
    table = {group.name: (len(group), group.channels) for group in found}
    assert len(table) == len(found)
    return table


def random_removal(units: Units, seed: int, share: float = 0.5) -> tuple[np.ndarray, list[int]]:
    """Flags up to `share` of every group's units, never all; and how many stay in each."""
    rng = np.random.default_rng(seed)
    removed, kept = np.zeros(units.count, np.bool_), []
    for group in units.groups:
        gone = min(int(rng.integers(0, int(len(group) * share) + 2)), len(group) - 1)
        removed[rng.choice(group.units, gone, replace=False)] = True
        kept.append(len(group) - gone)
    return removed, kept


def prune_edit(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]] | None = None, seed: int = 0, share: float = 0.5) -> Edit:
    units = solve(couple(Graph(model, shapes)))
    return edit_of(units, random_removal(units, seed, share)[0])


def compressed(model: onnx.ModelProto, folder: Path, edits: Sequence[Edit], shapes: dict[str, tuple[int, ...]] | None = None) -> list[Path]:
    """Writes what ``compress`` writes: the original, the result and its script."""
    original, result, script = folder / "net.onnx", folder / "small.onnx", folder / "small.json"
    onnx.save(model, str(original))
    made = replay(model, edits, shapes or {}, "net")
    refer_to_script(made, script)
    onnx.save(made, str(result))
    hashes = content_hash(original), content_hash(result)
    script.write_text(Script(original.name, hashes[0], tuple(edits), shapes or {}, result.name, hashes[1]).to_json())
    return [original, result, script]
