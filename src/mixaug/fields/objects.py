"""Fields of objects: boxes and keypoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import mul
from typing import Any

from .. import backends
from ..backends import Array
from ..mix import Mix
from .kinds import AllFields, Keep
from .readings import quoted


@dataclass(frozen=True)
class Boxes:
    """Boxes of objects and their labels: every visible box of each source, with its visible fraction.

    A dict with "boxes" and arrays for them ("labels", "masks", "keypoints", "iscrowd", ids), a list of n such dicts or
    of n arrays, or boxes alone. A dict gains "weight", the visible fraction of each box, which is 0 in empty slots.
    "area" is recomputed from the mixed boxes. Entries for the whole image ("image_id", "orig_size", "size", single
    numbers and texts) are those of the base sample.

    Args:
        format: "xyxy", "xywh", "cxcywh" or "yxyx".
        normalized: whether coordinates are fractions of the image's sides.
        min_visibility: the smallest visible fraction of a box that is kept.
        max_boxes: the number of slots of an output; by default the total of its sources.
        ragged: whether samples have different numbers of boxes. Adapters that collate samples then make lists, because
            one array cannot hold them.
    """

    format: str = "xyxy"
    normalized: bool = False
    min_visibility: float = 0.1
    max_boxes: int | None = None
    ragged: bool = False

    def mix(self, mix: Mix, x: Any, source: Any, beside: AllFields) -> Any:  # noqa: ARG002 - the signature of all fields
        """Return the boxes of all sources, in the same form."""
        if isinstance(x, list) and x and isinstance(x[0], Mapping):
            mixed = self._mixed(mix, _columns(x), None if source is None else _columns(source))
            return [dict(zip(mixed, row, strict=True)) for row in zip(*mixed.values(), strict=True)]
        if isinstance(x, Mapping):
            return self._mixed(mix, x, source)
        self._check_format(x)
        return mix.boxes(x, None, *self._options, source=source).boxes

    def _mixed(self, mix: Mix, x: Mapping[str, Any], source: Mapping[str, Any] | None) -> dict[str, Any]:
        if "boxes" not in x:
            raise ValueError(f"boxes: expected a dict with 'boxes', got {quoted(x)}; name them so")
        self._check_format(x["boxes"])
        kept = {name: Keep().mix(mix, value, None, {}) for name, value in x.items() if _is_of_image(name, value)}
        own, of_source = (
            {name: _comparable(name, value) for name, value in (given or {}).items() if name not in (*kept, "area")}
            for given in (x, source)
        )
        boxes, valid = own.pop("boxes"), own.pop("valid", None)
        others = {"source": of_source.pop("boxes", None), "valid_source": of_source.pop("valid", None)}
        mixed = mix.boxes(boxes, own, *self._options, valid=valid, labels_source=of_source or None, **others)
        labels: Mapping[str, Any] = mixed.labels or {}
        named, weight = {"boxes": mixed.boxes, **labels, "valid": mixed.valid, **kept}, mixed.weight
        if "area" in x:
            named["area"] = _per_array(self._area, mixed.boxes, mixed.weight, x["area"])
        if "masks" in x:
            named["masks"] = _per_array(
                lambda masks, like: backends.of(like).cast(masks, like.dtype), labels["masks"], x["masks"]
            )
        if "weight" in labels:  # the batch has been mixed before
            weight = _per_array(lambda one, before: one * before, weight, labels["weight"])
        return {**{name: named[name] for name in x}, "weight": weight}

    def _area(self, boxes: Array, weight: Array, like: Array) -> Array:
        """Return the areas of boxes in the dtype of `like`; 0 in empty slots."""
        xp, d = backends.of(boxes), boxes.shape[-1] // 2
        sides = boxes[..., d:] if self.format.endswith("wh") else boxes[..., d:] - boxes[..., :d]
        area = reduce(mul, [sides[..., axis] for axis in range(d)])
        return xp.cast(xp.where(weight > 0, area, area * 0), like.dtype)

    def _check_format(self, boxes: Any) -> None:
        """Raise a ValueError for boxes of torchvision that have another format."""
        for one in boxes if isinstance(boxes, list) else [boxes]:
            given = getattr(getattr(one, "format", None), "value", None)
            if isinstance(given, str) and given.lower() != self.format:
                raise ValueError(
                    f"boxes: expected the format {self.format!r} that the field says, got boxes of {given}; "
                    f"pass ma.Boxes(format={given.lower()!r})"
                )

    @property
    def _options(self) -> tuple[Any, ...]:
        return self.format, self.normalized, self.min_visibility, self.max_boxes


@dataclass(frozen=True)
class Keypoints:
    """Keypoints of all sources at their new positions, with their visibility, which is 0 for hidden points.

    Args:
        normalized: whether coordinates are fractions of the image's sides.
    """

    normalized: bool = False

    def mix(self, mix: Mix, x: Array, source: Array | None, beside: AllFields) -> Array:  # noqa: ARG002 - the signature of all fields
        """Return the points of all sources."""
        if x.shape[-1] == len(mix.size):
            raise ValueError(
                "keypoints: expected a last column with their visibility, which marks hidden points, "
                f"got {x.shape[-1]} numbers a point; add one, or use mix.keypoints"
            )
        return mix.keypoints(x, normalized=self.normalized, source=source).points


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Turn a list of dicts into a dict of lists."""
    for row in rows:
        if set(row) != set(rows[0]):
            raise ValueError(
                f"boxes: expected the same names in every sample, got {quoted(rows[0])} and {quoted(row)}; "
                "give each sample all of them"
            )
    return {name: [row[name] for row in rows] for name in rows[0]}


_OF_IMAGE = ("image_id", "orig_size", "size")  # entries for the whole image in the targets of detection datasets


def _is_of_image(name: str, value: Any) -> bool:
    """Return whether an entry of a dict of boxes is for the whole image."""
    if name in _OF_IMAGE:
        return True
    if isinstance(value, list):
        return bool(value) and all(not getattr(one, "shape", ()) for one in value)
    return len(getattr(value, "shape", (0, 0))) < 2


def _comparable(name: str, value: Any) -> Any:
    """Return masks of objects as bools."""
    if name != "masks":
        return value
    return _per_array(lambda masks: masks != 0 if "int" in backends.of(masks, name).dtype(masks) else masks, value)


def _per_array(function: Callable[..., Any], *values: Any) -> Any:
    """Apply a function to arrays, or to those of each sample; the last list may differ in length."""
    first, *others = values
    if not isinstance(first, list):
        return function(first, *others)
    return [function(one, *(other[i % len(other)] for other in others)) for i, one in enumerate(first)]
