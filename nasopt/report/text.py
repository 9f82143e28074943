"""Results as text for a terminal or a log: figures in columns, names last, so that long ones disturb nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from nasopt.report.layout import columns, printable
from nasopt.report.predictors import predicted_latency, predicted_line
from nasopt.report.units import byte_size, change, count, less, milliseconds, percent, plural, shape
from nasopt.results import MACS_DEFINITION

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from nasopt.report.layout import Style
    from nasopt.results import (
        ApplyResult,
        BenchResult,
        CompressResult,
        Cost,
        DiffResult,
        DoctorResult,
        DrawResult,
        ExplainResult,
        FrozenGroup,
        Group,
        InspectResult,
        LatencyStats,
        NodeCost,
        TensorInfo,
        VerifyResult,
    )

__all__ = ["apply", "bench", "compress", "diff", "doctor", "draw", "explain", "inspect", "verify"]

HEAVIEST = 10
ASKED = {"flops": "MACs", "params": "parameters", "memory": "peak activations"}


def inspect(result: InspectResult, style: Style, *, verbosity: int = 0) -> str:
    """What a model costs."""
    opsets = [f"{'opset' if domain in {'', 'ai.onnx'} else domain} {version}" for domain, version in result.opset.items()]
    facts = [*opsets, f"IR {result.ir_version}", result.producer]
    return _join(
        [style(str(result.path), "bold"), style(printable("  " + ", ".join(fact for fact in facts if fact)), "dim")],
        columns([*_tensors("input", result.inputs), *_tensors("output", result.outputs)], "lll"),
        columns([(name, style(value, "bold")) for name, value in _cost(result.cost)], "lr"),
        _nodes(result, style, complete=verbosity > 0),
        _unknown(result.unknown_operators, style),
        _notes(result.notes, style),
        [style(f"  {MACS_DEFINITION}", "dim")],
    )


def explain(result: ExplainResult, style: Style, *, verbosity: int = 0) -> str:
    """What of a model can go, what cannot, and why."""
    reach = less(1 - result.reachable_macs / result.macs) if result.macs else "nothing"
    summary = f"  {plural(len(result.groups), 'group')} of channels can be cut: down to {count(result.reachable_macs)} MACs ({reach})"
    return _join(
        [style(str(result.path), "bold") + f"  {count(result.macs)} MACs"],
        [summary],
        _explained_groups(result.groups, style, members=verbosity > 0),
        _frozen(result.frozen, style),
        _unknown(result.unknown_operators, style),
        [style(f"  {MACS_DEFINITION}", "dim")],
    )


def compress(result: CompressResult, style: Style, *, verbosity: int = 0) -> str:
    """What became of a model."""
    target = "(dry run, nothing written)" if result.output is None else str(result.output)
    return _join(
        [style(f"{result.path} -> {target}", "bold")],
        _before_after(result, style),
        _cut(result, style, complete=verbosity > 0),
        _frozen_summary(result, style),
        columns(_facts(result, style), "ll"),
        _notes(result.notes, style),
        [style(f"  {MACS_DEFINITION}", "dim")],
    )


def apply(script: Path, model: Path, result: ApplyResult, style: Style) -> str:
    """Where the replayed script's result is."""
    return f"{script} applied to {model} -> {style(str(result.output), 'bold')}"


def diff(result: DiffResult, style: Style, *, verbosity: int = 0) -> str:
    """What differs between two models."""
    rows = [("", "before", "after", "change"), *_costs(result.before, result.after)]
    interface = "the interface is the same" if result.interface_equal else style("the interface differs", "red")
    shown = result.changes if verbosity > 0 else result.changes[:40]
    changes = columns([(style(c.kind, "cyan"), printable(f"{c.before} -> {c.after}"), printable(c.name)) for c in shown], "lll")
    if len(shown) < len(result.changes):
        changes.append(style(f"  {len(result.changes) - len(shown)} more (-v lists all)", "dim"))
    return _join(
        [style(f"{result.before_path} -> {result.after_path}", "bold")],
        columns(_heading(rows, style), "lrrr"),
        [f"  {plural(len(result.changes), 'difference')}; {interface}"],
        changes,
    )


def verify(outcome: VerifyResult, style: Style, *, original: Path, result: Path) -> str:
    """Which checks hold."""
    verdict = style("verified", "bold", "green") if outcome.ok else style("NOT VERIFIED", "bold", "red")
    marks = {True: style("ok", "green"), False: style("FAILED", "red")}
    checks = [(marks[check.ok], printable(check.name), printable(check.detail)) for check in outcome.checks]
    error = [] if outcome.max_relative_error is None else [f"  largest relative error {outcome.max_relative_error:.2g}"]
    return _join([f"{verdict}  {original} -> {result}"], columns(checks, "lll"), error)


def bench(result: BenchResult, style: Style) -> str:
    """How long a model takes."""
    rows = [("median", "q1", "q3", ""), _timing(result.latency, result.path, style)]
    after = ""
    if result.against is not None and result.against_latency is not None:
        rows.append(_timing(result.against_latency, result.against, style))
        after = f"; {change(result.against_latency.median_ms, result.latency.median_ms)} against {result.against}"
    device = "" if result.device == result.engine else f"{printable(result.device)}: "
    threads = "" if result.engine == "command" else f"{plural(result.threads, 'thread')}, "
    how = f"  {device}{result.engine}, {threads}{plural(result.runs, 'run')}{after}"
    return _join(columns(_heading(rows, style), "rrrl"), [how])


def draw(result: DrawResult, style: Style, *, output: Path) -> str:
    """Where the picture is, and of what."""
    nodes, weighted, edges = (result.counts[name] for name in ("nodes", "weighted", "edges"))
    counts = f"{plural(nodes, 'node')}, {weighted} of them weighted, {plural(edges, 'edge')}"
    return f"{result.path} -> {style(str(output), 'bold')}  {counts}"


def doctor(result: DoctorResult, style: Style) -> str:
    """What is installed, on what, and what is wrong."""
    extras = [(name, style("yes", "green") if there else style("no", "dim")) for name, there in result.extras.items()]
    problems = [f"  {style('problem', 'bold', 'red')}  {printable(problem)}" for problem in result.problems]
    return _join(
        [style("versions", "bold"), *columns(result.versions.items(), "ll")],
        [style("extras", "bold"), *columns(extras, "ll")] if extras else [],
        [style("machine", "bold"), *columns(result.machine.items(), "ll")],
        problems or [f"  {style('no problems found', 'green')}"],
    )


def _join(*blocks: list[str]) -> str:
    """Blocks that hold something, an empty line between them."""
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _heading(rows: Iterable[tuple[str, ...]], style: Style) -> list[tuple[str, ...]]:
    first, *rest = rows
    return [tuple(style(cell, "dim") for cell in first), *rest]


def _cost(cost: Cost) -> list[tuple[str, str]]:
    return [
        ("MACs", count(cost.macs)),
        ("parameters", count(cost.params)),
        ("activations", byte_size(cost.activation_bytes)),
        ("peak activations", byte_size(cost.peak_activation_bytes)),
        ("file", byte_size(cost.file_bytes)),
        ("nodes", str(cost.nodes)),
    ]


def _costs(before: Cost, after: Cost) -> list[tuple[str, str, str, str]]:
    numbers = [
        (cost.macs, cost.params, cost.activation_bytes, cost.peak_activation_bytes, cost.file_bytes, cost.nodes) for cost in (before, after)
    ]
    named = zip(_cost(before), _cost(after), *numbers, strict=True)
    return [(name, old, new, change(old_number, new_number)) for (name, old), (_, new), old_number, new_number in named]


def _tensors(kind: str, tensors: Iterable[TensorInfo]) -> list[tuple[str, str, str]]:
    rows = []
    for tensor in tensors:
        dynamic = tensor.bound and tensor.bound != tensor.shape
        bound = f" (analysed as {shape(tensor.bound)})" if dynamic else ""
        rows.append((kind, printable(f"{tensor.dtype} {shape(tensor.shape)}{bound}"), printable(tensor.name)))
    return rows


def _nodes(result: InspectResult, style: Style, *, complete: bool) -> list[str]:
    heaviest = sorted(result.nodes, key=lambda node: -(node.macs or 0))[:HEAVIEST]
    shown = result.nodes if complete else heaviest
    rows = [("MACs", "share", "params", "output", "operator", "node"), *(_node(node, result.cost.macs) for node in shown)]
    lines = columns(_heading(rows, style), "rrrlll")
    if len(shown) < len(result.nodes):
        lines.append(style(f"  {len(result.nodes) - len(shown)} lighter nodes (-v lists all, in file order)", "dim"))
    return lines


def _node(node: NodeCost, total: int) -> tuple[str, ...]:
    macs = "?" if node.macs is None else count(node.macs)
    share = percent(node.macs / total) if node.macs and total else ""
    return macs, share, count(node.params), shape(node.output_shape), printable(node.op), printable(node.name)


def _notes(notes: tuple[str, ...], style: Style) -> list[str]:
    return [f"  {style('note', 'yellow')}  {printable(note)}" for note in notes]


def _unknown(operators: dict[str, int], style: Style) -> list[str]:
    if not operators:
        return []
    named = ", ".join(f"{printable(name)} ({times}x)" for name, times in operators.items())
    return [f"  {style('cost or shape unknown', 'yellow')}  {named}"]


def _explained_groups(groups: Iterable[Group], style: Style, *, members: bool) -> list[str]:
    rows = [("channels", "in units of", "MACs", "group")]
    for group in groups:
        unit = group.channels_before // max(group.units_before, 1)
        rows.append((str(group.channels_before), str(unit), count(group.macs), printable(group.name)))
        if members:
            rows.extend(("", "", "", style(f"  {printable(member)}", "dim")) for member in group.members)
    return columns(_heading(rows, style), "rrrl") if len(rows) > 1 else []


def _frozen(groups: tuple[FrozenGroup, ...], style: Style) -> list[str]:
    if not groups:
        return ["  nothing is frozen"]
    lines = [f"  {plural(len(groups), 'group')} frozen, by the MACs that each locks"]
    for group in sorted(groups, key=lambda group: -group.locked_macs):
        by = group.op if group.attribute == group.op else f"{group.op} {group.attribute}".strip()
        share = style(f"{percent(group.locked_share):>7}", "bold")
        lines.append(f"    {share}  {printable(group.name)} ({plural(group.channels, 'channel')})")
        lines.append(f"             {style(printable(by), 'cyan')} at {printable(group.node)}")
        lines.append(f"             {printable(group.reason)}")
    return lines


def _frozen_summary(result: CompressResult, style: Style) -> list[str]:
    if not result.frozen:
        return []
    most = max(result.frozen, key=lambda group: group.locked_macs)
    why = f"{most.op} at {most.node} locks most, {percent(most.locked_share)} of the MACs"
    return [f"  {plural(len(result.frozen), 'group')} frozen: {printable(why)}", style(f"  nasopt explain {result.path} names all", "dim")]


def _before_after(result: CompressResult, style: Style) -> list[str]:
    asked = {ASKED[name]: f"asked {less(drop)}" for name, drop in result.asked.items() if name in ASKED}
    rows: list[tuple[str, ...]] = [("", "before", "after", "change", "")]
    for name, old, new, relative in _costs(result.before, result.after):
        rows.append((name, old, new, style(relative, "bold") if name in asked else relative, asked.get(name, "")))
    latency = result.latency
    if latency is not None:
        relative = style(change(latency.before.median_ms, latency.after.median_ms), "bold", "red" if latency.slower else "green")
        how = f"{plural(latency.threads, 'thread')}, median of {latency.runs}"
        goal = result.asked.get("latency")
        how = how if goal is None else f"asked {less(goal)}; {latency.engine}, {how}"
        rows.append(("latency", milliseconds(latency.before.median_ms), milliseconds(latency.after.median_ms), relative, how))
    return columns(_heading(rows, style), "lrrrl")


def _cut(result: CompressResult, style: Style, *, complete: bool) -> list[str]:
    cut = [group for group in result.groups if group.channels_after != group.channels_before]
    if not cut:
        return [f"  none of {plural(len(result.groups), 'group')} of channels was cut"]
    steps = ", ".join(f"{times} at {step}" for step, times in sorted(Counter(group.step for group in cut).items(), reverse=True))
    lines = [f"  {len(cut)} of {plural(len(result.groups), 'group')} cut; steps ({result.granularity}): {steps}"]
    if complete:
        rows = [("channels", "", "step", "group")]
        rows += [(str(group.channels_before), f"-> {group.channels_after}", str(group.step), printable(group.name)) for group in cut]
        lines += columns(_heading(rows, style), "rlrl")
    return lines


def _facts(result: CompressResult, style: Style) -> list[tuple[str, str]]:
    facts = []
    checked = result.verification
    if checked is not None:
        verdict = style("yes", "green") if checked.ok else style("NO", "bold", "red")
        error = "" if checked.max_relative_error is None else f", largest relative error {checked.max_relative_error:.2g}"
        facts.append(("verified", f"{verdict}, {plural(len(checked.checks), 'check')}{error}"))
    mended = result.repair
    if mended is not None:
        gain = f"output error {percent(mended.before)} -> {percent(mended.after)}" if mended.kept else "no gain, inherited weights kept"
        facts.append(("repaired", f"{gain} ({printable(mended.method)} on {printable(mended.inputs)})"))
    if result.labelled is not None:
        known = result.labelled
        facts.append(("accuracy", f"{percent(known.before)} -> {percent(known.after)} on {plural(known.inputs, 'held-out input')}"))
    if result.predicted is not None:
        facts.append(("predicted", predicted_line(result.predicted)))
    if result.latency is not None and result.latency.predicted is not None:
        facts.append(("latency", predicted_latency(result.latency.predicted)))
    if result.measured:
        chosen = next(one for one in result.measured if one.chosen)
        gave = "" if result.metric is None or chosen.metric is None else f", metric {result.metric:.4g} -> {chosen.metric:.4g}"
        damage = "" if chosen.divergence is None else f", damage {percent(chosen.divergence)}"
        before = "" if chosen.predicted is None or result.metric is not None else f" (predicted {percent(chosen.predicted)})"
        facts.append(("measured", f"{plural(len(result.measured), 'candidate')}{damage}{before}{gave}"))
    facts.append(("saliency", f"{percent(result.saliency)} kept ({printable(result.importance)})"))
    if result.script is not None:
        facts.append(("script", str(result.script)))
    search = f"seed {result.seed}, {plural(result.generations, 'generation')}, {plural(result.evaluations, 'evaluation')}"
    facts.append(("search", f"{search}, front of {len(result.front)}, {result.seconds:.1f} s in all"))
    return facts


def _timing(latency: LatencyStats, path: Path, style: Style) -> tuple[str, ...]:
    return style(milliseconds(latency.median_ms), "bold"), milliseconds(latency.q1_ms), milliseconds(latency.q3_ms), str(path)
