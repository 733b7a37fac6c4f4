"""Named tuples of arrays and lengths that the kernels pass to one another."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

u = np.uint64  #: for the indices of inner loops: Numba checks signed ones for negative values


class Pixels(NamedTuple):
    """The images and scratch memory, as bytes: uint8 (size,)."""

    out: Any
    own: Any  #: the batch, whose row i is the base sample of output i; the source if there is no batch
    source: Any
    filling: Any  #: the fill of holes: a line or a plane of an image for each output; empty without holes
    tile: Any  #: scratch memory for a gathered tile; empty if it is not needed
    buffer: Any  #: scratch memory for two tiles of outputs; empty if they are not stored past the caches
    pending: Any  #: int64 (3,): place and length of the tile to store next, and where the buffer is free


class Sources(NamedTuple):
    """The rows of the source that each output uses."""

    index: Any  #: int32 (k, n)
    gathered: bool  #: whether base samples are rows of the source as well
    chained: bool  #: whether the source is the batch; then each output is followed by its partner
    rows: int  #: the number of rows of the source
    order: Any  #: int64 (2, n), scratch memory: the order of the outputs, and which of them are in it


class RegionArrays(NamedTuple):
    """The arrays of a region, empty if it does not have them, and scratch memory for its spans."""

    background: Any  #: float32 (k, n), the weights of a blend of whole sources
    blended: Any  #: bool (n,), whether the output is a blend
    box: Any  #: int32 (boxes, n, d, 2)
    source_box: Any  #: int32 (boxes, n, d, 2)
    who: Any  #: int64 (boxes,), the source of each box; -1 for a hole
    moved: Any  #: bool (boxes,), whether the box has a source box
    mask: Any  #: bool (k, n, pixels)
    weight: Any  #: float32 (k, n, pixels)
    column: Any  #: int64 (boxes, width + 1): which pixel of a source line each pixel shows; last, of which output
    span: Any  #: int64 (spans, 6), scratch memory for the spans of a tile


class Frame(NamedTuple):
    """The layout of an output in memory, in elements: planes x depth x height x width x step.

    With channels first, a plane is a channel; with channels last, `step` is the number of channels. The images that it
    is made of may have another depth, height and width.
    """

    planes: int
    depth: int
    height: int
    width: int
    step: int
    row: int  #: elements of one image
    unit: int  #: elements that share a pattern of scales: an image, or a plane
    along: int  #: the distance between the patterns of two units; 0 if all share one
    band: int  #: elements of an output that are made before the next output is begun
    tile: int  #: elements that are made at once
    size_in: int  #: bytes of an element
    size_out: int  #: bytes of an element of the outputs
    source_depth: int
    source_height: int
    source_width: int
    source_row: int  #: elements of one image that outputs are made of
    whole: bool  #: whether blends are computed in whole numbers of 2^-16
    resized: bool  #: whether images have another size than outputs, and are seen through source boxes alone


class Numbers(NamedTuple):
    """Scales and scratch memory for arithmetic. `scale`, `offset` and `work` are bytes."""

    scale: Any
    offset: Any
    work: Any  #: the sums of a tile, before rounding
    spread: Any  #: float32, the weight of each element of a tile
    line: Any  #: float32, the weight of each pixel of a tile
    place: Any  #: int64 (k,), where the elements of each source of a blend begin
    weight: Any  #: float32 (k,), the weight of each source of a blend


class Calls(NamedTuple):
    """Addresses of kernels; 0 if a kernel is not needed. `convert` is 0 if elements are copied unchanged."""

    make: int  #: `paste`, `windows`, `choose` or `weigh`
    store: int
    pick: int
    convert: int
    blend: int
    weigh: int
    finish: int


class State(NamedTuple):
    """Everything that is constant while a batch is mixed. It is large, so kernels pass its address on, an int64."""

    pixels: Pixels
    sources: Sources
    region: RegionArrays
    frame: Frame
    numbers: Numbers
    calls: Calls


class Band(NamedTuple):
    """Elements first..last - 1 of output i."""

    i: int
    first: int
    last: int
    own: int  #: where its base sample begins
    ahead: int  #: where the partner of the next output begins


class Tile(NamedTuple):
    """The elements first..last - 1 of output i that are made at once."""

    i: int
    first: int
    last: int
    own: int  #: where its base sample begins
    at: int  #: where the tile is made


class Window(NamedTuple):
    """A part of output i in which box b shows a source: `lines` lines of `length` elements."""

    i: int
    b: int
    first: int  #: the first element of the first line
    length: int
    lines: int
    at: int  #: where they are copied to
    start: int  #: where the image of the source begins


class Range(NamedTuple):
    """`length` elements from `at` on, whose scales begin at `pattern`."""

    at: int
    length: int
    pattern: int
