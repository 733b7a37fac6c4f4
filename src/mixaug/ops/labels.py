"""Labels: the classes of an output, each as much as its sources' pixels are in it."""

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
MAX_CLASSES = 2**24  #: a row of weights of more would take more memory than the images
TOLERANCE = {"float16": 0.01, "bfloat16": 0.05}  #: how far above 1 rounding may bring a weight; 0.001 in other dtypes
_EXACT = {
    "bfloat16": 2**8,
    "float16": 2**11,
    "float32": 2**24,
    "float64": 2**53,
}  #: floats are whole numbers up to here


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
    """sum_k weights[k] * row(y[index[k]]), or the greatest of these: float32 (n, classes), float64 of float64 rows."""
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
    """Whether labels are class ids, (n,) or (n, 1), and not one column a class."""
    return len(y.shape) == 1 or (len(y.shape) == 2 and y.shape[1] == 1 and num_classes not in (None, 1))


def _one_hot(xp: Library, ids: Array, num_classes: int) -> Array:
    """float32 (n, num_classes) of class ids of any dtype; where no host check sees them, NaN for what is no id."""
    if xp.dtype(ids) in FLOATS:
        ids = _whole(xp, ids)
    check_ids(xp, ids, num_classes, None, "labels")
    return spread(xp, xp.reshape(ids, (-1,)), xp.full((), 1.0, "float32"), num_classes)


def _whole(xp: Library, ids: Array) -> Array:
    """Class ids that came as floats as int32; -1, which is no id, for what is not whole."""
    host = xp.concrete(ids)
    if host is not None and not (fine := host == np.floor(host)).all():
        row = int((~fine).reshape(-1).argmax())
        raise ValueError(
            f"labels: expected whole class ids, got {float(host.reshape(-1)[row]):g} in row {row}; for numbers to be "
            "averaged make the field 'values' in fields=, for several classes a sample pass one column a class"
        )
    ids = xp.cast(ids, "float64" if xp.dtype(ids) == "float64" else "float32")
    whole = (xp.floor(ids) == ids) & (xp.absolute(ids) < 2.0**31)
    return xp.cast(xp.where(whole, ids, xp.cast(xp.full((), -1.0, "float32"), ids.dtype)), "int32")


def _column(xp: Library, y: Array) -> Array:
    """Labels 0 or 1, or chances of 1, as floats (n, 1); where no host check sees them, NaN for what is neither."""
    host = xp.concrete(y)
    if host is not None and not (fine := (host >= 0) & (host <= 1)).all():
        row = int((~fine).reshape(-1).argmax())
        raise ValueError(
            f"labels: expected 0 or 1 for binary=True, got {float(host.reshape(-1)[row]):g} in row {row}; "
            "pass num_classes in place of binary for other classes"
        )
    y = xp.reshape(xp.cast(y, "float32"), (-1, 1))
    return xp.where((y >= 0) & (y <= 1), y, xp.full((), float("nan"), "float32"))


def _check(xp: Library, y: Array, source: Array | None, index: Array, num_classes: int | None, binary: bool) -> None:
    (_check_binary if binary else _check_form)(xp, y, num_classes)
    rows.check(xp, y, source, index, "labels")


def _check_dtype(xp: Library, y: Array) -> None:
    dtype = xp.dtype(y)
    if dtype not in FLOATS and "int" not in dtype and dtype != "bool":
        texts = dtype.startswith("str")
        way_out = "number them, such as by np.unique(labels, return_inverse=True)[1]" if texts else "convert them first"
        raise TypeError(
            f"labels: expected integers, bools or {', '.join(FLOATS)}, got {'texts' if texts else dtype}; {way_out}"
        )


def _check_binary(xp: Library, y: Array, num_classes: int | None) -> None:
    """Refuse what is not one label 0 or 1 a row."""
    _check_dtype(xp, y)
    if num_classes is not None and check_count(num_classes) > 2:
        raise ValueError(f"num_classes: expected none beside binary=True, got {num_classes}; leave out one of them")
    if len(y.shape) not in (1, 2) or y.shape[1:] not in ((), (1,)):
        raise ValueError(f"labels: expected (n,) or (n, 1) for binary=True, got {tuple(y.shape)}; leave binary out")


def _check_form(xp: Library, y: Array, num_classes: int | None) -> None:
    """Refuse what is neither class ids, (n,) or (n, 1), nor one column a class, or could be either."""
    _check_dtype(xp, y)
    dtype, shape = xp.dtype(y), y.shape
    if num_classes is not None:
        num_classes = check_count(num_classes)
    if len(shape) not in (1, 2):
        raise ValueError(
            f"labels: expected (n,) class ids or (n, classes), got the shape {tuple(shape)}; if they are masks of "
            "class ids, declare them in fields=, such as fields=('images', 'masks'), or mix them by mix.masks"
        )
    if are_ids(y, num_classes):
        _check_kind(dtype, num_classes)
    elif shape[1] is None:
        raise ValueError("labels: expected a known number of columns, got an unknown one; call set_shape on them first")
    elif shape[1] == 1 and dtype not in FLOATS:
        say = "reshape class ids to (n,)" if num_classes else "pass num_classes for class ids"
        raise ValueError(
            f"labels: expected class ids or one column a class, got {dtype} (n, 1), which may be either; {say}, say "
            "ma.Labels(binary=True) for labels 0 and 1, or cast the column of one class to float32"
        )
    elif num_classes not in (None, shape[1]):
        raise ValueError(
            f"labels: expected {num_classes} columns, one a class, got {shape[1]}; "
            f"pass num_classes={shape[1]}, or leave it out"
        )


def check_count(num_classes: int) -> int:
    """The number of classes as Python's own, if it is one."""
    try:
        if isinstance(num_classes, bool):
            raise TypeError
        count = operator.index(num_classes)
    except TypeError:
        raise TypeError(f"num_classes: expected a whole number, got {short(num_classes)}; count the classes") from None
    if count < 1:
        raise ValueError(f"num_classes: expected 1 or more, got {count}; count the classes")
    if count > MAX_CLASSES:
        raise ValueError(f"num_classes: expected at most {MAX_CLASSES}, got {short(count)}; count the classes")
    return count


def _check_kind(dtype: str, num_classes: int | None) -> None:
    """Refuse one value a row that cannot be, or need not be, a class id."""
    if dtype == "bool":
        raise TypeError(
            "labels: expected class ids, got bool; say ma.Labels(binary=True), cast to int, or pass one column a class"
        )
    if num_classes is None and dtype in FLOATS:
        raise TypeError(
            f"labels: expected whole class ids or one column a class, got {dtype} of one value a row; pass num_classes "
            "if they are class ids, make the field 'values' in fields= if they are numbers to be averaged"
        )
    if num_classes is None:
        raise ValueError("labels: expected num_classes for class ids, got none; pass num_classes=, or one-hot labels")
    if dtype in _EXACT and num_classes - 1 > _EXACT[dtype]:
        raise TypeError(
            f"labels: expected class ids below {num_classes} in a dtype that holds them all, got {dtype}, which is "
            f"exact to {_EXACT[dtype]}; keep them int"
        )


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
    """Refuse rows that are no weights of classes, where the host can see them; they need not sum to 1."""
    host = xp.concrete(y)
    if host is None or not host.size:
        return
    host, most = host.astype("float64"), 1 + TOLERANCE.get(xp.dtype(y), 0.001)
    fine = ((host >= 0) & (host <= most)).all(axis=1)
    if not fine.all():
        row = int((~fine).argmax())
        wrong = host[row][~((host[row] >= 0) & (host[row] <= most))][0]
        raise ValueError(
            f"labels: expected one weight a class, 0 to 1, got {wrong:g} in row {row}; "
            "make the field 'values' in fields= if they are other numbers to be averaged"
        )
