"""Continuous integration promises that no test which needs the data is skipped unseen: here is what keeps the promise."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
def test_of_the_data(data):
    (data / "models" / "one.onnx").read_bytes()

def test_of_nothing():
    pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = data\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    for name in ("models", "images", "data"):
        (tmp_path / "shared" / name).mkdir(parents=True)
    return tmp_path


def closing_line(suite: Path, *arguments: str, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("NASOPT_", "PYTEST_"))} | variables
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=suite, env=environment, capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[-1].split(" in ")[0]


def test_without_the_variable_it_skips(suite: Path) -> None:
    assert closing_line(suite) == "1 passed, 1 skipped"


def test_a_skip_is_an_error_where_data_are_required(suite: Path) -> None:
    assert closing_line(suite, NASOPT_REQUIRE_DATA="1") == "1 passed, 1 error"


def test_a_directory_that_is_missing_is_an_error(suite: Path) -> None:
    (suite / "shared" / "images").rmdir()
    assert closing_line(suite, NASOPT_DATA=str(suite / "shared")) == "1 passed, 1 error"


def test_a_file_that_is_missing_is_a_failure(suite: Path) -> None:
    assert closing_line(suite, NASOPT_DATA=str(suite / "shared")) == "1 failed, 1 passed"


def test_data_that_are_there_are_used(suite: Path) -> None:
    (suite / "shared" / "models" / "one.onnx").touch()
    assert closing_line(suite, NASOPT_DATA=str(suite / "shared")) == "2 passed"


def test_the_marker_selects_them(suite: Path) -> None:
    assert closing_line(suite, "-m", "data", NASOPT_DATA=str(suite / "shared")) == "1 failed, 1 deselected"
