"""What the kernels share about a batch: records of int64 numbers, in one array that they pass on by its address."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

u = np.uint64  #: for the indices of inner loops: Numba checks signed ones for negative values


class State(NamedTuple):
    """A batch, and the tile that is being made. Lengths are in elements if not said otherwise.

    An output is planes x depth x height x width x step elements: with channels first a plane is a channel, with
    channels last `step` is their number. The images that it is made of may have another depth, height and width.
    """

    # addresses of arrays
    out: int = 0
    own: int = 0  #: the base samples; the source if there is no batch
    source: int = 0
    indices: int = 0  #: int32 (k, n), the rows of the source
    box: int = 0  #: int32 (boxes, n, axes, 2), then as many source boxes if any box has one
    weight: int = 0  #: float32 (k, n), the background; or bool or float32 (k, n, pixels)
    filling: int = 0  #: the fill of holes: a line or a plane of an image for each output
    scale: int = 0  #: in the dtype of sums, along a tile
    offset: int = 0
    # scratch memory: where it begins, in bytes from this record; `mix` makes addresses of these
    boxes: int = 0  #: a `Box` for each box
    order: int = 0  #: int64 (2, n), the order of the outputs, and which of them are in it
    span: int = 0  #: a `Span` for each span of a tile
    column: int = 0  #: int64 (boxes, width), the element of a source line that each pixel shows
    tile: int = 0  #: a gathered tile
    buffer: int = 0  #: two tiles of outputs
    work: int = 0  #: the sums of a tile, before rounding
    spread: int = 0  #: float32, the weight of each element of a tile
    line: int = 0  #: float32, the weight of each pixel of a tile
    place: int = 0  #: int64 (k,), the addresses of what is blended
    share: int = 0  #: float32 (k,), the weight of each source of a blend
    # addresses of kernels; 0 if a kernel is not needed
    make: int = 0  #: `paste`, `windows`, `choose` or `weigh`
    store: int = 0
    shift: int = 0  #: reads a source box
    pick: int = 0
    convert: int = 0  #: 0 if elements are copied unchanged
    mixed: int = 0  #: makes a tile of a blend
    blend: int = 0
    add: int = 0
    finish: int = 0
    # the arrays
    sources: int = 0  #: k, of an output
    n: int = 0
    rows: int = 0  #: of the source
    gathered: int = 0  #: whether base samples are rows of the source as well
    chained: int = 0  #: whether the source is the batch; then each output is followed by its partner
    axes: int = 0
    box_count: int = 0
    planes: int = 1
    depth: int = 1
    height: int = 1
    width: int = 1
    step: int = 1
    row: int = 0  #: of an output
    source_depth: int = 1
    source_height: int = 1
    source_width: int = 1
    source_row: int = 0  #: of an image that outputs are made of
    filling_row: int = 0  #: of the fill of an output; 0 without holes
    unit: int = 0  #: elements that share a pattern of scales: an image, or a plane
    along: int = 0  #: the distance between the patterns of two units; 0 if all share one
    band: int = 0  #: what is made of an output before the next output is begun
    tile_length: int = 0  #: what is made at once
    size_in: int = 1  #: bytes of an element
    size_out: int = 1  #: bytes of an element of the outputs
    whole: int = 0  #: whether blends are computed in whole numbers of 2^-16
    resized: int = 0  #: whether images have another size than outputs, and are seen through source boxes alone
    # the tile that is being made: elements first..last - 1 of output i
    i: int = 0
    first: int = 0
    last: int = 0
    end: int = 0  #: of the band
    base: int = 0  #: the element of `own` where the base sample of output i begins
    ahead: int = 0  #: the element of `source` where the partner of the next output begins
    to: int = 0  #: the address where the tile is made
    free: int = 0  #: bytes, where the buffer is free
    pending_to: int = 0  #: the address of the tile to store next
    pending: int = 0  #: bytes, its length


class Box(NamedTuple):
    """A box of output i and its source box, along z, y and x; axes that images do not have are 0..1."""

    z0: int = 0
    z1: int = 1
    y0: int = 0
    y1: int = 1
    x0: int = 0
    x1: int = 1
    source_z0: int = 0
    source_z1: int = 1
    source_y0: int = 0
    source_y1: int = 1
    source_x0: int = 0
    source_x1: int = 1
    who: int = 0  #: the source; -1 for a hole
    moved: int = 0  #: whether it has a source box
    resized: int = 0  #: whether this is of another size than the box, or reaches over the edge of the source
    shift: int = 0  #: otherwise: by how many elements it moves its source
    looked: int = -1  #: the output that `column` is of


class Span(NamedTuple):
    """Elements at..at + length - 1 of a tile, and as many at the same places of the next lines, of one source."""

    at: int = 0
    who: int = 0  #: -1 for fill
    start: int = 0  #: where they begin in the array of the source; if a box resizes it, where its image begins
    length: int = 0
    lines: int = 0
    b: int = 0  #: the box that resizes the source, or -1


STATE, BOX, SPAN = (np.dtype([(name, np.int64) for name in kind._fields], align=True) for kind in (State, Box, Span))
ARRAYS = State._fields.index("out"), State._fields.index("filling") + 1
SCRATCH = State._fields.index("boxes"), State._fields.index("share") + 1
