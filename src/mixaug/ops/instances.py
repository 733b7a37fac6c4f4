"""Instance masks: what is visible of each; and the labels of objects, which may be masks and keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

from ..backends import Array, Library
from ..core.regions import Region, Sizes
from . import rows
from .check_objects import check_beside, check_limits, check_masks
from .keypoints import move_points
from .objects import (
    ObjectData,
    ObjectLabels,
    ObjectLimits,
    keep_visible,
    labels_by_name,
    like_labels,
    positive,
    slots_of,
    visible_weight,
)
from .views import View, views_of, weights_of, where


class InstancesResult(NamedTuple):
    """The masks of all sources' objects, those of source j in the slots from j * m on, or the heaviest first.

    Args:
        masks: bool (n, k * m, *size), the pixels where each is to be seen; empty in slots that are empty.
        labels: what was given with them, in the same slots, as those of `BoxesResult`.
        weight: float32 (n, k * m), how much of each is to be seen; 0 in slots that are empty.
    """

    masks: Array
    labels: ObjectLabels
    weight: Array

    @property
    def valid(self) -> Any:
        """Bool (n, k * m): the slots that hold a mask."""
        return positive(self.weight)


# --- instance masks ---


def instances(
    xp: Library, x: Array, beside: ObjectData, index: Array, region: Region, sizes: Sizes, keep: ObjectLimits
) -> InstancesResult:
    """Where each mask of each source is to be seen, and how much of it that is."""
    check_limits(keep, "instances")
    check_masks(xp, x, sizes.source)
    check_beside(xp, "instances", x, beside, index, sizes.source)
    views = views_of(xp, index, region, sizes, "float32")
    weights = weights_of(xp, index, region, sizes)
    sources = rows.gather(xp, x, beside.source, index)
    there = [None] * len(views) if beside.valid is None else rows.gather(xp, beside.valid, beside.valid_source, index)
    found = [
        _instance(xp, one, valid, weight, view, keep.min_visibility)
        for one, valid, weight, view in zip(sources, there, weights, views, strict=True)
    ]
    masks, weight = (slots_of(xp, list(parts)) for parts in zip(*found, strict=True))
    slots = {"": masks, **gather_labels(xp, beside, index, region, sizes, views, False)}
    (out, *held), weight = keep_visible(xp, slots, weight, keep.most, {})
    return InstancesResult(out, like_labels(beside.labels, held), weight)


def _instance(
    xp: Library, x: Array, valid: Array | None, weight: Array, view: View, min_visibility: float
) -> tuple[Array, Array]:
    """Of one source's masks (n, m, *size) what is to be seen, and its weight: that of the pixels that are shown."""
    axes = tuple(range(2, len(x.shape)))
    shown = view.shown(x)
    seen = shown & (weight > 0)[:, None]
    heavy = xp.total(where(xp, seen, weight[:, None]), axes)
    mean = heavy / xp.maximum(xp.total(shown, axes), 1.0) * view.part_shown(x)
    there = xp.total(x, axes) > 0
    there = there if valid is None else there & xp.cast(valid, "bool")
    peak = xp.highest(xp.reshape(weight, (xp.shape(weight)[0], prod(xp.shape(weight)[1:]))))
    return seen, visible_weight(xp, mean, there, peak, min_visibility)


# --- what is given beside them, and the slots that all are in ---


def gather_labels(
    xp: Library, beside: ObjectData, index: Array, region: Region, sizes: Sizes, views: list[View], normalized: bool
) -> dict[str, Array]:
    """The labels of all sources, slot by slot; masks and keypoints among them as they are to be seen."""
    by_name = isinstance(beside.labels, Mapping)
    of_source = labels_by_name(beside.labels_source)
    out = {}
    for name, x in labels_by_name(beside.labels).items():
        source = of_source.get(name)
        if by_name and name == "keypoints":
            out[name] = move_points(xp, x, source, index, sizes, normalized, views).points
            continue
        sources = rows.gather(xp, x, source, index)
        if by_name and name == "masks":
            weights = weights_of(xp, index, region, sizes)
            sources = [
                view.shown(one) & (weight > 0)[:, None]
                for one, view, weight in zip(sources, views, weights, strict=True)
            ]
        out[name] = slots_of(xp, sources)
    return out
