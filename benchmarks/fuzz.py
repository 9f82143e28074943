"""Damaged networks through the library: each is compressed and verified, or refused with one of nasopt's own errors.

``python -m benchmarks.fuzz --cases 10000`` prints one JSON document and ends with 1 if anything else happened: another exception, a
crash, a case that takes longer than `LIMIT` seconds, or a model accepted that ONNX Runtime does not run. A case is its number: the same
number is the same damage to the same network. Cases run in child processes, a few hundred in each, so that a crash costs one case and
memory stays bounded.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import FrameType

import onnx
from onnx import AttributeProto, TensorProto

import nasopt
from nasopt.errors import NasoptError
from nasopt.graphs.graph import load_graph
from nasopt.runtime.sessions import open_session, random_inputs, run
from tests.generated import random_network
from tests.small import chain

ROOT = Path(__file__).parents[1]
LIMIT = 60
CHUNK = 250
MEMORY = 6 << 30
GENERATED = 60


@cache
def sources() -> tuple[bytes, ...]:
    """The sound networks: generated ones, a hand-written one and the trained digits network."""
    made = [chain(), *(random_network(seed) for seed in range(GENERATED))]
    return (*(model.SerializeToString() for model in made), (ROOT / "examples" / "digits" / "digits.onnx").read_bytes())


def damaged(number: int) -> bytes:
    """The file of a case."""
    rng = random.Random(number)  # noqa: S311  damage need not be secret
    data = rng.choice(sources())
    return bytes_damaged(rng, data) if number % 2 else structure_damaged(rng, data)


def bytes_damaged(rng: random.Random, data: bytes) -> bytes:
    """Bytes replaced, cut out, doubled, or the end cut off."""
    damage = bytearray(data)
    kind = rng.random()
    if kind < 0.7:
        for _ in range(rng.randint(1, 8)):
            damage[rng.randrange(len(damage))] = rng.randrange(256)
    elif kind < 0.8:
        del damage[rng.randrange(len(damage)) :]
    else:
        start = rng.randrange(len(damage))
        piece = damage[start : start + rng.randint(1, 64)]
        damage[start : start + (len(piece) if kind < 0.9 else 0)] = b"" if kind < 0.9 else piece
    return bytes(damage)


def structure_damaged(rng: random.Random, data: bytes) -> bytes:
    """One to three changes to the graph that leave the file a protobuf."""
    model = onnx.ModelProto()
    model.ParseFromString(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        rng.choice(CHANGES)(rng, model)
    return bytes(model.SerializeToString())


def _values(model: onnx.ModelProto) -> list[str]:
    graph = model.graph
    return [
        *(value.name for value in (*graph.input, *graph.output)),
        *(tensor.name for tensor in graph.initializer),
        *(name for node in graph.node for name in node.output if name),
    ]


def _node(rng: random.Random, model: onnx.ModelProto) -> onnx.NodeProto:
    return rng.choice(list(model.graph.node) or [onnx.NodeProto()])


def _drop_node(rng: random.Random, model: onnx.ModelProto) -> None:
    if model.graph.node:
        del model.graph.node[rng.randrange(len(model.graph.node))]


def _swap_nodes(rng: random.Random, model: onnx.ModelProto) -> None:
    nodes = list(model.graph.node)
    if len(nodes) > 1:
        first, second = rng.sample(range(len(nodes)), 2)
        nodes[first], nodes[second] = nodes[second], nodes[first]
        del model.graph.node[:]
        model.graph.node.extend(nodes)


def _rewire(rng: random.Random, model: onnx.ModelProto) -> None:
    node = _node(rng, model)
    if node.input:
        node.input[rng.randrange(len(node.input))] = rng.choice([*_values(model), "", "nowhere"])


def _permute_inputs(rng: random.Random, model: onnx.ModelProto) -> None:
    node = _node(rng, model)
    names = list(node.input)
    rng.shuffle(names)
    del node.input[:]
    node.input.extend(names)


def _shorten_inputs(rng: random.Random, model: onnx.ModelProto) -> None:
    node = _node(rng, model)
    if node.input:
        del node.input[rng.randrange(len(node.input)) :]


def _rename_output(rng: random.Random, model: onnx.ModelProto) -> None:
    node = _node(rng, model)
    if node.output:
        node.output[rng.randrange(len(node.output))] = rng.choice([*_values(model), "", "elsewhere"])


def _another_operator(rng: random.Random, model: onnx.ModelProto) -> None:
    other = _node(rng, model).op_type
    names = "Relu Add Concat Reshape Transpose Conv Gemm MatMul Split Slice If Loop QuantizeLinear Softmax Unknown Einsum LSTM".split()
    _node(rng, model).op_type = rng.choice([other, *names])


def _domain(rng: random.Random, model: onnx.ModelProto) -> None:
    _node(rng, model).domain = rng.choice(["com.microsoft", "made.up", "ai.onnx.ml"])


def _attribute(rng: random.Random, model: onnx.ModelProto) -> None:
    node = _node(rng, model)
    if not node.attribute:
        return
    attribute = rng.choice(list(node.attribute))
    number = rng.choice([-2, -1, 0, 1, 2, 3, 7, 1000, 2**31, -(2**63)])
    if attribute.type == AttributeProto.INT:
        attribute.i = number
    elif attribute.type == AttributeProto.INTS and attribute.ints and rng.random() < 0.7:
        attribute.ints[rng.randrange(len(attribute.ints))] = number
    elif attribute.type == AttributeProto.INTS:
        attribute.ints.append(number)
    elif attribute.type == AttributeProto.FLOAT:
        attribute.f = rng.choice([0.0, -1.0, 1e30, float("nan"), float("inf")])
    elif attribute.type == AttributeProto.STRING:
        attribute.s = rng.choice([b"", b"SAME_UPPER", b"VALID", b"\xff\xfe", b"linear"])
    else:
        node.attribute.remove(attribute)


def _drop_attribute(rng: random.Random, model: onnx.ModelProto) -> None:
    node = _node(rng, model)
    if node.attribute:
        del node.attribute[rng.randrange(len(node.attribute))]


def _drop_weight(rng: random.Random, model: onnx.ModelProto) -> None:
    if model.graph.initializer:
        del model.graph.initializer[rng.randrange(len(model.graph.initializer))]


def _weight(rng: random.Random, model: onnx.ModelProto) -> TensorProto:
    return rng.choice(list(model.graph.initializer) or [TensorProto()])


def _weight_shape(rng: random.Random, model: onnx.ModelProto) -> None:
    tensor = _weight(rng, model)
    dims = list(tensor.dims)
    kind = rng.random()
    if kind < 0.4 and len(dims) > 1:
        rng.shuffle(dims)
    elif kind < 0.6:
        dims.insert(rng.randint(0, len(dims)), 1)
    elif dims:
        dims[rng.randrange(len(dims))] = rng.choice([0, 1, -1, 2, 10**6])
    del tensor.dims[:]
    tensor.dims.extend(dims)


def _weight_type(rng: random.Random, model: onnx.ModelProto) -> None:
    _weight(rng, model).data_type = rng.choice([*TensorProto.DataType.values(), 99])


def _weight_values(rng: random.Random, model: onnx.ModelProto) -> None:
    tensor = _weight(rng, model)
    if tensor.data_type == TensorProto.FLOAT and len(tensor.raw_data) >= 4:
        data = bytearray(tensor.raw_data)
        piece = rng.choice([b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0\0\0\0", b"\xff\xff\x7f\x7f", b"\x01\0\0\0"])
        if rng.random() < 0.5:
            data[:4] = piece
        else:
            data[:] = piece * (len(data) // 4)
        tensor.raw_data = bytes(data)


def _share_weight(rng: random.Random, model: onnx.ModelProto) -> None:
    first, second = _weight(rng, model), _weight(rng, model)
    for node in model.graph.node:
        for slot, name in enumerate(node.input):
            if name == first.name and first.dims == second.dims:
                node.input[slot] = second.name


def _external(rng: random.Random, model: onnx.ModelProto) -> None:
    tensor = _weight(rng, model)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=rng.choice(["missing.bin", "../up.bin", "/etc/passwd", ""]))


def _interface(rng: random.Random, model: onnx.ModelProto) -> None:
    values = [*model.graph.input, *model.graph.output]
    if not values:
        return
    value = rng.choice(values)
    kind, dims = rng.random(), value.type.tensor_type.shape.dim
    if kind < 0.5 and dims:
        dim = rng.choice(list(dims))
        dim.dim_value = rng.choice([0, -1, 1, 2, 5, 4096])
    elif kind < 0.6 and dims:
        rng.choice(list(dims)).dim_param = "n"
    elif kind < 0.7:
        value.type.tensor_type.elem_type = rng.choice(list(TensorProto.DataType.values()))
    elif kind < 0.8:
        value.type.tensor_type.ClearField("shape")
    else:
        value.name = rng.choice([*_values(model), "", "renamed"])


def _expose(rng: random.Random, model: onnx.ModelProto) -> None:
    model.graph.output.add(name=rng.choice(_values(model)))


def _opset(rng: random.Random, model: onnx.ModelProto) -> None:
    if model.opset_import:
        rng.choice(list(model.opset_import)).version = rng.choice([0, 1, 6, 7, 9, 11, 13, 17, 18, 21, 99])
    if rng.random() < 0.3:
        model.ir_version = rng.choice([0, 1, 3, 4, 8, 10, 99])


def _twice(rng: random.Random, model: onnx.ModelProto) -> None:
    if model.graph.node:
        model.graph.node.add().CopyFrom(_node(rng, model))


CHANGES: list[Callable[[random.Random, onnx.ModelProto], None]] = [
    _another_operator, _attribute, _attribute, _domain, _drop_attribute, _drop_node, _drop_weight, _expose, _external, _interface,
    _interface, _opset, _permute_inputs, _rename_output, _rewire, _rewire, _share_weight, _shorten_inputs, _swap_nodes, _twice,
    _weight_shape, _weight_shape, _weight_type, _weight_values, _weight_values,
]  # fmt: skip


def outcome(number: int, folder: Path) -> str:
    """What became of a case: ``accepted``, the name of nasopt's error, or a line that begins with ``!``: a defect."""
    path, result = folder / "net.onnx", folder / "small.onnx"
    before = damaged(number)
    path.write_bytes(before)
    drop = (0.1, 0.2, 0.4)[number % 3]
    try:
        said = _compressed(path, result, drop, number)
    except NasoptError as error:
        said = type(error).__name__
        if said == "VerificationError":
            said = f"! {said}: {error}"
        if "\n" in str(error):
            said = f"! more than one line: {error}"
        if result.exists():
            said = f"! {type(error).__name__}, and yet something was written"
    except (Exception, TimeoutError) as error:  # noqa: BLE001  that is what is looked for
        steps = traceback.extract_tb(error.__traceback__)[-3:]
        where = " < ".join(f"{Path(step.filename).name}:{step.lineno}" for step in reversed(steps))
        said = f"! {type(error).__name__}: {str(error)[:120]} @ {where}"
    if path.read_bytes() != before:
        said = "! the model itself was changed"
    for left in folder.iterdir():
        left.unlink()
    return said


def _compressed(path: Path, result: Path, drop: float, number: int) -> str:
    nasopt.inspect(path)
    nasopt.compress(path, result, flops_drop=drop, generations=2, measure_latency=False, seed=number % 100)
    graph, after = load_graph(path), load_graph(result)
    feeds = random_inputs(graph, number)
    for model in (graph, after):
        run(open_session(model.model, optimise=False), feeds)
    wrong = [check for check in nasopt.verify(path, result, seed=number % 100).checks if not check.ok]
    return f"! accepted, but {wrong[0].name}: {wrong[0].detail}" if wrong else "accepted"


def _chunk(numbers: Sequence[int], pipe: int) -> None:
    """A child process: a line a case."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, _late)
    with os.fdopen(pipe, "w") as lines, tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # ONNX Runtime writes of its troubles there
        for number in numbers:
            signal.alarm(LIMIT)
            said = outcome(number, Path(folder))
            signal.alarm(0)
            print(json.dumps([number, said]), file=lines, flush=True)


def _late(_: int, __: FrameType | None) -> None:
    raise TimeoutError(f"more than {LIMIT} s")


def outcomes(start: int, stop: int, end: float) -> Iterator[tuple[int, str]]:
    """Runs cases in child processes, until `end` on the clock."""
    while start < stop and time.monotonic() < end:
        numbers = range(start, min(stop, start + CHUNK))
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            try:
                _chunk(numbers, writer)
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as lines:
            for line in lines:
                number, said = json.loads(line)
                yield number, said
                start = number + 1
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if start < numbers.stop:
            yield start, f"! crash: the process ended with {status}"
            start += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further cases after this long")
    options = parser.parse_args()
    sources()
    begun = time.monotonic()
    counts: collections.Counter[str] = collections.Counter()
    defects: dict[str, list[int]] = {}
    for number, said in outcomes(options.start, options.start + options.cases, begun + 60 * options.minutes):
        counts["defect" if said.startswith("!") else said] += 1
        if said.startswith("!"):
            defects.setdefault(said, []).append(number)
            print(number, said, file=sys.stderr, flush=True)
    document = {
        "cases": sum(counts.values()),
        "outcomes": dict(counts.most_common()),
        "defects": {said: numbers[:10] for said, numbers in defects.items()},
        "seconds": round(time.monotonic() - begun),
    }
    print(json.dumps(document, indent=1))
    return 1 if defects else 0


if __name__ == "__main__":
    sys.exit(main())
