"""Flips and crops: what moves, what stays, and that all images of a sample move alike."""

from __future__ import annotations

import numpy as np
import pytest

from nasopt.errors import UsageError
from nasopt.runtime.augment import Augment


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def test_names() -> None:
    assert Augment.named(["crop"]) == Augment(crop=True)
    assert Augment.named(["flip", "crop"]) == Augment(flip=True, crop=True)
    with pytest.raises(UsageError, match=r"'twist'.*flip and crop"):
        Augment.named(["twist"])


def test_about_half_of_the_images_are_mirrored() -> None:
    x = images(64, 3, 5, 7)
    (got,) = Augment(flip=True)({"x": x}, np.random.default_rng(1)).values()
    mirrored = [np.array_equal(new, old[:, :, ::-1]) for new, old in zip(got, x, strict=True)]
    same = [np.array_equal(new, old) for new, old in zip(got, x, strict=True)]
    assert 16 < sum(mirrored) < 48
    assert sum(mirrored) + sum(same) == 64


def test_channels_last_is_the_same_with_axes_moved() -> None:
    x, both = images(8, 3, 16, 24), Augment(flip=True, crop=True)
    first = both({"x": x}, np.random.default_rng(2))["x"]
    last = both({"x": x.transpose(0, 2, 3, 1)}, np.random.default_rng(2))["x"]
    assert np.array_equal(first, last.transpose(0, 3, 1, 2))


def test_a_crop_moves_by_up_to_an_eighth_and_reflects() -> None:
    x = np.broadcast_to(np.arange(32, dtype=np.float32), (200, 1, 32, 32)).copy()
    got = Augment(crop=True)({"x": x}, np.random.default_rng(3))["x"]
    assert got.dtype == np.float32
    starts = got[:, 0, 0, 16] - 16
    assert set(starts) == set(range(-4, 5))
    assert np.array_equal(got[starts == -2][0, 0, 0, :4], [2, 1, 0, 1])


def test_images_of_one_sample_move_alike_and_the_rest_stays() -> None:
    x, other = images(6, 3, 16, 16), images(6, 4)
    got = Augment(flip=True, crop=True)({"a": x, "b": x.copy(), "other": other}, np.random.default_rng(4))
    assert np.array_equal(got["a"], got["b"])
    assert not np.array_equal(got["a"], x)
    assert got["other"] is other


def test_nothing_is_changed_in_place_and_a_seed_says_it_all() -> None:
    x = images(4, 3, 8, 8)
    kept = x.copy()
    first, again = (Augment(flip=True, crop=True)({"x": x}, np.random.default_rng(5))["x"] for _ in range(2))
    assert np.array_equal(first, again)
    assert np.array_equal(x, kept)


def test_small_images() -> None:
    for size in ((5, 5), (6, 30), (32, 5)):
        assert Augment(flip=True, crop=True)({"x": images(2, 3, *size)}, np.random.default_rng(6))["x"].shape == (2, 3, *size)


def test_no_images() -> None:
    with pytest.raises(UsageError, match=r"tokens 2x9"):
        Augment(flip=True)({"tokens": images(2, 9)}, np.random.default_rng(0))
