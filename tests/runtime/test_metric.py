"""A user's function runs in a process of its own, gives a number, and whatever it does wrong is said in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from nasopt.errors import UsageError
from nasopt.runtime.metric import Metric, read_metric
from tests.small import chain

TIMEOUT = 60.0


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return chain()


def written(folder: Path, source: str, function: str = "score", name: str = "metric.py") -> Metric:
    path = folder / name
    path.write_text(source, encoding="utf-8")
    return read_metric(f"{path}:{function}")


def refused(metric: Metric, model: onnx.ModelProto | Path, timeout: float = TIMEOUT) -> str:
    with pytest.raises(UsageError) as caught:
        metric.measure(model, timeout=timeout)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"--metric {metric.path}:{metric.function}: ")
    return str(caught.value).removeprefix(f"--metric {metric}: ")


def test_the_function_gets_the_path_of_a_network_that_runs(tmp_path: Path, model: onnx.ModelProto) -> None:
    source = """
import numpy as np
import onnxruntime

def score(path):
    assert type(path) is str
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.ones((1, 3, 6, 6), np.float32)})[0].sum()
"""
    metric = written(tmp_path, source)
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = float(session.run(None, {"x": np.ones((1, 3, 6, 6), np.float32)})[0].sum())
    assert metric.measure(model, timeout=TIMEOUT) == pytest.approx(expected, rel=1e-5)
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    assert metric.measure(path, timeout=TIMEOUT) == pytest.approx(expected, rel=1e-5)


def test_a_relative_path_is_that_of_the_working_directory(tmp_path: Path, model: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    Path("net.onnx").write_bytes(model.SerializeToString())
    source = "import os\ndef score(path):\n    assert os.path.isabs(path)\n    return os.path.getsize(path)"
    assert written(Path("sub"), source).measure(Path("net.onnx"), timeout=TIMEOUT) == model.ByteSize()


def test_what_it_prints_disturbs_nothing(tmp_path: Path, model: onnx.ModelProto, capfd: pytest.CaptureFixture[str]) -> None:
    source = """
import os, sys
print("loaded")
def score(path):
    print('{"value": 3}')
    print("loud", file=sys.stderr)
    os.write(1, b"louder")
    assert sys.stdin.read() == ""
    return 0.25
"""
    assert written(tmp_path, source).measure(model, timeout=TIMEOUT) == 0.25
    assert capfd.readouterr() == ("", "")


def test_imports_from_its_folder_and_from_the_working_directory(
    tmp_path: Path, model: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "folder" / "beside.py").write_text("FIRST = 1")
    (tmp_path / "folder" / "both.py").write_text("SECOND = 20")
    (tmp_path / "here" / "both.py").write_text("SECOND = 0")
    (tmp_path / "here" / "around.py").write_text("THIRD = 300")
    monkeypatch.chdir(tmp_path / "here")
    source = "import beside, both, around\ndef score(path): return beside.FIRST + both.SECOND + around.THIRD"
    assert written(tmp_path / "folder", source).measure(model, timeout=TIMEOUT) == 321


def test_nothing_of_ours_is_in_the_way(tmp_path: Path, model: onnx.ModelProto) -> None:
    source = """
import sys
from dataclasses import dataclass
assert __name__ != "__main__"

@dataclass
class Point:  # dataclasses look their module up
    x: "float"

def score(path):
    assert not [name for name in sys.modules if name.split(".")[0] == "nasopt"]
    assert not [folder for folder in sys.path if folder.endswith("runtime")]
    return Point(2.0).x
"""
    assert written(tmp_path, source).measure(model, timeout=TIMEOUT) == 2
    assert written(tmp_path, source, name="json.py").measure(model, timeout=TIMEOUT) == 2
    assert written(tmp_path, source, name="my metric-1.py").measure(model, timeout=TIMEOUT) == 2


@pytest.mark.parametrize(
    ("body", "number"),
    [("3", 3.0), ("-0.5", -0.5), ("np.float32(0.5)", 0.5), ("np.array(7)", 7.0), ("fractions.Fraction(1, 4)", 0.25)],
)
def test_numbers(tmp_path: Path, model: onnx.ModelProto, body: str, number: float) -> None:
    got = written(tmp_path, f"import fractions\nimport numpy as np\ndef score(path): return {body}").measure(model, timeout=TIMEOUT)
    assert type(got) is float
    assert got == number


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return", "it returned None, which is not a number"),
        ("return '0.9'", "it returned '0.9', which is not a number"),
        ("return True", "it returned True, which is not a number"),
        ("return [0.5] * 99", "it returned [0.5, 0.5, "),
        ("return float('nan')", "it returned nan, which is not a finite number"),
        ("return -1e999", "it returned -inf, which is not a finite number"),
        ("return {}['accuracy']", "KeyError: 'accuracy' (line 2)"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines (line 2)"),
        ("raise SystemExit(3)", "SystemExit: 3 (line 2)"),
        ("import gone", "ModuleNotFoundError: No module named 'gone' (line 2)"),
        ("open('/nowhere/x')", "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere/x' (line 2)"),
        ("import os; os._exit(7)", "its process ended with exit code 7 before it returned anything"),
        ("import os; os._exit(0)", "its process ended with exit code 0 before it returned anything"),
        ("import os; os.write(2, b'out of luck\\n'); os.abort()", "its process was killed by SIGABRT before it returned anything"),
    ],
)
def test_what_goes_wrong_is_one_line(tmp_path: Path, model: onnx.ModelProto, body: str, said: str) -> None:
    assert refused(written(tmp_path, f"def score(path):\n    {body}"), model).startswith(said)


def test_the_last_words_of_a_process_that_dies_are_repeated(tmp_path: Path, model: onnx.ModelProto) -> None:
    source = "import os\ndef score(path):\n    os.write(2, b'first\\nlibrary: out of luck\\n\\n')\n    os._exit(9)"
    assert refused(written(tmp_path, source), model).endswith("exit code 9 before it returned anything: library: out of luck")


def test_errors_of_the_file_itself_and_of_what_it_calls(tmp_path: Path, model: onnx.ModelProto) -> None:
    assert (
        refused(written(tmp_path, "import os\n1 / 0\ndef score(path): return 1"), model) == "ZeroDivisionError: division by zero (line 2)"
    )
    nested = "import json\ndef score(path):\n    return inner()\ndef inner():\n    return json.loads('[')"
    assert refused(written(tmp_path, nested), model).endswith("(line 5)")
    assert refused(written(tmp_path, "from os import *", function="getcwd"), model).startswith("TypeError: ")
    metric = written(tmp_path, "def score(path): return 1")
    metric.path.unlink()
    assert refused(metric, model).startswith("FileNotFoundError: ")


def test_a_function_that_takes_too_long_is_stopped(tmp_path: Path, model: onnx.ModelProto) -> None:
    begun = time.monotonic()
    assert (
        refused(written(tmp_path, "import time\ndef score(path): time.sleep(600)"), model, 0.5)
        == "it took longer than 0.5 s and was stopped"
    )
    assert time.monotonic() - begun < 30


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes in /proc")
def test_an_interrupt_stops_the_function_and_what_it_started(tmp_path: Path, model: onnx.ModelProto) -> None:
    pids = tmp_path / "pids"
    source = f"""
import os, pathlib, subprocess, time
def score(path):
    worker = subprocess.Popen(["sleep", "600"])
    pathlib.Path({str(tmp_path / "new")!r}).write_text(f"{{os.getpid()}} {{worker.pid}}")
    os.replace({str(tmp_path / "new")!r}, {str(pids)!r})
    time.sleep(600)
"""
    metric = written(tmp_path, source)
    net = tmp_path / "net.onnx"
    onnx.save(model, net)
    program = f"""
import signal
from pathlib import Path
from nasopt.runtime.metric import read_metric
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background was told to ignore it
try:
    read_metric({str(metric)!r}).measure(Path({str(net)!r}))
except KeyboardInterrupt:
    print("interrupted")
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + TIMEOUT
        while not pids.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        started = [int(pid) for pid in pids.read_text().split()]
        assert all(map(alive, started))
        os.kill(process.pid, signal.SIGINT)
        assert process.communicate(timeout=TIMEOUT)[0] == "interrupted\n"
    while any(map(alive, started)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("metric.py", "say FILE.py:function"),
        ("metric.py:", "say FILE.py:function"),
        (":score", "say FILE.py:function"),
        ("", "say FILE.py:function"),
        ("gone.py:score", "there is no file gone.py"),
        ("notes.txt:score", "notes.txt is not a .py file"),
        ("folder.py:score", "folder.py cannot be read (Is a directory)"),
        ("good.py:score()", "'score()' is not the name of a function"),
        ("good.py:a.b", "'a.b' is not the name of a function"),
        ("good.py:scor", "good.py does not define 'scor'; it defines CONSTANT, score, top"),
        ("good.py:inner", "does not define 'inner'"),
        ("good.py:local", "does not define 'local'"),
        ("empty.py:score", "it defines nothing"),
        ("broken.py:score", "broken.py is not valid Python, line 2: "),
        ("binary.py:score", "binary.py is not valid Python"),
    ],
)
def test_what_cannot_be_a_metric_is_said_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("")
    Path("empty.py").write_text("")
    Path("folder.py").mkdir()
    Path("broken.py").write_text("def score(path):\nreturn 1")
    Path("binary.py").write_bytes(b"\xff\x00")
    Path("good.py").write_text(
        "CONSTANT: int = 1\nimport os.path as _hidden\nclass top:\n    def inner(self): ...\ndef score(path):\n    local = 1\n"
    )
    with pytest.raises(UsageError) as caught:
        read_metric(text)
    assert str(caught.value).startswith(f"--metric {text}: ".strip())
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "def score(path): ...",
        "async def score(path): ...",
        "score = lambda path: 1",
        "score: object = len",
        "if True:\n    pass\nelse:\n    def score(path): ...",
        "try:\n    import x\nexcept ImportError:\n    def score(path): ...",
        "with open('x') as file:\n    def score(path): ...",
        "match 1:\n    case 1:\n        def score(path): ...",
        "from other import total as score",
        "import score",
        "from other import *",
        "first, (score, *rest) = other",
        "'\\d'\nscore = 1",
    ],
)
def test_every_way_to_define_a_function(tmp_path: Path, source: str) -> None:
    marker = tmp_path / "ran"
    metric = written(tmp_path, f"{source}\nopen({str(marker)!r}, 'w')\n")
    assert (metric.function, str(metric)) == ("score", f"{tmp_path / 'metric.py'}:score")
    assert not marker.exists()
