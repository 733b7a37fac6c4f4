"""Mix instance masks to their visible parts; gather the labels of objects, which may be masks and keypoints."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

from ..backends import Array, Library
from ..core.regions import Region, Sizes
from . import rows
from .check_objects import check_data, check_limits, check_masks
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
    """The instance masks of all sources: those of source j start at slot j * m, or the heaviest come first.

    Args:
        masks: bool (n, k * m, *size), the visible pixels of each; False in empty slots.
        labels: the labels in the same slots, as in `BoxesResult`.
        weight: float32 (n, k * m), the mean weight of the source over the mask; 0 in empty slots.
    """

    masks: Array
    labels: ObjectLabels
    weight: Array

    @property
    def valid(self) -> Any:
        """Bool (n, k * m), True for slots that hold a mask."""
        return positive(self.weight)


# --- instance masks ---


def instances(
    xp: Library, x: Array, data: ObjectData, index: Array, region: Region, sizes: Sizes, keep: ObjectLimits
) -> InstancesResult:
    """Return the visible pixels of each mask of each source, and their weight."""
    check_limits(keep, "instances")
    check_masks(xp, x, sizes.source)
    check_data(xp, "instances", x, data, index, sizes.source)
    views = views_of(xp, index, region, sizes, "float32")
    weights = weights_of(xp, index, region, sizes)
    sources = rows.gather(xp, x, data.source, index)
    valids = [None] * len(views) if data.valid is None else rows.gather(xp, data.valid, data.valid_source, index)
    visible = [
        _instance(xp, source, valid, weight, view, keep.min_visibility)
        for source, valid, weight, view in zip(sources, valids, weights, views, strict=True)
    ]
    masks, weight = (slots_of(xp, list(parts)) for parts in zip(*visible, strict=True))
    slots = {"": masks, **gather_labels(xp, data, index, region, sizes, views, False)}
    (out, *labels), weight = keep_visible(xp, slots, weight, keep.most, {})
    return InstancesResult(out, like_labels(data.labels, labels), weight)


def _instance(
    xp: Library, x: Array, valid: Array | None, weight: Array, view: View, min_visibility: float
) -> tuple[Array, Array]:
    """Return the visible part of the masks of a source, (n, m, *size), and its mean weight over the shown pixels."""
    axes = tuple(range(2, len(x.shape)))
    shown = view.shown(x)
    visible = shown & (weight > 0)[:, None]
    sums = xp.total(where(xp, visible, weight[:, None]), axes)
    mean = sums / xp.maximum(xp.total(shown, axes), 1.0) * view.part_shown(x)
    is_object = xp.total(x, axes) > 0
    is_object = is_object if valid is None else is_object & xp.cast(valid, "bool")
    peak = xp.highest(xp.reshape(weight, (xp.shape(weight)[0], prod(xp.shape(weight)[1:]))))
    return visible, visible_weight(xp, mean, is_object, peak, min_visibility)


# --- labels of objects ---


def gather_labels(
    xp: Library, data: ObjectData, index: Array, region: Region, sizes: Sizes, views: list[View], normalized: bool
) -> dict[str, Array]:
    """Return the labels of all sources by slot, with masks and keypoints moved and cut like their source."""
    by_name = isinstance(data.labels, Mapping)
    source_labels = labels_by_name(data.labels_source)
    out = {}
    for name, x in labels_by_name(data.labels).items():
        source = source_labels.get(name)
        if by_name and name == "keypoints":
            out[name] = move_points(xp, x, source, index, sizes, normalized, views).points
            continue
        sources = rows.gather(xp, x, source, index)
        if by_name and name == "masks":
            weights = weights_of(xp, index, region, sizes)
            sources = [
                view.shown(masks) & (weight > 0)[:, None]
                for masks, view, weight in zip(sources, views, weights, strict=True)
            ]
        out[name] = slots_of(xp, sources)
    return out
