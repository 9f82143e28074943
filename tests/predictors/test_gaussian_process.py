"""Few-shot regression on functions whose form is known."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.predictors.gaussian_process import GaussianProcess, normal_scores


@pytest.mark.parametrize("seed", range(4))
def test_linear_and_smooth_functions_are_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((300, 5))
    linear, smooth = features @ rng.standard_normal(5), np.sin(1.5 * features[:, 0]) * np.cos(features[:, 1])
    for values, few, least in ((linear, 15, 0.99), (smooth, 120, 0.8)):
        mean, deviation = GaussianProcess.fit(features[:few], values[:few]).predict(features)
        assert np.corrcoef(mean[few:], values[few:])[0, 1] > least
        assert (deviation >= 0).all()
        assert deviation[:few].mean() < deviation[few:].mean()
    noisy = linear + rng.standard_normal(300)
    assert GaussianProcess.fit(features[:15], noisy[:15]).shape[0] == 1.0  # a handful does not say more
    assert GaussianProcess.fit(features[:120], smooth[:120]).shape[0] < 1.0


def test_scale_and_offset_of_values_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    features, values = rng.standard_normal((12, 3)), rng.standard_normal(12)
    mean, deviation = GaussianProcess.fit(features, values).predict(features)
    moved, wider = GaussianProcess.fit(features, 5 + 3 * values).predict(features)
    np.testing.assert_allclose(moved, 5 + 3 * mean)
    np.testing.assert_allclose(wider, 3 * deviation)


def test_equal_values_and_features_say_nothing() -> None:
    mean, deviation = GaussianProcess.fit(np.zeros((4, 2)), np.full(4, 7.0)).predict(np.ones((3, 2)))
    np.testing.assert_allclose(mean, 7.0)
    assert np.isfinite(deviation).all()


def test_normal_scores_are_of_ranks() -> None:
    values = np.random.default_rng(0).standard_normal((50, 2))
    scores = normal_scores(values)
    np.testing.assert_allclose(scores, normal_scores(np.exp(values)))
    assert (np.argsort(scores, axis=0) == np.argsort(values, axis=0)).all()
    assert abs(scores.mean()) < 1e-12
    assert normal_scores(np.array([1.0, 1.0, 2.0]))[0] == normal_scores(np.array([1.0, 1.0, 2.0]))[1]
