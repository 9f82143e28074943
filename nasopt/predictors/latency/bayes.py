"""Latency as a sum of what operators take: a Bayesian model with a weight for every number of an encoding, all of them positive.

    log ms = log Σₖ exp(θₖ) φₖ + ε,     θ ~ N(μ, Σ),     ε ~ N(0, σ²)

`φ` is an encoding (`nasopt.predictors.latency.encoding`), `exp(θₖ)` what a device takes for one of its units. The vector θ is what
Multi-Predict (Akhauri and Abdelfattah, AutoML 2023) calls a hardware embedding: μ and Σ are learned from many devices, so that a few
measurements on another one place it among them (few-shot adaptation). Weights are positive, so whoever does less never takes longer:
a search cannot exploit the model where it has seen nothing.

The posterior is found by Gauss-Newton steps in the space of measurements, which are few, and Laplace's approximation gives deviations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

__all__ = ["Forward", "Gaussian", "adapted", "learned_prior", "log_sum", "posterior", "summed"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Forward = Callable[[Floats], tuple[Floats, Floats]]
"""From weights (numbers,) to log ms of every network, (n,), and its derivatives, (n, numbers)."""

TINY = 1e-300
STEPS, HALVINGS, ENOUGH = 50, 12, 1e-6
DOUBT = 1.0
"""How many devices the belief to begin with counts as in the covariance (an inverse Wishart prior): few devices leave doubt."""
NOISES = np.geomspace(0.005, 0.64, 15)
"""Deviations that are tried."""


@dataclass(frozen=True)
class Gaussian:
    """A belief about log weights.

    Attributes:
        mean: (numbers,), logarithms of milliseconds a unit.
        covariance: (numbers, numbers).
        noise: deviation of log ms around the sum.
        noise_spread: deviation of the noise's logarithm over devices.
    """

    mean: Floats
    covariance: Floats
    noise: float
    noise_spread: float = 0.7

    def predict(self, forward: Forward) -> tuple[Floats, Floats]:
        """Mean and deviation of log ms, (n,) both; the deviation has the noise in it."""
        values, shares = forward(self.mean)
        variance = np.einsum("nk,kl,nl->n", shares, self.covariance, shares)
        return values, np.sqrt(np.maximum(variance, 0.0) + self.noise**2)


def log_sum(theta: Floats, encodings: Floats) -> tuple[Floats, Floats]:
    """log Σ exp(θ) φ, (n,), and the share of each number in the sum, (n, numbers), which is the gradient by θ."""
    parts = encodings * np.exp(np.clip(theta, -60.0, 60.0))
    whole = np.maximum(parts.sum(axis=1), TINY)
    return np.log(whole), parts / whole[:, None]


def summed(encodings: Floats) -> Forward:
    """The model of encodings, (n, numbers)."""
    return lambda theta: log_sum(theta, encodings)


def posterior(prior: Gaussian, forward: Forward, log_ms: Floats, noise: float | None = None) -> tuple[Gaussian, float]:
    """What is believed after measurements, and the logarithm of how likely they were.

    Args:
        prior: before them.
        forward: of the networks that were timed.
        log_ms: logarithms of their milliseconds, (n,).
        noise: deviation of each; the prior's if left out.
    """
    noise = prior.noise if noise is None else noise
    spread, own = prior.covariance, noise**2 * np.eye(len(log_ms))
    b = np.zeros(len(prior.mean))  # θ = μ + Σ b: singular covariances need no inverse
    moved = np.zeros(len(prior.mean))
    values, shares = forward(prior.mean)
    cost = float(((log_ms - values) ** 2).sum()) / noise**2
    for _step in range(STEPS):
        target = shares.T @ np.linalg.solve(shares @ spread @ shares.T + own, log_ms - values + shares @ moved)
        size = 1.0
        for _halving in range(HALVINGS):
            tried = b + size * (target - b)
            new_moved = spread @ tried
            new_values, new_shares = forward(prior.mean + new_moved)
            new_cost = float(((log_ms - new_values) ** 2).sum()) / noise**2 + float(tried @ new_moved)
            if new_cost <= cost:
                break
            size /= 2
        else:
            break
        done = cost - new_cost < ENOUGH * max(1.0, cost)
        b, moved, values, shares, cost = tried, new_moved, new_values, new_shares, new_cost
        if done:
            break
    inside = shares @ spread @ shares.T + own
    covariance = spread - spread @ shares.T @ np.linalg.solve(inside, shares @ spread)
    residue = log_ms - values + shares @ moved
    evidence = -0.5 * float(residue @ np.linalg.solve(inside, residue)) - 0.5 * float(np.linalg.slogdet(inside)[1])
    return Gaussian(prior.mean + moved, (covariance + covariance.T) / 2, noise, prior.noise_spread), evidence


def adapted(prior: Gaussian, forward: Forward, log_ms: Floats) -> Gaussian:
    """`posterior` with the noise that is most likely, given how it differs from device to device."""
    tried = [posterior(prior, forward, log_ms, float(noise)) for noise in NOISES]
    worth = [evidence - 0.5 * (np.log(one.noise / prior.noise) / prior.noise_spread) ** 2 for one, evidence in tried]
    return tried[int(np.argmax(worth))][0]


def learned_prior(
    start: Gaussian, tasks: Sequence[tuple[Floats, Floats]], *, rounds: int = 20, least: float = 1e-3
) -> tuple[Gaussian, list[Gaussian]]:
    """Mean and covariance over devices by expectation maximisation (empirical Bayes).

    Args:
        start: what to begin with.
        tasks: once a device and set of networks, encodings (n, numbers) and log ms (n,).
        rounds: of both steps.
        least: least noise of a task.

    Returns:
        The prior, whose noise is the median of the tasks', and the posterior of each task.
    """
    prior, noises = start, [start.noise] * len(tasks)
    found: list[Gaussian] = []
    for _round in range(rounds):
        found = [posterior(prior, summed(task[0]), task[1], noise)[0] for task, noise in zip(tasks, noises, strict=True)]
        noises = [_noise(one, *task, least) for one, task in zip(found, tasks, strict=True)]
        means = np.stack([one.mean for one in found])
        mean = means.mean(axis=0)
        spread = np.sum([one.covariance for one in found], axis=0) + (means - mean).T @ (means - mean)
        covariance = (spread + DOUBT * start.covariance) / (len(found) + DOUBT)
        prior = Gaussian(mean, covariance, float(np.median(noises)), float(np.log(noises).std()))
    return prior, [replace(one, noise=noise) for one, noise in zip(found, noises, strict=True)]


def _noise(one: Gaussian, encodings: Floats, log_ms: Floats, least: float) -> float:
    """Deviation of what is left, the uncertainty of the weights included."""
    values, shares = log_sum(one.mean, encodings)
    doubt = np.einsum("nk,kl,nl->n", shares, one.covariance, shares)
    return max(least, float(np.sqrt(((log_ms - values) ** 2 + doubt).mean())))
