"""``apply``: an edit script replayed on the model that it was made for."""

from __future__ import annotations

from pathlib import Path

from nasopt.errors import InvalidEditError, VerificationError
from nasopt.graphs.graph import Graph
from nasopt.graphs.model_file import check_writable, content_hash, read_model, write_model
from nasopt.mutations.script import read_script, refer_to_script, replay
from nasopt.runtime.verify import check_result

__all__ = ["apply"]


def apply(script: str | Path, model: str | Path, output: str | Path, *, force: bool = False) -> Path:
    """Replays a script and writes the result.

    Args:
        script: the edit script, as ``compress`` writes it.
        model: the ONNX file that the script names as its original.
        output: where to write.
        force: whether an existing file may be replaced.

    Returns:
        Where the result is.

    Raises:
        UsageError: a file is missing, or `output` cannot be written.
        InvalidEditError: the script is damaged, or was made for another model.
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
    refer_to_script(result, script)
    failed = [check for check in check_result(original, result, origin=str(output)) if not check.ok]
    if failed:
        raise VerificationError(
            f"{script} applied to {path} gives an unsound model ({failed[0].name}: {failed[0].detail}); nothing was written"
        )
    write_model(result, output)
    return output
