"""Construct mixes from draws and from other mixes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .. import backends
from ..backends import Array, Library
from ..core.choice import Drawn, RegionForm, joined_regions, settle
from ..core.regions import BY_SOURCE, Size, Sizes
from ..core.scale import same
from ..ops import rows
from .value import Mix


def assemble(xp: Library, index: Array, drawn: Drawn, size: Size, source_size: Size | None = None) -> Mix:
    """Make a mix from an index and a drawn region: unused sources refer to the base sample, equal ones are merged."""
    n, other = xp.shape(index)[1], None if source_size is None or same(size, source_size) else source_size
    index, lam = _merged(xp, index, drawn.lam(xp, n, size))
    return Mix(index, lam, settle(xp, drawn, n, size), size, other, _checked=True)


def _merged(xp: Library, index: Array, lam: Array) -> tuple[Array, Array]:
    if kernels := xp.draw_kernels():
        merged: tuple[Array, Array] = kernels.settled(index, lam)
        return merged
    padded = [index[0], *(xp.where(lam[j] > 0, index[j], index[0]) for j in range(1, index.shape[0]))]
    index = xp.stack(padded)
    return index, rows.merge(xp, index, lam)


def widened(mix: Mix, sources: int) -> Mix:
    """Add unused sources to a mix until it has at least `sources`."""
    xp, missing = backends.of(mix.index), sources - mix.index.shape[0]
    if missing <= 0:
        return mix
    base, zeros = xp.stack([mix.index[0]] * missing), xp.stack([mix.lam[0] * 0.0] * missing)
    region = mix.region.padded(xp, sources)
    index, lam = xp.concat([mix.index, base]), xp.concat([mix.lam, zeros])
    return Mix(index, lam, region, mix.size, mix.source_size, _checked=True)


def by_row(mix: Mix) -> tuple[Callable[[Sequence[Array]], Mix], list[Array]]:
    """Return the arrays of a mix with the outputs on the first axis, and a function that makes a mix of one row."""
    xp = backends.of(mix.index)
    (kind, names, sources, *known), arrays = mix.flatten()
    count = 2 + len(names)
    by_source = [name in BY_SOURCE for name in ("lam", "index", *names)]
    swapped = [_swapped(xp, x) if swap else x for x, swap in zip(arrays, by_source, strict=False)]
    lengths = [xp.full(xp.shape(mix.index)[1:], length, "int32") for length in arrays[count:]]

    def of(rows: Sequence[Array]) -> Mix:
        single = [row[:, None] if swap else row[None] for row, swap in zip(rows, by_source, strict=False)]
        return Mix.unflatten((kind, names, sources, *known), (*single, *rows[count:]))

    return of, [*swapped, *lengths]


def _swapped(xp: Library, x: Array) -> Array:
    return xp.transpose(x, (1, 0, *range(2, len(x.shape))))


def joined(mixes: Sequence[Mix]) -> Mix:
    """Concatenate the outputs of several mixes of the same source, size and library."""
    first, *others = mixes
    if not others:
        return first
    if any(not _same_sizes(mix._sizes, first._sizes) for mix in others):
        raise ValueError(f"expected mixes of one size, got {', '.join(sorted({str(mix.size) for mix in mixes}))}")
    xp, sources = backends.of(first.index), max(mix.index.shape[0] for mix in mixes)
    mixes = [widened(mix, sources) for mix in mixes]
    counts = [xp.shape(mix.index)[1] for mix in mixes]
    index, lam = (xp.concat(arrays, axis=1) for arrays in zip(*((mix.index, mix.lam) for mix in mixes), strict=True))
    region = joined_regions(xp, [mix.region for mix in mixes], counts, first.size)
    return Mix(index, lam, region, first.size, first.source_size)


def _same_sizes(first: Sizes, second: Sizes) -> bool:
    if any(len(a) != len(b) for a, b in zip(first, second, strict=True)):
        return False
    pairs = [pair for sizes in zip(first, second, strict=True) for pair in zip(*sizes, strict=True)]
    return all(a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int))


def in_form_of(mix: Mix, other: Mix) -> Mix:
    """Convert a mix to the structure of `other`, so that a traced function can return either."""
    xp = backends.of(mix.index)
    mix, form = widened(mix, other.index.shape[0]), RegionForm.of(xp, [other.region], len(other.size))
    region = form.hold(xp, mix.region, xp.shape(mix.index)[1], mix.size)

    def known_as(size: Size, like: Size) -> Size:
        pairs = zip(size, like, strict=True)
        return tuple(length if isinstance(known, int) else xp.constant(np.int32(length)) for length, known in pairs)

    source_size = None if mix.source_size is None else known_as(mix.source_size, other.source_size or ())
    return replace(mix, region=region, size=known_as(mix.size, other.size), source_size=source_size)
