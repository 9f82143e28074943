"""The digits that scikit-learn carries, in two parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

Part = tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]


def load() -> tuple[Part, Part]:
    """Images in [0, 1], shaped (n, 1, 8, 8), and labels: 1,347 to train with and 450 (every fourth) to test with."""
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, None]
    labels = digits.target.astype(np.int64)
    test = np.arange(len(labels)) % 4 == 0
    return (images[~test], labels[~test]), (images[test], labels[test])
