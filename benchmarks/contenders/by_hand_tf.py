"""tf.data pipelines as tutorials and blogs show them, in our own writing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import tensorflow as tf

from ..workloads import Pipelines, one_hot
from .keras_ import normalised

Pair = tuple[tf.Tensor, tf.Tensor]
NEAR = 1024  #: the shuffle buffer that these pipelines use


def beta(n: tf.Tensor | int) -> tf.Tensor:
    """Beta(1, 1), float32 (n,), by two gammas."""
    a, b = (tf.random.gamma([n], 1.0) for _ in range(2))
    return a / (a + b)


def as_floats(x: tf.Tensor, y: tf.Tensor) -> Pair:
    """Normalised images."""
    return normalised(tf.cast(x, tf.float32)), y


def two_shuffled(data: Pipelines) -> tf.data.Dataset:
    """Pairs of samples, from two shuffled passes over the dataset."""
    y = one_hot(data.y, data.classes)
    return tf.data.Dataset.zip(
        tuple(tf.data.Dataset.from_tensor_slices((data.x, y)).shuffle(NEAR).map(as_floats) for _ in range(2))
    )


def box(size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """The low ends and the sides of one clipped box, int32 (2,) each; no side is 0."""
    shape = tf.constant(size, tf.float32)
    half = tf.cast(shape * tf.sqrt(1 - beta(1)[0]) / 2, tf.int32)
    centre = tf.cast(tf.random.uniform([2]) * shape, tf.int32)
    low = tf.clip_by_value(centre - half, 0, tf.constant(size) - 1)
    high = tf.clip_by_value(centre + half, low + 1, tf.constant(size))
    return low, high - low


def pasted(one: Pair, other: Pair) -> Pair:
    """One sample with a box of another, which is cropped and padded with zeros to be added."""
    (x, y), (z, v) = one, other
    height, width = x.shape[0], x.shape[1]
    low, sides = box((height, width))

    def alone(image: tf.Tensor) -> tf.Tensor:
        crop = tf.image.crop_to_bounding_box(image, low[0], low[1], sides[0], sides[1])
        return tf.image.pad_to_bounding_box(crop, low[0], low[1], height, width)

    share = tf.cast(sides[0] * sides[1], tf.float32) / (height * width)
    return x - alone(x) + alone(z), (1 - share) * y + share * v


def zipped_samples(data: Pipelines) -> Callable[[], Iterable[Any]]:
    """CutMix sample by sample, before the batch is made."""
    pairs = two_shuffled(data).shuffle(NEAR)
    made = pairs.map(pasted, tf.data.AUTOTUNE).batch(data.batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return lambda: made


def blended(one: Pair, other: Pair) -> Pair:
    """MixUp of two batches."""
    (x, y), (z, v) = one, other
    share = beta(tf.shape(x)[0])
    over = share[:, None, None, None]
    return over * x + (1 - over) * z, share[:, None] * y + (1 - share)[:, None] * v


def zipped_batches(data: Pipelines) -> Callable[[], Iterable[Any]]:
    """MixUp of batches of two shuffled datasets."""
    pairs = two_shuffled(data).batch(data.batch_size, drop_remainder=True)
    made = pairs.map(blended, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    return lambda: made


def looped(rows: int) -> Callable[[tf.Tensor, tf.Tensor], Pair]:
    """CutMix of a batch by a Python loop over its rows: each image is joined together from five pieces."""

    def mix(x: tf.Tensor, y: tf.Tensor) -> Pair:
        x, y = as_floats(x, y)
        made = [joined(x, y, row, rows) for row in range(rows)]
        return tf.stack([image for image, _ in made]), tf.stack([label for _, label in made])

    return mix


def joined(x: tf.Tensor, y: tf.Tensor, row: int, rows: int) -> Pair:
    """One row with the box of another, from what is above, left, inside, right and below of it."""
    height, width = x.shape[1], x.shape[2]
    other = tf.random.uniform([], 0, rows, tf.int32)
    share = beta(1)[0]
    sides = tf.cast(tf.sqrt(1 - share) * tf.constant([height, width], tf.float32), tf.int32)
    centre = tf.cast(tf.random.uniform([2]) * tf.constant([height, width], tf.float32), tf.int32)
    low = tf.maximum(centre - sides // 2, 0)
    high = tf.minimum(centre + sides // 2, [height, width])
    band, inside = x[row, low[0] : high[0]], x[other, low[0] : high[0], low[1] : high[1]]
    middle = tf.concat([band[:, : low[1]], inside, band[:, high[1] :]], axis=1)
    image = tf.concat([x[row, : low[0]], middle, x[row, high[0] :]], axis=0)
    return tf.ensure_shape(image, x.shape[1:]), share * y[row] + (1 - share) * y[other]
