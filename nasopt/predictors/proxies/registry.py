"""All proxies, and a network's scores by them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nasopt.errors import MissingExtraError, UsageError

try:
    from torch import Tensor, nn
except ModuleNotFoundError:
    raise MissingExtraError("zero-cost proxies need PyTorch: pip install 'nasopt[torch]'") from None

from nasopt.predictors.proxies.contract import Need, Proxy
from nasopt.predictors.proxies.epe_nas import EPE_NAS
from nasopt.predictors.proxies.fisher import FISHER
from nasopt.predictors.proxies.flops import FLOPS
from nasopt.predictors.proxies.grad_norm import GRAD_NORM
from nasopt.predictors.proxies.grasp import GRASP
from nasopt.predictors.proxies.jacov import JACOV
from nasopt.predictors.proxies.l2_norm import L2_NORM
from nasopt.predictors.proxies.nwot import NWOT
from nasopt.predictors.proxies.params import PARAMS
from nasopt.predictors.proxies.passes import gather
from nasopt.predictors.proxies.plain import PLAIN
from nasopt.predictors.proxies.snip import SNIP
from nasopt.predictors.proxies.subject import Subject
from nasopt.predictors.proxies.synflow import SYNFLOW
from nasopt.predictors.proxies.zen import ZEN

__all__ = ["PROXIES", "known", "scores"]

PROXIES: dict[str, Proxy] = {
    proxy.name: proxy
    for proxy in (
        EPE_NAS, FISHER, FLOPS, GRAD_NORM, GRASP, JACOV, L2_NORM, NWOT, PARAMS, PLAIN, SNIP, SYNFLOW, ZEN,
    )
}  # fmt: skip
"""By name, in alphabetical order."""


def known(names: Sequence[str]) -> tuple[str, ...]:
    """The names, each once, in order; all of them for none.

    Raises:
        UsageError: there is no such proxy.
    """
    unknown = [name for name in names if name not in PROXIES]
    if unknown:
        raise UsageError(f"there is no proxy '{unknown[0]}'; there are {', '.join(PROXIES)}")
    return tuple(name for name in PROXIES if not names or name in names)


def scores(
    network: nn.Module,
    inputs: Sequence[Tensor],
    labels: Tensor | None = None,
    *,
    names: Sequence[str] = (),
    seed: int = 0,
    whole: bool = False,
) -> dict[str, float]:
    """A network's scores, in one pass for all proxies that can share it; the network stays as it is.

    Args:
        network: any module; what it answers first is taken for (batch, classes) or (batch, classes, ...), and a softmax at its end is
            not counted. Norms use the batch's statistics, dropout is off.
        inputs: its arguments, two rows or more.
        labels: classes, (batch,) or (batch, ...); random by the seed where None.
        names: of proxies; all of them where empty.
        seed: of everything that is drawn: labels; weights and inputs of zen.
        whole: the network takes this batch only, and no single row.

    Returns:
        By name, in alphabetical order. Not finite where a definition has no value, such as nwot's of a network without rectifiers, or
        where torch has no derivative that it asks for.

    Raises:
        UsageError: an unknown name, inputs or labels that do not fit.
        ModelNotSupportedError: the network fails on the inputs, or answers no float tensor.
    """
    asked = [PROXIES[name] for name in known(names)]
    needs: frozenset[Need] = frozenset().union(*(proxy.needs for proxy in asked))
    evidence = gather(Subject(network, inputs, labels, seed=seed, whole=whole), needs)
    return {proxy.name: math.nan if proxy.needs & evidence.missing else proxy.score(evidence) for proxy in asked}
