"""HELP's latencies: a folder ``data/nasbench201``, ``data/fbnet`` or ``data/ofa`` of HayeonLee/HELP, or one file ``latency/DEVICE.pt``.

A file holds a list of latencies in ms, in the order of the architectures. These stand beside the folder ``latency``, as the loader.py
of HELP reads them: ``str_arch2idx.pt`` (NAS-Bench-201: number by string), ``metainfo.pt`` (FBNet: ``op_idx_list`` of ``arch[i]``),
``ofa_archs.pt`` (OFA: the lists ``ks``, ``e`` and ``d`` of ``arch[i]``).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nasopt.errors import UsageError
from nasopt.spaces.tables.importing.content import MalformedError, entry, numbers, reading
from nasopt.spaces.tables.importing.torch_file import read_torch
from nasopt.spaces.tables.release import Column, Release

__all__ = ["help_release", "read_help_folder"]

SPACES = {"nasbench201": "nasbench201", "fbnet": "fbnet", "ofa": "ofa_mbv3"}
"""HELP's folder: our name of the space."""

EXPECTED = "a file of HELP (written by torch.save)"
OFA_LISTS = {"ks": 20, "e": 20, "d": 5}


def read_help_folder(path: Path) -> Release:
    """All devices of a space.

    Args:
        path: the folder that holds ``latency``, or that folder itself.

    Raises:
        UsageError: when it is not such a folder, or a file in it is damaged.
    """
    root = path.parent if path.name == "latency" else path
    latencies: dict[str, np.ndarray] = {}
    for file in sorted((root / "latency").glob("*.pt")):
        with reading(file, EXPECTED):
            latencies[file.stem] = numbers(read_torch(file))
    lengths = {name: len(column) for name, column in latencies.items()}
    if len(set(lengths.values())) != 1:
        raise UsageError(f"{root}: its devices have different numbers of latencies: {lengths}")
    return _release(root, latencies)


def help_release(path: Path, data: object) -> Release:
    """The table of one device, from the content of ``latency/DEVICE.pt``.

    Raises:
        MalformedError: when the content is not a list of numbers.
        UsageError: when a file beside it is damaged, or the space is not to be told from its folder.
    """
    return _release(path.parent.parent if path.parent.name == "latency" else path, {path.stem: numbers(data)})


def _release(root: Path, latencies: dict[str, np.ndarray]) -> Release:
    rows = len(next(iter(latencies.values())))
    group = root.resolve().name
    if group not in SPACES:
        raise UsageError(
            f"{root}: whose latencies are these? HELP's files stand in latency/ in a folder {' or '.join(SPACES)}: keep the names"
        )
    columns: dict[str, Column] = {"index": np.arange(rows, dtype=np.int32)}
    for filename, reader in (("str_arch2idx.pt", _strings), ("metainfo.pt", _fbnet), ("ofa_archs.pt", _ofa)):
        file = root / filename
        if file.is_file():
            with reading(file, EXPECTED):
                columns |= reader(read_torch(file), rows)
    return Release(
        name=f"help_{group}",
        space=SPACES[group],
        columns={**columns, **latencies},
        units=dict.fromkeys(latencies, "ms"),
        source=f"HayeonLee/HELP data/{group}/latency (Lee et al., NeurIPS 2021)",
        licence="MIT",
        notes="Latency per device; a number at the end of the name is the batch size.",
    )


def _strings(data: object, rows: int) -> dict[str, Column]:
    if not isinstance(data, dict):
        raise MalformedError("not a dict of numbers by string")
    names = {int(str(index)): str(name) for name, index in data.items()}
    return {"arch_str": [names[index] for index in _all(names, rows)]}


def _fbnet(data: object, rows: int) -> dict[str, Column]:
    archs = entry(data, "arch", list)
    keys = {index: "_".join(f"{gene:.0f}" for gene in numbers(entry(arch, "op_idx_list", object))) for index, arch in enumerate(archs)}
    return {"arch_key": [keys[index] for index in _all(keys, rows)]}


def _ofa(data: object, rows: int) -> dict[str, Column]:
    archs = entry(data, "arch", list)
    _all(dict(enumerate(archs)), rows)
    columns: dict[str, Column] = {}
    for name, length in OFA_LISTS.items():
        table = np.array([numbers(entry(arch, name, object)) for arch in archs])
        if table.shape != (rows, length):
            raise MalformedError(f"{name} of shape {table.shape}, expected {(rows, length)}")
        columns |= {f"{name}{position}": table[:, position].astype(np.int8) for position in range(length)}
    return columns


def _all(known: dict[int, object] | dict[int, str], rows: int) -> range:
    if set(known) != set(range(rows)):
        raise MalformedError(f"{len(known)} architectures for {rows} latencies")
    return range(rows)
