"""The loops that mix images on the CPU, compiled by Numba for each pair of dtypes.

An image is a line of elements, its `shape` being (planes, depth, height, width, step): a plane is a channel where
channels come first, and a pixel has `step` elements where they come last. Outputs are made piece by piece: what is
behind the boxes, and what the boxes show, while it is in the first cache. Each row is made after the one whose partner
it is, so that it is read once; each element is written once, but in small images, where many short runs cost more.
Pieces of large outputs are written past the caches while the next is gathered, and the next row's partner is fetched.

Types say what is to be done: `scale` is None where pixels stay in their units, `buffer` where outputs are written
through the caches, and `work` is a scratch of the dtype that is computed in (int32 for blends of uint8). float16 comes
as int16, bfloat16 as uint16, which Numba knows. Arrays of pixels are flat, and places in the inmost loops unsigned: for
others Numba asks each time whether they count from the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from .._xp.fused import inlined
from .._xp.kernel_cache import compiled

TILE = 16896  #: elements of a row that are made before those of the next
_LINE = 64  # bytes that are written past the caches at once
_ONE = 65536
_VECTOR = 32  # bytes that are copied at once
_LONG = 4096  # bytes of a run that the system copies as fast
_WORD = 8  # bytes that are compared at once

_u = np.uint64
_ONES = _u(0x0101010101010101)  # a word of True


@compiled
def paste(
    out: Any, own: Any, source: Any, filling: Any, index: Any, gathered: bool, chained: bool, weight: Any,
    blended: Any, held: Any, box: Any, who: Any, moved: Any, source_box: Any, column: Any, ends: Any, turn: Any, shape:
        Any,
    scale: Any, offset: Any, work: Any, buffer: Any,
) -> None:  # fmt: skip
    """Outputs of a Paste: the base sample, or where blended[i] the blend of all by weight (k, n); over it the boxes.

    Box b, int32 (boxes, n, d, 2), shows source who[b], and where moved[b] the part source_box[b] of it; where who[b]
    is -1, `filling`, which has as many elements a row as a channel's plane of an image or as a line of it.
    """
    out, own, source, filling, index = _lent(out), _lent(own), _lent(source), _lent(filling), _lent(index)
    weight, blended, box, who, source_box = _lent(weight), _lent(blended), _lent(box), _lent(who), _lent(source_box)
    moved, ends, turn, scale, offset = _lent(moved), _lent(ends), _lent(turn), _lent(scale), _lent(offset)
    work, buffer, held, column = _lent(work), _lent(buffer), _lent(held), _lent(column)
    planes, depth, height, width, step = shape
    line = width * step
    size = height * line
    row = planes * depth * size
    order = _order(index, chained, source.shape[0] // row)
    d = _made_in(out, buffer)
    g = _gathered_in(d, held, scale)
    address = out.ctypes.data
    together = min(planes * depth, max(1, TILE // size))  # planes that are made at once, where they are small
    piece, half, place_before, made_before = _piece(buffer), 0, 0, 0
    for group in range(0, planes * depth, together):
        for top in range(0, size, TILE):
            bottom = min(size, top + TILE)
            for visit in range(order.shape[0] * together):
                i, plane = order[visit // together], group + visit % together
                if plane >= planes * depth:
                    continue
                base, slab, units = plane * size, plane % depth * size, _units(scale, plane // depth, planes)
                after = order[min(visit // together + 1, order.shape[0] - 1)]
                then = index[index.shape[0] - 1, after] * row  # of a ring the others have been read by then
                low, high = _place(turn, ends, box, i, shape, plane % depth, top // line, (bottom - 1) // line + 1)
                for b in range(box.shape[0]):
                    if moved[b] and ends[b, 1, 0] < ends[b, 1, 1]:
                        across, along = box[b, i, box.shape[2] - 1], source_box[b, i, box.shape[2] - 1]
                        _look(column[b], ends[b, 2, 0], ends[b, 2, 1], across, along, width, step)
                mine = (index[0, i] if gathered else i) * row
                first = top
                while first < bottom:
                    place = i * row + base + first
                    last = min(bottom, first + _room(piece, address + place * out.itemsize, out.itemsize, buffer))
                    whole = not blended[i] and (first < low * line or first >= high * line)  # no box: as it lies
                    if whole and first < low * line:
                        last = min(last, low * line)
                    composed = not blended[i] and not whole
                    o = _made_at(place, buffer, half)
                    to = _gathered_at(o, d, held, scale) - first
                    phase = units + first % step  # runs begin with a pixel, but where a piece does not
                    if gathered and buffer is None:
                        _fetch_rows(source, index, after, row, base + first, last - first)
                    if whole:
                        _take(d, o, own, mine + base + first, last - first, scale, offset, phase, work)
                    elif blended[i]:
                        x, length = mine + base + first, last - first
                        _blend(
                            d, o, own, x, source, index, i, row, base + first, length, weight, scale, offset, phase,
                            work,
                        )  # fmt: skip
                    at = first
                    for y in range(max(low, first // line), min(high, (last - 1) // line + 1)):
                        for turned in range(turn.shape[0]):
                            b = turn[turned]
                            start = max(first, y * line + ends[b, 2, 0] * step)
                            end = min(last, y * line + ends[b, 2, 1] * step)
                            if start >= end or not ends[b, 1, 0] <= y < ends[b, 1, 1]:
                                continue
                            if composed and at < start:
                                _move(g, to + at, own, mine + base + at, start - at)
                            _show(
                                g, to + start, own, source, filling, index, i, mine, row, plane // depth, slab + start,
                                slab + end, who[b], b, moved, box, source_box, column, shape,
                            )  # fmt: skip
                            if blended[i]:
                                c = phase if start == first else units
                                _convert(d, o + start - first, g, to + start, end - start, scale, offset, c, work)
                            at = end
                    if composed:
                        _move(g, to + at, own, mine + base + at, last - at)
                    _flush(out, address, place_before, made_before, buffer, half, source, then + base + first)
                    if composed:
                        _convert(d, o, g, to + first, last - first, scale, offset, phase, work)
                    half, place_before, made_before = piece - half, place, last - first
                    first = last
    _flush(out, address, place_before, made_before, buffer, half, own, 0)


@inlined
def _blend(
    d: Any, o: int, own: Any, mine: int, source: Any, index: Any, i: int, row: int, at: int, length: int,
    weight: Any, scale: Any, offset: Any, units: int, work: Any,
) -> None:  # fmt: skip
    """((w0 x0 + w1 x1) + w2 x2) + ..., in this order: the first two or three sources in one loop, the rest by pairs."""
    zero, none = work[0], d[0]
    k, c = index.shape[0], _u(units)
    w0, w1 = weight[0, i], weight[1, i]
    for done in range(0, length, work.shape[0]):
        part = _u(min(work.shape[0], length - done))
        to, p0, p1 = _u(o + done), _u(mine + done), _u(index[1, i] * row + at + done)
        if k == 2:
            for r in range(part):
                value = w0 * _wide(own[p0 + r], zero) + w1 * _wide(source[p1 + r], zero)
                d[to + r] = _narrow(_affine(value, scale, offset, c + r), none)
            continue
        if k % 2:
            p2, w2 = _u(index[2, i] * row + at + done), weight[2, i]
            for r in range(part):
                two = w0 * _wide(own[p0 + r], zero) + w1 * _wide(source[p1 + r], zero)
                work[r] = two + w2 * _wide(source[p2 + r], zero)
        else:
            for r in range(part):
                work[r] = w0 * _wide(own[p0 + r], zero) + w1 * _wide(source[p1 + r], zero)
        for j in range(2 + k % 2, k, 2):
            p1, p2 = _u(index[j, i] * row + at + done), _u(index[j + 1, i] * row + at + done)
            v1, v2 = weight[j, i], weight[j + 1, i]
            if j < k - 2:
                for r in range(part):
                    work[r] = work[r] + v1 * _wide(source[p1 + r], zero) + v2 * _wide(source[p2 + r], zero)
            else:
                for r in range(part):
                    value = work[r] + v1 * _wide(source[p1 + r], zero) + v2 * _wide(source[p2 + r], zero)
                    d[to + r] = _narrow(_affine(value, scale, offset, c + r), none)
        if k == 3:
            for r in range(part):
                d[to + r] = _narrow(_affine(work[r], scale, offset, c + r), none)


@compiled
def _window(
    g: Any, to: int, x: Any, of: int, plane: int, y: int, start: int, end: int, box: Any, source_box: Any, shape: Any,
    column: Any,
) -> None:  # fmt: skip
    """A part of a line of a box that shows a part of its source: a shifted run, or pixel by pixel."""
    _, depth, height, width, step = shape
    axes = box.shape[0]
    if axes > 2:
        plane += _shown(plane % depth, box[0], source_box[0], depth) - plane % depth
    if axes > 1:
        y = _shown(y, box[axes - 2], source_box[axes - 2], height)
    of += (plane * height + y) * width * step
    box, source_box = box[axes - 1], source_box[axes - 1]
    if _is_shifted(box, source_box, start // step, (end - 1) // step + 1, width):
        _move(g, to, x, of + start + (source_box[0] - box[0]) * step, end - start)
        return
    while start % step and start < end:
        g[to] = x[of + column[start // step] + start % step]
        to, start = to + 1, start + 1
    first, count = start // step, max(end - start, 0) // step
    if step == 3:  # most images: one that the compiler knows takes a third of the time
        for pixel in range(_u(count)):
            at, place = _u(of + column[_u(first) + pixel]), _u(to) + _u(3) * pixel
            g[place] = x[at]
            g[place + _u(1)] = x[at + _u(1)]
            g[place + _u(2)] = x[at + _u(2)]
    else:
        for pixel in range(_u(count)):
            at, place = _u(of + column[_u(first) + pixel]), _u(to) + _u(step) * pixel
            for c in range(_u(step)):
                g[place + c] = x[at + c]
    for r in range(count * step, end - start):
        g[to + r] = x[of + column[(start + r) // step] + (start + r) % step]


@compiled
def _look(column: Any, start: int, end: int, box: Any, source_box: Any, width: int, step: int) -> None:
    """Where the pixels of a line are that those of a box show, from start to end; as `_shown`, with one division."""
    if _is_shifted(box, source_box, start, end, width):
        return
    whole, part = 2 * max(source_box[1] - source_box[0], 1), 2 * max(box[1] - box[0], 1)
    over = (2 * (start - box[0]) + 1) * (whole // 2)
    shown, over = source_box[0] + over // part, over % part
    for pixel in range(start, end):
        column[pixel] = min(max(shown, 0), width - 1) * step
        over += whole
        while over >= part:
            shown, over = shown + 1, over - part


@inlined
def _is_shifted(box: Any, source_box: Any, start: int, end: int, width: int) -> bool:
    """Whether a box shows a run of pixels as they are, these of its own."""
    same = source_box[1] - source_box[0] == box[1] - box[0] and source_box[0] >= 0 and source_box[1] <= width
    return bool(same and box[0] <= start and end <= box[1])


@compiled
def _shown(pixel: int, box: Any, source_box: Any, length: int) -> int:
    """The pixel of a source that one of a box shows, as `look` of apply/images.py has it."""
    whole, part = max(source_box[1] - source_box[0], 1), max(box[1] - box[0], 1)
    return min(max(source_box[0] + (2 * (pixel - box[0]) + 1) * whole // (2 * part), 0), length - 1)


@compiled
def dense(
    out: Any, own: Any, source: Any, filling: Any, index: Any, gathered: bool, chained: bool, weight: Any,
    weights: Any, held: Any, moved: Any, box: Any, source_box: Any, column: Any, shape: Any, scale: Any, offset: Any,
    work: Any, buffer: Any,
) -> None:  # fmt: skip
    """Outputs of a Dense: weight is (k, n, pixels), bool where each pixel is of one source, else float32.

    Where moved[j] source j is seen through a window: box[j], int32 (n, d, 2), shows the part source_box[j] of it.
    Where all weights are 0 `filling` is seen, as in `paste`; if it is empty there is no such pixel.
    """
    out, own, source, filling, index = _lent(out), _lent(own), _lent(source), _lent(filling), _lent(index)
    weight, weights, held, moved = _lent(weight), _lent(weights), _lent(held), _lent(moved)
    box, source_box, column, scale, offset = _lent(box), _lent(source_box), _lent(column), _lent(scale), _lent(offset)
    work, buffer = _lent(work), _lent(buffer)
    planes, depth, height, width, step = shape
    size = depth * height * width * step
    row = planes * size
    order = _order(index, chained, source.shape[0] // row)
    d = _made_in(out, buffer)
    g = _gathered_in(d, held, scale)
    address = out.ctypes.data
    together = min(planes, max(1, TILE // size))
    piece, half, place_before, made_before = _piece(buffer), 0, 0, 0
    for group in range(0, planes, together):
        for top in range(0, size, TILE):
            bottom = min(size, top + TILE)
            for visit in range(order.shape[0] * together):
                i, plane = order[visit // together], group + visit % together
                if plane >= planes:
                    continue
                base, units = plane * size, _units(scale, plane, planes)
                mine = (index[0, i] if gathered else i) * row
                after = order[min(visit // together + 1, order.shape[0] - 1)]
                then = index[index.shape[0] - 1, after] * row  # of a ring the others have been read by then
                for j in range(index.shape[0]):
                    if moved[j]:
                        across, along = box[j, i, box.shape[2] - 1], source_box[j, i, box.shape[2] - 1]
                        _look(column[j], 0, width, across, along, width, step)
                first = top
                while first < bottom:
                    place = i * row + base + first
                    room = min(work.shape[0], _room(piece, address + place * out.itemsize, out.itemsize, buffer))
                    last = min(bottom, first + room)
                    o = _made_at(place, buffer, half)
                    if gathered and buffer is None:
                        _fetch_rows(source, index, after, row, base + first, last - first)
                    if _is_binary(weight[0, 0, 0]):
                        to = _gathered_at(o, d, held, scale)
                        _choose(
                            g, to, own, source, filling, index, i, mine, row, plane, first, last, weight, moved, box,
                            source_box, column, shape,
                        )  # fmt: skip
                        _convert(d, o, g, to, last - first, scale, offset, units + first % step, work)
                    else:
                        _soft(
                            d, o, own, source, filling, index, i, mine, row, plane, first, last, weight, weights, held,
                            moved, box, source_box, column, shape, units, scale, offset, work,
                        )  # fmt: skip
                    _flush(out, address, place_before, made_before, buffer, half, source, then + base + first)
                    half, place_before, made_before = piece - half, place, last - first
                    first = last
    _flush(out, address, place_before, made_before, buffer, half, own, 0)


@inlined
def _choose(
    g: Any, to: int, own: Any, source: Any, filling: Any, index: Any, i: int, mine: int, row: int, plane: int,
    first: int, last: int, weight: Any, moved: Any, box: Any, source_box: Any, column: Any, shape: Any,
) -> None:  # fmt: skip
    """Runs of pixels of one source each, of the last whose weight is True, or of a hole."""
    step, holes = shape[4], filling.shape[0] > 0
    start = first
    who = _who(weight, i, start // step, holes)
    while start < last:
        pixel, other = start // step + 1, -1
        while pixel * step < last:
            if pixel % _WORD == 0 and (pixel + _WORD) * step <= last and _goes_on(weight, i, pixel, holes):
                pixel += _WORD
                continue
            other = _who(weight, i, pixel, holes)
            if other != who:
                break
            pixel += 1
        end = min(last, pixel * step)
        _show(
            g, to + start - first, own, source, filling, index, i, mine, row, plane, start, end, who, who, moved, box,
            source_box, column, shape,
        )  # fmt: skip
        start, who = end, other


@inlined
def _show(
    g: Any, to: int, own: Any, source: Any, filling: Any, index: Any, i: int, mine: int, row: int, plane: int,
    first: int, last: int, who: int, b: int, moved: Any, box: Any, source_box: Any, column: Any, shape: Any,
) -> None:  # fmt: skip
    """Elements of a plane as one source shows them, where moved[b] through its window; or what is in a hole."""
    _, depth, height, width, step = shape
    base = plane * depth * height * width * step
    if who < 0:
        _fill(g, to, filling, index.shape[1], i, first, last, width * step)
    elif moved[b]:
        x, of = own if who == 0 else source, mine if who == 0 else index[who, i] * row
        _through(g, to, x, of, plane, first, last, box[b, i], source_box[b, i], shape, column[b])
    elif who == 0:
        _move(g, to, own, mine + base + first, last - first)
    else:
        _move(g, to, source, index[who, i] * row + base + first, last - first)


@inlined
def _who(weight: Any, i: int, pixel: int, holes: bool) -> int:
    """Whose a pixel is: -1 where it is nobody's, which is possible where there are holes."""
    who = -1 if holes and not weight[0, i, pixel] else 0
    for j in range(1, weight.shape[0]):
        if weight[j, i, pixel]:
            who = j
    return who


@inlined
def _goes_on(weight: Any, i: int, pixel: int, holes: bool) -> bool:
    """Whether as many pixels as a word has bytes are whose the one before them is, by their weights."""
    alike = True
    for j in range(0 if holes else 1, weight.shape[0]):
        word = _word(weight, (j * weight.shape[1] + i) * weight.shape[2] + pixel)
        alike &= word == (_ONES if weight[j, i, pixel - 1] else _u(0))
    return alike


@inlined
def _through(
    g: Any, to: int, x: Any, of: int, plane: int, first: int, last: int, box: Any, source_box: Any, shape: Any, column:
        Any
) -> None:  # fmt: skip
    """What a window shows of elements of a plane, line by line."""
    _, depth, height, width, step = shape
    line = width * step
    while first < last:
        y = first // line
        end = min(last, (y + 1) * line)
        _window(
            g, to, x, of, plane * depth + y // height, y % height, first - y * line, end - y * line, box, source_box,
            shape, column,
        )  # fmt: skip
        to, first = to + end - first, end


@compiled
def _fill(g: Any, to: int, filling: Any, n: int, i: int, first: int, last: int, line: int) -> None:
    """What is in a hole, of these elements of a plane: line by line where all lines have the same."""
    each = filling.shape[0] // n
    if each > line:
        _move(g, to, filling, i * each + first, last - first)
        return
    while first < last:
        end = min(last, (first // line + 1) * line)
        _move(g, to, filling, i * line + first % line, end - first)
        to, first = to + end - first, end


@inlined
def _soft(
    d: Any, o: int, own: Any, source: Any, filling: Any, index: Any, i: int, mine: int, row: int, plane: int,
    first: int, last: int, weight: Any, weights: Any, held: Any, moved: Any, box: Any, source_box: Any, column: Any,
    shape: Any, units: int, scale: Any, offset: Any, work: Any,
) -> None:  # fmt: skip
    """A blend with a weight a pixel."""
    _, depth, height, width, step = shape
    base, none = plane * depth * height * width * step, d[0]
    length, c, to = _u(last - first), _u(units + first % step), _u(o)
    begin, end = first // step, (last - 1) // step + 1
    of = _u(first % step)  # weights begin with a pixel, but where a piece does not
    for j in range(weight.shape[0]):
        _spread(weights, weight, j, i, begin, end, step)
        if moved[j]:
            x = own if j == 0 else source
            at = mine if j == 0 else index[j, i] * row
            _through(held, 0, x, at, plane, first, last, box[j, i], source_box[j, i], shape, column[j])
            _weigh(work, weights, of, held, _u(0), length, j)
        elif j == 0:
            _weigh(work, weights, of, own, _u(mine + base + first), length, j)
        else:
            _weigh(work, weights, of, source, _u(index[j, i] * row + base + first), length, j)
    if filling.shape[0] > 0 and _has_holes(weights, weight, i, begin, end, step):
        _fill(held, 0, filling, index.shape[1], i, first, last, width * step)
        one = _whole(np.float32(1), work[0])
        for r in range(length):
            if weights[of + r] == 0:
                work[r] = one * _wide(held[r], work[0])
    for r in range(length):
        d[to + r] = _narrow(_affine(work[r], scale, offset, c + r), none)


@inlined
def _weigh(work: Any, weights: Any, of: int, x: Any, p: int, length: int, j: int) -> None:
    """Add a source by its weights, one an element."""
    zero = work[0]
    if j == 0:
        for r in range(length):
            work[r] = weights[of + r] * _wide(x[p + r], zero)
    else:
        for r in range(length):
            work[r] += weights[of + r] * _wide(x[p + r], zero)


@inlined
def _has_holes(weights: Any, weight: Any, i: int, first: int, last: int, step: int) -> bool:
    """Whether there are pixels that nobody has; then weights are 0 there, and above 0 elsewhere."""
    count, none = _u(last - first), _whole(np.float32(0), weights[0])
    for j in range(weight.shape[0]):
        for pixel in range(count):
            seen = none + (weight[j, i, _u(first) + pixel] > 0)
            weights[pixel] = seen if j == 0 else weights[pixel] + seen
    holes = 0
    for pixel in range(count):
        holes += weights[pixel] == 0
    if holes and step > 1:
        for pixel in range(last - first - 1, -1, -1):  # from the last on, for none is read when it is written over
            value = weights[pixel]
            for c in range(step):
                weights[pixel * step + c] = value
    return holes > 0


@inlined
def _spread(weights: Any, weight: Any, j: int, i: int, first: int, last: int, step: int) -> None:
    """A source's weight a pixel as one an element."""
    if step == 1:
        for pixel in range(_u(last - first)):
            weights[pixel] = _weight(weights, weight, j, i, _u(first) + pixel)
    elif step == 3:  # most images: one that the compiler knows takes a tenth of the time
        for pixel in range(_u(last - first)):
            w = _weight(weights, weight, j, i, _u(first) + pixel)
            r = _u(3) * pixel
            weights[r] = w
            weights[r + _u(1)] = w
            weights[r + _u(2)] = w
    else:
        for pixel in range(_u(last - first)):
            w = _weight(weights, weight, j, i, _u(first) + pixel)
            for c in range(_u(step)):
                weights[_u(step) * pixel + c] = w


@inlined
def _weight(weights: Any, weight: Any, j: int, i: int, pixel: int) -> Any:
    """A weight as it is computed with; the base sample's whole one is what the others leave of 2^16."""
    zero = weights[0]
    if j > 0 or not _is_whole(zero):
        return _whole(weight[j, i, pixel], zero)
    w = _whole(np.float32(1), zero)
    for other in range(1, weight.shape[0]):
        w -= _whole(weight[other, i, pixel], zero)
    return w


@compiled
def labels(out: Any, own: Any, source: Any, index: Any, lam: Any) -> bool:
    """Add up the shares of each class, of ids (n,); whether all ids are in range, and all sources rows."""
    for i in range(out.shape[0]):
        for j in range(index.shape[0]):
            row = np.int64(index[j, i])
            if not 0 <= row < source.shape[0]:
                return False
            label = np.int64(own[i] if j == 0 else source[row])
            if not 0 <= label < out.shape[1]:
                return False
            out[i, label] += lam[j, i]
    return True


@compiled
def _order(index: Any, chained: bool, rows: int) -> Any:
    """The outputs, each followed by its first partner where that is one of them and still to come.

    Sources that are no rows of the source are found here, before memory is read for one.
    """
    n = index.shape[1]
    for one in index.flat:
        if not 0 <= one < rows:
            raise IndexError("index: expected rows of the source, got one that is not there")
    order = np.arange(n)
    if not chained or index.shape[0] == 1:
        return order
    seen = np.zeros(n, np.bool_)
    count = 0
    for first in range(n):
        i = np.int64(first)
        while not seen[i]:
            seen[i] = True
            order[count] = i
            count += 1
            i = np.int64(index[1, i])
    return order


@inlined
def _fetch_rows(source: Any, index: Any, i: int, row: int, at: int, length: int) -> None:
    """Have all that output i is made of fetched: rows from anywhere, which the processor cannot guess."""
    for j in range(index.shape[0]):
        _fetch(source, index[j, i] * row + at, length)


@inlined
def _place(turn: Any, ends: Any, box: Any, i: int, shape: Any, z: int, top: int, bottom: int) -> Any:
    """Where the boxes of output i lie in these lines of plane z, from the left; the lines that have some."""
    axes = box.shape[2]
    low, high = bottom, top
    for b in range(box.shape[0]):
        for axis in range(3):  # those that an image does not have are 1 long
            mine = axis - 3 + axes
            ends[b, axis, 0] = max(box[b, i, mine, 0], 0) if mine >= 0 else 0
            ends[b, axis, 1] = min(box[b, i, mine, 1], shape[1 + axis]) if mine >= 0 else 1
        ends[b, 1, 0], ends[b, 1, 1] = max(ends[b, 1, 0], top), min(ends[b, 1, 1], bottom)
        if not ends[b, 0, 0] <= z < ends[b, 0, 1]:
            ends[b, 1, 1] = ends[b, 1, 0]
        if ends[b, 1, 0] < ends[b, 1, 1]:
            low, high = min(low, ends[b, 1, 0]), max(high, ends[b, 1, 1])
        place = b
        while place > 0 and ends[turn[place - 1], 2, 0] > ends[b, 2, 0]:
            turn[place] = turn[place - 1]
            place -= 1
        turn[place] = b
    return low, high


@inlined
def _write_past(out: Any, address: int, at: int, length: int, buffer: Any, half: int, x: Any, ahead: int) -> None:
    """Write the piece before past the caches, what lies before its first whole line and after its last through them.

    It lies in the other half of the buffer. To read what has just been written there would wait until all stores
    before are done, those past the caches too: so meanwhile the next piece is gathered.
    """
    size = out.itemsize
    start = buffer.shape[0] // 2 - half
    head = min(length, (-(address + at * size) % _LINE) // size)
    body = (length - head) * size // _LINE * _LINE // size
    for r in range(head):
        out[at + r] = buffer[start + r]
    _stream(out, at + head, buffer, start + head, body, x, ahead)
    for r in range(head + body, length):
        out[at + r] = buffer[start + r]


@intrinsic
def _lent(context: Any, x: Any) -> Any:
    """The same array without a count of who refers to it, which costs an atomic addition wherever it is handed on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if x == types.none:
            return args[0]
        array = context.make_array(signature.args[0])(context, builder, value=args[0])
        array.meminfo = array.meminfo.type(None)
        return array._getvalue()

    return x(x), generate


@intrinsic
def _move(context: Any, to: Any, at: Any, x: Any, start: Any, length: Any) -> Any:
    """Copy elements as they are: short runs by vectors without a call, the last of which may overlap the one before."""
    index = ir.IntType(64)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        arrays = (context.make_array(signature.args[a])(context, builder, args[a]).data for a in (0, 2))
        places = (builder.gep(data, [args[a]]) for data, a in zip(arrays, (1, 3), strict=True))
        write, read = (builder.bitcast(place, ir.IntType(8).as_pointer()) for place in places)
        count = builder.mul(args[4], index(to.dtype.bitwidth // 8))
        last = builder.sub(count, index(_VECTOR))
        short = builder.icmp_unsigned("<", last, index(_LONG))
        with builder.if_else(short, likely=True) as (by_vectors, by_other):
            with by_vectors:
                with cgutils.for_range_slice(builder, index(0), last, index(_VECTOR), index) as (done, _):
                    _move_vector(builder, write, read, done, _VECTOR)
                _move_vector(builder, write, read, last, _VECTOR)
            with by_other, builder.if_else(builder.icmp_signed(">=", last, index(0))) as (by_call, by_few):
                with by_call:
                    cgutils.raw_memcpy(builder, write, read, count, 1)
                with by_few:
                    _move_few(builder, write, read, count, _VECTOR // 2)
        return context.get_dummy_value()

    return types.void(to, types.int64, x, types.int64, types.int64), generate


def _move_few(builder: Any, write: Any, read: Any, count: Any, half: int) -> None:
    """Write the instructions for less than a vector: its first and its last part, which may overlap."""
    with builder.if_else(builder.icmp_signed(">=", count, count.type(half))) as (by_two, by_less):
        with by_two:
            _move_vector(builder, write, read, count.type(0), half)
            _move_vector(builder, write, read, builder.sub(count, count.type(half)), half)
        with by_less:
            if half > 1:
                _move_few(builder, write, read, count, half // 2)


def _move_vector(builder: Any, write: Any, read: Any, at: Any, size: int) -> None:
    """Write the instructions for it."""
    vector = ir.VectorType(ir.IntType(8), size).as_pointer()
    to, of = (builder.bitcast(builder.gep(place, [at]), vector) for place in (write, read))
    builder.store(builder.load(of, align=1), to, align=1)


@intrinsic
def _word(context: Any, x: Any, at: Any) -> Any:
    """The word of bytes from an element on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        bytes_ = builder.bitcast(data, ir.IntType(8).as_pointer())
        return builder.load(builder.bitcast(builder.gep(bytes_, [args[1]]), ir.IntType(64).as_pointer()), align=1)

    return types.uint64(x, types.int64), generate


@intrinsic
def _fetch(context: Any, x: Any, at: Any, length: Any) -> Any:
    """Have elements that are soon to be read fetched into the caches."""
    lanes = _LINE // (x.dtype.bitwidth // 8)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        index = ir.IntType(64)
        with cgutils.for_range_slice(builder, index(0), args[2], index(lanes), index) as (done, _):
            _prefetch(builder, builder.gep(data, [builder.add(args[1], done)]))
        return context.get_dummy_value()

    return types.void(x, types.int64, types.int64), generate


def _prefetch(builder: Any, place: Any) -> None:
    """Write the instruction for it."""
    flag, address = ir.IntType(32), ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [address, flag, flag, flag])
    fetch = builder.module.declare_intrinsic("llvm.prefetch", [address], kind)
    builder.call(fetch, [builder.bitcast(place, address), flag(0), flag(3), flag(1)])


@intrinsic
def _stream(context: Any, d: Any, at: Any, buffer: Any, start: Any, length: Any, x: Any, ahead: Any) -> Any:
    """Store lines of 64 bytes past the caches, from an address that is a multiple of it on; fetch as many elements."""
    element = d.dtype.bitwidth // 8
    lanes = _LINE // element

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vector = ir.VectorType(context.get_data_type(d.dtype), lanes)
        to, by, of = (context.make_array(signature.args[a])(context, builder, args[a]).data for a in (0, 2, 5))
        index = ir.IntType(64)
        following = builder.gep(of, [args[6]])
        with cgutils.for_range_slice(builder, index(0), args[4], index(lanes), index) as (done, _):
            _prefetch(builder, builder.gep(following, [done]))
            held = builder.bitcast(builder.gep(by, [builder.add(args[3], done)]), vector.as_pointer())
            place = builder.bitcast(builder.gep(to, [builder.add(args[1], done)]), vector.as_pointer())
            stored = builder.store(builder.load(held, align=element), place, align=_LINE)
            stored.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    return types.void(d, types.int64, buffer, types.int64, types.int64, x, types.int64), generate


def _gathered_in(d: Any, held: Any, scale: Any) -> Any:
    """Where runs are gathered: where pieces are made, or first in their own dtype, to be converted at once."""
    raise NotImplementedError  # these are known by types alone: below is what Numba makes of them


def _gathered_at(o: int, d: Any, held: Any, scale: Any) -> int:
    """From where on they are gathered there."""
    raise NotImplementedError


def _convert(d: Any, o: int, x: Any, s: int, length: int, scale: Any, offset: Any, units: int, work: Any) -> None:
    """Convert what has been gathered from s on, if it is to be converted."""
    raise NotImplementedError


def _take(d: Any, o: int, x: Any, s: int, length: int, scale: Any, offset: Any, units: int, work: Any) -> None:
    """Elements of x from s on, in their new units."""
    raise NotImplementedError


def _is_binary(weight: Any) -> bool:
    """Whether each pixel is of one source."""
    raise NotImplementedError


def _is_whole(zero: Any) -> bool:
    """Whether it is computed in whole numbers of 2^-16."""
    raise NotImplementedError


def _whole(weight: Any, zero: Any) -> Any:
    """A weight in the dtype that is computed in."""
    raise NotImplementedError


def _wide(element: Any, zero: Any) -> Any:
    """An element in the dtype that is computed in."""
    raise NotImplementedError


def _affine(value: Any, scale: Any, offset: Any, c: Any) -> Any:
    """A value in its new units."""
    raise NotImplementedError


def _narrow(value: Any, none: Any) -> Any:
    """What has been computed as an element, rounded once."""
    raise NotImplementedError


def _units(scale: Any, plane: int, planes: int) -> int:
    """Where the scale of a plane begins."""
    raise NotImplementedError


def _made_in(out: Any, buffer: Any) -> Any:
    """Where pieces are made."""
    raise NotImplementedError


def _made_at(at: int, buffer: Any, half: int) -> int:
    """From where on a piece is made there."""
    raise NotImplementedError


def _piece(buffer: Any) -> int:
    """How many elements are made before they are written."""
    raise NotImplementedError


def _room(piece: int, address: int, size: int, buffer: Any) -> int:
    """How long a piece may be: past the caches so that the next one begins with a whole line."""
    raise NotImplementedError


def _flush(out: Any, address: int, at: int, length: int, buffer: Any, half: int, x: Any, ahead: int) -> None:
    """Write what was made in a buffer before past the caches, and fetch what is to be read next from x."""
    raise NotImplementedError


def _stays(d: Any, x: Any, scale: Any) -> bool:
    return bool(d.dtype == x.dtype and scale == types.none)


@overload(_gathered_in, inline="always")
def _gathered_in_of(d, held, scale):  # Numba wants names and no annotations, here and below
    return (lambda d, held, scale: d) if _stays(d, held, scale) else lambda d, held, scale: held


@overload(_gathered_at, inline="always")
def _gathered_at_of(o, d, held, scale):
    return (lambda o, d, held, scale: o) if _stays(d, held, scale) else lambda o, d, held, scale: 0


@overload(_convert, inline="always")
def _convert_of(d, o, x, s, length, scale, offset, units, work):
    if _stays(d, x, scale):
        return lambda d, o, x, s, length, scale, offset, units, work: None

    def convert(d, o, x, s, length, scale, offset, units, work):
        zero, none = work[0], d[0]
        for done in range(0, length, work.shape[0]):
            to, of, c = _u(o + done), _u(s + done), _u(units)
            for r in range(_u(min(work.shape[0], length - done))):
                d[to + r] = _narrow(_affine(_wide(x[of + r], zero), scale, offset, c + r), none)

    return convert


@overload(_take, inline="always")
def _take_of(d, o, x, s, length, scale, offset, units, work):
    if _stays(d, x, scale):
        return lambda d, o, x, s, length, scale, offset, units, work: _move(d, o, x, s, length)
    return lambda d, o, x, s, length, scale, offset, units, work: _convert(
        d, o, x, s, length, scale, offset, units, work
    )


@overload(_is_binary, inline="always")
def _is_binary_of(weight):
    binary = weight == types.boolean
    return lambda weight: binary


@overload(_is_whole, inline="always")
def _is_whole_of(zero):
    whole = zero == types.int32
    return lambda zero: whole


@overload(_whole, inline="always")
def _whole_of(weight, zero):
    if zero == types.int32:
        return lambda weight, zero: np.int32(np.rint(weight * np.float32(_ONE)))
    if zero == types.float64:
        return lambda weight, zero: np.float64(weight)
    return lambda weight, zero: weight


@overload(_wide, inline="always")
def _wide_of(element, zero):
    if element == types.int16:
        return lambda element, zero: _half_to_float(element)
    if element == types.uint16:
        return lambda element, zero: _brain_to_float(element)
    if zero == types.int32:
        return lambda element, zero: np.int32(element)
    if zero == types.float64:
        return lambda element, zero: np.float64(element)
    return lambda element, zero: np.float32(element)


@overload(_affine, inline="always")
def _affine_of(value, scale, offset, c):
    if scale == types.none:
        return lambda value, scale, offset, c: value
    return lambda value, scale, offset, c: value * scale[c] + offset[c]


@overload(_units, inline="always")
def _units_of(scale, plane, planes):
    if scale == types.none:
        return lambda scale, plane, planes: 0
    return lambda scale, plane, planes: scale.shape[0] // planes * plane


@overload(_made_in, inline="always")
def _made_in_of(out, buffer):
    return (lambda out, buffer: out) if buffer == types.none else lambda out, buffer: buffer


@overload(_made_at, inline="always")
def _made_at_of(at, buffer, half):
    return (lambda at, buffer, half: at) if buffer == types.none else lambda at, buffer, half: half


@overload(_piece, inline="always")
def _piece_of(buffer):
    return (lambda buffer: TILE) if buffer == types.none else lambda buffer: buffer.shape[0] // 2


@overload(_room, inline="always")
def _room_of(piece, address, size, buffer):
    if buffer == types.none:
        return lambda piece, address, size, buffer: piece
    return lambda piece, address, size, buffer: piece - address % _LINE // size


@overload(_flush, inline="always")
def _flush_of(out, address, at, length, buffer, half, x, ahead):
    if buffer == types.none:
        return lambda out, address, at, length, buffer, half, x, ahead: None

    def flush(out, address, at, length, buffer, half, x, ahead):
        _write_past(out, address, at, length, buffer, half, x, ahead)

    return flush


@overload(_narrow, inline="always")
def _narrow_of(value, none):
    if none == types.int16:
        return lambda value, none: _float_to_half(value)
    if none == types.uint16:
        return lambda value, none: _float_to_brain(value)
    if none == types.uint8 and isinstance(value, types.Integer):
        return lambda value, none: np.uint8((value + _ONE // 2) >> 16)
    if none == types.uint8:
        return lambda value, none: np.uint8(min(max(np.rint(value), np.float32(0)), np.float32(255)))
    return lambda value, none: value


def _bits(given: Any, wanted: Any, convert: Any) -> Any:
    """A conversion between numbers and bits that Numba has no type for."""

    @intrinsic
    def converted(context: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return convert(builder, args[0])

        return wanted(given), generate

    return converted


def _brain_to_float_ir(b: Any, bits: Any) -> Any:
    wide = b.shl(b.zext(bits, ir.IntType(32)), ir.IntType(32)(16))
    return b.bitcast(wide, ir.FloatType())


def _float_to_brain_ir(b: Any, x: Any) -> Any:
    """Round to nearest, ties to even; what is no number stays none."""
    word = ir.IntType(32)
    bits = b.bitcast(x, word)
    odd = b.and_(b.lshr(bits, word(16)), word(1))
    rounded = b.add(bits, b.add(odd, word(0x7FFF)))
    quiet = b.or_(bits, word(0x400000))
    nan = b.fcmp_unordered("uno", x, x)
    return b.trunc(b.lshr(b.select(nan, quiet, rounded), word(16)), ir.IntType(16))


_half_to_float = _bits(types.int16, types.float32, lambda b, x: b.fpext(b.bitcast(x, ir.HalfType()), ir.FloatType()))
_float_to_half = _bits(types.float32, types.int16, lambda b, x: b.bitcast(b.fptrunc(x, ir.HalfType()), ir.IntType(16)))
_brain_to_float = _bits(types.uint16, types.float32, _brain_to_float_ir)
_float_to_brain = _bits(types.float32, types.uint16, _float_to_brain_ir)
