"""What a field of a batch is: a small frozen value that knows how a mix acts on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from typing import Any, TypeAlias, get_args

import numpy as np

from . import _xp, label_rules, tree
from ._xp import Array
from .apply.images import DEFAULT, size
from .label_rules import RULES, Rule
from .mix import Mix
from .regions import Size

AllFields: TypeAlias = Mapping[str, tuple[Any, Any]]  #: each field's value and its source, by name


@dataclass(frozen=True)
class Images:
    """Images, signals or volumes.

    Args:
        channels: where the channel axis is: "last", "first", or None where there is none. By default first in PyTorch,
            last elsewhere.
        dtype: what they are to become, such as "float32"; by default they keep theirs.
        scale, offset: a number, or one a channel, as a tuple or an array: output = scale * pixel + offset.
    """

    channels: str | None = DEFAULT
    dtype: Any = None
    scale: Any = None
    offset: Any = None

    def size(self, name: str, x: Array) -> Size:
        """The spatial size that a mix is drawn for."""
        return size(_xp.of(x, name), x, self.channels, name)

    def mix(self, mix: Mix, x: Array, source: Array | None, beside: AllFields) -> Array:  # noqa: ARG002 - of every field
        """The mixed images."""
        units = {"dtype": self.dtype, "scale": self.scale, "offset": self.offset}
        return mix.images(x, self.channels, source=source, **units)


@dataclass(frozen=True)
class Labels:
    """Class ids, or one column a class.

    Args:
        num_classes: needed for class ids.
        rule: how the labels of an output follow from those of its sources: "area", "maximum", "visible", "heaviest", or
            a value such as `ma.label_rules.Visible("foreground")`, which names the field that it depends on.
        binary: whether labels are 0 and 1, (n,) or (n, 1), and become (n, 1) for a sigmoid.

    Raises:
        TypeError, ValueError: if `rule` is none, or `num_classes` is above 2 beside `binary`.
    """

    num_classes: int | None = None
    rule: str | Rule = "area"
    binary: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "rule", label_rules.rule(self.rule))
        if self.binary and self.num_classes not in (None, 1, 2):
            raise ValueError(
                f"Labels: expected no num_classes beside binary=True, got {self.num_classes!r}; leave out one of them, "
                "and say num_classes in the field that it is for, as in ma.Labels(10)"
            )

    def mix(self, mix: Mix, x: Array, source: Array | None, beside: AllFields) -> Array:
        """The mixed labels, a weight a class."""
        rule = label_rules.rule(self.rule)
        guide, guide_source = (None, None) if rule.guide is None else _guide(beside, rule)
        options: dict[str, Any] = {"binary": self.binary, "guide": guide, "guide_source": guide_source}
        return mix.labels(x, self.num_classes, source=source, rule=rule, **options)


def _guide(beside: AllFields, rule: Rule) -> tuple[Any, Any]:
    """The field that a rule depends on, and its source."""
    found = [path for path in beside if _is_called(path, str(rule.guide))]
    if len(found) != 1:
        raise ValueError(
            f"rule: expected {rule!r} to name one field of the batch, got {rule.guide!r}; there are {_quoted(beside)}"
        )
    return beside[found[0]]


@dataclass(frozen=True)
class Masks:
    """Class ids of pixels: each of the source that weighs most there, or the shares of the classes.

    Args:
        num_classes: how many classes there are; needed where `soft`.
        ignore_index: the id of pixels that say nothing.
        soft: whether to give float32 shares of the classes, (n, *size, num_classes).
        channels: where the channel axis is, if there is one, and that of the classes. By default first in PyTorch, last
            elsewhere.
    """

    num_classes: int | None = None
    ignore_index: int | None = None
    soft: bool = False
    channels: str | None = DEFAULT

    def mix(self, mix: Mix, x: Array, source: Array | None, beside: AllFields) -> Array:  # noqa: ARG002 - of every field
        """The mixed masks."""
        return mix.masks(
            x,
            self.ignore_index,
            num_classes=self.num_classes,
            soft=self.soft,
            channels=self.channels,
            source=source,
        )


@dataclass(frozen=True)
class PerSource:
    """Labels that a loss wants apart, and texts: becomes (those of each source (k, n, ...), their shares (k, n)).

    Of a list of n things of any kind it makes k lists of n.
    """

    def mix(self, mix: Mix, x: Any, source: Any, beside: AllFields) -> tuple[Any, Array]:  # noqa: ARG002 - of every field
        """The labels of each source, and their shares."""
        if not is_list(x):
            return mix.per_source(x, source=source)
        held = _xp.of(mix.index).concrete(mix.index)
        if held is None:
            raise TypeError(
                "per_source: expected an array, or a mix on the host, got a list and a traced mix; mix it outside"
            )
        own, source = list(x), x if source is None else source
        return [own, *([source[row] for row in rows.tolist()] for rows in held[1:])], mix.lam


@dataclass(frozen=True)
class Values:
    """Regression targets or sample weights: averaged by share."""

    def mix(self, mix: Mix, x: Array, source: Array | None, beside: AllFields) -> Array:  # noqa: ARG002 - of every field
        """The averaged values."""
        return mix.values(x, source=source)


@dataclass(frozen=True)
class Keep:
    """What cannot be mixed, texts or ids: kept as the base sample has it."""

    def mix(self, mix: Mix, x: Any, source: Any, beside: AllFields) -> Any:  # noqa: ARG002 - of every field
        """The same values, in fresh memory."""
        return list(x) if isinstance(x, list) else _xp.of(x, "keep").copy(x)


@dataclass(frozen=True)
class Boxes:
    """Boxes of objects, with what belongs to each: all that are to be seen, each with how much of it is.

    A dict of "boxes" and arrays beside them ("labels", "masks", "keypoints", ids), a list of n such dicts or of n
    arrays, or boxes alone. A dict comes back with a "weight" a box, the visible part of it, which is 0 in empty slots.

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
            raise ValueError(f"boxes: expected a dict with 'boxes', got {_quoted(x)}")
        self._check_said(x["boxes"])
        own, of_source = ({} if given is None else dict(given) for given in (x, source))
        boxes, valid = own.pop("boxes"), own.pop("valid", None)
        others = {"source": of_source.pop("boxes", None), "valid_source": of_source.pop("valid", None)}
        mixed = mix.boxes(boxes, own, *self._options, valid=valid, labels_source=of_source or None, **others)
        labels: Mapping[str, Any] = mixed.labels or {}
        named, weight = {"boxes": mixed.boxes, **labels, "valid": mixed.valid}, mixed.weight
        if "weight" in labels:  # it was mixed before
            before = labels["weight"]
            weight = (
                [w * b for w, b in zip(weight, before, strict=True)] if isinstance(weight, list) else weight * before
            )
        return {**{name: named[name] for name in x}, "weight": weight}

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
                f"boxes: expected the same names in every sample, got {_quoted(rows[0])} and {_quoted(row)}"
            )
    return {name: [row[name] for row in rows] for name in rows[0]}


Field: TypeAlias = Images | Labels | Masks | Boxes | Keypoints | PerSource | Values | Keep
Fields: TypeAlias = Mapping[str, str | Field] | Sequence[str | Field | None]

KINDS: dict[str, type[Field]] = {
    **dict.fromkeys(("image", "images", "pixel_values"), Images),
    **dict.fromkeys(("label", "labels"), Labels),
    **dict.fromkeys(("mask", "masks", "segmentation_mask", "segmentation_masks", "foreground"), Masks),
    **dict.fromkeys(("bounding_box", "bounding_boxes"), Boxes),
    "keypoints": Keypoints,
    **dict.fromkeys(("value", "values", "sample_weight", "sample_weights"), Values),
}  #: the names that need no saying
_SAID = {
    **KINDS,
    "boxes": Boxes,
    "keep": Keep,
    "per_source": PerSource,
}  #: what a field can be said to be, beside those


def written(fields: Fields | None) -> Any:
    """What `fields` says in dicts, lists and texts alone, as a configuration file can hold it."""
    if fields is None or isinstance(fields, Mapping):
        return None if fields is None else {name: _written(what) for name, what in fields.items()}
    return [_written(what) for what in fields]


def _written(what: Any) -> Any:
    if not isinstance(what, Field | Rule):
        return what
    if isinstance(what, Rule) and type(what) not in RULES.values():
        raise TypeError(
            f"rule: expected one of ma.label_rules to be saved, got {what!r}; make the layer with fields= anew instead"
        )
    return {"kind": type(what).__name__, **{one.name: _written(getattr(what, one.name)) for one in fields_of(what)}}


def read(fields: Any) -> Any:
    """What `written` made of fields, as fields again; fields themselves stay what they are."""
    if fields is None or isinstance(fields, Mapping):
        return None if fields is None else {name: _read(what) for name, what in fields.items()}
    return [_read(what) for what in fields]


def _read(what: Any) -> Any:
    if not isinstance(what, Mapping):
        return what
    options = {name: _read(value) for name, value in what.items() if name != "kind"}
    return {kind.__name__: kind for kind in (*get_args(Field), *RULES.values())}[what["kind"]](**options)


def arrays(name: str, kind: Field, x: Any) -> dict[str, Array]:
    """The arrays of a field by name, which have to be of the library of all; of lists and texts there are none."""
    if isinstance(kind, (Keep, PerSource)) and is_list(x):
        return {}
    if isinstance(kind, Boxes) and isinstance(x, list):
        return {path: array for i, row in enumerate(x) for path, array in tree.leaves(row, f"{name}/{i}").items()}
    return tree.leaves(x, name)


def is_list(x: Any) -> bool:
    """Whether a field is a list of things, or NumPy's array of texts or objects, which no other library has."""
    return isinstance(x, list) or (isinstance(x, np.ndarray) and x.dtype.kind in "OSU")


def resolve(batch: tree.Tree, fields: Fields | None, num_classes: int | None) -> dict[str, Field]:
    """What each field is, by its path: as `fields` says, or by its name; one that is neither is refused."""
    said = _by_name(batch, fields)
    kinds = _kinds(batch, said, num_classes)
    for name in said:
        if not any(_is_called(path, name) for path in kinds):
            raise ValueError(f"fields: {name!r} is not in the batch, which has {_quoted(kinds)}")
    return kinds


def _by_name(batch: tree.Tree, fields: Fields | None) -> dict[str, str | Field]:
    if fields is None or isinstance(fields, Mapping):
        return dict(fields or {})
    names = [] if isinstance(batch, Mapping) else list(tree.parts(batch) or {})
    if isinstance(fields, str) or len(names) != len(fields):
        raise ValueError(
            f"fields: expected a dict by name, or of a tuple one for each of its {len(names)} parts, got {fields!r}"
        )
    return {name: what for name, what in zip(names, fields, strict=True) if what is not None}


def _kinds(
    batch: tree.Tree, said: Mapping[str, str | Field], num_classes: int | None, name: str = ""
) -> dict[str, Field]:
    what = next((said[called] for called in (name, name.rpartition("/")[2]) if called in said), None)
    held = tree.parts(batch, name)
    if isinstance(batch, Mapping) and _is_of_objects(name, what):
        held = None
    if held is not None and what is None:
        return {
            path: kind
            for child, value in held.items()
            for path, kind in _kinds(value, said, num_classes, child).items()
        }
    if held is not None:
        raise ValueError(
            f"field {name!r}: expected an array to be {what!r}, got {_quoted(held)}; say what each of these is"
        )
    kind = _field(name, what, num_classes)
    return {name: kind}


def _is_of_objects(name: str, what: str | Field | None) -> bool:
    """Whether a dict is one field: what belongs to boxes."""
    known = _SAID.get(what) if isinstance(what, str) else KINDS.get(name.rpartition("/")[2])
    return isinstance(what, Boxes) or known is Boxes


def _field(name: str, what: str | Field | None, num_classes: int | None) -> Field:
    if what is not None and not isinstance(what, str):
        if not isinstance(what, Field):
            raise TypeError(f"field {name!r}: expected what it is, such as 'images' or ma.Images(), got {what!r}")
        kind = what
    else:
        known = (_SAID if what else KINDS).get(what or name.rpartition("/")[2])
        if known is None:
            given = f"said to be {what!r}, which is none of {', '.join(_SAID)}" if what else "neither known nor named"
            raise ValueError(
                f"field {name!r} is {given}; "
                f"pass fields={{{name!r}: 'images'}} (or 'labels', 'masks', 'values', 'keep')"
            )
        kind = known()
    if isinstance(kind, Labels) and kind.num_classes is None:
        return replace(kind, num_classes=num_classes)
    return kind


def _is_called(path: str, name: str) -> bool:
    return path == name or path.endswith(f"/{name}")


def _quoted(names: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, names))
