"""Files are refused early, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from nasopt.errors import UsageError
from nasopt.files import check_writable, write_atomically


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "out"
    write_atomically(path, b"first")
    write_atomically(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"before")

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("force", [False, True])
def test_where_nothing_can_be_written(force: bool, tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    check_writable(tmp_path / "new", force=force)
    if force:
        check_writable(tmp_path / "there", force=True)
    else:
        with pytest.raises(UsageError, match="exists already; --force overwrites it"):
            check_writable(tmp_path / "there", force=False)
    with pytest.raises(UsageError, match="is a directory"):
        check_writable(tmp_path, force=force)
    with pytest.raises(UsageError, match="its directory does not exist"):
        check_writable(tmp_path / "none" / "out", force=force)
