"""The networks of the lab: Keras models from pixels to outputs per image or per pixel, and their losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import keras
from keras import layers, ops

from ..losses import cross_entropy
from ..metrics import mixed_accuracy
from .errors import LabError, unknown

Tensor: TypeAlias = Any  # a keras.KerasTensor (n, h, w, c)
Shortcut: TypeAlias = Callable[[Tensor, int, int], Tensor]
Features: TypeAlias = Callable[[Tensor], Tensor]

HEAD = "logits"  #: the name of a network's last layer, which a new task replaces


class Kind(NamedTuple):
    """A network without its head, and the range to which it scales pixels of 0..255."""

    features: Features
    low: float = -1.0
    high: float = 1.0


def build(name: str, input_shape: tuple[int, int, int], outputs: int, *, per_pixel: bool = False) -> keras.Model:
    """Build one of mixaug's networks with random He-normal weights (seed: `keras.utils.set_random_seed`).

    The network takes pixels of 0..255, uint8 or float, (n, h, w, c), scales them itself, and returns logits or other
    numbers without a softmax, float32 (n, outputs) or, per pixel, (n, h, w, outputs). Saved networks load without
    mixaug.

    Args:
        name: `small` (for a CPU), `resnet20`, `resnet32`, `resnet56` (the CIFAR-10 networks of He et al. 2015, section
            4.2), `resnet18` (the ImageNet network for small images: a 3x3 stem, no pooling), `keras-resnet20` and
            `keras-resnet20-v2` (of Keras' CIFAR-10 example: biases, projections, L2 of 1e-4, BatchNorm momentum 0.99,
            pixels in 0..1). Per pixel: `unet` (Ronneberger et al. 2015, narrow, for a CPU).
        input_shape: (h, w, c), at least 8x8.
        outputs: the number of outputs, for example the number of classes.
        per_pixel: whether the outputs are per pixel.

    Raises:
        LabError: if the name is unknown, or the input is too small or not (h, w, c).

    >>> build("resnet20", (32, 32, 3), 10).output_shape
    (None, 10)
    >>> build("unet", (30, 50, 1), 3, per_pixel=True).output_shape
    (None, 30, 50, 3)
    """
    known = PER_PIXEL if per_pixel else PER_IMAGE
    if name not in known:
        raise unknown("a model that answers for every pixel" if per_pixel else "a model", name, known)
    if len(input_shape) != 3 or min(input_shape[:2]) < 8:
        raise LabError(f"expected images (h, w, c) of 8x8 or more, got {tuple(input_shape)}: make them larger")
    pixels, kind = keras.Input(input_shape, name="pixels"), known[name]
    scaled = layers.Rescaling((kind.high - kind.low) / 255, kind.low)(pixels)
    return keras.Model(pixels, head(kind.features(scaled), outputs), name=name)


def head(features: Tensor, outputs: int) -> Tensor:
    """Return the outputs for features: one dense layer, named `HEAD`, along the last axis.

    It is float32, so that the loss keeps its precision under a mixed-precision policy.
    """
    logits: Tensor = layers.Dense(outputs, kernel_initializer="he_normal", dtype="float32", name=HEAD)(features)
    return logits


def _small(x: Tensor) -> Tensor:
    """Return features of three convolutions, two of which halve the image, and a global maximum: 0.1 M weights.

    In a few epochs, the maximum learns more than the mean.
    """
    x = layers.MaxPooling2D()(_relu(_conv(x, 32)))
    x = layers.MaxPooling2D()(_relu(_conv(x, 64)))
    return layers.GlobalMaxPooling2D()(_relu(_conv(x, 128)))


def _resnet(x: Tensor, filters: tuple[int, ...], blocks: int, shortcut: Shortcut) -> Tensor:
    """Return features of a 3x3 stem and one stage of `blocks` blocks per entry of `filters`; later stages halve."""
    x = _relu(_conv(x, filters[0]))
    for stage, count in enumerate(filters):
        for block in range(blocks):
            x = _block(x, count, stride=2 if stage and not block else 1, shortcut=shortcut)
    return layers.GlobalAveragePooling2D()(x)


def _block(x: Tensor, filters: int, stride: int, shortcut: Shortcut) -> Tensor:
    """Return relu(x + F(x)), where F is two convolutions; the shortcut adapts the shape of x if necessary."""
    residual = _conv(_relu(_conv(x, filters, stride=stride)), filters)
    same = stride == 1 and x.shape[-1] == filters
    return _relu(layers.Add()([x if same else shortcut(x, filters, stride), residual]))


def _padded(x: Tensor, filters: int, stride: int) -> Tensor:
    """Return option A of the paper: every stride-th pixel, new channels zero, no weights."""
    return ops.pad(x[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (0, filters - x.shape[-1])))


def _projected(x: Tensor, filters: int, stride: int) -> Tensor:
    """Return option B of the paper: a 1x1 convolution."""
    return _conv(x, filters, kernel=1, stride=stride)


def _unet(x: Tensor, levels: Sequence[tuple[int, int]] = ((16, 1), (32, 1), (64, 2), (128, 3))) -> Tensor:
    """Return U-Net features: 2x2 max pooling down, nearest upsampling up, with skip connections at each level.

    A level is (filters, convolutions on the way down); deeper levels have more convolutions, as they cost less.
    """
    height, width = x.shape[1:3]
    whole = 2 ** (len(levels) - 1)
    below, right = -height % whole, -width % whole
    x = layers.ZeroPadding2D(((0, below), (0, right)))(x)
    before: list[Tensor] = []
    for level, (filters, convolutions) in enumerate(levels):
        x = layers.MaxPooling2D()(x) if level else x
        for _ in range(convolutions):
            x = _relu(_conv(x, filters))
        before.append(x)
    x = before.pop()
    for filters, _ in levels[-2::-1]:
        x = layers.Concatenate()([layers.UpSampling2D()(_conv(x, filters, kernel=1)), before.pop()])
        x = _relu(_conv(x, filters))
    return layers.Cropping2D(((0, below), (0, right)))(x)


def _conv(x: Tensor, filters: int, kernel: int = 3, stride: int = 1) -> Tensor:
    """Return a convolution without bias, followed by BatchNorm."""
    if stride > 1 and kernel > 1:
        # "same" would pad only below and right, and so sample odd pixels, while the shortcut samples even ones
        x = layers.ZeroPadding2D(kernel // 2)(x)
    padding = "same" if stride == 1 else "valid"
    x = layers.Conv2D(filters, kernel, stride, padding, use_bias=False, kernel_initializer="he_normal")(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _relu(x: Tensor) -> Tensor:
    return layers.ReLU()(x)


def _keras_resnet_v1(x: Tensor, blocks: int = 3) -> Tensor:
    """Return the ResNet v1 of Keras' CIFAR-10 example: as in He et al., but with biases and projection shortcuts."""
    x = _keras_after(_keras_conv(x, 16))
    for filters in (16, 32, 64):
        for block in range(blocks):
            stride = 2 if filters > 16 and not block else 1
            residual = _keras_conv(_keras_after(_keras_conv(x, filters, stride=stride)), filters)
            shortcut = x if stride == 1 else _keras_conv(x, filters, kernel=1, stride=stride)
            x = _relu(layers.Add()([shortcut, layers.BatchNormalization()(residual)]))
    return layers.GlobalAveragePooling2D()(x)


def _keras_resnet_v2(x: Tensor, blocks: int = 2) -> Tensor:
    """Return the ResNet v2 of Keras' CIFAR-10 example: bottlenecks, BatchNorm and ReLU before each convolution."""
    x = _keras_after(_keras_conv(x, 16))
    for narrow, wide in ((16, 64), (64, 128), (128, 256)):
        for block in range(blocks):
            first, stride = x.shape[-1] == 16, 2 if narrow > 16 and not block else 1
            residual = _keras_conv(x if first else _keras_after(x), narrow, kernel=1, stride=stride)
            residual = _keras_conv(_keras_after(residual), narrow)
            residual = _keras_conv(_keras_after(residual), wide, kernel=1)
            shortcut = x if block else _keras_conv(x, wide, kernel=1, stride=stride)
            x = layers.Add()([shortcut, residual])
    return layers.GlobalAveragePooling2D()(_keras_after(x))


def _keras_conv(x: Tensor, filters: int, kernel: int = 3, stride: int = 1) -> Tensor:
    decay = keras.regularizers.L2(1e-4)
    initial = "he_normal"
    return layers.Conv2D(filters, kernel, stride, "same", kernel_initializer=initial, kernel_regularizer=decay)(x)


def _keras_after(x: Tensor) -> Tensor:
    return _relu(layers.BatchNormalization()(x))


_cifar_resnet = partial(_resnet, filters=(16, 32, 64), shortcut=_padded)

PER_IMAGE: dict[str, Kind] = {
    "small": Kind(_small),
    "resnet20": Kind(partial(_cifar_resnet, blocks=3)),
    "resnet32": Kind(partial(_cifar_resnet, blocks=5)),
    "resnet56": Kind(partial(_cifar_resnet, blocks=9)),
    "resnet18": Kind(partial(_resnet, filters=(64, 128, 256, 512), blocks=2, shortcut=_projected)),
    "keras-resnet20": Kind(_keras_resnet_v1, low=0.0),
    "keras-resnet20-v2": Kind(_keras_resnet_v2, low=0.0),
}

PER_PIXEL: dict[str, Kind] = {"unet": Kind(_unet)}


def pixel_cross_entropy(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the cross-entropy of mixed masks, averaged over pixels that are not ignored.

        loss = sum(cross_entropy(y_pred, y_true)) / max(1, sum(y_true))

    Args:
        y_true: one weight per class (n, h, w, classes), with sum 1, or 0 for ignored pixels.
        y_pred: logits (n, h, w, classes).

    >>> import numpy as np
    >>> shares = np.float32([[[[0.5, 0.5], [0, 0]]]])
    >>> round(float(pixel_cross_entropy(shares, np.float32([[[[2, 2], [0, 9]]]]))), 4)
    0.6931
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    return ops.sum(cross_entropy(y_pred, y_true)) / ops.maximum(ops.sum(y_true), 1.0)


class PixelAccuracy(keras.metrics.Mean):  # type: ignore[misc]
    """Keras metric: the weight of the predicted class in the mixed mask, averaged over pixels that are not ignored.

    >>> import numpy as np
    >>> metric = PixelAccuracy()
    >>> metric.update_state(np.float32([[[[0.75, 0.25], [0, 0]]]]), np.float32([[[[-1, 2], [3, 0]]]]))
    >>> float(metric.result())
    0.25
    """

    def __init__(self, name: str = "mixed_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:  # noqa: ARG002 - Keras' signature
        """Add a batch; arguments as in `pixel_cross_entropy`."""
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        super().update_state(mixed_accuracy(y_pred, y_true), ops.sum(y_true, axis=-1))


def pixel_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Return the mean absolute difference (L1) between pixels of 0..255 and predictions in 0..1, on the latter scale.

    >>> import numpy as np
    >>> float(pixel_error(np.uint8([[[[0], [255]]]]), np.float32([[[[0.25], [1]]]])))
    0.125
    """
    return ops.mean(ops.absolute(y_pred - ops.cast(y_true, "float32") / 255.0))
