"""Pruning on networks of every shape: what is left computes what the masked original computes, and costs what was predicted."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from nasopt.api.verify import verify_edits
from nasopt.errors import InvalidEditError
from nasopt.graphs.cost import CostTable, totals
from nasopt.graphs.graph import Graph
from nasopt.graphs.units import couple, solve
from nasopt.mutations import MUTATIONS, Edit, apply_edit
from nasopt.mutations.prune_channels import edit_of, removal_of, removed_units
from nasopt.mutations.rewrite import remove_units
from nasopt.runtime.verify import check_result
from tests.generated import random_network
from tests.small import Net, chain, prune_edit, random_removal, units_of

GENERATED = range(1000, 1100)


@pytest.mark.parametrize("seed", GENERATED)
def test_a_pruned_network_is_sound_and_costs_what_the_table_says(seed: int) -> None:
    graph = Graph(random_network(seed))
    units = solve(couple(graph))
    removed, kept = random_removal(units, seed)
    model = remove_units(units, removed)
    assert [check for check in check_result(graph, model) if not check.ok] == []
    sums, table = totals(Graph(model, graph.bound)), CostTable(units)
    row = np.array([kept, [len(group) for group in units.groups]])
    predicted = [function(row)[0] for function in (table.macs, table.params, table.activation_bytes, table.peak_activation_bytes)]
    assert predicted == [sums.macs, sums.params, sums.activation_bytes, sums.peak_activation_bytes]
    whole = totals(graph)
    assert [table.macs(row)[1], table.params(row)[1]] == [whole.macs, whole.params]


@pytest.mark.parametrize("seed", GENERATED)
def test_a_pruned_network_equals_the_masked_original(seed: int) -> None:
    model = random_network(seed)
    edit = prune_edit(model, seed=seed)
    outcome, pruned = verify_edits(model, [edit], {}, seed=seed, tries=2)
    assert outcome.ok, outcome
    assert bool(edit.detail["groups"]) == (pruned != model)


def test_most_generated_networks_lose_channels() -> None:
    """Otherwise the tests above would compare networks with themselves."""
    removed = [len(prune_edit(random_network(seed), seed=seed).detail["groups"]) for seed in GENERATED]
    assert sum(count > 0 for count in removed) > 90
    assert np.mean(removed) > 2


def test_the_masked_reference_differs_from_the_original() -> None:
    model = chain()
    lossless = Edit("simplify", {"remove": [], "replace": {}})
    assert verify_edits(model, [lossless], {})[0].max_relative_error == 0
    graph, edit = Graph(model), prune_edit(model, seed=1)
    assert MUTATIONS["prune-channels"].masked(graph, edit) != model


def test_sizes_that_depend_on_the_data_do_not_stop_the_masked_reference() -> None:
    net = Net(x=(1, 3, 6, 6))
    result = net.conv(net.op("Relu", net.conv("x", "a", 3, 8)), "b", 8, 4)
    places = net.op("Cast", net.op("NonZero", "x"), to=1)
    model = net.model(result, net.op("ReduceSum", places, keepdims=0))
    edit = prune_edit(model, seed=1)
    assert edit.detail["groups"]
    assert verify_edits(model, [edit], {})[0].ok


def test_an_edit_says_which_units_go() -> None:
    units = units_of(chain())
    removed = np.zeros(units.count, np.bool_)
    removed[units.groups[0].units[[2, 5]]] = True
    edit = edit_of(units, removed)
    also = ["b[1]", "n.mean[0]", "n.scale[0]", "n.shift[0]", "n.var[0]"]
    assert edit.detail == {"groups": [{"tensor": "a", "axis": 0, "channels": 1, "keep": 6, "of": 8, "remove": [2, 5], "also": also}]}
    assert (removed_units(units, edit) == removed).all()
    assert MUTATIONS["prune-channels"].describe(edit) == "removed 2 channels in 1 groups"
    (site,) = MUTATIONS["prune-channels"].sites(units.graph)
    assert (site.name, site.choices) == ("a", tuple(range(1, 9)))


def test_the_right_slices_stay() -> None:
    model = chain()
    before = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    units = units_of(model)
    removed = removal_of(units, [units.groups[0].units[[7, 0, 1, 2, 3, 4, 5, 6]]], [5])
    after = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in remove_units(units, removed).graph.initializer}
    stays = [2, 3, 4, 5, 6]
    assert (after["a"] == before["a"][stays]).all()
    assert (after["b"] == before["b"][:, stays]).all()
    assert (after["n.var"] == before["n.var"][stays]).all()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"tensor": "zzz", "axis": 0, "remove": [0]}, "'zzz', which this model does not have"),
        ({"tensor": "a", "axis": 2, "remove": [0]}, "axis 2 of 'a', which is no axis of channels"),
        ({"tensor": "a", "axis": 0, "remove": [8]}, "channel 8 of 'a', which has 8"),
        ({"tensor": "a", "axis": 0, "remove": [-1]}, "of 'a', which has 8"),
        ({"tensor": "a", "axis": 0, "remove": list(range(8))}, "would lose all its channels"),
        ({"tensor": "b", "axis": 0, "remove": [0]}, "is an output of the network"),
        ({"tensor": "a", "axis": 1, "remove": [0]}, "graph input 'x'"),
    ],
)
def test_edits_that_do_not_fit_are_refused(entry: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidEditError, match=said):
        apply_edit(Graph(chain()), Edit("prune-channels", {"groups": [entry]}))


def test_the_original_is_untouched() -> None:
    model = chain()
    before = model.SerializeToString()
    apply_edit(Graph(model), prune_edit(model, seed=1))
    assert model.SerializeToString() == before
