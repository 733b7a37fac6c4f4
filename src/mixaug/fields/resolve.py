"""Which kind of field each part of a batch is: by `fields=`, by its name, or by its position."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias, get_args

from .. import backends
from ..backends import Array, Library
from ..core import layout
from ..core.hints import known_options, short
from ..core.regions import Size
from ..core.units import FLOATS
from . import tree
from .guide import Guide
from .kinds import Images, Keep, Labels, Masks, PerSource, Values, guided
from .objects import Boxes, Keypoints
from .readings import is_called, is_list, quoted, refuse, ways_out


@dataclass(frozen=True)
class Further:
    """An undeclared part of a tuple: images if it is like the first ones, or sample weights.

    Args:
        first: the path of the first images, or of the container around them.
        weights: whether it may be sample weights.
    """

    first: str
    weights: bool = False


Field: TypeAlias = Images | Labels | Masks | Boxes | Keypoints | PerSource | Values | Keep | Guide

for _kind in get_args(Field):
    setattr(_kind, "__init__", known_options()(_kind.__init__))  # noqa: B010 - `dataclass` made it

Fields: TypeAlias = Mapping[str, str | Field] | Sequence[str | Field | None] | str | Field

KINDS: dict[str, Callable[[], Field]] = {
    **dict.fromkeys(("image", "images", "pixel_values"), Images),
    **dict.fromkeys(("label", "labels"), Labels),
    **dict.fromkeys(("mask", "masks", "segmentation_mask", "segmentation_masks", "foreground"), Masks),
    **dict.fromkeys(("bounding_box", "bounding_boxes"), Boxes),
    "keypoints": Keypoints,
    **dict.fromkeys(("value", "values", "sample_weight", "sample_weights"), Values),
    "saliency": Guide,
    "instances": partial(Guide, "instances"),
}  #: the kinds of fields with well-known names
_DECLARED = {
    **KINDS,
    "boxes": Boxes,
    "keep": Keep,
    "per_source": PerSource,
}  #: the names of kinds in `fields=`


def as_list(fields: Any) -> Any:
    """Return a single field as a list of one."""
    return [fields] if isinstance(fields, (str, Field)) else fields


def arrays(name: str, kind: Field, x: Any) -> dict[str, Array]:
    """Return the arrays of a field by path, which must belong to the batch's library; lists and texts have none."""
    if isinstance(kind, (Keep, PerSource)) and is_list(x):
        return {}
    rows = enumerate(x) if isinstance(kind, Boxes) and isinstance(x, list) else ()
    values = {path: value for i, row in rows for path, value in tree.columns(row, f"{name}/{i}").items()}
    values = values or tree.columns(x, name)
    if not isinstance(kind, Boxes):
        return values
    each = {f"{path}/{i}": y for path, x in values.items() for i, y in enumerate(x if isinstance(x, list) else [x])}
    return {path: x for path, x in each.items() if backends.find(x) is not None or path.split("/")[-2] == "boxes"}


def resolve(batch: tree.Tree, fields: Fields | None, num_classes: int | None) -> dict[str, Any]:
    """Return the kind of each field by path: as declared in `fields`, or by its name; others raise an error.

    Parts whose kind depends on their arrays become `Further`, which `settle` resolves.
    """
    declared = _by_name(batch, fields)
    try:
        kinds = _kinds(batch, declared, num_classes)
    except RecursionError:
        raise ValueError(
            "batch: expected dicts and tuples of finite depth, got one that contains itself; remove that entry"
        ) from None
    for name in declared:
        if not any(is_called(path, name) or path.startswith(f"{name}/") for path in kinds):
            raise ValueError(
                f"fields: expected names among {quoted(kinds)}, the batch's fields, got {name!r}; correct the name"
            )
    return kinds


def _by_name(batch: tree.Tree, fields: Fields | None) -> dict[str, str | Field]:
    parts = tree.parts(batch)
    if fields is None or (isinstance(fields, Mapping) and parts is not None):
        return dict(fields or {})
    names = [""] if parts is None else [] if isinstance(batch, Mapping) else list(parts)
    listed = list(fields.values()) if isinstance(fields, Mapping) else as_list(fields)
    if not isinstance(listed, (tuple, list)) or len(names) != len(listed):
        expected = "a dict by name" if not names else f"a dict by name, or one for each of the {len(names)} parts"
        raise ValueError(
            f"fields: expected {expected}, got {short(fields)}; pass a dict, such as {{'images': 'images'}}"
        )
    return {name: what for name, what in zip(names, listed, strict=True) if what is not None}


def _kinds(
    batch: tree.Tree, declared: Mapping[str, str | Field], num_classes: int | None, name: str = "", of_all: Any = None
) -> dict[str, Any]:
    what = next((declared[called] for called in (name, name.rpartition("/")[2]) if called in declared), of_all)
    values = None if _is_leaf(batch, name, what) else tree.parts(batch, name)
    if values is None:
        return {name: _field(name, what, num_classes, batch)}
    if not values:
        raise ValueError(
            f"field {name!r}: expected an array, got an empty {type(batch).__name__}; leave it out of the batch"
        )
    if what is not None and isinstance(batch, Mapping):
        raise ValueError(
            f"field {name!r}: expected an array to be {short(what)}, got {quoted(values)}; say what each of these is"
        )
    in_order = not isinstance(batch, Mapping)
    kinds: dict[str, Any] = {}
    for at, (path, value) in enumerate(values.items()):
        guess = what
        if what is None and in_order and not isinstance(value, Mapping) and not _is_declared(path, declared):
            guess = _by_place(path, value, at == len(tree.POSITIONS) - 1 == len(values) - 1)
        for found, kind in _kinds(value, declared, num_classes, path, guess).items():
            if found in kinds:
                raise ValueError(f"batch: expected one field for each path, got two of {found!r}; rename one")
            kinds[found] = kind
    return kinds


def _is_declared(path: str, declared: Mapping[str, Any]) -> bool:
    return path in declared or path.rpartition("/")[2] in declared


def _by_place(path: str, value: Any, is_third: bool) -> Images | Further | None:
    """Return the kind of an undeclared part of a tuple by its position: among images, or third in the batch."""
    if "/" not in path:
        return Further("images", weights=True) if is_third else None
    root = re.sub(r"(/\d+)+$", "", path)
    if KINDS.get(root.rpartition("/")[2]) is not Images or tree.parts(value, path) is not None:
        return None
    return Further(root) if path[len(root) :].strip("/0") else Images()


def _is_leaf(batch: tree.Tree, name: str, what: Any) -> bool:
    """Return whether a container is one field: boxes with their labels, or a list that is kept."""
    if isinstance(batch, list):
        return bool(name) and (_is_of_objects(name, what) or _is_a(what, (Keep, PerSource)))
    return isinstance(batch, Mapping) and _is_of_objects(name, what)


def _is_a(what: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(what, kinds) or (isinstance(what, str) and _DECLARED.get(what) in kinds)


def settle(kinds: Mapping[str, Any], values: Mapping[str, Any], like: str = "") -> tuple[dict[str, Field], Size]:
    """Determine the layout of each field, and the spatial size that a mix is drawn for.

    Args:
        kinds: the result of `resolve`.
        values: the values of the fields.
        like: "nhwc" or "nchw", in place of the library's default layout.
    """
    fields: dict[str, Any] = {}
    for name, kind in kinds.items():
        kind = _further(name, kind, values, fields) if isinstance(kind, Further) else kind
        fields[name] = kind.settled(name, values[name], like) if isinstance(kind, Images) else kind
        if isinstance(kind, Labels):
            kind.check(name, values[name])
    sizes = [kind.size(values[name]) for name, kind in fields.items() if isinstance(kind, Images)]
    axes = len(sizes[0]) if sizes else None
    for name, kind in fields.items():
        if isinstance(kind, (Masks, Guide)):
            fields[name] = kind.settled(name, values[name], axes, like)
        if isinstance(kind, Masks):
            sizes.append(fields[name].size(values[name]))
    fields = {name: guided(kind, fields) if isinstance(kind, Labels) else kind for name, kind in fields.items()}
    if not sizes:
        raise ValueError(f"expected an image field to draw for, got {quoted(values)}; name one in fields=")
    return fields, sizes[0]


def _further(name: str, further: Further, values: Mapping[str, Any], fields: Mapping[str, Any]) -> Field:
    """Return the kind of an undeclared part; raise a ValueError if it is ambiguous."""
    x, xp = values[name], backends.find(values[name])
    paths = (path for path in fields if path == further.first or path.startswith(f"{further.first}/"))
    of_first = next(paths, further.first)
    first = fields.get(of_first)
    if xp is not None:
        if further.weights and xp.dtype(x) in FLOATS and _is_column(x):
            return Values()
        if isinstance(first, Images) and _is_like(xp, x, values[of_first], first):
            return first
    what = "sample weights, floats (n,) or (n, 1), or images" if further.weights else "images"
    return refuse(name, x, f"{what} like {of_first!r}, floats with three channels")


def _is_column(x: Array) -> bool:
    return len(x.shape) == 1 or (len(x.shape) == 2 and x.shape[1] == 1)


def _is_like(xp: Library, x: Array, first: Array, kind: Images) -> bool:
    """Return whether an array is like the first images: floats with three channels, which masks and targets are not."""
    axes = layout.parse(kind.layout or "", kind.spatial)
    plain = kind == Images(kind.layout, kind.spatial)
    same = plain and backends.find(first) == xp and xp.dtype(x) == xp.dtype(first) and len(x.shape) == len(axes.axes)
    return same and xp.dtype(x) in FLOATS and "c" in axes.axes and axes.channels(x) == 3


def _is_of_objects(name: str, what: str | Field | None) -> bool:
    """Return whether a dict is one field: boxes with their labels."""
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
        known = (_DECLARED if what else KINDS).get(what or name.rpartition("/")[2])
        if known is None:
            expected = f"one of {', '.join(_DECLARED)}" if what else "a known name, or what it is in fields="
            raise ValueError(
                f"field {name!r}: expected {expected}, got {short(what) if what else 'neither'}; {ways_out(name, x)}"
            )
        kind = known()
    if isinstance(kind, Labels) and kind.num_classes is None:
        return replace(kind, num_classes=num_classes)
    return kind
