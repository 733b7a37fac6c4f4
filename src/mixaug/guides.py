"""Guides for guided recipes: saliency maps of images, of a network, of masks and of boxes.

Maps are float32, >= 0, with a maximum of 1 each; computed maps are rounded to multiples of 1/65536.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isqrt, prod
from typing import Any

import numpy as np

from . import backends
from .backends import Array, Library
from .core import layout as layouts
from .core.checks import check_size
from .core.keys import ONE
from .core.regions import inside

GRID = 64  #: the maximum side at which spectral residuals are computed, in pixels
SIGMA = 2.5  #: sigma of the Gaussian that smooths them, in pixels of that grid

Matrix = np.ndarray[Any, np.dtype[np.float32]]


@backends.no_autograph
def spectral_residual(images: Array, layout: str | None = None) -> Array:
    """Return saliency by the spectral residual: what is unusual in the spectrum of an image.

        F = DFT of the grey image, shrunk to at most 64 x 64
        residual = F * exp(-mean3x3(log(1 + |F|^2) / 2))
        saliency = Gaussian(|inverse DFT of residual|^2, sigma 2.5), enlarged to the image's size

    Args:
        images: (n, h, w, c) or (n, h, w) of any dtype, in any library.
        layout: one letter per axis, as in `ma.Images`; by default "nhwc", "nchw" in PyTorch.

    Returns:
        float32 (n, h, w); zeros for an image of a single colour.

    Raises:
        TypeError, ValueError: if `images` are not images with two spatial axes.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> images = np.zeros((1, 64, 64, 3), np.uint8)
        >>> images[:, 40:44, 10:14] = 255
        >>> peak = ma.guides.spectral_residual(images)[0].argmax()
        >>> int(peak) // 64 in range(38, 46), int(peak) % 64 in range(8, 16)
        (True, True)

    Hou and Zhang 2007, "Saliency Detection: A Spectral Residual Approach". Libraries agree to about 1/65536; to draw
    identical mixes in two libraries, compute the guides once.
    """
    xp, grey = _grey(images, layout)
    if len(grey.shape) != 3:
        raise ValueError(
            f"spectral_residual: expected images with two spatial axes, got {len(grey.shape) - 1}; "
            "pass ma.guides.gradient_magnitude(images)"
        )
    size = tuple(xp.shape(grey)[1:])
    if not all(isinstance(length, int) for length in size):
        raise ValueError(
            f"spectral_residual: expected a known height and width, got {tuple(grey.shape)[1:]}; resize them"
        )
    grid = [min(length, GRID) for length in size]
    x = _along(xp, grey, [_areas(length, to) for length, to in zip(size, grid, strict=True)])
    cosines, sines = ([_waves(length, name) for length in grid] for name in ("cos", "sin"))
    real, imaginary = _transformed(xp, x, x * 0.0, cosines, sines, -1.0)
    log = xp.log1p(real * real + imaginary * imaginary) * 0.5
    weight = xp.exp(-_along(xp, log, [_mean3(length) for length in grid]))
    real, imaginary = _transformed(xp, real * weight, imaginary * weight, cosines, sines, 1.0)
    seen = real * real + imaginary * imaginary
    smooth = [_enlarge(to, length) @ _gaussian(to, SIGMA) for length, to in zip(size, grid, strict=True)]
    return _scaled(xp, _along(xp, seen, smooth))


@backends.no_autograph
def gradient_magnitude(images: Array, layout: str | None = None) -> Array:
    """Return saliency of images, signals or volumes by the smoothed magnitude of their gradient.

        saliency = Gaussian(sqrt(sum_a (x[.. i + 1 ..] - x[.. i - 1 ..])^2), sigma[a] = size[a] / 16),  x the grey image

    Args:
        images: (n, *size, c) or (n, *size) of any dtype, in any library.
        layout: one letter per axis, as in `ma.Images`; by default "nhwc", "nchw" in PyTorch.

    Returns:
        float32 (n, *size); zeros for an image of a single colour.

    Raises:
        TypeError, ValueError: if `images` are not images.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> images = np.zeros((1, 32, 32, 1), np.float32)
        >>> images[:, 20:23, 5:8] = 1
        >>> divmod(int(ma.guides.gradient_magnitude(images)[0].argmax()), 32)
        (21, 6)
    """
    xp, grey = _grey(images, layout)
    size, squares = xp.shape(grey)[1:], []
    for axis, length in enumerate(size, 1):
        at = xp.arange(length)
        step = xp.take(grey, xp.minimum(at + 1, length - 1), axis) - xp.take(grey, xp.maximum(at - 1, 0), axis)
        squares.append(step * step)
    change = sum(squares[1:], squares[0]) ** 0.5
    if all(isinstance(length, int) for length in size):
        change = _along(xp, change, [_gaussian(length, length / 16) for length in size])
    return _scaled(xp, change)


@backends.no_autograph
def class_activation(features: Array, weights: Array, labels: Array, layout: str | None = None) -> Array:
    """Return class activation maps of a network that ends in global average pooling and one dense layer.

        saliency = max(sum_c features[c] * weights[c, class of the row], 0)

    Args:
        features: the input of the global average pooling, (n, h, w, c), in PyTorch (n, c, h, w).
        weights: the kernel of the dense layer, (c, classes); in PyTorch, `linear.weight.T`.
        labels: class ids (n,), or one weight per class (n, classes).
        layout: the layout of the features, as in `ma.Images`.

    Returns:
        float32 (n, h, w), the size of the features; recipes accept maps of any size.

    Raises:
        TypeError, ValueError: if the shapes do not fit.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> features = np.zeros((1, 2, 2, 2), np.float32)
        >>> features[0, 0, 1] = 1, 3
        >>> ma.guides.class_activation(features, np.eye(2, dtype=np.float32), np.array([1]))
        array([[[0., 1.],
                [0., 0.]]], dtype=float32)

    Zhou et al. 2016, "Learning Deep Features for Discriminative Localization".
    """
    xp = backends.same({"features": features, "weights": weights, "labels": labels})
    x, _ = _channels_last(features, layout)
    channels, of_weights = x.shape[-1], tuple(weights.shape)
    if len(of_weights) != 2 or channels != of_weights[0]:
        raise ValueError(
            f"weights: expected ({channels}, classes), a row for each channel of the features, got {of_weights}; "
            "pass the kernel of the dense layer, of a torch.nn.Linear weight.T"
        )
    weights = xp.cast(weights, "float32")
    if len(labels.shape) == 1:
        chosen = xp.transpose(xp.take(weights, xp.cast(labels, "int64"), 1))
    else:
        chosen = xp.inner(xp.cast(labels, "float32")[None], weights[None])[0]
    pad = (slice(None), *[None] * (len(x.shape) - 2))
    return _scaled(xp, xp.maximum(xp.summed(xp.cast(x, "float32") * chosen[pad]), 0.0))


@backends.no_autograph
def input_gradient(gradients: Array, layout: str | None = None) -> Array:
    """Return saliency from the gradient of a loss with respect to the images.

        saliency = sqrt(mean_c gradients[c]^2)

    Args:
        gradients: the gradient, with the shape of the images.
        layout: the layout of the images, as in `ma.Images`.

    Returns:
        float32 (n, *size).

    Raises:
        TypeError, ValueError: if the gradients do not have the shape of images.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> ma.guides.input_gradient(np.float32([[[[3, 4]], [[0, 0]]]]).reshape(1, 2, 1, 2), layout="nhwc")[..., 0]
        array([[1., 0.]], dtype=float32)

    Simonyan et al. 2014, "Deep Inside Convolutional Networks: Visualising Image Classification Models and Saliency
    Maps". The norm over channels is that of Kim et al. 2020, "Puzzle Mix".
    """
    x, xp = _channels_last(gradients, layout)
    x = xp.cast(x, "float32")
    return _scaled(xp, (xp.summed(x * x) / x.shape[-1]) ** 0.5)


@backends.no_autograph
def attention(weights: Array, grid: Sequence[int] | None = None, prefix: int = 1) -> Array:
    """Return saliency from the attention of the class token of a vision transformer.

        saliency[patch] = mean over heads of weights[head, 0, prefix + patch]

    Args:
        weights: the attention of one layer, after the softmax, (n, heads, tokens, tokens) or (n, tokens, tokens).
        grid: (rows, columns) of patches; None: a square grid.
        prefix: the number of tokens before the patches; the first is the class token.

    Returns:
        float32 (n, rows, columns); recipes accept maps of any size.

    Raises:
        ValueError: if the number of tokens is not `prefix` plus the number of patches.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> weights = np.zeros((1, 2, 5, 5), np.float32)
        >>> weights[0, :, 0, 3] = 0.5
        >>> ma.guides.attention(weights)
        array([[[0., 0.],
                [1., 0.]]], dtype=float32)
    """
    xp = backends.of(weights, "weights")
    heads = [weights] if len(weights.shape) == 3 else [weights[:, head] for head in range(weights.shape[1])]
    tokens = int(weights.shape[-1])
    rows, columns = (isqrt(tokens - prefix),) * 2 if grid is None else check_size(grid)
    if prefix < 1 or rows * columns != tokens - prefix:
        raise ValueError(
            f"attention: expected {prefix} tokens and {rows} x {columns} patches, got {tokens} tokens; pass "
            "grid=(rows, columns), and prefix= where there are registers"
        )
    seen = sum(xp.cast(head[:, 0, prefix:], "float32") for head in heads)
    return _scaled(xp, xp.reshape(seen, (xp.shape(weights)[0], rows, columns)))


@backends.no_autograph
def from_masks(masks: Array, background: int = 0, ignore_index: int | None = None) -> Array:
    """Return saliency 1 on the objects of masks, 0 elsewhere.

    Args:
        masks: class ids (n, *size).
        background: the id of the background.
        ignore_index: another id to exclude.

    Returns:
        float32 (n, *size).

    Raises:
        TypeError: if `masks` are neither integers nor bools.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> ma.guides.from_masks(np.array([[[0, 2], [255, 1]]]), ignore_index=255)
        array([[[0., 1.],
                [0., 1.]]], dtype=float32)
    """
    xp = backends.of(masks, "masks")
    if "int" not in xp.dtype(masks) and xp.dtype(masks) != "bool":
        raise TypeError(f"masks: expected integers or bools, got {xp.dtype(masks)}; cast them")
    ids = xp.cast(masks, "int64")
    is_object = ids != background
    return xp.cast(is_object if ignore_index is None else is_object & (ids != ignore_index), "float32")


@backends.no_autograph
def from_boxes(boxes: Array, size: Sequence[int]) -> Array:
    """Return saliency 1 inside boxes, 0 elsewhere.

        saliency[pixel] = 1 if any box contains the centre of the pixel

    Args:
        boxes: (n, m, 4), x0, y0, x1, y1 in pixels; boxes without area, such as padding of -1, contain nothing.
        size: the height and width of the images.

    Returns:
        float32 (n, h, w).

    Raises:
        ValueError: if `boxes` have another shape.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> ma.guides.from_boxes(np.array([[[1, 0, 3, 1]]]), (2, 3))
        array([[[0., 1., 1.],
                [0., 0., 0.]]], dtype=float32)
    """
    xp, size = backends.of(boxes, "boxes"), check_size(size)
    if len(boxes.shape) != 3 or boxes.shape[-1] != 4 or len(size) != 2:
        raise ValueError(
            f"boxes: expected (n, m, 4) for images of a height and a width, got {tuple(boxes.shape)} for {size}; "
            "pass x0, y0, x1, y1 in pixels"
        )
    edges = xp.cast(xp.floor(xp.cast(boxes, "float32") + 0.5), "int32")  # j + 1/2 >= x0 from floor(x0 + 1/2) on
    n, m = xp.shape(boxes)[:2]
    flat = xp.reshape(edges, (n * m, 4))
    box = xp.stack([flat[:, 1::2], flat[:, 0::2]], axis=1)
    contains = xp.reshape(xp.cast(inside(xp, box, size), "float32"), (n, m, prod(size)))
    covered = xp.cast(xp.summed(xp.transpose(contains, (0, 2, 1))) > 0, "float32")
    return xp.reshape(covered, (n, *size))


# --- helpers ---


def _channels_last(x: Array, layout: str | None) -> tuple[Array, Library]:
    """Return images of any layout as (n, *size, c)."""
    xp, axes = backends.of(x, "images"), layouts.of_images(x, layout)
    if "c" not in axes.axes:
        x, letters = x[..., None], f"{axes.axes}c"
    else:
        letters = axes.axes
    wanted = f"n{axes.spatial}c"
    if set(letters) != set(wanted):
        raise ValueError(
            f"images: expected the axes {wanted!r} alone, got the layout {axes.axes!r}; fold the others into the rows"
        )
    return (x if letters == wanted else xp.transpose(x, [letters.index(letter) for letter in wanted])), xp


def _grey(images: Array, layout: str | None) -> tuple[Library, Array]:
    """Return float32 (n, *size): the mean over channels, scaled to 0 .. 1 in each image."""
    x, xp = _channels_last(images, layout)
    n, *size, channels = xp.shape(x)
    if isinstance(channels, int) and channels <= layouts.FEW:  # NumPy sums short axes slowly
        total = sum(xp.cast(x[..., channel], "float32") for channel in range(channels))
    else:
        total = xp.summed(xp.cast(x, "float32"))
    grey = xp.reshape(total, (n, prod(size)))
    low, high = -xp.highest(-grey), xp.highest(grey)
    span = xp.where(high > low, high - low, xp.full((), 1.0, "float32"))
    return xp, xp.reshape((grey - low) / span, (n, *size))


def _scaled(xp: Library, x: Array) -> Array:
    """Return each map divided by its maximum, rounded to multiples of 1 / ONE; zeros if the maximum is not > 0."""
    n, *size = xp.shape(x)
    flat = xp.reshape(x, (n, prod(size)))
    top = xp.highest(flat)
    part = xp.ratio(flat, xp.where(top > 0, top, xp.full((), 1.0, "float32")))
    return xp.reshape(xp.rint(xp.maximum(part, 0.0) * float(ONE)) * (1 / ONE), (n, *size))


def _along(xp: Library, x: Array, matrices: Sequence[Matrix]) -> Array:
    """Apply a matrix along each spatial axis of (n, *size)."""
    for matrix in matrices:  # each pass moves the first spatial axis to the end
        n, length, *rest = xp.shape(x)
        columns = xp.transpose(xp.reshape(x, (n, length, prod(rest))), (0, 2, 1))
        x = xp.reshape(xp.inner(columns, xp.table(matrix)[None]), (n, *rest, matrix.shape[0]))
    return x


def _transformed(
    xp: Library, real: Array, imaginary: Array, cosines: Sequence[Matrix], sines: Sequence[Matrix], sign: float
) -> tuple[Array, Array]:
    """Return the discrete Fourier transform, exp(sign * i ...), applied axis by axis."""
    for cosine, sine in zip(cosines, sines, strict=True):
        n, length, *rest = xp.shape(real)
        shape, made = (n, *rest, length), []
        flat = [xp.transpose(xp.reshape(x, (n, length, prod(rest))), (0, 2, 1)) for x in (real, imaginary)]
        for matrix in (cosine, sine):
            made.append([xp.reshape(xp.inner(x, xp.table(matrix)[None]), shape) for x in flat])
        (real_cos, imaginary_cos), (real_sin, imaginary_sin) = made
        real, imaginary = real_cos - imaginary_sin * sign, imaginary_cos + real_sin * sign
    return real, imaginary


@backends.trace_constant
@lru_cache(maxsize=64)
def _waves(length: int, name: str) -> Matrix:
    turns = 2 * np.pi * np.outer(np.arange(length), np.arange(length)) / length
    return np.asarray(getattr(np, name)(turns), np.float32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _mean3(length: int) -> Matrix:
    """Return the circular mean of three neighbours; frequencies are circular."""
    eye = np.eye(length)
    return np.asarray((eye + np.roll(eye, 1, 1) + np.roll(eye, -1, 1)) / 3, np.float32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _areas(length: int, to: int) -> Matrix:
    """Return the matrix that shrinks an axis: each new pixel is the mean of the part that it covers."""
    edges = np.arange(to + 1) * length / to
    first, last = np.arange(length), np.arange(1, length + 1)
    overlap = np.minimum(edges[1:, None], last) - np.maximum(edges[:-1, None], first)
    return np.asarray(np.maximum(overlap, 0) * to / length, np.float32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _gaussian(length: int, sigma: float) -> Matrix:
    apart = np.subtract.outer(np.arange(length), np.arange(length))
    weight = np.exp(-0.5 * (apart / sigma) ** 2)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), np.float32)


@backends.trace_constant
@lru_cache(maxsize=64)
def _enlarge(length: int, to: int) -> Matrix:
    """Return the matrix of linear interpolation between the centres of pixels."""
    at = np.clip((np.arange(to) + 0.5) * length / to - 0.5, 0, length - 1)
    return np.asarray(np.maximum(1 - abs(at[:, None] - np.arange(length)), 0), np.float32)
