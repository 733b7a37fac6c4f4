"""What the recipes of the lab look at: saliency without a network, masks, and the objects of masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..guides import spectral_residual
from ..recipes import Recipe
from .dataset import Data, Split
from .errors import LabError

OBJECTS = 16  #: of an image at most


def guides_for(recipe: Recipe, split: Split, data: Data) -> dict[str, NDArray[Any]]:
    """The guides that a recipe needs, a row for each sample.

    Saliency is the images' spectral residual; objects are the connected parts of each class of a mask but class 0.

    Raises:
        LabError: if the data have none.

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
    """Whether data for that task have no guides for a recipe."""
    return task != "segmentation" and not set(recipe.needs) <= {"saliency"}


def _guide(need: str, split: Split, data: Data) -> NDArray[Any]:
    if need == "saliency":
        saliency: NDArray[np.float32] = spectral_residual(split.images, layout="nhwc")
        return saliency
    return split.targets if need == "masks" else _objects(split.targets, data.ignore_index)


def _objects(masks: NDArray[Any], ignore_index: int | None) -> NDArray[np.bool_]:
    """Bool (n, OBJECTS, h, w): the connected parts of each class but 0, the first of them."""
    made = np.zeros((len(masks), OBJECTS, *masks.shape[1:]), bool)
    for objects, mask in zip(made, masks, strict=True):
        parts = []
        for label in sorted(set(np.unique(mask).tolist()) - {0, ignore_index}):
            numbered, count = ndimage.label(mask == label)
            parts += [numbered == part for part in range(1, count + 1)]
        for place, part in enumerate(parts[:OBJECTS]):
            objects[place] = part
    return made
