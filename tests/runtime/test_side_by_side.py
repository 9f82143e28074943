"""Samples show the inputs that were held out, and of each output what it is."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from PIL import Image

from nasopt.graphs.graph import Graph, load_graph
from nasopt.results import Sample
from nasopt.runtime.calibration import Calibration, read_calibration, synthetic_calibration
from nasopt.runtime.side_by_side import samples
from tests.small import Net

SIDE = 16


def opened(png: bytes | None) -> np.ndarray:
    assert png is not None
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image).astype(float)


def perturbed(model: onnx.ModelProto, amount: float = 0.05) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    rng = np.random.default_rng(5)
    for tensor in made.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array((array + amount * rng.standard_normal(array.shape)).astype(np.float32), tensor.name))
    return made


def calibration(graph: Graph, folder: Path, *shape: int, count: int = 100) -> Calibration:
    values = np.random.default_rng(0).standard_normal((count, *(shape or (3, SIDE, SIDE)))).astype(np.float32)
    np.save(folder / "x.npy", values)
    return read_calibration(folder / "x.npy", graph)


def shown(
    folder: Path, build: Callable[[Net], str], *shape: int, dtype: int = TensorProto.FLOAT, batch: int | str = "N"
) -> tuple[Sample, ...]:
    """The samples of a network on floats, and of a perturbed copy."""
    net = Net(x=(batch, *(shape or (3, SIDE, SIDE))), dtype=dtype)
    graph = Graph(net.model(build(net)))
    return samples(graph.model, perturbed(graph.model), calibration(graph, folder, *shape))


def pooled(net: Net, classes: int) -> str:
    hidden = net.op("Flatten", net.op("AveragePool", "x", kernel_shape=[4, 4], strides=[4, 4]))
    return net.op("MatMul", hidden, net.weight("w", 48, classes))


def smooth(net: Net, x: str) -> str:
    return net.op("AveragePool", x, kernel_shape=[5, 5], pads=[2] * 4)


def test_classes_are_those_of_the_inputs_that_were_held_out(tmp_path: Path) -> None:
    net = Net(x=("N", 3, SIDE, SIDE))
    graph = Graph(net.model(pooled(net, 5)))
    inputs = calibration(graph, tmp_path)
    result = perturbed(graph.model)
    got = samples(graph.model, result, inputs)
    assert len(got) == 8
    held = np.concatenate([batch["x"] for batch in inputs.held_out])[:8]
    hidden = held.reshape(8, 3, 4, 4, 4, 4).mean(axis=(3, 5)).reshape(8, 48)
    for network, side in ((graph.model, "before"), (result, "after")):
        scores = np.exp(hidden @ numpy_helper.to_array(network.graph.initializer[0]))
        scores /= scores.sum(axis=1, keepdims=True)
        for sample, row in zip(got, scores, strict=True):
            classes = getattr(sample, side).classes
            assert [place for place, _ in classes] == np.argsort(-row)[:3].tolist()
            assert [score for _, score in classes] == pytest.approx(np.sort(row)[::-1][:3], rel=1e-4)
    assert inputs.pixels is not None
    for sample, image in zip(got, inputs.pixels, strict=False):
        assert (sample.kind, sample.output) == ("class", graph.outputs[0])
        assert (opened(sample.picture)[5::10, 5::10] == image).all()
        assert sample.likeness == float(sample.before.classes[0][0] == sample.after.classes[0][0])


@pytest.mark.parametrize(
    ("operator", "sums_to_one"), [("Softmax", True), ("LogSoftmax", True), ("Sigmoid", False), ("Identity", True), ("Hardmax", True)]
)
def test_scores_are_probabilities(tmp_path: Path, operator: str, sums_to_one: bool) -> None:
    got = shown(tmp_path, lambda net: net.op(operator, pooled(net, 3)))
    totals = [sum(score for _, score in sample.before.classes) for sample in got]
    assert len(got) == 8
    assert (np.array(totals) == pytest.approx(1, abs=1e-4)) is sums_to_one
    assert all(0 <= score <= 1.0001 for sample in got for _, score in sample.before.classes)


def test_classes_of_maps_of_one_pixel(tmp_path: Path) -> None:
    got = shown(tmp_path, lambda net: net.op("GlobalAveragePool", net.conv("x", "a", 3, 4)))
    assert {(sample.kind, len(sample.before.classes)) for sample in got} == {("class", 3)}


@pytest.mark.parametrize(
    "build",
    [
        lambda net: net.op("LpNormalization", pooled(net, 4), axis=1),
        lambda net: net.op("Exp", pooled(net, 4)),
        lambda net: pooled(net, 64),
        lambda net: pooled(net, 1),
        lambda net: net.op("ReduceMean", "x", axes=[1, 2, 3], keepdims=0),
        lambda net: net.op("ReduceMean", "x", axes=[0, 3], keepdims=0),
        lambda net: net.op("ReduceMean", "x", axes=[3], keepdims=0),
        lambda net: net.op("Mul", net.op("Shape", "x"), net.ints(2)),
        lambda net: net.op("Log", "x"),  # NaN
        lambda net: net.op("Sub", "x", "x"),
        lambda net: net.op("Flatten", net.op("Cast", "x", to=TensorProto.STRING)),
        lambda net: net.op("SplitToSequence", "x", axis=1),
    ],
    ids="unit-length never-negative embedding one-number scalars no-batch rows integers nan constant text sequence".split(),
)
def test_what_is_nothing_to_look_at(tmp_path: Path, build: Callable[[Net], str]) -> None:
    assert shown(tmp_path, build) == ()


def test_many_classes_are_told_from_an_embedding_by_the_one_that_stands_out(tmp_path: Path) -> None:
    net = Net(x=("N", 64))
    graph = Graph(net.model(net.op("Mul", net.op("Mul", "x", "x"), "x")))  # of normal numbers, their cubes have a long tail
    (kind,) = {sample.kind for sample in samples(graph.model, graph.model, calibration(graph, tmp_path, 64))}
    assert kind == "class"
    net = Net(x=("N", 64))
    flat = Graph(net.model(net.op("Identity", "x")))
    assert samples(flat.model, flat.model, calibration(flat, tmp_path, 64)) == ()


def test_the_first_output_that_is_something_is_shown(tmp_path: Path) -> None:
    net = Net(x=("N", 3, SIDE, SIDE))
    graph = Graph(net.model(net.op("Shape", "x", out="shape"), net.op("Identity", pooled(net, 5), out="logits"), smooth(net, "x")))
    assert {sample.output for sample in samples(graph.model, graph.model, calibration(graph, tmp_path))} == {"logits"}


def test_heatmaps_are_the_channel_that_varies_on_the_scale_of_the_original(tmp_path: Path) -> None:
    net = Net(x=("N", 3, SIDE, SIDE))
    factors = numpy_helper.from_array(np.array([1, 3, 2], np.float32).reshape(3, 1, 1), "factors")
    net.initializers.append(factors)
    graph = Graph(net.model(net.op("Relu", net.op("Mul", "x", "factors"))))
    result = onnx.ModelProto()
    result.CopyFrom(graph.model)
    result.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([1, 9, 2], np.float32).reshape(3, 1, 1), "factors"))
    inputs = calibration(graph, tmp_path)
    got = samples(graph.model, result, inputs)
    assert len(got) == 8
    for sample, fed in zip(got, inputs.held_out[0]["x"], strict=False):
        assert sample.kind == "heatmap"
        assert sample.likeness == pytest.approx(1)
        before, after = (opened(answer.picture)[5::10, 5::10].sum(axis=2).ravel() for answer in (sample.before, sample.after))
        values = np.maximum(fed[1].ravel(), 0)
        order = np.argsort(values)
        assert np.corrcoef(values, before)[0, 1] > 0.9
        assert (after >= before).all()
        assert (after[order[values[order] * 3 >= values.max()]] == before.max()).all()


def test_masks_are_where_one_channel_stands_out(tmp_path: Path) -> None:
    def scores(net: Net) -> str:
        net.initializers.append(numpy_helper.from_array(np.float32(30), "sharp"))
        return net.op("Mul", smooth(net, net.conv("x", "a", 3, 4)), "sharp")

    logits, soft = shown(tmp_path, scores), shown(tmp_path, lambda net: net.op("Softmax", scores(net), axis=1))
    assert [sample.kind for sample in (*logits, *soft)] == ["mask"] * 16
    for one, other in zip(logits, soft, strict=True):
        assert (one.before, one.after, one.likeness) == (other.before, other.after, other.likeness)
        drawn = [opened(answer.picture)[5::10, 5::10] for answer in (one.before, one.after)]
        assert one.likeness == pytest.approx((drawn[0] == drawn[1]).all(axis=2).mean())
    assert 0.5 < np.mean([sample.likeness for sample in logits]) < 1
    blurred = shown(tmp_path, lambda net: smooth(net, net.conv("x", "a", 3, 4)))
    assert {sample.kind for sample in blurred} == {"heatmap"}
    features = shown(tmp_path, lambda net: net.op("Relu", scores(net)))
    assert {sample.kind for sample in features} == {"heatmap"}


@pytest.mark.parametrize("keep", [0, 1])
def test_masks_of_integers(tmp_path: Path, keep: int) -> None:
    got = shown(tmp_path, lambda net: net.op("ArgMax", net.conv("x", "a", 3, 4), axis=1, keepdims=keep))
    assert {sample.kind for sample in got} == {"mask"}
    assert len({tuple(pixel) for sample in got for pixel in opened(sample.before.picture).reshape(-1, 3)}) == 4


def test_images_are_three_channels_that_vary_together(tmp_path: Path) -> None:
    def grey(net: Net) -> str:
        mean = net.op("ReduceMean", "x", axes=[1], keepdims=1)
        net.initializers.append(numpy_helper.from_array(np.array([1, 1, 0.8], np.float32).reshape(3, 1, 1), "tint"))
        return net.op("Mul", mean, "tint")

    got = shown(tmp_path, grey)
    assert {sample.kind for sample in got} == {"image"}
    assert all(sample.likeness > 0.9 for sample in got)
    pixels = opened(got[0].before.picture)
    assert np.abs(pixels[..., 0] - pixels[..., 1]).max() == 0
    assert np.abs(pixels[..., 0] - pixels[..., 2]).max() > 10


def test_channels_last(tmp_path: Path) -> None:
    def scores(net: Net) -> str:
        weight = numpy_helper.from_array(np.random.default_rng(0).standard_normal((3, 7)).astype(np.float32) * 9, "w")
        net.initializers.append(weight)
        return net.op("MatMul", "x", "w")

    got = shown(tmp_path, scores, SIDE, SIDE, 3)
    assert {sample.kind for sample in got} == {"mask"}
    assert opened(got[0].before.picture).shape == (160, 160, 3)
    assert opened(got[0].picture).shape == (160, 160, 3)


def test_inputs_that_are_no_images_have_no_picture(tmp_path: Path) -> None:
    got = shown(tmp_path, lambda net: net.op("MatMul", "x", net.weight("w", 6, 4)), 6)
    assert [sample.picture for sample in got] == [None] * 8
    assert {len(sample.after.classes) for sample in got} == {3}


@pytest.mark.parametrize(("batch", "count"), [(1, 8), (4, 8), (3, 8), (10, 8)])
def test_a_fixed_batch(tmp_path: Path, batch: int, count: int) -> None:
    def classes(net: Net) -> str:
        return net.op("MatMul", "x", net.weight("w", 6, 4))

    got = shown(tmp_path, classes, 6, batch=batch)
    free = shown(tmp_path, classes, 6)
    assert len(got) == count
    shared = min(len(got), len(free))
    assert [sample.before.classes[0][0] for sample in got[:shared]] == [sample.before.classes[0][0] for sample in free[:shared]]


def test_few_inputs_that_were_held_out(tmp_path: Path) -> None:
    net = Net(x=("N", 6))
    graph = Graph(net.model(net.op("MatMul", "x", net.weight("w", 6, 4))))
    assert len(samples(graph.model, graph.model, calibration(graph, tmp_path, 6, count=9))) == 3


def test_a_network_that_fails_costs_the_samples_and_nothing_else(tmp_path: Path) -> None:
    net = Net(x=("N", 6))
    graph = Graph(net.model(net.op("MatMul", "x", net.weight("w", 6, 4))))
    net.op("Reshape", "v0", net.ints(3, 5), out="broken")
    broken = net.model("broken")
    assert samples(graph.model, broken, calibration(graph, tmp_path, 6)) == ()


def test_networks_that_answer_something_not_finite_or_of_another_shape_are_not_compared(tmp_path: Path) -> None:
    net = Net(x=("N", 6))
    graph = Graph(net.model(net.op("MatMul", "x", net.weight("w", 6, 4))))
    inputs = calibration(graph, tmp_path, 6)
    assert samples(graph.model, perturbed(graph.model, np.inf), inputs) == ()
    other = Net(x=("N", 6))
    assert samples(graph.model, other.model(other.op("MatMul", "x", other.weight("w", 6, 5))), inputs) == ()


def test_trained_networks(data: Path) -> None:
    for name, kinds in (("resnet20_cifar10_jpeg", {"class"}), ("efficientnet_lite0", {"class"}), ("mobilefacenet_112x96", set())):
        graph = load_graph(data / "models" / f"{name}.onnx")
        got = samples(graph.model, graph.model, synthetic_calibration(graph))
        assert {sample.kind for sample in got} == kinds, name
        assert all(sample.likeness == 1 and sample.before == sample.after and sample.picture for sample in got)
