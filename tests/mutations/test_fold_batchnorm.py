"""BatchNorm folds into the weights before it, and the function stays."""

from __future__ import annotations

import pytest

from nasopt.api.verify import verify_edits
from nasopt.errors import InvalidEditError
from nasopt.graphs.graph import Graph
from nasopt.mutations import MUTATIONS, Edit, apply_edit
from nasopt.runtime.verify import check_result
from tests.generated import random_network
from tests.generated_blocks import conv_norm_act
from tests.small import Net, prune_edit

FOLD = MUTATIONS["fold-batchnorm"]


@pytest.mark.parametrize("seed", range(40))
def test_folding_keeps_the_function(seed: int) -> None:
    model = random_network(seed, blocks=[conv_norm_act] * 4)
    graph = Graph(model)
    edit = FOLD.whole(graph)
    assert edit is not None
    outcome, folded = verify_edits(model, [edit], {}, seed=seed, tries=2)
    assert outcome.ok, outcome
    assert [check for check in check_result(graph, folded) if not check.ok] == []
    assert len(folded.graph.node) == len(model.graph.node) - len(edit.detail["fold"])
    assert FOLD.whole(Graph(folded)) is None
    # … and pruning still works on what it leaves.
    assert verify_edits(folded, [prune_edit(folded, seed=seed)], {}, tries=1)[0].ok


@pytest.mark.parametrize("op", ["Conv", "grouped", "ConvTranspose", "grouped ConvTranspose", "Gemm", "Gemm transposed"])
def test_every_operator_that_it_folds_into(op: str) -> None:
    net = Net(x=(2, 4) if "Gemm" in op else (1, 4, 6, 6))
    group = 2 if "grouped" in op else 1
    if "Gemm" in op:
        across = "transposed" in op
        y = net.op("Gemm", "x", net.weight("w", *((8, 4) if across else (4, 8))), net.weight("bias", 8), transB=int(across))
    elif "Transpose" in op:
        y = net.op("ConvTranspose", "x", net.weight("w", 4, 8 // group, 2, 2), group=group)
    else:
        y = net.conv("x", "w", 4, 8, group=group, bias=True)
    model = net.model(net.op("Relu", net.norm(y, "n", 8)))
    edit = FOLD.whole(Graph(model))
    assert edit is not None
    outcome, folded = verify_edits(model, [edit], {})
    assert outcome.ok, outcome
    assert [node.op_type for node in folded.graph.node] == [model.graph.node[0].op_type, "Relu"]


def test_norms_stay_where_something_else_reads_the_value_before_them() -> None:
    net = Net(x=(1, 4, 6, 6))
    y = net.conv("x", "w", 4, 8)
    assert FOLD.whole(Graph(net.model(net.op("Add", net.norm(y, "n", 8), y)))) is None


def test_a_shared_weight_is_folded_into_a_copy() -> None:
    net = Net(x=(1, 4, 6, 6))
    w = net.weight("w", 4, 4, 1, 1)
    y = net.norm(net.op("Conv", "x", w), "n", 4)
    model = net.model(net.op("Conv", y, w))
    edit = FOLD.whole(Graph(model))
    assert edit is not None
    assert verify_edits(model, [edit], {})[0].ok


def test_a_script_that_folds_an_unknown_norm_is_refused() -> None:
    net = Net(x=(1, 4, 6, 6))
    graph = Graph(net.model(net.conv("x", "w", 4, 8)))
    with pytest.raises(InvalidEditError, match="makes 'z', which this model does not have"):
        apply_edit(graph, Edit("fold-batchnorm", {"fold": ["z"]}))
