"""Run by the interpreter that has TensorFlow: builds a small Keras network, exports it to ONNX, writes an input and its output.

    python -P nhwc_export.py NAME {keras,tf2onnx} OUT.onnx CHECK.npz

The definitions are channels-last, as Keras networks are: the exported graphs hold islands between Transposes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers


def norm(x: Any) -> Any:
    """Momentum zero: one pass in training leaves exactly the statistics of its batch."""
    return layers.BatchNormalization(
        momentum=0.0,
        gamma_initializer=keras.initializers.RandomUniform(0.1, 1.3),
        beta_initializer=keras.initializers.RandomNormal(0, 0.2),
    )(x)


def conv(x: Any, width: int, kernel: int = 1, stride: int = 1, act: str | None = "relu") -> Any:
    x = norm(layers.Conv2D(width, kernel, stride, padding="same", use_bias=False, kernel_initializer="he_normal")(x))
    return layers.Activation(act)(x) if act else x


def inverted(x: Any, width: int, expansion: int, stride: int, *, squeeze: bool) -> Any:
    inputs = x.shape[-1]
    y = conv(x, inputs * expansion, act="relu6")
    if stride == 2:
        y = layers.ZeroPadding2D(((0, 1), (0, 1)))(y)
    y = layers.DepthwiseConv2D(3, stride, padding="valid" if stride == 2 else "same", use_bias=False)(y)
    y = layers.ReLU(6.0)(norm(y))
    if squeeze:
        gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
        gate = layers.Conv2D(max(8, inputs * expansion // 4), 1, activation="relu")(gate)
        y = layers.Multiply()([y, layers.Conv2D(inputs * expansion, 1, activation="hard_sigmoid")(gate)])
    y = conv(y, width, act=None)
    return layers.Add()([x, y]) if stride == 1 and inputs == width else y


def mobilenet() -> Any:
    x = inputs = layers.Input((96, 96, 3), name="input")
    x = conv(x, 16, 3, 2, "relu6")
    for width, expansion, stride, squeeze in (
        (16, 1, 1, False),
        (24, 6, 2, False),
        (24, 6, 1, False),
        (40, 6, 2, True),
        (40, 6, 1, True),
        (64, 6, 2, False),
        (64, 6, 1, True),
        (96, 6, 1, False),
    ):
        x = inverted(x, width, expansion, stride, squeeze=squeeze)
    x = layers.GlobalAveragePooling2D()(conv(x, 320, act="relu6"))
    return keras.Model(inputs, layers.Dense(100, activation="softmax")(x))


def resnet() -> Any:
    x = inputs = layers.Input((64, 64, 3), name="input")
    x = layers.MaxPooling2D(3, 2, padding="same")(conv(x, 32, 7, 2))
    for stage, width in enumerate((32, 64, 128)):
        for block in range(2):
            stride = 2 if stage and not block else 1
            short = conv(x, 4 * width, 1, stride, None) if not block else x
            y = conv(conv(conv(x, width), width, 3, stride), 4 * width, act=None)
            x = layers.Activation("relu")(layers.Add()([short, y]))
    return keras.Model(inputs, layers.Dense(100)(layers.GlobalAveragePooling2D()(x)))


def unet() -> Any:
    x = inputs = layers.Input((64, 64, 3), name="input")
    skips = []
    for width in (16, 32, 64):
        x = conv(conv(x, width, 3), width, 3, act="swish")
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = conv(x, 128, 3)
    for level, (width, skip) in enumerate(zip((64, 32, 16), reversed(skips), strict=True)):
        if level == 1:
            x = conv(layers.UpSampling2D(interpolation="bilinear")(x), width, 3)
        else:
            x = layers.Conv2DTranspose(width, 2, 2, padding="same")(x)
        x = conv(layers.Concatenate()([x, skip]), width, 3)
    return keras.Model(inputs, layers.Conv2D(2, 1, activation="sigmoid")(x))


def separable() -> Any:
    """Xception-like: separable convolutions, LeakyReLU, PReLU per channel, Flatten into a Dense layer."""
    x = inputs = layers.Input((32, 32, 3), name="input")
    x = conv(x, 16, 3, 2)
    for width in (32, 64):
        y = norm(layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(x))
        y = layers.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.RandomUniform(0.1, 0.4))(y)
        y = norm(layers.SeparableConv2D(width, 3, padding="same", use_bias=False)(y))
        y = layers.AveragePooling2D(2)(y)
        x = layers.LeakyReLU()(layers.Add()([conv(x, width, 1, 2, None), y]))
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(10)(x))


def main() -> None:
    name, exporter, out, check = sys.argv[1:]
    keras.utils.set_random_seed(sum(map(ord, name)))
    model = {"mobilenet": mobilenet, "resnet": resnet, "unet": unet, "separable": separable}[name]()
    shape = tuple(model.inputs[0].shape[1:])
    rng = np.random.default_rng(0)
    model(rng.standard_normal((16, *shape)).astype(np.float32), training=True)
    x = rng.standard_normal((2, *shape)).astype(np.float32)
    np.savez(check, x=x, y=model(x, training=False).numpy())
    if exporter == "keras":
        model.export(out, format="onnx", verbose=False)
    else:
        import tensorflow as tf
        import tf2onnx

        signature = [tf.TensorSpec((None, *shape), tf.float32, name="input")]
        tf2onnx.convert.from_function(tf.function(lambda input: model(input, training=False)), signature, opset=17, output_path=out)  # noqa: A006
    if not Path(out).exists():
        raise SystemExit(f"{exporter} wrote nothing")


if __name__ == "__main__":
    main()
