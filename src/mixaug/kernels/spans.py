"""The geometry of mixed images: which elements of which source make up a tile, as a list of spans."""

from __future__ import annotations

from typing import Any

from .cache import at_address, inlined
from .forms import BOX, u
from .machine import box_at, byte_at, call, int32_at, ints, span_at, state_at, word_at

_WORD = 8  # bytes that are compared at once
_BOX = BOX.itemsize
_ONES = u(0x0101010101010101)  # a word of True


@inlined
def prepare(s: Any, ptr: int) -> None:
    """Write the boxes of output i into the table."""
    ends = 2 * s.axes
    for b in range(s.box_count):
        numbers, first = ints(s.boxes + b * _BOX), (b * s.n + s.i) * ends
        for end in range(ends):
            numbers[u(6 - ends + end)] = int32_at(s.box, first + end)
        if box_at(s.boxes, b).moved:
            call(s.shift, (b, ptr))


@at_address(2)
def shift(b: int, ptr: int) -> None:
    """Write the source box of box b into the table, and whether it is resized, or else by how much it is moved."""
    s = state_at(ptr, 0)
    ends, box, numbers = 2 * s.axes, box_at(s.boxes, b), ints(s.boxes + b * _BOX)
    first = ((s.box_count + b) * s.n + s.i) * ends
    for end in range(ends):
        numbers[u(12 - ends + end)] = int32_at(s.box, first + end)
    box.resized, box.shift, stride = s.resized, 0, s.step
    for turn in range(3):
        axis, length = 2 - turn, s.width if turn == 0 else s.height if turn == 1 else s.depth
        start, end = numbers[u(2 * axis)], numbers[u(2 * axis + 1)]
        source_start, source_end = numbers[u(6 + 2 * axis)], numbers[u(7 + 2 * axis)]
        if source_end - source_start != end - start or source_start < 0 or source_end > length:
            box.resized = 1
        box.shift += (source_start - start) * stride
        stride *= length
    if box.resized:
        box.shift = 0


@inlined
def of_boxes(s: Any) -> Any:
    """Write the spans of the boxes over a tile, each a block of lines; return their number and how much they cover."""
    count, covered, line = 0, 0, s.width * s.step
    for b in range(s.box_count):
        box = box_at(s.boxes, b)
        left, right, top, bottom = max(box.x0, 0), min(box.x1, s.width), max(box.y0, 0), min(box.y1, s.height)
        if left >= right or top >= bottom:
            continue
        slab = s.first // line // s.height
        while slab * s.height * line < s.last:
            start = slab * s.height * line
            if box.z0 <= slab % s.depth < box.z1:
                y, end = max((s.first - start) // line, top), min(bottom, (s.last - start - 1) // line + 1)
                while y < end:
                    at = start + y * line
                    first, last = max(s.first, at + left * s.step), min(s.last, at + right * s.step)
                    lines = 1
                    if box.who >= 0 and last - first == (right - left) * s.step:
                        lines = max(1, min(end - y, (s.last - last) // line + 1))
                    if first < last:
                        _write(count, box.who, b if box.resized else -1, first, last, s)
                        span = span_at(s.span, count)
                        span.start += box.shift
                        span.lines = lines
                        covered += (last - first) * lines if box.who >= 0 else 0
                        count += 1
                    y += lines
            slab += 1
    return count, covered


@inlined
def of_mask(s: Any) -> int:
    """Write the spans of a mask, runs of pixels that have the same source; return their number."""
    plane, count, start, end = s.depth * s.height * s.width, 0, s.first // s.step, s.last // s.step
    while start < end:
        offset = start // plane * plane
        limit = min(end, offset + plane)
        who = _who(start - offset, s)
        moved = who >= 0 and s.box_count and box_at(s.boxes, who).moved
        if moved or who < 0:
            limit = min(limit, (start // s.width + 1) * s.width)
        pixel = start + 1
        while pixel < limit:
            if pixel % _WORD == 0 and pixel + _WORD <= limit and _goes_on(pixel - offset, s):
                pixel += _WORD
            elif _who(pixel - offset, s) == who:
                pixel += 1
            else:
                break
        _write(count, who, who if moved else -1, start * s.step, pixel * s.step, s)
        count, start = count + 1, pixel
    return count


@inlined
def of_source(who: int, s: Any) -> int:
    """Write the spans of a tile that is all of one source, or all fill, line by line; return their number."""
    count, line, first = 0, s.width * s.step, s.first
    moved = who >= 0 and s.box_count and box_at(s.boxes, max(who, 0)).moved
    while first < s.last:
        last = min(s.last, (first // line + 1) * line)
        _write(count, who, who if moved else -1, first, last, s)
        count, first = count + 1, last
    return count


@inlined
def _write(count: int, who: int, b: int, first: int, last: int, s: Any) -> None:
    """Write the span of elements first..last - 1, which lie in one line if there is a b, or if they are fill."""
    if who < 0:
        start = s.i * s.filling_row + first % s.filling_row
    else:
        start = s.base if who == 0 else int32_at(s.indices, who * s.n + s.i) * s.source_row
        start += first if b < 0 else 0
    span = span_at(s.span, count)
    span.at, span.who, span.start, span.length, span.lines, span.b = first - s.first, who, start, last - first, 1, b


@inlined
def _who(pixel: int, s: Any) -> int:
    """Return the source of a pixel: the last one whose mask is True, or -1 in a hole."""
    who, pixels = 0, s.depth * s.height * s.width
    if s.filling_row and not byte_at(s.weight, s.i * pixels + pixel):
        who = -1
    for j in range(1, s.sources):
        if byte_at(s.weight, (j * s.n + s.i) * pixels + pixel):
            who = j
    return who


@inlined
def _goes_on(pixel: int, s: Any) -> bool:
    """Whether the next eight pixels have the same source as the pixel before them."""
    alike, pixels = True, s.depth * s.height * s.width
    for j in range(0 if s.filling_row else 1, s.sources):
        at = (j * s.n + s.i) * pixels + pixel
        alike &= word_at(s.weight + at, 0) == (_ONES if byte_at(s.weight, at - 1) else u(0))
    return alike


@inlined
def line_shown(first: int, box: Any, s: Any) -> int:
    """Return the element of the source where the line begins that is shown by the line that begins at `first`."""
    line = first // (s.width * s.step)
    slab, y = line // s.height, line % s.height
    plane, z = slab // s.depth, slab % s.depth
    z = _shown(z, box.z0, box.z1, box.source_z0, box.source_z1, s.source_depth)
    y = _shown(y, box.y0, box.y1, box.source_y0, box.source_y1, s.source_height)
    return ((plane * s.source_depth + z) * s.source_height + y) * s.source_width * s.step


@inlined
def _shown(pixel: int, first: int, last: int, source_first: int, source_last: int, length: int) -> int:
    """Return the pixel of the source that a pixel of a box shows; ops.images.look has the formula."""
    whole, part = max(source_last - source_first, 1), max(last - first, 1)
    return min(max(source_first + (2 * (pixel - first) + 1) * whole // (2 * part), 0), length - 1)


@inlined
def look(box: Any, column: Any, s: Any) -> None:
    """Write `_shown` of each pixel of a line, with one division in all, unless the column is of this output already."""
    if box.looked != s.i:
        box.looked = s.i
        whole, part = 2 * max(box.source_x1 - box.source_x0, 1), 2 * max(box.x1 - box.x0, 1)
        over = (2 * -box.x0 + 1) * (whole // 2)
        pixel, over = box.source_x0 + over // part, over % part
        for x in range(s.width):
            column[u(x)] = min(max(pixel, 0), s.source_width - 1) * s.step
            over += whole
            while over >= part:
                pixel, over = pixel + 1, over - part
