"""The report of a compression as one HTML file that loads nothing: to look at, to print, to send on."""

from __future__ import annotations

from dataclasses import astuple
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

from nasopt import __version__
from nasopt.report import samples, svg
from nasopt.report.predictors import predicted_latency, predicted_line
from nasopt.report.units import byte_size, change, count, less, milliseconds, percent, plural
from nasopt.results import MACS_DEFINITION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nasopt.results import CompressResult, FrozenGroup, Group, Latency, Repair, VerifyResult

__all__ = ["page"]

SHOWN = 8
"""Rows of a list that may grow without limit; the rest folds away."""


def page(result: CompressResult) -> str:
    """Makes the report.

    Args:
        result: what came of ``nasopt compress``.

    Returns:
        A complete HTML document.
    """
    style = resources.files("nasopt.report").joinpath("templates/page.css").read_text(encoding="utf-8")
    sections = [_header(result), _figures(result), _costs(result), _samples(result), _front(result)]
    sections += [_channels(result.groups), _frozen(result.frozen), _latency(result.latency), _repair(result.repair), _measured(result)]
    sections += [_verification(result.verification), _making(result)]
    body = "\n".join(section for section in sections if section)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{_text(result.path.name)}: nasopt report</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
<footer>
<p>{_text(MACS_DEFINITION)}</p>
<p>Made by nasopt {_text(__version__)}.</p>
</footer>
</main>
</body>
</html>
"""


def _header(result: CompressResult) -> str:
    target = f" → {_text(result.output.name)}" if result.output else ""
    badges = [("all constraints reached", "good") if result.reached else ("not reached: the nearest that was found", "bad")]
    if result.verification is not None:
        badges.append(("verified", "good") if result.verification.ok else ("not verified", "bad"))
    if result.latency is not None and result.latency.slower:
        badges.append(("slower than the original on this machine", "bad"))
    if result.output is None:
        badges.append(("dry run: nothing was written", ""))
    items = "".join(f'<li class="{kind}">{_text(label)}</li>' for label, kind in badges)
    return f"""<header>
<div class="brand">nasopt</div>
<h1><span class="from">{_text(result.path.name)}</span>{target}</h1>
<ul class="badges">{items}</ul>
</header>"""


def _figures(result: CompressResult) -> str:
    before, after, asked = result.before, result.after, result.asked
    cards = [
        _figure("MACs", before.macs, after.macs, count, asked.get("flops")),
        _figure("Parameters", before.params, after.params, count, asked.get("params")),
        _figure("File size", before.file_bytes, after.file_bytes, byte_size, None),
        _figure("Peak activations", before.peak_activation_bytes, after.peak_activation_bytes, byte_size, asked.get("memory")),
    ]
    if result.latency is not None:
        times = result.latency.before.median_ms, result.latency.after.median_ms
        cards.insert(2, _figure("Latency", *times, milliseconds, asked.get("latency"), bad=result.latency.slower))
    return f'<div class="figures">\n{_lines(cards)}\n</div>'


def _figure(label: str, before: float, after: float, unit: Callable[[float], str], asked: float | None, *, bad: bool = False) -> str:
    largest = max(before, after) or 1
    target = "" if asked is None else f'<b style="left:{before / largest * (1 - asked):.2%}"></b>'
    wanted = "" if asked is None else f"asked {_minus(less(asked))}"
    kind = " bad" if bad else ""
    return f"""<div class="figure">
<div class="label">{label}</div>
<div class="value{kind}">{_minus(change(before, after))}</div>
<div class="gauge{kind}"><i style="width:{before / largest:.2%}"></i><i style="width:{after / largest:.2%}"></i>{target}</div>
<div class="detail">{unit(before)} → {unit(after)}<span class="asked">{wanted}</span></div>
</div>"""


def _costs(result: CompressResult) -> str:
    names = ("MACs", "Parameters", "Activations, bytes", "Peak activations, bytes", "File, bytes", "Nodes")
    asked = {"MACs": "flops", "Parameters": "params", "Peak activations, bytes": "memory"}
    rows = []
    for name, before, after in zip(names, astuple(result.before), astuple(result.after), strict=True):
        drop = result.asked.get(asked.get(name, ""))
        rows.append((name, f"{before:,}", f"{after:,}", _minus(change(before, after)), "" if drop is None else _minus(less(drop))))
    return _section("Before and after", "", f'<div class="scroll">{_table(("", "before", "after", "change", "asked"), rows)}</div>')


def _samples(result: CompressResult) -> str:
    if not result.samples:
        return ""
    source = "" if result.repair is None else result.repair.inputs
    return _section("Samples", samples.lead(result.samples, source), samples.cards(result.samples), long=True)


def _front(result: CompressResult) -> str:
    if not result.front:
        return ""
    flops = result.asked.get("flops")
    lead = (
        f"{plural(len(result.front), 'trade-off')} that the search found: how much of the network's saliency "
        f"({_text(result.importance)}) is kept at which cost. Hover over a point for its figures."
    )
    plot = svg.pareto(result.front, result.before.macs, None if flops is None else 1 - flops)
    return _section("Pareto front", lead, f'<div class="scroll">{plot}</div>')


def _channels(groups: Sequence[Group]) -> str:
    if not groups:
        return ""
    widest = max(group.channels_before for group in groups) or 1
    cut = sum(group.channels_after != group.channels_before for group in groups)
    lead = f"{cut} of {plural(len(groups), 'group')} of coupled channels cut; a group is named after one of its weights."
    legend = '<div class="legend"><span>removed</span><span class="after">kept</span><span class="whole">left whole</span></div>'
    head = '<div class="channel head"><div>group</div><div></div><div>channels</div><div>step</div></div>'
    rows = "\n".join(_channel(group, widest) for group in groups)
    return _section("Channels", lead, f'{legend}\n<div class="channels">\n{head}\n{rows}\n</div>', long=True)


def _channel(group: Group, widest: int) -> str:
    whole = group.channels_after == group.channels_before
    numbers = f"{group.channels_before}" if whole else f"{group.channels_before} → {group.channels_after}"
    bars = "".join(f'<i style="width:{channels / widest:.2%}"></i>' for channels in (group.channels_before, group.channels_after))
    step = "" if whole else str(group.step)
    return (
        f'<div class="channel{" whole" if whole else ""}"><code>{_text(group.name)}</code><div class="bar">{bars}</div>'
        f'<div>{numbers}</div><div class="muted">{step}</div></div>'
    )


def _frozen(groups: Sequence[FrozenGroup]) -> str:
    if not groups:
        return _section("What is frozen, and why", "Nothing: every group of channels could be cut.", "")
    ordered = sorted(groups, key=lambda group: -group.locked_macs)
    largest = max(ordered[0].locked_share, 1e-12)
    rows = [_frozen_row(group, largest) for group in ordered]
    lead = f"{plural(len(groups), 'group')} of channels cannot be cut. Each locks a share of the MACs."
    return _section("What is frozen, and why", lead, _folded(rows, "more frozen groups"), long=len(rows) > SHOWN)


def _frozen_row(group: FrozenGroup, largest: float) -> str:
    cause = " ".join(dict.fromkeys(part for part in (group.op, group.attribute) if part))
    return (
        f'<div class="frozen"><div><div class="share">{percent(group.locked_share)}</div>'
        f'<div class="bar"><i style="width:{group.locked_share / largest:.2%}"></i></div></div>'
        f'<div><code>{_text(group.name)}</code> <span class="muted">{plural(group.channels, "channel")}</span>'
        f"<div>{_text(group.reason)}</div>"
        f'<div class="muted"><b>{_text(cause)}</b> at <code>{_text(group.node)}</code></div></div></div>'
    )


def _latency(latency: Latency | None) -> str:
    if latency is None:
        return ""
    lead = (
        f"{_text(latency.engine)}, {plural(latency.threads, 'thread')}, {plural(latency.runs, 'run')} of each network in turns. "
        f"Bars end at the median; the line spans the quartiles."
    )
    if latency.predicted is not None:
        lead += f" {_text(predicted_latency(latency.predicted).capitalize())}."
    rows = [
        (name, *(milliseconds(time) for time in (stats.median_ms, stats.q1_ms, stats.q3_ms)))
        for name, stats in (("before", latency.before), ("after", latency.after))
    ]
    table = _table(("", "median", "first quartile", "third quartile"), rows)
    return _section("Measured latency", lead, f'<div class="scroll">{svg.boxes(latency)}\n{table}</div>')


def _repair(repair: Repair | None) -> str:
    if repair is None:
        return ""
    verdict = (
        f"error of the outputs {percent(repair.before)} → {percent(repair.after)} of their variance"
        if repair.kept
        else f"no gain (error of the outputs {percent(repair.before)} of their variance): the inherited weights were written"
    )
    lead = f"{_text(repair.method)} towards the original's values on {_text(repair.inputs)}; {verdict}, on inputs that were not fitted."
    rows = [
        (f"<code>{_text(layer.node)}</code>", percent(layer.before), percent(layer.after), _bar(layer.after / max(layer.before, 1e-30)))
        for layer in repair.layers
    ]
    table = _table(("layer", "error before", "after", "what is left"), rows) if rows else ""
    return _section("Fidelity to the original", lead, f'<div class="scroll">{table}</div>')


def _measured(result: CompressResult) -> str:
    """The candidates that were measured, with what the surrogate predicted beside it."""
    if not result.measured:
        return ""
    lead = f"{plural(len(result.measured), 'candidate')} built, repaired and measured before one was chosen. Damage: " + (
        "what the metric loses." if result.metric is not None else "error of the outputs over their variance, on held-out inputs."
    )
    rows = []
    for one in result.measured:
        damage = one.divergence if result.metric is None or one.metric is None else result.metric - one.metric
        rows.append(
            (
                "<b>chosen</b>" if one.chosen else "",
                percent(1 - one.macs / max(result.before.macs, 1)),
                ", ".join(map(str, one.steps)),
                "" if one.predicted is None else f"{one.predicted:.3g}",
                "" if damage is None else f"{damage:.3g}",
                "" if one.metric is None else f"{one.metric:.4g}",
                "" if one.latency is None else f"{one.latency:.2f}",
            )
        )
    table = _table(("", "MACs less", "steps", "damage predicted", "measured", "metric", "latency"), rows)
    return _section("Measured candidates", lead, f'<div class="scroll">{table}</div>')


def _bar(share: float) -> str:
    return f'<div class="gauge"><i style="width:100%"></i><i style="width:{min(share, 1.0):.1%}"></i></div>'


def _verification(outcome: VerifyResult | None) -> str:
    if outcome is None:
        return ""
    error = outcome.max_relative_error
    lead = "" if error is None else f"Largest relative error against the original with the same channels masked: {error:.2g}."
    items = []
    for check in outcome.checks:
        mark = '<span class="mark good">✓</span>' if check.ok else '<span class="mark bad">✗</span>'
        items.append(f'<li>{mark}<div><b>{_text(check.name)}</b> <span class="muted">{_text(check.detail)}</span></div></li>')
    return _section("Verification", lead, f'<ul class="checks">\n{_lines(items)}\n</ul>')


def _known(result: CompressResult) -> list[tuple[str, str]]:
    """Accuracy, where labels told, and what a predictor says."""
    facts = [] if result.predicted is None else [("predicted", predicted_line(result.predicted))]
    if result.labelled is None:
        return facts
    known = result.labelled
    return [*facts, ("accuracy", f"{percent(known.before)} → {percent(known.after)} on {plural(known.inputs, 'held-out input')}")]


def _making(result: CompressResult) -> str:
    facts = [
        ("original", str(result.path)),
        ("result", str(result.output) if result.output else "not written (dry run)"),
        ("edit script", str(result.script) if result.script else "not written (dry run)"),
        ("seed", str(result.seed)),
        ("importance", result.importance),
        ("saliency kept", percent(result.saliency)),
        ("granularity", result.granularity),
        ("search", f"{plural(result.generations, 'generation')}, {plural(result.evaluations, 'evaluation')}"),
        ("time", f"{result.seconds:.1f} s"),
        *_known(result),
        *(("note", note) for note in result.notes),
    ]
    pairs = _lines(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in facts)
    edits = ""
    if result.edits:
        items = "\n".join(f"<li>{_text(edit)}</li>" for edit in result.edits)
        edits = f"<details><summary>{plural(len(result.edits), 'edit')}, in order</summary>\n<ol>\n{items}\n</ol></details>"
    command = f"<pre>{_text(result.command)}</pre>" if result.command else ""
    return _section("How it was made", "", f"{command}\n<dl>\n{pairs}\n</dl>\n{edits}", long=True)


def _section(title: str, lead: str, content: str, *, long: bool = False) -> str:
    """A titled part of the page; `lead` and `content` are HTML. A long one may be broken across printed pages."""
    opening = '<section class="long">' if long else "<section>"
    said = f'<p class="lead">{lead}</p>' if lead else ""
    return f"{opening}\n<h2>{title}</h2>\n{said}\n{content}\n</section>"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of numbers; its first column says what they are."""

    def line(tag: str, cells: Sequence[str]) -> str:
        first, *numbers = cells
        return f"<tr><{tag}>{first}</{tag}>{''.join(f'<{tag} class=number>{cell}</{tag}>' for cell in numbers)}</tr>"

    return f"<table>\n<thead>{line('th', heads)}</thead>\n<tbody>\n{_lines(line('td', row) for row in rows)}\n</tbody>\n</table>"


def _folded(rows: Sequence[str], more: str) -> str:
    """The first rows, and the others behind a click."""
    first, rest = rows[:SHOWN], rows[SHOWN:]
    folded = f"\n<details><summary>{len(rest)} {more}</summary>\n{_lines(rest)}\n</details>" if rest else ""
    return "\n".join(first) + folded


def _lines(items: Iterable[str]) -> str:
    return "\n".join(items)


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def _text(text: str) -> str:
    return escape(text, quote=True)
