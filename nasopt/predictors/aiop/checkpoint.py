"""A trained ensemble in a folder: weights in safetensors, and a card in JSON that says what it predicts and what it learned from.

``aiop.safetensors`` holds each member's weights, named as `nasopt.predictors.aiop.network` names them behind the member's number, and
descriptions of training networks; ``card.json`` everything else. Asking needs NumPy and SciPy only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.files import write_atomically
from nasopt.graphs.computational_graph import CGFeatures
from nasopt.predictors.aiop.block import Block
from nasopt.predictors.aiop.inference import ADAPTER, Backbone, Head
from nasopt.predictors.aiop.labels import Scale
from nasopt.predictors.aiop.likeness import Likeness, descriptions

__all__ = ["CARD", "WEIGHTS", "Checkpoint"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Singles = np.ndarray[Any, np.dtype[np.float32]]
Weights = Mapping[str, Singles]

WEIGHTS, CARD = "aiop.safetensors", "card.json"
SCHEMA = "nasopt/aiop/1"
BLOCK = 8
"""Graphs asked of at once: matrices that stay in the cache."""


@dataclass(frozen=True)
class Checkpoint:
    """Members, each with a scale of its own, and what they were trained on.

    Attributes:
        members: weights.
        scales: of labels, one a member.
        likeness: of networks to those of training.
        card: whatever else is to be said: at least ``task``, ``unit``, and ``factor``, the unit's value of a label of 1.
    """

    members: tuple[Weights, ...]
    scales: tuple[Scale, ...]
    likeness: Likeness
    card: Mapping[str, Any]

    def predict(self, graphs: Sequence[CGFeatures], gflops: Floats, params: Floats) -> Floats:
        """What each member says: (members, graphs), in the unit of the labels.

        Args:
            graphs: features.
            gflops: 2 x MACs / 1e9 of the same.
            params: parameters / 1e6 of the same.
        """
        described = descriptions(graphs, gflops, params).astype(np.float32)
        begins = range(0, len(graphs), BLOCK)
        blocks = [(Block.of(graphs[begin : begin + BLOCK]), described[begin : begin + BLOCK]) for begin in begins]
        outputs = [np.concatenate([answer(*block) for block in blocks]) for answer in self.answering()]
        return self.in_unit(np.stack(outputs).astype(np.float64), gflops)

    def answering(self) -> list[Callable[[Block, Singles], Singles]]:
        """Each member as a function of a block and of descriptions: one number a graph, scaled."""
        return [_answering(weights) for weights in self.members]

    def in_unit(self, outputs: Floats, gflops: Floats) -> Floats:
        """What members say, (members, graphs), scaled back to the unit of the labels."""
        labels = [scale.invert(row, gflops) for scale, row in zip(self.scales, outputs, strict=True)]
        return np.stack(labels) * float(self.card["factor"])

    def save(self, folder: str | Path) -> None:
        """Writes both files; the card last, so that a folder with a card is whole."""
        from safetensors.numpy import save

        arrays: dict[str, np.ndarray[Any, Any]] = {
            f"{place}.{name}": np.ascontiguousarray(value) for place, weights in enumerate(self.members) for name, value in weights.items()
        }
        arrays |= {"likeness.known": self.likeness.known.astype(np.float32), "likeness.scale": self.likeness.scale.astype(np.float32)}
        data = save(arrays)
        told = {
            "schema": SCHEMA,
            **self.card,
            "members": len(self.members),
            "scales": [scale.told() for scale in self.scales],
            "usual_distance": self.likeness.usual,
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        write_atomically(place / WEIGHTS, data)
        write_atomically(place / CARD, (json.dumps(told, indent=1, sort_keys=True) + "\n").encode())

    @classmethod
    def load(cls, folder: str | Path) -> Checkpoint:
        """Reads what `save` wrote.

        Raises:
            UsageError: it is not there, not whole, or of another kind.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        place = Path(folder)
        try:
            card = json.loads((place / CARD).read_text(encoding="utf-8"))
            data = (place / WEIGHTS).read_bytes()
            if card.get("schema") != SCHEMA:
                raise UsageError(f"{place / CARD}: expected the schema {SCHEMA}, found {card.get('schema')!r}")
            if card.get("sha256") != hashlib.sha256(data).hexdigest():
                raise UsageError(
                    f"{place / WEIGHTS}: not the file that {CARD} speaks of (its SHA-256 differs); train anew, or copy both again"
                )
            arrays = load(data)
            members = tuple(_member(arrays, f"{number}.") for number in range(int(card["members"])))
            scales = tuple(Scale(**scale) for scale in card["scales"])
            if not members or not all(members) or len(scales) != len(members):
                raise ValueError(f"{len(members)} members and {len(scales)} scales")
            task, unit, factor = (card[name] for name in ("task", "unit", "factor"))
            if not (isinstance(task, str) and isinstance(unit, str) and isinstance(factor, float)):
                raise ValueError("task, unit or factor is of the wrong type")
            known, scale = (arrays[f"likeness.{name}"].astype(np.float64) for name in ("known", "scale"))
            return cls(members, scales, Likeness(known, scale, float(card["usual_distance"])), card)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise UsageError(
                f"{place}: not a folder with a trained predictor ({type(error).__name__}: {error}); see 'nasopt train aiop'"
            ) from None


def _answering(weights: Weights) -> Callable[[Block, Singles], Singles]:
    """What a network says, or where it has an adapter, what that says."""
    adapted = f"{ADAPTER}.head.0.weight" in weights
    backbone = Backbone(weights, (ADAPTER,) if adapted else ())
    head = Head(weights, f"{ADAPTER}.head" if adapted else "head")

    def answer(block: Block, described: Singles) -> Singles:
        embedding, others = backbone(block)
        return head(others[0] if adapted else embedding, described)

    return answer


def _member(arrays: Mapping[str, np.ndarray[Any, Any]], begin: str) -> Weights:
    return {name.removeprefix(begin): value for name, value in arrays.items() if name.startswith(begin)}
