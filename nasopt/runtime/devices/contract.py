"""What a back-end is: something that opens a network on inputs, and then times one run after the other.

What may go wrong with one network and leave the next one unharmed is in `SURVIVABLE`: a network that the engine does not run, a command
that failed. Everything else (an extra that is not installed, an interrupt) ends a measurement.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, Protocol, Self

import numpy as np
import onnx

from nasopt.errors import DeviceError, ModelNotSupportedError, NasoptError

__all__ = ["FEWEST", "MOST", "SURVIVABLE", "WARM_UP", "Array", "Backend", "InProcess", "Opened", "origin_of", "unsupported"]

Array = np.ndarray[Any, Any]

SURVIVABLE = (DeviceError, ModelNotSupportedError)
"""Errors of one network."""

WARM_UP, FEWEST, MOST = 3, 20, 500
"""Turns of an engine in our own process: those that do not count, then at least and at most."""

_TOLD = 300


class Opened(ABC):
    """A network on a device, ready to be timed. Call it for one timed run, in milliseconds; close it, or use it as a context manager."""

    @abstractmethod
    def __call__(self) -> float:
        """Runs once.

        Returns:
            Milliseconds.

        Raises:
            DeviceError: the device failed.
            ModelNotSupportedError: the network fails on its inputs.
        """

    def outputs(self) -> list[Array] | None:
        """What the network answers to its inputs, in the order of its outputs; None where the device does not tell."""
        return None

    def close(self) -> None:  # noqa: B027  most have nothing to remove
        """Removes what was made for it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Backend(Protocol):
    """A way to run networks.

    Attributes:
        name: as `nasopt.runtime.devices.registry` lists it.
        threads: within an operator.
        warm_up: turns that do not count, at least one.
        fewest: turns that are timed at least, however long they take.
        most: turns that are timed at most, however short they are.
    """

    @property
    def name(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def warm_up(self) -> int: ...
    @property
    def fewest(self) -> int: ...
    @property
    def most(self) -> int: ...

    def open(self, model: onnx.ModelProto | Path, inputs: dict[str, Array]) -> Opened:
        """Readies a network.

        Args:
            model: the network, or the path of its file.
            inputs: arrays by name; they say how long dynamic dimensions are.

        Raises:
            MissingExtraError: the engine is not installed.
            ModelNotSupportedError: the engine does not load the network.
            DeviceError: the device cannot be used.
        """
        ...


@dataclass(slots=True)
class InProcess(Opened):
    """A network in an engine of this process.

    Attributes:
        origin: what error messages call the network.
        engine: what they call the engine.
        run: one run, which is timed.
        answers: what a run gives, in the order of the outputs.
        threads: that it works with. One alone is timed by the CPU's clock, so that whatever else keeps the machine busy does not count;
            where several work at once only the wall's clock tells how long a run takes.
        around: what each run happens in; entering and leaving it is not timed.
    """

    origin: str
    engine: str
    run: Callable[[], Any]
    answers: Callable[[], Sequence[Array]]
    threads: int
    around: Callable[[], AbstractContextManager[Any]] = nullcontext

    def __call__(self) -> float:
        clock = process_time if self.threads == 1 else perf_counter
        with self.around():
            try:
                start = clock()
                self.run()
                return 1e3 * (clock() - start)
            except Exception as error:  # noqa: BLE001  engines' errors have no common base
                raise self._failed(error) from None

    def outputs(self) -> list[Array]:
        with self.around():
            try:
                return [np.asarray(value) for value in self.answers()]
            except Exception as error:  # noqa: BLE001  engines' errors have no common base
                raise self._failed(error) from None

    def _failed(self, error: Exception) -> NasoptError:
        if isinstance(error, NasoptError):
            return error
        return ModelNotSupportedError(f"{self.origin}: {self.engine} fails when it runs: {str(error)[:_TOLD]}")


def origin_of(model: onnx.ModelProto | Path) -> str:
    """What error messages call a network."""
    return "model" if isinstance(model, onnx.ModelProto) else str(model)


def unsupported(model: onnx.ModelProto | Path, engine: str, error: Exception) -> ModelNotSupportedError:
    """What is raised where an engine does not load a network."""
    return ModelNotSupportedError(f"{origin_of(model)}: {engine} cannot load it: {' '.join(str(error).split())[:_TOLD]}")
