"""The networks of the lab: Keras models from pixels to logits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import keras
from keras import layers, ops

from .errors import LabError, unknown

Tensor: TypeAlias = Any  # a keras.KerasTensor (n, h, w, c)
Shortcut: TypeAlias = Callable[[Tensor, int, int], Tensor]


def build(name: str, input_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """A network by its name, with fresh He-normal weights (`keras.utils.set_random_seed` decides which).

    It takes pixels of 0..255, uint8 or float, (n, h, w, c), scales them to -1..1 itself, and gives logits, float32
    (n, num_classes): no softmax. A saved one loads without mixaug.

    Args:
        name: `small` (for a CPU), `resnet20`, `resnet32`, `resnet56` (He et al. 2015, section 4.2: the networks for
            CIFAR-10), `resnet18` (the ImageNet network for small images: a 3x3 stem, no pooling).
        input_shape: (h, w, c), at least 8x8.
        num_classes: two or more.

    Raises:
        LabError: an unknown name, an input too small or not (h, w, c), or fewer than two classes.

    >>> build("resnet20", (32, 32, 3), num_classes=10).output_shape
    (None, 10)
    """
    if name not in MODELS:
        raise unknown("a model", name, MODELS)
    if len(input_shape) != 3 or min(input_shape[:2]) < 8:
        raise LabError(f"expected images (h, w, c) of 8x8 or more, got {tuple(input_shape)}: make them larger")
    if num_classes < 2:
        raise LabError(f"expected two or more classes, got {num_classes}: there is nothing to tell apart")
    pixels = keras.Input(input_shape, name="pixels")
    features = MODELS[name](layers.Rescaling(1 / 127.5, -1)(pixels))
    # float32, so that the loss keeps its precision under a mixed-precision policy
    logits = layers.Dense(num_classes, kernel_initializer="he_normal", dtype="float32", name="logits")(features)
    return keras.Model(pixels, logits, name=name)


def _small(x: Tensor) -> Tensor:
    """Three convolutions, halving the image twice, and the maximum over the image: 0.1 M weights.

    The maximum, because within a few epochs it learns more than the mean.
    """
    x = layers.MaxPooling2D()(_relu(_conv(x, 32)))
    x = layers.MaxPooling2D()(_relu(_conv(x, 64)))
    return layers.GlobalMaxPooling2D()(_relu(_conv(x, 128)))


def _resnet(x: Tensor, filters: tuple[int, ...], blocks: int, shortcut: Shortcut) -> Tensor:
    """A 3x3 stem, then a stage of `blocks` blocks for each count of filters; each after the first halves the image."""
    x = _relu(_conv(x, filters[0]))
    for stage, count in enumerate(filters):
        for block in range(blocks):
            x = _block(x, count, stride=2 if stage and not block else 1, shortcut=shortcut)
    return layers.GlobalAveragePooling2D()(x)


def _block(x: Tensor, filters: int, stride: int, shortcut: Shortcut) -> Tensor:
    """relu(x + F(x)), where F is two convolutions; the shortcut brings x to the shape of F(x) if it has another."""
    residual = _conv(_relu(_conv(x, filters, stride=stride)), filters)
    same = stride == 1 and x.shape[-1] == filters
    return _relu(layers.Add()([x if same else shortcut(x, filters, stride), residual]))


def _padded(x: Tensor, filters: int, stride: int) -> Tensor:
    """Option A of the paper: every stride-th pixel, the new channels zero; no weights."""
    return ops.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, filters - x.shape[-1])))


def _projected(x: Tensor, filters: int, stride: int) -> Tensor:
    """Option B of the paper: a 1x1 convolution."""
    return _conv(x, filters, kernel=1, stride=stride)


def _conv(x: Tensor, filters: int, kernel: int = 3, stride: int = 1) -> Tensor:
    """A convolution without bias, batch-normalised."""
    if stride > 1 and kernel > 1:
        # "same" would pad only below and right, and so look at odd pixels where the shortcut takes the even ones
        x = layers.ZeroPadding2D(kernel // 2)(x)
    padding = "same" if stride == 1 else "valid"
    x = layers.Conv2D(filters, kernel, stride, padding, use_bias=False, kernel_initializer="he_normal")(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _relu(x: Tensor) -> Tensor:
    return layers.ReLU()(x)


_cifar_resnet = partial(_resnet, filters=(16, 32, 64), shortcut=_padded)

MODELS: dict[str, Callable[[Tensor], Tensor]] = {
    "small": _small,
    "resnet20": partial(_cifar_resnet, blocks=3),
    "resnet32": partial(_cifar_resnet, blocks=5),
    "resnet56": partial(_cifar_resnet, blocks=9),
    "resnet18": partial(_resnet, filters=(64, 128, 256, 512), blocks=2, shortcut=_projected),
}
