"""Labels: the classes of an output, each as much as its sources' pixels are in it."""

from __future__ import annotations

import operator
from functools import partial, reduce

import numpy as np

from .. import _xp, engines
from .._xp import Array, Library
from . import rows, values

_NARROW = ("int8", "uint8", "int16", "int32")  #: ids of other dtypes are compared in int64
FLOATS = ("float16", "bfloat16", "float32", "float64")
TOLERANCE = {"float16": 0.01, "bfloat16": 0.05}  #: how far from 1 a row of soft labels may sum; 0.001 in other dtypes


def mix(
    xp: Library,
    y: Array,
    source: Array | None,
    index: Array,
    lam: Array,
    num_classes: int | None,
    union: bool = False,
) -> Array:
    """float32 (n, num_classes), float64 for float64 labels: sum_k lam[k] * one_hot(y[index[k]]), or the greatest."""
    check = partial(_check, xp, y, source, index, num_classes)
    made = None if union else engines.labels(xp, y, source, index, lam, num_classes, check)
    if made is not None:
        return made
    check()
    num_classes = None if num_classes is None else check_count(num_classes)
    index, lam = _xp.to_each(xp, [index, lam])
    parts = rows.gather(xp, y, source, index)
    if len(y.shape) == 1 or (y.shape[1] == 1 and num_classes not in (None, 1)):
        for ids in parts:
            check_ids(xp, ids, num_classes or 0, None, "labels")
        one = xp.full((), 1.0, "float32")
        parts = [spread(xp, xp.reshape(ids, (-1,)), one, num_classes or 0) for ids in parts]
    else:
        for part in parts:
            _check_rows(xp, part)
    precision = "float64" if xp.dtype(y) == "float64" else "float32"
    parts = [xp.cast(part, precision) for part in parts]
    if not union:
        return values.weighted(xp, parts, lam, precision)
    there = [rows.over(xp.cast(lam[j] > 0, precision), part) * part for j, part in enumerate(parts)]
    return reduce(xp.maximum, there)


def _check(xp: Library, y: Array, source: Array | None, index: Array, num_classes: int | None) -> None:
    _check_form(xp, y, num_classes)
    rows.check(xp, y, source, index, "labels")


def _check_form(xp: Library, y: Array, num_classes: int | None) -> None:
    """Refuse what is neither class ids, (n,) or (n, 1), nor one column a class, or could be either."""
    dtype, shape = xp.dtype(y), y.shape
    if dtype not in FLOATS and "int" not in dtype and dtype != "bool":
        raise TypeError(f"labels: expected integers, bools or {', '.join(FLOATS)}, got {dtype}; convert them first")
    if num_classes is not None:
        check_count(num_classes)
    if len(shape) not in (1, 2):
        raise ValueError(f"labels: expected (n,) class ids or (n, classes), got {len(shape)} axes")
    if len(shape) == 1:
        _check_kind(dtype, num_classes)
    elif shape[1] is None:
        raise ValueError("labels: expected a known number of columns, got an unknown one; call set_shape on them first")
    elif shape[1] == 1 and dtype not in FLOATS and num_classes in (None, 1):
        raise ValueError("labels: (n, 1) may be class ids or one class; pass num_classes, or reshape ids to (n,)")
    elif shape[1] == 1 and num_classes not in (None, 1):
        _check_kind(dtype, num_classes)
    elif num_classes not in (None, shape[1]):
        raise ValueError(f"labels: expected {num_classes} columns, one a class, got {shape[1]}")


def check_count(num_classes: int) -> int:
    """The number of classes itself, if it is one."""
    if isinstance(num_classes, bool) or not hasattr(num_classes, "__index__"):
        raise TypeError(f"num_classes: expected a whole number, got {num_classes!r}")
    if num_classes < 1:
        raise ValueError(f"num_classes: expected 1 or more, got {num_classes!r}")
    return operator.index(num_classes)


def _check_kind(dtype: str, num_classes: int | None) -> None:
    if dtype in FLOATS:
        raise TypeError(
            f"labels: expected whole class ids or one column a class, got {dtype} of one value a row; "
            "use mix.values for numbers to be averaged, or cast ids to int"
        )
    if dtype == "bool":
        raise TypeError("labels: expected class ids, got bool; cast to int, or pass one column a class")
    if num_classes is None:
        raise ValueError("labels: class ids need num_classes; pass num_classes=, or one-hot labels")


def spread(
    xp: Library,
    ids: Array,
    weight: Array,
    num_classes: int,
    first: bool = False,
    ignore_index: int | None = None,
) -> Array:
    """float32 with an axis of classes, the second one or the last: the weight at the class of each id, 0 elsewhere.

    Of an id out of range, which no host check may be able to see, all are NaN: the loss shows it.
    """
    dtype = xp.dtype(ids)
    if dtype not in _NARROW or num_classes > np.iinfo(dtype).max:
        ids = xp.cast(ids, "int64")
    known = (ids >= 0) & (ids <= num_classes - 1)
    if ignore_index is not None:
        known = known | is_id(xp, ids, ignore_index)
    zero, nan = xp.full((), 0.0, "float32"), xp.full((), float("nan"), "float32")
    elsewhere = xp.where(known, zero, nan)
    classes = xp.cast(xp.arange(num_classes), ids.dtype)
    if first:
        classes = classes[(slice(None), *[None] * (len(ids.shape) - 1))]
    ids, elsewhere = (x[:, None] if first else x[..., None] for x in (ids, elsewhere))
    weight = weight if not len(weight.shape) else weight[:, None] if first else weight[..., None]
    return xp.where(ids == classes, weight, elsewhere)


def is_id(xp: Library, ids: Array, which: int) -> Array:
    """Bool of the shape of ids, where they are that one."""
    return xp.cast(ids, "int64") == xp.cast(xp.constant(which), "int64")


def check_ids(xp: Library, ids: Array, num_classes: int, ignore_index: int | None, what: str) -> None:
    """Refuse class ids out of range, where the host can see them."""
    held = xp.concrete(ids)
    if held is not None and ignore_index is not None:
        held = held[held != ignore_index]
    if held is not None and held.size and not (held.min() >= 0 and held.max() < num_classes):
        raise ValueError(
            f"{what}: expected class ids in 0..{num_classes - 1}, got {int(held.min())}..{int(held.max())}; "
            f"raise num_classes or mend the {what}"
        )


def _check_rows(xp: Library, y: Array) -> None:
    held = xp.concrete(y)
    if held is None or not held.size:
        return
    held, tolerance = held.astype("float64"), TOLERANCE.get(xp.dtype(y), 0.001)
    hot = ((held == 0) | (held == 1)).all(axis=1)
    soft = (held >= 0).all(axis=1) & (abs(held.sum(axis=1) - 1) <= tolerance)
    if not (hot | soft).all():
        row = int((~(hot | soft)).argmax())
        raise ValueError(
            f"labels: expected rows of zeros and ones, or rows that sum to 1, "
            f"got row {row} with sum {held[row].sum():g}; use mix.values for other numbers"
        )
