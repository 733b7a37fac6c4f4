"""Images (signals, pictures, volumes): a blend of whole parents, then pixels chosen by a box or a mask."""

from __future__ import annotations

from .._xp import Array, Library
from ..keys import GRID
from ..regions import Dense, Paste, Region, Size, inside
from . import rows

DEFAULT = "default"  #: the channels are where the library's users keep them: first in PyTorch, last elsewhere
DTYPES = ("uint8", "float16", "bfloat16", "float32", "float64")


def size(xp: Library, x: Array, channels: str | None, what: str = "images") -> Size:
    """The spatial size of a batch: its shape without the rows and the channels."""
    shape, channels = xp.shape(x), _placed(xp, channels, what)
    spatial = {"last": shape[1:-1], "first": shape[2:], None: shape[1:]}[channels]
    if not spatial:
        raise ValueError(
            f"{what}: expected (n, *size) and channels={channels!r}, got {len(shape)} axes; "
            "use channels=None for images without a channel axis"
        )
    return spatial


def mix(
    xp: Library, x: Array, source: Array | None, parent: Array, region: Region, drawn_for: Size, channels: str | None
) -> Array:
    """The mixed images, of the shape and dtype of x; blends are computed in float32, or in integers for uint8."""
    channels = _placed(xp, channels)
    _check(xp, x, source, parent, drawn_for, channels)
    if isinstance(region, Dense):
        return _dense(xp, x, source, parent, region, channels)
    return _paste(xp, x, source, parent, region, drawn_for, channels)


def _paste(
    xp: Library, x: Array, source: Array | None, parent: Array, region: Paste, drawn_for: Size, channels: str | None
) -> Array:
    used = [region.background is not None or box is not None for box in region.box]
    parents = rows.parents(xp, x, source, parent, used)
    out = x
    if region.background is not None:
        out = _blend(xp, parents, [rows.over(region.background[j], x) for j in range(region.parents)])
    for box, crop, pasted in zip(region.box, region.crop, parents, strict=True):
        if box is not None:
            seen = pasted if crop is None else look(xp, pasted, box, crop, channels)
            out = xp.where(_per_channel(inside(xp, box, drawn_for), channels), seen, out)
    if region.hole is not None:
        out = _filled(xp, out, ~inside(xp, region.hole, drawn_for), region.fill, channels)
    return xp.copy(x) if out is x else out


def _dense(xp: Library, x: Array, source: Array | None, parent: Array, region: Dense, channels: str | None) -> Array:
    seen = [
        parent if crop is None else look(xp, parent, box, crop, channels)
        for parent, box, crop in zip(rows.parents(xp, x, source, parent), region.box, region.crop, strict=True)
    ]
    weights = [_per_channel(region.weight[j], channels) for j in range(region.parents)]
    if xp.dtype(region.weight) != "bool":
        out = _blend(xp, seen, weights)
    else:
        out = seen[0]
        for weight, pasted in zip(weights[1:], seen[1:], strict=True):
            out = xp.where(weight, pasted, out)
    if region.fill is not None:
        out = _filled(xp, out, region.seen(xp), region.fill, channels)
    return xp.copy(x) if out is x else out


def look(xp: Library, x: Array, box: Array, crop: Array, channels: str | None) -> Array:
    """Images whose box shows their crop, made to fit it.

        pixel = crop[0] + floor((pixel - box[0] + 1/2) * side(crop) / side(box)) along each axis

    What is outside of the box is not to be looked at, but where the crop is the box: then every pixel is in its place.

    In whole numbers, so that it is the same in every library, and the same for images and for masks of ids. A product
    of two lengths may be too long for those of JAX, which wrap around: so the quotient is guessed in float32, and put
    right by what it leaves.
    """
    for axis in range(box.shape[1]):
        at_axis = axis + (2 if channels == "first" else 1)
        last = xp.cast(xp.constant(xp.shape(x)[at_axis] - 1), "int64")
        to, of = xp.cast(box[:, axis], "int64"), xp.cast(crop[:, axis], "int64")
        whole, part = (xp.maximum(ends[:, 1:] - ends[:, :1], 1) for ends in (of, to))
        off = xp.cast(xp.arange(xp.shape(x)[at_axis]), "int64")[None, :] - to[:, :1]
        guess = xp.cast(
            (xp.cast(off, "float32") + 0.5) * (xp.cast(whole, "float32") / xp.cast(part, "float32")), "int64"
        )
        index = of[:, :1] + guess + ((2 * off + 1) * whole - guess * (2 * part)) // (2 * part)
        x = xp.take_each(x, xp.minimum(xp.maximum(index, 0), last), at_axis)
    return x


def _filled(xp: Library, x: Array, seen: Array, fill: Array, channels: str | None) -> Array:
    """Images with `fill` where nothing is seen."""
    dtype = xp.dtype(x)
    value = _per_channel(fill, channels) if len(fill.shape) > 1 else rows.over(fill, x)
    if dtype == "uint8":
        value = xp.minimum(xp.maximum(xp.rint(value), 0.0), 255.0)
    return xp.where(_per_channel(seen, channels), x, xp.cast(value, x.dtype))


def _blend(xp: Library, parents: list[Array], weights: list[Array]) -> Array:
    """sum_k weights[k] * parents[k], rounded once; for uint8 (sum_k w * x + 2^15) >> 16, whole w that sum to 2^16."""
    dtype = xp.dtype(parents[0])
    if dtype == "uint8":
        whole = [xp.cast(xp.rint(weight * float(GRID)), "int32") for weight in weights[1:]]
        weights = [GRID - sum(whole[1:], whole[0]), *whole] if whole else [xp.full((), GRID, "int32")]
        return xp.cast(xp.shift_right(_dot(xp, parents, weights, "int32") + GRID // 2, 16), dtype)
    precision = "float64" if dtype == "float64" else "float32"
    return xp.cast(_dot(xp, parents, [xp.cast(w, precision) for w in weights], precision), parents[0].dtype)


def _dot(xp: Library, parents: list[Array], weights: list[Array], dtype: str) -> Array:
    out = xp.cast(parents[0], dtype) * weights[0]
    for x, weight in zip(parents[1:], weights[1:], strict=True):
        out = out + xp.cast(x, dtype) * weight
    return out


def _placed(xp: Library, channels: str | None, what: str = "images") -> str | None:
    """Where the channel axis is, with the default settled."""
    if channels not in ("last", "first", None, DEFAULT):
        raise ValueError(f'{what}: expected channels "last", "first" or None, got {channels!r}')
    return xp.channels if channels == DEFAULT else channels


def _per_channel(weight: Array, channels: str | None) -> Array:
    """A weight (n, *size) with an axis of length 1 where the images have their channels."""
    return {"last": weight[..., None], "first": weight[:, None], None: weight}[channels]


def _check(xp: Library, x: Array, source: Array | None, parent: Array, drawn_for: Size, channels: str | None) -> None:
    if xp.dtype(x) not in DTYPES:
        raise TypeError(f"images: expected {', '.join(DTYPES)}, got {xp.dtype(x)}; convert them first")
    for array in (x, x if source is None else source):
        found = size(xp, array, channels)
        differs = any(
            isinstance(a, int) and isinstance(b, int) and a != b for a, b in zip(found, drawn_for, strict=False)
        )
        if len(found) != len(drawn_for) or differs:
            raise ValueError(
                f"images: expected the size {drawn_for} that the mix was drawn for, got {found} "
                f"with channels={channels!r}; draw for this size or name the channels"
            )
    rows.check(xp, x, source, parent, "images")
