"""Numbers as people read them."""

from __future__ import annotations

__all__ = ["byte_size", "change", "count", "less", "milliseconds", "percent", "plural", "shape"]


def count(number: float) -> str:
    """A count with three to four digits: ``125.5 M``."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit * 0.99995:
            return f"{number / limit:{_digits(number / limit)}} {unit}"
    return f"{number:.0f}"


def byte_size(number: float) -> str:
    """A size in decimal units: ``3.42 MB``."""
    return f"{count(number)}B" if abs(number) >= 999.95 else f"{number:.0f} B"


def milliseconds(number: float) -> str:
    """A time: ``4.10 ms``; below a tenth, ``0.059 ms``."""
    return f"{number:{'.3f' if 0 < abs(number) < 0.1 else _digits(number)}} ms"


def percent(share: float) -> str:
    """A share: ``13.5 %``; a small one keeps a second digit, a smaller one says so."""
    if 0 < abs(share) < 0.00005:
        return "<0.01 %" if share > 0 else "-<0.01 %"
    return f"{share * 100:.{1 if share == 0 or abs(share) >= 0.01 else 2}f} %"


def change(before: float, after: float) -> str:
    """A relative change with its sign: ``-13.5 %``; nothing where there is nothing to compare with."""
    if not before:
        return "" if after else "0.0 %"
    relative = after / before - 1
    return f"{'+' if relative > 0 else ''}{percent(relative)}"


def less(share: float) -> str:
    """A drop as a change: ``-13.5 %``."""
    return f"-{percent(share)}"


def plural(number: int, noun: str) -> str:
    """A number and its noun: ``1 group``, ``30 groups``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def shape(dimensions: tuple[int | str, ...] | None) -> str:
    """A shape: ``1x3x224x224``; a question mark where it is unknown."""
    if dimensions is None:
        return "?"
    return "x".join(str(dimension) for dimension in dimensions) or "scalar"


def _digits(number: float) -> str:
    return ".1f" if abs(number) >= 99.95 else ".2f"
