"""Compile the kernels ahead of time, such as when building a container: python -m mixaug.warmup."""

from __future__ import annotations

import sys
from time import perf_counter

import numpy as np

from . import backends
from .batch import mix_batch
from .fields import Images
from .recipes import CutMix, FMix, MixUp, Recipe, ResizeMix, SmoothMix

RECIPES: tuple[Recipe, ...] = (CutMix(), MixUp(), MixUp(sources=3), ResizeMix(), FMix(), SmoothMix())
FIELDS = {
    "uint8": Images(layout="nhwc"),
    "float32": Images(layout="nhwc"),
    "uint8 to float32": Images(layout="nhwc", dtype="float32", scale=1 / 255, offset=0.0),
}


def warmup() -> None:
    """Compile the kernels for common recipes and dtypes, and cache them on disk.

    Example:
        >>> from mixaug.warmup import warmup
        >>> warmup()
    """
    labels = np.arange(4)
    for name, images in FIELDS.items():
        x = np.zeros((4, 8, 8, 3), name.partition(" ")[0])
        for recipe in RECIPES:
            mix_batch(recipe, {"image": x, "label": labels}, key=0, num_classes=4, fields={"image": images})


if __name__ == "__main__":
    if backends.kernels("mixaug.kernels.tiles") is None:
        sys.exit("mixaug.warmup: expected Numba, which compiles the kernels, got none; install it, see the line above")
    start = perf_counter()
    warmup()
    print(f"mixaug: compiled the kernels and cached them on disk in {perf_counter() - start:.1f} s")
