"""What Keras brings: its layers, on any backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..timing import Contender
from ..workloads import OFFSET, SCALE, Case, Work, one_hot

CLIPPED = "boxes are not clipped, labels are only about right"
MASKS = "the mask comes out as float32 with the channels of the images"


def layer(method: str) -> Any:
    """`keras.layers.CutMix` or `keras.layers.MixUp`."""
    import keras

    return keras.layers.CutMix(factor=1.0) if method == "CutMix" else keras.layers.MixUp(alpha=1.0)


def normalised(x: Any) -> Any:
    """Float32 pixels of mean 0 and deviation 1 a channel, in the library of x."""
    return x * SCALE + OFFSET


def mixer(mixing: Any, normalises: bool) -> Callable[[Any, Any], tuple[Any, Any]]:
    """A function of images and label rows, by a layer of Keras or KerasCV, that normalises last."""

    def mix(x: Any, y: Any) -> tuple[Any, Any]:
        made = mixing({"images": x, "labels": y}, training=True)
        return normalised(made["images"]) if normalises else made["images"], made["labels"]

    return mix


def eager(
    work: Work, case: Case, lift: Callable[[np.ndarray], Any], ready: Callable[[Any], Any], backend: str
) -> list[Contender]:
    """The layers called on a batch; `ready` waits for what they return."""
    if case.method == "5-way MixUp":
        return []

    def make() -> Callable[[], Any]:
        mix, x = mixer(layer(case.method), case.normalises), lift(work.images(case))
        y = lift(one_hot(work.labels, work.classes))
        return lambda: ready(mix(x, y))

    def make_masked() -> Callable[[], Any]:
        mix, batch = (
            layer("CutMix"),
            {"images": lift(work.images(case)), "segmentation_masks": lift(work.masks[..., None])},
        )
        return lambda: ready(mix(batch, training=True))

    name = f"keras.layers.{case.method}, {backend}"
    remark = MASKS if work.with_masks else CLIPPED if case.method == "CutMix" else ""
    return [Contender(name, make_masked if work.with_masks else make, remark=remark)]
