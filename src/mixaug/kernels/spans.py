"""The geometry of mixed images: which elements of which source make up a tile, as a list of spans.

A span is a row of int64, (at, who, start, length, b, lines). It copies `length` elements to offset `at` of the tile,
from offset `start` of the array of source `who`, or of the fill if `who` is -1; and the elements at the same places of
the next lines, `lines` in all. If b is 0 or more, box b resizes the source, whose image begins at `start`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .cache import compiled, inlined
from .forms import u
from .machine import word
from .signatures import load

_WORD = 8  # bytes that are compared at once
_ONES = u(0x0101010101010101)  # a word of True


@inlined
def of_boxes(tile: Any, state: Any) -> int:
    """Write the spans of the boxes over a tile, a block of lines each; return their number."""
    region, frame = state.region, state.frame
    count, line, plain = 0, frame.width * frame.step, frame.row == frame.height * frame.width * frame.step
    for b in range(region.box.shape[0]):
        box = region.box[b, tile.i]
        left, right = _ends(box, 2, frame.width)
        top, bottom = _ends(box, 1, frame.height)
        front, back = _ends(box, 0, frame.depth)
        if left >= right or top >= bottom or (plain and not (top * line < tile.last and tile.first < bottom * line)):
            continue
        resized, shift = True, 0
        if region.who[b] < 0 or not frame.resized:
            resized, shift = _shift(region.box[b, tile.i], region.source_box[b, tile.i], frame)
        line_number = tile.first // line
        slab = line_number // frame.height
        y = line_number - slab * frame.height
        while slab * frame.height * line < tile.last:
            start = slab * frame.height * line
            if front <= slab % frame.depth < back:
                y, end = max(y, top), min(bottom, (tile.last - start - 1) // line + 1)
                while y < end:
                    at = start + y * line
                    first, last = max(tile.first, at + left * frame.step), min(tile.last, at + right * frame.step)
                    lines = 1
                    if region.who[b] >= 0 and last - first == (right - left) * frame.step:
                        lines = max(1, min(end - y, (tile.last - last) // line + 1))
                    if first < last:
                        _write(count, region.who[b], b if resized else -1, first, last, tile, state)
                        region.span[count, 2] += shift
                        region.span[count, 5] = lines
                        count += 1
                    y += lines
            slab, y = slab + 1, 0
    return count


@inlined
def of_mask(tile: Any, state: Any) -> int:
    """Write the spans of a mask, runs of pixels that have the same source; return their number."""
    pixels, region, frame = state.pixels, state.region, state.frame
    mask, step, holes = region.mask, frame.step, pixels.filling.shape[0] > 0
    plane = frame.depth * frame.height * frame.width
    count, start, end = 0, tile.first // step, tile.last // step
    while start < end:
        offset = start // plane * plane
        limit = min(end, offset + plane)
        who = _who(mask, tile.i, start - offset, holes)
        moved = who >= 0 and who < region.moved.shape[0] and region.moved[who]
        if moved or who < 0:
            limit = min(limit, (start // frame.width + 1) * frame.width)
        pixel = start + 1
        while pixel < limit:
            if pixel % _WORD == 0 and pixel + _WORD <= limit and _goes_on(mask, tile.i, pixel - offset, holes):
                pixel += _WORD
            elif _who(mask, tile.i, pixel - offset, holes) == who:
                pixel += 1
            else:
                break
        _write(count, who, who if moved else -1, start * step, pixel * step, tile, state)
        count, start = count + 1, pixel
    return count


@compiled
def of_source(who: int, tile: Any, ptr: int) -> int:
    """Write the spans of a tile that is all of one source, or all fill, line by line; return their number."""
    state = load(ptr)
    region, count, line, first = state.region, 0, state.frame.width * state.frame.step, tile.first
    moved = who >= 0 and who < region.moved.shape[0] and region.moved[who]
    while first < tile.last:
        last = min(tile.last, (first // line + 1) * line)
        _write(count, who, who if moved else -1, first, last, tile, state)
        count, first = count + 1, last
    return count


@inlined
def _write(count: int, who: int, b: int, first: int, last: int, tile: Any, state: Any) -> None:
    """Write the span of elements first..last - 1, which lie in one line if there is a b, or if they are fill."""
    sources, region = state.sources, state.region
    if who < 0:
        filling = state.pixels.filling.shape[0] // state.frame.size_in // sources.index.shape[1]
        start = tile.i * filling + first % filling
    else:
        start = tile.own if who == 0 else sources.index[who, tile.i] * state.frame.source_row
        start += first if b < 0 else 0
    span = region.span[count]
    span[0], span[1], span[2], span[3], span[4], span[5] = first - tile.first, who, start, last - first, b, 1


@inlined
def _shift(box: Any, source_box: Any, frame: Any) -> Any:
    """Return whether a box resizes its source, and otherwise by how many elements it shifts it."""
    shift, stride, length = 0, frame.step, frame.width
    for axis in range(box.shape[0] - 1, -1, -1):
        same = source_box[axis, 1] - source_box[axis, 0] == box[axis, 1] - box[axis, 0]
        if not same or source_box[axis, 0] < 0 or source_box[axis, 1] > length:
            return True, 0
        shift += (source_box[axis, 0] - box[axis, 0]) * stride
        stride *= length
        length = frame.height if axis == box.shape[0] - 1 else frame.depth
    return False, shift


# --- boxes that resize their source ---


@inlined
def line_shown(first: int, box: Any, source_box: Any, frame: Any) -> int:
    """Return where the line of a source begins that is shown by the line that begins at element `first`."""
    axes, line = box.shape[0], frame.width * frame.step
    slab, y = first // line // frame.height, first // line % frame.height
    plane, z = slab // frame.depth, slab % frame.depth
    if axes > 2:
        z = shown(z, box[0], source_box[0], frame.source_depth)
    if axes > 1:
        y = shown(y, box[axes - 2], source_box[axes - 2], frame.source_height)
    return ((plane * frame.source_depth + z) * frame.source_height + y) * frame.source_width * frame.step


@inlined
def shown(pixel: int, box: Any, source_box: Any, length: int) -> int:
    """Return the pixel of the source that a pixel of a box shows; apply.images.look has the formula."""
    whole, part = max(source_box[1] - source_box[0], 1), max(box[1] - box[0], 1)
    return min(max(source_box[0] + (2 * (pixel - box[0]) + 1) * whole // (2 * part), 0), length - 1)


@inlined
def look(i: int, b: int, region: Any, frame: Any) -> None:
    """Write the column table of box b for output i: `shown` of each pixel of a line, with one division in all."""
    column = region.column[b]
    if column[frame.width] != i:
        column[frame.width] = i
        axis = region.box.shape[2] - 1
        box, source_box = region.box[b, i, axis], region.source_box[b, i, axis]
        whole, part = 2 * max(source_box[1] - source_box[0], 1), 2 * max(box[1] - box[0], 1)
        over = (2 * -box[0] + 1) * (whole // 2)
        pixel, over = source_box[0] + over // part, over % part
        for x in range(frame.width):
            column[x] = min(max(pixel, 0), frame.source_width - 1) * frame.step
            over += whole
            while over >= part:
                pixel, over = pixel + 1, over - part


@inlined
def _ends(box: Any, axis: int, length: int) -> Any:
    """Return the first pixel of a box, and the one after its last, along depth (0), height (1) or width (2)."""
    mine = axis - 3 + box.shape[0]
    if mine < 0:  # these images do not have this axis
        return 0, length
    return max(np.int64(box[mine, 0]), 0), min(np.int64(box[mine, 1]), length)


@inlined
def _who(mask: Any, i: int, pixel: int, holes: bool) -> int:
    """Return the source of a pixel: the last one whose mask is True, or -1 in a hole."""
    who = -1 if holes and not mask[0, i, pixel] else 0
    for j in range(1, mask.shape[0]):
        if mask[j, i, pixel]:
            who = j
    return who


@inlined
def _goes_on(mask: Any, i: int, pixel: int, holes: bool) -> bool:
    """Whether the next eight pixels have the same source as the pixel before them."""
    alike = True
    for j in range(0 if holes else 1, mask.shape[0]):
        bytes_ = word(mask, (j * mask.shape[1] + i) * mask.shape[2] + pixel)
        alike &= bytes_ == (_ONES if mask[j, i, pixel - 1] else u(0))
    return alike
