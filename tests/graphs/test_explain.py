"""Every MAC that cannot go is accounted for."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from nasopt.graphs.cost import node_macs, totals
from nasopt.graphs.explain import frozen_of, groups_of, reachable_macs
from nasopt.graphs.graph import Graph
from nasopt.graphs.units import Units, couple, solve
from nasopt.mutations.preserve import preserved
from nasopt.mutations.prune_channels import removal_of
from nasopt.mutations.rewrite import remove_units
from tests.generated import random_network
from tests.small import CUSTOM, Net, chain, units_of


def test_a_chain_by_hand() -> None:
    units = units_of(chain())
    (group,) = groups_of(units)
    assert (group.name, group.units_before, group.channels_before, group.step) == ("a", 8, 8, 1)
    assert (group.units_after, group.channels_after) == (8, 8)
    assert group.macs == totals(units.graph).macs
    given, made = frozen_of(units)
    assert (given.name, given.channels, given.locked_macs) == ("a[1]", 3, 36 * 27)
    assert (made.name, made.channels, made.locked_macs) == ("b", 4, 36 * 4)
    assert (given.op, given.attribute, given.node) == ("graph input", "graph input", "x")
    assert (made.op, made.attribute) == ("Conv", "graph output")
    assert reachable_macs(units) == 36 * (27 + 4)
    assert given.locked_share == pytest.approx(36 * 27 / group.macs)


def test_what_was_chosen_is_stated() -> None:
    net = Net(x=(1, 3, 6, 6))
    units = units_of(net.model(net.conv(net.op("DepthToSpace", net.conv("x", "a", 3, 16), blocksize=2), "b", 4, 5)))
    (group,) = groups_of(units, kept=[3], steps=[8])
    assert (group.units_before, group.units_after, group.channels_before, group.channels_after, group.step) == (4, 3, 16, 12, 8)
    assert group.members == ("a[0]", "b[1]")


def test_a_node_between_two_barriers_is_shared() -> None:
    net = Net(x=(1, 3, 5, 5))
    (first, second) = frozen_of(units_of(net.model(net.conv("x", "w", 3, 7))))
    assert {first.attribute, second.attribute} == {"graph input", "graph output"}
    assert (first.locked_macs, second.locked_macs) == (263, 262)  # 3 * 7 * 25 = 525


def test_the_unit_that_must_stay_belongs_to_no_barrier() -> None:
    net = Net(x=(1, 3, 6, 6))
    units = units_of(net.model(net.conv(net.conv(net.conv("x", "a", 3, 8), "b", 8, 6), "c", 6, 4)))
    assert reachable_macs(units) - sum(frozen.locked_macs for frozen in frozen_of(units)) == 36  # one channel to one channel in b


def test_a_product_of_two_rigid_values_belongs_to_what_made_them_rigid() -> None:
    net = Net(x=(1, 4, 6))
    strange = net.op("Strange", "x", domain=CUSTOM, out="rigid")
    turned = net.op("Transpose", strange, perm=[0, 2, 1])
    model = net.model(net.op("MatMul", strange, turned), imports=[CUSTOM])
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(model.graph.output[0].name, TensorProto.FLOAT, [1, 4, 4]))
    model.graph.value_info.append(helper.make_tensor_value_info("rigid", TensorProto.FLOAT, [1, 4, 6]))
    graph = Graph(model)
    (frozen,) = [frozen for frozen in frozen_of(solve(couple(graph))) if frozen.locked_macs]
    assert (frozen.op, frozen.node, frozen.locked_macs) == (f"{CUSTOM}::Strange", "node0", 96)


@pytest.mark.parametrize("seed", range(60))
def test_locked_macs_and_the_units_that_must_stay_add_up(seed: int) -> None:
    units = units_of(random_network(seed))
    records = frozen_of(units)
    locked, reachable = sum(record.locked_macs for record in records), reachable_macs(units)
    assert [record.locked_macs for record in records] == sorted((record.locked_macs for record in records), reverse=True)
    assert len({(record.node, record.op, record.attribute, record.reason) for record in records}) == len(records)
    assert 0 <= reachable - locked <= reachable
    assert sum(floors_without_barrier(units)) == reachable - locked


def floors_without_barrier(units: Units) -> list[int]:
    """MACs of the nodes none of whose axes holds a frozen slice, counted in the network that is cut to one unit a group."""
    smallest = remove_units(units, removal_of(units, [group.units for group in units.groups], [1] * len(units.groups)))
    after = Graph(smallest, units.graph.bound)
    by_output = {node.outputs[0]: node for node in after.nodes}
    frozen = {unit for part in units.frozen for unit in part.units.tolist()}
    floors = []
    for node in units.graph.nodes:
        form = node_macs(units.graph, node)
        if form is None or not form.coefficient:
            continue
        classes = [row.classes for dim in form.dims for row in units.axes.get(dim, ())]
        if classes and not any(unit in frozen for row in classes for unit in np.unique(row).tolist()):
            small = node_macs(after, by_output[node.outputs[0]])
            assert small is not None
            floors.append(small.coefficient * int(np.prod([after.shape(value)[axis] for value, axis in small.dims])))
    return floors


def test_preserving_everything_locks_everything() -> None:
    graph = Graph(chain())
    units = solve(couple(graph, preserved(graph, ["*"])))
    assert groups_of(units) == ()
    assert sum(record.locked_macs for record in frozen_of(units)) == reachable_macs(units) == totals(graph).macs
