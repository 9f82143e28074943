"""``--config FILE.toml``: option values from a file, below those of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["config_option"]


def config_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds ``--config`` to a command: its keys are the command's option names, at the top or in a table named like the command."""
    return click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        is_eager=True,
        expose_value=False,
        callback=_load,
        help="Read options from a TOML file; the command line wins.",
    )


def _load(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:  # noqa: ARG001 - click's signature
    if path is None:
        return
    import tomllib

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is not valid TOML: {error}"
        raise click.UsageError(msg, ctx) from error
    verb = ctx.command.name or ""
    table = content.pop(verb, {})
    verbs = ctx.parent.command.list_commands(ctx.parent) if ctx.parent is not None and isinstance(ctx.parent.command, click.Group) else []
    content = {key: value for key, value in content.items() if not (key in verbs and isinstance(value, dict))}  # other verbs' tables
    if not isinstance(table, dict):
        msg = f"{path}: {verb!r} must be a table, [{verb}]"
        raise click.UsageError(msg, ctx)
    ctx.default_map = _defaults(ctx, path, {**content, **table})


def _defaults(ctx: click.Context, path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    positive, negative = _options(ctx.command)
    defaults: dict[str, Any] = {}
    for written, value in content.items():
        key = written.replace("_", "-")
        if key in positive:
            option = positive[key]
            defaults[option.name or ""] = _value(ctx, path, written, option, value)
        elif key in negative:
            option = negative[key]
            defaults[option.name or ""] = not _value(ctx, path, written, option, value)
        else:
            raise click.UsageError(_unknown(path, written, [*positive, *negative]), ctx)
    return defaults


def _options(command: click.Command) -> tuple[dict[str, click.Option], dict[str, click.Option]]:
    """Options by long name without dashes in front: those that say yes, and those that say no."""
    options = [param for param in command.params if isinstance(param, click.Option) and param.name != "config"]
    positive = {name.removeprefix("--"): option for option in options for name in option.opts if name.startswith("--")}
    negative = {name.removeprefix("--"): option for option in options for name in option.secondary_opts}
    return positive, negative


def _value(ctx: click.Context, path: Path, key: str, option: click.Option, value: Any) -> Any:
    """The value as click would find it; TOML's own types are checked here, because ``True`` is a number to Python."""
    if option.is_flag != isinstance(value, bool):
        msg = f"{path}: {key} must {'' if option.is_flag else 'not '}be true or false"
        raise click.UsageError(msg, ctx)
    value = [value] if option.multiple and not isinstance(value, list) else value
    if isinstance(option.type, click.types.IntParamType) and isinstance(value, float):
        msg = f"{path}: {key}: {value!r} is not a whole number"
        raise click.UsageError(msg, ctx)
    try:
        option.type_cast_value(ctx, value)
    except (click.BadParameter, TypeError, ValueError) as error:  # click converts later, when nobody knows of the file any more
        said = error.message if isinstance(error, click.BadParameter) else f"{value!r} cannot be used"
        msg = f"{path}: {key}: {said}"
        raise click.UsageError(msg, ctx) from None
    return value


def _unknown(path: Path, key: str, known: list[str]) -> str:
    from difflib import get_close_matches

    closest = get_close_matches(key.replace("_", "-"), known, n=1, cutoff=0)[0]
    return f"{path}: unknown key {key!r}; the closest is {closest!r}"
