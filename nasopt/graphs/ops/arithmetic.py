"""Element by element: activations, broadcast arithmetic, comparisons."""

from __future__ import annotations

from nasopt.graphs.channels import Barrier, Coupling
from nasopt.graphs.graph import Node
from nasopt.graphs.ops.registry import Operator, register

_UNARY = """
Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Clip Cos Cosh Dropout Elu Erf Exp Floor Gelu HardSigmoid HardSwish
Identity IsInf IsNaN LeakyRelu Log Mish Neg Not Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish
Tan Tanh ThresholdedRelu Trilu
""".split()

_BROADCAST = """
Add And BitShift BitwiseAnd BitwiseOr BitwiseXor CastLike Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or Pow
PRelu Sub Sum Where Xor
""".split()


def _pass_on(coupling: Coupling, node: Node) -> None:
    """The first input's tracks; further inputs (Clip's bounds, Dropout's ratio) are scalars."""
    for value in node.outputs:
        coupling.put(value, coupling.of(node.inputs[0]))


def _broadcast(coupling: Coupling, node: Node) -> None:
    values = [value for value in node.inputs if value]
    if node.op == "CastLike":
        values = values[:1]
    coupling.put(node.outputs[0], coupling.merge(values))


def _trilu(coupling: Coupling, node: Node) -> None:
    rank = len(coupling.graph.shape(node.inputs[0]))
    barrier = Barrier(node.name, node.op, "diagonal", f"'{node.name}' depends on positions along its last two axes")
    tracks = [coupling.rigid(track, (rank - 2, rank - 1), barrier) for track in coupling.of(node.inputs[0])]
    coupling.put(node.outputs[0], tracks)


register([name for name in _UNARY if name != "Trilu"], Operator(_pass_on))
register(_BROADCAST, Operator(_broadcast))
register("Trilu", Operator(_trilu))
