"""What kind each output is, and that its loss is 0 at the original, about 1 at its mean, and blind to units."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nasopt.errors import UsageError
from nasopt.runtime.losses import OutputLoss, output_losses, total_loss


def softmax(scores: np.ndarray, axis: int = 1) -> np.ndarray:
    shares = np.exp(scores - scores.max(axis, keepdims=True))
    return shares / shares.sum(axis, keepdims=True)


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def loss_of(values: np.ndarray) -> OutputLoss:
    (loss,) = output_losses({"y": np.array_split(values, 3)})
    return loss


def test_kinds() -> None:
    scores = drawn(60, 10)
    assert loss_of(softmax(scores)).kind == "probabilities"
    assert loss_of(scores).kind == "values"
    assert loss_of(drawn(60, 64)).kind == "row"
    assert loss_of(scores / np.linalg.norm(scores, axis=1, keepdims=True)).kind == "row"
    assert loss_of(np.abs(drawn(60, 1))).kind == "values"
    assert loss_of(drawn(60, 17, 8, 8)).kind == "values"
    assert loss_of(drawn(60)).kind == "values"


def test_channels() -> None:
    assert loss_of(drawn(12, 17, 8, 9)).scale.shape == (1, 17, 1, 1)
    assert loss_of(drawn(12, 100, 4)).scale.shape == (1, 1, 4)
    assert loss_of(drawn(12, 84, 100)).scale.shape == (1, 84, 1)
    assert loss_of(drawn(60)).scale.shape == (1,)
    maps = loss_of(softmax(drawn(9, 5, 4, 4)))
    assert (maps.kind, maps.axis) == ("probabilities", 1)
    rows = loss_of(softmax(drawn(9, 7, 5), 2))
    assert (rows.kind, rows.axis) == ("probabilities", 2)


@pytest.mark.parametrize(
    "values", [softmax(drawn(60, 10)), drawn(60, 10), drawn(60, 64), drawn(60, 3, 4, 4), drawn(60, 20, 4), drawn(60)], ids=np.shape
)
def test_nothing_at_the_original_and_a_gradient_everywhere_else(values: np.ndarray) -> None:
    loss, wanted = loss_of(values), torch.from_numpy(values)
    assert loss(wanted, wanted).item() == 0
    other = wanted.flip(0).clone().requires_grad_()
    distance = loss(other, wanted)
    assert distance.item() > 0.1
    distance.backward()
    assert other.grad is not None
    assert other.grad.isfinite().all()
    assert other.grad.abs().sum() > 0


def test_probabilities_are_compared_as_the_scores_they_were() -> None:
    scores, other = drawn(60, 40), drawn(60, 40, seed=1)
    through = loss_of(softmax(scores))(torch.from_numpy(softmax(other)), torch.from_numpy(softmax(scores)))
    direct = loss_of(scores)(torch.from_numpy(other), torch.from_numpy(scores))
    assert through.item() == pytest.approx(direct.item(), rel=0.05)


def test_the_mean_answer_is_about_one_off_whatever_the_units() -> None:
    for values in (drawn(60, 3, 4, 4), drawn(60, 64), drawn(60), drawn(60, 20, 4)):
        for factor in (1e-3, 1.0, 1e4):
            scaled = torch.from_numpy(factor * values + np.float32(10 * factor))
            mean = scaled.mean(0, keepdim=True).expand_as(scaled)
            assert 0.8 < loss_of(scaled.numpy())(mean, scaled).item() < 1.2


def test_coordinates_and_scores_count_the_same() -> None:
    values = drawn(60, 5, 4) * np.array([1e3, 1e3, 1, 1], np.float32)
    wanted, loss = torch.from_numpy(values), loss_of(values)
    errors = []
    for column in range(4):
        given = wanted.clone()
        given[..., column] = 0
        errors.append(loss(given, wanted).item())
    assert max(errors) < 1.5 * min(errors)


def test_a_dead_channel_does_not_explode() -> None:
    values = drawn(60, 3, 4, 4)
    values[:, 1] = 0.5
    assert loss_of(values)(torch.from_numpy(values) + 0.1, torch.from_numpy(values)).item() < 1


def test_a_student_without_doubt_is_finite() -> None:
    values = softmax(drawn(20, 5))
    given = torch.zeros(20, 5)
    given[:, 0] = 1
    assert torch.isfinite(loss_of(values)(given, torch.from_numpy(values)))


def test_what_says_nothing_is_left_out() -> None:
    wrong = drawn(6, 3)
    wrong[2, 1] = np.inf
    nothing = {"a": [np.arange(6)], "b": [np.ones((6, 2), np.float32)], "c": [wrong]}
    assert [loss.output for loss in output_losses({**nothing, "d": [drawn(6, 3)]})] == ["d"]
    with pytest.raises(UsageError, match="a, b, c"):
        output_losses(nothing)


def test_the_total_is_the_mean_over_outputs() -> None:
    answers = {"p": softmax(drawn(20, 5)), "q": drawn(20, 5, seed=1)}
    losses = output_losses({name: [value] for name, value in answers.items()})
    wanted = {name: torch.from_numpy(value) for name, value in answers.items()}
    given = {name: value.flip(0) for name, value in wanted.items()}
    single = [loss(given[loss.output], wanted[loss.output]).item() for loss in losses]
    assert total_loss(losses, given, wanted).item() == pytest.approx(np.mean(single), rel=1e-5)
