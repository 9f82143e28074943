"""RNN, GRU and LSTM, step by step: torch's own differ in the order of gates, in GRU's reset gate, and have no peepholes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nasopt.runtime.torch_ops.registry import Call, Result, executor

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], State]
"""(the input's share of all gates at one step, state) → state; the state's first part is the hidden one."""

_DEFAULTS = {"RNN": ["tanh"], "GRU": ["sigmoid", "tanh"], "LSTM": ["sigmoid", "tanh", "tanh"]}
_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}


def _activations(call: Call) -> list[str]:
    return [name.decode() if isinstance(name, bytes) else name for name in call.get("activations", [])]


def _refused(call: Call) -> str:
    if len(call.node.inputs) > 4 and call.node.inputs[4]:
        return "sequence_lens"
    for name in ("clip", "input_forget"):
        if call.get(name):
            return name
    unknown = [name for name in _activations(call) if name.lower() not in _FUNCTIONS]
    return f"activation {unknown[0]}" if unknown else ""


@executor("RNN", "GRU", "LSTM", refuses=_refused)
def _recurrent(
    call: Call,
    x: Tensor,
    weight: Tensor,
    recurrence: Tensor,
    bias: Tensor | None = None,
    _lengths: Tensor | None = None,
    hidden: Tensor | None = None,
    cell: Tensor | None = None,
    peepholes: Tensor | None = None,
) -> Result:
    """X is (steps, batch, features) and Y (steps, directions, batch, hidden); with `layout` 1 the batch comes first in all of them."""
    batch_first = bool(call.get("layout", 0))
    if batch_first:
        x = x.transpose(0, 1)
        hidden, cell = (None if state is None else state.transpose(0, 1) for state in (hidden, cell))
    directions, size = weight.shape[0], recurrence.shape[-1]
    zeros = torch.zeros(directions, x.shape[1], size, dtype=x.dtype, device=x.device)
    starts = [zeros if state is None else state for state in ([hidden, cell] if call.node.op == "LSTM" else [hidden])]
    outputs, finals = [], []
    for direction in range(directions):
        backwards = call.get("direction", "forward") == "reverse" or direction == 1
        step, offset = _cell(call, direction, recurrence, bias, peepholes)
        shares = x @ weight[direction].T + offset
        states: State = tuple(start[direction] for start in starts)
        hiddens = []
        for share in reversed(shares.unbind(0)) if backwards else shares.unbind(0):
            states = step(share, states)
            hiddens.append(states[0])
        outputs.append(torch.stack(hiddens[::-1] if backwards else hiddens))
        finals.append(states)
    whole = torch.stack(outputs, 1)
    last = [torch.stack(states) for states in zip(*finals, strict=True)]
    if batch_first:
        return whole.permute(2, 0, 1, 3), *[state.transpose(0, 1) for state in last]
    return whole, *last


def _cell(call: Call, direction: int, recurrence: Tensor, bias: Tensor | None, peepholes: Tensor | None) -> tuple[Step, Tensor]:
    """One direction's step, and what is added to the input's share of its gates."""
    op, own = call.node.op, recurrence[direction]
    size = own.shape[-1]
    both = torch.zeros(2 * own.shape[0], dtype=own.dtype, device=own.device) if bias is None else bias[direction]
    input_bias, hidden_bias = both.chunk(2)
    names = _activations(call) or _DEFAULTS[op] * (direction + 1)
    count = len(_DEFAULTS[op])
    f, g, h = ([_FUNCTIONS[name.lower()] for name in names[direction * count :][:count]] * 3)[:3]
    if op == "RNN":
        return lambda share, state: (f(share + state[0] @ own.T),), input_bias + hidden_bias
    if op == "GRU":
        return _gru(own, hidden_bias, size, bool(call.get("linear_before_reset", 0)), f, g), input_bias
    peek = torch.zeros(3 * size, dtype=own.dtype, device=own.device) if peepholes is None else peepholes[direction]
    return _lstm(own, peek.chunk(3), f, g, h), input_bias + hidden_bias


def _gru(own: Tensor, bias: Tensor, size: int, linear: bool, f: Callable[[Tensor], Tensor], g: Callable[[Tensor], Tensor]) -> Step:
    """Gates in ONNX's order: update, reset, hidden."""
    gates, candidate = own[: 2 * size], own[2 * size :]

    def step(share: Tensor, state: State) -> State:
        past = state[0]
        update, reset = f(share[:, : 2 * size] + past @ gates.T + bias[: 2 * size]).chunk(2, 1)
        recalled = reset * (past @ candidate.T + bias[2 * size :]) if linear else (reset * past) @ candidate.T + bias[2 * size :]
        return ((1 - update) * g(share[:, 2 * size :] + recalled) + update * past,)

    return step


def _lstm(
    own: Tensor, peek: tuple[Tensor, ...], f: Callable[[Tensor], Tensor], g: Callable[[Tensor], Tensor], h: Callable[[Tensor], Tensor]
) -> Step:
    """Gates in ONNX's order: input, output, forget, cell."""

    def step(share: Tensor, state: State) -> State:
        past, cell = state
        enter, leave, forget, fresh = (share + past @ own.T).chunk(4, 1)
        cell_now = f(forget + peek[2] * cell) * cell + f(enter + peek[0] * cell) * g(fresh)
        return f(leave + peek[1] * cell_now) * h(cell_now), cell_now

    return step
