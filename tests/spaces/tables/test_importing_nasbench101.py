"""NAS-Bench-101's TFRecord files: checked records, and cells with their repeats."""

from __future__ import annotations

import base64
import io
import json
import random
import struct
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from nasopt.errors import UsageError
from nasopt.spaces.tables.importing import tfrecord
from nasopt.spaces.tables.importing.content import MalformedError
from nasopt.spaces.tables.importing.formats import read_release
from nasopt.spaces.tables.importing.nasbench101 import fields
from nasopt.spaces.tables.importing.tfrecord import crc32c, records

CELL = (
    "a" * 32,
    "0110010000100000000100000101000001000000010000000",
    "input,conv3x3-bn-relu,maxpool3x3,maxpool3x3,conv1x1-bn-relu,conv1x1-bn-relu,output",
)


def slow_crc32c(message: bytes) -> int:
    """Bit by bit, as the definition says."""
    state = 0xFFFFFFFF
    for byte in message:
        state ^= byte
        for _ in range(8):
            state = (state >> 1) ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def frame(message: bytes) -> bytes:
    def masked(data: bytes) -> bytes:
        checksum = slow_crc32c(data)
        return struct.pack("<I", (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(message))
    return length + masked(length) + message + masked(message)


def metrics_class() -> type:
    """ModelMetrics of nasbench/lib/model_metrics.proto, as protoc would build it."""
    file = descriptor_pb2.FileDescriptorProto(name="model_metrics.proto", package="nasbench", syntax="proto2")
    field = descriptor_pb2.FieldDescriptorProto
    evaluation = file.message_type.add(name="EvaluationData")
    for number, name in enumerate(("current_epoch", "training_time", "train_accuracy", "validation_accuracy", "test_accuracy"), 1):
        evaluation.field.add(name=name, number=number, type=field.TYPE_DOUBLE, label=field.LABEL_OPTIONAL)
    evaluation.field.add(name="checkpoint_path", number=6, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    model = file.message_type.add(name="ModelMetrics")
    model.field.add(
        name="evaluation_data", number=1, type=field.TYPE_MESSAGE, type_name=".nasbench.EvaluationData", label=field.LABEL_REPEATED
    )
    model.field.add(name="trainable_parameters", number=2, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    model.field.add(name="total_time", number=3, type=field.TYPE_DOUBLE, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("nasbench.ModelMetrics"))


MODEL_METRICS = metrics_class()


def row(cell: tuple[str, str, str], epochs: int, params: int, half: tuple[float, ...], final: tuple[float, ...]) -> bytes:
    """A row as nasbench writes it; ``half`` and ``final`` are (validation, test, time)."""
    metrics = MODEL_METRICS(trainable_parameters=params, total_time=5.0)
    for epoch, (valid, test, seconds) in enumerate([(0.1, 0.1, 0.0), half, final]):
        metrics.evaluation_data.add(
            current_epoch=epoch * epochs / 2, training_time=seconds, train_accuracy=0.99, validation_accuracy=valid, test_accuracy=test
        ).checkpoint_path = f"/path/to/model.ckpt-{epoch}"
    key, adjacency, operations = cell
    return json.dumps([key, epochs, adjacency, operations, base64.b64encode(metrics.SerializeToString()).decode()]).encode()


def write(path: Path, rows: list[bytes]) -> Path:
    path.write_bytes(b"".join(map(frame, rows)))
    return path


def test_checksums_of_the_standard() -> None:
    """RFC 3720, appendix B.4."""
    messages = [bytes(32), b"\xff" * 32, bytes(range(32)), bytes(range(31, -1, -1)), b"123456789"]
    assert crc32c(messages).tolist() == [0x8A9136AA, 0x62A8AB43, 0x46DD794E, 0x113FDB5C, 0xE3069283]


@given(st.lists(st.binary(min_size=4, max_size=40), min_size=1, max_size=6))
def test_checksums_bit_by_bit(messages: list[bytes]) -> None:
    assert crc32c(messages).tolist() == [slow_crc32c(message) for message in messages]


@given(st.lists(st.binary(min_size=4, max_size=40), max_size=9))
def test_records_come_back(messages: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tfrecord, "BATCH", 4)
        assert list(records(io.BytesIO(b"".join(map(frame, messages))))) == messages


@given(data=st.data())
def test_no_bit_of_a_record_may_change(data: st.DataObject) -> None:
    content = bytearray(b"".join(map(frame, [b"first record", b"second"])))
    position = data.draw(st.integers(0, len(content) * 8 - 1))
    content[position // 8] ^= 1 << position % 8
    with pytest.raises(MalformedError, match="record"):
        list(records(io.BytesIO(bytes(content))))


def test_no_record_may_be_cut_off() -> None:
    content = frame(b"first record")
    for length in range(1, len(content)):
        with pytest.raises(MalformedError, match="cut off"):
            list(records(io.BytesIO(content[:length])))


def test_a_length_that_lies_allocates_nothing() -> None:
    head = struct.pack("<Q", 2**40)
    with pytest.raises(MalformedError, match="a length of 1099511627776 bytes"):
        list(records(io.BytesIO(head + bytes(100))))


@given(st.lists(st.tuples(st.integers(0, 2**31 - 1), st.floats(allow_nan=False)), max_size=5))
def test_protocol_buffers(values: list[tuple[int, float]]) -> None:
    metrics = MODEL_METRICS(trainable_parameters=sum(count for count, _ in values) % 2**31, total_time=1.5)
    for _, value in values:
        metrics.evaluation_data.add(test_accuracy=value)
    found = fields(metrics.SerializeToString())
    assert [number for number, _ in found] == [1] * len(values) + [2, 3]
    assert [fields(part) for number, part in found if number == 1 and isinstance(part, bytes)] == [[(5, value)] for _, value in values]
    assert found[-2:] == [(2, metrics.trainable_parameters), (3, 1.5)]


@pytest.mark.parametrize("message", [b"\x08", b"\x08\xff", b"\x09abc", b"\x0a\x05abc", b"\x0b", b"\x0d1234", b"\x08" + b"\xff" * 11])
def test_damaged_protocol_buffers(message: bytes) -> None:
    with pytest.raises(MalformedError):
        fields(message)


def test_cells_of_the_benchmark(data: Path, tmp_path: Path) -> None:
    """Rows of the real table, three repeats each at two numbers of epochs, in any order."""
    table = pyarrow.parquet.read_table(data / "data" / "nasbench101" / "accuracy_30001.parquet").slice(1000, 200).to_pydict()
    chance = random.Random(1)  # noqa: S311 -- no secret
    rows, repeats = [], {}
    for index, key in enumerate(table["hash"]):
        cell = (key, table["adjacency"][index], table["ops"][index])
        for epochs in (36, 108):
            valid = [table[f"valid_acc_e{epochs}"][index] + shift for shift in (0.0, 0.25, -0.25)]
            repeats[key, epochs] = [
                (accuracy, accuracy - 0.01, accuracy / 2, accuracy / 3, 100.0 * epochs + accuracy, 50.0 * epochs) for accuracy in valid
            ]
            rows += [(key, epochs, number, cell, table["params"][index]) for number in range(3)]
    chance.shuffle(rows)
    rows.sort(key=lambda row: row[2])  # repeats in order, cells and epochs not
    written = []
    for key, epochs, number, cell, params in rows:
        valid, test, half_valid, half_test, time, half_time = repeats[key, epochs][number]
        written.append(row(cell, epochs, params, (half_valid, half_test, half_time), (valid, test, time)))
    release = read_release(write(tmp_path / "nasbench_full.tfrecord", written))

    columns = release.columns
    order = [table["hash"].index(key) for key in columns["hash"]]
    assert sorted(order) == list(range(200))
    for name in ("n_vertices", "adjacency", "ops", "params"):
        assert list(columns[name]) == [table[name][index] for index in order]
    for epochs in (36, 108):
        names = ("valid_acc", "test_acc", "half_valid_acc", "half_test_acc", "train_time", "half_train_time")
        expected = np.array([repeats[key, epochs] for key in columns["hash"]])
        for position, name in enumerate(names):
            for number in range(3):
                np.testing.assert_array_equal(columns[f"{name}_e{epochs}_r{number + 1}"], expected[:, number, position])
            np.testing.assert_allclose(columns[f"{name}_e{epochs}"], expected[:, :, position].mean(axis=1), rtol=1e-14)
    assert release.space == "nasbench101"
    assert release.units["train_time_e108"] == "s"


def test_a_repeat_that_is_missing_is_no_number(tmp_path: Path) -> None:
    other = ("b" * 32, *CELL[1:])
    written = [
        row(CELL, 108, 10, (0.5, 0.5, 1.0), (0.9, 0.8, 2.0)),
        row(CELL, 108, 10, (0.5, 0.5, 1.0), (0.7, 0.6, 2.0)),
        row(other, 4, 10, (0.2, 0.2, 1.0), (0.3, 0.4, 2.0)),
    ]
    columns = read_release(write(tmp_path / "a.tfrecord", written)).columns
    np.testing.assert_array_equal(columns["valid_acc_e108"], [0.8, np.nan])
    np.testing.assert_array_equal(columns["valid_acc_e4"], [np.nan, 0.3])
    np.testing.assert_array_equal(columns["test_acc_e4_r2"], [np.nan, np.nan])


GOOD = row(CELL, 108, 10, (0.5, 0.5, 1.0), (0.9, 0.8, 2.0))
HOSTILE = {
    "no JSON": (b"hello", "is not a TFRecord file of NAS-Bench-101"),
    "another row": (b'["a", 108]', "is not"),
    "epochs that are text": (GOOD.replace(b"108", b'"108"'), "a row that is not"),
    "deep JSON": (b"[" * 60_000, "damaged"),
    "a matrix of another size": (GOOD.replace(b"input,", b"", 1), "does not fit its 6 operations"),
    "no matrix": (GOOD.replace(b"0110010", b"0110020"), "does not fit"),
    "no base64": (GOOD[:-2] + b'!"]', "damaged"),
    "metrics that are cut off": (json.dumps([CELL[0], 108, *CELL[1:], "CgA="]).encode(), "1 evaluations"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_rows_that_are_none(case: str, tmp_path: Path) -> None:
    content, message = HOSTILE[case]
    with pytest.raises(UsageError, match=message):
        read_release(write(tmp_path / "a.tfrecord", [content, GOOD]))


def test_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no records"):
        read_release(write(tmp_path / "a.tfrecord", []))
