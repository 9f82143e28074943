"""Reads what ``torch.save`` wrote, without torch: the zip files of today and the plain ones from before torch 1.6.

A zip file holds the pickle ``NAME/data.pkl`` and the numbers of each storage in ``NAME/data/KEY``; a plain file holds five pickles (a magic
number, the version, the machine's properties, the object, the keys of the storages) and then, per storage, the number of its
elements (int64) and the elements.
"""

from __future__ import annotations

import io
import mmap
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from nasopt.spaces.tables.importing.content import MalformedError, RefusedError, printable
from nasopt.spaces.tables.importing.inert_pickle import read_pickle
from nasopt.spaces.tables.importing.named import TORCH_TYPES, Storage, storage_type, storage_values

__all__ = ["LEGACY_START", "read_torch"]

LEGACY_START = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickle of torch's magic number, with which every plain file starts."""

LEGACY_VERSION = 1001

Summarise = Callable[[dict[object, object]], None]


def read_torch(path: Path, summarise: Summarise | None = None) -> object:
    """The saved object as plain data; its tensors are NumPy arrays.

    Args:
        path: the file.
        summarise: see ``read_pickle``.

    Raises:
        ValueError: for what torch did not write or what is not data (MalformedError, RefusedError, and what ``zipfile`` raises).
    """
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            return _read_zip(path, summarise)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            if content[: len(LEGACY_START)] != LEGACY_START:
                raise MalformedError("neither a zip file nor torch's magic number")
            content.seek(len(LEGACY_START))
            return _read_legacy(content, summarise)


def _identified(identifier: tuple[object, ...]) -> tuple[str, str, int]:
    """Type, key and number of elements in ``("storage", type, key, location, elements[, None])``."""
    match identifier:
        case ("storage", kind, str() as key, str(), int() as elements) | ("storage", kind, str() as key, str(), int() as elements, None):
            if elements >= 0:
                return storage_type(kind), key, elements
    raise RefusedError(f"refers to {printable(identifier[:1])}, which is not a tensor's storage: refused; nothing was executed")


def _read_zip(path: Path, summarise: Summarise | None) -> object:
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        for filename, info in entries.items():
            parts = PurePosixPath(filename.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts or ":" in filename:
                raise RefusedError(f"holds an entry named {printable(filename)}, which leaves the archive: refused")
            if info.compress_type != zipfile.ZIP_STORED:
                raise RefusedError(f"holds the compressed entry {printable(filename)}, and torch.save does not compress: refused")
        if sum(info.file_size for info in archive.infolist()) > path.stat().st_size:
            raise RefusedError("holds entries that together are larger than the file: refused")
        pickles = [filename for filename in entries if PurePosixPath(filename).name == "data.pkl"]
        if len(pickles) != 1:
            raise MalformedError(f"{len(pickles)} entries named data.pkl in the zip file, expected one")
        root = pickles[0].removesuffix("data.pkl")
        if f"{root}constants.pkl" in entries:
            raise RefusedError("is a TorchScript program, not data: refused; nothing was executed")
        if f"{root}byteorder" in entries and archive.read(entries[f"{root}byteorder"]) != b"little":
            raise MalformedError("numbers in big-endian order, which is not read")
        storages: dict[str, Storage] = {}

        def persistent(identifier: tuple[object, ...]) -> Storage:
            kind, key, elements = _identified(identifier)
            info = entries.get(f"{root}data/{key}")
            if info is None:
                raise MalformedError(f"the storage {printable(key)} is missing")
            if info.file_size != elements * np.dtype(TORCH_TYPES[kind]).itemsize:
                raise MalformedError(f"{elements} {kind} elements in {info.file_size} bytes")
            if f"{kind} {key}" not in storages:
                storages[f"{kind} {key}"] = Storage(storage_values(kind, archive.read(info)))
            return storages[f"{kind} {key}"]

        return read_pickle(io.BytesIO(archive.read(pickles[0])), persistent, summarise)


def _read_legacy(content: mmap.mmap, summarise: Summarise | None) -> object:
    """Storages are filled once the object, whose tensors are views of them, has been read: they stand behind it."""
    if read_pickle(content) != LEGACY_VERSION:
        raise MalformedError(f"not version {LEGACY_VERSION} of torch's files")
    machine = read_pickle(content)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise MalformedError("numbers in big-endian order, which is not read")
    kinds: dict[str, str] = {}
    storages: dict[str, np.ndarray] = {}
    promised = 0

    def persistent(identifier: tuple[object, ...]) -> Storage:
        nonlocal promised
        kind, key, elements = _identified(identifier)
        if key not in storages:
            promised += elements * np.dtype(TORCH_TYPES[kind]).itemsize
            if promised > len(content):
                raise MalformedError(f"tensors of {promised} bytes in a file of {len(content)}")
            kinds[key], storages[key] = kind, np.zeros(elements, np.float32 if kind == "BFloat16" else TORCH_TYPES[kind])
        if kinds[key] != kind or storages[key].size != elements:
            raise MalformedError(f"the storage {printable(key)} has two types or sizes")
        return Storage(storages[key])

    result = read_pickle(content, persistent, summarise)
    keys = read_pickle(content)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(storages):
        raise MalformedError("the list of storages is not that of the tensors")
    for key in keys:
        values, kind = storages[key], kinds[key]
        size = int.from_bytes(content.read(8), "little")
        raw = content.read(values.size * np.dtype(TORCH_TYPES[kind]).itemsize)
        if size != values.size or len(raw) != values.size * np.dtype(TORCH_TYPES[kind]).itemsize:
            raise MalformedError(f"{values.size} {kind} elements promised, {size} announced, {len(raw)} bytes there")
        values[:] = storage_values(kind, raw)
    return result
