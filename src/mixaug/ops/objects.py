"""Objects of a sample: boxes, keypoints and instance masks, and how much of each is still to be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import reduce
from math import prod
from numbers import Integral, Real
from operator import and_, mul
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .. import backends
from ..backends import Array, Library
from ..core.hints import short
from ..core.keys import ONE
from ..core.regions import Region, Size, Sizes
from . import rows
from .labels import FLOATS
from .views import SEEN, SLACK, Edges, View, number, sides_of, views_of, weights_of, where

MOST = 2**16  #: objects of an output
FORMATS = ("xyxy", "yxyx", "xywh", "cxcywh")
Objects: TypeAlias = Any  #: an array (n, m, ...) with room for m objects a sample, or a list of n arrays (m_i, ...)
ObjectLabels: TypeAlias = Objects | Mapping[str, Objects] | None


class BoxesResult(NamedTuple):
    """The boxes of all sources, those of source j in the slots from j * m on, or the heaviest of them first.

    Args:
        boxes: (n, k * m, 2 * d), the rectangle around what is to be seen of each; -1 in slots that are empty.
        labels: what was given with them, in the same slots; in empty ones -1, or 0 where a label has more axes or its
            dtype has no -1. None where nothing was given.
        weight: float32 (n, k * m), how much of each is to be seen: the mean over its area of its source's weight; 0 in
            slots that are empty.
    """

    boxes: Objects
    labels: ObjectLabels
    weight: Objects

    @property
    def valid(self) -> Any:
        """Bool (n, k * m): the slots that hold a box."""
        return _positive(self.weight)


class KeypointsResult(NamedTuple):
    """The keypoints of all sources, those of source j in the slots from j * m on.

    Args:
        points: (n, k * m, ...), where each point has come to; a column of visibility is 0 for those not to be seen.
        weight: float32, the weight that its source has at each point; 0 where it is not to be seen.
    """

    points: Array
    weight: Array


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
        return _positive(self.weight)


def _positive(weight: Objects) -> Any:
    return [one > 0 for one in weight] if isinstance(weight, list) else weight > 0


class ObjectData(NamedTuple):
    """What is given with the objects and, where there are any, the arrays that the sources are rows of."""

    labels: ObjectLabels = None
    valid: Objects | None = None
    source: Objects | None = None
    labels_source: ObjectLabels = None
    valid_source: Objects | None = None


class ObjectLimits(NamedTuple):
    """Which objects stay: those of which enough is to be seen, and at most so many of the heaviest."""

    min_visibility: float
    most: int | None


def named(what: str, x: Objects, beside: ObjectData) -> dict[str, Array]:
    """Every array that is given, by a name for sentences."""
    out: dict[str, Array] = {}
    for name, given in {what: x, **beside._asdict()}.items():
        held = given if isinstance(given, Mapping) else {"": given}
        for key, value in held.items():
            listed = {f"[{i}]": one for i, one in enumerate(value)} if _is_ragged(value) else {"": value}
            out |= {f"{name}{f'[{key!r}]' if key else ''}{at}": one for at, one in listed.items() if one is not None}
    return out


def _is_ragged(x: Objects) -> bool:
    return isinstance(x, (list, tuple))


# --- boxes ---


def boxes(
    xp: Library,
    x: Objects,
    beside: ObjectData,
    index: Array,
    region: Region,
    sizes: Sizes,
    format: str,  # noqa: A002 - that is what it is called everywhere
    normalized: bool,
    keep: ObjectLimits,
) -> BoxesResult:
    """The rectangle around what is to be seen of each box of each source, and how much that is."""
    _check_format(format)
    _check_keep(keep, "boxes")
    if _is_ragged(x):
        return _boxes_of_lists(xp, x, beside, index, region, sizes, format, normalized, keep)
    _check_boxes(xp, x, sizes.source)
    _check_beside(xp, "boxes", x, beside, index, sizes.source)
    real = _real(xp, x)
    out_lengths, lengths = ([number(xp, length, real) for length in size] for size in sizes)
    forms = [(format, [length if normalized else None for length in one]) for one in (lengths, out_lengths)]
    views = views_of(xp, index, region, sizes, real)
    there = [None] * len(views) if beside.valid is None else rows.gather(xp, beside.valid, beside.valid_source, index)
    sources = rows.gather(xp, x, beside.source, index)
    parts_of_sources = [
        _box(xp, xp.cast(one, real), valid, view, lengths, forms, keep.min_visibility)
        for one, valid, view in zip(sources, there, views, strict=True)
    ]
    mixed, weight = (_slots(xp, list(parts)) for parts in zip(*parts_of_sources, strict=True))
    mixed = xp.cast(mixed, x.dtype if xp.dtype(x) in FLOATS else real)
    slots = {"": mixed, **_gathered(xp, beside, index, region, sizes, views, normalized)}
    (out, *held), weight = _kept(xp, slots, weight, keep.most, {"": -1})
    return BoxesResult(out, _like(beside.labels, held), weight)


def _box(
    xp: Library,
    x: Array,
    valid: Array | None,
    view: View,
    lengths: list[Array],
    forms: list[tuple[str, list[Array | None]]],
    min_visibility: float,
) -> tuple[Array, Array]:
    """Of one source's boxes (n, m, 2 * d) what is to be seen, and its weight (n, m); 0 for those that go."""
    first, last, is_box = _clipped(xp, *_edges(x, *forms[0]), lengths, valid)
    first, last = view.through(first), view.through(last)
    area = reduce(mul, sides_of(first, last))
    first, last = view.within(first), view.within(last)
    weight = view.seen.integral(first, last) / xp.where(is_box & (area > 0), area, xp.full((), 1.0, xp.dtype(area)))
    first, last = view.seen.bounds(first, last)
    return _written(xp, first, last, *forms[1]), _heavy(xp, weight, is_box, view.seen.peak(), min_visibility)


def _clipped(
    xp: Library, first: Edges, last: Edges, lengths: list[Array], valid: Array | None
) -> tuple[Edges, Edges, Array]:
    """BoxesResult clipped to the image they come from, and which are boxes; the others have no area, nor NaN."""
    first = [xp.minimum(xp.maximum(edge, 0.0), length) for edge, length in zip(first, lengths, strict=True)]
    last = [xp.minimum(xp.maximum(edge, 0.0), length) for edge, length in zip(last, lengths, strict=True)]
    is_box = reduce(and_, [b > a for a, b in zip(first, last, strict=True)])
    if valid is not None:
        is_box = is_box & xp.cast(valid, "bool")
    first, last = ([where(xp, is_box, edge) for edge in edges] for edges in (first, last))
    return first, last, is_box


def _heavy(xp: Library, weight: Array, there: Array, peak: Array, min_visibility: float) -> Array:
    """float32 weights, 0 for the objects that go: too little of them is as much to be seen as their source can be."""
    enough = weight >= (min_visibility - SLACK) * peak
    return where(xp, there & enough & (weight > SEEN), xp.cast(xp.minimum(weight, peak), "float32"))


def _edges(x: Array, format: str, parts_of: list[Array | None]) -> tuple[Edges, Edges]:  # noqa: A002
    """The first and the last edge along each axis, in pixels, of boxes (n, m, 2 * d) of that format."""
    axes = len(parts_of)
    one, two = (_in_pixels([x[..., at + a] for a in _order(format, axes)], parts_of) for at in (0, axes))
    if format == "cxcywh":
        one = [centre - side * 0.5 for centre, side in zip(one, two, strict=True)]
    return one, [a + b for a, b in zip(one, two, strict=True)] if format.endswith("wh") else two


def _written(xp: Library, first: Edges, last: Edges, format: str, parts_of: list[Array | None]) -> Array:  # noqa: A002
    """BoxesResult (n, m, 2 * d) of that format."""
    sides = sides_of(first, last)
    if format == "cxcywh":
        first = [edge + side * 0.5 for edge, side in zip(first, sides, strict=True)]
    order = _order(format, len(parts_of))
    columns = [
        _in_parts(edges, parts_of)[a] for edges in (first, sides if format.endswith("wh") else last) for a in order
    ]
    return xp.stack(columns, axis=-1)


def _order(format: str, axes: int) -> list[int]:  # noqa: A002
    """Which axis each number is of, and which number is of each axis: x is the last one."""
    return list(range(axes)) if format == "yxyx" else list(range(axes))[::-1]


def _in_pixels(numbers: Edges, parts_of: list[Array | None]) -> Edges:
    return [x if length is None else x * length for x, length in zip(numbers, parts_of, strict=True)]


def _in_parts(numbers: Edges, parts_of: list[Array | None]) -> Edges:
    return [x if length is None else x / length for x, length in zip(numbers, parts_of, strict=True)]


# --- keypoints ---


def keypoints(
    xp: Library, x: Array, source: Array | None, index: Array, region: Region, sizes: Sizes, normalized: bool
) -> KeypointsResult:
    """Where each point of each source has come to, and the weight that its source has there."""
    _check_points(xp, x, sizes.source)
    rows.check(xp, x, source, index, "keypoints")
    return _points(xp, x, source, index, sizes, normalized, views_of(xp, index, region, sizes, _real(xp, x)))


def _points(
    xp: Library, x: Array, source: Array | None, index: Array, sizes: Sizes, normalized: bool, views: list[View]
) -> KeypointsResult:
    sources = rows.gather(xp, x, source, index)
    moved = [_point(xp, one, view, sizes, normalized) for one, view in zip(sources, views, strict=True)]
    points, weight = (_slots(xp, list(parts)) for parts in zip(*moved, strict=True))
    return KeypointsResult(xp.cast(points, x.dtype if xp.dtype(x) in FLOATS else xp.dtype(points)), weight)


def _point(xp: Library, x: Array, view: View, sizes: Sizes, normalized: bool) -> tuple[Array, Array]:
    """One source's points and their weights. What is no point stays where it is: a window moves no padding."""
    axes, shape, real = len(sizes.output), xp.shape(x), _real(xp, x)
    x = xp.cast(xp.reshape(x, (shape[0], prod(shape[1:-1]), shape[-1])), real)
    lengths, made = ([number(xp, length, real) for length in size] for size in (sizes.source, sizes.output))
    parts_of, parts_made = ([length if normalized else None for length in one] for one in (lengths, made))
    order = _order("xyxy", axes)
    here = _in_pixels([x[..., a] for a in order], parts_of)
    is_point = reduce(and_, [(v >= 0) & (v < length) for v, length in zip(here, lengths, strict=True)])
    if shape[-1] > axes:
        is_point = is_point & (x[..., axes] > 0)
    place = view.through(here)
    weight = where(xp, is_point, view.at(xp, place, sizes.output))
    moved = [xp.where(is_point, _in_parts(place, parts_made)[a], x[..., order[a]]) for a in order]
    if shape[-1] > axes:
        moved.append(where(xp, weight > 0, x[..., axes]))
    return xp.reshape(xp.stack(moved, axis=-1), shape), xp.reshape(xp.cast(weight, "float32"), shape[:-1])


# --- instance masks ---


def instances(
    xp: Library, x: Array, beside: ObjectData, index: Array, region: Region, sizes: Sizes, keep: ObjectLimits
) -> InstancesResult:
    """Where each mask of each source is to be seen, and how much of it that is."""
    _check_keep(keep, "instances")
    _check_masks(xp, x, sizes.source)
    _check_beside(xp, "instances", x, beside, index, sizes.source)
    views = views_of(xp, index, region, sizes, "float32")
    weights = weights_of(xp, index, region, sizes)
    sources = rows.gather(xp, x, beside.source, index)
    there = [None] * len(views) if beside.valid is None else rows.gather(xp, beside.valid, beside.valid_source, index)
    found = [
        _instance(xp, one, valid, weight, view, keep.min_visibility)
        for one, valid, weight, view in zip(sources, there, weights, views, strict=True)
    ]
    masks, weight = (_slots(xp, list(parts)) for parts in zip(*found, strict=True))
    slots = {"": masks, **_gathered(xp, beside, index, region, sizes, views, False)}
    (out, *held), weight = _kept(xp, slots, weight, keep.most, {})
    return InstancesResult(out, _like(beside.labels, held), weight)


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
    return seen, _heavy(xp, mean, there, peak, min_visibility)


# --- what is given beside them, and the slots that all are in ---


def _gathered(
    xp: Library, beside: ObjectData, index: Array, region: Region, sizes: Sizes, views: list[View], normalized: bool
) -> dict[str, Array]:
    """The labels of all sources, slot by slot; masks and keypoints among them as they are to be seen."""
    by_name = isinstance(beside.labels, Mapping)
    of_source = _by_name(beside.labels_source)
    out = {}
    for name, x in _by_name(beside.labels).items():
        source = of_source.get(name)
        if by_name and name == "keypoints":
            out[name] = _points(xp, x, source, index, sizes, normalized, views).points
            continue
        sources = rows.gather(xp, x, source, index)
        if by_name and name == "masks":
            weights = weights_of(xp, index, region, sizes)
            sources = [
                view.shown(one) & (weight > 0)[:, None]
                for one, view, weight in zip(sources, views, weights, strict=True)
            ]
        out[name] = _slots(xp, sources)
    return out


def _by_name(labels: ObjectLabels) -> dict[str, Array]:
    if isinstance(labels, Mapping):
        return dict(labels)
    return {} if labels is None else {"labels": labels}


def _like(labels: ObjectLabels, held: Sequence[Objects]) -> ObjectLabels:
    """What came of the labels, in the form they had."""
    if isinstance(labels, Mapping):
        return dict(zip(labels, held, strict=True))
    return held[0] if held else None


def _slots(xp: Library, sources: list[Array]) -> Array:
    """(n, k * m, ...): the objects of all sources, side by side."""
    stacked = xp.stack(sources, axis=1)
    n, k, m, *rest = xp.shape(stacked)
    return xp.reshape(stacked, (n, k * m, *rest))


def _kept(
    xp: Library, slots: dict[str, Array], weight: Array, most: int | None, empty: Mapping[str, int]
) -> tuple[list[Array], Array]:
    """What lies in the slots of weight above 0, and in the others what is said of empty ones, at most so many."""
    fills = {name: empty.get(name, _empty(xp, x)) for name, x in slots.items()}
    if most is not None:
        weight, slots = _heaviest(xp, weight, slots, fills, most)
    held = []
    for name, x in slots.items():
        valid = (weight > 0)[(..., *[None] * (len(x.shape) - 2))]
        held.append(xp.where(valid, x, xp.full((), fills[name], xp.dtype(x))))
    return held, weight


def _heaviest(
    xp: Library, weight: Array, slots: dict[str, Array], fills: dict[str, int], most: int
) -> tuple[Array, dict[str, Array]]:
    """So many slots, those of the greatest weights in whole 1/65536, the first of several; empty ones beyond them."""
    n, count = xp.shape(weight)
    room = max(most - count, 0) if isinstance(count, int) else most

    def grown(x: Array, fill: float) -> Array:
        return xp.concat([x, xp.full((n, room, *xp.shape(x)[2:]), fill, xp.dtype(x))], 1) if room else x

    weight = grown(weight, 0.0)
    order = xp.reshape(xp.argsort(-xp.rint(weight * float(ONE)))[:, :most], (n, most))
    slots = {name: xp.take_each(grown(x, fills[name]), order, 1) for name, x in slots.items()}
    return xp.take_each(weight, order, 1), slots


def _empty(xp: Library, x: Array) -> int:
    """What an empty slot holds: -1 for an id, 0 where there is no such id."""
    has_one = xp.dtype(x) in FLOATS or xp.dtype(x).startswith("int")
    return -1 if has_one and len(x.shape) == 2 else 0


def _real(xp: Library, x: Array) -> str:
    return "float64" if xp.dtype(x) == "float64" else "float32"


# --- lists of arrays, one a sample ---


def _boxes_of_lists(
    xp: Library,
    x: list[Array],
    beside: ObjectData,
    index: Array,
    region: Region,
    sizes: Sizes,
    format: str,  # noqa: A002
    normalized: bool,
    keep: ObjectLimits,
) -> BoxesResult:
    """The boxes of each output in an array of their own: those of the padded form, less its empty slots."""
    _check_lists(xp, x, beside, index)
    if not x:
        return BoxesResult([], _like(beside.labels, [[] for _ in _by_name(beside.labels)]), [])
    most = max(one.shape[0] for one in [*x, *(beside.source or [])])
    padded = ObjectData(*(_padded(xp, given, most) for given in beside))
    out = boxes(xp, _padded(xp, x, most), padded, index, region, sizes, format, normalized, keep)
    slots = [xp.constant(np.flatnonzero(valid)) for valid in xp.concrete(out.valid)]

    def each(x: Array) -> list[Array]:
        return [xp.take(x[i], index) for i, index in enumerate(slots)]

    held = [each(y) for y in _by_name(out.labels).values()]
    return BoxesResult(each(out.boxes), _like(beside.labels, held), each(out.weight))


def _padded(xp: Library, given: ObjectLabels, most: int) -> Any:
    """Arrays (n, most, ...) of lists of arrays (m_i, ...); zeros, which are no box, where there is nothing."""
    if given is None or isinstance(given, Mapping):
        return None if given is None else {name: _padded(xp, x, most) for name, x in given.items()}
    rest = [xp.full((most - x.shape[0], *x.shape[1:]), 0, xp.dtype(x)) for x in given]
    return xp.stack([xp.concat([x, zeros]) for x, zeros in zip(given, rest, strict=True)])


# --- what is refused ---


def _check_lists(xp: Library, x: list[Array], beside: ObjectData, index: Array) -> None:
    given = named("boxes", x, beside).values()
    if any(xp.concrete(array) is None for array in (index, *given)):
        raise TypeError(
            "boxes: expected lists of arrays that lie on the host, got traced ones or ones on an accelerator; "
            "pad them to (n, m, ...) first"
        )
    n = index.shape[1]
    for name, own, of in [
        ("boxes", x, x),
        *((name, y, x) for name, y in _by_name(beside.labels).items()),
        ("valid", beside.valid, x),
        *((f"{name} of the source", y, beside.source) for name, y in _by_name(beside.labels_source).items()),
        ("source", beside.source, beside.source),
        ("valid_source", beside.valid_source, beside.source),
    ]:
        if own is None:
            continue
        if not _is_ragged(own):
            raise TypeError(f"{name}: expected a list as the boxes are, got one array; pass both as lists or padded")
        if of is x and len(own) != n:
            raise ValueError(
                f"{name}: expected {n} arrays, one for each output of the mix, got {len(own)}; pass one a sample"
            )
        if of is not None and len(own) != len(of):
            raise ValueError(
                f"{name}: expected {len(of)} arrays, one for each row of the source, got {len(own)}; pass one a sample"
            )
        _check_alike(xp, own, name)
        counts = [(one.shape[0], boxes.shape[0]) for one, boxes in zip(own, of or own, strict=True)]
        if any(a != b for a, b in counts):
            raise ValueError(f"{name}: expected one for each box, got (those, boxes) {counts}; mend the lists")


def _check_alike(xp: Library, own: list[Array], name: str) -> None:
    """Refuse arrays of a list that cannot be padded to one."""
    for one in own:
        if backends.find(one) is None:
            raise TypeError(
                f"{name}: expected a list of arrays, one a sample, got {type(one).__name__} among them; pass an array "
                "of no rows for a sample that has none"
            )
        _check_kind(xp, one, name)
    kinds = sorted({f"{xp.dtype(one)} (m_i{''.join(f', {length}' for length in one.shape[1:])})" for one in own})
    if len(kinds) > 1 or not all(len(one.shape) for one in own):
        raise TypeError(
            f"{name}: expected arrays (m_i, ...) of one dtype and shape but for m_i, got {', '.join(kinds)}; "
            "make them alike"
        )


def _check_kind(xp: Library, x: Array, name: str) -> None:
    dtype = xp.dtype(x)
    if dtype not in (*FLOATS, "bool") and "int" not in dtype:
        raise TypeError(f"{name}: expected numbers or bools, got {dtype}; pass the index of each instead")


def _check_format(format: str) -> None:  # noqa: A002
    if format not in FORMATS:
        near = get_close_matches(str(format), FORMATS, n=1, cutoff=0.5)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"boxes format: expected one of {', '.join(FORMATS)}, got {short(format)}{hint}")


def _check_keep(keep: ObjectLimits, what: str) -> None:
    least, most = keep
    if isinstance(least, bool) or not isinstance(least, Real) or not 0 <= least <= 1:
        raise ValueError(f"min_visibility: expected a number in 0..1, got {short(least)}")
    if most is not None and (isinstance(most, bool) or not isinstance(most, Integral) or not 0 < most <= MOST):
        raise ValueError(
            f"max_{what}: expected a whole number of 1 or more and at most {MOST}, or None, got {short(most)}"
        )


def _check_boxes(xp: Library, x: Array, size: Size) -> None:
    _check_numbers(xp, x, "boxes")
    shape, numbers = tuple(x.shape), 2 * len(size)
    if len(shape) != 3 or shape[2] != numbers:
        if len(shape) == 3 and len(size) == 2 and shape[2] in (5, 8):
            raise ValueError(
                f"boxes: expected 4 numbers a box, got {shape[2]}, those of rotated boxes, whose parts are none; "
                "pass the upright rectangles around them"
            )
        raise ValueError(
            f"boxes: expected (n, m, {numbers}) for images of {len(size)} spatial axes, got the shape {shape}; "
            "pad the boxes of each sample with -1, or pass a list of arrays"
        )


def _check_points(xp: Library, x: Array, size: Size) -> None:
    _check_numbers(xp, x, "keypoints")
    axes, shape = len(size), tuple(x.shape)
    if len(shape) not in (3, 4) or shape[-1] not in (axes, axes + 1):
        raise ValueError(
            f"keypoints: expected (n, m, {axes}) or (n, m, K, {axes}), or {axes + 1} numbers with the visibility, "
            f"for images of {axes} spatial axes, got the shape {shape}; pad those of each sample with -1"
        )


def _check_numbers(xp: Library, x: Array, what: str) -> None:
    if xp.dtype(x) not in FLOATS and "int" not in xp.dtype(x):
        raise TypeError(f"{what}: expected numbers, got {xp.dtype(x)}; convert them to float32 first")


def _check_masks(xp: Library, x: Array, size: Size) -> None:
    if xp.dtype(x) != "bool":
        raise TypeError(f"masks of instances: expected bools, got {xp.dtype(x)}; compare them first, as in m != 0")
    shape = tuple(x.shape)
    given = zip(shape[2:], size, strict=False)
    if len(shape) != len(size) + 2 or any(isinstance(b, int) and a not in (b, None) for a, b in given):
        raise ValueError(
            f"masks of instances: expected (n, m, *size) of the size {size} that the mix was drawn for, "
            f"got the shape {shape}; resize them first"
        )


def _check_beside(xp: Library, what: str, x: Array, beside: ObjectData, index: Array, size: Size) -> None:
    """Refuse labels that are not one an object, or without those of the source."""
    rows.check(xp, x, beside.source, index, what)
    sources = _by_name(beside.labels_source)
    by_name = isinstance(beside.labels, Mapping)
    given = {
        name: (y, sources.get(name), f"labels_source[{name!r}]" if by_name else "labels_source")
        for name, y in _by_name(beside.labels).items()
    }
    if beside.valid is not None:
        given["valid"] = beside.valid, beside.valid_source, "valid_source"
    for name, (y, of_source, option) in given.items():
        if (of_source is None) != (beside.source is None):
            missing = option if of_source is None else "source"
            raise ValueError(f"{name}: expected source and {option} together, got no {missing}; pass both")
        if len(y.shape) < 2 or not _may_be(y.shape[1], x.shape[1]):
            raise ValueError(
                f"{name}: expected one for each of the {what}, (n, {x.shape[1]}, ...), got the shape {tuple(y.shape)}"
            )
        _check_kind(xp, y, name)
        rows.check(xp, y, of_source, index, name)
    if isinstance(beside.labels, Mapping):
        _check_known(xp, beside.labels, size)


def _check_known(xp: Library, labels: Mapping[str, Array], size: Size) -> None:
    if "masks" in labels:
        _check_masks(xp, labels["masks"], size)
    if "keypoints" in labels:
        _check_points(xp, labels["keypoints"], size)
        if len(labels["keypoints"].shape) != 4 or labels["keypoints"].shape[-1] == len(size):
            raise ValueError(
                f"keypoints: expected (n, m, K, {len(size) + 1}) beside boxes, with a column of visibility that says "
                f"which are hidden, got the shape {tuple(labels['keypoints'].shape)}; add a column of ones"
            )


def _may_be(one: int | None, other: int | None) -> bool:
    return one is None or other is None or one == other
