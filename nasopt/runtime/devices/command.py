"""Anything else: a command of the user's, run once for each measurement, which prints how long a network takes.

``ssh board ./bench {model}``: ``{model}`` becomes the path of an ONNX file, the rest is split as a shell would, but no shell runs. What it
prints is read by `parse`. A run that fails, hangs or prints no time is repeated once; then it is a `DeviceError`.
"""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import onnx

from nasopt.errors import DeviceError, UsageError
from nasopt.graphs.binding import declared_shape
from nasopt.graphs.model_file import read_model, write_model
from nasopt.runtime.children import ended, last_line, run_child, tail
from nasopt.runtime.devices.contract import Array, Opened, unsupported

__all__ = ["Command", "parse"]

PLACE = "{model}"
TIMEOUT = 300.0
"""Seconds."""

_KEYS = ("latency_ms", "median_ms")
_READ = 1 << 20
"""Bytes at the end of the output that are looked at."""
_SHOWN = 80

_UNITS = {"s": 1e3, "sec": 1e3, "second": 1e3, "ms": 1.0, "msec": 1.0, "millisecond": 1.0, "us": 1e-3, "µs": 1e-3, "μs": 1e-3}
_UNITS |= {"usec": 1e-3, "microsecond": 1e-3, "ns": 1e-6, "nanosecond": 1e-6}
# A number stands for itself: no part of a word (conv2d, run-3), path, version (1.2.3), date or time of day, and no percentage.
_NUMBER = re.compile(
    r"(?<![\w./])(?<!\w-)(?<!\d[:,])(?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?)"
    rf"(?:\s*(?P<unit>(?:{'|'.join(sorted(_UNITS, key=len, reverse=True))})s?)(?!\w)|(?!\w|\.\d|/|-\w|[:,]\d|\s*%))",
    re.IGNORECASE,
)


def parse(output: str) -> float | None:
    """The time that a command printed.

    A JSON object on a line of its own, or the whole output being one, tells it as ``latency_ms`` or ``median_ms``, in whatever depth.
    Else it is in the last line that holds a number: the last number with a unit of time there (s, ms, us, ns), or the last number,
    which then is in milliseconds.

    Returns:
        Milliseconds; None where there is no time, or it is not positive.
    """
    lines = output.splitlines()
    documents = [found for text in (output, *reversed(lines)) if (found := _object(text)) is not None]
    told = next((value for document in documents for value in _told(document)), None)
    if told is not None:
        return _positive(told)
    for line in reversed(lines):
        if (numbers := list(_NUMBER.finditer(line))) and _object(line) is None:
            last = next((number for number in reversed(numbers) if number["unit"]), numbers[-1])
            unit = (last["unit"] or "ms").lower()
            return _positive(float(last["number"]) * _UNITS[unit if unit in _UNITS else unit.removesuffix("s")])
    return None


def _object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _told(value: object) -> Iterator[object]:
    """What stands under the keys, the outermost first."""
    if isinstance(value, dict):
        yield from (value[key] for key in _KEYS if key in value)
        for child in value.values():
            yield from _told(child)


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number > 0 else None


@dataclass(frozen=True, slots=True)
class Command:
    """See `nasopt.runtime.devices.contract.Backend`. A run of the command is a turn; how often it runs the network itself is its business.

    Attributes:
        command: with ``{model}`` where the path of an ONNX file goes.
        timeout: seconds after which a run is stopped, with all that it started.

    Raises:
        UsageError: the command does not name the model, cannot be split, or its program is not there.
    """

    command: str
    timeout: float = TIMEOUT
    name: ClassVar[str] = "command"
    threads: ClassVar[int] = 1
    warm_up: ClassVar[int] = 1
    fewest: ClassVar[int] = 3
    most: ClassVar[int] = 10

    def __post_init__(self) -> None:
        if PLACE not in self.command:
            raise UsageError(f"--device-command '{self.command}': say where the path of the network goes: 'ssh board ./bench {PLACE}'")
        program = self.words(Path("model.onnx"))[0]
        if shutil.which(program) is None:
            raise UsageError(f"--device-command '{self.command}': there is no program '{program}'")

    def words(self, model: Path) -> list[str]:
        """The program and its arguments."""
        try:
            return shlex.split(self.command.replace(PLACE, shlex.quote(str(model))))
        except ValueError as error:
            raise UsageError(f"--device-command '{self.command}': cannot be split into words ({str(error).lower()})") from None

    def open(self, model: onnx.ModelProto | Path, inputs: dict[str, Array]) -> Opened:
        """Writes the network to a temporary file; a file with fixed sizes is used where it is, its weights may lie beside it."""
        # A command learns of no sizes but those in the file.
        folder = tempfile.TemporaryDirectory(prefix="nasopt-")
        try:
            if isinstance(model, Path) and not _open_ended(_structure(model)):
                return _Commanded(self, model.absolute(), folder)
            path = Path(folder.name, "model.onnx")
            write_model(_bound(read_model(model) if isinstance(model, Path) else model, inputs), path)
        except BaseException:
            folder.cleanup()
            raise
        return _Commanded(self, path, folder)

    def measure(self, model: Path) -> float:
        """One run: milliseconds.

        Raises:
            DeviceError: it failed twice.
        """
        try:
            return self._once(model)
        except DeviceError:
            return self._once(model)

    def _once(self, model: Path) -> float:
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
            try:
                code = run_child(self.words(model), stdout=said, stderr=complained, timeout=self.timeout)
            except subprocess.TimeoutExpired:
                raise self._failed(f"took longer than {self.timeout:g} s and was stopped", last_line(complained)) from None
            except OSError as error:
                raise self._failed(f"cannot be started ({error.strerror})", "") from None
            if code:
                raise self._failed(ended(code), last_line(complained))
            output = tail(said, _READ)
            found = parse(output)
            if found is None:
                last = next((line for line in reversed(output.split("\n")) if line.strip()), "").strip()
                printed = f"'{last[:_SHOWN]}', which is no time" if last else "nothing"
                raise self._failed(f"ended with exit code 0 but printed {printed}", last_line(complained))
            return found

    def _failed(self, what: str, last: str) -> DeviceError:
        return DeviceError(f"--device-command '{self.command}': {what}{last and ': ' + last}")


@dataclass(slots=True)
class _Commanded(Opened):
    command: Command
    model: Path
    folder: tempfile.TemporaryDirectory[str]

    def __call__(self) -> float:
        return self.command.measure(self.model)

    def close(self) -> None:
        self.folder.cleanup()


def _structure(path: Path) -> onnx.ModelProto:
    """A model without the weights beside it."""
    try:
        return onnx.load(path, load_external_data=False)
    except Exception as error:  # noqa: BLE001  protobuf's errors, and the system's
        raise unsupported(path, "onnx", error) from None


def _open_ended(model: onnx.ModelProto) -> bool:
    """Whether an input has a dynamic dimension, or none declared."""
    return any(
        not value.type.tensor_type.HasField("shape") or any(not isinstance(size, int) for size in declared_shape(value))
        for value in model.graph.input
    )


def _bound(model: onnx.ModelProto, inputs: dict[str, Array]) -> onnx.ModelProto:
    """The model, its inputs declared as long as these arrays; a copy where that changes anything."""
    if not _open_ended(model):
        return model
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for value in made.graph.input:
        if value.name in inputs:
            shape = value.type.tensor_type.shape
            del shape.dim[:]
            shape.dim.extend(onnx.TensorShapeProto.Dimension(dim_value=size) for size in inputs[value.name].shape)
            shape.SetInParent()
    return made
