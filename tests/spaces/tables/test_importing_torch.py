"""What ``torch.save`` wrote is read without torch, in both of its formats, and files that lie are refused."""

from __future__ import annotations

import io
import pickle  # noqa: TID251 -- writes the pickles of hostile files; these tests never load with it
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from nasopt.spaces.tables.importing.content import MalformedError, RefusedError
from nasopt.spaces.tables.importing.inert_pickle import read_pickle
from nasopt.spaces.tables.importing.torch_file import LEGACY_START, read_torch

Save = Callable[[object], Path]


@pytest.fixture(params=["zip", "legacy"])
def save(request: pytest.FixtureRequest, tmp_path: Path) -> Save:
    def write(value: object) -> Path:
        path = tmp_path / "file.pt"
        torch.save(value, path, _use_new_zipfile_serialization=request.param == "zip")  # noqa: TID251 -- the real producer of the format
        return path

    return write


@pytest.mark.parametrize(
    "dtype",
    [torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool],
)
def test_types_of_tensors(dtype: torch.dtype, save: Save) -> None:
    tensor = torch.tensor([[0, 1, 2], [3, 4, 100]]).to(dtype)
    found = read_torch(save({"a": tensor}))
    assert isinstance(found, dict)
    assert found["a"].dtype == tensor.numpy().dtype
    np.testing.assert_array_equal(found["a"], tensor.numpy())


def test_bfloat16_is_read_as_float32(save: Save) -> None:
    tensor = torch.linspace(-3, 5, 11, dtype=torch.bfloat16)
    found = read_torch(save([tensor]))
    assert isinstance(found, list)
    np.testing.assert_array_equal(found[0], tensor.float().numpy())


def test_views_share_a_storage(save: Save) -> None:
    whole = torch.arange(24.0).reshape(4, 6)
    views = [whole, whole.T, whole[1:3, ::2], whole[2, 3], whole[:0], whole.new_zeros(0, 3), whole[:, 5]]
    found = read_torch(save(views))
    assert isinstance(found, list)
    for ours, theirs in zip(found, views, strict=True):
        np.testing.assert_array_equal(ours, theirs.numpy())
    assert np.shares_memory(found[0], found[1])


def test_what_stands_beside_tensors(save: Save) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    value = {
        "weights": network.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "size": torch.Size([1, 2]),
        "list": [1.5, 2, None, "text", (True,)],
        "array": np.arange(3),
        "number": np.float64(2.5),
    }
    found = read_torch(save(value))
    assert isinstance(found, dict)
    assert found["weights"].keys() == value["weights"].keys()
    for name, tensor in network.state_dict().items():
        np.testing.assert_array_equal(found["weights"][name], tensor.numpy())
    np.testing.assert_array_equal(found["parameter"], [1, 1])
    np.testing.assert_array_equal(found["array"], [0, 1, 2])
    assert [found[key] for key in ("size", "list", "number")] == [(1, 2), value["list"], 2.5]


def test_tensors_in_a_plain_pickle_are_left_out() -> None:
    """NATS-Bench's ``-full`` files hold trained weights so."""
    value = {"accuracy": 93.5, "weights": torch.nn.Linear(2, 3).state_dict()}
    assert read_pickle(io.BytesIO(pickle.dumps(value, 4))) == {"accuracy": 93.5, "weights": {"weight": None, "bias": None}}


def test_a_whole_network_is_refused(save: Save) -> None:
    with pytest.raises(RefusedError, match=r"asks to import torch\.nn\.modules\.linear\.Linear: refused; nothing was executed"):
        read_torch(save(torch.nn.Linear(2, 3)))


def test_no_beginning_of_a_file_is_a_file(save: Save, tmp_path: Path) -> None:
    whole = save({"a": torch.arange(3.0), "b": [1.5]}).read_bytes()
    short = tmp_path / "short.pt"
    for length in range(0, len(whole), 7):
        short.write_bytes(whole[:length])
        with pytest.raises((ValueError, IndexError, EOFError, zipfile.BadZipFile)):
            read_torch(short)


def tensor_pickle(storage: bytes = b"K\x04", offset: bytes = b"K\x00", size: bytes = b"K\x04\x85", stride: bytes = b"K\x01\x85") -> bytes:
    """``_rebuild_tensor_v2(("storage", FloatStorage, "0", "cpu", storage), offset, size, stride, False, OrderedDict())``."""
    identifier = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu" + storage + b"tQ"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + identifier + offset + size + stride + b"\x89ccollections\nOrderedDict\n)RtR."


def write_zip(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


FOUR = struct.pack("<4f", 1, 2, 3, 4)
GOOD = {"archive/data.pkl": tensor_pickle(), "archive/data/0": FOUR}
LIES = {
    "a storage of more elements than there are": (tensor_pickle(storage=b"J\x00\x00\x00\x40"), "elements in 16 bytes"),
    "a storage of fewer": (tensor_pickle(storage=b"K\x02"), "2 Float elements in 16 bytes"),
    "a storage of negative size": (tensor_pickle(storage=b"J\xff\xff\xff\xff"), "not a tensor's storage"),
    "a storage of another type": (tensor_pickle().replace(b"FloatStorage", b"Size"), "no known type"),
    "a storage that is a function": (tensor_pickle().replace(b"ctorch\nFloatStorage", b"cos\nsystem"), "import os.system"),
    "an id that is none": (tensor_pickle().replace(b"storagec", b"modulesc"), "refers to .*modules"),
    "an id of two parts": (b"\x80\x02(X\x07\x00\x00\x00storageK\x01tQ.", "not a tensor's storage"),
    "an id that is text": (b"\x80\x02X\x07\x00\x00\x00storageQ.", "by str"),
    "a tensor behind the end": (tensor_pickle(offset=b"K\x01"), "in a storage of 4 elements"),
    "a tensor before the start": (tensor_pickle(offset=b"J\xff\xff\xff\xff"), "in a storage of 4 elements"),
    "a tensor of negative stride": (tensor_pickle(stride=b"J\xff\xff\xff\xff\x85"), "in a storage of 4 elements"),
    "a stride too long": (tensor_pickle(stride=b"K\x02\x85"), "in a storage of 4 elements"),
    "one element a billion times": (tensor_pickle(size=b"J\x00\xca\x9a\x3b\x85", stride=b"K\x00\x85"), "in a storage of 4 elements"),
    "a size and no stride": (tensor_pickle(stride=b")"), "other arguments than torch's"),
    "text for a size": (tensor_pickle(size=b"X\x01\x00\x00\x00a\x85"), "in a storage of 4 elements"),
}


def test_a_zip_file_made_by_hand(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_torch(write_zip(tmp_path / "a.pt", GOOD)), [1, 2, 3, 4])


@pytest.mark.parametrize("case", LIES)
def test_lies_about_tensors(case: str, tmp_path: Path) -> None:
    content, message = LIES[case]
    with pytest.raises((RefusedError, MalformedError), match=message):
        read_torch(write_zip(tmp_path / "a.pt", GOOD | {"archive/data.pkl": content}))


ARCHIVES = {
    "a path that climbs": (GOOD | {"archive/../../etc/passwd": b""}, "leaves the archive"),
    "an absolute path": (GOOD | {"/etc/passwd": b""}, "leaves the archive"),
    "a path of Windows": (GOOD | {"C:\\x": b""}, "leaves the archive"),
    "a storage that climbs": ({"archive/data.pkl": tensor_pickle().replace(b"\x01\x00\x00\x000X", b"\x04\x00\x00\x00../0X")}, "is missing"),
    "no storage": ({"archive/data.pkl": tensor_pickle()}, "is missing"),
    "no pickle": ({"archive/data/0": FOUR}, "0 entries named data.pkl"),
    "two pickles": (GOOD | {"other/data.pkl": b"N."}, "2 entries named data.pkl"),
    "a TorchScript program": (GOOD | {"archive/constants.pkl": b"N."}, "TorchScript"),
    "big-endian numbers": (GOOD | {"archive/byteorder": b"big"}, "big-endian"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_archives_that_torch_did_not_write(case: str, tmp_path: Path) -> None:
    entries, message = ARCHIVES[case]
    with pytest.raises((RefusedError, MalformedError), match=message):
        read_torch(write_zip(tmp_path / "a.pt", entries))


def test_a_zip_bomb_is_not_opened(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.pt", {"archive/data.pkl": b"\x80\x02" + b"]0" * 10_000_000 + b"N."}, zipfile.ZIP_DEFLATED)
    with pytest.raises(RefusedError, match=r"compressed entry archive/data.pkl"):
        read_torch(path)


def test_entries_that_overlap(tmp_path: Path) -> None:
    """Three entries of the directory that stand for the same bytes."""
    path = write_zip(tmp_path / "a.pt", {"archive/data.pkl": b"\x80\x02" + b"N0" * 500 + b"N."})
    content = path.read_bytes()
    start, end = content.index(b"PK\x01\x02"), content.index(b"PK\x05\x06")
    directory = content[start:end] * 3
    tail = content[end : end + 8] + struct.pack("<HHI", 3, 3, len(directory)) + content[end + 16 :]
    path.write_bytes(content[:start] + directory + tail)
    with pytest.raises(RefusedError, match="together are larger than the file"):
        read_torch(path)


def legacy(value: bytes, storages: bytes = b"\x80\x02]X\x01\x00\x00\x000a." + struct.pack("<q", 4) + FOUR, machine: object = None) -> bytes:
    properties = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}} if machine is None else machine
    version = pickle.dumps(1001, 2)
    return LEGACY_START + version + pickle.dumps(properties, 2) + value + storages


def test_a_legacy_file_made_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(legacy(tensor_pickle()))
    np.testing.assert_array_equal(read_torch(path), [1, 2, 3, 4])


KEYS = b"\x80\x02]X\x01\x00\x00\x000a."
LEGACY_LIES = {
    "a storage larger than the file": (legacy(tensor_pickle(storage=b"J\x00\x00\x00\x7f")), "bytes in a file of"),
    "a storage of another size": (legacy(tensor_pickle(), KEYS + struct.pack("<q", 2**60) + FOUR), "4 Float elements promised"),
    "a storage that is cut off": (legacy(tensor_pickle(), KEYS + struct.pack("<q", 4) + FOUR[:9]), "9 bytes there"),
    "no storages": (legacy(tensor_pickle(), b"\x80\x02]."), "not that of the tensors"),
    "other storages": (legacy(tensor_pickle(), b"\x80\x02]X\x01\x00\x00\x001a." + struct.pack("<q", 4) + FOUR), "not that of the tensors"),
    "no list of storages": (legacy(tensor_pickle(), b"N."), "not that of the tensors"),
    "another version": (LEGACY_START + b"\x80\x02K\x01." * 3, "version 1001"),
    "big-endian numbers": (legacy(tensor_pickle(), machine={"little_endian": False}), "big-endian"),
    "a command": (legacy(b"cos\nsystem\n(S'true'\ntR."), "import os.system"),
    "a command in the properties": (LEGACY_START + pickle.dumps(1001, 2) + b"cos\nsystem\n(S'true'\ntR.", "import os.system"),
    "another file": (b"hello, world", "neither a zip file nor torch's magic number"),
}


@pytest.mark.parametrize("case", LEGACY_LIES)
def test_lies_in_legacy_files(case: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    content, message = LEGACY_LIES[case]
    path.write_bytes(content)
    with pytest.raises((RefusedError, MalformedError), match=message):
        read_torch(path)
