"""Gemm, MatMul, Einsum and Attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nasopt.runtime.torch_ops.registry import Call, Result, executor, plain

plain("MatMul")(torch.matmul)


@executor("Gemm")
def _gemm(call: Call, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a = a.T if call.get("transA", 0) else a
    b = b.T if call.get("transB", 0) else b
    alpha, beta = call.get("alpha", 1.0), call.get("beta", 1.0)
    if not a.is_floating_point():
        alpha, beta = int(alpha), int(beta)
    if c is None:
        product = a @ b
        return product if alpha == 1 else alpha * product
    return torch.addmm(c, a, b, beta=beta, alpha=alpha)


@executor("Einsum")
def _einsum(call: Call, *inputs: Tensor) -> Tensor:
    return torch.einsum(call.get("equation"), *inputs)


@executor("Attention", refuses=lambda call: "softmax_precision" if "softmax_precision" in call.node.attrs else "")
def _attention(
    call: Call,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    past_key: Tensor | None = None,
    past_value: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Result:
    """Scaled dot-product attention over (batch, heads, positions, features), or over (batch, positions, heads × features).

    Fewer key than query heads are shared by runs of them. Keys and values of the past go in front; with `lengths` (opset 24) keys beyond
    each sample's are not looked at.
    """
    flat = query.ndim == 3
    if flat:
        query = _heads(query, int(call.get("q_num_heads")))
        key, value = (_heads(x, int(call.get("kv_num_heads"))) for x in (key, value))
    if past_key is not None and past_value is not None:
        key, value = torch.cat([past_key, key], 2), torch.cat([past_value, value], 2)
    present = key, value
    shared = query.shape[1] // key.shape[1]
    if shared > 1:
        key, value = key.repeat_interleave(shared, 1), value.repeat_interleave(shared, 1)
    root = math.sqrt(call.get("scale", 1 / math.sqrt(query.shape[-1])))
    scores = (query * root) @ (key * root).transpose(-1, -2)
    stages = [scores]
    bias = _bias(call, scores, mask, lengths, 0 if past_key is None else past_key.shape[2])
    softcap = call.get("softcap", 0.0)
    biased = scores if bias is None else scores + bias
    capped = torch.tanh(scores / softcap) * softcap if softcap else scores
    stages += [biased, capped]
    scores = capped if bias is None else capped + bias
    weights = torch.softmax(scores, -1)
    result = weights @ value
    if flat:
        result = result.transpose(1, 2).flatten(2)
    return result, *present, [*stages, weights][int(call.get("qk_matmul_output_mode", 0))] if call.wants(3) else None


def _heads(x: Tensor, count: int) -> Tensor:
    return x.reshape(*x.shape[:2], count, -1).transpose(1, 2)


def _bias(call: Call, scores: Tensor, mask: Tensor | None, lengths: Tensor | None, past: int) -> Tensor | None:
    """What is added to the scores: minus infinity where a position must not be looked at."""
    rows, columns = scores.shape[-2:]
    seen = torch.ones((rows, columns), dtype=torch.bool, device=scores.device)
    if call.get("is_causal", 0):
        seen = seen.tril(past)
    if lengths is not None:
        seen = seen & (torch.arange(columns, device=scores.device) < lengths.reshape(-1, 1, 1, 1))
    bias = None
    if mask is not None:
        missing = columns - mask.shape[-1]
        if mask.dtype == torch.bool:
            seen = seen & torch.nn.functional.pad(mask, [0, missing], value=False)
        else:
            bias = torch.nn.functional.pad(mask, [0, missing], value=-math.inf)
    if bool(seen.all()):
        return bias
    hidden = torch.zeros(seen.shape, dtype=scores.dtype, device=scores.device).masked_fill(~seen, -math.inf)
    return hidden if bias is None else bias + hidden
