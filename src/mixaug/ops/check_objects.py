"""What objects and their labels have to be."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from numbers import Integral, Real

from .. import backends
from ..backends import Array, Library
from ..core.hints import short
from ..core.regions import Size
from . import rows
from .labels import FLOATS
from .objects import FORMATS, MOST, ObjectData, ObjectLimits, is_ragged, labels_by_name, named

# --- what is refused ---


def check_lists(xp: Library, x: list[Array], beside: ObjectData, index: Array) -> None:
    """Refuse lists of objects that do not fit the mix or one another."""
    given = named("boxes", x, beside).values()
    if any(xp.concrete(array) is None for array in (index, *given)):
        raise TypeError(
            "boxes: expected lists of arrays that lie on the host, got traced ones or ones on an accelerator; "
            "pad them to (n, m, ...) first"
        )
    n = index.shape[1]
    for name, own, of in [
        ("boxes", x, x),
        *((name, y, x) for name, y in labels_by_name(beside.labels).items()),
        ("valid", beside.valid, x),
        *((f"{name} of the source", y, beside.source) for name, y in labels_by_name(beside.labels_source).items()),
        ("source", beside.source, beside.source),
        ("valid_source", beside.valid_source, beside.source),
    ]:
        if own is None:
            continue
        if not is_ragged(own):
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


def check_format(format: str) -> None:  # noqa: A002
    """Refuse an unknown format of boxes."""
    if format not in FORMATS:
        near = get_close_matches(str(format), FORMATS, n=1, cutoff=0.5)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"boxes format: expected one of {', '.join(FORMATS)}, got {short(format)}{hint}")


def check_limits(keep: ObjectLimits, what: str) -> None:
    """Refuse limits that are not numbers in their range."""
    least, most = keep
    if isinstance(least, bool) or not isinstance(least, Real) or not 0 <= least <= 1:
        raise ValueError(f"min_visibility: expected a number in 0..1, got {short(least)}")
    if most is not None and (isinstance(most, bool) or not isinstance(most, Integral) or not 0 < most <= MOST):
        raise ValueError(
            f"max_{what}: expected a whole number of 1 or more and at most {MOST}, or None, got {short(most)}"
        )


def check_boxes(xp: Library, x: Array, size: Size) -> None:
    """Refuse boxes of another shape or dtype."""
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


def check_points(xp: Library, x: Array, size: Size) -> None:
    """Refuse keypoints of another shape or dtype."""
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


def check_masks(xp: Library, x: Array, size: Size) -> None:
    """Refuse instance masks of another shape or dtype."""
    if xp.dtype(x) != "bool":
        raise TypeError(f"masks of instances: expected bools, got {xp.dtype(x)}; compare them first, as in m != 0")
    shape = tuple(x.shape)
    given = zip(shape[2:], size, strict=False)
    if len(shape) != len(size) + 2 or any(isinstance(b, int) and a not in (b, None) for a, b in given):
        raise ValueError(
            f"masks of instances: expected (n, m, *size) of the size {size} that the mix was drawn for, "
            f"got the shape {shape}; resize them first"
        )


def check_beside(xp: Library, what: str, x: Array, beside: ObjectData, index: Array, size: Size) -> None:
    """Refuse labels that are not one an object, or without those of the source."""
    rows.check(xp, x, beside.source, index, what)
    sources = labels_by_name(beside.labels_source)
    by_name = isinstance(beside.labels, Mapping)
    given = {
        name: (y, sources.get(name), f"labels_source[{name!r}]" if by_name else "labels_source")
        for name, y in labels_by_name(beside.labels).items()
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
        check_masks(xp, labels["masks"], size)
    if "keypoints" in labels:
        check_points(xp, labels["keypoints"], size)
        if len(labels["keypoints"].shape) != 4 or labels["keypoints"].shape[-1] == len(size):
            raise ValueError(
                f"keypoints: expected (n, m, K, {len(size) + 1}) beside boxes, with a column of visibility that says "
                f"which are hidden, got the shape {tuple(labels['keypoints'].shape)}; add a column of ones"
            )


def _may_be(one: int | None, other: int | None) -> bool:
    return one is None or other is None or one == other
