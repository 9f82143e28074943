"""flops: 2 x multiply-accumulates of one row."""

from __future__ import annotations

from nasopt.predictors.proxies.contract import Evidence, Proxy

__all__ = ["FLOPS"]


def _score(evidence: Evidence) -> float:
    """2 x MACs of convolutions and products of matrices, bias excluded, as nasopt counts; tables count otherwise (docs/tables.md)."""
    return float(2 * sum(product.macs for product in evidence.seen))


FLOPS = Proxy("flops", "NAS-Bench-Suite-Zero (Krishnakumar et al., NeurIPS 2022), Table 1", frozenset(), _score)
