"""Where the pixels of a tile come from: spans, runs of elements that one source shows. All geometry is here.

A span is a row of int64, (at, who, start, length, column): `length` elements at the place `at` of the tile, from the
place `start` on of the array of source `who`, or of what is in holes where `who` is -1. Where `column` is 0 or more
the pixels are not side by side: pixel p lies region.column.flat[column + p] elements from `start` on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .._xp.kernel_cache import compiled, inlined
from .forms import u
from .machine import word
from .signatures import held

_WORD = 8  # bytes that are compared at once
_ONES = u(0x0101010101010101)  # a word of True


@inlined
def of_boxes(tile: Any, given: Any, state: int) -> int:
    """Write the spans of the boxes over a tile, line by line; how many there are."""
    region, frame = given.region, given.frame
    count, line, plain = 0, frame.width * frame.step, frame.row == frame.height * frame.width * frame.step
    for b in range(region.box.shape[0]):
        box = region.box[b, tile.i]
        left, right = _ends(box, 2, frame.width)
        top, bottom = _ends(box, 1, frame.height)
        front, back = _ends(box, 0, frame.depth)
        if left >= right or top >= bottom or (plain and not (top * line < tile.last and tile.first < bottom * line)):
            continue
        if region.moved[b]:
            look(tile, b, state)
        line_number = tile.first // line
        slab = line_number // frame.height
        y = line_number - slab * frame.height
        while slab * frame.height * line < tile.last:
            start = slab * frame.height * line
            if front <= slab % frame.depth < back:
                for lines in range(max(y, top), min(bottom, (tile.last - start - 1) // line + 1)):
                    at = start + lines * line
                    first, last = max(tile.first, at + left * frame.step), min(tile.last, at + right * frame.step)
                    if first < last:
                        _write(count, region.who[b], b, first, last, tile, given)
                        count += 1
            slab, y = slab + 1, 0
    return count


@inlined
def of_mask(tile: Any, given: Any, state: int) -> int:
    """Write the spans of a mask: runs of pixels of the last source whose mask is True, or of a hole."""
    pixels, region, frame = given.pixels, given.region, given.frame
    mask, step, holes = region.mask, frame.step, pixels.filling.shape[0] > 0
    plane = frame.depth * frame.height * frame.width
    for j in range(region.box.shape[0]):
        if region.moved[j]:
            look(tile, j, state)
    count, start, end = 0, tile.first // step, tile.last // step
    while start < end:
        offset = start // plane * plane
        limit = min(end, offset + plane)
        who = _who(mask, tile.i, start - offset, holes)
        moved = who < 0 or (who < region.moved.shape[0] and region.moved[who])
        if moved:
            limit = min(limit, (start // frame.width + 1) * frame.width)
        pixel = start + 1
        while pixel < limit:
            if pixel % _WORD == 0 and pixel + _WORD <= limit and _goes_on(mask, tile.i, pixel - offset, holes):
                pixel += _WORD
            elif _who(mask, tile.i, pixel - offset, holes) == who:
                pixel += 1
            else:
                break
        _write(count, who, who, start * step, pixel * step, tile, given)
        count, start = count + 1, pixel
    return count


@compiled
def of_source(who: int, tile: Any, state: int) -> int:
    """Write the spans of a whole tile that one source shows, or a hole's filling, line by line."""
    given = held(state)
    region, frame = given.region, given.frame
    if who >= 0 and region.moved[who]:
        look(tile, who, state)
    count, line, first = 0, frame.width * frame.step, tile.first
    while first < tile.last:
        last = min(tile.last, (first // line + 1) * line)
        _write(count, who, who, first, last, tile, given)
        count, first = count + 1, last
    return count


@inlined
def _write(count: int, who: int, b: int, first: int, last: int, tile: Any, given: Any) -> None:
    """Write the span of elements first..last - 1, which lie in one line where box b shows another place or a hole."""
    pixels, sources, region, frame = given.pixels, given.sources, given.region, given.frame
    start, column = first, -1
    if who < 0:
        filling = pixels.filling.shape[0] // frame.size_in // sources.index.shape[1]
        start = tile.i * filling + first % filling
    else:
        if b < region.moved.shape[0] and region.moved[b]:
            start, column = _moved(first, last, b, region.box[b, tile.i], region.source_box[b, tile.i], frame)
        start += tile.own if who == 0 else sources.index[who, tile.i] * frame.row
    span = region.span[count]
    span[0], span[1], span[2], span[3], span[4] = first - tile.first, who, start, last - first, column


@compiled
def _moved(first: int, last: int, b: int, box: Any, source_box: Any, frame: Any) -> Any:
    """Where the source of box b shows a part of a line, as the place and the column of a span."""
    axes, step = box.shape[0], frame.step
    line = frame.width * step
    slab, y = first // line // frame.height, first // line % frame.height
    within = first % line // step
    if axes > 2:
        slab += shown(slab % frame.depth, box[0], source_box[0], frame.depth) - slab % frame.depth
    if axes > 1:
        y = shown(y, box[axes - 2], source_box[axes - 2], frame.height)
    start = (slab * frame.height + y) * line
    if is_shifted(box[axes - 1], source_box[axes - 1], within, within + (last - first) // step, frame.width):
        return start + (within + source_box[axes - 1, 0] - box[axes - 1, 0]) * step, -1
    return start, b * (frame.width + 1) + within


@compiled
def shown(pixel: int, box: Any, source_box: Any, length: int) -> int:
    """The pixel of a source that one of a box shows, as `look` of apply/images.py has it."""
    whole, part = max(source_box[1] - source_box[0], 1), max(box[1] - box[0], 1)
    return min(max(source_box[0] + (2 * (pixel - box[0]) + 1) * whole // (2 * part), 0), length - 1)


@inlined
def is_shifted(box: Any, source_box: Any, first: int, last: int, width: int) -> bool:
    """Whether a box shows these pixels of its own side by side, as they are."""
    same = source_box[1] - source_box[0] == box[1] - box[0] and source_box[0] >= 0 and source_box[1] <= width
    return bool(same and box[0] <= first and last <= box[1])


@compiled
def look(tile: Any, b: int, state: int) -> None:
    """Write where the pixels of a line lie that box b shows: as `shown`, with one division, once for an output."""
    given = held(state)
    region, frame = given.region, given.frame
    if region.column[b, frame.width] == tile.i:
        return
    region.column[b, frame.width] = tile.i
    axis = region.box.shape[2] - 1
    box, source_box, column = region.box[b, tile.i, axis], region.source_box[b, tile.i, axis], region.column[b]
    whole, part = 2 * max(source_box[1] - source_box[0], 1), 2 * max(box[1] - box[0], 1)
    over = (2 * -box[0] + 1) * (whole // 2)
    pixel, over = source_box[0] + over // part, over % part
    for x in range(frame.width):
        column[x] = min(max(pixel, 0), frame.width - 1) * frame.step
        over += whole
        while over >= part:
            pixel, over = pixel + 1, over - part


@inlined
def _ends(box: Any, axis: int, length: int) -> Any:
    """The first pixel of a box and the one after its last, along depth, height or width."""
    mine = axis - 3 + box.shape[0]
    if mine < 0:  # an axis that these images do not have
        return 0, length
    return max(np.int64(box[mine, 0]), 0), min(np.int64(box[mine, 1]), length)


@inlined
def _who(mask: Any, i: int, pixel: int, holes: bool) -> int:
    """Whose a pixel is: -1 where it is nobody's, which is possible where there are holes."""
    who = -1 if holes and not mask[0, i, pixel] else 0
    for j in range(1, mask.shape[0]):
        if mask[j, i, pixel]:
            who = j
    return who


@inlined
def _goes_on(mask: Any, i: int, pixel: int, holes: bool) -> bool:
    """Whether the next pixels, as many as a word has bytes, are whose the one before them is."""
    alike = True
    for j in range(0 if holes else 1, mask.shape[0]):
        bytes_ = word(mask, (j * mask.shape[1] + i) * mask.shape[2] + pixel)
        alike &= bytes_ == (_ONES if mask[j, i, pixel - 1] else u(0))
    return alike
