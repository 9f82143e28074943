"""The spaces by name. A new one is a module and a line here (docs/spaces.md)."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import numpy as np

from nasopt.errors import UsageError
from nasopt.spaces.space import Space

__all__ = ["SPACES", "get_space", "space_class"]

SPACES = {
    "nasbench101": "nasbench101:NasBench101",
    "nasbench201": "nasbench201:NasBench201",
    "nasbench301": "darts:Darts",
    "transnasbench101_micro": "transnasbench101:TransNasBench101Micro",
    "transnasbench101_macro": "transnasbench101:TransNasBench101Macro",
    "nasbench_macro": "nasbench_macro:NasBenchMacro",
    "fbnet": "fbnet:FBNet",
    "mnasnet": "mnasnet:MnasNet",
    "ofa_pn": "ofa:OfaProxylessNas",
    "ofa_mbv3": "ofa:OfaMobileNetV3",
    "ofa_resnet50": "ofa_resnet50:OfaResNet50",
}
"""Module and class of each, imported when it is asked for."""


def space_class(name: str) -> type[Space]:
    """The class of a space.

    Raises:
        UsageError: there is none of this name.
    """
    if name not in SPACES:
        near = get_close_matches(name, SPACES, 1)
        raise UsageError(f"there is no space '{name}'{f'; did you mean {near[0]}?' if near else ''} (spaces: {', '.join(SPACES)})")
    module, _, attribute = SPACES[name].partition(":")
    found: type[Space] = getattr(import_module(f"nasopt.spaces.{module}"), attribute)
    return found


def get_space(name: str, **settings: Any) -> Space:
    """A space with these settings, the others as published.

    Raises:
        UsageError: there is no such space, it has no such setting, or the setting cannot have this value.
    """
    kind = space_class(name)
    known = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]  # every space is a dataclass
    for setting, value in settings.items():
        if setting not in known:
            raise UsageError(f"{name} has no setting '{setting}' (settings: {', '.join(known) or 'none'})")
        _require_alike(f"{name}: {setting}={value}", _plain(value), known[setting])
    return kind(**{setting: _plain(value) for setting, value in settings.items()})


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's: settings end up in JSON, and in names of networks."""
    return value.item() if isinstance(value, np.generic) else value


def _require_alike(where: str, value: Any, default: Any) -> None:
    """Whether a value can stand where the default does: of its type, and positive where it is a number."""
    default = 1 if default is None else default  # a number that something else decides
    wanted: tuple[type, ...] = (int, float) if isinstance(default, float) else (type(default),)
    words = {bool: "True or False", int: "a whole number", float: "a number", str: "a name"}
    if not isinstance(value, wanted) or (isinstance(value, bool) and not isinstance(default, bool)):
        raise UsageError(f"{where} must be {words.get(type(default), type(default).__name__)}, e.g. {default}")
    if isinstance(value, int | float) and not isinstance(value, bool) and not 0 < value < float("inf"):
        raise UsageError(f"{where} must be positive, e.g. {default}")
