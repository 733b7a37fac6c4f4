"""Make mixed images tile by tile: gather spans, blend, convert, store. All is in bytes, so it is compiled once.

What depends on dtypes lies behind addresses: kernels of `numbers`, called once for a tile or for a span of it. The
three kernels below that make a band of an output, one for each form of region, are called by their address too, so
that one is compiled only where it is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._xp.kernel_cache import at_address, compiled, inlined
from . import signatures, spans
from .forms import Band, Run, Tile, u
from .machine import LINE, address, caller, fetch, hold, move, stream
from .signatures import held

_ONE = np.float32(65536)

_make, _convert, _pick = caller(signatures.MAKE), caller(signatures.CONVERT), caller(signatures.PICK)
_blend, _weigh, _finish = caller(signatures.BLEND), caller(signatures.WEIGH), caller(signatures.FINISH)


@compiled
def mix(given: Any) -> bool:
    """Make all outputs; False where sources are not rows: then nothing has been written.

    The outputs are made band by band, each after the one whose partner it is, so that what both are made of is in the
    caches.
    """
    pixels, sources, frame = given.pixels, given.sources, given.frame
    state = hold(given)
    if not _order(sources):
        return False
    n, partner = sources.index.shape[1], sources.index.shape[0] - 1
    for top in range(0, frame.row, frame.band):
        bottom = min(frame.row, top + frame.band)
        for turn in range(n):
            i, after = sources.order[0, turn], sources.order[0, min(turn + 1, n - 1)]
            own = (sources.index[0, i] if sources.gathered else i) * frame.row
            if sources.gathered and not pixels.buffer.shape[0]:
                _fetch_rows(pixels, sources, frame, after, top, bottom - top)
            ahead = sources.index[partner, after] * frame.row  # of a chain the others have been read by then
            _make(given.calls.make, (Band(i, top, bottom, own, ahead), state))
    if pixels.buffer.shape[0]:
        _store(pixels, frame, 0)
    return True


@inlined
def _start(band: Any, given: Any) -> Any:
    """The first tile of a band."""
    return _tile(band.first, band, given.pixels, given.frame)


@inlined
def _next(tile: Any, band: Any, given: Any) -> Any:
    """The tile after one that has been made; without elements where there is none.

    Where there is a buffer, a tile is made in one half of it, and then the tile before, in the other, is stored.
    """
    pixels, frame = given.pixels, given.frame
    if pixels.buffer.shape[0]:
        _store(pixels, frame, band.ahead + tile.first)
        pending = pixels.pending
        pending[0], pending[1] = band.i * frame.row + tile.first, tile.last - tile.first
        pending[2] = frame.tile - pending[2]
    return _tile(tile.last, band, pixels, frame)


@inlined
def _tile(first: int, band: Any, pixels: Any, frame: Any) -> Any:
    last = min(first + frame.tile, band.last)
    if frame.along:  # the scales of one unit are not those of the next
        last = min(last, (first // frame.unit + 1) * frame.unit)
    at = pixels.pending[2] if pixels.buffer.shape[0] else band.i * frame.row + first
    return Tile(band.i, first, last, band.own, at)


@inlined
def _store(pixels: Any, frame: Any, ahead: int) -> None:
    """Store the tile that is pending past the caches, but for its ends, which are not whole lines of memory."""
    size, pending = frame.size_out, pixels.pending
    to, count, of = pending[0] * size, pending[1] * size, (frame.tile - pending[2]) * size
    head = min(count, -(address(pixels.out) + to) % LINE)
    body = (count - head) // LINE * LINE
    if head:
        move(pixels.out, to, pixels.buffer, of, head)
    stream(pixels.out, to + head, pixels.buffer, of + head, body, pixels.source, ahead * frame.size_in)
    if head + body < count:
        move(pixels.out, to + head + body, pixels.buffer, of + head + body, count - head - body)


@inlined
def _fetch_rows(pixels: Any, sources: Any, frame: Any, i: int, first: int, length: int) -> None:
    """Have what output i is made of fetched: rows from anywhere, which the processor cannot guess."""
    for j in range(sources.index.shape[0]):
        at = (sources.index[j, i] * frame.row + first) * frame.size_in
        fetch(pixels.source, at, length * frame.size_in)


@compiled
def _order(sources: Any) -> bool:
    """Write the order of the outputs, each followed by its first partner; whether all sources are rows."""
    index, order = sources.index, sources.order
    k, n = index.shape
    for j in range(k):
        for i in range(n):
            if not 0 <= index[j, i] < sources.rows:
                return False
    for i in range(n):
        order[0, i], order[1, i] = i, 0
    if not sources.chained or k == 1:
        return True
    count = 0
    for first in range(n):
        row = np.int64(first)
        while not order[1, row]:
            order[0, count], order[1, row] = row, 1
            count, row = count + 1, np.int64(index[1, row])
    return True


@at_address(signatures.MAKE)
def paste(band: Any, state: int) -> None:
    """A band of a Paste: the base sample, or the blend of all sources; over it the boxes."""
    given = held(state)
    pixels, frame, convert = given.pixels, given.frame, given.calls.convert
    out = pixels.buffer if pixels.buffer.shape[0] else pixels.out
    blended = given.region.blended[band.i]
    at_once = convert == 0 and not blended
    tile = _start(band, given)
    while tile.first < tile.last:
        count = spans.of_boxes(tile, given, state)
        gathered, to = (out, tile.at) if at_once else (pixels.tile, 0)
        if blended:
            _place(tile, given)
            _blend(given.calls.blend, (out, _run(tile, frame), state))
        elif at_once or count:
            start, length = tile.own + tile.first, tile.last - tile.first
            move(gathered, to * frame.size_in, pixels.own, start * frame.size_in, length * frame.size_in)
        else:
            _convert(convert, (out, pixels.own, tile.own + tile.first, _run(tile, frame), state))
        _gather(gathered, to, count, given, state)
        if blended:
            for s in range(count):
                _convert_span(out, tile, given.region.span[s], given, state)
        elif count and not at_once:
            _convert(convert, (out, pixels.tile, 0, _run(tile, frame), state))
        tile = _next(tile, band, given)


@at_address(signatures.MAKE)
def choose(band: Any, state: int) -> None:
    """A band of a Dense where each pixel is of one source."""
    given = held(state)
    pixels, convert = given.pixels, given.calls.convert
    out = pixels.buffer if pixels.buffer.shape[0] else pixels.out
    tile = _start(band, given)
    while tile.first < tile.last:
        count = spans.of_mask(tile, given, state)
        gathered, to = (pixels.tile, 0) if convert else (out, tile.at)
        _gather(gathered, to, count, given, state)
        if convert:
            _convert(convert, (out, gathered, 0, _run(tile, given.frame), state))
        tile = _next(tile, band, given)


@at_address(signatures.MAKE)
def weigh(band: Any, state: int) -> None:
    """A band of a Dense: each source by its weight at each pixel, and what is in holes where all weights are 0."""
    given = held(state)
    pixels, frame, calls = given.pixels, given.frame, given.calls
    out = pixels.buffer if pixels.buffer.shape[0] else pixels.out
    holes = pixels.filling.shape[0] > 0
    tile = _start(band, given)
    while tile.first < tile.last:
        for j in range(given.sources.index.shape[0]):
            _spread(j, tile, state)
            x, start = _source(j, tile, given, state)
            _weigh(calls.weigh, (x, start, Run(0, tile.last - tile.first, min(j, 1)), state))
        if holes and _spread(-1, tile, state):
            _gather(pixels.tile, 0, spans.of_source(-1, tile, state), given, state)
            _weigh(calls.weigh, (pixels.tile, 0, Run(0, tile.last - tile.first, 2), state))
        _finish(calls.finish, (out, _run(tile, frame), state))
        tile = _next(tile, band, given)


@inlined
def _source(j: int, tile: Any, given: Any, state: int) -> Any:
    """An array and the place in it where source j's elements of a tile are, gathered where a box moves them."""
    moved, index = given.region.moved, given.sources.index
    x, start = given.pixels.source, index[j, tile.i] * given.frame.row + tile.first
    if j == 0:
        x, start = given.pixels.own, tile.own + tile.first
    if moved.shape[0] and moved[j]:
        _gather(given.pixels.tile, 0, spans.of_source(j, tile, state), given, state)
        x, start = given.pixels.tile, 0
    return x, start


@compiled
def _spread(j: int, tile: Any, state: int) -> bool:
    """Write the weight of source j for each element of a tile, or 1 in holes where j is -1; whether there is one.

    Whole weights of the base sample are what the others leave of 2^16.
    """
    given = held(state)
    weight, frame, line = given.region.weight, given.frame, given.numbers.line
    count, step, some = u((tile.last - tile.first) // frame.step), u(frame.step), 0
    first = u(tile.first // frame.step % (frame.depth * frame.height * frame.width))
    if j >= 0 and not frame.whole:
        _repeat(given.numbers.spread, weight[j, tile.i], first, count, step)
        return True
    for pixel in range(count):
        line[pixel] = _ONE if frame.whole else np.float32(1)
    if j > 0:
        for pixel in range(count):
            line[pixel] = np.rint(weight[j, tile.i, first + pixel] * _ONE)
    else:
        for other in range(j + 1, weight.shape[0]):
            for pixel in range(count):
                taken = weight[other, tile.i, first + pixel]
                if j == 0:
                    line[pixel] -= np.rint(taken * _ONE)
                elif taken > 0:
                    line[pixel] = 0
    for pixel in range(count):
        some += line[pixel] != 0
    _repeat(given.numbers.spread, line, u(0), count, step)
    return some > 0


@inlined
def _repeat(spread: Any, weight: Any, first: int, count: int, step: int) -> None:
    """Write the weight of each pixel once for each of its elements."""
    if step == 3:  # most images: where the compiler knows it, it takes a tenth of the time
        for pixel in range(count):
            w, at = weight[first + pixel], u(3) * pixel
            spread[at], spread[at + u(1)], spread[at + u(2)] = w, w, w
    else:
        for pixel in range(count):
            for c in range(step):
                spread[step * pixel + c] = weight[first + pixel]


@inlined
def _place(tile: Any, given: Any) -> None:
    """Write where the runs of the sources of a blend begin, and what they weigh."""
    numbers, index = given.numbers, given.sources.index
    for j in range(index.shape[0]):
        start = tile.own if j == 0 else index[j, tile.i] * given.frame.row
        numbers.place[j], numbers.share[j] = start + tile.first, given.region.background[j, tile.i]


@inlined
def _gather(out: Any, to: int, count: int, given: Any, state: int) -> None:
    """Copy spans into a tile that begins at `to`."""
    pixels, size = given.pixels, given.frame.size_in
    for s in range(count):
        span = given.region.span[s]
        at, who, start, length, column = span[0], span[1], span[2], span[3], span[4]
        x = pixels.filling if who < 0 else pixels.own if who == 0 else pixels.source
        if column < 0:
            move(out, (to + at) * size, x, start * size, length * size)
        else:
            _pick(given.calls.pick, (out, x, start, column, Run(to + at, length, 0), state))


@inlined
def _convert_span(out: Any, tile: Any, span: Any, given: Any, state: int) -> None:
    """Convert a span that has been gathered."""
    at, length, size = span[0], span[3], given.frame.size_in
    if given.calls.convert:
        run = Run(tile.at + at, length, _pattern(tile, given.frame) + at)
        _convert(given.calls.convert, (out, given.pixels.tile, at, run, state))
    else:
        move(out, (tile.at + at) * size, given.pixels.tile, at * size, length * size)


@inlined
def _run(tile: Any, frame: Any) -> Any:
    """All elements of a tile."""
    return Run(tile.at, tile.last - tile.first, _pattern(tile, frame))


@inlined
def _pattern(tile: Any, frame: Any) -> int:
    """Where the scales of a tile begin."""
    return tile.first // frame.unit * frame.along if frame.along else 0
