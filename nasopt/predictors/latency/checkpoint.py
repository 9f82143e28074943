"""What is believed of any device before it was measured: ships with the package, made by ``training/latency_prior.py``.

``latency.safetensors`` holds mean and covariance of the log weights (`nasopt.predictors.latency.bayes`), ``card.json`` what they were
learned from. Reading needs NumPy only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.files import write_atomically
from nasopt.predictors.latency.bayes import Gaussian
from nasopt.predictors.latency.encoding import names

__all__ = ["FOLDER", "load_prior", "save_prior"]

FOLDER = Path(__file__).parents[1] / "checkpoints" / "latency"
WEIGHTS, CARD = "latency.safetensors", "card.json"
SCHEMA = "nasopt/latency/1"


def save_prior(prior: Gaussian, card: Mapping[str, Any], folder: Path = FOLDER) -> None:
    """Writes both files; the card last, so that a folder with a card is whole."""
    from safetensors.numpy import save

    data = save({"mean": prior.mean.astype(np.float32), "covariance": prior.covariance.astype(np.float32)})
    told = {
        "schema": SCHEMA, **card, "numbers": names(), "noise": prior.noise, "noise_spread": prior.noise_spread,
        "sha256": hashlib.sha256(data).hexdigest(),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WEIGHTS, data)
    write_atomically(folder / CARD, (json.dumps(told, indent=1, sort_keys=True) + "\n").encode())


def load_prior(folder: Path = FOLDER) -> Gaussian:
    """Reads it.

    Raises:
        UsageError: it is not there, damaged, or of another version of the encoding.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        told, data = json.loads((folder / CARD).read_text(encoding="utf-8")), (folder / WEIGHTS).read_bytes()
        if hashlib.sha256(data).hexdigest() != told["sha256"]:
            raise ValueError("the weights are not those of the card")
        if tuple(told["numbers"]) != names():
            raise ValueError("it was made for another encoding")
        arrays = load(data)
        mean, covariance = arrays["mean"].astype(np.float64), arrays["covariance"].astype(np.float64)
        return Gaussian(mean, covariance, float(told["noise"]), float(told["noise_spread"]))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise UsageError(f"{folder}: no belief about latencies ({type(error).__name__}: {error}); install nasopt again") from None
