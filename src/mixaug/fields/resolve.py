"""Which kind of field each part of a batch is: by `fields=`, by its name, or by its place."""

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
    """A part that nothing was said of: images where they are like the first ones, or sample weights.

    Args:
        first: the path of the first images, or of the container that holds them.
        weights: whether it may be sample weights.
    """

    first: str
    weights: bool = False


Field: TypeAlias = Images | Labels | Masks | Boxes | Keypoints | PerSource | Values | Keep | Guide

for _kind in get_args(Field):
    setattr(_kind, "__init__", known_options()(_kind.__init__))  # noqa: B010 - it is made by `dataclass`

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
}  #: the names that need no saying
_SAID = {
    **KINDS,
    "boxes": Boxes,
    "keep": Keep,
    "per_source": PerSource,
}  #: what a field can be said to be, beside those


def as_list(fields: Any) -> Any:
    """Return `fields` as a list where it is one field alone."""
    return [fields] if isinstance(fields, (str, Field)) else fields


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
        if isinstance(kind, (Masks, Guide)):
            fields[name] = kind.settled(name, held[name], axes, like)
        if isinstance(kind, Masks):
            sizes.append(fields[name].size(held[name]))
    fields = {name: guided(kind, fields) if isinstance(kind, Labels) else kind for name, kind in fields.items()}
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
    return refuse(name, x, f"{what} like {of_first!r}, floats with three channels")


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
                f"field {name!r}: expected {expected}, got {short(what) if what else 'neither'}; {ways_out(name, x)}"
            )
        kind = known()
    if isinstance(kind, Labels) and kind.num_classes is None:
        return replace(kind, num_classes=num_classes)
    return kind
