"""Mix images tile by tile: gather spans, blend, convert, store.

These kernels work on bytes, so they are compiled once for all dtypes. They call the kernels of `numbers`, which depend
on dtypes, by address, once for each tile or span. `paste`, `windows`, `choose` and `weigh` make a band of an output,
one for each kind of region. They are called by address too, so that each is compiled only when it is needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import spans
from .cache import at_address, compiled, inlined
from .forms import SCRATCH, u
from .machine import (
    LINE,
    address,
    box_at,
    call,
    fetch,
    float_at,
    floats,
    int32_at,
    ints,
    move,
    span_at,
    state_at,
    stream,
)

_ONE = np.float32(65536)


@compiled
def mix(numbers: Any, out: Any, own: Any, source: Any, index: Any, box: Any, weight: Any, filling: Any) -> bool:
    """Write all outputs and return True, or False, before anything is written, if a source is not a row.

    Outputs are written band by band. Each follows the output that has it as partner, whose pixels are then cached.

    `numbers` holds a `State`, the table of boxes and scratch memory; `State` says what the other arrays are.
    """
    ptr = address(numbers)
    s = state_at(ptr, 0)
    s.out, s.own, s.source, s.indices = address(out), address(own), address(source), address(index)
    s.box, s.weight, s.filling = address(box), address(weight), address(filling)
    for place in range(SCRATCH[0], SCRATCH[1]):
        numbers[place] += ptr
    order = ints(s.order)
    if not _order(index, order, s):
        return False
    for top in range(0, s.row, s.band):
        s.end = min(s.row, top + s.band)
        for turn in range(s.n):
            s.i, after = order[u(turn)], order[u(min(turn + 1, s.n - 1))]
            s.base = (np.int64(index[0, s.i]) if s.gathered else s.i) * s.source_row
            s.ahead = index[s.sources - 1, after] * s.source_row  # along a chain, the others are cached
            if s.gathered and not s.store:
                for j in range(s.sources):
                    fetch(s.source + (index[j, after] * s.source_row + top) * s.size_in, (s.end - top) * s.size_in)
            s.first = s.last = top
            call(s.make, (ptr,))
    if s.store:
        call(s.store, (0, ptr))
    return True


@inlined
def _order(index: Any, order: Any, s: Any) -> bool:
    """Write the order of the outputs, each followed by its first partner; return whether all sources are rows."""
    for j in range(s.sources):
        for i in range(s.n):
            if not 0 <= index[j, i] < s.rows:
                return False
    for i in range(s.n):
        order[u(i)], order[u(s.n + i)] = i, 0
    count = 0 if s.chained and s.sources > 1 else s.n
    for first in range(s.n if count == 0 else 0):
        row: Any = first
        while not order[u(s.n + row)]:
            order[u(count)], order[u(s.n + row)] = row, 1
            count, row = count + 1, np.int64(index[1, row])
    return True


@inlined
def _begin(s: Any) -> bool:
    """Begin the next tile of a band; return whether there is one. Streamed tiles are made in two buffers in turn."""
    s.first = s.last
    s.last = min(s.first + s.tile_length, s.end)
    if s.along:  # the next unit has other scales
        s.last = min(s.last, (s.first // s.unit + 1) * s.unit)
    s.to = s.buffer + s.free if s.store else s.out + (s.i * s.row + s.first) * s.size_out
    return s.first < s.end


@inlined
def _complete(s: Any, ptr: int) -> None:
    """Store the tile before this one, if outputs are streamed; this one is now the pending one."""
    if s.store:
        call(s.store, (s.source + (s.ahead + s.first) * s.size_in, ptr))
        s.pending_to, s.pending = s.out + (s.i * s.row + s.first) * s.size_out, (s.last - s.first) * s.size_out
        s.free = s.tile_length * s.size_out - s.free


@at_address(2)
def store(ahead: int, ptr: int) -> None:
    """Copy the pending tile to the output: whole cache lines past the caches, the two ends as usual."""
    s = state_at(ptr, 0)
    to, count, start = s.pending_to, s.pending, s.buffer + s.tile_length * s.size_out - s.free
    head = min(count, -to % LINE)
    body = (count - head) // LINE * LINE
    if head:
        move(to, start, head)
    stream(to + head, start + head, body, ahead)
    if head + body < count:
        move(to + head + body, start + head + body, count - head - body)


@at_address(1)
def paste(ptr: int) -> None:
    """Make a band of a Paste: the base sample or a blend of all sources, then the boxes over it."""
    s = state_at(ptr, 0)
    blended = s.blend != 0 and float_at(s.weight, s.i) != 1
    direct = s.convert == 0 and not blended
    spans.prepare(s, ptr)
    while _begin(s):
        length, own = s.last - s.first, s.own + (s.base + s.first) * s.size_in
        tile = s.to if direct else s.tile
        count, covered = spans.of_boxes(s)
        if covered < length and not blended and (direct or count):
            move(tile, own, length * s.size_in)
        _gather(tile, count, s, ptr)
        if blended:
            call(s.mixed, (count, ptr))
        elif not direct:
            call(s.convert, (s.to, tile if count else own, length, _pattern(s), ptr))
        _complete(s, ptr)


@at_address(1)
def windows(ptr: int) -> None:
    """Make a band of a Paste whose images have another size than the outputs, and are seen through source boxes."""
    s = state_at(ptr, 0)
    spans.prepare(s, ptr)
    while _begin(s):
        tile = s.tile if s.convert else s.to
        _gather(tile, spans.of_source(0, s), s, ptr)  # in case the boxes leave a gap
        _gather(tile, spans.of_boxes(s)[0], s, ptr)
        if s.convert:
            call(s.convert, (s.to, tile, s.last - s.first, _pattern(s), ptr))
        _complete(s, ptr)


@at_address(1)
def choose(ptr: int) -> None:
    """Make a band of a Dense with a bool weight: each pixel comes from one source."""
    s = state_at(ptr, 0)
    spans.prepare(s, ptr)
    while _begin(s):
        tile = s.tile if s.convert else s.to
        _gather(tile, spans.of_mask(s), s, ptr)
        if s.convert:
            call(s.convert, (s.to, tile, s.last - s.first, _pattern(s), ptr))
        _complete(s, ptr)


@at_address(1)
def weigh(ptr: int) -> None:
    """Make a band of a Dense with a float weight: the weighted sum of the sources, and the fill where all are 0."""
    s = state_at(ptr, 0)
    spans.prepare(s, ptr)
    while _begin(s):
        length = s.last - s.first
        for j in range(s.sources + (s.filling_row > 0)):
            who = j if j < s.sources else -1
            some = _spread(who, s)
            if not some and who < 0:
                continue
            start = s.source + (int32_at(s.indices, max(who, 0) * s.n + s.i) * s.row + s.first) * s.size_in
            if who == 0:
                start = s.own + (s.base + s.first) * s.size_in
            if who < 0 or (s.box_count and box_at(s.boxes, who).moved):
                _gather(s.tile, spans.of_source(who, s), s, ptr)
                start = s.tile
            call(s.add, (start, length, 2 if who < 0 else min(j, 1), ptr))
        call(s.finish, (s.to, length, _pattern(s), ptr))
        _complete(s, ptr)


@inlined
def _spread(j: int, s: Any) -> bool:
    """Write the weight of source j for each element of a tile; return whether one is not 0.

    For j = -1 the weight is 1 in holes, where all weights are 0, and 0 elsewhere. Whole weights are numbers of 2^-16;
    that of the base sample is 2^16 minus the others.
    """
    pixels, line, some = s.depth * s.height * s.width, floats(s.line), s.filling_row == 0
    first, count = s.first // s.step % pixels, u((s.last - s.first) // s.step)
    whole, one = s.whole != 0, _ONE if s.whole else np.float32(1)
    own = floats(s.weight + ((max(j, 0) * s.n + s.i) * pixels + first) * 4)
    if j < 0 or (j == 0 and whole):
        for pixel in range(count):
            line[pixel] = one
        for other in range(j + 1, s.sources):
            weight = floats(s.weight + ((other * s.n + s.i) * pixels + first) * 4)
            for pixel in range(count):
                if j == 0:
                    line[pixel] -= np.rint(weight[pixel] * _ONE)
                elif weight[pixel] > 0:
                    line[pixel] = 0
        if j < 0:
            for pixel in range(count):
                some |= line[pixel] != 0
    elif whole:
        for pixel in range(count):
            line[pixel] = np.rint(own[pixel] * _ONE)
    else:
        line = own
    spread, step = floats(s.spread), u(s.step)
    if step == 3:  # a constant, so that the loop is unrolled: a tenth of the time
        for pixel in range(count):
            w, at = line[pixel], u(3) * pixel
            spread[at], spread[at + u(1)], spread[at + u(2)] = w, w, w
    else:
        for pixel in range(count):
            for c in range(step):
                spread[step * pixel + c] = line[pixel]
    return some


@at_address(2)
def mixed(count: int, ptr: int) -> None:
    """Make a tile of a blend: blend the sources, and convert the gathered spans over it."""
    s = state_at(ptr, 0)
    places, shares, rest = ints(s.place), floats(s.share), _ONE
    for j in range(s.sources):
        weight, start = float_at(s.weight, j * s.n + s.i), int32_at(s.indices, j * s.n + s.i) * s.row
        if s.whole:
            weight = np.rint(weight * _ONE)
        if j:
            rest -= weight
        places[u(j)], shares[u(j)] = s.source + (start + s.first) * s.size_in, weight
    places[u(0)] = s.own + (s.base + s.first) * s.size_in
    if s.whole:
        shares[u(0)] = rest
    pattern, line = _pattern(s), s.width * s.step
    call(s.blend, (s.to, s.last - s.first, pattern, ptr))
    for number in range(count):
        span = span_at(s.span, number)
        for y in range(span.lines):
            at = span.at + y * line
            if s.convert:
                call(s.convert, (s.to + at * s.size_out, s.tile + at * s.size_in, span.length, pattern + at, ptr))
            else:
                move(s.to + at * s.size_out, s.tile + at * s.size_in, span.length * s.size_in)


@inlined
def _gather(tile: int, count: int, s: Any, ptr: int) -> None:
    """Copy the spans of a tile to an address."""
    size, line = s.size_in, s.width * s.step * s.size_in
    for number in range(count):
        span = span_at(s.span, number)
        x = s.filling if span.who < 0 else s.own if span.who == 0 else s.source
        to, start, length = tile + span.at * size, x + span.start * size, span.length * size
        if span.b < 0:
            for y in range(span.lines):
                move(to + y * line, start + y * line, length)
        else:
            call(s.pick, (to, start, number, ptr))


@inlined
def _pattern(s: Any) -> int:
    """Return where the scales of a tile begin."""
    return s.first // s.unit * s.along
