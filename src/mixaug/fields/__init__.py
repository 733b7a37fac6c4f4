"""What a field of a batch is: a small frozen value that knows how a mix acts on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import fields as fields_of
from functools import reduce
from operator import mul
from typing import Any, NoReturn, TypeAlias, get_args

import numpy as np

from .. import backends, label_rules
from ..backends import Array, Library
from ..core import layout
from ..core.hints import known_options, short
from ..core.regions import Size
from ..core.units import DTYPES, FLOATS, check_integers, plain
from ..label_rules import RULES, Rule
from ..mix import Mix
from ..ops import images, labels
from ..ops.masks import DTYPES as IDS
from ..ops.masks import check_ids
from . import tree

AllFields: TypeAlias = Mapping[str, tuple[Any, Any]]  #: each field's value and its source, by name
Mixer: TypeAlias = Callable[[Mix, Any, Any, AllFields], Any]  #: a field mixed, of its value and its source


@dataclass(frozen=True)
class Images:
    """Images, signals or volumes.

    Args:
        layout: a letter for each axis, in any case: n rows first, then c channels, h, w, d, t, such as "nchw", "nhw",
            "ntchw" for videos, "nc" for rows of a table, which only blends can mix. By default "nhwc", "nchw" in
            PyTorch, unless the shape may mean something else.
        spatial: the axes that a mix is drawn over, such as "thw"; by default those of d, h and w that are there, else
            t. Other axes share the mix: all channels, all frames.
        dtype: what they are to become, such as "float32"; by default they keep theirs.
        scale, offset: a number, or one a channel, as a tuple or an array: output = scale * pixel + offset.
    """

    layout: str | None = None
    spatial: str | None = None
    dtype: Any = None
    scale: Any = None
    offset: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", plain(self.scale))
        object.__setattr__(self, "offset", plain(self.offset))

    def settled(self, name: str, x: Array, like: str = "") -> Images:
        """The same with a layout, by that of a library or `like` where none was said."""
        name, scaled = name or "images", self.scale is not None or self.offset is not None
        axes, _ = layout.of_images(x, self.layout, self.spatial, name, "Images(", like)
        say = f"fields={{{name!r}: ma.Images({{}})}}"
        check_integers(backends.of(x).dtype(x), self.dtype, scaled, name, say)
        return replace(self, layout=axes)

    def size(self, x: Array) -> Size:
        """The spatial size that a mix is drawn for, of settled images."""
        return layout.parse(self.layout or "", self.spatial).size(backends.of(x), x)

    def mixer(self, x: Array) -> Mixer:
        """What mixes settled images of this form."""
        xp, axes = backends.of(x), layout.parse(self.layout or "", self.spatial)
        units = images.in_units(xp, x, axes, self.dtype, self.scale, self.offset)

        def mix(mix: Mix, x: Array, source: Array | None, beside: AllFields) -> Array:  # noqa: ARG001 - of every field
            return mix.mixed_images(xp, x, source, axes, units)

        return mix


@dataclass(frozen=True)
class Labels:
    """Class ids (n,) or (n, 1), or one column a class (n, classes).

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
                f"Labels: expected no num_classes beside binary=True, got {short(self.num_classes)}; leave out one of "
                "them, and say num_classes in the field that it is for, as in ma.Labels(10)"
            )

    def check(self, name: str, x: Any) -> None:
        """Raise a ValueError for an array that has more axes than labels have, such as masks."""
        if backends.find(x) is not None and len(x.shape) > 2:
            _refuse(name, x, "class ids (n,) or (n, 1), or rows (n, classes)")

    def mixer(self, y: Array) -> Mixer:
        """What mixes labels of this form."""
        xp, rule = backends.of(y, "labels"), label_rules.rule(self.rule)
        count = None if self.num_classes is None else labels.check_count(self.num_classes)

        def mix(mix: Mix, y: Array, source: Array | None, beside: AllFields) -> Array:
            guide = (None, None) if rule.guide is None else _guide(beside, rule)
            return labels.mix(xp, y, source, mix.index, rule.weights(mix, *guide), count, rule.greatest, self.binary)

        return mix


def _guide(beside: AllFields, rule: Rule) -> tuple[Any, Any]:
    """The field that a rule depends on, and its source."""
    return beside[find(beside, str(rule.guide), "rule")]


def _guided(labels: Labels, fields: Mapping[str, Any]) -> Labels:
    """Labels whose rule knows the layout of the masks that it depends on."""
    rule = label_rules.rule(labels.rule)
    guide = None if rule.guide is None else fields[find(fields, rule.guide, "rule")]
    return replace(labels, rule=rule.settled(guide.layout, guide.spatial)) if isinstance(guide, Masks) else labels


def find(fields: Mapping[str, Any], name: str, what: str) -> str:
    """The path of the one field of that name."""
    found = [path for path in fields if _is_called(path, name)]
    if len(found) != 1:
        raise ValueError(f"{what}: expected the name of one field, got {name!r}; name one of {quoted(fields)}")
    return found[0]


@dataclass(frozen=True)
class Masks:
    """Class ids of pixels: each of the source that weighs most there, or the shares of the classes.

    Args:
        num_classes: how many classes there are; needed for ids where `soft`.
        ignore_index: the id of pixels that say nothing.
        soft: whether to give float32 shares of the classes, (n, *size, num_classes); of ids, or of floats or bools that
            have one channel a class already. Floats without channels are the share of one class.
        layout: as for `ma.Images`; by default that of the images without channels, or with. Where `soft`, c is the axis
            of the classes, which the masks may come without.
        spatial: as for `ma.Images`.
    """

    num_classes: int | None = None
    ignore_index: int | None = None
    soft: bool = False
    layout: str | None = None
    spatial: str | None = None

    def settled(self, name: str, x: Array, axes: int | None, like: str = "") -> Masks:
        """The same with a layout, for a mix of so many spatial axes; by default two."""
        name, xp = name or "masks", backends.of(x, name)
        axes = 2 if axes is None and not self.layout else axes or 0
        found = layout.of_masks(
            x,
            self.layout,
            self.spatial,
            axes,
            what=name,
            kind="Masks(soft=True, " if self.soft else "Masks(",
            like=like,
            classes=self.num_classes if self.soft else None,
        )
        if not self.soft:
            check_ids(xp.dtype(x), name, f"pass fields={{{name!r}: ma.Masks(soft=True, layout={found.axes!r})}}")
        if not self.soft:
            return replace(self, layout=found.axes)
        return replace(self, layout=layout.with_classes((self.layout or found.axes).lower(), like or xp.layout))

    def size(self, x: Array) -> Size:
        """The spatial size of settled masks."""
        found = layout.of_masks(x, self.layout, self.spatial, 0)
        return found.size(backends.of(x), x)

    def mix(self, mix: Mix, x: Array, source: Array | None, beside: AllFields) -> Array:  # noqa: ARG002 - of every field
        """The mixed masks."""
        return mix.masks(
            x,
            self.ignore_index,
            num_classes=self.num_classes,
            soft=self.soft,
            layout=self.layout,
            spatial=self.spatial,
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
        held = backends.of(mix.index).concrete(mix.index)
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
        return list(x) if isinstance(x, list) else backends.of(x, "keep").copy(x)


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


@dataclass(frozen=True)
class Further:
    """A part that nothing was said of: images where they are like the first ones, or sample weights.

    Args:
        first: the path of the first images, or of the container that holds them.
        weights: whether it may be sample weights.
    """

    first: str
    weights: bool = False


Field: TypeAlias = Images | Labels | Masks | Boxes | Keypoints | PerSource | Values | Keep

for _kind in get_args(Field):
    setattr(_kind, "__init__", known_options()(_kind.__init__))  # noqa: B010 - it is made by `dataclass`

Fields: TypeAlias = Mapping[str, str | Field] | Sequence[str | Field | None] | str | Field

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
    return [_written(what) for what in _listed(fields)]


def _listed(fields: Any) -> Any:
    return [fields] if isinstance(fields, (str, Field)) else fields


def _written(what: Any) -> Any:
    if not isinstance(what, Field | Rule):
        return what
    if isinstance(what, Rule) and type(what) not in RULES.values():
        raise TypeError(
            f"rule: expected one of ma.label_rules to be saved, got {short(what)}; make the layer with fields= anew "
            "instead"
        )
    return {"kind": type(what).__name__, **{one.name: _written(getattr(what, one.name)) for one in fields_of(what)}}


def read(fields: Any) -> Any:
    """What `written` made of fields, as fields again; fields themselves stay what they are."""
    if fields is None or isinstance(fields, Mapping):
        return None if fields is None else {name: _read(what) for name, what in fields.items()}
    return [_read(what) for what in _listed(fields)]


def _read(what: Any) -> Any:
    if not isinstance(what, Mapping):
        return what
    options = {name: _read(value) for name, value in what.items() if name != "kind"}
    return {kind.__name__: kind for kind in (*get_args(Field), *RULES.values())}[what["kind"]](**options)


def arrays(name: str, kind: Field, x: Any) -> dict[str, Array]:
    """The arrays of a field by name, which have to be of the library of all; of lists and texts there are none."""
    if isinstance(kind, (Keep, PerSource)) and is_list(x):
        return {}
    rows = enumerate(x) if isinstance(kind, Boxes) and isinstance(x, list) else ()
    held = {path: value for i, row in rows for path, value in tree.columns(row, f"{name}/{i}").items()}
    held = held or tree.columns(x, name)
    if not isinstance(kind, Boxes):
        return held
    each = {f"{path}/{i}": y for path, x in held.items() for i, y in enumerate(x if isinstance(x, list) else [x])}
    return {path: x for path, x in each.items() if backends.find(x) is not None or path.split("/")[-2] == "boxes"}


def is_list(x: Any) -> bool:
    """Whether a field is a list of things, or NumPy's array of texts or objects, which no other library has."""
    return isinstance(x, list) or (isinstance(x, np.ndarray) and x.dtype.kind in "OSU")


def resolve(batch: tree.Tree, fields: Fields | None, num_classes: int | None) -> dict[str, Any]:
    """What each field is, by its path: as `fields` says, or by its name; one that is neither is refused.

    Parts of which only their arrays can say what they are come as `Further`; `settle` looks at those.
    """
    said = _by_name(batch, fields)
    try:
        kinds = _kinds(batch, said, num_classes)
    except RecursionError:
        raise ValueError(
            "batch: expected dicts and tuples of finite depth, got one that contains itself; remove that entry"
        ) from None
    for name in said:
        if not any(_is_called(path, name) or path.startswith(f"{name}/") for path in kinds):
            raise ValueError(
                f"fields: expected names among {quoted(kinds)}, the batch's fields, got {name!r}; correct the name"
            )
    return kinds


def _by_name(batch: tree.Tree, fields: Fields | None) -> dict[str, str | Field]:
    parts = tree.parts(batch)
    if fields is None or (isinstance(fields, Mapping) and parts is not None):
        return dict(fields or {})
    names = [""] if parts is None else [] if isinstance(batch, Mapping) else list(parts)
    listed = list(fields.values()) if isinstance(fields, Mapping) else _listed(fields)
    if not isinstance(listed, (tuple, list)) or len(names) != len(listed):
        expected = "a dict by name" if not names else f"a dict by name, or one for each of the {len(names)} parts"
        raise ValueError(
            f"fields: expected {expected}, got {short(fields)}; pass a dict, such as {{'images': 'images'}}"
        )
    return {name: what for name, what in zip(names, listed, strict=True) if what is not None}


def _kinds(
    batch: tree.Tree, said: Mapping[str, str | Field], num_classes: int | None, name: str = "", of_all: Any = None
) -> dict[str, Any]:
    what = next((said[called] for called in (name, name.rpartition("/")[2]) if called in said), of_all)
    held = None if _is_leaf(batch, name, what) else tree.parts(batch, name)
    if held is None:
        return {name: _field(name, what, num_classes, batch)}
    if not held:
        raise ValueError(
            f"field {name!r}: expected an array, got an empty {type(batch).__name__}; leave it out of the batch"
        )
    if what is not None and isinstance(batch, Mapping):
        raise ValueError(
            f"field {name!r}: expected an array to be {short(what)}, got {quoted(held)}; say what each of these is"
        )
    in_order = not isinstance(batch, Mapping)
    kinds: dict[str, Any] = {}
    for at, (path, value) in enumerate(held.items()):
        guess = what
        if what is None and in_order and not isinstance(value, Mapping) and not _is_said(path, said):
            guess = _by_place(path, value, at == len(tree.POSITIONS) - 1 == len(held) - 1)
        for found, kind in _kinds(value, said, num_classes, path, guess).items():
            if found in kinds:
                raise ValueError(f"batch: expected one field for each path, got two of {found!r}; rename one")
            kinds[found] = kind
    return kinds


def _is_said(path: str, said: Mapping[str, Any]) -> bool:
    return path in said or path.rpartition("/")[2] in said


def _by_place(path: str, value: Any, is_third: bool) -> Images | Further | None:
    """What a part of a tuple is by its place: of images, or the third one of the batch."""
    if "/" not in path:
        return Further("images", weights=True) if is_third else None
    root = re.sub(r"(/\d+)+$", "", path)
    if KINDS.get(root.rpartition("/")[2]) is not Images or tree.parts(value, path) is not None:
        return None
    return Further(root) if path[len(root) :].strip("/0") else Images()


def _is_leaf(batch: tree.Tree, name: str, what: Any) -> bool:
    """Whether a container is one field: a dict or a list of what belongs to boxes, or a list of things to be kept."""
    if isinstance(batch, list):
        return bool(name) and (_is_of_objects(name, what) or _is_a(what, (Keep, PerSource)))
    return isinstance(batch, Mapping) and _is_of_objects(name, what)


def _is_a(what: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(what, kinds) or (isinstance(what, str) and _SAID.get(what) in kinds)


def settle(kinds: Mapping[str, Any], held: Mapping[str, Any], like: str = "") -> tuple[dict[str, Field], Size]:
    """What each field is, with the layout of each settled; and the size that a mix of them is drawn for.

    Args:
        kinds: what `resolve` found.
        held: the values.
        like: "nhwc" or "nchw", in place of the library's own layout.
    """
    fields: dict[str, Any] = {}
    for name, kind in kinds.items():
        kind = _further(name, kind, held, fields) if isinstance(kind, Further) else kind
        fields[name] = kind.settled(name, held[name], like) if isinstance(kind, Images) else kind
        if isinstance(kind, Labels):
            kind.check(name, held[name])
    sizes = [kind.size(held[name]) for name, kind in fields.items() if isinstance(kind, Images)]
    axes = len(sizes[0]) if sizes else None
    for name, kind in fields.items():
        if isinstance(kind, Masks):
            fields[name] = kind.settled(name, held[name], axes, like)
            sizes.append(fields[name].size(held[name]))
    fields = {name: _guided(kind, fields) if isinstance(kind, Labels) else kind for name, kind in fields.items()}
    if not sizes:
        raise ValueError(f"expected an image field to draw for, got {quoted(held)}; name one in fields=")
    return fields, sizes[0]


def _further(name: str, further: Further, held: Mapping[str, Any], fields: Mapping[str, Any]) -> Field:
    """What a part is that nothing was said of; a ValueError where it may be several things."""
    x, xp = held[name], backends.find(held[name])
    paths = (path for path in fields if path == further.first or path.startswith(f"{further.first}/"))
    of_first = next(paths, further.first)
    first = fields.get(of_first)
    if xp is not None:
        if further.weights and xp.dtype(x) in FLOATS and _is_column(x):
            return Values()
        if isinstance(first, Images) and _is_like(xp, x, held[of_first], first):
            return first
    what = "sample weights, floats (n,) or (n, 1), or images" if further.weights else "images"
    return _refuse(name, x, f"{what} like {of_first!r}, floats with three channels")


def _refuse(name: str, x: Any, expected: str) -> NoReturn:
    """Raise a ValueError for a part of a batch that is not what it should be, which says what it may be."""
    xp = backends.find(x)
    came = f"{xp.dtype(x)} of the shape {tuple(x.shape)}" if xp else type(x).__name__
    raise ValueError(f"{name}: expected {expected}, got {came}; say what it is: {_ways(name, x)}")


def _ways(name: str, x: Any) -> str:
    """How to say what a part of a batch is, the likely reading first."""
    likely, *others = _readings(x)
    return f"pass fields={{{name!r}: {likely}}} (or {', '.join(others)})"


def _readings(x: Any) -> list[str]:
    """What a part of a batch may be said to be, as code."""
    xp, numbers = backends.find(x), ["'values'", "'keep'"]
    if is_list(x):
        return ["'keep'", "'per_source'"]
    if xp is None:
        return ["'images'", "'labels'", "'masks'", *numbers]
    dtype, axes = xp.dtype(x), len(x.shape)
    if axes < 3:
        return ["'labels'", *numbers] if dtype in IDS else ["'values'", "'labels'", "'keep'"]
    images = [] if dtype not in DTYPES else ["ma.Images(layout='nhw')" if axes == 3 else "'images'"]
    if dtype not in IDS:
        return [*images, f"ma.Masks(soft=True, layout={xp.layout!r})" if axes == 4 else "ma.Masks(soft=True)", *numbers]
    colours = axes == 4 and 3 in (x.shape[1], x.shape[-1])
    return [*images, "'masks'", *numbers] if images and colours else ["'masks'", *images, *numbers]


def _is_column(x: Array) -> bool:
    return len(x.shape) == 1 or (len(x.shape) == 2 and x.shape[1] == 1)


def _is_like(xp: Library, x: Array, first: Array, kind: Images) -> bool:
    """Whether an array is images like others, floats with three channels: no mask and no target is."""
    axes = layout.parse(kind.layout or "", kind.spatial)
    plain = kind == Images(kind.layout, kind.spatial)
    same = plain and backends.find(first) == xp and xp.dtype(x) == xp.dtype(first) and len(x.shape) == len(axes.axes)
    return same and xp.dtype(x) in FLOATS and "c" in axes.axes and axes.channels(x) == 3


def _is_of_objects(name: str, what: str | Field | None) -> bool:
    """Whether a dict is one field: what belongs to boxes."""
    return _is_a(what, (Boxes,)) or (what is None and KINDS.get(name.rpartition("/")[2]) is Boxes)


def _field(name: str, what: Any, num_classes: int | None, x: Any) -> Any:
    if not name and what is None:
        return Images()
    if what is not None and not isinstance(what, str):
        if not isinstance(what, Field | Further):
            came = f"the class {what.__name__}; write {what.__name__}()" if isinstance(what, type) else short(what)
            way_out = "" if isinstance(what, type) else "; pass such as 'images' or ma.Images()"
            raise TypeError(f"field {name!r}: expected its kind, got {came}{way_out}")
        kind = what
    else:
        known = (_SAID if what else KINDS).get(what or name.rpartition("/")[2])
        if known is None:
            expected = f"one of {', '.join(_SAID)}" if what else "a known name, or what it is in fields="
            raise ValueError(
                f"field {name!r}: expected {expected}, got {short(what) if what else 'neither'}; {_ways(name, x)}"
            )
        kind = known()
    if isinstance(kind, Labels) and kind.num_classes is None:
        return replace(kind, num_classes=num_classes)
    return kind


def _is_called(path: str, name: str) -> bool:
    return path == name or path.endswith(f"/{name}")


def quoted(names: Iterable[str]) -> str:
    """Names of fields for a sentence; that of a single array is empty."""
    return ", ".join(repr(name) if name else "an array without a name" for name in names)
