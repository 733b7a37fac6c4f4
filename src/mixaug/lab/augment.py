"""Basic augmentation: what is done to each image before any mixing, the same for every arm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _xp, keys
from .errors import unknown

Images = NDArray[np.uint8]
Words = NDArray[np.uint32]

_PLACE = -3  # folded into the batch's key: no step and no branch of a recipe has this number
_WORDS = 4  # of each row: flip, crop's two axes, brightness


def augment(images: Images, names: Sequence[str], key: Sequence[int]) -> Images:
    """Flip, crop, brighten each image at random: a pure function of the key, apart from what the mix draws under it.

        flip        left and right change places, with chance 1/2
        crop        pad by p = max(1, side // 8) black pixels a side, take the old size from a random place
        brightness  times U(0.8, 1.2), rounded, clipped to 0..255

    Args:
        images: uint8 (n, h, w, c).
        names: which, in the order of application. What one draws does not depend on the others.
        key: (seed, epoch, step).

    Returns:
        uint8 (n, h, w, c); the images themselves where there are no names.

    Raises:
        LabError: an unknown name.

    Example:
        >>> augment(np.full((2, 8, 8, 1), 100, np.uint8), ["flip", "crop"], key=(0, 0, 0)).shape
        (2, 8, 8, 1)
    """
    rows = np.arange(len(images), dtype=np.uint32)
    words = keys.words(_xp.common(), keys.fold_in(keys.make(key), _PLACE), rows, _WORDS)
    for name in names:
        if name not in AUGMENTATIONS:
            raise unknown("an augmentation", name, AUGMENTATIONS)
        images = AUGMENTATIONS[name](images, words)
    return images


def _flip(images: Images, words: Words) -> Images:
    flipped: Images = np.where(words[0, :, None, None, None] < 2**31, images[:, :, ::-1], images)
    return flipped


def _crop(images: Images, words: Words) -> Images:
    n, height, width, _ = images.shape
    down, right = max(1, height // 8), max(1, width // 8)
    padded = np.pad(images, ((0, 0), (down, down), (right, right), (0, 0)))
    row = _below(words[1], 2 * down + 1)[:, None, None] + np.arange(height)[:, None]
    column = _below(words[2], 2 * right + 1)[:, None, None] + np.arange(width)
    cropped: Images = padded[np.arange(n)[:, None, None], row, column]
    return cropped


def _brightness(images: Images, words: Words) -> Images:
    factor = 0.8 + 0.4 * keys.uniform(_xp.common(), words[3])
    brightened: Images = np.rint(images * factor[:, None, None, None]).clip(0, 255).astype(np.uint8)
    return brightened


def _below(word: Words, end: int) -> NDArray[np.int64]:
    """A whole number of 0 .. end - 1."""
    return (word.astype(np.int64) * end) >> 32


AUGMENTATIONS: dict[str, Callable[[Images, Any], Images]] = {"flip": _flip, "crop": _crop, "brightness": _brightness}
