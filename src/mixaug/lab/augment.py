"""Basic augmentation of each image and its target, before mixing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from .. import backends
from ..core import keys
from .errors import unknown

Images = NDArray[np.uint8]
Targets = NDArray[Any]
Uint32 = NDArray[np.uint32]

_PLACE = -3  # folded into the batch's key; no step and no branch of a recipe uses this number
_WORDS = 7  # random words per row: flip, crop's two axes, brightness, brightness-added, contrast, saturation
_MOVES = ("flip", "crop")  # these move pixels, and are applied to targets as well


def augment(images: Images, names: Sequence[str], key: Sequence[int], *, fill: int = 0) -> Images:
    """Augment each image at random: a pure function of the key, independent of the mix drawn with the same key.

        flip              horizontal flip with probability 1/2
        crop              pad each side by p = max(1, side // 8) pixels, crop to the original size at random
        brightness        multiply by U(0.8, 1.2), round, clip to 0..255
        brightness-added  add 255 * U(-0.2, 0.2), round, clip to 0..255
        contrast          Pillow's ImageEnhance.Contrast with a factor U(0.8, 1.2)
        saturation        Pillow's ImageEnhance.Color with a factor U(0.8, 1.2); grey images do not change

    Args:
        images: uint8 (n, h, w, c).
        names: the augmentations, in the order of application. The draws of one do not depend on the others.
        key: (seed, epoch, step).
        fill: the value of the pixels that crop adds.

    Returns:
        uint8 (n, h, w, c); `images` itself if `names` is empty.

    Raises:
        LabError: if a name is unknown.

    Example:
        >>> augment(np.full((2, 8, 8, 1), 100, np.uint8), ["flip", "crop"], key=(0, 0, 0)).shape
        (2, 8, 8, 1)
    """
    rows = np.arange(len(images), dtype=np.uint32)
    bits = keys.random_bits(backends.common(), keys.fold_in(keys.make(key), _PLACE), rows, _WORDS)
    for name in names:
        if name not in AUGMENTATIONS:
            raise unknown("an augmentation", name, AUGMENTATIONS)
        images = AUGMENTATIONS[name](images, bits, fill)
    return images


def moved(targets: Targets, names: Sequence[str], key: Sequence[int], *, fill: int = 0) -> Targets:
    """Flip and crop targets in the same way as `augment` does with their images for the same key.

    Args:
        targets: masks uint8 (n, h, w), or target images uint8 (n, h, w, c); class ids (n,) do not change.
        names: as in `augment`.
        key: as in `augment`.
        fill: the class id or grey level of the pixels that crop adds.

    Example:
        >>> moved(np.zeros((1, 8, 8), np.uint8), ["crop", "brightness"], (0, 0, 0), fill=255)[0, :, 0].tolist()
        [0, 0, 0, 0, 0, 0, 0, 255]
    """
    if targets.ndim == 1:
        return targets
    moves = [name for name in names if name in _MOVES]
    pixels = augment(targets.reshape(*targets.shape[:3], -1), moves, key, fill=fill)
    return pixels.reshape(targets.shape)


def _flip(images: Images, bits: Uint32, fill: int) -> Images:  # noqa: ARG001 - of every augmentation
    flipped: Images = np.where(bits[0, :, None, None, None] < 2**31, images[:, :, ::-1], images)
    return flipped


def _crop(images: Images, bits: Uint32, fill: int) -> Images:
    n, height, width, _ = images.shape
    down, right = max(1, height // 8), max(1, width // 8)
    padded = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)), constant_values=fill)
    row = _below(bits[1], 2 * down + 1)[:, None, None] + np.arange(height)[:, None]
    column = _below(bits[2], 2 * right + 1)[:, None, None] + np.arange(width)
    cropped: Images = padded[np.arange(n)[:, None, None], row, column]
    return cropped


def _brightness(images: Images, bits: Uint32, fill: int) -> Images:  # noqa: ARG001 - of every augmentation
    brightened: Images = np.rint(images * _factor(bits[3])[:, None, None, None]).clip(0, 255).astype(np.uint8)
    return brightened


def _brightness_added(images: Images, bits: Uint32, fill: int) -> Images:  # noqa: ARG001 - of every augmentation
    added = 255 * (_factor(bits[4]) - 1)
    brightened: Images = np.rint(images + added[:, None, None, None]).clip(0, 255).astype(np.uint8)
    return brightened


def _contrast(images: Images, bits: Uint32, fill: int) -> Images:  # noqa: ARG001 - of every augmentation
    return _enhanced(images, ImageEnhance.Contrast, bits[5])


def _saturation(images: Images, bits: Uint32, fill: int) -> Images:  # noqa: ARG001 - of every augmentation
    return images if images.shape[-1] == 1 else _enhanced(images, ImageEnhance.Color, bits[6])


def _enhanced(images: Images, kind: Callable[[Image.Image], Any], word: Uint32) -> Images:
    """Return each image enhanced by a class of Pillow's ImageEnhance, with a factor of its own."""
    enhanced = np.empty_like(images)
    for i, factor in enumerate(_factor(word).tolist()):
        image = images[i].squeeze(-1) if images.shape[-1] == 1 else images[i]
        enhanced[i] = np.asarray(kind(Image.fromarray(image)).enhance(factor)).reshape(images[i].shape)
    return enhanced


def _factor(word: Uint32) -> NDArray[np.float32]:
    """Return a factor from U(0.8, 1.2)."""
    factor: NDArray[np.float32] = 0.8 + 0.4 * keys.uniform(backends.common(), word)
    return factor


def _below(word: Uint32, end: int) -> NDArray[np.int64]:
    """Return an integer in 0 .. end - 1."""
    return (word.astype(np.int64) * end) >> 32


AUGMENTATIONS: dict[str, Callable[[Images, Any, int], Images]] = {
    "flip": _flip,
    "crop": _crop,
    "brightness": _brightness,
    "brightness-added": _brightness_added,
    "contrast": _contrast,
    "saturation": _saturation,
}
