"""Pictures become what the network was trained on, or one line says what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nasopt.errors import UsageError
from nasopt.runtime.preprocess import EXAMPLE, Preprocess, image_layout, read_preprocess

NORM = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
RGB = (1, 3, 8, 6)


def prep(shape: tuple[int, ...] = RGB, **keys: object) -> Preprocess:
    return read_preprocess(json.dumps({**NORM, **keys}), "x", shape)


def picture(height: int, width: int, mode: str = "RGB") -> Image.Image:
    channels = () if mode == "L" else (len(mode),)
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, *channels), np.uint8))


def test_what_the_network_tells_need_not_be_said() -> None:
    read = prep()
    assert (read.size, read.layout, read.channels, read.scale) == ((8, 6), "NCHW", "RGB", 1 / 255)
    assert (read.resize, read.resize_to, read.interpolation) == ("crop", None, "bilinear")
    gray = read_preprocess('{"mean": 0.5, "std": 0.5}', "x", (1, 28, 28, 1))
    assert (gray.layout, gray.channels, gray.mean, gray.std) == ("NHWC", "gray", (0.5,), (0.5,))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("channels", ["RGB", "BGR"])
def test_the_formula(layout: str, channels: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 6, 3), np.uint8)
    shape = (1, 3, 8, 6) if layout == "NCHW" else (1, 8, 6, 3)
    fed = prep(shape, channels=channels).feed(pixels)
    ordered = pixels[..., ::-1] if channels == "BGR" else pixels
    expected = (ordered / 255 - NORM["mean"]) / NORM["std"]
    assert fed.dtype == np.float32
    assert fed.flags.c_contiguous
    assert np.allclose(fed, expected if layout == "NHWC" else expected.transpose(0, 3, 1, 2), atol=1e-5)


def test_means_in_pixels() -> None:
    fed = read_preprocess('{"scale": 1, "mean": 127.5, "std": 128}', "x", RGB).feed(np.full((1, 8, 6, 3), 255, np.uint8))
    assert fed == pytest.approx(127.5 / 128)


def test_json_and_toml_files_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "prep.json").write_text(json.dumps(NORM))
    (tmp_path / "prep.toml").write_text("mean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]\n")
    assert prep() == read_preprocess(tmp_path / "prep.json", "x", RGB) == read_preprocess(str(tmp_path / "prep.toml"), "x", RGB)


@pytest.mark.parametrize(
    ("of", "keys", "target"),
    [
        ((8, 6), {}, (8, 6)),  # height, width
        ((16, 24), {}, (8, 12)),
        ((24, 12), {}, (12, 6)),
        ((16, 24), {"resize_to": 10}, (10, 15)),
        ((24, 16), {"resize_to": 8}, (12, 8)),
        ((16, 24), {"resize": "stretch"}, (8, 6)),
        ((3, 3), {}, (8, 8)),
    ],
)
def test_sizes_before_the_crop(of: tuple[int, int], keys: dict[str, object], target: tuple[int, int]) -> None:
    image = picture(*of)
    expected = np.asarray(image.resize(target[::-1], Image.Resampling.BICUBIC) if target != of else image)
    top, left = round((target[0] - 8) / 2), round((target[1] - 6) / 2)
    assert (prep(interpolation="bicubic", **keys).pixels(image) == expected[top : top + 8, left : left + 6]).all()


def test_gray_and_transparent_pictures() -> None:
    assert prep().pixels(picture(8, 6, "L")).shape == (8, 6, 3)
    image = picture(8, 6, "RGBA")
    assert (prep().pixels(image) == np.asarray(image)[..., :3]).all()
    palette = image.convert("RGB").quantize(16)
    palette.info["transparency"] = b"\x00\x80"
    assert prep().pixels(palette).shape == (8, 6, 3)
    assert read_preprocess('{"mean": 0, "std": 1}', "x", (1, 1, 8, 6)).pixels(image).shape == (8, 6, 1)


def test_deep_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 8 bits"):
        prep().pixels(Image.fromarray(np.zeros((8, 6), np.uint16)))


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((1, 3, 32, 32), "NCHW"), ((1, 32, 32, 3), "NHWC"), ((1, 3, 4, 4), None), ((1, 16, 32, 32), None), ((1, 3, 32), None)],
)
def test_layouts(shape: tuple[int, ...], layout: str | None) -> None:
    assert image_layout(shape) == layout


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"sdt": 1}, "unknown key 'sdt'; did you mean std?"),
        ({"zzz": 1}, r"unknown key 'zzz' \(keys: size, resize"),
        ({"mean": None}, "mean is missing: .*for example --preprocess"),
        ({"std": None}, "std is missing"),
        ({"mean": [1, 2]}, "mean must be a number or a list of 3, one a channel"),
        ({"mean": True}, "mean must be a number"),
        ({"std": "1"}, "std must be a number"),
        ({"std": [1, 0, 1]}, "std must be positive, not 1, 0, 1"),
        ({"mean": 127}, 'outside of pixel [*] scale, which goes from 0 to 1; for a mean in 0 to 255, say "scale": 1'),
        ({"scale": 0}, "scale must be positive"),
        ({"scale": [1, 2, 3]}, "scale must be a number, not"),
        ({"size": [6, 8]}, "size is 6x8, but input 'x' takes 8x6"),
        ({"size": 8}, "size must be .height, width., not 8"),
        ({"size": [8, True]}, "size must be"),
        ({"resize": "fit"}, 'resize must be one of crop, stretch, not "fit"'),
        ({"resize": ["crop"]}, "resize must be one of"),
        ({"resize_to": 7}, "resize_to must be an integer of at least 8"),
        ({"resize_to": 9, "resize": "stretch"}, "resize_to is the shorter side before cropping"),
        ({"interpolation": "lanczos"}, "interpolation must be one of bilinear, bicubic, nearest"),
        ({"channels": "gray"}, "channels are gray, but input 'x' has 3"),
        ({"layout": "NHWC"}, "input 'x' has 6 channels"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(keys: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prep(**keys)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 32), "four dimensions"),
        ((1, 3, 4, 4), "does not tell the layout"),
        ((1, 4, 32, 32), "4 channels"),
    ],
)
def test_inputs_that_take_no_images(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prep(shape)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "half.json").write_text("{")
    (tmp_path / "half.toml").write_text("mean = [")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    for name, message in {
        "list.json": "must hold keys and values",
        "half.json": "not valid JSON",
        "half.toml": "not valid TOML",
        "bytes.json": "not text",
        "none.json": "No such file",
        "": "directory",
    }.items():
        with pytest.raises(UsageError, match=message):
            read_preprocess(tmp_path / name, "x", RGB)
    with pytest.raises(UsageError, match="--preprocess: not valid JSON"):
        read_preprocess('{"mean": }', "x", RGB)


def test_the_example_is_one() -> None:
    assert read_preprocess(EXAMPLE.split("'")[1], "x", RGB) == prep()
