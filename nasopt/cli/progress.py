"""The progress bar. Imported only when one is drawn, because rich is slow to import."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["bar"]


@contextmanager
def bar(*, colour: bool, console: Console | None = None) -> Iterator[Callable[[str, float | None, str], None]]:
    """Draws one bar on stderr and wipes it at the end.

    Args:
        colour: whether colours are welcome.
        console: where to draw instead.

    Yields:
        The callable that moves the bar: stage, fraction done (None where nobody knows), detail.
    """
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=32),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="dim"),
        console=console or Console(stderr=True, no_color=not colour),
        transient=True,
    )
    with progress:
        task = progress.add_task("", total=None, detail="")

        def move(stage: str, fraction: float | None, detail: str) -> None:
            total = None if fraction is None else 1.0
            progress.update(task, description=f"{escape(stage):<12}", total=total, completed=fraction or 0.0, detail=escape(detail))

        yield move
