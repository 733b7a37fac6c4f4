"""Mix images tile by tile: gather spans, blend, convert, store.

These kernels work on bytes, so they are compiled once for all dtypes. They call the kernels of `numbers`, which depend
on dtypes, by address, once for each tile or span. `paste`, `choose` and `weigh` make a band of an output, one for each
kind of region. They are called by address too, so that each is compiled only when it is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import signatures, spans
from .cache import at_address, compiled, inlined
from .forms import Band, Range, Tile, Window, u
from .machine import LINE, caller, data_address, fetch, move, on_stack, stream
from .signatures import load

_ONE = np.float32(65536)

_make, _store = caller(signatures.MAKE), caller(signatures.STORE)
_convert, _pick = caller(signatures.CONVERT), caller(signatures.PICK)
_blend, _weigh, _finish = caller(signatures.BLEND), caller(signatures.WEIGH), caller(signatures.FINISH)


@compiled
def mix(state: Any) -> bool:
    """Write all outputs and return True, or False, before anything is written, if a source is not a row.

    Outputs are written band by band. Each follows the output that has it as partner, whose pixels are then cached.
    """
    pixels, sources, frame = state.pixels, state.sources, state.frame
    ptr = on_stack(state)
    if not _order(sources):
        return False
    n, partner = sources.index.shape[1], sources.index.shape[0] - 1
    for top in range(0, frame.row, frame.band):
        bottom = min(frame.row, top + frame.band)
        for turn in range(n):
            i, after = sources.order[0, turn], sources.order[0, min(turn + 1, n - 1)]
            own = (sources.index[0, i] if sources.gathered else i) * frame.source_row
            if sources.gathered and not pixels.buffer.shape[0]:
                _fetch_rows(pixels, sources, frame, after, top, bottom - top)
            ahead = sources.index[partner, after] * frame.source_row  # along a chain, the others are cached
            _make(state.calls.make, (Band(i, top, bottom, own, ahead), ptr))
    if pixels.buffer.shape[0]:
        _store(state.calls.store, (0, ptr))
    return True


@inlined
def _tile(first: int, band: Any, state: Any) -> Any:
    """Return the tile that begins at `first`. With a buffer, tiles are made in its two halves in turn."""
    pixels, frame = state.pixels, state.frame
    last = min(first + frame.tile, band.last)
    if frame.along:  # the next unit has other scales
        last = min(last, (first // frame.unit + 1) * frame.unit)
    at = pixels.pending[2] if pixels.buffer.shape[0] else band.i * frame.row + first
    return Tile(band.i, first, last, band.own, at)


@inlined
def _complete(tile: Any, band: Any, state: Any, ptr: int) -> None:
    """With a buffer, store the tile before this one, which is now the pending one."""
    pending, frame = state.pixels.pending, state.frame
    if state.pixels.buffer.shape[0]:
        _store(state.calls.store, (band.ahead + tile.first, ptr))
        pending[0], pending[1] = band.i * frame.row + tile.first, tile.last - tile.first
        pending[2] = frame.tile - pending[2]


@at_address(signatures.STORE)
def store(ahead: int, ptr: int) -> None:
    """Copy the pending tile to the output: whole cache lines past the caches, the two ends as usual."""
    state = load(ptr)
    pixels, frame = state.pixels, state.frame
    size, pending = frame.size_out, pixels.pending
    to, count, of = pending[0] * size, pending[1] * size, (frame.tile - pending[2]) * size
    head = min(count, -(data_address(pixels.out) + to) % LINE)
    body = (count - head) // LINE * LINE
    if head:
        move(pixels.out, to, pixels.buffer, of, head)
    stream(pixels.out, to + head, pixels.buffer, of + head, body, pixels.source, ahead * frame.size_in)
    if head + body < count:
        move(pixels.out, to + head + body, pixels.buffer, of + head + body, count - head - body)


@inlined
def _fetch_rows(pixels: Any, sources: Any, frame: Any, i: int, first: int, length: int) -> None:
    """Prefetch the sources of output i, which are anywhere in the dataset."""
    for j in range(sources.index.shape[0]):
        at = (sources.index[j, i] * frame.source_row + first) * frame.size_in
        fetch(pixels.source, at, length * frame.size_in)


@compiled
def _order(sources: Any) -> bool:
    """Write the order of the outputs, each followed by its first partner; return whether all sources are rows."""
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
def paste(band: Any, ptr: int) -> None:
    """Make a band of a Paste: the base sample or a blend of all sources, then the boxes over it."""
    state = load(ptr)
    pixels, frame, convert = state.pixels, state.frame, state.calls.convert
    out = pixels.buffer if pixels.buffer.shape[0] else pixels.out
    blended = state.region.blended[band.i]
    direct = convert == 0 and not blended
    first = band.first
    while first < band.last:
        tile = _tile(first, band, state)
        length, own, run = tile.last - tile.first, tile.own + tile.first, _run(tile, frame)
        gathered, to = (out, tile.at) if direct else (pixels.tile, 0)
        count = spans.of_boxes(tile, state)
        if blended:
            _place(tile, state)
            _blend(state.calls.blend, (out, run, ptr))
        elif direct or count:
            move(gathered, to * frame.size_in, pixels.own, own * frame.size_in, length * frame.size_in)
        _gather(gathered, to, count, tile, state, ptr)
        if blended:
            for s in range(count):
                _convert_span(out, run, state.region.span[s], state, ptr)
        elif not direct:
            x, start = (pixels.tile, 0) if count else (pixels.own, own)
            _convert(convert, (out, x, start, run, ptr))
        _complete(tile, band, state, ptr)
        first = tile.last


@at_address(signatures.MAKE)
def windows(band: Any, ptr: int) -> None:
    """Make a band of a Paste whose images have another size than the outputs, and are seen through source boxes."""
    state = load(ptr)
    pixels, convert = state.pixels, state.calls.convert
    out = pixels.buffer if pixels.buffer.shape[0] else pixels.out
    first = band.first
    while first < band.last:
        tile = _tile(first, band, state)
        gathered, to = (pixels.tile, 0) if convert else (out, tile.at)
        _gather(gathered, to, spans.of_source(0, tile, ptr), tile, state, ptr)  # in case the boxes leave a gap
        _gather(gathered, to, spans.of_boxes(tile, state), tile, state, ptr)
        if convert:
            _convert(convert, (out, gathered, 0, _run(tile, state.frame), ptr))
        _complete(tile, band, state, ptr)
        first = tile.last


@at_address(signatures.MAKE)
def choose(band: Any, ptr: int) -> None:
    """Make a band of a Dense with a bool weight: each pixel comes from one source."""
    state = load(ptr)
    pixels, convert = state.pixels, state.calls.convert
    out = pixels.buffer if pixels.buffer.shape[0] else pixels.out
    first = band.first
    while first < band.last:
        tile = _tile(first, band, state)
        count = spans.of_mask(tile, state)
        gathered, to = (pixels.tile, 0) if convert else (out, tile.at)
        _gather(gathered, to, count, tile, state, ptr)
        if convert:
            _convert(convert, (out, gathered, 0, _run(tile, state.frame), ptr))
        _complete(tile, band, state, ptr)
        first = tile.last


@at_address(signatures.MAKE)
def weigh(band: Any, ptr: int) -> None:
    """Make a band of a Dense with a float weight: the weighted sum of the sources, and the fill where all are 0."""
    state = load(ptr)
    pixels, frame, calls = state.pixels, state.frame, state.calls
    out = pixels.buffer if pixels.buffer.shape[0] else pixels.out
    holes = pixels.filling.shape[0] > 0
    first = band.first
    while first < band.last:
        tile = _tile(first, band, state)
        for j in range(state.sources.index.shape[0]):
            _spread(j, tile, ptr)
            x, start = _source(j, tile, state, ptr)
            _weigh(calls.weigh, (x, start, tile.last - tile.first, min(j, 1), ptr))
        if holes and _spread(-1, tile, ptr):
            _gather(pixels.tile, 0, spans.of_source(-1, tile, ptr), tile, state, ptr)
            _weigh(calls.weigh, (pixels.tile, 0, tile.last - tile.first, 2, ptr))
        _finish(calls.finish, (out, _run(tile, frame), ptr))
        _complete(tile, band, state, ptr)
        first = tile.last


@inlined
def _source(j: int, tile: Any, state: Any, ptr: int) -> Any:
    """Return an array and where the elements of source j begin in it; gather them first if a box moves them."""
    moved, index = state.region.moved, state.sources.index
    x, start = state.pixels.source, index[j, tile.i] * state.frame.row + tile.first
    if j == 0:
        x, start = state.pixels.own, tile.own + tile.first
    if moved.shape[0] and moved[j]:
        _gather(state.pixels.tile, 0, spans.of_source(j, tile, ptr), tile, state, ptr)
        x, start = state.pixels.tile, 0
    return x, start


@compiled
def _spread(j: int, tile: Any, ptr: int) -> bool:
    """Write the weight of source j for each element of a tile; return whether one is not 0.

    For j = -1 the weight is 1 in holes, where all weights are 0, and 0 elsewhere. Whole weights are numbers of 2^-16;
    that of the base sample is 2^16 minus the others.
    """
    state = load(ptr)
    weight, frame, line = state.region.weight, state.frame, state.numbers.line
    count, step, some = u((tile.last - tile.first) // frame.step), u(frame.step), 0
    first = u(tile.first // frame.step % (frame.depth * frame.height * frame.width))
    if j >= 0 and not frame.whole:
        _repeat(state.numbers.spread, weight[j, tile.i], first, count, step)
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
    _repeat(state.numbers.spread, line, u(0), count, step)
    return some > 0


@inlined
def _repeat(spread: Any, weight: Any, first: int, count: int, step: int) -> None:
    """Write the weight of each pixel for each of its elements."""
    if step == 3:  # a constant, so that the loop is unrolled: a tenth of the time
        for pixel in range(count):
            w, at = weight[first + pixel], u(3) * pixel
            spread[at], spread[at + u(1)], spread[at + u(2)] = w, w, w
    else:
        for pixel in range(count):
            for c in range(step):
                spread[step * pixel + c] = weight[first + pixel]


@inlined
def _place(tile: Any, state: Any) -> None:
    """Write where the elements of each source of a blend begin, and the weight of each source."""
    numbers, index = state.numbers, state.sources.index
    for j in range(index.shape[0]):
        start = tile.own if j == 0 else index[j, tile.i] * state.frame.row
        numbers.place[j], numbers.weight[j] = start + tile.first, state.region.background[j, tile.i]


@inlined
def _gather(out: Any, to: int, count: int, tile: Any, state: Any, ptr: int) -> None:
    """Copy the spans of a tile to `out`, where the tile begins at `to`."""
    pixels, size = state.pixels, state.frame.size_in
    line = state.frame.width * state.frame.step * size
    for s in range(count):
        span = state.region.span[s]
        at, who, start, length, b, lines = span[0], span[1], span[2], span[3], span[4], span[5]
        x = pixels.filling if who < 0 else pixels.own if who == 0 else pixels.source
        if b < 0:
            for y in range(lines):
                move(out, (to + at) * size + y * line, x, start * size + y * line, length * size)
        else:
            window = Window(tile.i, b, tile.first + at, length, lines, to + at, start)
            _pick(state.calls.pick, (out, x, window, ptr))


@inlined
def _convert_span(out: Any, run: Any, span: Any, state: Any, ptr: int) -> None:
    """Convert one gathered span of a tile, whose elements are `run`."""
    length, size, line = span[3], state.frame.size_in, state.frame.width * state.frame.step
    for y in range(span[5]):
        at = span[0] + y * line
        if state.calls.convert:
            part = Range(run.at + at, length, run.pattern + at)
            _convert(state.calls.convert, (out, state.pixels.tile, at, part, ptr))
        else:
            move(out, (run.at + at) * size, state.pixels.tile, at * size, length * size)


@inlined
def _run(tile: Any, frame: Any) -> Any:
    """Return the run of all elements of a tile; `pattern` is where its scales begin."""
    return Range(tile.at, tile.last - tile.first, tile.first // frame.unit * frame.along)
