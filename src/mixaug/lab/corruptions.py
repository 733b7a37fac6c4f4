"""Corruptions of test images that are common in photographs, in five strengths, and occlusion by a hole."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from .dataset import generator

Pixels: TypeAlias = NDArray[np.uint8]

SMALL = 96  #: the maximum side for the strengths of CIFAR-10-C; larger images use those of ImageNet-C
STRENGTHS = {
    "noise": ((0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38)),
    "blur": ((0.4, 0.6, 0.7, 0.8, 1.0), (1, 2, 3, 4, 6)),
    "contrast": ((0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05)),
    "brightness": ((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5)),
    "jpeg": ((80, 65, 58, 50, 40), (25, 18, 15, 10, 7)),
}


def corrupted(images: Pixels, kind: str, strength: int) -> Pixels:
    """Return images with a deterministic corruption.

        noise       add N(0, s^2), drawn per value
        blur        Gaussian, sigma s pixels
        contrast    scale by s about the mean of each channel of the image
        brightness  add s to the value in HSV
        jpeg        encode and decode with quality s

    Args:
        images: uint8 (n, h, w, 1 or 3).
        kind: one of `STRENGTHS`.
        strength: 1 to 5.

    Returns:
        uint8 (n, h, w, c).

    >>> corrupted(np.full((1, 8, 8, 1), 100, np.uint8), "brightness", 5)[0, 0, 0]
    array([176], dtype=uint8)

    Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations". The
    values of s are those of their code for CIFAR-10-C and, for larger images, for ImageNet-C.
    """
    s = STRENGTHS[kind][max(images.shape[1:3]) > SMALL][strength - 1]
    return _KINDS[kind](images, s)


def with_hole(images: Pixels, part: float) -> Pixels:
    """Return images with a black box in the middle, whose sides are the given fraction of the image's.

    >>> int((with_hole(np.full((1, 8, 8, 1), 9, np.uint8), 0.5) == 0).sum())
    16
    """
    holed = images.copy()
    top, left = (round(side * (1 - part) / 2) for side in images.shape[1:3])
    holed[:, top : images.shape[1] - top, left : images.shape[2] - left] = 0
    return holed


def _noise(images: Pixels, s: float) -> Pixels:
    return _pixels(images / 255 + generator(0).normal(0, s, images.shape))


def _blur(images: Pixels, s: float) -> Pixels:
    return _pixels(ndimage.gaussian_filter(images / 255, (0, s, s, 0), mode="nearest"))


def _contrast(images: Pixels, s: float) -> Pixels:
    x = images / 255
    mean = x.mean(axis=(1, 2), keepdims=True)
    return _pixels((x - mean) * s + mean)


def _brightness(images: Pixels, s: float) -> Pixels:
    x = images / 255
    value = x.max(axis=-1, keepdims=True)
    brighter = (value + s).clip(0, 1)
    return _pixels(np.where(value > 0, x * brighter / np.where(value > 0, value, 1), brighter))


def _jpeg(images: Pixels, s: float) -> Pixels:
    read = np.empty_like(images)
    for i, image in enumerate(images):
        file = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "JPEG", quality=int(s))
        read[i] = np.asarray(Image.open(file)).reshape(image.shape)
    return read


def _pixels(x: NDArray[np.floating]) -> Pixels:
    pixels: Pixels = np.rint(255 * x.clip(0, 1)).astype(np.uint8)
    return pixels


_KINDS: dict[str, Callable[[Pixels, float], Pixels]] = {
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
    "brightness": _brightness,
    "jpeg": _jpeg,
}
