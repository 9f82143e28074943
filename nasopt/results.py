"""What each verb returns: frozen records, no behaviour beyond what follows from their fields.

`nasopt.api` fills them, `nasopt.report` renders them as text, JSON and HTML. Units: MACs are multiply-accumulates (FLOPs are
twice as many), bytes are bytes, times are milliseconds, drops are relative (0.13 is 13 % less).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nasopt.device_results import BenchResult, Latency, LatencyStats
from nasopt.drawings import Drawing
from nasopt.predictor_results import Predicted

__all__ = [
    "Answer",
    "ApplyResult",
    "BenchResult",
    "Check",
    "CompressResult",
    "Cost",
    "DiffResult",
    "DoctorResult",
    "DrawResult",
    "ExplainResult",
    "FrontPoint",
    "FrozenGroup",
    "Group",
    "InspectResult",
    "Labelled",
    "Latency",
    "LatencyStats",
    "LayerChange",
    "LayerFit",
    "Measured",
    "NodeCost",
    "Repair",
    "Sample",
    "TensorInfo",
    "VerifyResult",
]

MACS_DEFINITION = (
    "MACs are multiply-accumulates of Conv, ConvTranspose, Gemm and MatMul under the bound input shape, bias excluded; FLOPs = 2 x MACs."
)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A graph input or output as the file declares it; a dynamic dimension is its name (or ``"?"``)."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    bound: tuple[int, ...] = ()
    """The shape that the analysis used."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Totals of one network."""

    macs: int
    params: int
    activation_bytes: int
    """Sum of the sizes of all tensors that nodes produce at run time."""
    peak_activation_bytes: int
    """Largest sum of live tensors while the nodes run in file order, inputs included."""
    file_bytes: int
    """Size on disk, external data included."""
    nodes: int


@dataclass(frozen=True, slots=True)
class NodeCost:
    """One node's share. ``macs`` is None where the operator's cost is unknown."""

    name: str
    op: str
    macs: int | None
    params: int
    activation_bytes: int
    output_shape: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class InspectResult:
    path: Path
    cost: Cost
    nodes: tuple[NodeCost, ...]
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    opset: dict[str, int]
    ir_version: int
    producer: str
    unknown_operators: dict[str, int]
    """Operators without a cost rule or shape: ``{"domain::Op": how often}``."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Channels that live and die together, unit by unit, and how many of them are kept.

    ``channels_*`` count channels along the widest axis that the group labels; one unit is ``channels_before / units_before`` channels.
    """

    name: str
    """The weight (and axis) that gives the group its name, e.g. ``layer1.0.conv1.weight``."""
    members: tuple[str, ...]
    """Every weight that is sliced, with its axis: ``layer1.0.conv1.weight[0]``."""
    units_before: int
    units_after: int
    channels_before: int
    channels_after: int
    step: int
    """The step of channel counts that was in force for this group."""
    macs: int
    """MACs of the nodes that the group touches, before."""


@dataclass(frozen=True, slots=True)
class FrozenGroup:
    """Channels that cannot be removed, and why."""

    name: str
    channels: int
    node: str
    op: str
    attribute: str
    """What of the operator froze it: an attribute, an operand, 'graph output', 'preserved', …"""
    reason: str
    locked_macs: int
    """MACs that no choice of channels can remove because of it."""
    locked_share: float


@dataclass(frozen=True, slots=True)
class ExplainResult:
    path: Path
    groups: tuple[Group, ...]
    frozen: tuple[FrozenGroup, ...]
    macs: int
    reachable_macs: int
    """MACs with every group cut to a single unit."""
    unknown_operators: dict[str, int]


@dataclass(frozen=True, slots=True)
class FrontPoint:
    """One member of the Pareto front of the search."""

    macs: int
    params: int
    peak_activation_bytes: int
    saliency: float
    """Share of the network's saliency that is kept, in [0, 1]."""
    chosen: bool = False
    output: Path | None = None
    """Where its model was written (``--pareto``)."""


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class VerifyResult:
    checks: tuple[Check, ...]
    max_relative_error: float | None = None
    """max|difference| / max|reference| over all outputs and inputs tried, structural edit against the masked original."""
    comparable: bool = True
    """False where an edit failed because nothing could be compared, not because anything differed."""

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)


@dataclass(frozen=True, slots=True)
class LayerFit:
    """How far a layer's values are from the original's: squared error over their variance."""

    node: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Repair:
    """What fitting the weights after pruning brought."""

    method: str
    """``least squares``, …"""
    inputs: str
    """What it was fitted on, in words."""
    synthetic: bool
    """True where no data were given."""
    before: float
    """Squared error of the outputs over their variance, on inputs that were not fitted, with the inherited weights."""
    after: float
    """The same with the weights that were written."""
    kept: bool
    """False where fitting was no gain: the inherited weights were written."""
    layers: tuple[LayerFit, ...] = ()
    distilled_steps: int = 0
    """Steps of distillation that went into the weights; 0 where none was asked for, or where it was no gain."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Accuracy on the held-out inputs, for which labels were given."""

    inputs: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A candidate that was built, repaired and measured before the choice was made."""

    macs: int
    steps: tuple[int, ...]
    """Granularities of its groups, in channels."""
    predicted: float | None
    """Its damage as the surrogate saw it before: an estimate of `divergence`, or of what `metric` loses; None where it knew nothing yet."""
    divergence: float | None
    """Squared error of its outputs over their variance, on inputs that were held out; None where there were none."""
    metric: float | None
    """What the user's metric gave."""
    latency: float | None
    """Time after / before."""
    chosen: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What one network answers to one input."""

    classes: tuple[tuple[int, float], ...] = ()
    """The best classes and their scores, best first: probabilities, unless the network scores each class for itself."""
    picture: bytes | None = None
    """A PNG of what is a heatmap, a mask or an image."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An input that was held out, and what the original and the result answer to it."""

    output: str
    """The output that is shown."""
    kind: str
    """``class``, ``heatmap``, ``mask`` or ``image``."""
    picture: bytes | None
    """A PNG of the input; None where it is no image."""
    before: Answer
    after: Answer
    likeness: float
    """1 where both answer the same. Class: 1 or 0, of the best one. Mask: the share of pixels of the same class. Else the correlation."""


@dataclass(frozen=True, slots=True)
class CompressResult:
    path: Path
    output: Path | None
    """None after a dry run."""
    script: Path | None
    before: Cost
    after: Cost
    asked: dict[str, float]
    """Constraint (``flops``, ``params``, ``memory``, ``latency``) → relative drop that was asked for."""
    drop: dict[str, float]
    """Constraint → relative drop that was reached: of the first three always, of latency as measured where it was asked for."""
    groups: tuple[Group, ...]
    frozen: tuple[FrozenGroup, ...]
    edits: tuple[str, ...]
    """The mutations applied, in order, one line each."""
    granularity: str
    """As asked: ``auto`` or a number."""
    importance: str
    saliency: float
    front: tuple[FrontPoint, ...]
    latency: Latency | None
    verification: VerifyResult | None
    seed: int
    generations: int
    evaluations: int
    seconds: float
    reached: bool
    """False only with ``--best-effort``."""
    repair: Repair | None = None
    """None where it was not wanted, or nothing was cut."""
    command: str = ""
    notes: tuple[str, ...] = ()
    """What a clock or a measurement decided, and warnings worth a line."""
    measured: tuple[Measured, ...] = ()
    """Candidates that were measured before the choice was made, in that order."""
    metric: float | None = None
    """What the user's metric gives for the model that was read."""
    labelled: Labelled | None = None
    predicted: Predicted | None = None
    """None where no labels were given."""
    samples: tuple[Sample, ...] = ()
    """Inputs to look at with both answers; none where the outputs are nothing to look at."""

    @property
    def exit_code(self) -> int:
        if not self.reached:
            return 3
        return 5 if self.latency is not None and self.latency.slower else 0


@dataclass(frozen=True, slots=True)
class ApplyResult:
    output: Path
    structural: bool = False
    """True where new weights belong to the result but their file was not there."""


@dataclass(frozen=True, slots=True)
class LayerChange:
    """One node or tensor that differs between two models."""

    name: str
    kind: str
    """``node added``, ``node removed``, ``inputs``, ``outputs``, ``attribute``, ``weight added``, ``weight removed``, ``weight shape``,
    ``weight values``, ``shape``"""
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class DiffResult:
    before_path: Path
    after_path: Path
    before: Cost
    after: Cost
    changes: tuple[LayerChange, ...]
    interface_equal: bool


@dataclass(frozen=True, slots=True)
class DoctorResult:
    versions: dict[str, str]
    extras: dict[str, bool]
    machine: dict[str, str]
    problems: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class DrawResult:
    """A network's computational graph (AIO-P): counts of ``nodes``, ``weighted`` ones, ``edges``, ``flops``; a drawing; JSON."""

    path: Path
    counts: dict[str, int]
    drawing: Drawing
    json: str
