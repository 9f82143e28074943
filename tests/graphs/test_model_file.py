"""Reading and writing files: external data, damage, atomic writes."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from nasopt.errors import ModelNotSupportedError, UsageError
from nasopt.graphs.model_file import content_hash, external_files, file_bytes, read_model, write_model
from tests.small import chain


@pytest.fixture
def external(tmp_path: Path) -> Path:
    """The chain with its weights in a file beside it."""
    path = tmp_path / "net.onnx"
    onnx.save_model(chain(), str(path), save_as_external_data=True, location="net.data", size_threshold=0)
    return path


def test_external_data_are_read_and_counted(external: Path, tmp_path: Path) -> None:
    assert read_model(external).graph.initializer[0].raw_data == chain().graph.initializer[0].raw_data
    assert external_files(external) == [tmp_path / "net.data"]
    assert file_bytes(external) == external.stat().st_size + (tmp_path / "net.data").stat().st_size
    inside = tmp_path / "inside.onnx"
    write_model(read_model(external), inside)
    assert external_files(inside) == []
    assert [tensor.raw_data for tensor in read_model(inside).graph.initializer] == [tensor.raw_data for tensor in chain().graph.initializer]


def test_the_hash_covers_external_data(external: Path, tmp_path: Path) -> None:
    before = content_hash(external)
    assert before == content_hash(external)
    data = tmp_path / "net.data"
    data.write_bytes(b"\x01" + data.read_bytes()[1:])
    assert content_hash(external) != before


def test_missing_external_data(external: Path, tmp_path: Path) -> None:
    (tmp_path / "net.data").unlink()
    with pytest.raises(ModelNotSupportedError, match=r"the external data file 'net.data' .* is missing"):
        read_model(external)


def test_truncated_external_data(external: Path, tmp_path: Path) -> None:
    (tmp_path / "net.data").write_bytes(b"1234")
    with pytest.raises(ModelNotSupportedError, match="external data cannot be read"):
        read_model(external)


@pytest.mark.parametrize("location", ["../net.data", "/etc/passwd", "a/../../b"])
def test_external_data_elsewhere_are_not_touched(location: str, external: Path) -> None:
    model = onnx.load_model(str(external), load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = location
    external.write_bytes(model.SerializeToString())
    with pytest.raises(ModelNotSupportedError, match="outside the model's directory"):
        read_model(external)


@pytest.mark.parametrize("content", [b"", b"\x00" * 50, b"PK\x03\x04 a zip file", b"some text\n" * 9])
def test_what_is_no_model(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelNotSupportedError, match="not an ONNX model"):
        read_model(path)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(chain().SerializeToString()[:-40])
    with pytest.raises(ModelNotSupportedError, match="truncated"):
        read_model(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_model(tmp_path / "none.onnx")
    with pytest.raises(UsageError, match="no such file"):
        read_model(tmp_path)


def test_a_model_above_the_limit_is_written_with_its_weights_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nasopt.graphs.model_file.PROTOBUF_LIMIT", 100)
    model = chain()
    path = tmp_path / "net.onnx"
    monkeypatch.setattr("onnx.save_model", _saving_all(onnx.save_model))
    write_model(model, path)
    assert external_files(path) == [tmp_path / "net.onnx.data"]
    for one in (model, read_model(path)):
        assert [tensor.raw_data for tensor in one.graph.initializer] == [tensor.raw_data for tensor in chain().graph.initializer]


def _saving_all(save: object) -> object:
    def call(*args: object, **options: object) -> None:
        save(*args, **{**options, "size_threshold": 0})  # type: ignore[operator]

    return call
