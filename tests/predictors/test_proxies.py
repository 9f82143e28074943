"""Proxies are what they are defined as; plain and bridged, alone and together, with the same numbers; and they leave the network alone."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from nasopt.errors import ModelNotSupportedError, UsageError
from nasopt.predictors.proxies.registry import PROXIES, known, scores
from tests.predictors.proxy_networks import CLASSES, ROWS, Small, bridged, inputs, labels

CLOSE = 1e-4
"""Relative: all but synflow are computed in single precision."""


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def products(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]


def reference() -> tuple[Small, torch.Tensor]:
    """In training mode, with the gradients of the loss."""
    network = Small(inplace=False).train()
    loss = functional.cross_entropy(network(inputs()), labels())
    loss.backward()
    return network, loss


def score(name: str, network: nn.Module | None = None) -> float:
    return scores(network or Small(), [inputs()], labels(), names=[name])[name]


# -- definitions


def test_there_are_thirteen() -> None:
    expected = "epe_nas fisher flops grad_norm grasp jacov l2_norm nwot params plain snip synflow zen".split()
    assert list(PROXIES) == expected
    assert all(proxy.source for proxy in PROXIES.values())


def test_counts() -> None:
    assert score("params") == sum(parameter.numel() for parameter in Small().parameters())
    assert score("flops") == 2 * (64 * 8 * 27 + 64 * 8 * 9 + 64 * 8 * 8 + 8 * CLASSES)


def test_sums_over_weights() -> None:
    network, _ = reference()
    pairs = [(layer.weight.detach(), layer.weight.grad) for layer in products(network)]
    assert score("l2_norm") == pytest.approx(sum(float(w.norm()) for w, _ in pairs), rel=CLOSE)
    assert score("grad_norm") == pytest.approx(sum(float(g.norm()) for _, g in pairs), rel=CLOSE)
    assert score("snip") == pytest.approx(sum(float((w * g).abs().sum()) for w, g in pairs), rel=CLOSE)
    assert score("plain") == pytest.approx(sum(float((w * g).sum()) for w, g in pairs), rel=1e-3, abs=1e-5)


def test_grasp_by_finite_differences() -> None:
    """H g is how the gradient changes along itself."""
    network = Small(inplace=False).double().train()

    def gradients(step: float, along: list[torch.Tensor]) -> list[torch.Tensor]:
        moved = copy.deepcopy(network)
        with torch.no_grad():
            for layer, direction in zip(products(moved), along, strict=True):
                layer.weight += step * direction
        functional.cross_entropy(moved(inputs().double()), labels()).backward()
        return [layer.weight.grad for layer in products(moved)]

    weights = [layer.weight.detach() for layer in products(network)]
    first = gradients(0.0, [torch.zeros_like(weight) for weight in weights])
    ahead, behind = (gradients(step, first) for step in (1e-4, -1e-4))
    expected = -sum(float((w * (a - b) / 2e-4).sum()) for w, a, b in zip(weights, ahead, behind, strict=True))
    assert score("grasp") == pytest.approx(expected, rel=1e-3)


def test_fisher_by_gates() -> None:
    """A gate on each channel of each row: its derivative is the sum over places of activation x gradient."""
    network, gates = Small(inplace=False).train(), []

    def gate(layer: nn.Module, _: object, output: torch.Tensor) -> torch.Tensor:
        gates.append((layer, torch.ones(*output.shape[:2], *[1] * (output.ndim - 2), requires_grad=True)))
        return output * gates[-1][1]

    for layer in products(network):
        layer.register_forward_hook(gate)
    (functional.cross_entropy(network(inputs()), labels())).backward()
    expected = 0.0
    for layer, opened in gates:
        by_channel = opened.grad.flatten(1).square().mean(0) / 2
        expected += float(by_channel.sum()) * math.prod(layer.weight.shape[1:])
    assert score("fisher") == pytest.approx(expected, rel=CLOSE)


def jacobian() -> np.ndarray:
    x = inputs().requires_grad_(True)
    Small(inplace=False).train()(x).sum().backward()
    return x.grad.flatten(1).double().numpy()


def test_jacov_and_epe_nas() -> None:
    rows = jacobian()
    values = np.linalg.eigvals(np.corrcoef(rows)).real
    assert score("jacov") == pytest.approx(-np.sum(np.log(values + 1e-5) + 1 / (values + 1e-5)), rel=1e-3)
    pairs = [np.corrcoef(rows[place], rows[place + CLASSES])[0, 1] for place in range(CLASSES)]
    expected = sum(abs(2 * math.log(abs(r) + 1e-5) + 2 * math.log(1 + 1e-5)) for r in pairs)
    assert score("epe_nas") == pytest.approx(expected, rel=1e-3)


def test_epe_nas_of_many_classes_compares_them() -> None:
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(5, 101)
            with torch.no_grad():
                self.fc.weight.copy_(torch.randn(101, 5, generator=torch.Generator().manual_seed(0)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(x.square())

    x = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    classes = torch.tensor([0, 0, 7, 7, 50])  # the last has one row and is left out
    found = scores(Wide(), [x], classes, names=["epe_nas"])["epe_nas"]
    rows = (2 * x * Wide().fc.weight.detach().sum(0)).double().numpy()
    s = [(2 * math.log(abs(np.corrcoef(rows[i], rows[i + 1])[0, 1]) + 1e-5) + 2 * math.log(1 + 1e-5)) / 2 for i in (0, 2)]
    assert found == pytest.approx(2 * abs(s[0] - s[1]) / 2, rel=1e-3)


def test_nwot_by_hand() -> None:
    network = nn.Sequential(nn.ReLU(), nn.Linear(3, 2))
    x = torch.tensor([[1.0, 1.0, -1.0], [1.0, -1.0, -1.0]])  # they agree on two of three
    assert scores(network, [x], names=["nwot"])["nwot"] == pytest.approx(math.log(3 * 3 - 2 * 2))


def test_nwot_counts_every_rectifier() -> None:
    network, patterns = Small(inplace=False).train(), []
    network.relu.register_forward_hook(lambda _, read, __: patterns.append((read[0] > 0).flatten(1).double()))
    network(inputs())
    assert len(patterns) == 3
    agree = sum(p @ p.T + (1 - p) @ (1 - p).T for p in patterns)
    assert score("nwot") == pytest.approx(float(torch.linalg.slogdet(agree)[1]), rel=1e-9)


@pytest.mark.parametrize("kind", [nn.ReLU6, nn.LeakyReLU, lambda: nn.PReLU(8), nn.PReLU])
def test_every_kind_of_rectifier_counts(kind: Callable[[], nn.Module]) -> None:
    network = Small()
    network.relu = kind()
    assert score("nwot", bridged(network)) == pytest.approx(score("nwot", network), rel=1e-6)


def test_synflow_is_the_sum_over_paths() -> None:
    """Of a chain of dense layers: all layers have the same score, the sum over outputs of |W2| |W1| 1."""
    network = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))
    first, last = (network[place].weight.detach().abs().double() for place in (0, 2))
    flow = float((last @ first).sum())
    assert scores(network, [torch.randn(2, 3)], names=["synflow"])["synflow"] == pytest.approx(2 * flow, rel=1e-12)


def test_synflow_passes_norms_by() -> None:
    network = Small(inplace=False).double()
    network.first, network.second = nn.Identity(), nn.Identity()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()
    network(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum().backward()
    expected = sum(float((layer.weight.detach() * layer.weight.grad).sum()) for layer in products(network))
    assert score("synflow") == pytest.approx(expected, rel=1e-9)


def test_zen_of_a_linear_map_is_its_step() -> None:
    """Without norms, rectifiers or a pool: the log of the mean |0.01 W e|, W and e normal; about sqrt(fan in) x outputs x 0.8 x 0.01."""
    network = nn.Linear(400, 300)
    found = scores(network, [torch.randn(64, 400)], names=["zen"])["zen"]
    assert found == pytest.approx(math.log(0.01 * 300 * 20 * math.sqrt(2 / math.pi)), abs=0.05)


def test_zen_gains_what_norms_take_away() -> None:
    """A norm divides by the standard deviation s of what the layer made: log s comes back, as far as a tenth of s² moves in two steps."""
    network = nn.Sequential(nn.Conv2d(16, 32, 1), nn.BatchNorm2d(32))
    x = torch.randn(16, 16, 8, 8)
    plain, normed = (scores(net, [x], names=["zen"])["zen"] for net in (network[0], network))
    running = 0.81 + 0.19 * 16
    assert normed - plain == pytest.approx(math.log(math.sqrt(running)) - math.log(4), abs=0.05)


def test_zen_reads_features_before_the_pool() -> None:
    class Headless(Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.features(x)

    assert score("zen", Headless()) == score("zen", Small())


def test_attention_is_counted_and_differentiated_twice() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.fc = nn.Linear(6, 18, bias=False), nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = self.mix(x).unsqueeze(1).chunk(3, -1)
            return self.fc(functional.scaled_dot_product_attention(q, k, v).mean((1, 2)))

    found = scores(Attending(), [torch.randn(4, 5, 6)], names=["flops", "grasp", "fisher"])
    assert found["flops"] == 2 * (5 * 6 * 18 + 2 * 5 * 5 * 6 + 6 * 3)
    assert math.isfinite(found["grasp"])
    assert found["fisher"] > 0


# -- manners


def test_together_and_one_by_one_are_the_same() -> None:
    together = scores(Small(), [inputs()], labels())
    assert list(together) == list(PROXIES)
    for name, value in together.items():
        assert score(name) == pytest.approx(value, rel=CLOSE, abs=1e-6)


def test_a_bridged_network_scores_as_the_module_it_came_from() -> None:
    module = Small()
    expected, found = (scores(network, [inputs()], labels()) for network in (module, bridged(module)))
    assert found == pytest.approx(expected, rel=CLOSE, abs=1e-6)


def test_the_network_is_left_alone() -> None:
    for network in (Small().train(), bridged(Small())):
        network.requires_grad_(False)
        before, mode = copy.deepcopy(network.state_dict()), network.training
        x = inputs()
        scores(network, [x])
        after = network.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert network.training == mode
        assert not any(parameter.requires_grad or parameter.grad is not None for parameter in network.parameters())
        assert torch.equal(x, inputs())
        assert not x.requires_grad


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000))
def test_the_seed_decides(seed: int) -> None:
    state = torch.random.get_rng_state()
    assert scores(Small(), [inputs()], seed=seed) == scores(Small(), [inputs()], seed=seed)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_another_seed_draws_other_labels_and_weights() -> None:
    first, second = (scores(Small(), [inputs()], seed=seed) for seed in (0, 1))
    differ = {name for name in PROXIES if first[name] != second[name]}
    assert differ >= {"zen", "snip", "grad_norm"}
    assert not differ & {"flops", "params", "l2_norm", "synflow", "nwot", "jacov"}


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(ROWS)))
def test_the_order_of_rows_does_not_matter(order: list[int]) -> None:
    names = ["fisher", "snip", "nwot", "jacov", "epe_nas", "grad_norm"]
    straight = scores(Small(), [inputs()], labels(), names=names)
    mixed = scores(Small(), [inputs()[order]], labels()[order], names=names)
    assert mixed == pytest.approx(straight, rel=1e-3)


def test_dropout_is_off_and_norms_are_on_the_batch() -> None:
    class Dropped(Small):
        def features(self, x: torch.Tensor) -> torch.Tensor:
            return functional.dropout(super().features(x), 0.9, self.training)

    assert scores(Dropped().train(), [inputs()], labels()) == scores(Small().eval(), [inputs()], labels())
    shifted = Small()
    shifted.first.running_mean += 100
    assert scores(shifted, [inputs()], labels()) == scores(Small(), [inputs()], labels())


def test_a_softmax_at_the_end_does_not_count() -> None:
    class Answering(Small):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).softmax(1)

    expected = scores(Small(), [inputs()], labels())
    for network in (Answering(), bridged(Answering())):
        found = scores(network, [inputs()], labels())
        assert found == pytest.approx(expected, rel=CLOSE, abs=1e-6)


def test_what_has_no_value_is_not_finite() -> None:
    of_loss = {"epe_nas", "fisher", "grad_norm", "grasp", "plain", "snip"}
    for network, x, missing in (
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 1)), torch.randn(3, 2, 2), {"nwot", *of_loss}),  # no classes
        (nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()), inputs(), {"epe_nas"}),  # a class a pixel
        (
            nn.Sequential(nn.Embedding(2, 3), nn.ReLU()),
            torch.ones(2, 4, dtype=torch.int64),
            {"epe_nas", "jacov", "nwot", "zen"},
        ),  # no floats
        (Twice(), inputs(), {"grasp"}),
    ):
        found = scores(network, [x])
        assert {name for name in PROXIES if not math.isfinite(found[name])} == missing


class Twice(Small):
    """An operator that has one derivative, and no second."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.aten.hardsigmoid(super().forward(x))


def test_names() -> None:
    assert known(()) == tuple(PROXIES)
    assert known(["zen", "flops", "zen"]) == ("flops", "zen")
    with pytest.raises(UsageError, match="no proxy 'zeno'; there are epe_nas"):
        known(["zeno"])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="two rows"):
        scores(Small(), [inputs()[:1]])
    with pytest.raises(UsageError, match="ask for"):
        scores(Small(), [inputs()], labels()[:3])
    with pytest.raises(UsageError, match="4 classes"):
        scores(Small(), [inputs()], labels() + 1)
    with pytest.raises(ModelNotSupportedError, match="float tensor"):
        scores(nn.Sequential(nn.Flatten(0)), [torch.ones(4, 2, dtype=torch.int64)], names=["flops"])
