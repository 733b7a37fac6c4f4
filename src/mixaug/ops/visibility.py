"""The visible foreground of each source, for labels that name objects."""

from __future__ import annotations

from typing import NamedTuple

from ..backends import Array, Library
from ..core.layout import of_masks
from ..core.regions import Region, Sizes
from ..core.rows import Rows
from ..core.scale import same, scaled
from . import images, masks, rows, windows


class VisibleResult(NamedTuple):
    """The share of each source in the visible foreground of an output.

    Args:
        lam: float32 (k, n), columns sum to 1; for outputs without visible foreground, lam of the mix.
        unseen: bool (k, n), the sources with lam > 0 and a foreground of which nothing is visible.
        nothing: bool (n,), the outputs without visible foreground.
        relative: float32 (k, n), as `lam`, but from the visible foreground of each source divided by all of it.
    """

    lam: Array
    unseen: Array
    nothing: Array
    relative: Array


def visible(
    xp: Library,
    samples: Rows,
    lam: Array,
    region: Region,
    sizes: Sizes,
    layout: str | None = None,
    spatial: str | None = None,
) -> VisibleResult:
    """Return the visible foreground of each source, as a fraction of the visible foreground of all."""
    foreground, source, index = samples
    if xp.dtype(foreground) != "bool":
        raise TypeError(
            f"foreground: expected bools, got {xp.dtype(foreground)}; compare ids with the background's, as in m != 0"
        )
    rows.check(xp, foreground, source, index, "foreground")
    drawn_for = sizes.output
    axes = of_masks(foreground, layout, spatial, len(drawn_for), what="foreground")
    images.check_size(xp, foreground, sizes.source, axes, "foreground")
    foreground, source = (x if x is None else masks.without_channel(x, axes) for x in (foreground, source))
    axes = axes._replace(axes=axes.axes.replace("c", ""))
    sources = rows.gather(xp, foreground, source, index)
    foreground_area = xp.stack([xp.total(x, tuple(range(1, len(x.shape)))) for x in sources])
    if not same(*sizes):
        sources, _, region = windows.resized(xp, Rows(foreground, source, index), region, sizes, axes)
    sources = [axes.whole.view(xp, x) for x in sources]
    region, drawn_for = axes.whole.region(xp, region, drawn_for, sources[0])
    pixels = tuple(range(1, len(sources[0].shape)))
    fitted = scaled(xp, region, drawn_for, xp.shape(sources[0])[1:])
    shown = images.shown(xp, sources, region, fitted, drawn_for, None)
    weights = masks.weights_of(xp, fitted, sources[0])
    visible_areas = [xp.total(weight * xp.cast(x, "float32"), pixels) for weight, x in zip(weights, shown, strict=True)]
    areas = rows.merge(xp, index, xp.stack(visible_areas))
    fractions = areas / xp.maximum(foreground_area, 1.0)
    nothing = xp.total(areas, (0,)) <= 0
    return VisibleResult(
        xp.where(nothing[None], lam, _over_sum(xp, areas)),
        (lam > 0) & (foreground_area > 0) & (areas <= 0),
        nothing,
        xp.where(nothing[None], lam, _over_sum(xp, fractions)),
    )


def _over_sum(xp: Library, x: Array) -> Array:
    """Numbers (k, n) over their sum in each column."""
    total = xp.reshape(xp.total(x, (0,)), (1, -1))
    return x / xp.maximum(total, xp.maximum(x, 1e-30))
