"""A run's record: written as answers come, read by others, survived by whoever kills its writer."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nasopt.errors import UsageError
from nasopt.search.run_state import RunState, read_run

WRITER = """
import sys
from pathlib import Path
from nasopt.search.run_state import RunState
path = Path(sys.argv[1])
state = RunState.resume(path) if path.exists() else RunState.create(path, {"samples": 2000})
for number in range(2000):
    answer = state.ask(number, f"q{number}", lambda number=number: [number * 0.1, None])
state.done()
"""


def test_answers_are_asked_for_once_and_kept(tmp_path: Path) -> None:
    path, asked = tmp_path / "a.run", []
    with RunState.create(path, {"samples": 3}) as state:
        assert state.ask(0, "a", lambda: asked.append("a") or [0.1 + 0.2]) == [0.1 + 0.2]
        told, answers = read_run(path)  # while it is open
        assert (told["state"], told["settings"]) == ("running", {"samples": 3})
        assert [(one.number, one.question, one.answer) for one in answers] == [(0, "a", [0.1 + 0.2])]
    with RunState.resume(path) as state:
        assert state.ask(0, "a", lambda: pytest.fail("is on record")) == [0.1 + 0.2]
        assert state.ask(1, "b", lambda: asked.append("b") or 1) == 1
        with pytest.raises(UsageError, match="answer 0 is about a, not b"):
            state.ask(0, "b", lambda: 1)
        state.done()
    assert asked == ["a", "b"]
    assert read_run(path)[0]["state"] == "done"


def test_an_answer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    with RunState.create(tmp_path / "a.run", {}) as state, pytest.raises(KeyboardInterrupt):
        state.ask(0, "a", fail)
    assert read_run(tmp_path / "a.run")[1] == []


def test_a_killed_writer_loses_nothing_that_it_had_answered(tmp_path: Path) -> None:
    path, rng, counts = tmp_path / "a.run", np.random.default_rng(0), []
    for _kill in range(6):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        while not path.exists() and writer.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.uniform(0.02, 0.15))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        answers = read_run(path)[1]  # from the first moment on it is a run
        assert [one.question for one in answers] == [f"q{number}" for number in range(len(answers))]
        counts.append(len(answers))
    subprocess.run([sys.executable, "-c", WRITER, str(path)], check=True)
    assert counts == sorted(counts)
    told, answers = read_run(path)
    assert told["state"] == "done"
    assert [one.answer for one in answers] == [[number * 0.1, None] for number in range(2000)]


def test_what_is_no_run_is_refused_and_stays(tmp_path: Path) -> None:
    text, database = tmp_path / "a.run", tmp_path / "b.run"
    text.write_text("no run")
    sqlite3.connect(database).execute("CREATE TABLE t (x)").connection.close()
    for path in (text, database, tmp_path / "none.run"):
        with pytest.raises(UsageError, match=path.name):
            RunState.resume(path)
    with pytest.raises(UsageError, match="--resume"):
        RunState.create(text, {})
    assert text.read_text() == "no run"
    assert not os.path.exists(tmp_path / "none.run")  # noqa: PTH110 - not by a Path that might have made it
