"""Where a command's words go: the result to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from nasopt.report.layout import Style

    Progress = Callable[[str, float | None, str], None]

__all__ = ["Terminal"]


class Terminal:
    """One invocation: what was asked, and how to speak.

    It is made from the raw arguments, so that a command line that cannot be parsed is answered in the right way too, and made exact by
    `configure` once the options are known.

    Attributes:
        arguments: the command line without the program's name.
        verb: the command that runs, once it is known.
        json: one JSON document on stdout, and nothing else there.
        verbosity: -1 quiet, 0 normal, 1 more, 2 tracebacks too.
        seed: the seed of the run, where the verb has one.
    """

    def __init__(self, arguments: list[str]) -> None:
        options = arguments[: arguments.index("--")] if "--" in arguments else arguments
        self.arguments = arguments
        self.verb: str | None = None
        self.json = "--json" in options
        self.verbosity = sum(len(option) - 1 for option in options if option.startswith("-v") and set(option[1:]) == {"v"})
        self.no_color = "--no-color" in options
        self.seed: int | None = None

    def configure(self, verb: str, *, json: bool, verbosity: int, no_color: bool, seed: int | None) -> None:
        """Replaces what was guessed from the raw arguments by what click understood (a configuration file included)."""
        self.verb, self.json, self.verbosity, self.no_color, self.seed = verb, json, verbosity, no_color, seed

    @property
    def command(self) -> str:
        """The command line, quoted so that a shell can run it again."""
        import shlex

        return shlex.join(["nasopt", *self.arguments])

    def colour(self, stream: TextIO) -> bool:
        """Whether colours are welcome on `stream`: a terminal, and neither NO_COLOR nor --no-color."""
        return stream.isatty() and not self.no_color and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def show(
        self, body: Callable[[], dict[str, Any]], text: Callable[[Style], str], *, exit_code: int = 0, schema: str | None = None
    ) -> int:
        """Prints a verb's result, as JSON or as text.

        Args:
            body: makes the verb's part of the JSON document.
            text: makes the text, in the style of the terminal.
            exit_code: what the command will end with.
            schema: of the document, where a verb has several.

        Returns:
            `exit_code`, so that a verb can end with ``return terminal.show(...)``.
        """
        if self.json:
            from nasopt.report.json import document, dumps

            self.out(dumps(document(schema or self.verb or "", body(), command=self.command, seed=self.seed, exit_code=exit_code)))
        elif self.verbosity >= 0:
            from nasopt.report.layout import Style

            self.out(text(Style(self.colour(sys.stdout))))
        return exit_code

    def out(self, text: str) -> None:
        """Writes to stdout; a reader that has gone away (``| head``) is no error."""
        with suppress(BrokenPipeError):
            print(text, flush=True)

    def say(self, text: str) -> None:
        """Writes one line to stderr."""
        print(f"nasopt: {text}", file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Writes one line to stderr that is hard to overlook, ``--quiet`` or not."""
        from nasopt.report.layout import Style

        self.say(Style(self.colour(sys.stderr))(text, "bold", "red"))

    @contextmanager
    def progress(self) -> Iterator[Progress | None]:
        """Draws the progress of a long verb: a bar on a terminal, with ``-v`` else one line a stage, otherwise nothing."""
        if sys.stderr.isatty() and self.verbosity >= 0 and not self.json:
            from nasopt.cli.progress import bar

            with bar(colour=self.colour(sys.stderr)) as draw:
                yield draw
        elif self.verbosity > 0:
            yield self._stages()
        else:
            yield None

    def _stages(self) -> Progress:
        last = ""

        def tell(stage: str, fraction: float | None, detail: str) -> None:  # noqa: ARG001 - the contract's signature
            nonlocal last
            if stage != last:
                self.say(f"{stage}: {detail}" if detail else stage)
                last = stage

        return tell
