"""Which channels hang together, on networks small enough to say so by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from onnx import TensorProto, helper

from nasopt.api.verify import verify_edits
from nasopt.graphs.channels import Barrier
from nasopt.graphs.graph import Graph
from nasopt.graphs.units import couple, solve
from tests.small import CUSTOM, Net, chain, groups, prune_edit, units_of


def residual(net: Net) -> str:
    a = net.conv("x", "a", 3, 8)
    return net.conv(net.op("Add", a, net.conv(net.op("Relu", a), "b", 8, 8)), "c", 8, 5)


def cat_itself(net: Net) -> str:
    a = net.conv("x", "a", 3, 4)
    return net.conv(net.op("Concat", a, a, axis=1), "b", 8, 5)


def concat(net: Net) -> str:
    a, b = net.conv("x", "a", 3, 4), net.conv("x", "b", 3, 6)
    return net.conv(net.op("Concat", a, b, axis=1), "c", 10, 5)


def option_a(net: Net) -> str:
    a = net.conv("x", "a", 3, 4)
    padded = net.op("Pad", a, net.ints(0, 2, 0, 0, 0, 2, 0, 0))
    return net.conv(net.op("Add", padded, net.conv(a, "b", 4, 8)), "c", 8, 5)


def shuffle(net: Net) -> str:
    rows = net.op("Reshape", net.conv("x", "a", 3, 8), net.ints(1, 2, 4, 6, 6))
    turned = net.op("Transpose", rows, perm=[0, 2, 1, 3, 4])
    return net.conv(net.op("Reshape", turned, net.ints(1, 8, 6, 6)), "b", 8, 5)


def depthwise(net: Net) -> str:
    return net.conv(net.conv(net.conv("x", "a", 3, 8), "d", 8, 8, 3, group=8), "b", 8, 5)


def grouped(net: Net) -> str:
    return net.conv(net.conv(net.conv("x", "a", 3, 8), "g", 8, 12, group=2), "b", 12, 5)


def many_groups(net: Net) -> str:
    return net.conv(net.conv(net.conv("x", "a", 3, 8), "g", 8, 12, group=4), "b", 12, 5)


def shared_weight(net: Net) -> str:
    a = net.conv("x", "a", 3, 8)
    w = net.weight("w", 8, 8, 1, 1)
    return net.conv(net.op("Conv", net.op("Conv", a, w), w), "b", 8, 5)


def squeeze_excite(net: Net) -> str:
    a = net.conv("x", "a", 3, 8)
    reduced = net.op("Relu", net.conv(net.op("GlobalAveragePool", a), "r", 8, 2))
    return net.conv(net.op("Mul", a, net.op("Sigmoid", net.conv(reduced, "e", 2, 8))), "b", 8, 5)


def split(net: Net) -> str:
    net.op("Split", net.conv("x", "a", 3, 8), net.ints(3, 5), axis=1, out=["left", "right"])
    return net.op("Add", net.conv("left", "b", 3, 5), net.conv("right", "c", 5, 5))


def sliced(net: Net) -> str:
    a = net.conv("x", "a", 3, 8)
    return net.conv(net.op("Slice", a, net.ints(2), net.ints(7), net.ints(1)), "b", 5, 5)


def flattened(net: Net) -> str:
    flat = net.op("Flatten", net.conv("x", "a", 3, 4))
    return net.op("Gemm", flat, net.weight("fc", 10, 144), transB=1)


def channels_last(net: Net) -> str:
    turned = net.op("Transpose", net.conv("x", "a", 3, 8), perm=[0, 2, 3, 1])
    return net.op("MatMul", net.op("Add", turned, net.weight("shift", 8)), net.weight("w", 8, 5))


def depth_to_space(net: Net) -> str:
    return net.conv(net.op("DepthToSpace", net.conv("x", "a", 3, 16), blocksize=2), "b", 4, 5)


def layer_norm(net: Net) -> str:
    turned = net.op("Transpose", net.conv("x", "a", 3, 8), perm=[0, 2, 3, 1])
    return net.op("MatMul", net.op("LayerNormalization", turned, net.weight("s", 8), net.weight("t", 8)), net.weight("w", 8, 5))


STRUCTURES: list[tuple[Callable[[Net], str], dict[str, tuple[int, int]]]] = [
    # name of the group → units, channels of the widest tensor per unit; the last layer's outputs are the interface
    (residual, {"a": (8, 1)}),
    (cat_itself, {"a": (4, 2)}),
    (concat, {"a": (4, 1), "b": (6, 1)}),
    (option_a, {"a": (4, 1), "b": (4, 1)}),
    (shuffle, {"a": (4, 2)}),
    (depthwise, {"a": (8, 1)}),
    (grouped, {"a": (4, 2), "g": (6, 2)}),
    (many_groups, {"a": (4, 3)}),
    (shared_weight, {"a": (8, 1)}),
    (squeeze_excite, {"a": (8, 1), "r": (2, 1)}),
    (split, {"a": (3, 1), "a#2": (5, 1)}),
    (sliced, {"a": (3, 1), "a#2": (5, 1)}),
    (flattened, {"a": (4, 36)}),
    (channels_last, {"a": (8, 1)}),
    (depth_to_space, {"a": (4, 4)}),
    (layer_norm, {"a": (8, 1)}),
]


@pytest.mark.parametrize(("build", "expected"), STRUCTURES, ids=lambda value: getattr(value, "__name__", ""))
def test_groups(build: Callable[[Net], str], expected: dict[str, tuple[int, int]]) -> None:
    net = Net(x=(1, 3, 6, 6))
    assert groups(net.model(build(net))) == expected


@pytest.mark.parametrize("build", [build for build, _ in STRUCTURES], ids=lambda build: build.__name__)
def test_whatever_the_structure_pruning_equals_masking(build: Callable[[Net], str]) -> None:
    net = Net(x=(1, 3, 6, 6))
    model = net.model(build(net))
    for seed in range(3):
        edit = prune_edit(model, seed=seed)
        outcome, _ = verify_edits(model, [edit], {}, seed=seed)
        assert edit.detail["groups"]
        assert outcome.ok, outcome


def test_members_are_all_the_weights_that_are_sliced() -> None:
    units = units_of(chain())
    assert [f"{name}[{axis}]" for name, axis in units.members(units.groups[0])] == [
        "a[0]",
        "b[1]",
        "n.mean[0]",
        "n.scale[0]",
        "n.shift[0]",
        "n.var[0]",
    ]


def test_the_interface_is_frozen_on_both_sides() -> None:
    frozen = {(part.name, part.barrier.op, part.barrier.attribute): len(part.units) for part in units_of(chain()).frozen}
    assert frozen == {("a[1]", "graph input", "graph input"): 3, ("b", "Conv", "graph output"): 4}


def test_an_output_in_the_middle_freezes_its_channels_only() -> None:
    net = Net(x=(1, 3, 6, 6))
    a = net.conv("x", "a", 3, 8)
    b = net.conv(a, "b", 8, 6)
    assert groups(net.model(net.conv(b, "c", 6, 4), b)) == {"a": (8, 1)}


def test_the_only_channel_of_a_part_stays() -> None:
    net = Net(x=(1, 3, 6, 6))
    parts = ["two", "one", "other"]
    net.op("Split", net.conv("x", "a", 3, 4), net.ints(2, 1, 1), axis=1, out=parts)
    units = units_of(net.model(*(net.conv(part, f"b{part}", size, 2) for part, size in zip(parts, (2, 1, 1), strict=True))))
    assert [(group.name, len(group)) for group in units.groups] == [("a", 2)]
    assert {frozen.barrier.attribute for frozen in units.frozen if frozen.name == "a"} == {"one channel"}


def test_an_unknown_operator_freezes_what_it_touches_and_nothing_else() -> None:
    net = Net(x=(1, 3, 6, 6))
    b = net.conv(net.conv("x", "a", 3, 8), "b", 8, 6)
    c = net.conv(net.op("Strange", b, domain=CUSTOM), "c", 6, 4)
    net.nodes[2].name = "culprit"
    model = net.model(net.conv(net.conv(c, "d", 4, 7), "e", 7, 5), imports=[CUSTOM])
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(model.graph.output[0].name, TensorProto.FLOAT, [1, 5, 6, 6]))
    units = solve(couple(Graph(model)))
    assert groups(model)["a"] == (8, 1)
    (part,) = [part for part in units.frozen if part.name == "b"]
    assert (part.barrier.node, part.barrier.op, len(part.units)) == ("culprit", f"{CUSTOM}::Strange", 6)


def test_channels_that_all_hang_together_are_frozen_as_such() -> None:
    net = Net(x=(1, 3, 6, 6))
    a = net.conv("x", "a", 3, 4)
    model = net.model(net.conv(net.op("Add", a, net.op("Gather", a, net.ints(1, 2, 3, 0), axis=1)), "b", 4, 5))
    assert groups(model) == {}
    (part,) = [part for part in units_of(model).frozen if part.barrier.attribute == "one unit"]
    assert (part.name, len(part.units)) == ("a", 1)


def test_preserved_values_stay() -> None:
    graph = Graph(chain())
    barrier = Barrier("a", "--preserve", "a", "as asked")
    units = solve(couple(graph, [("a", barrier)]))
    assert units.groups == ()
    assert {part.name: len(part.units) for part in units.frozen if part.barrier == barrier} == {"a": 8}
