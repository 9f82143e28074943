"""What few measurements say of many candidates: a Gaussian process with a linear and a smooth part (Rasmussen and Williams, 2006).

    k(x, y) = a x·y / d + (1 − a) exp(−‖x − y‖² / (2 c² d)) + s² [x = y]

How much is linear (a), how smooth the rest is (c) and how noisy the measurements are (s) is what makes them most likely; ten measurements
rarely say, so the linear form goes before the others unless these are clearly more likely.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

__all__ = ["GaussianProcess", "normal_scores"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

SHAPES = ((1.0, 1.0), *product((0.5, 0.0), (0.5, 1.0, 2.0)))
"""Shares of the linear part, and lengths of the smooth one in units of √d."""
NOISES = (0.1, 0.3, 1.0)
CLEARLY = 3.0
"""By how much a logarithm of likelihood has to exceed the linear form's."""
TINY = 1e-12


def normal_scores(values: Floats) -> Floats:
    """Every column's ranks as quantiles of a normal distribution, (n,) or (n, m): scales of proxies and losses do not matter then."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    return np.asarray(ndtri((rankdata(values, axis=0) - 0.5) / len(values)), np.float64)


@dataclass(frozen=True)
class GaussianProcess:
    """A belief about values of candidates.

    Attributes:
        known: features of the measured, (k, d).
        shape: (a, c).
        mean: of the measured values.
        amplitude: deviation of values.
        inverse: of the measured values' covariance, in units of the amplitude's square, (k, k).
        weights: (k,).
    """

    known: Floats
    shape: tuple[float, float]
    mean: float
    amplitude: float
    inverse: Floats
    weights: Floats

    @classmethod
    def fit(cls, features: Floats, values: Floats) -> GaussianProcess:
        """Learns from measurements.

        Args:
            features: of each measured candidate, (k, d), on scales of about 1.
            values: (k,).
        """
        mean, best, found = float(values.mean()), -np.inf, None
        residue, count = values - mean, len(values)
        for shape in SHAPES:
            kernel = _kernel(features, features, shape)
            for noise in NOISES:
                inside = kernel + noise**2 * np.eye(count)
                inverse = np.asarray(np.linalg.inv(inside), np.float64)
                weights = inverse @ residue
                variance = max(float(residue @ weights) / count, TINY)
                evidence = -0.5 * count * np.log(variance) - 0.5 * float(np.linalg.slogdet(inside)[1]) - CLEARLY * (shape[0] < 1.0)
                if evidence > best:
                    best, found = evidence, cls(features, shape, mean, float(np.sqrt(variance)), inverse, weights)
        assert found is not None
        return found

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Means and deviations of candidates, (n,) both; `features` is (n, d)."""
        across = _kernel(features, self.known, self.shape)
        share, size = self.shape[0], features.shape[1]
        own = share * (features**2).sum(axis=1) / size + 1.0 - share
        left = np.maximum(own - np.einsum("ij,jk,ik->i", across, self.inverse, across, optimize=True), 0.0)
        return self.mean + across @ self.weights, self.amplitude * np.sqrt(left)


def _kernel(one: Floats, other: Floats, shape: tuple[float, float]) -> Floats:
    (share, length), size = shape, one.shape[1]
    product_of = one @ other.T
    found = share * product_of / size
    if share < 1.0:
        apart = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None] - 2 * product_of
        found = found + (1.0 - share) * np.exp(-np.maximum(apart, 0.0) / (2 * length**2 * size))
    return np.asarray(found)
