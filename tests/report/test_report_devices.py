"""Devices as text."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from nasopt.device_results import Device
from nasopt.report import devices, text
from nasopt.report.layout import Style
from tests.report import example_results as examples

PLAIN, COLOURED = Style(colour=False), Style(colour=True)


def test_texts_are_plain_without_colour_and_the_same_with_it() -> None:
    for show, result in (
        (devices.calibrate_text, examples.CALIBRATED),
        (devices.list_text, examples.DEVICES),
        (devices.list_text, examples.NO_DEVICES),
        (devices.show_text, examples.SHOWN_DEVICE),
    ):
        plain, coloured = show(result, PLAIN), show(result, COLOURED)
        assert plain.isascii()
        assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain != coloured
        assert all(line == line.rstrip() for line in plain.splitlines())


def test_what_was_measured_what_failed_and_where_it_is() -> None:
    said = devices.calibrate_text(examples.CALIBRATED, PLAIN)
    assert said.startswith("board  command, ssh board ./bench {model}, 2026-11-27")
    assert said.splitlines()[2].split() == ["1.12", "ms", "1.06", "ms", "5.08", "ms", "437", "nasbench_macro:22212220"]
    assert "failed  fbnet:1_2: --device-command" in said
    assert said.endswith("2 networks in 62 s -> devices/board.json")


def test_what_changed_since() -> None:
    said = devices.show_text(examples.SHOWN_DEVICE, PLAIN)
    assert "laptop  onnxruntime, 2 threads" in said
    assert "changed  nasopt: 0.1.0 -> 0.2.0: calibrate anew" in said
    assert "changed  onnxruntime: 1.32.0 is gone" in said
    assert "changed" not in devices.show_text(examples.SHOWN_BOARD, PLAIN)


def test_a_list_names_devices_back_ends_and_damage() -> None:
    said = devices.list_text(examples.DEVICES, PLAIN).splitlines()
    assert said[1].split() == ["board", "command", "2,", "1", "failed", "2026-11-27", "ssh", "board", "./bench", "{model}"]
    assert said[2].split() == ["laptop", "onnxruntime", "2", "2", "2026-11-27"]
    assert said[3] == "damaged  devices/x.json: is no calibration"
    assert said[4] == "back-ends: onnxruntime, openvino (not installed), command"
    assert devices.list_text(examples.NO_DEVICES, PLAIN).startswith("no device was calibrated yet (in devices)")


def test_names_cannot_play_tricks_on_a_terminal() -> None:
    tricky = replace(examples.BOARD, device=Device("board", "command", 1, "x\x1b[31m {model}"))
    for said in (
        devices.list_text(replace(examples.DEVICES, devices=(tricky,), damaged=("\x1b",)), PLAIN),
        devices.show_text(replace(examples.SHOWN_DEVICE, calibration=tricky, changed={"a": ("\x1b", "b")}), PLAIN),
    ):
        assert "\x1b" not in said


def test_bench_names_the_device_where_it_has_a_name() -> None:
    assert text.bench(examples.BENCH_BOARD, PLAIN).endswith("\n  board: command, 50 runs")
    assert text.bench(examples.BENCH_ALONE, PLAIN).endswith("\n  onnxruntime, 1 thread, 50 runs")
    assert Path("small.onnx").name in text.bench(examples.BENCH_BOARD, PLAIN)
