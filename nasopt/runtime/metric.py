"""A metric of the user's own: ``FILE.py:function``, called with the path of an ONNX file; it returns a number, and larger is better.

The function runs in a process of its own, so that it may print, leak, crash or import whatever it likes. Its number comes back in a
file, not on stdout.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import onnx

from nasopt.errors import UsageError
from nasopt.graphs.model_file import write_model
from nasopt.runtime.children import ended, last_line, run_child

__all__ = ["Metric", "read_metric"]

_CHILD = Path(__file__).with_name("metric_child.py")
_TOLD = 300
"""Characters of a user's error that are repeated."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure of networks; larger is better. Make it with `read_metric`, which looks whether it exists.

    Attributes:
        path: the Python file, as it was given.
        function: of that file; takes the path of an ONNX file as a string and returns a number.
    """

    path: Path
    function: str

    def __str__(self) -> str:
        return f"{self.path}:{self.function}"

    def measure(self, model: onnx.ModelProto | Path, *, timeout: float | None = None) -> float:
        """Calls the function, in a new process, with the working directory and the folder of its file on the import path.

        What it prints is swallowed: stdout may carry a JSON document of ours, and stderr a progress bar.

        Args:
            model: a network, which is written to a temporary file, or the path of one.
            timeout: seconds after which it is stopped; None waits.

        Raises:
            UsageError: it fails, dies, takes too long, or returns anything but a finite number.
        """
        with tempfile.TemporaryDirectory(prefix="nasopt-") as folder:
            if isinstance(model, onnx.ModelProto):
                path = Path(folder, "model.onnx")
                write_model(model, path)
            else:
                path = model.absolute()
            answer = Path(folder, "answer.json")
            with Path(folder, "said.txt").open("w+b") as said:
                code = self._run(path, answer, said, timeout)
                told = _read(answer)
                if told is None:
                    last = last_line(said)
                    raise UsageError(f"--metric {self}: its process {ended(code)} before it returned anything{last and ': ' + last}")
        if "error" in told:
            raise UsageError(f"--metric {self}: {str(told['error'])[:_TOLD]}")
        return float(told["value"])

    def _run(self, model: Path, answer: Path, said: BinaryIO, timeout: float | None) -> int:
        # -P: the folder of the child's program is a room of nasopt, and not to be imported from.
        command = [sys.executable, "-P", str(_CHILD), str(self.path.absolute()), self.function, str(model), str(answer)]
        try:
            return run_child(command, stdout=said, stderr=said, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise UsageError(f"--metric {self}: it took longer than {timeout:g} s and was stopped") from None


def read_metric(text: str) -> Metric:
    """Reads ``FILE.py:function``, and looks into the file whether it defines the function. None of it is run.

    Raises:
        UsageError: there is no such file or function.
    """
    file, colon, function = text.rpartition(":")
    if not colon or not file or not function:
        raise UsageError(f"--metric {text}: say FILE.py:function, a file and a function of it that takes the path of an ONNX file")
    path = Path(file)
    if path.suffix != ".py":
        raise UsageError(f"--metric {text}: {file} is not a .py file")
    if not function.isidentifier():
        raise UsageError(f"--metric {text}: '{function}' is not the name of a function")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the user's escapes: he hears of them when it runs
            names = set(_bound(ast.parse(path.read_bytes(), file).body))
    except FileNotFoundError:
        raise UsageError(f"--metric {text}: there is no file {file}") from None
    except OSError as error:
        raise UsageError(f"--metric {text}: {file} cannot be read ({error.strerror})") from None
    except (SyntaxError, ValueError, RecursionError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(f"--metric {text}: {file} is not valid Python{where}: {said}") from None
    if function not in names and "*" not in names:
        defined = sorted(name for name in names if not name.startswith("_"))
        raise UsageError(f"--metric {text}: {file} does not define '{function}'; it defines {', '.join(defined) or 'nothing'}"[:_TOLD])
    return Metric(path, function)


def _bound(statements: list[ast.stmt]) -> Iterator[str]:
    """The names that a module binds at its top, under an ``if`` or ``try`` as well; ``*`` where an import hides which."""
    for statement in statements:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield statement.name
            case ast.Import() | ast.ImportFrom():
                yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
            case _:
                for child in ast.iter_child_nodes(statement):
                    if isinstance(child, ast.stmt):
                        yield from _bound([child])
                    elif isinstance(child, ast.ExceptHandler | ast.match_case):
                        yield from _bound(child.body)
                    else:
                        yield from (name.id for name in ast.walk(child) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store))


def _read(answer: Path) -> dict[str, float | str] | None:
    """What the child wrote; None where it did not come so far."""
    try:
        told: dict[str, float | str] = json.loads(answer.read_bytes())
    except (OSError, ValueError):
        return None
    return told
