"""Small pictures: their size, and that their colours are those of the numbers."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from nasopt.runtime import pictures


def opened(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((8, 8), (160, 160)),
        ((32, 24), (160, 120)),
        ((81, 81), (81, 81)),
        ((160, 90), (160, 90)),
        ((640, 320), (160, 80)),
        ((999, 1), (160, 1)),
    ],
)
def test_size(shape: tuple[int, int], size: tuple[int, int]) -> None:
    assert opened(pictures.image(np.zeros((*shape, 3), np.uint8))).shape == (*size, 3)
    assert opened(pictures.image(np.zeros((*shape, 1), np.uint8))).shape == size
    assert opened(pictures.mask(np.zeros(shape, np.int64))).shape == (*size, 3)


def test_small_pictures_keep_their_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 12, 3), np.uint8)
    assert (opened(pictures.image(pixels))[5::10, 5::10] == pixels).all()


def test_heat_runs_from_dark_to_light_and_is_clipped() -> None:
    drawn = opened(pictures.heat(np.linspace(-3, 5, 81).repeat(81).reshape(81, 81), -1, 3)).astype(float) @ [0.299, 0.587, 0.114]
    bright = drawn[:, 0]
    assert (drawn == bright[:, None]).all()
    assert (np.diff(bright[21:61]) > 0).all()
    assert (np.diff(bright[:20]) == 0).all()
    assert (np.diff(bright[61:]) == 0).all()
    assert np.ptp(opened(pictures.heat(np.ones((4, 4)), 1, 1))) < 256  # a range of nothing is no division by zero


def test_masks_have_a_colour_a_class_and_no_shades_between() -> None:
    classes = np.arange(256).reshape(16, 16) % 16
    drawn = opened(pictures.mask(classes))
    colours = {tuple(pixel) for pixel in drawn.reshape(-1, 3)}
    assert len(colours) == 16
    large = opened(pictures.mask(np.kron(classes, np.ones((37, 37), np.int64))))
    assert {tuple(pixel) for pixel in large.reshape(-1, 3)} == colours
    assert opened(pictures.mask(np.full((4, 4), 255))).shape == (160, 160, 3)
