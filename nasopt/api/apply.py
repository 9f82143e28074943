"""``apply``: an edit script replayed on the model that it was made for."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import onnx

from nasopt.errors import InvalidEditError, VerificationError
from nasopt.files import check_writable
from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import PROTOBUF_LIMIT, content_hash, read_model, write_model
from nasopt.mutations.script import read_script, refer_to_script, replay
from nasopt.results import ApplyResult
from nasopt.runtime.verify import check_result

__all__ = ["apply"]


def apply(script: str | Path, model: str | Path, output: str | Path, *, force: bool = False) -> ApplyResult:
    """Replays a script and writes the result.

    Args:
        script: the edit script, as ``compress`` writes it.
        model: the ONNX file that the script names as its original.
        output: where to write.
        force: whether an existing file may be replaced.

    Returns:
        Where the result is, and whether it holds the inherited weights only (the file of new ones does not lie beside the script).

    Raises:
        UsageError: a file is missing, or `output` cannot be written.
        InvalidEditError: the script is damaged, was made for another model, or makes another result than the one it names.
        ModelNotSupportedError: the file is not a model that nasopt understands.
        VerificationError: the result is not a sound model; nothing was written.
    """
    script, path, output = Path(script), Path(model), Path(output)
    check_writable(output, force=force)
    edits = read_script(script)
    proto = read_model(path)
    if content_hash(path) != edits.original_hash:
        raise InvalidEditError(f"{script}: was made for another model than {path} (its original was '{edits.original}', with another hash)")
    original = Graph(proto, edits.input_shapes, origin=str(path))
    result = replay(proto, edits.edits, edits.input_shapes, str(path))
    failed = [check for check in check_result(original, result, origin=str(output)) if not check.ok]
    if failed:
        raise VerificationError(
            f"{script} applied to {path} gives an unsound model ({failed[0].name}: {failed[0].detail}); nothing was written"
        )
    if not edits.structural and edits.result_hash not in ("sha256:", _hash_as(result, edits.result, output.parent)):
        raise InvalidEditError(
            f"{script}: makes another model of {path} than '{edits.result}', which it was written for: it was changed since, or another "
            "version wrote it; nothing was written (a script that was changed on purpose must have an empty result.sha256)"
        )
    refer_to_script(result, script)
    write_model(result, output)
    return ApplyResult(output, edits.structural)


def _hash_as(model: onnx.ModelProto, name: str, folder: Path) -> str:
    """The hash of the file that ``compress`` would write under a name: its bytes name the script, which is named like it."""
    refer_to_script(model, Path(name).with_suffix(".json"))
    if model.ByteSize() < PROTOBUF_LIMIT:
        return f"sha256:{hashlib.sha256(model.SerializeToString()).hexdigest()}"
    with tempfile.TemporaryDirectory(dir=folder, prefix=".nasopt-") as scratch:
        staged = Path(scratch) / Path(name).name
        write_model(model, staged)
        return content_hash(staged)
