"""Common parts of boxes, keypoints and instance masks: their labels, and their slots in the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from ..backends import Array, Library
from ..core.keys import ONE
from .labels import FLOATS
from .views import MIN_WEIGHT, SLACK, Edges, where

MOST = 2**16  #: the maximum number of objects per output
FORMATS = ("xyxy", "yxyx", "xywh", "cxcywh")  #: the formats of boxes
Objects: TypeAlias = Any  #: an array (n, m, ...) of m slots per sample, or a list of n arrays (m_i, ...)
ObjectLabels: TypeAlias = Objects | Mapping[str, Objects] | None


def positive(weight: Objects) -> Any:
    """Return where weights are above 0, for an array or for each array of a list."""
    return [x > 0 for x in weight] if isinstance(weight, list) else weight > 0


class ObjectData(NamedTuple):
    """The labels of objects, which slots hold an object, and the corresponding arrays of the source."""

    labels: ObjectLabels = None
    valid: Objects | None = None
    source: Objects | None = None
    labels_source: ObjectLabels = None
    valid_source: Objects | None = None


class ObjectLimits(NamedTuple):
    """Which objects are kept: those visible enough, and at most `most` per output, by weight."""

    min_visibility: float
    most: int | None


def arrays_by_name(what: str, x: Objects, data: ObjectData) -> dict[str, Array]:
    """Return every array, by its name in messages."""
    arrays: dict[str, Array] = {}
    for name, field in {what: x, **data._asdict()}.items():
        for key, value in (field if isinstance(field, Mapping) else {"": field}).items():
            items = {f"[{i}]": item for i, item in enumerate(value)} if is_ragged(value) else {"": value}
            prefix = f"{name}{f'[{key!r}]' if key else ''}"
            arrays |= {f"{prefix}{suffix}": array for suffix, array in items.items() if array is not None}
    return arrays


def is_ragged(x: Objects) -> bool:
    """Return whether objects are a list of arrays (m_i, ...), one for each sample."""
    return isinstance(x, (list, tuple))


def visible_weight(xp: Library, weight: Array, valid: Array, peak: Array, min_visibility: float) -> Array:
    """Return weights, float32; 0 if an object is below `min_visibility`, relative to the peak weight of its source."""
    enough = weight >= (min_visibility - SLACK) * peak
    return where(xp, valid & enough & (weight > MIN_WEIGHT), xp.cast(xp.minimum(weight, peak), "float32"))


def labels_by_name(labels: ObjectLabels) -> dict[str, Array]:
    """Return the labels of objects by name; a single array is named "labels"."""
    if isinstance(labels, Mapping):
        return dict(labels)
    return {} if labels is None else {"labels": labels}


def like_labels(labels: ObjectLabels, mixed: Sequence[Objects]) -> ObjectLabels:
    """Return mixed labels in the structure of the original ones."""
    if isinstance(labels, Mapping):
        return dict(zip(labels, mixed, strict=True))
    return mixed[0] if mixed else None


def slots_of(xp: Library, sources: list[Array]) -> Array:
    """Concatenate the objects of all sources, (n, k * m, ...)."""
    stacked = xp.stack(sources, axis=1)
    n, k, m, *rest = xp.shape(stacked)
    return xp.reshape(stacked, (n, k * m, *rest))


def keep_visible(
    xp: Library, slots: dict[str, Array], weight: Array, most: int | None, empty: Mapping[str, int]
) -> tuple[list[Array], Array]:
    """Overwrite slots of weight 0 with the values of empty slots, and keep at most `most` slots."""
    fills = {name: empty.get(name, _empty(xp, x)) for name, x in slots.items()}
    if most is not None:
        weight, slots = _heaviest(xp, weight, slots, fills, most)
    visible = []
    for name, x in slots.items():
        valid = (weight > 0)[(..., *[None] * (len(x.shape) - 2))]
        visible.append(xp.where(valid, x, xp.full((), fills[name], xp.dtype(x))))
    return visible, weight


def _heaviest(
    xp: Library, weight: Array, slots: dict[str, Array], fills: dict[str, int], most: int
) -> tuple[Array, dict[str, Array]]:
    """Return the `most` heaviest slots, padded with empty ones; weights are compared in multiples of 1/65536."""
    n, count = xp.shape(weight)
    missing = max(most - count, 0) if isinstance(count, int) else most

    def padded(x: Array, fill: float) -> Array:
        return xp.concat([x, xp.full((n, missing, *xp.shape(x)[2:]), fill, xp.dtype(x))], 1) if missing else x

    weight = padded(weight, 0.0)
    order = xp.reshape(xp.argsort(-xp.rint(weight * float(ONE)))[:, :most], (n, most))
    slots = {name: xp.take_each(padded(x, fills[name]), order, 1) for name, x in slots.items()}
    return xp.take_each(weight, order, 1), slots


def _empty(xp: Library, x: Array) -> int:
    """Return the value of an empty slot: -1 for ids, 0 for other labels and for dtypes without -1."""
    signed = xp.dtype(x) in FLOATS or xp.dtype(x).startswith("int")
    return -1 if signed and len(x.shape) == 2 else 0


def real_dtype(xp: Library, x: Array) -> str:
    """Return the dtype of computations: float64 for float64, otherwise float32."""
    return "float64" if xp.dtype(x) == "float64" else "float32"


def axes_order(format: str, axes: int) -> list[int]:  # noqa: A002
    """Return the spatial axis of each coordinate, which is also the coordinate of each axis; x is the last axis."""
    return list(range(axes)) if format == "yxyx" else list(range(axes))[::-1]


def to_pixels(coordinates: Edges, lengths: list[Array | None]) -> Edges:
    """Convert coordinates normalized by `lengths` to pixels; with None, they are in pixels already."""
    return [x if length is None else x * length for x, length in zip(coordinates, lengths, strict=True)]


def normalize(coordinates: Edges, lengths: list[Array | None]) -> Edges:
    """Convert coordinates in pixels to fractions of `lengths`; with None, they remain in pixels."""
    return [x if length is None else x / length for x, length in zip(coordinates, lengths, strict=True)]
