"""Two networks judged on the same cases: what one gets right more often, and how sure that is."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Hits = npt.NDArray[np.bool_]


def pack(hits: Hits) -> str:
    """As text, for JSON; a multiple of 8 bits, so that the count has to be kept beside it."""
    return base64.b64encode(np.packbits(hits).tobytes()).decode()


def unpack(text: str, count: int) -> Hits:
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8), count=count).astype(bool)


def points_lost(base: Hits, result: Hits) -> tuple[float, float]:
    """Percentage points that a result is behind its base, and the standard error of that: both answered the same cases."""
    difference = 100.0 * (base.astype(float) - result.astype(float))
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


def standard_error(hits: Hits) -> float:
    """Of an accuracy, in percentage points."""
    share = float(hits.mean())
    return 100.0 * float(np.sqrt(share * (1 - share) / len(hits)))


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Mean and standard deviation over draws; one draw has no deviation."""
    return {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else None}
