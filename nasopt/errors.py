"""Everything that nasopt raises on purpose.

A message says what went wrong, where (node, operator, file) and what to do about it; ``exit_code`` is what the command line
ends with when the error reaches it.
"""

from __future__ import annotations

__all__ = [
    "ConstraintUnreachableError",
    "DeviceError",
    "InvalidEditError",
    "MissingExtraError",
    "ModelNotSupportedError",
    "NasoptError",
    "UsageError",
    "VerificationError",
]


class NasoptError(Exception):
    """Root of all errors that nasopt raises on purpose. A message is one line, whatever the names in it hold."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class UsageError(NasoptError):
    """An argument, a path or a combination of options that cannot be used."""

    exit_code = 2


class MissingExtraError(UsageError):
    """An optional dependency is needed: the message names the extra that brings it."""


class ConstraintUnreachableError(NasoptError):
    """No admissible network satisfies the constraints.

    Attributes:
        reachable: for each constraint (``"flops"``, ``"params"``, ``"memory"``), the largest relative drop that is reachable
            when it is asked for alone.
    """

    exit_code = 3

    def __init__(self, message: str, reachable: dict[str, float]) -> None:
        super().__init__(message)
        self.reachable = reachable


class ModelNotSupportedError(NasoptError):
    """The file is not a model that nasopt understands; nothing was written."""

    exit_code = 4


class DeviceError(NasoptError):
    """A device failed on one network: it cannot be used, or its command failed, hung, or gave no time. The next network may do better."""

    exit_code = 6


class InvalidEditError(NasoptError):
    """An edit script does not fit the model it is applied to."""

    exit_code = 4


class VerificationError(NasoptError):
    """A result failed its own verification; nothing was written. Always a defect of nasopt: please report it."""

    exit_code = 1
