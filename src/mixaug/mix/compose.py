"""Make mixes of what was drawn, and of other mixes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .. import backends
from ..backends import Array, Library
from ..core.choice import Drawn, Form, joined_regions, settle
from ..core.regions import BY_SOURCE, Size, Sizes
from ..core.scale import same
from ..ops import rows
from .value import Mix


def assemble(xp: Library, index: Array, drawn: Drawn, size: Size, source_size: Size | None = None) -> Mix:
    """The mix of these sources, with padding pointing to the own row and equal sources counted once."""
    n, other = xp.shape(index)[1], None if source_size is None or same(size, source_size) else source_size
    index, lam = _settled(xp, index, drawn.lam(xp, n, size))
    return Mix(index, lam, settle(xp, drawn, n, size), size, other, _checked=True)


def _settled(xp: Library, index: Array, lam: Array) -> tuple[Array, Array]:
    if kernels := xp.draw_kernels():
        settled: tuple[Array, Array] = kernels.settled(index, lam)
        return settled
    padded = [index[0], *(xp.where(lam[j] > 0, index[j], index[0]) for j in range(1, index.shape[0]))]
    index = xp.stack(padded)
    return index, rows.merge(xp, index, lam)


def widened(mix: Mix, sources: int) -> Mix:
    """The mix with room for so many sources, if it has less; no pixel is of those that are added."""
    xp, more = backends.of(mix.index), sources - mix.index.shape[0]
    if more <= 0:
        return mix
    own, none = xp.stack([mix.index[0]] * more), xp.stack([mix.lam[0] * 0.0] * more)
    region = mix.region.padded(xp, sources)
    index, lam = xp.concat([mix.index, own]), xp.concat([mix.lam, none])
    return Mix(index, lam, region, mix.size, mix.source_size, _checked=True)


def by_row(mix: Mix) -> tuple[Callable[[Sequence[Array]], Mix], list[Array]]:
    """The arrays of a mix with the outputs on their first axis, and what makes the mix of one of these rows again."""
    xp = backends.of(mix.index)
    (kind, names, sources, *known), arrays = mix.flatten()
    count = 2 + len(names)
    turned = [name in BY_SOURCE for name in ("lam", "index", *names)]
    swapped = [_swapped(xp, x) if by else x for x, by in zip(arrays, turned, strict=False)]
    lengths = [xp.full(xp.shape(mix.index)[1:], length, "int32") for length in arrays[count:]]

    def of(rows: Sequence[Array]) -> Mix:
        one = [row[:, None] if by else row[None] for row, by in zip(rows, turned, strict=False)]
        return Mix.unflatten((kind, names, sources, *known), (*one, *rows[count:]))

    return of, [*swapped, *lengths]


def _swapped(xp: Library, x: Array) -> Array:
    return xp.transpose(x, (1, 0, *range(2, len(x.shape))))


def joined(mixes: Sequence[Mix]) -> Mix:
    """The mix of the outputs of several mixes, one after another: of one source, one size and one library."""
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


def _same_sizes(one: Sizes, other: Sizes) -> bool:
    if any(len(a) != len(b) for a, b in zip(one, other, strict=True)):
        return False
    pairs = [pair for sizes in zip(one, other, strict=True) for pair in zip(*sizes, strict=True)]
    return all(a == b for a, b in pairs if isinstance(a, int) and isinstance(b, int))


def in_form_of(mix: Mix, other: Mix) -> Mix:
    """Return the same mix with the arrays that `other` has, so that a traced function can return either."""
    xp = backends.of(mix.index)
    mix, form = widened(mix, other.index.shape[0]), Form.of(xp, [other.region], len(other.size))
    region = form.hold(xp, mix.region, xp.shape(mix.index)[1], mix.size)

    def known_as(size: Size, like: Size) -> Size:
        pairs = zip(size, like, strict=True)
        return tuple(length if isinstance(known, int) else xp.constant(np.int32(length)) for length, known in pairs)

    source_size = None if mix.source_size is None else known_as(mix.source_size, other.source_size or ())
    return replace(mix, region=region, size=known_as(mix.size, other.size), source_size=source_size)
