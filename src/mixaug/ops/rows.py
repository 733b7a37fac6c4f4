"""What every kind of field shares: its rows, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import backends
from ..backends import Array, Library


class Rows(NamedTuple):
    """Where the rows that outputs are made of come from: arrays, or batches of them.

    Args:
        base: row i is the base sample of output i; None: the rows `index[0]` of `others`.
        others: what `index` names rows of; None: `base`.
        index: int32 (k, n), the rows of each output; None: they are drawn.
    """

    base: Any
    others: Any = None
    index: Array | None = None  # type: ignore[assignment] # not the method of tuples


def check(xp: Library, x: Array | None, source: Array | None, index: Array, what: str) -> None:
    """Refuse a batch that does not have a row for each output, or a source without the rows that are asked for.

    x None: the base samples are rows of the source too.
    """
    home = backends.of(index)
    if len(index.shape) != 2:
        raise ValueError(
            f"{what}: expected sources of the shape (k, n), got the shape {tuple(index.shape)}; "
            "give rows for each source"
        )
    n = home.shape(index)[1]
    rows = (n,) if x is None else xp.shape(x)[:1]
    if not rows:
        raise ValueError(
            f"{what}: expected a batch, rows on the first axis, got a single value of no axes; batch it first"
        )
    if isinstance(rows[0], int) and isinstance(n, int) and rows[0] != n:
        raise ValueError(
            f"{what}: expected {n} rows, as many as the mix has outputs, got {rows[0]}; "
            "pass the rows of the batch, and the array that the sources are rows of as source="
        )
    held = None if home != xp and backends.is_compiling() else home.concrete(index)  # that would be traced
    if held is not None and held.size and int(held.min()) < 0:
        raise ValueError(f"{what}: expected sources of row 0 or more, got {int(held.min())}; count them from the start")
    available = xp.shape(x if source is None else source)[0]
    if held is not None and held.size and isinstance(available, int) and int(held.max()) >= available:
        raise ValueError(
            f"{what}: expected rows up to {int(held.max())}, which the mix takes sources from, got {available} rows; "
            "pass the array that it was drawn for as source="
        )
    if source is not None and x is not None:
        check_alike(xp, x, source, what)


def check_alike(xp: Library, x: Array, source: Array, what: str) -> None:
    """Refuse a source whose rows are not of the dtype and shape of the batch's."""
    if xp.dtype(source) != xp.dtype(x) or not _alike(x.shape[1:], source.shape[1:]):
        raise TypeError(
            f"{what}: expected a source like the batch, {xp.dtype(x)} with rows {tuple(x.shape[1:])}, "
            f"got {xp.dtype(source)} with rows {tuple(source.shape[1:])}; "
            "convert one of them"
        )


def _alike(one: Sequence[int | None], other: Sequence[int | None]) -> bool:
    return len(one) == len(other) and all(a == b or a is None or b is None for a, b in zip(one, other, strict=True))


def gather(xp: Library, x: Array, source: Array | None, index: Array, used: list[bool] | None = None) -> list[Array]:
    """Each output's rows, source by source: x itself, then those taken from the source; None where not used."""
    source = x if source is None else source
    others = range(1, index.shape[0])
    return [x, *(xp.take(source, index[j]) if used is None or used[j] else None for j in others)]


def over(weight: Array, x: Array) -> Array:
    """A weight per row with as many axes as x has, so that it broadcasts over the rest."""
    return weight[(slice(None), *[None] * (len(x.shape) - 1))]


def merge(xp: Library, index: Array, weight: Array) -> Array:
    """Weights (k, n, ...) with those of equal sources added into the first of them."""
    rest = [weight[j] for j in range(index.shape[0])]
    for i in range(len(rest)):
        for j in range(i + 1, len(rest)):
            equal = over(index[i] == index[j], rest[j])
            zero = rest[j] * 0.0
            rest[i], rest[j] = rest[i] + xp.where(equal, rest[j], zero), xp.where(equal, zero, rest[j])
    return xp.stack(rest)
