"""What boxes, keypoints and instance masks share: their labels, and the slots that they are put in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..backends import Array, Library
from ..core.keys import ONE
from .labels import FLOATS
from .views import SEEN, SLACK, Edges, where

MOST = 2**16  #: objects of an output
FORMATS = ("xyxy", "yxyx", "xywh", "cxcywh")  #: of boxes
Objects: TypeAlias = Any  #: an array (n, m, ...) with room for m objects a sample, or a list of n arrays (m_i, ...)
ObjectLabels: TypeAlias = Objects | Mapping[str, Objects] | None


def positive(weight: Objects) -> Any:
    """Return where a weight is above 0, in an array or in each of a list."""
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
            listed = {f"[{i}]": one for i, one in enumerate(value)} if is_ragged(value) else {"": value}
            out |= {f"{name}{f'[{key!r}]' if key else ''}{at}": one for at, one in listed.items() if one is not None}
    return out


def is_ragged(x: Objects) -> bool:
    """Return whether objects are a list of arrays (m_i, ...), one for each sample."""
    return isinstance(x, (list, tuple))


def visible_weight(xp: Library, weight: Array, there: Array, peak: Array, min_visibility: float) -> Array:
    """float32 weights, 0 for the objects that go: too little of them is as much to be seen as their source can be."""
    enough = weight >= (min_visibility - SLACK) * peak
    return where(xp, there & enough & (weight > SEEN), xp.cast(xp.minimum(weight, peak), "float32"))


def labels_by_name(labels: ObjectLabels) -> dict[str, Array]:
    """Return the labels of objects by name: those of one array are "labels"."""
    if isinstance(labels, Mapping):
        return dict(labels)
    return {} if labels is None else {"labels": labels}


def like_labels(labels: ObjectLabels, held: Sequence[Objects]) -> ObjectLabels:
    """What came of the labels, in the form they had."""
    if isinstance(labels, Mapping):
        return dict(zip(labels, held, strict=True))
    return held[0] if held else None


def slots_of(xp: Library, sources: list[Array]) -> Array:
    """(n, k * m, ...): the objects of all sources, side by side."""
    stacked = xp.stack(sources, axis=1)
    n, k, m, *rest = xp.shape(stacked)
    return xp.reshape(stacked, (n, k * m, *rest))


def keep_visible(
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


def real_dtype(xp: Library, x: Array) -> str:
    """Return the dtype to compute with: float64 for float64, else float32."""
    return "float64" if xp.dtype(x) == "float64" else "float32"


def axes_order(format: str, axes: int) -> list[int]:  # noqa: A002
    """Which axis each number is of, and which number is of each axis: x is the last one."""
    return list(range(axes)) if format == "yxyx" else list(range(axes))[::-1]


def in_pixels(numbers: Edges, parts_of: list[Array | None]) -> Edges:
    """Return coordinates in pixels, of parts of these lengths; None: they are in pixels already."""
    return [x if length is None else x * length for x, length in zip(numbers, parts_of, strict=True)]


def in_parts(numbers: Edges, parts_of: list[Array | None]) -> Edges:
    """Return coordinates as parts of these lengths, of pixels; None: they stay in pixels."""
    return [x if length is None else x / length for x, length in zip(numbers, parts_of, strict=True)]
