"""Validation of objects and their labels."""

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
from .objects import FORMATS, MOST, ObjectData, ObjectLimits, arrays_by_name, is_ragged, labels_by_name


def check_lists(xp: Library, x: list[Array], data: ObjectData, index: Array) -> None:
    """Refuse lists of objects that do not fit the mix or each other."""
    arrays = arrays_by_name("boxes", x, data).values()
    if any(xp.concrete(array) is None for array in (index, *arrays)):
        raise TypeError(
            "boxes: expected lists of arrays on the host, got arrays that are traced or on an accelerator; "
            "pad them to (n, m, ...) first"
        )
    n = index.shape[1]
    for name, samples, of in [
        ("boxes", x, x),
        *((name, y, x) for name, y in labels_by_name(data.labels).items()),
        ("valid", data.valid, x),
        *((f"{name} of the source", y, data.source) for name, y in labels_by_name(data.labels_source).items()),
        ("source", data.source, data.source),
        ("valid_source", data.valid_source, data.source),
    ]:
        if samples is None:
            continue
        if not is_ragged(samples):
            raise TypeError(
                f"{name}: expected a list, like the boxes, got an array; pass both as lists, or both padded"
            )
        if of is x and len(samples) != n:
            raise ValueError(
                f"{name}: expected {n} arrays, one for each output of the mix, got {len(samples)}; "
                "pass one for each sample"
            )
        if of is not None and len(samples) != len(of):
            raise ValueError(
                f"{name}: expected {len(of)} arrays, one for each row of the source, got {len(samples)}; "
                "pass one for each sample"
            )
        _check_alike(xp, samples, name)
        counts = [(sample.shape[0], boxes.shape[0]) for sample, boxes in zip(samples, of or samples, strict=True)]
        if any(a != b for a, b in counts):
            raise ValueError(
                f"{name}: expected one for each box, got ({name}, boxes) {counts}; pass as many as there are boxes"
            )


def _check_alike(xp: Library, samples: list[Array], name: str) -> None:
    """Refuse arrays of a list that cannot be padded to the same shape."""
    for x in samples:
        if backends.find(x) is None:
            raise TypeError(
                f"{name}: expected a list of arrays, one for each sample, got {type(x).__name__} among them; pass an "
                "array without rows for a sample without objects"
            )
        _check_dtype(xp, x, name)
    kinds = sorted({f"{xp.dtype(x)} (m_i{''.join(f', {length}' for length in x.shape[1:])})" for x in samples})
    if len(kinds) > 1 or not all(len(x.shape) for x in samples):
        raise TypeError(
            f"{name}: expected arrays (m_i, ...) that have the same dtype and differ only in m_i, got "
            f"{', '.join(kinds)}; convert them to the same dtype and shape"
        )


def _check_dtype(xp: Library, x: Array, name: str) -> None:
    dtype = xp.dtype(x)
    if dtype not in (*FLOATS, "bool") and "int" not in dtype:
        raise TypeError(f"{name}: expected numbers or bools, got {dtype}; pass integer ids instead")


def check_format(format: str) -> None:  # noqa: A002
    """Refuse an unknown format of boxes."""
    if format not in FORMATS:
        matches = get_close_matches(str(format), FORMATS, n=1, cutoff=0.5)
        hint = f", did you mean {matches[0]!r}?" if matches else ""
        raise ValueError(f"boxes format: expected one of {', '.join(FORMATS)}, got {short(format)}{hint}")


def check_limits(keep: ObjectLimits, what: str) -> None:
    """Refuse limits that are not numbers or out of range."""
    least, most = keep
    if isinstance(least, bool) or not isinstance(least, Real) or not 0 <= least <= 1:
        raise ValueError(f"min_visibility: expected a number in 0..1, got {short(least)}")
    if most is not None and (isinstance(most, bool) or not isinstance(most, Integral) or not 0 < most <= MOST):
        raise ValueError(f"max_{what}: expected an integer in 1..{MOST}, or None, got {short(most)}")


def check_boxes(xp: Library, x: Array, size: Size) -> None:
    """Refuse boxes of the wrong shape or dtype."""
    _check_numbers(xp, x, "boxes")
    shape, numbers = tuple(x.shape), 2 * len(size)
    if len(shape) != 3 or shape[2] != numbers:
        if len(shape) == 3 and len(size) == 2 and shape[2] in (5, 8):
            raise ValueError(
                f"boxes: expected 4 numbers per box, got {shape[2]}, as for rotated boxes, which are not supported; "
                "pass their axis-aligned bounding boxes"
            )
        raise ValueError(
            f"boxes: expected (n, m, {numbers}) for images of {len(size)} spatial axes, got the shape {shape}; "
            "pad the boxes of each sample with -1, or pass a list of arrays"
        )


def check_points(xp: Library, x: Array, size: Size) -> None:
    """Refuse keypoints of the wrong shape or dtype."""
    _check_numbers(xp, x, "keypoints")
    axes, shape = len(size), tuple(x.shape)
    if len(shape) not in (3, 4) or shape[-1] not in (axes, axes + 1):
        raise ValueError(
            f"keypoints: expected (n, m, {axes}) or (n, m, K, {axes}), or {axes + 1} numbers with the visibility, "
            f"for images of {axes} spatial axes, got the shape {shape}; pad the keypoints of each sample with -1"
        )


def _check_numbers(xp: Library, x: Array, what: str) -> None:
    if xp.dtype(x) not in FLOATS and "int" not in xp.dtype(x):
        raise TypeError(f"{what}: expected numbers, got {xp.dtype(x)}; convert them to float32 first")


def check_masks(xp: Library, x: Array, size: Size) -> None:
    """Refuse instance masks of the wrong shape or dtype."""
    if xp.dtype(x) != "bool":
        raise TypeError(f"masks of instances: expected bools, got {xp.dtype(x)}; compare them first, as in m != 0")
    shape = tuple(x.shape)
    pairs = zip(shape[2:], size, strict=False)
    if len(shape) != len(size) + 2 or any(isinstance(b, int) and a not in (b, None) for a, b in pairs):
        raise ValueError(
            f"masks of instances: expected (n, m, *size) of the size {size} that the mix was drawn for, "
            f"got the shape {shape}; resize them first"
        )


def check_data(xp: Library, what: str, x: Array, data: ObjectData, index: Array, size: Size) -> None:
    """Refuse labels without a row for each object, and labels without those of the source."""
    rows.check(xp, x, data.source, index, what)
    sources = labels_by_name(data.labels_source)
    by_name = isinstance(data.labels, Mapping)
    fields = {
        name: (y, sources.get(name), f"labels_source[{name!r}]" if by_name else "labels_source")
        for name, y in labels_by_name(data.labels).items()
    }
    if data.valid is not None:
        fields["valid"] = data.valid, data.valid_source, "valid_source"
    for name, (y, of_source, option) in fields.items():
        if (of_source is None) != (data.source is None):
            missing = option if of_source is None else "source"
            raise ValueError(f"{name}: expected source and {option} together, got no {missing}; pass both")
        if len(y.shape) < 2 or not _may_equal(y.shape[1], x.shape[1]):
            raise ValueError(
                f"{name}: expected one for each of the {what}, (n, {x.shape[1]}, ...), got the shape {tuple(y.shape)}"
            )
        _check_dtype(xp, y, name)
        rows.check(xp, y, of_source, index, name)
    if isinstance(data.labels, Mapping):
        _check_spatial_labels(xp, data.labels, size)


def _check_spatial_labels(xp: Library, labels: Mapping[str, Array], size: Size) -> None:
    if "masks" in labels:
        check_masks(xp, labels["masks"], size)
    if "keypoints" in labels:
        check_points(xp, labels["keypoints"], size)
        if len(labels["keypoints"].shape) != 4 or labels["keypoints"].shape[-1] == len(size):
            raise ValueError(
                f"keypoints: expected (n, m, K, {len(size) + 1}) together with boxes, with visibility as the last "
                f"column, got the shape {tuple(labels['keypoints'].shape)}; add a column of ones"
            )


def _may_equal(a: int | None, b: int | None) -> bool:
    return a is None or b is None or a == b
