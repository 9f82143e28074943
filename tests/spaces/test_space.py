"""What holds for every space: its architectures, their texts and encodings, and that the networks run."""

from __future__ import annotations

from itertools import islice

import numpy as np
import onnx
import pytest

from nasopt.errors import UsageError
from nasopt.graphs.graph import Graph
from nasopt.runtime.sessions import open_session, random_inputs, run
from nasopt.spaces.registry import SPACES, get_space
from nasopt.spaces.space import Genes, Space
from nasopt.spaces.weights import initialise

SMALL = {
    "resolution": {"ofa_pn": 128, "ofa_mbv3": 128, "ofa_resnet50": 128, "mnasnet": 64, "fbnet": 64}
    | dict.fromkeys(("transnasbench101_micro", "transnasbench101_macro"), 64)
}
"""Settings under which networks run quickly."""


@pytest.fixture(params=SPACES)
def space(request: pytest.FixtureRequest) -> Space:
    return get_space(request.param)


def drawn(space: Space, count: int, seed: int = 0) -> list[Genes]:
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


def test_samples_are_architectures_and_follow_the_seed(space: Space) -> None:
    first = drawn(space, 20)
    assert first == drawn(space, 20)
    assert first != drawn(space, 20, seed=1)
    assert all(space.check(genes) == space.canonical(genes) == genes for genes in first)


def test_texts_are_read_back(space: Space) -> None:
    for genes in drawn(space, 50):
        assert space.parse(space.text(genes)) == genes
        assert space.parse(f"  {space.text(genes)} ") == genes


@pytest.mark.parametrize("text", ["", "x", "0", "[1, 2", "||", "(0, 1)", "\x00", "9" * 5000, "__import__('os')"])
def test_other_texts_are_refused_in_one_line(space: Space, text: str) -> None:
    with pytest.raises(UsageError) as error:
        space.parse(text)
    assert space.name in str(error.value)
    assert len(str(error.value)) < 1000


def test_mutants_are_neighbours(space: Space) -> None:
    rng = np.random.default_rng(2)
    for genes in drawn(space, 3):
        around = set(space.neighbours(genes))
        assert genes not in around
        for _ in range(10):
            mutant = space.mutate(genes, rng)
            assert space.check(mutant) == mutant
            assert mutant in around


def test_neighbours_are_few_enough_to_be_read_and_differ_in_key_or_text(space: Space) -> None:
    genes = drawn(space, 1)[0]
    around = list(islice(space.neighbours(genes), 500))
    assert len(set(around)) == len(around) > 0
    assert len({space.text(one) for one in around}) == len(around)


def test_equal_keys_have_equal_canonical_keys(space: Space) -> None:
    for genes in drawn(space, 30):
        assert space.key(space.parse(space.text(genes))) == space.key(genes)


def test_encodings_tell_architectures_apart(space: Space) -> None:
    some = list(dict.fromkeys(drawn(space, 40)))
    vectors = np.stack([space.vec(genes) for genes in some])
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert len(np.unique(vectors, axis=0)) == len(some)


def test_encodings_are_decoded(space: Space) -> None:
    for genes in drawn(space, 100, seed=5):
        assert space.decode(space.vec(genes)) == genes


def test_cells_are_graphs_from_inputs_to_the_output(space: Space) -> None:
    for genes in drawn(space, 20):
        for cell in space.cells(genes).values():
            assert cell.adjacency.shape == (len(cell.operations),) * 2
            assert not np.tril(cell.adjacency).any()
            assert cell.operations[0].startswith("input")
            assert cell.operations[-1] == "output"


def test_small_spaces_are_enumerated_whole(space: Space) -> None:
    if space.count() > 20_000:
        if space.count() > 1_000_000:
            with pytest.raises(UsageError, match="too many"):
                next(iter(space.architectures()))
        return
    found = list(space.architectures())
    assert len(set(found)) == len(found) == space.count()
    assert {space.canonical(genes) for genes in found} == set(found)


@pytest.mark.parametrize("genes", [(), (0,), (99,) * 6, (-1,) * 22, (0,) * 400])
def test_genes_of_another_shape_are_refused(space: Space, genes: Genes) -> None:
    if len(genes) == len(space.options) and all(0 <= gene < count for gene, count in zip(genes, space.options, strict=True)):
        pytest.skip("an architecture of this space")
    with pytest.raises(UsageError, match="no architecture"):
        space.check(genes)


def test_there_is_no_neighbour_of_what_is_no_architecture(space: Space) -> None:
    own = drawn(space, 1)[0]
    wrong = (space.options[0], *own[1:])
    for ask in (lambda: space.mutate(wrong, np.random.default_rng(0)), lambda: list(space.neighbours(wrong))):
        with pytest.raises(UsageError, match="no architecture"):
            ask()


def test_settings_may_be_numbers_of_numpy() -> None:
    space = get_space("nasbench201", classes=np.int64(7))
    assert space == get_space("nasbench201", classes=7)
    assert type(space.settings["classes"]) is int


@pytest.mark.parametrize("name", SPACES)
def test_networks_run_alike_in_onnx_runtime_and_torch(name: str) -> None:
    import torch

    from nasopt.runtime.bridge import to_torch

    small = SMALL["resolution"].get(name)
    space = get_space(name, **({"resolution": small} if small else {}))
    for seed, genes in enumerate(drawn(space, 2, seed=7)):
        model = initialise(space.build(genes), seed)
        onnx.checker.check_model(model, full_check=True)
        graph = Graph(model)
        inputs = random_inputs(graph, seed)
        expected = run(open_session(model), inputs)
        with torch.no_grad():
            got = [value.numpy() for value in to_torch(graph)(inputs)]
        for one, other in zip(expected, got, strict=True):
            assert np.abs(one - other).max() <= 1e-4 * max(np.abs(one).max(), 1e-20)
            assert np.isfinite(one).all()


def test_networks_take_any_batch() -> None:
    space = get_space("nasbench201")
    model = initialise(space.build(drawn(space, 1)[0]))
    rows = np.random.default_rng(0).standard_normal((3, 3, 32, 32)).astype(np.float32)
    session = open_session(model)
    whole = run(session, {"input": rows})[0]
    parts = np.concatenate([run(session, {"input": rows[place : place + 1]})[0] for place in range(3)])
    assert whole.shape == (3, 10)
    np.testing.assert_allclose(whole, parts, rtol=1e-3, atol=1e-4 * np.abs(whole).max())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"colour": 1}, "no setting 'colour'"),
        ({"classes": "many"}, "whole number"),
        ({"classes": 0}, "positive"),
        ({"classes": True}, "whole"),
    ],
)
def test_settings_are_checked(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        get_space("nasbench201", **settings)


def test_an_unknown_space_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="did you mean nasbench201"):
        get_space("nasbench21")
