"""The kinds of values that options take: each says in one line what it expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["drop", "granularity", "input_shape", "settings_by_name", "shapes_by_name"]


def drop(value: object) -> float:
    """Reads a relative drop, strictly between 0 and 1."""
    text = str(value).strip()
    percent = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError as error:
        msg = f"{text!r} is not a number; 0.13 asks for 13 % less."
        raise click.BadParameter(msg) from error
    if percent or not 0 < number < 1:
        hint = f" {text} means {number / 100:g}?" if 0 < number < 100 and (percent or number > 1) else ""
        msg = f"{text} is not a share between 0 and 1, both excluded.{hint}"
        raise click.BadParameter(msg)
    return number


def input_shape(value: object) -> tuple[str, tuple[int, ...]]:
    """Reads ``NAME:1,3,224,224`` or ``NAME:1x3x224x224``; a name may itself hold colons."""
    name, _, shape = str(value).rpartition(":")
    try:
        sizes = tuple(int(size) for size in shape.replace("x", ",").split(","))
    except ValueError:
        sizes = ()
    if not name or not sizes:
        msg = f"{value!r} does not read as NAME:SHAPE, e.g. input:1,3,224,224 (or input:1x3x224x224)."
        raise click.BadParameter(msg)
    if min(sizes) < 1:
        msg = f"{value!r} has a size below 1; every dimension needs a positive size, e.g. input:1,3,224,224."
        raise click.BadParameter(msg)
    return name, sizes


def granularity(value: object) -> int | str:
    """Reads ``auto`` or a positive number of channels."""
    text = str(value).strip()
    if text == "auto":
        return text
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        msg = f"{text!r} is neither 'auto' nor a positive number of channels, e.g. 8."
        raise click.BadParameter(msg)
    return int(text)


def shapes_by_name(pairs: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    """Collects repeated ``--input-shape`` options.

    Args:
        pairs: name and shape of each option, as `input_shape` reads them.

    Returns:
        Shape by input name.

    Raises:
        click.BadParameter: if a name is given twice.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for name, shape in pairs:
        if name in shapes:
            msg = f"input {name!r} is given twice."
            raise click.BadParameter(msg)
        shapes[name] = shape
    return shapes


def settings_by_name(pairs: Iterable[str]) -> dict[str, Any]:
    """Collects repeated ``--set NAME=VALUE`` options; a value that reads as a number, true or false is one.

    Raises:
        click.BadParameter: an option does not read so, or a name is given twice.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name and equals and text):
            msg = f"{pair!r} does not read as NAME=VALUE, e.g. classes=100."
            raise click.BadParameter(msg)
        if name in settings:
            msg = f"setting {name!r} is given twice."
            raise click.BadParameter(msg)
        settings[name] = _value(text)
    return settings


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
