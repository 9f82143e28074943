"""Inputs to learn from and to judge by, from what users have, or one line that says what is wrong with it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from nasopt.errors import UsageError
from nasopt.graphs.graph import Graph, load_graph
from nasopt.runtime import calibration
from nasopt.runtime.calibration import Calibration, read_calibration, synthetic_calibration
from tests.small import Net

NORM = '{"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'


def network(*shape: int | str, dtype: int = TensorProto.FLOAT) -> Graph:
    net = Net(x=shape or ("N", 3, 8, 6), dtype=dtype)
    return Graph(net.model(net.op("Identity", "x")))


def two_inputs() -> Graph:
    net = Net(x=("N", 4))
    net.inputs.append(helper.make_tensor_value_info("tokens", TensorProto.INT64, ["N", 2]))
    return Graph(net.model(net.op("Add", "x", "x"), net.op("Identity", "tokens")))


def saved(path: Path, array: object) -> Path:
    np.save(path, array)  # type: ignore[arg-type]
    return path


def floats(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, *(shape or (3, 8, 6)))).astype(np.float32)


def sizes(batches: Sequence[dict[str, np.ndarray]]) -> list[int]:
    return [len(batch["x"]) for batch in batches]


def rows(made: Calibration) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.concatenate([batch["x"] for batch in part]) for part in (made.fit, made.held_out))  # type: ignore[return-value]


def equal(one: Calibration, other: Calibration) -> bool:
    return all((a == b).all() for a, b in zip(rows(one), rows(other), strict=True))


def test_floats_are_fed_as_they_are(tmp_path: Path) -> None:
    data = floats(200)
    made = read_calibration(saved(tmp_path / "a.npy", data), network())
    fit, held = rows(made)
    assert (made.count, made.source, made.synthetic) == (200, "200 inputs of a.npy", False)
    assert (len(fit), len(held)) == (180, 20)
    assert sizes(made.fit) == [36] * 5
    assert {row.tobytes() for row in (*fit, *held)} == {row.tobytes() for row in data}
    assert made.pixels is not None
    assert (made.pixels.shape, made.pixels.dtype) == ((16, 8, 6, 3), np.uint8)
    assert np.corrcoef(made.pixels.ravel(), held[:16].transpose(0, 2, 3, 1).ravel())[0, 1] > 0.99


def test_the_seed_draws_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.npy", floats(300))
    first, again, other = (read_calibration(path, network(), limit=50, seed=seed) for seed in (0, 0, 1))
    assert first.source == "50 of 300 inputs of a.npy"
    assert equal(first, again)
    assert not equal(first, other)
    monkeypatch.setattr(calibration, "LIMIT", 20)
    assert read_calibration(path, network()).count == 20


@pytest.mark.parametrize(
    ("count", "fit", "held"),
    [(2, [1], [1]), (5, [1] * 4, [1]), (6, [1] * 4, [2]), (14, [2] * 5, [4]), (600, [49] * 10 + [50], [30, 30])],
)
def test_batches(tmp_path: Path, count: int, fit: list[int], held: list[int]) -> None:
    made = read_calibration(saved(tmp_path / "a.npy", floats(count)), network())
    assert (sum(sizes(made.fit)) + sum(sizes(made.held_out)), len(made.fit)) == (count, len(fit))
    assert sorted(sizes(made.fit)) == fit
    assert sizes(made.held_out) == held


def test_a_fixed_batch_stays_as_written(tmp_path: Path) -> None:
    made = read_calibration(saved(tmp_path / "a.npy", floats(31)), network(4, 3, 8, 6))
    assert (made.count, sizes(made.fit), sizes(made.held_out)) == (28, [4] * 5, [4, 4])
    assert made.pixels is not None
    assert len(made.pixels) == 8


def test_a_batch_that_mixes_its_inputs_is_not_used(tmp_path: Path) -> None:
    net = Net(x=("N", 5))
    mixed = Graph(net.model(net.op("Sub", "x", net.op("ReduceMean", "x", axes=[0], keepdims=1))))
    assert set(sizes(read_calibration(saved(tmp_path / "a.npy", floats(60, 5)), mixed).fit)) == {1}


def test_a_batch_that_does_not_run_is_not_used(tmp_path: Path) -> None:
    net = Net(x=("N", 6))
    flat = Graph(net.model(net.op("Reshape", "x", net.ints(2, 3))))
    assert set(sizes(read_calibration(saved(tmp_path / "a.npy", floats(60, 6)), flat).fit)) == {1}


def test_several_inputs_share_their_rows(tmp_path: Path) -> None:
    x, tokens = floats(40, 4), np.arange(80).reshape(40, 2)
    np.savez(tmp_path / "a.npz", x=x, tokens=tokens)
    made = read_calibration(tmp_path / "a.npz", two_inputs())
    assert made.pixels is None
    for batch in (*made.fit, *made.held_out):
        assert (batch["x"] == x[batch["tokens"][:, 0] // 2]).all()


def test_doubles_are_cast_and_large_data_lie_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.npy", floats(120).astype(np.float64))
    small = read_calibration(path, network())
    monkeypatch.setattr(calibration, "IN_MEMORY", 1000)
    large = read_calibration(path, network())
    assert large.fit[0]["x"].dtype == np.float32
    assert isinstance(large.fit[0]["x"], np.memmap)
    assert equal(small, large)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("archive", [False, True])
def test_uint8_arrays(tmp_path: Path, layout: str, archive: bool) -> None:
    data = np.random.default_rng(0).integers(0, 256, (30, 8, 6, 3), np.uint8)
    given = data if layout == "NHWC" else data.transpose(0, 3, 1, 2)
    path = tmp_path / ("a.npz" if archive else "a.npy")
    if archive:
        np.savez(path, x=given)
    else:
        np.save(path, given)
    made = read_calibration(path, network(), preprocess=NORM)
    held = rows(made)[1].transpose(0, 2, 3, 1) * [0.229, 0.224, 0.225] + [0.485, 0.456, 0.406]
    assert made.pixels is not None
    assert (made.pixels == np.round(held * 255)).all()
    assert {image.tobytes() for image in made.pixels} <= {image.tobytes() for image in data}


@pytest.mark.parametrize("shape", [(20, 9, 9), (20, 9, 9, 1), (20, 1, 9, 9), (20, 9, 9, 4)])
def test_uint8_arrays_of_other_channels(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = saved(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    made = read_calibration(path, network("N", 1, 8, 6), preprocess='{"mean": 0.5, "std": 0.5}')
    assert made.pixels is not None
    assert made.pixels.shape == (6, 8, 6, 1)


def test_a_network_that_takes_uint8(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 256, (20, 8, 6, 3), np.uint8)
    made = read_calibration(saved(tmp_path / "a.npy", data), network("N", 8, 6, 3, dtype=TensorProto.UINT8))
    assert made.pixels is not None
    assert (made.pixels == rows(made)[1]).all()


def test_a_folder_of_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number, suffix in enumerate(["png", "PNG", "jpg", "webp", "bmp", "tif", "jpeg", "tiff"]):
        folder = tmp_path / f"class{number % 3}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 10 + number, 3), np.uint8)).save(folder / f"{number}.{suffix}")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "._0.png").write_text("what macOS leaves")
    made = read_calibration(tmp_path, network(), preprocess=NORM)
    assert made.count == 8
    assert made.source == f"8 images of {tmp_path.name}"
    assert equal(made, read_calibration(tmp_path, network(), preprocess=NORM))


def test_pictures_are_turned_upright(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    for number in range(2):
        Image.fromarray(pixels + number).save(tmp_path / f"{number}.png", exif=exif)
    made = read_calibration(tmp_path, network(), preprocess=NORM)
    assert made.pixels is not None
    assert any((made.pixels[0] == np.rot90(pixels + number, -1)).all() for number in range(2))


def test_images_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no images in this folder"):
        read_calibration(tmp_path, network(), preprocess=NORM)
    for number in range(3):
        Image.fromarray(np.full((8, 6, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(UsageError, match=r"broken\.jpg: the image cannot be read"):
        read_calibration(tmp_path, network(), preprocess=NORM)
    with pytest.raises(UsageError, match=r"images need --preprocess, .* for example --preprocess"):
        read_calibration(tmp_path, network())


def test_paths_that_hold_no_data(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1,2")
    (tmp_path / "text.npy").write_text("1,2")
    (tmp_path / "text.npz").write_text("1,2")
    (tmp_path / "cut.npy").write_bytes(saved(tmp_path / "whole.npy", floats(5)).read_bytes()[:200])
    packed = io.BytesIO()
    np.savez(packed, x=floats(5))
    (tmp_path / "cut.npz").write_bytes(packed.getvalue()[:400])
    np.save(tmp_path / "objects.npy", np.array([{}, {}], object), allow_pickle=True)
    np.savez(tmp_path / "objects.npz", x=np.array([{}, {}], object))
    with zipfile.ZipFile(tmp_path / "notes.npz", "w") as archive:
        archive.writestr("x", "no array")
    for name, message in {
        "none.npy": "no such file or folder",
        "a.csv": "neither a .npy or .npz file nor a folder",
        "text.npy": "cannot be read as plain arrays: .*magic string",
        "text.npz": "cannot be read as plain arrays: File is not a zip file",
        "cut.npy": "cannot be read as plain arrays",
        "cut.npz": "cannot be read as plain arrays",
        "objects.npy": "cannot be read as plain arrays: .*Python objects",
        "objects.npz": "cannot be read as plain arrays: Object arrays",
        "notes.npz": "the array has shape of a scalar",
    }.items():
        with pytest.raises(UsageError, match=message):
            read_calibration(tmp_path / name, network())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (floats(9, 8, 6, 3), "has shape 9x8x6x3, but input 'x' takes Nx3x8x6"),
        (floats(3, 8, 6), "has shape 3x8x6, but input 'x' takes Nx3x8x6"),
        (np.float32(1), "has shape of a scalar"),
        (floats(9).astype(np.int64), r"holds int64, but input 'x' takes float32; convert it with .astype\('float32'\)"),
        (floats(1), "holds 1 inputs; at least 2 are needed"),
        (np.repeat(floats(1), 9, axis=0), "all inputs are equal"),
        (np.where(np.arange(9)[:, None, None, None] == 7, np.nan, floats(9)), "row 7 of 'x' holds NaN or infinite"),
        (floats(9).astype(np.float64) * 1e300, "NaN or infinite"),
        (np.zeros((9, 3, 8, 6), np.uint8), "images need --preprocess"),
        (np.array(["a"] * 9), "has shape 9,"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, array: np.ndarray, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_calibration(saved(tmp_path / "a.npy", array), network())


def test_archives_that_do_not_fit(tmp_path: Path) -> None:
    path, graph = tmp_path / "a.npz", two_inputs()
    for arrays, message in [
        ({"x": floats(9, 4), "ids": np.zeros((9, 2))}, "it holds x, ids; the network's inputs are x, tokens"),
        ({"x": floats(9, 4), "tokens": np.zeros((8, 2), np.int64)}, "'tokens' holds 8 inputs, 'x' 9"),
        ({"x": floats(9, 4), "tokens": np.zeros((9, 2), np.int32)}, "holds int32, but input 'tokens' takes int64"),
    ]:
        np.savez(path, **arrays)
        with pytest.raises(UsageError, match=message):
            read_calibration(path, graph)
    np.savez(path, x=floats(9, 4), tokens=np.zeros((9, 2), np.int64))
    assert read_calibration(path, graph).count == 9  # a mask may well be the same for all
    with pytest.raises(UsageError, match=r"2 inputs \(x, tokens\): give a .npz"):
        read_calibration(saved(tmp_path / "a.npy", floats(9, 4)), graph)


def test_options_that_do_not_fit(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npy", floats(9))
    with pytest.raises(UsageError, match="--data-limit must be at least 2, not 1"):
        read_calibration(path, network(), limit=1)
    with pytest.raises(UsageError, match="--preprocess is for images"):
        read_calibration(path, network(), preprocess=NORM)
    Image.new("RGB", (6, 8)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="images are for float inputs"):
        read_calibration(tmp_path, network("N", 8, 6, 3, dtype=TensorProto.UINT8), preprocess=NORM)
    with pytest.raises(UsageError, match="uint8 arrays must be images"):
        read_calibration(saved(tmp_path / "b.npy", np.zeros((9, 5), np.uint8)), network(), preprocess=NORM)


def test_networks_that_have_no_batch(tmp_path: Path) -> None:
    net = Net(x=(1, 3), y=(2, 3))
    graph = Graph(net.model(net.op("Add", "x", "y")))
    with pytest.raises(UsageError, match="share their first dimension, the batch; here: x 1x3, y 2x3"):
        read_calibration(saved(tmp_path / "a.npy", floats(9, 3)), graph)
    made = synthetic_calibration(graph)
    assert (made.fit[0]["x"].shape, made.fit[0]["y"].shape) == ((1, 3), (2, 3))


def test_a_network_that_fails_on_the_data_says_so(tmp_path: Path) -> None:
    net = Net(x=("N", 1), dtype=TensorProto.INT64)
    net.initializers.append(helper.make_tensor("table", TensorProto.FLOAT, [2, 1], [0.0, 1.0]))
    graph = Graph(net.model(net.op("Gather", "table", "x")))
    with pytest.raises(UsageError, match="the network cannot be run on it"):
        read_calibration(saved(tmp_path / "a.npy", np.full((9, 1), 5) + np.arange(9)[:, None]), graph)


def test_no_data_at_all() -> None:
    made, again, other = (synthetic_calibration(network(), seed=seed) for seed in (0, 0, 1))
    assert (made.count, made.source, made.synthetic) == (300, "300 synthetic images", True)
    assert (sum(sizes(made.fit)), sum(sizes(made.held_out))) == (270, 30)
    assert max(sizes(made.fit)) <= 50
    assert made.pixels is not None
    assert made.pixels.shape == (16, 8, 6, 3)
    assert equal(made, again)
    assert not equal(made, other)
    vectors = synthetic_calibration(network("N", 7))
    assert (vectors.source, vectors.pixels) == ("300 synthetic inputs", None)


def test_large_networks_get_few_inputs() -> None:
    net = Net(x=("N", 3, 224, 224))
    hidden = net.conv("x", "a", 3, 256, 7)
    graph = Graph(net.model(net.op("GlobalAveragePool", hidden)))  # 1.9e9 MACs
    assert synthetic_calibration(graph).count == int(4e10 / (224 * 224 * 3 * 256 * 49)) + 1


def test_a_written_batch_counts_its_inputs() -> None:
    made = synthetic_calibration(network(7, 3, 8, 6))
    assert made.count == 301
    assert set(sizes(made.fit)) == {7}


def test_cifar_for_a_real_network(data: Path, tmp_path: Path) -> None:
    with np.load(data / "images" / "cifar10_train.npz") as z:
        header, scans, at = z["header"].tobytes(), z["scans"].tobytes(), z["offsets"]
    images = [Image.open(io.BytesIO(header + scans[at[i] : at[i + 1]])).convert("RGB") for i in range(120)]
    pixels = saved(tmp_path / "pixels.npy", np.stack([np.asarray(image) for image in images]))
    normalised = (np.load(pixels) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    ready = saved(tmp_path / "ready.npy", normalised.transpose(0, 3, 1, 2).astype(np.float32))
    folder = tmp_path / "pngs"
    folder.mkdir()
    for number, image in enumerate(images):
        image.save(folder / f"{number:03}.png")
    graph = load_graph(data / "models" / "resnet20_cifar10_jpeg.onnx")
    fed = read_calibration(ready, graph, limit=100)
    assert max(sizes([{"x": batch["input"]} for batch in fed.fit])) == 18
    for path in (pixels, folder):
        made = read_calibration(path, graph, preprocess=NORM, limit=100)
        for one, other in zip((*made.fit, *made.held_out), (*fed.fit, *fed.held_out), strict=True):
            assert np.abs(one["input"] - other["input"]).max() < 1e-5
