"""Checking, gathering and weighting the rows of a field of any kind."""

from __future__ import annotations

from collections.abc import Sequence

from .. import backends
from ..backends import Array, Library


def check(xp: Library, x: Array | None, source: Array | None, index: Array, what: str) -> None:
    """Refuse a batch without a row for each output, or a source without the rows of `index`.

    If `x` is None, the base samples are rows of the source too.
    """
    home = backends.of(index)
    if len(index.shape) != 2:
        raise ValueError(
            f"{what}: expected an index of the shape (k, n), got the shape {tuple(index.shape)}; "
            "pass a row number for each source of each output"
        )
    n = home.shape(index)[1]
    rows = (n,) if x is None else xp.shape(x)[:1]
    if not rows:
        raise ValueError(f"{what}: expected a batch, with rows on the first axis, got a scalar; batch it first")
    if isinstance(rows[0], int) and isinstance(n, int) and rows[0] != n:
        raise ValueError(
            f"{what}: expected {n} rows, one for each output of the mix, got {rows[0]}; "
            "pass the rows of the batch, and the array that the index refers to as source="
        )
    values = None if home != xp and backends.is_compiling() else home.concrete(index)  # would be traced
    if values is not None and values.size and int(values.min()) < 0:
        raise ValueError(f"{what}: expected row numbers of 0 or more, got {int(values.min())}; count from the start")
    available = xp.shape(x if source is None else source)[0]
    if values is not None and values.size and isinstance(available, int) and int(values.max()) >= available:
        raise ValueError(
            f"{what}: expected rows up to {int(values.max())}, which the mix refers to, got {available} rows; "
            "pass the array that the mix was drawn for as source="
        )
    if source is not None and x is not None:
        check_alike(xp, x, source, what)


def check_alike(xp: Library, x: Array, source: Array, what: str) -> None:
    """Refuse a source whose rows differ from the batch's in dtype or shape."""
    if xp.dtype(source) != xp.dtype(x) or not _alike(x.shape[1:], source.shape[1:]):
        raise TypeError(
            f"{what}: expected a source like the batch, {xp.dtype(x)} with rows {tuple(x.shape[1:])}, "
            f"got {xp.dtype(source)} with rows {tuple(source.shape[1:])}; convert one of them"
        )


def _alike(one: Sequence[int | None], other: Sequence[int | None]) -> bool:
    return len(one) == len(other) and all(a == b or a is None or b is None for a, b in zip(one, other, strict=True))


def gather(xp: Library, x: Array, source: Array | None, index: Array, used: list[bool] | None = None) -> list[Array]:
    """Return the rows of each source: `x` for the base samples, then rows of `source`; None for unused sources."""
    source = x if source is None else source
    others = range(1, index.shape[0])
    return [x, *(xp.take(source, index[j]) if used is None or used[j] else None for j in others)]


def over(weight: Array, x: Array) -> Array:
    """Reshape a weight (n,) to broadcast over the rows of `x`."""
    return weight[(slice(None), *[None] * (len(x.shape) - 1))]


def merge(xp: Library, index: Array, weight: Array) -> Array:
    """Add the weights (k, n, ...) of equal sources into the first of them."""
    merged = [weight[j] for j in range(index.shape[0])]
    for i in range(len(merged)):
        for j in range(i + 1, len(merged)):
            equal = over(index[i] == index[j], merged[j])
            zero = merged[j] * 0.0
            merged[i], merged[j] = merged[i] + xp.where(equal, merged[j], zero), xp.where(equal, zero, merged[j])
    return xp.stack(merged)
