"""The block that mobile networks are made of: expand, depthwise convolution, project (MobileNetV2, CVPR 2018, Fig. 3)."""

from __future__ import annotations

from nasopt.spaces.network import Activation, Network

__all__ = ["inverted_residual", "squeeze_excite"]


def inverted_residual(
    net: Network,
    x: str,
    channels: int,
    *,
    inner: int,
    kernel: int,
    stride: int = 1,
    act: Activation = "relu",
    squeeze: int = 0,
    gate: Activation = "relu",
    hard_gate: bool = False,
    groups: int = 1,
    expand: bool = True,
    residual: bool = True,
    epsilon: float = 1e-5,
) -> str:
    """One block; every convolution is followed by a norm, and the last by no activation.

    Args:
        net: grows by it.
        x: its input.
        channels: of its output.
        inner: channels of the depthwise convolution.
        kernel: of the depthwise convolution.
        stride: of the depthwise convolution.
        act: after the first two norms.
        squeeze: channels between the two layers of squeeze-and-excitation, which follows the depthwise convolution; 0 for none.
        gate: the activation between those two.
        hard_gate: the gate is a hard sigmoid.
        groups: of both pointwise convolutions; with more than one, channels are shuffled after the first.
        expand: whether there is a first convolution.
        residual: whether the input is added where it fits.
        epsilon: of the norms.
    """
    y = x
    if expand:
        with net.scope("expand"):
            y = net.act(net.norm(net.conv(y, inner, groups=groups), epsilon=epsilon), act)
            y = net.shuffle(y, groups) if groups > 1 else y
    with net.scope("depthwise"):
        y = net.act(net.norm(net.conv(y, inner, kernel, stride, groups=inner), epsilon=epsilon), act)
    if squeeze:
        with net.scope("se"):
            y = squeeze_excite(net, y, squeeze, act=gate, hard=hard_gate)
    with net.scope("project"):
        y = net.norm(net.conv(y, channels, groups=groups), epsilon=epsilon)
    return net.add(y, x) if residual and net.shapes[x] == net.shapes[y] else y


def squeeze_excite(net: Network, x: str, squeeze: int, *, act: Activation = "relu", hard: bool = False) -> str:
    """Channels weighted by what the whole image says of them (Squeeze-and-Excitation, CVPR 2018, Fig. 2)."""
    y = net.act(net.conv(net.global_pool(x), squeeze, bias=True, name="reduce"), act)
    y = net.conv(y, net.channels(x), bias=True, name="restore")
    return net.mul(x, net.hard_sigmoid(y) if hard else net.sigmoid(y))
