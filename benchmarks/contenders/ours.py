"""mixaug as a contender of a batch: the same calls in every library."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

import mixaug as ma

from ..timing import Call, Contender
from ..workloads import OFFSET, SCALE, Case, Work

Lift = Callable[[np.ndarray], Any]  #: makes an array of a library; images with their channels where that has them


def as_float(case: Case) -> dict[str, Any]:
    """What `mix.images` and `ma.Images` are told where uint8 is to become normalised float32."""
    return {"dtype": "float32", "scale": SCALE, "offset": OFFSET} if case.normalises else {}


def normalised_fields() -> dict[str, Any]:
    """The fields of a pipeline from uint8 to normalised float32."""
    return {"images": ma.Images(dtype="float32", scale=SCALE, offset=OFFSET)}


def contenders(work: Work, case: Case, lift: Lift, buffer: bool = True) -> list[Contender]:
    """Draw, images and labels (or masks) of a batch: into a buffer, into fresh memory, and by the one call."""
    found = [
        Contender("mixaug", lambda: applied(work, case, lift, False), ours=True, remark="fresh memory"),
        Contender("mixaug mix_batch", lambda: by_batch(work, case, lift), ours=True, remark="fresh memory; one call"),
    ]
    into = Contender("mixaug out=", lambda: applied(work, case, lift, True), ours=True, remark="into a buffer")
    return [into, *found] if buffer else found


def applied(work: Work, case: Case, lift: Lift, buffer: bool) -> Call:
    """Draw a mix, and apply it to images and labels, or to images and masks."""
    x, y, masks = lift(work.images(case)), lift(work.labels), lift(work.masks) if work.with_masks else None
    options = as_float(case)
    if buffer:
        dtype = np.uint8 if case.dtypes.endswith("uint8") else np.float32
        options["out"] = lift(np.ones((work.rows, *work.size, 3), dtype))
    steps = count()

    def call() -> Any:
        mix = case.recipe.draw(work.rows, work.size, key=(0, 0, next(steps)), like=x)
        images = mix.images(x, **options)
        return images, mix.labels(y, work.classes) if masks is None else mix.masks(masks)

    return call


def by_batch(work: Work, case: Case, lift: Lift, recipe: ma.Recipe | None = None) -> Call:
    """The same by `ma.mix_batch`."""
    x, steps = lift(work.images(case)), count()
    recipe = recipe or case.recipe
    beside = {"masks": lift(work.masks)} if work.with_masks else {"labels": lift(work.labels)}
    fields = {"images": ma.Images(**as_float(case))}

    def call() -> Any:
        return ma.mix_batch(
            recipe,
            {"images": x, **beside},
            key=(0, 0, next(steps)),
            num_classes=None if work.with_masks else work.classes,
            fields=fields,
        )

    return call
