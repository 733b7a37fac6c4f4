"""Basic augmentation: what is done to each image and its target before any mixing, the same for every arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import backends
from ..core import keys
from .errors import unknown

Images = NDArray[np.uint8]
Targets = NDArray[Any]
Uint32 = NDArray[np.uint32]

_PLACE = -3  # folded into the batch's key: no step and no branch of a recipe has this number
_WORDS = 4  # of each row: flip, crop's two axes, brightness


def augment(images: Images, names: Sequence[str], key: Sequence[int], *, fill: int = 0) -> Images:
    """Flip, crop, brighten each image at random: a pure function of the key, apart from what the mix draws under it.

        flip        left and right change places, with chance 1/2
        crop        pad by p = max(1, side // 8) pixels a side, take the old size from a random place
        brightness  times U(0.8, 1.2), rounded, clipped to 0..255

    Args:
        images: uint8 (n, h, w, c).
        names: which, in the order of application. What one draws does not depend on the others.
        key: (seed, epoch, step).
        fill: what the pixels that crop adds are.

    Returns:
        uint8 (n, h, w, c); the images themselves where there are no names.

    Raises:
        LabError: an unknown name.

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
    """What belongs to images, moved as `augment` moves these under the same key: by flip and crop, not by brightness.

    Args:
        targets: masks uint8 (n, h, w), or target images uint8 (n, h, w, c); class ids (n,) stay as they are.
        names: as for `augment`.
        key: as for `augment`.
        fill: the id or grey of the pixels that crop adds.

    Example:
        >>> moved(np.zeros((1, 8, 8), np.uint8), ["crop", "brightness"], (0, 0, 0), fill=255)[0, :, 0].tolist()
        [0, 0, 0, 0, 0, 0, 0, 255]
    """
    if targets.ndim == 1:
        return targets
    moves = [name for name in names if name != "brightness"]
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
    factor = 0.8 + 0.4 * keys.uniform(backends.common(), bits[3])
    brightened: Images = np.rint(images * factor[:, None, None, None]).clip(0, 255).astype(np.uint8)
    return brightened


def _below(word: Uint32, end: int) -> NDArray[np.int64]:
    """A whole number of 0 .. end - 1."""
    return (word.astype(np.int64) * end) >> 32


AUGMENTATIONS: dict[str, Callable[[Images, Any, int], Images]] = {
    "flip": _flip,
    "crop": _crop,
    "brightness": _brightness,
}
