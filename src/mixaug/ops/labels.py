"""Mix class labels: each source's classes, weighted by lam."""

from __future__ import annotations

import operator
from functools import partial, reduce

import numpy as np

from .. import backends, kernels
from ..backends import Array, Library
from ..core.hints import short
from . import rows, values

_NARROW = ("int8", "uint8", "int16", "int32")  #: ids of other dtypes are compared in int64
FLOATS = ("float16", "bfloat16", "float32", "float64")
MAX_CLASSES = 2**24  #: beyond this, a row of weights would be larger than an image
TOLERANCE = {"float16": 0.01, "bfloat16": 0.05}  #: how far rounding may exceed 1; 0.001 for other dtypes
#: The largest integer up to which every integer is exact.
_EXACT = {"bfloat16": 2**8, "float16": 2**11, "float32": 2**24, "float64": 2**53}


def mix(
    xp: Library,
    y: Array,
    source: Array | None,
    index: Array,
    weights: Array,
    num_classes: int | None,
    greatest: bool = False,
    binary: bool = False,
) -> Array:
    """Return sum_k weights[k] * row(y[index[k]]), or with `greatest` the maximum over k.

    The result is (n, classes), float32, or float64 for float64 rows.
    """
    check = partial(_check, xp, y, source, index, num_classes, binary)
    general = greatest or binary or xp.dtype(y) in FLOATS
    mixed = None if general else kernels.labels(xp, y, source, index, weights, num_classes, check)
    if mixed is not None:
        return mixed
    check()
    num_classes = None if num_classes is None else check_count(num_classes)
    index, weights = backends.to_each(xp, [index, weights])
    parts = rows.gather(xp, y, source, index)
    if binary:
        parts = [_column(xp, part) for part in parts]
    elif are_ids(y, num_classes):
        parts = [_one_hot(xp, part, num_classes or 0) for part in parts]
    else:
        for part in parts:
            _check_rows(xp, part)
    precision = "float64" if xp.dtype(parts[0]) == "float64" else "float32"
    parts = [xp.cast(part, precision) for part in parts]
    if not greatest:
        return values.weighted(xp, parts, weights, precision)
    return reduce(xp.maximum, [rows.over(xp.cast(weights[j], precision), part) * part for j, part in enumerate(parts)])


def are_ids(y: Array, num_classes: int | None) -> bool:
    """Whether labels are class ids, (n,) or (n, 1), rather than a column for each class."""
    return len(y.shape) == 1 or (len(y.shape) == 2 and y.shape[1] == 1 and num_classes not in (None, 1))


def _one_hot(xp: Library, ids: Array, num_classes: int) -> Array:
    """Return one-hot rows of class ids, float32 (n, num_classes); traced ids out of range give NaN."""
    if xp.dtype(ids) in FLOATS:
        ids = _whole(xp, ids)
    check_ids(xp, ids, num_classes, None, "labels")
    return spread(xp, xp.reshape(ids, (-1,)), xp.full((), 1.0, "float32"), num_classes)


def _whole(xp: Library, ids: Array) -> Array:
    """Convert float class ids to int32; traced ids that are not integers become -1."""
    values = xp.concrete(ids)
    if values is not None and not (valid := values == np.floor(values)).all():
        row = int((~valid).reshape(-1).argmax())
        raise ValueError(
            f"labels: expected integer class ids, got {float(values.reshape(-1)[row]):g} in row {row}; declare the "
            "field as 'values' in fields= to average numbers, or pass a column for each class for several classes "
            "per sample"
        )
    ids = xp.cast(ids, "float64" if xp.dtype(ids) == "float64" else "float32")
    integral = (xp.floor(ids) == ids) & (abs(ids) < 2.0**31)
    return xp.cast(xp.where(integral, ids, xp.cast(xp.full((), -1.0, "float32"), ids.dtype)), "int32")


def _column(xp: Library, y: Array) -> Array:
    """Return binary labels or probabilities as floats (n, 1); traced values outside 0..1 become NaN."""
    values = xp.concrete(y)
    if values is not None and not (valid := (values >= 0) & (values <= 1)).all():
        row = int((~valid).reshape(-1).argmax())
        raise ValueError(
            f"labels: expected 0 or 1 for binary=True, got {float(values.reshape(-1)[row]):g} in row {row}; "
            "pass num_classes instead of binary for more classes"
        )
    y = xp.reshape(xp.cast(y, "float32"), (-1, 1))
    return xp.where((y >= 0) & (y <= 1), y, xp.full((), float("nan"), "float32"))


def _check(xp: Library, y: Array, source: Array | None, index: Array, num_classes: int | None, binary: bool) -> None:
    (_check_binary if binary else _check_form)(xp, y, num_classes)
    rows.check(xp, y, source, index, "labels")


def _check_dtype(xp: Library, y: Array) -> None:
    dtype = xp.dtype(y)
    if dtype not in FLOATS and "int" not in dtype and dtype != "bool":
        strings = dtype.startswith("str")
        way_out = "number them with np.unique(labels, return_inverse=True)[1]" if strings else "convert them first"
        raise TypeError(
            f"labels: expected integers, bools or {', '.join(FLOATS)}, got {'strings' if strings else dtype}; {way_out}"
        )


def _check_binary(xp: Library, y: Array, num_classes: int | None) -> None:
    """Refuse what is not one label 0 or 1 a row."""
    _check_dtype(xp, y)
    if num_classes is not None and check_count(num_classes) > 2:
        raise ValueError(f"num_classes: expected None with binary=True, got {num_classes}; leave one of them out")
    if len(y.shape) not in (1, 2) or y.shape[1:] not in ((), (1,)):
        raise ValueError(f"labels: expected (n,) or (n, 1) for binary=True, got {tuple(y.shape)}; leave binary out")


def _check_form(xp: Library, y: Array, num_classes: int | None) -> None:
    """Refuse labels that are neither class ids, (n,) or (n, 1), nor a column for each class, or that are ambiguous."""
    _check_dtype(xp, y)
    dtype, shape = xp.dtype(y), y.shape
    if num_classes is not None:
        num_classes = check_count(num_classes)
    if len(shape) not in (1, 2):
        raise ValueError(
            f"labels: expected (n,) class ids or (n, classes), got the shape {tuple(shape)}; if they are masks of "
            "class ids, declare them in fields=, such as fields=('images', 'masks'), or mix them with mix.masks"
        )
    if are_ids(y, num_classes):
        _check_kind(dtype, num_classes)
    elif shape[1] is None:
        raise ValueError("labels: expected a known number of columns, got an unknown one; call set_shape on them first")
    elif shape[1] == 1 and dtype not in FLOATS:
        advice = "reshape class ids to (n,)" if num_classes else "pass num_classes for class ids"
        raise ValueError(
            f"labels: expected class ids or a column for each class, got {dtype} (n, 1), which may be either; "
            f"{advice}, use ma.Labels(binary=True) for labels 0 and 1, or cast the column of one class to float32"
        )
    elif num_classes not in (None, shape[1]):
        raise ValueError(
            f"labels: expected {num_classes} columns, one for each class, got {shape[1]}; "
            f"pass num_classes={shape[1]}, or leave it out"
        )


def check_count(num_classes: int) -> int:
    """Return the number of classes as an int; raises an error if it is not an integer in 1 .. MAX_CLASSES."""
    try:
        if isinstance(num_classes, bool):
            raise TypeError
        count = operator.index(num_classes)
    except TypeError:
        raise TypeError(f"num_classes: expected an integer, got {short(num_classes)}; count the classes") from None
    if count < 1:
        raise ValueError(f"num_classes: expected 1 or more, got {count}; count the classes")
    if count > MAX_CLASSES:
        raise ValueError(f"num_classes: expected at most {MAX_CLASSES}, got {short(count)}; count the classes")
    return count


def _check_kind(dtype: str, num_classes: int | None) -> None:
    """Refuse dtypes of class ids that are ambiguous or not exact."""
    if dtype == "bool":
        raise TypeError(
            "labels: expected class ids, got bool; use ma.Labels(binary=True), cast to int, or pass a column for each "
            "class"
        )
    if num_classes is None and dtype in FLOATS:
        raise TypeError(
            f"labels: expected integer class ids or a column for each class, got {dtype} with one value per row; pass "
            "num_classes if they are class ids, or declare the field as 'values' in fields= to average numbers"
        )
    if num_classes is None:
        raise ValueError("labels: expected num_classes for class ids, got None; pass num_classes=, or one-hot labels")
    if dtype in _EXACT and num_classes - 1 > _EXACT[dtype]:
        raise TypeError(
            f"labels: expected class ids below {num_classes} in a dtype that represents all of them, got {dtype}, "
            f"which is exact up to {_EXACT[dtype]}; cast them to int"
        )


def spread(
    xp: Library,
    ids: Array,
    weight: Array,
    num_classes: int,
    first: bool = False,
    ignore_index: int | None = None,
) -> Array:
    """Return the weight at the class of each id and 0 elsewhere, float32, with the classes on the second or last axis.

    An id out of range, which cannot be checked if it is traced, gives NaN, so that the loss becomes NaN.
    """
    dtype = xp.dtype(ids)
    if dtype not in _NARROW or num_classes > np.iinfo(dtype).max:
        ids = xp.cast(ids, "int64")
    valid = (ids >= 0) & (ids <= num_classes - 1)
    if ignore_index is not None:
        valid = valid | is_id(xp, ids, ignore_index)
    zero, nan = xp.full((), 0.0, "float32"), xp.full((), float("nan"), "float32")
    elsewhere = xp.where(valid, zero, nan)
    classes = xp.cast(xp.arange(num_classes), ids.dtype)
    if first:
        classes = classes[(slice(None), *[None] * (len(ids.shape) - 1))]
    ids, elsewhere = (x[:, None] if first else x[..., None] for x in (ids, elsewhere))
    weight = weight if not len(weight.shape) else weight[:, None] if first else weight[..., None]
    return xp.where(ids == classes, weight, elsewhere)


def is_id(xp: Library, ids: Array, value: int) -> Array:
    """Return where the ids equal a value, bool."""
    return xp.cast(ids, "int64") == xp.cast(xp.constant(value), "int64")


def check_ids(xp: Library, ids: Array, num_classes: int, ignore_index: int | None, what: str) -> None:
    """Refuse class ids out of range, unless they are traced."""
    values = xp.concrete(ids)
    if values is not None and ignore_index is not None:
        values = values[values != ignore_index]
    if values is not None and values.size and not (values.min() >= 0 and values.max() < num_classes):
        raise ValueError(
            f"{what}: expected class ids in 0..{num_classes - 1}, got {int(values.min())}..{int(values.max())}; "
            f"raise num_classes or correct the {what}"
        )


def _check_rows(xp: Library, y: Array) -> None:
    """Refuse class weights outside 0..1, unless they are traced; rows need not sum to 1."""
    values = xp.concrete(y)
    if values is None or not values.size:
        return
    values, limit = values.astype("float64"), 1 + TOLERANCE.get(xp.dtype(y), 0.001)
    valid = ((values >= 0) & (values <= limit)).all(axis=1)
    if not valid.all():
        row = int((~valid).argmax())
        wrong = values[row][~((values[row] >= 0) & (values[row] <= limit))][0]
        raise ValueError(
            f"labels: expected a weight in 0..1 for each class, got {wrong:g} in row {row}; "
            "declare the field as 'values' in fields= to average other numbers"
        )
