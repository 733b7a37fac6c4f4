"""What the kernels hand to one another: named tuples of arrays and lengths."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

u = np.uint64  #: places in the inmost loops: for signed ones Numba asks each time whether they count from the end


class Pixels(NamedTuple):
    """Bytes, uint8 (size,)."""

    out: Any
    own: Any  #: the batch, whose row i is the base sample of output i, or the source where that is all there is
    source: Any
    filling: Any  #: what is in holes: a line or a plane of an image for each output
    tile: Any  #: where a tile is gathered
    buffer: Any  #: two tiles of outputs; empty where they are not stored past the caches
    pending: Any  #: int64 (3,), the place and length of the tile to be stored, and where the next is made in the buffer


class Sources(NamedTuple):
    """Which rows the outputs are made of."""

    index: Any  #: int32 (k, n)
    gathered: bool  #: whether base samples are rows of the source too
    chained: bool  #: whether the sources are rows of the batch, so that the order of the outputs matters
    rows: int  #: how many rows the source has
    order: Any  #: int64 (2, n), room for the order in which the outputs are made


class Region(NamedTuple):
    """A region, and room for the runs that it is made of; arrays that it does not have are empty."""

    background: Any  #: float32 (k, n), the weights of a blend of whole sources
    blended: Any  #: bool (n,), which outputs are blends
    box: Any  #: int32 (boxes, n, d, 2)
    source_box: Any  #: int32 (boxes, n, d, 2)
    who: Any  #: int64 (boxes,), the source that each box shows; -1: what is in holes
    moved: Any  #: bool (boxes,), whether it shows another place of its source
    mask: Any  #: bool (k, n, pixels)
    weight: Any  #: float32 (k, n, pixels)
    column: (
        Any  #: int64 (boxes, width + 1), room for where the pixels of a line lie that a box shows, and for which output
    )
    span: Any  #: int64 (spans, 5), room for the spans of a tile


class Frame(NamedTuple):
    """An image in memory, in elements: planes of depth x height lines of `width` pixels of `step` elements.

    A plane is a channel where channels come first; where they come last a pixel has `step` of them.
    """

    planes: int
    depth: int
    height: int
    width: int
    step: int
    row: int  #: of one image, in all
    unit: int  #: elements that have the same pattern of scales: of an image, or of a plane
    along: int  #: how far apart the patterns of two units lie
    band: int  #: elements of an output that are made before those of the next one
    tile: int  #: elements that are made at once
    size_in: int  #: bytes of an element
    size_out: int  #: bytes of an element of the outputs
    whole: bool  #: whether blends are computed in whole numbers of 2^-16


class Numbers(NamedTuple):
    """What the numbers of a tile are computed with; bytes but for the last three."""

    scale: Any
    offset: Any
    work: Any  #: the sums of a tile, before they are rounded
    spread: Any  #: float32, a weight for each element of a tile
    line: Any  #: float32, a weight for each pixel of a tile
    place: Any  #: int64 (k,), where the run of each source begins
    share: Any  #: float32 (k,), its weight


class Calls(NamedTuple):
    """Addresses of functions; `convert` is 0 where elements are copied as they are."""

    make: int  #: that makes a band of such a region
    pick: int
    convert: int
    blend: int
    weigh: int
    finish: int


class State(NamedTuple):
    """All that stays the same while a batch is mixed. Kernels hand on where it lies, an int64, for it is large."""

    pixels: Pixels
    sources: Sources
    region: Region
    frame: Frame
    numbers: Numbers
    calls: Calls


class Band(NamedTuple):
    """Elements first..last - 1 of output i."""

    i: int
    first: int
    last: int
    own: int  #: where its base sample begins
    ahead: int  #: where the source of the next output begins


class Tile(NamedTuple):
    """A part of a band, the elements that are made at once."""

    i: int
    first: int
    last: int
    own: int  #: where its base sample begins
    at: int  #: where the tile is made


class Run(NamedTuple):
    """So many elements, made at a place, from a place in the pattern of scales on."""

    at: int
    length: int
    pattern: int
