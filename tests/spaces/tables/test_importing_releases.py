"""The releases made of pickles, torch files and CSV: files of the same form as the published ones come out as columns."""

from __future__ import annotations

import bz2
import os
import pickle  # noqa: TID251 -- the real producer of the format; these tests never load with it
import random
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nasopt.errors import UsageError
from nasopt.spaces.tables.importing import bz2_file
from nasopt.spaces.tables.importing.formats import IMPORTABLE, read_release
from nasopt.spaces.tables.importing.nats import summarise_trial

EVALUATED = {
    "cifar10-valid": ["x-valid", "ori-test"],
    "cifar10": ["ori-test"],
    "cifar100": ["ori-test", "x-valid", "x-test"],
    "ImageNet16-120": ["ori-test", "x-valid", "x-test"],
}
NAMES = [f"|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|{operation}~2|" for operation in ("none", "skip_connect", "avg_pool_3x3")]
CHANCE = random.Random(5)  # noqa: S311 -- no secret

Trial = dict[str, object]
State = dict[str, object]


def trial(data_set: str, seed: int, epochs: int) -> Trial:
    """The state of a ResultsCount: D-X-Y/NATS-Bench, nats_bench/api_utils.py."""
    evaluations = [f"{name}@{epoch}" for name in EVALUATED[data_set] for epoch in range(epochs)]
    return {
        "name": "infer.tiny",
        "net_state_dict": None,
        "train_acc1es": {epoch: CHANCE.uniform(10, 100) for epoch in range(epochs)},
        "train_acc5es": None,
        "train_losses": {epoch: CHANCE.random() for epoch in range(epochs)},
        "train_times": OrderedDict((epoch, CHANCE.uniform(1, 9)) for epoch in range(epochs)) if data_set != "cifar100" else None,
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": NAMES[0], "class_num": 10},
        "params": CHANCE.uniform(0.1, 1.5),
        "flop": CHANCE.uniform(8, 200),
        "seed": seed,
        "epochs": epochs,
        "latency": [0.0153, 0.0149] if data_set != "ImageNet16-120" else [-1],
        "eval_names": EVALUATED[data_set],
        "eval_acc1es": {name: CHANCE.uniform(10, 95) for name in evaluations},
        "eval_times": {name: CHANCE.random() for name in evaluations},
        "eval_losses": {name: CHANCE.random() for name in evaluations},
    }


def results(index: int, epochs: int, seeds: dict[str, list[int]]) -> State:
    """The state of an ArchResults."""
    return {
        "arch_index": index,
        "arch_str": NAMES[index],
        "all_results": {(name, seed): trial(name, seed, epochs) for name, of_name in seeds.items() for seed in of_name},
        "dataset_seed": seeds,
        "clear_net_done": True,
    }


FULL = {"cifar10-valid": [777, 888, 999], "cifar10": [777, 888], "cifar100": [777], "ImageNet16-120": [777, 888]}
LESS = {"cifar10-valid": [777], "cifar10": [777], "cifar100": [777], "ImageNet16-120": [777]}
ARCHS = {index: {"full": results(index, 200, FULL), "less": results(index, 12, LESS)} for index in range(3)}


def mean(index: int, budget: str, data_set: str, value: Callable[[Trial], float]) -> float:
    trials: dict[tuple[str, int], Trial] = ARCHS[index][budget]["all_results"]  # type: ignore[assignment]
    return float(np.mean([value(found) for (name, _), found in trials.items() if name == data_set]))


def write_201(path: Path, *, legacy: bool) -> Path:
    benchmark = {"meta_archs": NAMES, "total_archs": 3, "arch2infos": ARCHS, "evaluated_indexes": set(ARCHS)}
    torch.save(benchmark, path, _use_new_zipfile_serialization=not legacy)  # noqa: TID251 -- the real producer of the format
    return path


def write_bz2(path: Path, value: object) -> Path:
    path.write_bytes(bz2.compress(pickle.dumps(value, 4)))
    return path


def nats(info: dict[str, State]) -> dict[str, State]:
    return {"12": info["less"], "200": info["full"]}


def write_nats_folder(path: Path) -> Path:
    path.mkdir()
    write_bz2(path / "meta.pickle.pbz2", {"meta_archs": NAMES, "total_archs": 3, "evaluated_indexes": {0, 2}})
    write_bz2(path / "000000.pickle.pbz2", nats(ARCHS[0]))
    write_bz2(path / "2.pickle.pbz2", OrderedDict(nats(ARCHS[2])))
    return path


def write_nats_file(path: Path) -> Path:
    return write_bz2(
        path, {"meta_archs": NAMES, "arch2infos": {i: nats(info) for i, info in ARCHS.items()}, "evaluated_indexes": {0, 1, 2}}
    )


RELEASES = {
    "201, legacy": (lambda path: write_201(path / "NAS-Bench-201-v1_1-096897.pth", legacy=True), [0, 1, 2]),
    "201, zip": (lambda path: write_201(path / "NAS-Bench-201-v1_1-096897.pth", legacy=False), [0, 1, 2]),
    "NATS, folder": (lambda path: write_nats_folder(path / "NATS-tss-v1_0-3ffb9-simple"), [0, 2]),
    "NATS, file": (lambda path: write_nats_file(path / "NATS-tss-v1_0-3ffb9.pickle.pbz2"), [0, 1, 2]),
    "201, a name that says nothing": (lambda path: write_201(path / "download (1)", legacy=True), [0, 1, 2]),
}


@pytest.mark.parametrize("case", RELEASES)
def test_nas_bench_201_and_nats_bench(case: str, tmp_path: Path) -> None:
    write, indices = RELEASES[case]
    release = read_release(write(tmp_path))
    columns = release.columns
    assert release.space == "nasbench201"
    assert list(columns["index"]) == indices
    assert columns["arch_str"] == [NAMES[index] for index in indices]
    for column, (budget, data_set, last) in {
        "test_cifar10": ("full", "cifar10", "ori-test@199"),
        "valid_cifar10": ("full", "cifar10-valid", "x-valid@199"),
        "valid_split_test_cifar10": ("full", "cifar10-valid", "ori-test@199"),
        "test_cifar100": ("full", "cifar100", "x-test@199"),
        "test_ImageNet16-120": ("full", "ImageNet16-120", "x-test@199"),
        "e12_valid_ImageNet16-120": ("less", "ImageNet16-120", "x-valid@11"),
        "e12_test_cifar10": ("less", "cifar10", "ori-test@11"),
    }.items():
        expected = [mean(index, budget, data_set, lambda found, last=last: found["eval_acc1es"][last]) for index in indices]
        assert list(columns[column]) == expected
        assert release.units[column] == "%"
    seconds = [mean(index, "full", "cifar10", lambda found: sum(found["train_times"].values())) for index in indices]
    np.testing.assert_allclose(columns["train_time_cifar10"], seconds, rtol=1e-12)
    assert list(columns["flops_m_cifar100"]) == [mean(index, "full", "cifar100", lambda found: found["flop"]) for index in indices]
    assert list(columns["params_m_cifar10"]) == [mean(index, "full", "cifar10", lambda found: found["params"]) for index in indices]
    np.testing.assert_allclose(columns["latency_cifar10"], 15.1)
    assert list(columns["seeds_cifar10-valid"]) == [3] * len(indices)
    assert not {"train_time_cifar100", "latency_ImageNet16-120"} & set(columns)  # nobody measured them


def test_the_size_space_keeps_its_own_epochs(tmp_path: Path) -> None:
    path = tmp_path / "NATS-sss-v1_0-50262-simple"
    path.mkdir()
    write_bz2(path / "meta.pickle.pbz2", {"meta_archs": ["64:64:64:64:64"]})
    write_bz2(path / "000000.pickle.pbz2", {"01": results(0, 1, LESS), "90": results(0, 90, LESS)})
    release = read_release(path)
    assert {"e1_test_cifar10", "e90_test_cifar10"} <= set(release.columns)
    assert release.columns["arch_str"] == ["64:64:64:64:64"]
    assert release.space != "nasbench201"


def test_a_curve_is_cut_down_in_place_and_only_once() -> None:
    found = trial("cifar10", 1, 5)
    times, curve = found["train_times"], found["eval_acc1es"]
    assert isinstance(times, dict)
    assert isinstance(curve, dict)
    seconds, last = sum(times.values()), curve["ori-test@4"]
    for _ in range(2):
        summarise_trial(found)  # type: ignore[arg-type]
        assert (found["train_times"], found["eval_acc1es"]) == ({"total": seconds}, {"ori-test@4": last})
        assert found["train_times"] is times
        assert found["eval_acc1es"] is curve


def test_hw_nas_bench_as_the_real_table(data: Path, tmp_path: Path) -> None:
    table = pyarrow.parquet.read_table(data / "data" / "nasbench201" / "hw_nas_bench.parquet").to_pydict()
    metrics = [name for name in table if name not in {"arch_str", "index", "task"}]
    content: dict[str, dict[str, object]] = {"nasbench201": {}, "fbnet": {"edgegpu_latency": {"FC_Cin1984_Cout1000": 1.5}}}
    chosen = []
    for task in ("cifar10", "cifar100", "ImageNet16-120"):
        rows = [row for row in range(len(table["task"])) if table["task"][row] == task][:150]
        chosen += rows
        content["nasbench201"][task] = {
            "config": [{"name": "infer.tiny", "C": 16, "N": 5, "arch_str": table["arch_str"][row]} for row in rows]
        }
        for metric in metrics:
            kind = np.float64 if metric.startswith("fpga") else float  # the file holds both
            content["nasbench201"][task][metric] = [kind(table[metric][row]) for row in rows]
    path = tmp_path / "HW-NAS-Bench-v1_0.pickle"
    path.write_bytes(pickle.dumps(content, 3))
    release = read_release(path)
    assert list(release.columns) == list(table)
    for name in table:
        assert list(release.columns[name]) == [table[name][row] for row in chosen]
    assert (release.units["raspi4_latency"], release.units["fpga_energy"]) == ("ms", "mJ")


@pytest.mark.parametrize("legacy", [True, False])
def test_help_as_the_real_tables(legacy: bool, data: Path, tmp_path: Path) -> None:
    def save(value: object, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(value, path, _use_new_zipfile_serialization=not legacy)  # noqa: TID251 -- the real producer of the format

    for group, table_name in (("nasbench201", "nasbench201"), ("fbnet", "fbnet"), ("ofa", "ofa_mbv3")):
        table = pyarrow.parquet.read_table(data / "data" / table_name / "latency_help.parquet").slice(0, 300).to_pydict()
        root = tmp_path / "data" / group
        identity = {
            name
            for name in table
            if name in {"index", "arch_str", "arch_key"} or name.removeprefix("ks").removeprefix("e").removeprefix("d").isdigit()
        }
        identity -= {"2080ti_1"}
        devices = [name for name in table if name not in identity]
        for number, device in enumerate(devices):
            values = table[device]
            save(
                (values, np.array(values), torch.tensor(values, dtype=torch.float64), [np.float64(v) for v in values])[number % 4],
                root / "latency" / f"{device}.pt",
            )
        if group == "nasbench201":
            save({name: index for index, name in enumerate(table["arch_str"])}, root / "str_arch2idx.pt")
        elif group == "fbnet":
            save({"arch": [{"op_idx_list": [int(gene) for gene in key.split("_")]} for key in table["arch_key"]]}, root / "metainfo.pt")
        else:
            lists = {
                name: [[table[f"{name}{i}"][row] for i in range(n)] for row in range(300)] for name, n in (("ks", 20), ("e", 20), ("d", 5))
            }
            save({"arch": [{**{name: lists[name][row] for name in lists}, "r": [224]} for row in range(300)]}, root / "ofa_archs.pt")
        release = read_release(root)
        assert set(release.columns) == set(table)
        for name in table:
            assert list(release.columns[name]) == table[name]
        assert release.space == table_name
        assert release.units[devices[0]] == "ms"
        one = read_release(root / "latency" / f"{devices[0]}.pt")
        assert set(one.columns) == {*identity, devices[0]}
        assert list(one.columns[devices[0]]) == table[devices[0]]


def test_help_without_its_folders(tmp_path: Path) -> None:
    torch.save([1.0, 2.0], tmp_path / "pixel2.pt")  # noqa: TID251 -- the real producer of the format
    with pytest.raises(UsageError, match="whose latencies are these"):
        read_release(tmp_path / "pixel2.pt")
    folder = tmp_path / "fbnet" / "latency"
    folder.mkdir(parents=True)
    for name, values in (("pixel2", [1.0, 2.0]), ("pixel3", [1.0])):
        torch.save(values, folder / f"{name}.pt")  # noqa: TID251 -- the real producer of the format
    with pytest.raises(UsageError, match="different numbers of latencies"):
        read_release(folder)


def test_timm_as_the_real_tables(data: Path, tmp_path: Path) -> None:
    table = pyarrow.parquet.read_table(data / "data" / "timm" / "imagenet_accuracy.parquet").slice(0, 200).to_pydict()
    rows = list(zip(*(table[name] for name in ("model", "img_size", "top1", "top5", "params_m", "crop_pct", "interpolation")), strict=True))
    path = tmp_path / "results-imagenet.csv"
    lines = [f"{m},{s},{one:.3f},{100 - one:.3f},{five:.3f},{100 - five:.3f},{p:.2f},{c:.3f},{i}" for m, s, one, five, p, c, i in rows]
    path.write_text("model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation\n" + "\n".join(lines) + "\n")
    columns = read_release(path).columns
    for name in ("model", "img_size", "top1", "top5", "params_m", "crop_pct", "interpolation"):
        assert list(columns[name]) == table[name]

    path = tmp_path / "results-imagenet-real.csv"  # an older order of columns
    path.write_text(
        "model,top1,top1_err,top5,top5_err,param_count,img_size,crop_pct,interpolation,top1_diff,top5_diff,rank_diff\n"
        'a.in1k,91.1,8.9,98.7,1.3,"1,014.45",448,1.0,bicubic,1.0,0.1,0\n'
    )
    release = read_release(path)
    assert release.columns["real_top1"].tolist() == [91.1]
    assert release.columns["params_m"].tolist() == [1014.45]
    assert release.units["real_top1"] == "%"


def test_timm_throughput(tmp_path: Path) -> None:
    path = tmp_path / "benchmark-infer-amp-nchw-pt240-cu124-rtx3090.csv"
    header = "model,infer_img_size,infer_samples_per_sec,infer_step_time,infer_batch_size,param_count,infer_gmacs,infer_macts\n"
    path.write_text(header + "tinynet_e,106,49277.65,20.77,1024,2.04,0.03,0.69\nbroken,224,10.0,,1,2.0,,\n")
    release = read_release(path)
    assert {name: column[0] for name, column in release.columns.items()} == {
        "setup": "amp-nchw-pt240-cu124-rtx3090",
        "model": "tinynet_e",
        "img_size": 106,
        "batch_size": 1024,
        "samples_per_sec": 49277.65,
        "step_ms": 20.77,
        "gmacs": 0.03,
        "mactivations": 0.69,
        "params_m": 2.04,
    }
    assert np.isnan(release.columns["step_ms"][1])
    assert release.units["step_ms"] == "ms"


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.system, (f"touch {self.path}",))


def hostile(path: Path, name: str, evil: object) -> Path:
    """A command where a number should be, in every kind of file that holds a pickle."""
    target = path / name
    if name.endswith("pbz2"):
        return write_bz2(target, {"meta_archs": NAMES, "arch2infos": {0: evil}})
    if name.endswith("pickle"):
        target.write_bytes(pickle.dumps({"nasbench201": {"cifar10": {"config": evil}}}))
        return target
    torch.save({"meta_archs": evil}, target, _use_new_zipfile_serialization=name.endswith("pt"))  # noqa: TID251 -- the real producer
    return target


@pytest.mark.parametrize("name", ["a.pickle.pbz2", "a.pickle", "a.pt", "a.pth"])
def test_a_command_in_a_release_is_named_and_not_run(name: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = hostile(tmp_path / "in", name, Evil(tmp_path / "ran"))
    with pytest.raises(UsageError, match=rf"{name} asks to import (posix|nt)\.system: refused; nothing was executed"):
        read_release(path)
    assert [file.name for file in tmp_path.iterdir()] == ["in"]


def test_a_bz2_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bz2_file, "FREE", 1 << 20)
    path = tmp_path / "NATS-tss-v1_0-3ffb9.pickle.pbz2"
    path.write_bytes(bz2.compress(b"\x80\x04C\x01x" + b"B" + (1 << 23).to_bytes(4, "little") + bytes(1 << 23) + b"."))
    with pytest.raises(UsageError, match="decompresses to more than"):
        read_release(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    root = tmp_path_factory.mktemp("good")
    small = {"12": results(0, 2, LESS)}
    folder = root / "fbnet" / "latency"
    folder.mkdir(parents=True)
    torch.save([1.0, 2.0], folder / "pixel2.pt")  # noqa: TID251 -- the real producer of the format
    return {
        "a.pickle.pbz2": write_bz2(root / "a", {"meta_archs": NAMES, "arch2infos": {0: small}}).read_bytes(),
        "a.pickle": pickle.dumps({"nasbench201": {"cifar10": {"config": [{"arch_str": "x"}], "fpga_latency": [1.5]}}}),
        "fbnet/latency/pixel2.pt": (folder / "pixel2.pt").read_bytes(),
        "a.csv": b"model,img_size,top1,top5,param_count\na,224,1.5,2.5,3.5\n",
    }


@given(data=st.data())
def test_any_damage_is_one_error_that_names_the_file(
    data: st.DataObject, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[name])
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for _ in range(data.draw(st.integers(0, 3))):
        if content:
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    try:
        release = read_release(path)
    except UsageError as error:
        message = str(error)
    else:
        assert len({len(column) for column in release.columns.values()}) == 1
        return
    assert path.name in message
    assert "\n" not in message


def test_what_cannot_be_imported(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello, world: nothing to see here")
    (tmp_path / "a.zip").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    for name in ("notes.txt", "a.zip", "empty"):
        with pytest.raises(UsageError, match="what can be imported: ") as caught:
            read_release(tmp_path / name)
        assert all(line in str(caught.value) for line in IMPORTABLE)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("readme", b"x")
    with pytest.raises(UsageError, match=r"b.zip is not .*torch.save"):
        read_release(tmp_path / "b.zip")
    (tmp_path / "NATS-tss-v1_0-3ffb9-simple.tar").write_bytes(bytes(600))
    with pytest.raises(UsageError, match="unpack it"):
        read_release(tmp_path / "NATS-tss-v1_0-3ffb9-simple.tar")
    with pytest.raises(UsageError, match=r"cannot read .*No such file"):
        read_release(tmp_path / "missing.pth")
    (tmp_path / "other.pickle").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(UsageError, match="a pickle without benchmark results"):
        read_release(tmp_path / "other.pickle")
    torch.save({"weights": torch.ones(2)}, tmp_path / "net.pt")  # noqa: TID251 -- the real producer of the format
    with pytest.raises(UsageError, match="torch without benchmark results"):
        read_release(tmp_path / "net.pt")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="neither top1 nor infer_samples_per_sec"):
        read_release(tmp_path / "other.csv")
