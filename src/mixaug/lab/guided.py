"""The guides of the lab's datasets: saliency without a network, masks, and the objects of masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..guides import spectral_residual
from ..recipes import Recipe
from .dataset import Data, Split
from .errors import LabError

OBJECTS = 16  #: the maximum number of objects per image


def guides_for(recipe: Recipe, split: Split, data: Data) -> dict[str, NDArray[Any]]:
    """Return the guides that a recipe needs, one row per sample.

    Saliency is the spectral residual of the images; objects are the connected parts of each class of a mask except 0.

    Raises:
        LabError: if the data have no such guide.

    Example:
        >>> import mixaug as ma
        >>> from mixaug.lab.data import load
        >>> data = load("scenes", task="segmentation", train_size=10)
        >>> {need: x.shape for need, x in guides_for(ma.CopyPaste(), data.train, data).items()}
        {'instances': (10, 16, 64, 64)}
    """
    if lacks(recipe, data.task):
        raise LabError(
            f"expected data with masks for {type(recipe).__name__}, got {data.name} for {data.task}: "
            "take data for segmentation, such as --data scenes"
        )
    return {need: _guide(need, split, data) for need in recipe.needs}


def lacks(recipe: Recipe, task: str) -> bool:
    """Return whether data for a task lack a guide that a recipe needs."""
    return task != "segmentation" and not set(recipe.needs) <= {"saliency"}


def _guide(need: str, split: Split, data: Data) -> NDArray[Any]:
    if need == "saliency":
        saliency: NDArray[np.float32] = spectral_residual(split.images, layout="nhwc")
        return saliency
    return split.targets if need == "masks" else _objects(split.targets, data.ignore_index)


def _objects(masks: NDArray[Any], ignore_index: int | None) -> NDArray[np.bool_]:
    """Return bool (n, OBJECTS, h, w): the first connected parts of each class except 0."""
    made = np.zeros((len(masks), OBJECTS, *masks.shape[1:]), bool)
    for objects, mask in zip(made, masks, strict=True):
        parts = []
        for label in sorted(set(np.unique(mask).tolist()) - {0, ignore_index}):
            numbered, count = ndimage.label(mask == label)
            parts += [numbered == part for part in range(1, count + 1)]
        for place, part in enumerate(parts[:OBJECTS]):
            objects[place] = part
    return made
