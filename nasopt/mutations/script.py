"""Edit scripts: what was done to a network, as JSON that a person can read and `nasopt apply` can replay.

```json
{"schema": "nasopt/script/1", "original": {"file": "a.onnx", "sha256": "…"}, "result": {"file": "b.onnx", "sha256": "…"},
 "input_shapes": {"input": [1, 3, 32, 32]}, "edits": [{"kind": "prune-channels", "groups": […]}]}
```
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

from nasopt.errors import InvalidEditError, UsageError
from nasopt.graphs.graph import Graph
from nasopt.mutations import Edit, apply_edit
from nasopt.mutations.set_weights import SetWeights, unpack

__all__ = ["Script", "read_script", "refer_to_script", "replay", "script_of", "understood"]

SCHEMA = "nasopt/script/1"

METADATA_KEY = "nasopt.script"
"""The entry of a result's metadata that names its script, which lies beside it."""


@dataclass(frozen=True, slots=True)
class Script:
    """A replayable compression.

    Attributes:
        original: file name of the model that it was made for.
        original_hash: its content (``sha256:…``).
        edits: what was done, in order.
        input_shapes: the bound input shapes.
        result: file name of the result.
        result_hash: its content.
    """

    original: str
    original_hash: str
    edits: tuple[Edit, ...]
    input_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    result: str = ""
    result_hash: str = ""

    @property
    def structural(self) -> bool:
        """True where new weights belong to the result and their file is not there: a replay gives the structure with inherited weights."""
        return any(edit.kind == SetWeights.kind and edit.tensors is None for edit in self.edits)

    def to_json(self) -> str:
        """The document, one group of channels a line."""
        document = {
            "schema": SCHEMA,
            "original": {"file": self.original, "sha256": self.original_hash.removeprefix("sha256:")},
            "result": {"file": self.result, "sha256": self.result_hash.removeprefix("sha256:")},
            "input_shapes": {name: list(shape) for name, shape in self.input_shapes.items()},
            "edits": [{"kind": edit.kind, **edit.detail} for edit in self.edits],
        }
        return _pretty(document) + "\n"


def read_script(path: str | Path) -> Script:
    """Reads a script.

    Raises:
        UsageError: there is no such file.
        InvalidEditError: it is not a script, or one of a version that is not known.
    """
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise InvalidEditError(f"{path}: not a nasopt edit script (not JSON)") from None
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else None
        raise InvalidEditError(f"{path}: not a nasopt edit script of a known version (schema {found!r}, expected '{SCHEMA}')")
    try:
        edits = tuple(_edit(entry, path.parent) for entry in document["edits"])
        shapes = {str(name): tuple(int(n) for n in shape) for name, shape in document["input_shapes"].items()}
        original, result = document["original"], document["result"]
        return Script(original["file"], f"sha256:{original['sha256']}", edits, shapes, result["file"], f"sha256:{result['sha256']}")
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InvalidEditError(f"{path}: the edit script is damaged (a field is missing or has the wrong type)") from None


def _edit(entry: Mapping[str, Any], folder: Path) -> Edit:
    edit = Edit(entry["kind"], {key: value for key, value in entry.items() if key != "kind"})
    return unpack(edit, folder) if edit.kind == SetWeights.kind else edit


def replay(model: onnx.ModelProto, edits: Sequence[Edit], input_shapes: Mapping[str, Sequence[int]], origin: str) -> onnx.ModelProto:
    """Applies edits one after the other; each sees the model that the one before it left.

    Raises:
        InvalidEditError: an edit does not fit.
    """
    for edit in edits:
        with understood(edit, origin):
            model = apply_edit(Graph(model, input_shapes, origin=origin), edit)
    return model


@contextmanager
def understood(edit: Edit, origin: str) -> Iterator[None]:
    """An edit whose details make no sense is damaged: the user edited the script, or it was cut short."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise InvalidEditError(f"{origin}: a '{edit.kind}' edit of the script is damaged ({type(error).__name__}: {error})") from None


def refer_to_script(model: onnx.ModelProto, path: Path) -> None:
    """Names a script in the metadata of the model that it makes."""
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend([*kept, onnx.StringStringEntryProto(key=METADATA_KEY, value=path.name)])


def script_of(path: Path, model: onnx.ModelProto) -> Path | None:
    """The script beside a result: the one that its metadata name, else the one with its name; None where there is none.

    Args:
        path: the result's file.
        model: its content.
    """
    named = [Path(entry.value).name for entry in model.metadata_props if entry.key == METADATA_KEY]
    places = [path.with_name(name) for name in [*named, f"{path.stem}.json", f"{path.name}.json"] if name]
    return next((place for place in places if place.is_file()), None)


def _pretty(value: Any, indent: int = 0) -> str:
    """JSON in which lists of plain values stay on one line."""
    pad = " " * (indent + 2)
    if isinstance(value, dict) and value:
        inner = ",\n".join(f"{pad}{json.dumps(key)}: {_pretty(item, indent + 2)}" for key, item in value.items())
        return "{\n" + inner + "\n" + " " * indent + "}"
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "[\n" + ",\n".join(pad + _pretty(item, indent + 2) for item in value) + "\n" + " " * indent + "]"
    return json.dumps(value)
