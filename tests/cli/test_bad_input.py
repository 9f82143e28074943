"""Bad input through the whole program: one clear line on stderr, the right exit code, and no file touched or made."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from nasopt.cli.main import application
from tests.small import CUSTOM, Net, chain

DROP = ["--flops-drop", "0.2", "--generations", "1", "--no-latency"]
COMPRESS = ["compress", "net.onnx", "-o", "small.onnx", *DROP]


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = chain()
    change(model)
    return model.SerializeToString()


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="net.bin")


def cycle(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def not_a_number(model: onnx.ModelProto) -> None:
    array = numpy_helper.to_array(model.graph.initializer[0]).copy()
    array.flat[3] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, model.graph.initializer[0].name))


def no_size(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 0


def quantised() -> bytes:
    net = Net(x=(1, 3, 6, 6))
    net.initializers += [numpy_helper.from_array(np.float32(0.1), "scale"), numpy_helper.from_array(np.uint8(0), "zero")]
    x = net.op("DequantizeLinear", net.op("QuantizeLinear", "x", "scale", "zero"), "scale", "zero")
    return net.model(net.conv(x, "a", 3, 4)).SerializeToString()


def half() -> bytes:
    net = Net(x=(1, 3, 6, 6), dtype=TensorProto.FLOAT16)
    return net.model(net.op("Relu", net.conv("x", "a", 3, 4))).SerializeToString()


def unheard_of() -> bytes:
    net = Net(x=(1, 3, 6, 6))
    model = net.model(net.conv(net.op("Strange", "x", domain=CUSTOM), "a", 3, 4), imports=[CUSTOM])
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info(model.graph.output[0].name, TensorProto.FLOAT, (1, 4, 6, 6)))
    return model.SerializeToString()


def open_size() -> bytes:
    net = Net(x=("n", 3, "height", 6))
    return net.model(net.op("Relu", net.conv("x", "a", 3, 4))).SerializeToString()


SOUND = chain().SerializeToString()

MODELS = {
    "truncated": (SOUND[: len(SOUND) // 2], 4, "truncated"),
    "not ONNX": (b"\x89PNG\r\n\x1a\n" * 40, 4, "not an ONNX model"),
    "empty": (b"", 4, "not an ONNX model"),
    "text": (b"hello, world\n", 4, "not an ONNX model"),
    "external data missing": (changed(external), 4, "net.bin"),
    "cycle": (changed(cycle), 4, "cycle"),
    "NaN": (changed(not_a_number), 4, "NaN"),
    "no size": (changed(no_size), 4, "holds nothing"),
    "open size": (open_size(), 2, "--input-shape x:1,3,224,6"),
    "quantised": (quantised(), 4, "quantised"),
    "float16": (half(), 4, "float16"),
    "no opset": (changed(lambda model: model.ClearField("opset_import")), 4, "opset"),
    "opset 6": (changed(lambda model: model.opset_import[0].CopyFrom(helper.make_opsetid("", 6))), 4, "older"),
    "future opset": (changed(lambda model: model.opset_import[0].CopyFrom(helper.make_opsetid("", 999))), 4, "newer"),
}

LINES = {
    "out of reach": ([*COMPRESS, "--params-drop", "0.9999"], 3, "cannot be reached"),
    "drop of 0": (["compress", "net.onnx", "-o", "small.onnx", "--flops-drop", "0"], 2, "both excluded"),
    "drop of 1": (["compress", "net.onnx", "-o", "small.onnx", "--flops-drop", "1"], 2, "both excluded"),
    "negative drop": (["compress", "net.onnx", "-o", "small.onnx", "--memory-drop", "-0.5"], 2, "both excluded"),
    "no drop": (["compress", "net.onnx", "-o", "small.onnx"], 2, "--flops-drop"),
    "no output": (["compress", "net.onnx", *DROP], 2, "-o"),
    "no model": (["compress", "other.onnx", "-o", "small.onnx", *DROP], 2, "other.onnx"),
    "model is a directory": (["compress", "folder", "-o", "small.onnx", *DROP], 2, "folder"),
    "output is the model": (["compress", "net.onnx", "-o", "net.onnx", *DROP, "--force"], 2, "model itself"),
    "output is a directory": (["compress", "net.onnx", "-o", "folder", *DROP], 2, "folder"),
    "output in no directory": (["compress", "net.onnx", "-o", "no/small.onnx", *DROP], 2, "does not exist"),
    "output below a file": (["compress", "net.onnx", "-o", "mine.onnx/small.onnx", *DROP], 2, "mine.onnx"),
    "output exists": (["compress", "net.onnx", "-o", "mine.onnx", *DROP], 2, "--force"),
    "script's name is taken by the output": (["compress", "net.onnx", "-o", "small.json", *DROP], 2, ".onnx"),
    "wrong rank": ([*COMPRESS, "--input-shape", "x:1,3,6"], 2, "3 dimensions"),
    "wrong size": ([*COMPRESS, "--input-shape", "x:1,3,7,6"], 2, "is 6 in the model, not 7"),
    "wrong input": ([*COMPRESS, "--input-shape", "y:1,3,6,6"], 2, "no input of the model"),
    "nothing to preserve": ([*COMPRESS, "--preserve", "nothing*"], 2, "matches no"),
    "unknown importance": ([*COMPRESS, "--importance", "luck"], 2, "choose one of"),
    "front into a file": ([*COMPRESS, "--pareto", "mine.onnx"], 2, "mine.onnx"),
    "checkpoint is the result": ([*COMPRESS, "--data", "x.npy", "--finetune-steps", "1", "--checkpoint", "small.onnx"], 2, "name another"),
    "checkpoint in no directory": ([*COMPRESS, "--data", "x.npy", "--finetune-steps", "1", "--checkpoint", "no/ck"], 2, "does not exist"),
    "measure on nothing": ([*COMPRESS, "--measure", "3"], 2, "bring --data"),
    "metric without a function": ([*COMPRESS, "--metric", "mine.py"], 2, "FILE.py:function"),
    "gradients without data": ([*COMPRESS, "--importance", "fisher"], 2, "--data"),
    "no script": (["apply", "no.json", "net.onnx", "-o", "small.onnx"], 2, "no.json"),
    "script is a model": (["apply", "net.onnx", "net.onnx", "-o", "small.onnx"], 4, "not a nasopt edit script"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(SOUND)
    (tmp_path / "mine.onnx").write_bytes(SOUND)
    (tmp_path / "folder").mkdir()
    return tmp_path


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def refused(folder: Path, line: list[str], code: int, said: str) -> None:
    before = state(folder)
    result = CliRunner().invoke(application, line)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("nasopt: error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    assert said in result.stderr
    assert state(folder) == before
    assert (folder / "folder").is_dir()
    assert not list((folder / "folder").iterdir())


CASES = [(name, verb) for name in MODELS for verb in ("compress", "inspect", "explain", "bench") if name != "NaN" or verb == "compress"]


@pytest.mark.parametrize(("name", "verb"), CASES)
def test_a_model_that_is_not_understood(folder: Path, name: str, verb: str) -> None:
    data, code, said = MODELS[name]
    (folder / "net.onnx").write_bytes(data)
    refused(folder, COMPRESS if verb == "compress" else [verb, "net.onnx"], code, said)


def test_an_operator_that_nobody_can_run_is_named_whatever_was_asked(folder: Path) -> None:
    (folder / "net.onnx").write_bytes(unheard_of())
    for kind in ("flops", "params"):
        refused(folder, ["compress", "net.onnx", "-o", "small.onnx", f"--{kind}-drop", "0.2"], 4, "ONNX Runtime cannot load it")


@pytest.mark.parametrize("name", LINES)
def test_what_cannot_be_done(folder: Path, name: str) -> None:
    refused(folder, *LINES[name])


def test_a_directory_that_cannot_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(dir: Path) -> None:  # noqa: A002  nothing is forbidden to root
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", forbid)
    refused(folder, ["compress", "net.onnx", "-o", "folder/small.onnx", *DROP], 2, "not writable")


def test_a_place_that_nobody_can_write(folder: Path) -> None:
    refused(folder, ["compress", "net.onnx", "-o", "/proc/small.onnx", *DROP], 2, "/proc/small.onnx: its directory is not writable")


@pytest.mark.parametrize("name", ["truncated", "external data missing", "quantised"])
def test_the_program_itself(folder: Path, name: str) -> None:
    data, code, said = MODELS[name]
    (folder / "net.onnx").write_bytes(data)
    before = state(folder)
    done = subprocess.run([sys.executable, "-m", "nasopt", *COMPRESS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert state(folder) == before
