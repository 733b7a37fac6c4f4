"""What can be seen of each parent's foreground: shares of a label that names objects."""

from __future__ import annotations

from typing import NamedTuple

from .._xp import Array, Library
from ..regions import Region, Size
from ..scale import scaled
from . import images, masks, rows


class Visible(NamedTuple):
    """How much of an output's visible foreground is of each parent.

    Args:
        share: float32 (k, n), columns sum to 1; of an output where no foreground is to be seen, the plain shares.
        unseen: bool (k, n), where a plain label names a parent that has foreground, and none of it is to be seen.
        nothing: bool (n,), the outputs where no foreground is to be seen.
    """

    share: Array
    unseen: Array
    nothing: Array


def visible(
    xp: Library,
    foreground: Array,
    source: Array | None,
    parent: Array,
    share: Array,
    region: Region,
    drawn_for: Size,
) -> Visible:
    """The visible foreground of each parent over that of all."""
    if xp.dtype(foreground) != "bool":
        raise TypeError(
            f"foreground: expected bools, got {xp.dtype(foreground)}; compare ids with the background's, as in m != 0"
        )
    rows.check(xp, foreground, source, parent, "foreground")
    if masks.with_channel(foreground, drawn_for):
        place = images.placed(xp, images.DEFAULT) or "last"
        foreground, source = (x if x is None else masks.without_channel(x, place) for x in (foreground, source))
    axes = tuple(range(1, len(foreground.shape)))
    here = scaled(xp, region, drawn_for, xp.shape(foreground)[1:])
    parents = rows.parents(xp, foreground, source, parent)
    shown = images.shown(xp, parents, region, here, drawn_for, None)
    weights = masks.weights_of(xp, here, foreground)
    seen = [xp.total(weight * xp.cast(x, "float32"), axes) for weight, x in zip(weights, shown, strict=True)]
    areas = rows.merge(xp, parent, xp.stack(seen))
    total = xp.reshape(xp.total(areas, (0,)), (1, -1))
    nothing = total <= 0
    whole = xp.stack([xp.total(x, axes) for x in parents])
    return Visible(
        xp.where(nothing, share, areas / xp.maximum(total, xp.maximum(areas, 1e-30))),
        (share > 0) & (whole > 0) & (areas <= 0),
        nothing[0],
    )
