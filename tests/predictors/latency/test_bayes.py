"""What is learned of devices, and from few measurements."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.errors import UsageError
from nasopt.predictors.latency.bayes import Gaussian, adapted, learned_prior, log_sum, posterior, summed
from nasopt.predictors.latency.checkpoint import load_prior, save_prior
from nasopt.predictors.latency.encoding import names

NUMBERS = 12


def networks(rng: np.random.Generator, count: int) -> np.ndarray:
    """Encodings, some numbers of which are zero."""
    return np.exp(rng.standard_normal((count, NUMBERS))) * (rng.random((count, NUMBERS)) < 0.7) + 1e-3


def devices(rng: np.random.Generator, count: int) -> np.ndarray:
    """Log weights that differ mostly in one direction: fast and slow devices."""
    usual, direction = np.linspace(-3, 1, NUMBERS), rng.standard_normal(NUMBERS)
    speed, kind, own = (rng.standard_normal((count, width)) for width in (1, 1, NUMBERS))
    return usual + speed + kind * direction + 0.1 * own


def tasks_of(rng: np.random.Generator, thetas: np.ndarray, count: int, noise: float) -> list[tuple[np.ndarray, np.ndarray]]:
    found = []
    for theta in thetas:
        encodings = networks(rng, count)
        found.append((encodings, log_sum(theta, encodings)[0] + noise * rng.standard_normal(count)))
    return found


BROAD = Gaussian(np.zeros(NUMBERS), np.eye(NUMBERS) + 4.0, 0.1)


def test_derivatives_are_those_of_differences() -> None:
    rng = np.random.default_rng(0)
    encodings, theta = networks(rng, 5), rng.standard_normal(NUMBERS)
    _, shares = log_sum(theta, encodings)
    for place in range(NUMBERS):
        step = np.eye(NUMBERS)[place] * 1e-6
        difference = (log_sum(theta + step, encodings)[0] - log_sum(theta - step, encodings)[0]) / 2e-6
        np.testing.assert_allclose(shares[:, place], difference, atol=1e-7)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)


@pytest.mark.parametrize("seed", range(5))
def test_many_measurements_find_the_weights_and_few_leave_doubt(seed: int) -> None:
    rng = np.random.default_rng(seed)
    theta = devices(rng, 1)[0]
    encodings = networks(rng, 400)
    log_ms = log_sum(theta, encodings)[0]
    many, _ = posterior(BROAD, summed(encodings), log_ms, 0.01)
    few, _ = posterior(BROAD, summed(encodings[:5]), log_ms[:5], 0.01)
    assert np.abs(many.mean - theta).max() < 0.3
    assert (np.diag(many.covariance) <= np.diag(few.covariance) + 1e-9).all()
    assert (np.diag(few.covariance) <= np.diag(BROAD.covariance) + 1e-9).all()
    assert np.linalg.eigvalsh(few.covariance).min() > -1e-8


def test_what_other_devices_teach_makes_few_measurements_enough_and_deviations_honest() -> None:
    rng = np.random.default_rng(1)
    thetas = devices(rng, 60)
    prior, found = learned_prior(BROAD, tasks_of(rng, thetas[:40], 100, 0.03), rounds=10)
    assert len(found) == 40
    assert 0.02 < prior.noise < 0.05
    errors: dict[bool, list[float]] = {True: [], False: []}
    inside = []
    for encodings, log_ms in tasks_of(rng, thetas[40:], 60, 0.03):
        for informed in (True, False):
            belief = adapted(prior if informed else BROAD, summed(encodings[:6]), log_ms[:6])
            logs, deviations = belief.predict(summed(encodings[6:]))
            errors[informed].append(float(np.median(np.abs(logs - log_ms[6:]))))
            if informed:
                inside.append(float((np.abs(logs - log_ms[6:]) < deviations).mean()))
    assert np.mean(errors[True]) < 0.5 * np.mean(errors[False])
    assert 0.5 < np.mean(inside) < 0.9  # 0.68 for normal errors


def test_noise_is_found_from_measurements() -> None:
    rng = np.random.default_rng(2)
    theta = devices(rng, 1)
    for noise in (0.01, 0.2):
        encodings, log_ms = tasks_of(rng, theta, 80, noise)[0]
        assert adapted(BROAD, summed(encodings), log_ms).noise == pytest.approx(noise, rel=0.6)


def test_a_belief_survives_its_file(tmp_path) -> None:
    count = len(names())
    rng = np.random.default_rng(3)
    half = rng.standard_normal((count, count))
    prior = Gaussian(rng.standard_normal(count), half @ half.T, 0.05, 0.6)
    save_prior(prior, {"about": "a test"}, tmp_path)
    again = load_prior(tmp_path)
    np.testing.assert_allclose(again.mean, prior.mean, rtol=1e-6)
    np.testing.assert_allclose(again.covariance, prior.covariance, rtol=1e-5, atol=1e-4)
    assert (again.noise, again.noise_spread) == (prior.noise, prior.noise_spread)


@pytest.mark.parametrize("damage", ["weights", "numbers", "card", "absent"])
def test_a_damaged_file_is_one_line(tmp_path, damage: str) -> None:
    save_prior(Gaussian(np.zeros(len(names())), np.eye(len(names())), 0.05), {}, tmp_path)
    card, weights = tmp_path / "card.json", tmp_path / "latency.safetensors"
    match damage:
        case "weights":
            weights.write_bytes(weights.read_bytes()[:-8])
        case "numbers":
            card.write_text(card.read_text().replace("dense conv: macs", "dense conv: something"))
        case "card":
            card.write_text("{")
        case _:
            weights.unlink()
    with pytest.raises(UsageError, match="no belief about latencies"):
        load_prior(tmp_path)


def test_the_belief_that_ships_is_whole() -> None:
    prior = load_prior()
    assert len(prior.mean) == len(names())
    assert np.linalg.eigvalsh(prior.covariance).min() > -1e-3
    assert 0.005 < prior.noise < 0.5
