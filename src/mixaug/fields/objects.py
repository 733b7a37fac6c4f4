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
    """Boxes of objects, with what belongs to each: all that are to be seen, each with how much of it is.

    A dict of "boxes" and arrays beside them ("labels", "masks", "keypoints", "iscrowd", ids), a list of n such dicts or
    of n arrays, or boxes alone. A dict comes back with a "weight" a box, the visible part of it, which is 0 in empty
    slots. "area" is computed anew from the mixed boxes; what belongs to the image, "image_id", "orig_size", "size" and
    single numbers or texts, stays that of the base sample.

    Args:
        format: "xyxy", "xywh", "cxcywh" or "yxyx".
        normalized: whether numbers are parts of the image's sides.
        min_visibility: how much of a box has to be seen for it to stay.
        max_boxes: how many slots an output has. By default as many as all its sources have.
        ragged: whether samples come as arrays with as many rows as they have boxes, which no array of a batch can hold:
            adapters that make batches of samples then make lists.
    """

    format: str = "xyxy"
    normalized: bool = False
    min_visibility: float = 0.1
    max_boxes: int | None = None
    ragged: bool = False

    def mix(self, mix: Mix, x: Any, source: Any, beside: AllFields) -> Any:  # noqa: ARG002 - of every field
        """The boxes of all sources, in the form that they came in."""
        if isinstance(x, list) and x and isinstance(x[0], Mapping):
            mixed = self._mixed(mix, _columns(x), None if source is None else _columns(source))
            return [dict(zip(mixed, row, strict=True)) for row in zip(*mixed.values(), strict=True)]
        if isinstance(x, Mapping):
            return self._mixed(mix, x, source)
        self._check_said(x)
        return mix.boxes(x, None, *self._options, source=source).boxes

    def _mixed(self, mix: Mix, x: Mapping[str, Any], source: Mapping[str, Any] | None) -> dict[str, Any]:
        if "boxes" not in x:
            raise ValueError(f"boxes: expected a dict with 'boxes', got {quoted(x)}; name them so")
        self._check_said(x["boxes"])
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
        if "weight" in labels:  # it was mixed before
            weight = _per_array(lambda one, before: one * before, weight, labels["weight"])
        return {**{name: named[name] for name in x}, "weight": weight}

    def _area(self, boxes: Array, weight: Array, like: Array) -> Array:
        """The areas of boxes, 0 in empty slots, in the dtype that areas came in."""
        xp, d = backends.of(boxes), boxes.shape[-1] // 2
        sides = boxes[..., d:] if self.format.endswith("wh") else boxes[..., d:] - boxes[..., :d]
        area = reduce(mul, [sides[..., axis] for axis in range(d)])
        return xp.cast(xp.where(weight > 0, area, area * 0), like.dtype)

    def _check_said(self, boxes: Any) -> None:
        """Refuse boxes that say of themselves, as torchvision's do, that they are of another format."""
        for one in boxes if isinstance(boxes, list) else [boxes]:
            said = getattr(getattr(one, "format", None), "value", None)
            if isinstance(said, str) and said.lower() != self.format:
                raise ValueError(
                    f"boxes: expected the format {self.format!r} that the field says, got boxes of {said}; "
                    f"pass ma.Boxes(format={said.lower()!r})"
                )

    @property
    def _options(self) -> tuple[Any, ...]:
        return self.format, self.normalized, self.min_visibility, self.max_boxes


@dataclass(frozen=True)
class Keypoints:
    """Keypoints: those of all sources, where they have come to; with their visibility, 0 where they are not to be seen.

    Args:
        normalized: whether numbers are parts of the image's sides.
    """

    normalized: bool = False

    def mix(self, mix: Mix, x: Array, source: Array | None, beside: AllFields) -> Array:  # noqa: ARG002 - of every field
        """The points of all sources."""
        if x.shape[-1] == len(mix.size):
            raise ValueError(
                "keypoints: expected a last column with their visibility, so that it can say which are hidden, "
                f"got {x.shape[-1]} numbers a point; add one, or take mix.keypoints"
            )
        return mix.keypoints(x, normalized=self.normalized, source=source).points


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A dict of lists of a list of dicts."""
    for row in rows:
        if set(row) != set(rows[0]):
            raise ValueError(
                f"boxes: expected the same names in every sample, got {quoted(rows[0])} and {quoted(row)}; "
                "give each sample all of them"
            )
    return {name: [row[name] for row in rows] for name in rows[0]}


_OF_IMAGE = ("image_id", "orig_size", "size")  # what detection datasets say of an image, in a dict of its boxes


def _is_of_image(name: str, value: Any) -> bool:
    """Whether values of a dict of boxes belong to the image and not to a box."""
    if name in _OF_IMAGE:
        return True
    if isinstance(value, list):
        return bool(value) and all(not getattr(one, "shape", ()) for one in value)
    return len(getattr(value, "shape", (0, 0))) < 2


def _comparable(name: str, value: Any) -> Any:
    """Masks of objects as bools."""
    if name != "masks":
        return value
    return _per_array(lambda masks: masks != 0 if "int" in backends.of(masks, name).dtype(masks) else masks, value)


def _per_array(function: Callable[..., Any], *values: Any) -> Any:
    """The function's value of arrays, or of those of each sample; the last list may be shorter or longer."""
    first, *others = values
    if not isinstance(first, list):
        return function(first, *others)
    return [function(one, *(other[i % len(other)] for other in others)) for i, one in enumerate(first)]
