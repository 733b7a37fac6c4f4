"""Images mixed on a GPU by one launch of a Triton kernel, which changes dtype and scale on the way.

Labels likewise, and the masks that take the lowest pixels of a landscape.

In memory an image is planes (the channels, where they come first), a plane is lines, and a line is elements: pixels of
`STEP` elements (the channels, where they come last). A program makes a block of elements of some planes of an output,
in the order of memory, as a tile (vectors, VECTOR). A vector is what a thread reads at once: sources are told apart
element by element, but read vector by vector.
"""

from __future__ import annotations

from functools import cache, lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends import Array
from ..core.regions import Dense, Region
from ..core.rows import Rows
from ..core.units import Target

if TYPE_CHECKING:
    import triton.language as tl  # `_kernel` imports it where the program runs

_DTYPES = ("uint8", "float16", "bfloat16", "float32")
_BLOCK = 2048  # elements of a plane that a program, of 4 warps, makes
_ROW = 8192  # pixels of a row that a program counts at once, 16 in a thread
_CLASSES = 1024  # of which a program makes the shares
_VECTOR = 16  # bytes that a thread reads or writes at once, at most
_MOST = 2**31 - _BLOCK  # elements of an image: int32 counts them


def images(
    rows: Rows,
    region: Region,
    place: str | None,
    dtype: Any,
    scale: Array | None,
    offset: Array | None,
    out: Array | None = None,
) -> Array | None:
    """The mixed images, or None where this kernel does not make them.

        output = scale[c] * sum_k pixel_weights()[k] * source[index[k]] + offset[c]

    It is computed in float32 and rounded once; for uint8 to uint8 without scale and offset in whole numbers, as
    apply/images.py has it. Without these, and in the same dtype, pixels of one source alone are copied bit for bit. The
    host waits for nothing.

    Args:
        rows: images (n, *size, c), (n, c, *size) or (n, *size), without gaps in memory, where the channels may also be
            in the other place. The host does not read the index; a row that does not exist is clamped to the nearest.
        region: in the pixels of the images.
        place: where the channels are: "last", "first" or None.
        dtype: PyTorch's, of the output: uint8 (rounded to nearest and clipped), float16, bfloat16 or float32.
        scale: float32 (c,), or None.
        offset: float32 (c,), or None.
        out: memory to write to, with the images' strides; None: fresh memory.
    """
    import torch

    like: Array = rows.example
    others: Array = rows.base if rows.others is None else rows.others
    n, kernel = rows.index.shape[1], _kernel_for("_mix", like)
    if (
        kernel is None
        or not _known(like, others, region, place, dtype)
        or (rows.base is not None and len(rows.base) != n)
        or len(others) == 0 < n
    ):
        return None
    if out is None:
        strides = (prod(like.shape[1:]), *like.stride()[1:])
        out = torch.empty_strided((n, *like.shape[1:]), strides, dtype=dtype, device=like.device)
    shape = _lying(out, place)
    if shape is None or any(_lying(y, place) != shape for y in (like, others)) or len(out) != n or out.dtype != dtype:
        return None
    if out.numel() > 0:
        with torch.cuda.device_of(out):
            _launch(kernel, shape, out, rows, region, scale, offset)
    return out


def mixed(rows: Rows, region: Region, target: Target) -> Array | None:
    """The mixed images in the units of the target; None while they are traced, too."""
    import torch

    from ..backends.torch import is_bare

    example, (place, units, out) = rows.example, target
    tensors = [y for y in (*rows.arrays, units.scale, units.offset) if isinstance(y, torch.Tensor)]
    if type(example) is not torch.Tensor or not all(map(is_bare, tensors)):
        return None
    axis = {"first": 1, "last": -1}.get(place or "")
    count, device = 1 if axis is None else example.shape[axis], example.device
    scale, offset = (_along(number, count, device) for number in (units.scale, units.offset))
    mixed = images(rows, region, place, getattr(torch, units.dtype), scale, offset, out)
    if mixed is not None and out is not None:
        torch.autograd.graph.increment_version(out)
    return mixed


def labels(y: Array, source: Array | None, index: Array, lam: Array, num_classes: int | None) -> Array | None:
    """Shares of classes, float32 (n, num_classes), of ids (n,), in one launch; None where this does not make them.

    output = sum_k lam[k] * one_hot(source[index[k]]), NaN where an id or a row is none
    """
    import torch

    from ..backends.torch import is_bare

    rows: Array = y if source is None else source
    if num_classes is None or y.ndim != 1 or y.dtype == torch.bool or lam.dtype != torch.float32:
        return None
    kernel = _kernel_for("_labels", y) if all(map(is_bare, (y, rows, index, lam))) else None
    if kernel is None:
        return None
    out = torch.empty((len(y), num_classes), dtype=torch.float32, device=y.device)
    if out.numel():
        block = min(_CLASSES, 2 * _power(num_classes))
        with torch.cuda.device_of(out):
            kernel[(len(y), -(-num_classes // block))](
                *map(_packed, (out, y, rows, index, lam)), *(len(y), len(rows), num_classes), index.shape[0], block
            )
    return out


def lowest(values: Array, wanted: Array) -> Array | None:
    """Bool of the shape of values, int32 (n, *size): recipes.masks.lowest in one launch; None where others make it."""
    import torch

    from ..backends.torch import is_bare

    kernel = _kernel_for("_lowest", values) if is_bare(values) and is_bare(wanted) else None
    if kernel is None:
        return None
    values, out = values.contiguous(), torch.empty(values.shape, dtype=torch.bool, device=values.device)
    if out.numel():
        with torch.cuda.device_of(out):
            kernel[(len(out),)](out, values, wanted.contiguous(), out[0].numel(), BLOCK=_ROW, num_warps=_ROW // 512)
    return out


def _along(number: Any, count: int, device: Any) -> Array | None:
    """float32 (count,) on the device; what lies on the host is brought there once."""
    if number is None or (hasattr(number, "device") and str(number.device) == str(device)):
        return number if number is None else number.float().expand(count).contiguous()
    return _there(np.broadcast_to(np.asarray(number, np.float32), count).tobytes(), str(device))


@lru_cache(maxsize=64)
def _there(numbers: bytes, device: str) -> Array:
    import torch

    return torch.tensor(np.frombuffer(numbers, np.float32), device=device)


def _known(like: Array, rows: Array, region: Region, place: str | None, dtype: Any) -> bool:
    """Whether the kernel can make such images through such a region."""
    import torch

    dtypes = [getattr(torch, name) for name in _DTYPES]
    return (
        like.dtype == rows.dtype
        and like.dtype in dtypes
        and dtype in dtypes
        and all(source_box is None for source_box in region.source_box)
        and (isinstance(region, Dense) or len(region.holes) < 2)
        and (region.fill is None or region.fill.ndim <= like.ndim - (place is not None))
        and 1 <= like.ndim - (1 if place is None else 2) <= 3
        and prod(like.shape[1:]) <= _MOST
        and not (torch.is_grad_enabled() and any(y.requires_grad for y in (like, rows, *region.arrays().values())))
    )


def _lying(x: Array, place: str | None) -> tuple[int, ...] | None:
    """An image's shape in memory, (planes, *size, step), or None where there are gaps."""
    if place is None:
        return (1, *x.shape[1:], 1) if x.is_contiguous() else None
    last = place == "last"
    size, count = x.shape[1:-1] if last else x.shape[2:], x.shape[-1 if last else 1]
    if x.is_contiguous():
        return (1, *size, count) if last else (count, *size, 1)
    if (x.movedim(-1, 1) if last else x.movedim(1, -1)).is_contiguous():
        return (count, *size, 1) if last else (1, *size, count)
    return None


def _launch(
    kernel: Any,
    shape: tuple[int, ...],
    out: Array,
    rows: Rows,
    region: Region,
    scale: Array | None,
    offset: Array | None,
) -> None:
    """Launch the kernel on outputs and rows of that shape in memory."""
    import torch

    own: Array = rows.example
    source: Array = rows.base if rows.others is None else rows.others
    n, (planes, *size, step) = len(out), shape
    inner, line = prod(size) * step, size[-1] * step
    block = min(_BLOCK, _power(2 * inner - 1))
    vector = _power(min(_VECTOR // max(own.element_size(), out.element_size()), line))
    together = next(number for number in (4, 3, 2, 1) if planes % number == 0)
    groups, blocks = planes // together, -(-inner // block)
    boxes: tuple[Array | None, ...] = (None,) * (region.sources + 1)
    background = weight = None
    if isinstance(region, Dense):
        weight = region.weight.view(torch.uint8) if region.weight.dtype == torch.bool else region.weight
    else:
        boxes, background = (*region.box, *(region.holes or (None,))), region.background
    plain = own.dtype == out.dtype and scale is None and offset is None
    blended = background is not None or (weight is not None and weight.dtype != torch.uint8)
    kernel[(n * groups * blocks,)](
        *(out, own, source, _packed(rows.index), tuple(map(_packed, boxes))),
        *map(_packed, (background, weight, region.fill, scale, offset)),
        *(n, len(source), inner, line, size[-2] if len(size) > 1 else 1, blocks, groups),
        PARENTS=region.sources,
        GATHERED=rows.base is None,
        PLAIN=plain,
        BLENDED=blended,
        WHOLE=plain and blended and out.dtype == torch.uint8,
        NOISE=region.fill is not None and region.fill.ndim > 1,
        AXES=len(size),
        STEP=step,
        PLANES=together,
        VECTOR=vector,
        WRAPS=line % vector > 0,
        BLOCK=block,
        enable_fp_fusion=False,  # a product is rounded before it is added, as elsewhere: blends have the same bits
    )


def _packed(x: Array | None) -> Array | None:
    return None if x is None else x.contiguous()


def _power(number: int) -> int:
    """The greatest power of 2 that is not above a number."""
    return 1 << (number.bit_length() - 1)


def _mix(
    out: tl.tensor,
    own: tl.tensor,
    source: tl.tensor,
    index: tl.tensor,
    boxes: tl.tuple,
    background: tl.tensor,
    weight: tl.tensor,
    fill: tl.tensor,
    scale: tl.tensor,
    offset: tl.tensor,
    n: tl.tensor,
    rows: tl.tensor,
    inner: tl.tensor,
    line: tl.tensor,
    height: tl.tensor,
    blocks: tl.tensor,
    groups: tl.tensor,
    PARENTS: tl.constexpr,
    GATHERED: tl.constexpr,  # the base sample is a row of the source too
    PLAIN: tl.constexpr,  # the output is of the dtype and in the units of the images
    BLENDED: tl.constexpr,  # there are weights between 0 and 1
    WHOLE: tl.constexpr,  # they are whole numbers of 2^-16
    NOISE: tl.constexpr,  # each pixel has a fill of its own
    AXES: tl.constexpr,
    STEP: tl.constexpr,
    PLANES: tl.constexpr,
    VECTOR: tl.constexpr,
    WRAPS: tl.constexpr,  # a vector may go on in the next line
    BLOCK: tl.constexpr,
) -> None:
    """Make a block of elements of some planes of output i."""
    program = tl.program_id(0)
    i, first = (program // (groups * blocks)).to(tl.int64), program // blocks % groups * PLANES
    start = program % blocks * BLOCK + VECTOR * tl.arange(0, BLOCK // VECTOR)[:, None]
    lane = tl.arange(0, VECTOR)[None, :]
    element = start + lane
    valid = element < inner
    pixel, pixels, length = element // STEP, inner // STEP, groups * PLANES * inner
    who = _who(boxes, i, start, lane, line, height, PARENTS, AXES, STEP, WRAPS)
    for p in tl.static_range(PLANES):
        plane = first + p
        only = tl.full(element.shape, 0, source.dtype.element_ty)  # the pixels that are of one source alone
        alone = element < 0  # none yet
        total = tl.full(element.shape, 0, tl.int32 if WHOLE else tl.float32)
        rest = tl.where(who == PARENTS, 0, 65536)
        hidden = who == PARENTS if weight is None else valid
        for turn in tl.static_range(WHOLE, PARENTS + WHOLE):  # whole numbers: last the base sample, which has the rest
            at = turn % PARENTS * n + i
            lam = _share(turn % PARENTS, who, background, weight, at, pixel, pixels, valid)
            if weight is not None:
                hidden &= lam == 0
            if WHOLE:
                lam = _rint(lam * 65536).to(tl.int32) if turn < PARENTS else rest
                rest -= lam
            base, row = own, i
            if turn % PARENTS > 0 or GATHERED:
                base, row = source, tl.minimum(tl.maximum(tl.load(index + at), 0), rows - 1).to(tl.int64)
            x = tl.load(
                base + row * length + plane * inner + element,
                _touched(lam != 0, VECTOR) & valid,
                0,
                eviction_policy="evict_last",
            )
            if BLENDED:
                total = tl.where(lam != 0, total + lam * x.to(total.dtype), total)
            only = tl.where(lam == 1, x, only)
            alone |= lam == 1
        value = total
        if WHOLE:
            value = ((total + 32768) >> 16).to(tl.uint8)
        elif not BLENDED:
            value = only
        elif PLAIN:
            value = tl.where(alone, only, total.to(only.dtype))
        if fill is not None:
            here = fill + i * pixels + pixel if NOISE else fill + i
            filling = tl.load(here, _touched(hidden, VECTOR) & valid, 0) if NOISE else tl.load(here)
            value = tl.where(hidden, _as(_as(filling, only.dtype), value.dtype), value)
        if scale is not None:
            value = value.to(tl.float32) * _of_channel(scale, plane, start, lane, STEP)
        if offset is not None:
            value = value.to(tl.float32) + _of_channel(offset, plane, start, lane, STEP)
        tl.store(
            out + i * length + plane * inner + element, _as(value, out.dtype.element_ty), valid, cache_modifier=".cs"
        )


def _who(
    boxes: tl.tuple,
    i: tl.tensor,
    start: tl.tensor,
    lane: tl.tensor,
    line: tl.tensor,
    height: tl.tensor,
    PARENTS: tl.constexpr,
    AXES: tl.constexpr,
    STEP: tl.constexpr,
    WRAPS: tl.constexpr,
) -> tl.tensor:
    """Whose box each element lies in: that of a source, the hole (PARENTS), or none (-1)."""
    number = start // line
    column = start - number * line + lane
    who = tl.full(column.shape, -1, tl.int32)
    for j in tl.static_range(PARENTS + 1):
        if boxes[j] is not None:
            ends = boxes[j] + i * (2 * AXES)
            low, high = tl.load(ends + 2 * AXES - 2) * STEP, tl.load(ends + 2 * AXES - 1) * STEP
            inside = _crosses(ends, number, height, AXES) & (column >= low) & (column < high)
            if WRAPS:  # once at the most: a vector is no longer than a line
                further = column - line
                inside |= _crosses(ends, number + 1, height, AXES) & (further >= low) & (further < high)
            who = tl.where(inside, j, who)
    return who


def _crosses(ends: tl.tensor, number: tl.tensor, height: tl.tensor, AXES: tl.constexpr) -> tl.tensor:
    """Whether lines of these numbers go through a box."""
    through = number >= 0
    if AXES > 1:
        y = number % height
        through &= (y >= tl.load(ends + 2 * AXES - 4)) & (y < tl.load(ends + 2 * AXES - 3))
    if AXES > 2:
        z = number // height
        through &= (z >= tl.load(ends)) & (z < tl.load(ends + 1))
    return through


def _of_channel(
    numbers: tl.tensor, plane: tl.tensor, start: tl.tensor, lane: tl.tensor, STEP: tl.constexpr
) -> tl.tensor:
    """The number of each element's channel; of few channels that lie side by side it is known but for a turn."""
    if STEP == 1:
        found = tl.load(numbers + plane)
    elif STEP > 4:
        found = tl.load(numbers + (start + lane) % STEP)
    else:
        found = tl.load(numbers + start % STEP) + tl.zeros_like(lane)
        for turn in tl.static_range(1, STEP):
            found = tl.where(lane % STEP == turn, tl.load(numbers + (start + turn) % STEP), found)
    return found


def _share(
    j: tl.constexpr,
    who: tl.tensor,
    background: tl.tensor,
    weight: tl.tensor,
    row: tl.tensor,
    pixel: tl.tensor,
    pixels: tl.tensor,
    valid: tl.tensor,
) -> tl.tensor:
    """How much of each element is of source j, whose weights of output i are row j * n + i."""
    if weight is not None:
        return tl.load(weight + row * pixels + pixel, valid, 0).to(tl.float32)
    behind = tl.load(background + row) if background is not None else 1.0 if j == 0 else 0.0
    return tl.where(who < 0, behind, tl.where(who == j, 1.0, 0.0))


def _touched(mask: tl.tensor, VECTOR: tl.constexpr) -> tl.tensor:
    """The vectors that have an element of the mask: they are read at once or not at all."""
    if VECTOR == 1:
        return mask
    return tl.reduce(mask.to(tl.int32), 1, tl.standard._elementwise_max, keep_dims=True) > 0


def _as(value: tl.tensor, dtype: tl.constexpr) -> tl.tensor:
    """Values in a dtype, rounded to nearest; those that uint8 cannot hold are clipped."""
    if value.dtype == dtype:
        return value
    value = value.to(tl.float32)
    if dtype == tl.uint8:
        value = _rint(tl.minimum(tl.maximum(value, 0.0), 255.0))
    return value.to(dtype)


def _rint(value: tl.tensor) -> tl.tensor:
    """The nearest whole numbers, halves to even, of what is between 0 and 2^22."""
    return value + 8388608.0 - 8388608.0


def _labels(
    out: tl.tensor,
    own: tl.tensor,
    source: tl.tensor,
    index: tl.tensor,
    lam: tl.tensor,
    n: tl.tensor,
    rows: tl.tensor,
    classes: tl.tensor,
    PARENTS: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Make a block of classes of labels i."""
    i = tl.program_id(0).to(tl.int64)
    which = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total, known = tl.zeros(which.shape, tl.float32), i >= 0
    for j in tl.static_range(PARENTS):
        row, there, ids = i, i >= 0, own
        if j > 0:
            row = tl.load(index + j * n + i)
            there, ids = (row >= 0) & (row < rows), source
        one = tl.load(ids + row, there, -1).to(tl.int64)
        known &= there & (one >= 0) & (one < classes)
        total += tl.where(which == one, tl.load(lam + j * n + i), 0.0)
    tl.store(out + i * classes + which, tl.where(known, total, float("nan")), which < classes)


def _lowest(out: tl.tensor, values: tl.tensor, wanted: tl.tensor, pixels: tl.tensor, BLOCK: tl.constexpr) -> None:
    """Find the highest limit below which no more than the wanted pixels of row i lie, bit by bit; mark those."""
    i = tl.program_id(0).to(tl.int64)
    row, most = values + i * pixels, tl.load(wanted + i)
    limit = i.to(tl.int32) * 0 - 1073741824
    for turn in range(31):
        higher = limit + (1073741824 >> turn)
        below = tl.zeros((BLOCK,), tl.int32)
        for start in range(0, pixels, BLOCK):
            pixel = start + tl.arange(0, BLOCK)
            below += (tl.load(row + pixel, pixel < pixels, 2147483647) < higher).to(tl.int32)
        limit = tl.where(tl.sum(below).to(tl.float32) <= most, higher, limit)
    for start in range(0, pixels, BLOCK):
        pixel = start + tl.arange(0, BLOCK)
        tl.store(out + i * pixels + pixel, tl.load(row + pixel, pixel < pixels, 0) < limit, pixel < pixels)


_PARTS = (_labels, _lowest, _mix, _who, _crosses, _of_channel, _share, _touched, _as, _rint)


def _kernel_for(name: str, x: Array) -> Any:
    """The kernel of that name; None where there is no Triton, or x is on a GPU that it does not know."""
    import torch

    old = x.is_cuda and torch.cuda.get_device_capability(x.device) < (7, 0)
    return None if old else _kernel(name)


@cache
def _kernel(name: str) -> Any:
    """The kernel of that name; None where there is no Triton, or one that takes no tuples of tensors."""
    try:
        import triton
        import triton.language
    except ImportError:
        return None
    if not hasattr(triton.language, "tuple"):
        return None
    # a kernel looks for Triton's language and for its own parts among the globals of its module
    globals().update({part.__name__: triton.jit(part) for part in _PARTS}, tl=triton.language)
    return globals()[name]
