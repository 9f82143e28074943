"""Which release a file or folder is, by its content first and its name second."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nasopt.errors import UsageError
from nasopt.spaces.tables.importing.content import MalformedError, reading
from nasopt.spaces.tables.importing.help_latency import help_release, read_help_folder
from nasopt.spaces.tables.importing.hw_nas_bench import hw_nas_bench_release
from nasopt.spaces.tables.importing.inert_pickle import read_pickle
from nasopt.spaces.tables.importing.nasbench101 import read_nasbench101
from nasopt.spaces.tables.importing.nats import NUMBERED, nats_release, read_nats_file, read_nats_folder, summarise_trial
from nasopt.spaces.tables.importing.tfrecord import crc32c, masked
from nasopt.spaces.tables.importing.timm_csv import read_timm_csv
from nasopt.spaces.tables.importing.torch_file import LEGACY_START, read_torch
from nasopt.spaces.tables.release import Release

__all__ = ["IMPORTABLE", "read_release"]

IMPORTABLE = (
    "NAS-Bench-201 (NAS-Bench-201-v1_1-096897.pth)",
    "NATS-Bench (the folder NATS-tss-v1_0-3ffb9-simple, or NATS-tss-v1_0-3ffb9.pickle.pbz2)",
    "NAS-Bench-101 (nasbench_only108.tfrecord, nasbench_full.tfrecord)",
    "HW-NAS-Bench (HW-NAS-Bench-v1_0.pickle)",
    "HELP (its folders data/nasbench201, data/fbnet and data/ofa, or a file latency/DEVICE.pt)",
    "timm (results-imagenet*.csv, benchmark-infer-*.csv)",
)
PICKLED = {".pickle", ".pkl"}
TAR = b"ustar"
TAR_OFFSET = 257


def read_release(path: str | Path) -> Release:
    """Reads a benchmark's official release, executing nothing from it.

    Args:
        path: one of what ``IMPORTABLE`` lists, as downloaded (archives unpacked).

    Raises:
        UsageError: for anything else, and for a file that is damaged or asks for more than to be read.
    """
    path = Path(path)
    if path.is_dir():
        return _folder(path)
    try:
        with path.open("rb") as file:
            head = file.read(TAR_OFFSET + len(TAR))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    return _reader(path, head)(path)


def _folder(path: Path) -> Release:
    if any(NUMBERED.fullmatch(file.name) for file in path.iterdir()):
        return read_nats_folder(path)
    if any((path / "latency").glob("*.pt")) or (path.name == "latency" and any(path.glob("*.pt"))):
        return read_help_folder(path)
    raise _unknown(path, "a folder with neither 000000.pickle.pbz2 nor latency/*.pt")


def _reader(path: Path, head: bytes) -> Callable[[Path], Release]:
    if head[TAR_OFFSET:] == TAR or path.suffix == ".tar":
        raise UsageError(f"{path} is a tar archive: unpack it, and import the folder that it holds")
    if head[:3] == b"BZh":
        return read_nats_file
    if head[:4] == b"PK\x03\x04" or head.startswith(LEGACY_START):
        return _read_torch_file
    if len(head) > 12 and masked(crc32c([head[:8]]))[0] == struct.unpack("<I", head[8:12])[0]:
        return read_nasbench101
    if head[:1] == b"\x80" or path.suffix in PICKLED:
        return _read_pickle_file
    if head.startswith((b"model,", b"\xef\xbb\xbfmodel,")) or path.suffix == ".csv":
        return read_timm_csv
    if path.suffix in {".pt", ".pth"}:
        return _read_torch_file
    if path.suffix == ".tfrecord":
        return read_nasbench101
    raise _unknown(path, "a file of no known format")


def _read_torch_file(path: Path) -> Release:
    with reading(path, "NAS-Bench-201 or a file of HELP (written by torch.save)"):
        data = read_torch(path, summarise_trial)
        if isinstance(data, dict) and "arch2infos" in data:
            return nats_release(data, "nasbench201")
        if isinstance(data, (list, tuple, np.ndarray)):
            return help_release(path, data)
    raise _unknown(path, "a file of torch without benchmark results (of HELP, name the folder)")


def _read_pickle_file(path: Path) -> Release:
    with reading(path, "HW-NAS-Bench or NATS-Bench (a pickle)"), path.open("rb") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            data = read_pickle(content, summarise=summarise_trial)
        if not isinstance(data, dict):
            raise MalformedError(f"it holds {type(data).__name__}")
        if "arch2infos" in data:
            return nats_release(data, "nats_bench")
        if "nasbench201" in data:
            return hw_nas_bench_release(data)
    raise _unknown(path, "a pickle without benchmark results")


def _unknown(path: Path, what: str) -> UsageError:
    return UsageError(f"{path} is {what}; what can be imported: {'; '.join(IMPORTABLE)}")
