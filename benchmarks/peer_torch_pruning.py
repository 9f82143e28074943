"""Torch-Pruning 1.6.1 on the CIFAR ResNets: one shot, no training, at the MACs that nasopt is asked for.

The weights come from `$NASOPT_DATA/models/resnet{20,56}_cifar10_jpeg.onnx`, the accuracy is on the full CIFAR-10 test set. The ratio
is the smallest that reaches the drop (MACs: multiply-adds of convolutions and the linear layer).

The down-sampling shortcuts have no weights: every other pixel, then zero channels around (option A). Torch-Pruning traces through that
pad but has no index map for it: asked to prune the residual stream, it stops with an IndexError. So, as its users do, the layers that
write the residual stream (the first convolution, the last one of each block) and the classifier are ignored, and the channels inside
the blocks are pruned.

    python -m benchmarks.peer_torch_pruning [--network resnet56] [--drop 0.3] [--fresh] > peers.json
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import io
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.accuracy_data import CIFAR_MEAN, CIFAR_STD, batches, cifar10, data_dir, evaluate, runner
from benchmarks.cache import cache_dir

DEPTHS = {"resnet20": 3, "resnet56": 9}
DROPS = (0.135, 0.30, 0.50)
RANKINGS = ("global", "local")
EXAMPLE = torch.zeros(1, 3, 32, 32)
VERSION = 1


class Block(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.stride, self.extra = stride, (width - inputs) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra))
        return torch.relu(x + y)


class CifarResNet(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16, 1) for _ in range(depth)))
        self.layer2 = nn.Sequential(*(Block(32 if i else 16, 32, 1 if i else 2) for i in range(depth)))
        self.layer3 = nn.Sequential(*(Block(64 if i else 32, 64, 1 if i else 2) for i in range(depth)))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer3(self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))

    def stream(self) -> list[nn.Module]:
        """The layers whose outputs belong to the residual stream, and the classifier."""
        return [self.conv1, self.linear, *(block.conv2 for block in self.modules() if isinstance(block, Block))]


def load(network: str) -> CifarResNet:
    import onnx
    from onnx import numpy_helper

    weights = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in onnx.load(source(network)).graph.initializer}
    model = CifarResNet(DEPTHS[network])
    state = {name: value for name, value in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    model.load_state_dict({name: weights[name] for name in state}, strict=False)
    return model.eval()


def source(network: str) -> Path:
    return data_dir() / "models" / f"{network}_cifar10_jpeg.onnx"


def importances() -> dict[str, Callable[[], Any]]:
    """Every data-free importance of the library: its defaults, its named classes, and the variants that its documentation lists."""
    import torch_pruning as tp

    def magnitude(p: int, normalizer: str | None = "mean", reduction: str = "mean") -> Callable[[], Any]:
        return lambda: tp.importance.GroupMagnitudeImportance(p=p, normalizer=normalizer, group_reduction=reduction)

    return {
        "magnitude_l2": magnitude(2),
        "magnitude_l1": magnitude(1),
        "magnitude_l2_raw": magnitude(2, None),
        "magnitude_l1_raw": magnitude(1, None),
        "magnitude_l2_first": magnitude(2, None, "first"),
        "magnitude_l2_max": magnitude(2, "max"),
        "magnitude_l2_gaussian": magnitude(2, "gaussian"),
        "bn_scale": tp.importance.BNScaleImportance,
        "bn_scale_raw": lambda: tp.importance.BNScaleImportance(normalizer=None),
        "lamp": tp.importance.LAMPImportance,
        "fpgm": tp.importance.FPGMImportance,
        "random": tp.importance.RandomImportance,
    }


def macs(model: nn.Module) -> int:
    """Multiply-adds of one image, from the sizes that a forward pass shows."""
    total = 0

    def add(module: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d | nn.Linear)
        total += module.weight.numel() * (output[0, 0].numel() if output.dim() == 4 else 1)

    hooks = [m.register_forward_hook(add) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        model(EXAMPLE)
    for hook in hooks:
        hook.remove()
    return total


def cut(model: CifarResNet, importance: str, ranking: str, ratio: float, seed: int = 0) -> CifarResNet:
    """A pruned copy."""
    import torch_pruning as tp

    twin = copy.deepcopy(model)
    torch.manual_seed(seed)
    pruner = tp.BasePruner(
        twin,
        EXAMPLE,
        importance=importances()[importance](),
        global_pruning=ranking == "global",
        pruning_ratio=ratio,
        ignored_layers=twin.stream(),
    )
    torch.manual_seed(seed)
    pruner.step()
    return twin


def cut_to(model: CifarResNet, importance: str, ranking: str, drop: float) -> tuple[CifarResNet, float]:
    """The pruned copy of the smallest ratio that reaches the drop, to a 500th.

    A scan comes before the bisection: under a global ranking the library leaves a layer alone once all its channels fall below the
    threshold, so that a larger ratio may well remove less.
    """
    most = macs(model) * (1 - drop)
    for step in range(1, 50):
        low, high = (step - 1) / 50, step / 50
        best = cut(model, importance, ranking, high)
        if macs(best) <= most:
            break
    else:
        raise ValueError(f"{importance}, {ranking}: no ratio reaches a drop of {drop:.1%}")
    while high - low > 0.002:
        ratio = (low + high) / 2
        candidate = cut(model, importance, ranking, ratio)
        if macs(candidate) <= most:
            best, high = candidate, ratio
        else:
            low = ratio
    return best, high


def accuracy(model: nn.Module, limit: int | None = None) -> float:
    """In ONNX Runtime, as for every other network of the benchmarks."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter without dynamo is the fast one, and is deprecated
        torch.onnx.export(model, (EXAMPLE,), file, dynamo=False, input_names=["input"], dynamic_axes={"input": {0: "N"}})
    return evaluate(file.getvalue(), "cifar10", limit=limit)


def agreement(network: str) -> float:
    """Largest difference between this module and the ONNX file in ONNX Runtime, on 50 images, over the largest output."""
    x = next(iter(batches(cifar10(limit=50)[0], CIFAR_MEAN, CIFAR_STD)))
    expected = runner(source(network))([x])
    with torch.no_grad():
        found = load(network)(torch.from_numpy(np.ascontiguousarray(x))).numpy()
    return float(np.abs(expected - found).max() / np.abs(expected).max())


@dataclass(frozen=True)
class Peer:
    """One configuration and what became of it; `accuracy` is None where the library could not do it, and `error` says why."""

    network: str
    importance: str
    ranking: str
    drop: float
    reached: float | None = None
    accuracy: float | None = None
    ratio: float | None = None
    params: int | None = None
    seconds: float | None = None
    error: str | None = None


def peer(network: str, importance: str, ranking: str, drop: float, *, fresh: bool = False, limit: int | None = None) -> Peer:
    """The result of one configuration: from the cache, or computed where there is none or `fresh` is asked for."""
    import torch_pruning as tp

    weights = hashlib.sha256(source(network).read_bytes()).hexdigest()[:12]
    key = "-".join(map(str, (network, weights, importance, ranking, drop, limit, tp.__version__, VERSION)))
    file = cache_dir() / "torch_pruning" / f"{key}.json"
    if file.exists() and not fresh:
        return Peer(**json.loads(file.read_text()))
    model = load(network)
    start = time.process_time()
    try:
        pruned, ratio = cut_to(model, importance, ranking, drop)
        seconds = time.process_time() - start
        reached = 1 - macs(pruned) / macs(model)
        params = sum(p.numel() for p in pruned.parameters())
        result = Peer(network, importance, ranking, drop, reached, accuracy(pruned, limit), ratio, params, seconds)
    except (RuntimeError, ValueError, IndexError) as error:
        result = Peer(network, importance, ranking, drop, error=str(error))
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(asdict(result)))
    return result


def peers(
    networks: Sequence[str], drops: Sequence[float], rankings: Sequence[str] = RANKINGS, *, fresh: bool = False, limit: int | None = None
) -> Iterator[Peer]:
    for network in networks:
        for ranking in rankings:
            for importance in importances():
                for drop in drops:
                    yield peer(network, importance, ranking, drop, fresh=fresh, limit=limit)


def document(
    networks: Sequence[str], drops: Sequence[float], rankings: Sequence[str] = RANKINGS, *, fresh: bool = False, limit: int | None = None
) -> dict[str, Any]:
    """All results as one JSON document, with the best of each network and drop."""
    import torch_pruning as tp

    rows = []
    for row in peers(networks, drops, rankings, fresh=fresh, limit=limit):
        print(row, file=sys.stderr, flush=True)
        rows.append(row)
    best = {}
    for network in networks:
        for drop in drops:
            done = [r for r in rows if (r.network, r.drop) == (network, drop) and r.accuracy is not None]
            best[f"{network} {drop}"] = asdict(max(done, key=lambda r: r.accuracy or 0.0)) if done else None
    return {
        "peer": f"torch-pruning {tp.__version__}",
        "macs": "multiply-adds of Conv2d and Linear, bias excluded",
        "data": "CIFAR-10 test set" + (f", first {limit}" if limit else ""),
        "scope": "channels inside the blocks; the residual stream is ignored (option-A shortcuts)",
        "agreement": {network: agreement(network) for network in networks},
        "best": best,
        "results": [asdict(row) for row in rows],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Torch-Pruning on the CIFAR ResNets; prints one JSON document.")
    parser.add_argument("--network", choices=DEPTHS, action="append")
    parser.add_argument("--drop", type=float, action="append")
    parser.add_argument("--ranking", choices=RANKINGS, action="append")
    parser.add_argument("--limit", type=int, help="only the first images of the test set")
    parser.add_argument("--fresh", action="store_true", help="compute again what the cache holds")
    a = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(document(a.network or list(DEPTHS), a.drop or DROPS, a.ranking or RANKINGS, fresh=a.fresh, limit=a.limit), indent=1))


if __name__ == "__main__":
    main()
