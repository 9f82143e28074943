"""Commands: what they may print, and whatever they do wrong is survived and said in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasopt.errors import DeviceError, ModelNotSupportedError
from nasopt.runtime import latency
from nasopt.runtime.devices.command import Command, parse
from nasopt.runtime.devices.registry import backend
from tests.small import Net, chain

TIMEOUT = 60.0
INPUTS = {"x": np.ones((1, 3, 6, 6), np.float32)}


def command(folder: Path, source: str, timeout: float = TIMEOUT) -> Command:
    """A command that runs this Python source."""
    path = folder / "bench it.py"
    path.write_text(source, encoding="utf-8")
    return Command(f"{sys.executable} '{path}' {{model}}", timeout)


def refused(device: Command) -> str:
    with device.open(chain(), INPUTS) as timed, pytest.raises(DeviceError) as caught:
        timed()
    message = str(caught.value)
    assert "\n" not in message
    prefix = f"--device-command '{device.command}': "
    assert message.startswith(prefix)
    return message.removeprefix(prefix)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("12.3", 12.3),
        ("loading\nlatency: 12.3 ms\n\n", 12.3),
        ("0.0123 s", 12.3),
        ("980 us", 0.98),
        ("980us", 0.98),
        ("980 µs", 0.98),
        ("980 μs", 0.98),
        ("12.3ms", 12.3),
        ("2 seconds", 2000),
        ("1 second", 1000),
        ("3.5e-3 sec", 3.5),
        ("500000 ns", 0.5),
        ("1e1", 10),
        (".5 ms", 0.5),
        ("5. ms", 5),
        ("took 12.3.", 12.3),
        ("mean 12.3 ms over 50 runs", 12.3),
        ("min 3 ms, median 4 ms, 50 runs", 4),
        ("resnet50 fp16 conv2d: 7.5", 7.5),
        ("[12:34:56] 2026-11-27 v1.2.3 10.0.0.1 7.5 ms at 90%", 7.5),
        ("7.5\ndone", 7.5),
        ("7.5\n12:34:56 done\n100 %", 7.5),
        ('{"latency_ms": 4.5}', 4.5),
        ('{"median_ms": 4.5, "runs": 50}\n99 problems', 4.5),
        ('1\n{"latency_ms": 2}\n{"latency_ms": 3}', 3),
        (json.dumps({"model": "x", "latency": {"median_ms": 4.5, "q1_ms": 4}, "runs": 50}, indent=2), 4.5),
        ('7.5\n{"fps": 30}', 7.5),
        ("4.5 ms/iter\nsaved /home/run-3/29/30 as run-4, 50-fold", 4.5),
        ("latency=4.5", 4.5),
        ("(4.5)", 4.5),
        ("\r 1 %\r 50 %\r 4.5 ms\r\n", 4.5),
    ],
)
def test_times(output: str, expected: float) -> None:
    assert parse(output) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "\n",
        "no time",
        "nan ms",
        "inf",
        "0",
        "-3 ms",
        "0.0 s",
        "1,234",
        "12,3 ms",
        "1e999",
        "90 %",
        "conv2d",
        "at /home/me/run-29/3/net.onnx",
        "12-15 ms",
        '{"fps": 30}',
        '{"latency_ms": null}',
        '{"latency_ms": true}',
        '{"latency_ms": "4"}',
        '{"latency_ms": NaN}',
        '{"latency_ms": -1}',
        pytest.param(f'{{"latency_ms": {10**400}}}', id="more than any float"),
        pytest.param("1" * 300_000 + "x", id="a word of digits"),
        pytest.param("1" * 300_000, id="a number of digits"),
    ],
)
def test_what_is_no_time(output: str) -> None:
    assert parse(output) is None


@given(st.floats(1e-6, 1e6), st.sampled_from([("ms", 1.0), ("", 1.0), ("s", 1e3), ("us", 1e-3)]), st.sampled_from(["{}{}", "t = {} {}!"]))
def test_any_number_is_read(number: float, unit: tuple[str, float], form: str) -> None:
    assert parse(f"12 layers\n{form.format(number, unit[0])}\n\nbye") == pytest.approx(number * unit[1])


@given(st.text())
def test_any_text_is_survived(output: str) -> None:
    found = parse(output)
    assert found is None or (found > 0 and np.isfinite(found))


def test_the_command_gets_a_network_that_runs(tmp_path: Path) -> None:
    source = """
import sys, onnxruntime, numpy as np
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
(given,) = session.get_inputs()
print(session.run(None, {given.name: np.ones(given.shape, np.float32)})[0].size, "ms")
print(sys.argv[1], file=sys.stderr)
assert sys.stdin.read() == ""
"""
    device = command(tmp_path, source)
    with device.open(chain(), INPUTS) as timed:
        assert timed() == 4 * 6 * 6
        assert timed.outputs() is None
    net = Net(x=("batch", 3, 8, "width"))
    model = net.model(net.conv("x", "w", 3, 8, 3))
    path = tmp_path / "dynamic net.onnx"
    onnx.save(onnx.ModelProto.FromString(model.SerializeToString()), path, save_as_external_data=True, size_threshold=0)
    for dynamic in (model, path):  # sizes are bound: the command learns of none but those in the file
        with device.open(dynamic, {"x": np.zeros((2, 3, 8, 5), np.float32)}) as timed:
            assert timed() == 2 * 8 * 8 * 5
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"


def test_a_file_with_fixed_sizes_is_used_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("it's a $net; {model}.onnx")
    onnx.save(chain(), path, save_as_external_data=True, size_threshold=0)
    device = command(tmp_path, f"import sys; assert sys.argv[1:] == [{str(path.absolute())!r}]; print(1)")
    with device.open(path, INPUTS) as timed:
        assert timed() == 1


def test_temporary_files_go_when_it_is_closed(tmp_path: Path) -> None:
    written = tmp_path / "path"
    device = command(tmp_path, f"import sys; open({str(written)!r}, 'w').write(sys.argv[1]); print(1)")
    with device.open(chain(), INPUTS) as timed:
        timed()
        model = Path(written.read_text())
        assert model.is_file()
        assert model.suffix == ".onnx"
    assert not model.parent.exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("print(5); import sys; print('a'); print('out of luck', file=sys.stderr); print(file=sys.stderr); sys.exit(7)", "7: out of luck"),
        ("import os; os.abort()", "was killed by SIGABRT"),
        ("pass", "ended with exit code 0 but printed nothing"),
        ("print('rubbish'); print()", "printed 'rubbish', which is no time"),
        ("print('-1 ms')", "printed '-1 ms', which is no time"),
        ("import os; os.write(1, bytes(range(32)) + bytes(range(128, 256)))", "which is no time"),
        ("print('x' * 3_000_000)", f"printed '{'x' * 80}', which is no time"),
    ],
)
def test_failures_are_tried_twice_and_said_in_one_line(tmp_path: Path, source: str, said: str) -> None:
    tried = tmp_path / "tried"
    assert said in refused(command(tmp_path, f"open({str(tried)!r}, 'a').write('x')\n{source}"))
    assert tried.read_text() == "xx"


def test_a_second_try_may_succeed(tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    source = f"import pathlib\nif not (f := pathlib.Path({str(flag)!r})).exists(): f.touch(); raise SystemExit(1)\nprint(2.5)"
    with command(tmp_path, source).open(chain(), INPUTS) as timed:
        assert timed() == 2.5


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pids: list[int]) -> None:
    deadline = time.monotonic() + TIMEOUT
    while any(map(alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open({path!r}, "a") as file:
    file.write(f"{{os.getpid()}}\\n{{child.pid}}\\n")
print("7 ms", flush=True)
print("waiting for the board", file=sys.stderr, flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes in /proc")
def test_a_hang_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    said = refused(command(tmp_path, FAMILY.format(path=str(pids)), timeout=3.0))
    assert said == "took longer than 3 s and was stopped: waiting for the board"
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 4
    gone(started)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes in /proc")
def test_an_interrupt_stops_the_command_and_what_it_started(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    device = command(tmp_path, FAMILY.format(path=str(pids)))
    onnx.save(chain(), tmp_path / "net.onnx")
    program = f"""
import signal
from pathlib import Path
from nasopt.runtime.devices.command import Command
from nasopt.runtime.latency import timings
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background was told to ignore it
try:
    timings([Path({str(tmp_path / "net.onnx")!r})], [{{}}], backend=Command({device.command!r}))
except KeyboardInterrupt:
    print("interrupted")
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + TIMEOUT
        while not pids.exists() or pids.read_text().count("\n") < 2:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        assert process.communicate(timeout=TIMEOUT)[0] == "interrupted\n"
    gone([int(pid) for pid in pids.read_text().split()])


def test_a_command_is_run_a_few_times_and_decides_the_order_of_nothing(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    source = f"import os, sys; open({str(seen)!r}, 'a').write(str(os.path.getsize(sys.argv[1])) + ' '); print(os.path.getsize(sys.argv[1]))"
    device = command(tmp_path, source)
    small, large = chain(), build_wide()
    times = latency.timings([small, large], [INPUTS, INPUTS], seconds=0, backend=device)
    sizes = [small.ByteSize(), large.ByteSize()]
    assert times.tolist() == [[float(size) for size in sizes]] * device.fewest
    order = [int(size) for size in seen.read_text().split()]
    assert order == [*sizes, *sizes, *sizes[::-1], *sizes]  # one turn to warm up, then in both directions


def build_wide() -> onnx.ModelProto:
    net = Net(x=(1, 3, 6, 6))
    return net.model(net.conv("x", "w", 3, 64, 3))


def test_a_candidate_that_fails_is_survived(tmp_path: Path) -> None:
    limit = chain().ByteSize()
    device = command(tmp_path, f"import os, sys; assert os.path.getsize(sys.argv[1]) <= {limit}, 'too large'; print(3)")
    failures: dict = {}
    times = latency.timings([chain(), build_wide()], [INPUTS, INPUTS], backend=device, runs=3, failures=failures)
    assert (times[:, 0] == 3).all()
    assert np.isnan(times[:, 1]).all()
    assert list(failures) == [1]
    assert str(failures[1]).endswith("AssertionError: too large")
    with pytest.raises(DeviceError, match="too large"):
        latency.compare(chain(), build_wide(), INPUTS, backend=device)


def test_a_slower_result_is_measured_again_and_the_engine_is_named(tmp_path: Path) -> None:
    device = command(tmp_path, "import os, sys; print(os.path.getsize(sys.argv[1]), 'us')")
    found = latency.compare(chain(), build_wide(), INPUTS, backend=device, runs=3)
    assert (found.slower, found.runs, found.engine) == (True, 6, "command")
    assert found.ratio == pytest.approx(build_wide().ByteSize() / chain().ByteSize())


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelNotSupportedError, match="cannot load it"):
        Command("true {model}").open(path, INPUTS)


def test_a_program_that_vanishes_is_a_failure_of_the_device(tmp_path: Path) -> None:
    program = tmp_path / "bench"
    program.write_text("#!/bin/sh\necho 4\n")
    program.chmod(0o755)
    device = backend("command", command=f"{program} {{model}}", timeout=9.0)
    with device.open(chain(), INPUTS) as timed:
        assert timed() == 4
        program.unlink()
        with pytest.raises(DeviceError, match="cannot be started"):
            timed()
