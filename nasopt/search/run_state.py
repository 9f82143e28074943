"""The record of a run: one SQLite file, every answer written as it comes, readable while the run goes on.

A search follows from its settings and the answers that it got. To resume it is therefore to run it again with the recorded answers: what
it computes on the way is the same, and only what was never answered is asked. `kill -9` loses at most the answer that was being written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nasopt.errors import UsageError
from nasopt.files import write_atomically

__all__ = ["Answer", "RunState", "read_run"]

SCHEMA = "nasopt/run/1"
TABLES = """
CREATE TABLE run (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE answers (number INTEGER PRIMARY KEY, question TEXT NOT NULL, answer TEXT NOT NULL, at TEXT DEFAULT CURRENT_TIMESTAMP);
"""


@dataclass(frozen=True)
class Answer:
    """One evaluation: what was asked, and what came back (plain JSON values)."""

    number: int
    question: str
    answer: Any
    at: str


class RunState:
    """A run's file, open for one writer; a context manager."""

    def __init__(self, path: Path, connection: sqlite3.Connection, settings: Mapping[str, Any]) -> None:
        self.path, self.settings = path, dict(settings)
        self._connection = connection
        self._recorded = {number: (question, json.loads(answer)) for number, question, answer, _ in _answers(connection)}

    @classmethod
    def create(cls, path: Path, settings: Mapping[str, Any]) -> RunState:
        """Begins a run.

        Raises:
            UsageError: the file exists, or cannot be written.
        """
        if path.exists():
            raise UsageError(f"{path}: exists already; go on with --resume {path}, or name another file")
        told = {"schema": SCHEMA, "settings": json.dumps(dict(settings), sort_keys=True), "state": "running"}
        try:
            # Made in memory and written whole: who is killed before leaves no file that is no run.
            with closing(sqlite3.connect(":memory:")) as whole, whole:
                whole.executescript(TABLES)
                whole.executemany("INSERT INTO run VALUES (?, ?)", list(told.items()))
                whole.commit()
                write_atomically(path, whole.serialize())
            return cls(path, _open(path), settings)
        except (sqlite3.Error, OSError) as error:
            raise UsageError(f"{path}: cannot be written ({error})") from None

    @classmethod
    def resume(cls, path: Path) -> RunState:
        """Opens a run that was interrupted, or is done.

        Raises:
            UsageError: it is no run.
        """
        settings = read_run(path)[0]["settings"]
        return cls(path, _open(path), settings)

    def ask(self, number: int, question: str, ask: Callable[[], Any]) -> Any:
        """The recorded answer; if there is none, asks, and records it before it returns.

        Args:
            number: of the question, from 0.
            question: what is asked.
            ask: gives plain JSON values.

        Raises:
            UsageError: the record has another question at this place.
        """
        if number in self._recorded:
            recorded, answer = self._recorded[number]
            if recorded != question:
                raise UsageError(f"{self.path}: answer {number} is about {recorded}, not {question}: another version made it; begin anew")
            return answer
        answer = ask()
        text = json.dumps(answer)
        with self._connection:
            self._connection.execute("INSERT INTO answers (number, question, answer) VALUES (?, ?, ?)", (number, question, text))
        return json.loads(text)

    def done(self) -> None:
        """Notes that nothing is left to ask."""
        with self._connection:
            self._connection.execute("UPDATE run SET value = 'done' WHERE name = 'state'")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets others write."""
        self._connection.close()


def read_run(path: Path) -> tuple[dict[str, Any], list[Answer]]:
    """What a run's file says, also while another process writes it: settings and state, and the answers so far.

    Raises:
        UsageError: it is no run.
    """
    if not path.is_file():
        raise UsageError(f"{path}: there is no such run")
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30.0)) as connection:
            told: dict[str, Any] = dict(connection.execute("SELECT name, value FROM run"))
            if told.get("schema") != SCHEMA:
                raise UsageError(f"{path}: is no run of this version of nasopt")
            told["settings"] = json.loads(told["settings"])
            return told, [Answer(number, question, json.loads(answer), at) for number, question, answer, at in _answers(connection)]
    except (sqlite3.Error, ValueError, KeyError) as error:
        raise UsageError(f"{path}: is no run ({error})") from None


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30.0)
    connection.execute("PRAGMA journal_mode=WAL")
    return connection


def _answers(connection: sqlite3.Connection) -> list[tuple[int, str, str, str]]:
    return connection.execute("SELECT number, question, answer, at FROM answers ORDER BY number").fetchall()
