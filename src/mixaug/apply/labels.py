"""Labels: the classes of an output, each as much as its parents' pixels are in it."""

from __future__ import annotations

from .._xp import Array, Library
from . import rows, values

FLOATS = ("float16", "bfloat16", "float32", "float64")
TOLERANCE = {"float16": 0.01, "bfloat16": 0.05}  #: how far from 1 a row of soft labels may sum; 0.001 in other dtypes


def mix(xp: Library, y: Array, source: Array | None, parent: Array, share: Array, num_classes: int | None) -> Array:
    """float32 (n, num_classes), float64 for float64 labels: sum_k share[k] * one_hot(y[parent[k]])."""
    if _are_ids(xp, y, num_classes):
        return _mix_ids(xp, y, source, parent, share, num_classes)
    if num_classes is not None and y.shape[1] not in (None, num_classes):
        raise ValueError(f"labels: expected {num_classes} columns, one a class, got {y.shape[1]}")
    _check_rows(xp, y)
    if xp.dtype(y) != "float64":
        y = xp.cast(y, "float32")
        source = source if source is None else xp.cast(source, "float32")
    return values.mix(xp, y, source, parent, share, "labels")


def _are_ids(xp: Library, y: Array, num_classes: int | None) -> bool:
    """Whether y are class ids, (n,) or (n, 1), and not one column per class; refused where it could be either."""
    rank, whole = len(y.shape), xp.dtype(y) not in FLOATS
    if rank == 1 and not whole:
        raise TypeError(
            f"labels: expected whole class ids or one column a class, got {xp.dtype(y)} of shape (n,); "
            "use mix.values for numbers to be averaged, or cast ids to int"
        )
    if rank not in (1, 2):
        raise ValueError(f"labels: expected (n,) class ids or (n, classes), got {rank} axes")
    if rank == 2 and whole and y.shape[1] == 1 and num_classes in (None, 1):
        raise ValueError("labels: (n, 1) may be class ids or one class; pass num_classes, or reshape ids to (n,)")
    if rank == 2 and not (whole and y.shape[1] == 1):
        return False
    if xp.dtype(y) == "bool":
        raise TypeError("labels: expected class ids, got bool; cast to int, or pass one column a class")
    if num_classes is None:
        raise ValueError("labels: class ids need num_classes; pass num_classes=, or one-hot labels")
    return True


def _mix_ids(
    xp: Library, y: Array, source: Array | None, parent: Array, share: Array, num_classes: int | None
) -> Array:
    rows.check(xp, y, source, parent, "labels")
    for array in (y, source):
        _check_ids(xp, array, num_classes)
    out = None
    for j, ids in enumerate(rows.parents(xp, y, source, parent)):
        ids = xp.cast(xp.reshape(ids, (-1,)), "int64")[:, None]
        hot = xp.cast(ids == xp.cast(xp.arange(num_classes), "int64")[None, :], "float32")
        known = (ids >= 0) & (
            ids < num_classes
        )  # an id that no host check could see makes the row NaN: the loss shows it
        weighted = share[j][:, None] * xp.where(known, hot, xp.full((), float("nan"), "float32"))
        out = weighted if out is None else out + weighted
    return out


def _check_ids(xp: Library, ids: Array | None, num_classes: int | None) -> None:
    held = None if ids is None else xp.concrete(ids)
    if held is not None and held.size and not (held.min() >= 0 and held.max() < num_classes):
        raise ValueError(
            f"labels: expected class ids in 0..{(num_classes or 0) - 1}, got {held.min()}..{held.max()}; "
            "raise num_classes or mend the labels"
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
