"""The kernels that depend on dtypes. Each is small, compiled for one combination of dtypes, and called by address.

Numba has no type for float16 and bfloat16; their bits are int16 and uint16 here. Sums are float32, float64 for float64,
or int32 for blends of uint8 that stay uint8. A zero of a dtype tells `_wide` and `_narrow` which dtype to return.
`to` and `start` are addresses, `length` is in elements, and `pattern` is where the scales of these elements begin.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import from_dtype, types
from numba.extending import overload

from .cache import Compiled
from .forms import u
from .machine import (
    array,
    box_at,
    brain_to_float,
    float_to_brain,
    float_to_half,
    floats,
    half_to_float,
    ints,
    span_at,
    state_at,
)
from .spans import line_shown, look


@cache
def _array(dtype: Any) -> Any:
    """A function that returns the array of that dtype at an address."""
    return array(from_dtype(np.dtype(dtype)))


@cache
def pick(dtype_in: Any) -> Compiled:
    """Copy the pixels of a span of a source that a box resizes."""
    pixels, size = _array(dtype_in), dtype_in().itemsize

    def pick(to, start, number, ptr):
        s = state_at(ptr, 0)
        span = span_at(s.span, number)
        box, column = box_at(s.boxes, span.b), ints(s.column + span.b * s.width * 8)
        look(box, column, s)
        step, line = u(s.step), s.width * s.step
        left = u((s.first + span.at) % line // s.step)
        for y in range(span.lines):
            first = s.first + span.at + y * line
            o, x = pixels(to + y * line * size), pixels(start + line_shown(first, box, s) * size)
            if step == u(3):  # a constant, so that the loop is unrolled: a third of the time
                for pixel in range(u(span.length // 3)):
                    at = u(column[left + pixel])
                    for c in range(u(3)):
                        o[pixel * u(3) + c] = x[at + c]
            else:
                for pixel in range(u(span.length) // step):
                    at = u(column[left + pixel])
                    for c in range(step):
                        o[pixel * step + c] = x[at + c]

    return Compiled(pick, 4, (dtype_in,))


@cache
def convert(dtype_in: Any, dtype_out: Any, computed: Any) -> Compiled:
    """Compute `scale * pixel + offset`, rounded once."""
    pixels, outputs, sums, size = _array(dtype_in), _array(dtype_out), _array(computed), computed().itemsize

    def convert(to, start, length, pattern, ptr):
        s = state_at(ptr, 0)
        o, x = outputs(to), pixels(start)
        scale, offset = sums(s.scale + pattern * size), sums(s.offset + pattern * size)
        for r in range(u(length)):
            o[r] = _narrow(_wide(x[r], computed(0)) * scale[r] + offset[r], dtype_out(0))

    return Compiled(convert, 5, (dtype_in, dtype_out, computed))


@cache
def blend(dtype_in: Any, dtype_out: Any, computed: Any, plain: bool) -> Compiled:
    """Compute `scale * (((w0 * x0 + w1 * x1) + w2 * x2) + ...) + offset`, in this order, rounded once."""
    pixels, outputs, sums, size = _array(dtype_in), _array(dtype_out), _array(computed), computed().itemsize
    affine = _same if plain else _affine

    def blend(to, length, pattern, ptr):
        s = state_at(ptr, 0)
        o, work, places, shares = outputs(to), sums(s.work), ints(s.place), floats(s.share)
        scale, offset = sums(s.scale + pattern * size), sums(s.offset + pattern * size)
        x0, x1, w0, w1 = pixels(places[u(0)]), pixels(places[u(1)]), computed(shares[u(0)]), computed(shares[u(1)])
        if s.sources == 2:
            for r in range(u(length)):
                total = w0 * _wide(x0[r], computed(0)) + w1 * _wide(x1[r], computed(0))
                o[r] = _narrow(affine(total, scale, offset, r), dtype_out(0))
            return
        for r in range(u(length)):
            work[r] = w0 * _wide(x0[r], computed(0)) + w1 * _wide(x1[r], computed(0))
        for j in range(u(2), u(s.sources)):
            x, w = pixels(places[j]), computed(shares[j])
            for r in range(u(length)):
                work[r] += w * _wide(x[r], computed(0))
        for r in range(u(length)):
            o[r] = _narrow(affine(work[r], scale, offset, r), dtype_out(0))

    return Compiled(blend, 4, (dtype_in, dtype_out, computed, plain))


@cache
def add(dtype_in: Any, computed: Any) -> Compiled:
    """Add a source with a weight for each element: `mode` is 0 for `sum = w * x`, 1 for `sum += w * x`.

    Mode 2 is mode 0 where w is not 0, and leaves the other sums.
    """
    pixels, sums = _array(dtype_in), _array(computed)

    def add(start, length, mode, ptr):
        s = state_at(ptr, 0)
        x, work, spread = pixels(start), sums(s.work), floats(s.spread)
        if mode == 0:
            for r in range(u(length)):
                work[r] = computed(spread[r]) * _wide(x[r], computed(0))
        elif mode == 1:
            for r in range(u(length)):
                work[r] += computed(spread[r]) * _wide(x[r], computed(0))
        else:
            for r in range(u(length)):
                if spread[r] != 0:
                    work[r] = computed(spread[r]) * _wide(x[r], computed(0))

    return Compiled(add, 4, (dtype_in, computed))


@cache
def finish(dtype_out: Any, computed: Any, plain: bool) -> Compiled:
    """Compute `scale * sum + offset`, rounded once."""
    outputs, sums, size, affine = _array(dtype_out), _array(computed), computed().itemsize, _same if plain else _affine

    def finish(to, length, pattern, ptr):
        s = state_at(ptr, 0)
        o, work = outputs(to), sums(s.work)
        scale, offset = sums(s.scale + pattern * size), sums(s.offset + pattern * size)
        for r in range(u(length)):
            o[r] = _narrow(affine(work[r], scale, offset, r), dtype_out(0))

    return Compiled(finish, 4, (dtype_out, computed, plain))


def _wide(element: Any, total: Any) -> Any:
    """Convert an element to the dtype of the sums."""
    raise NotImplementedError  # the overloads below choose by types


def _affine(total: Any, scale: Any, offset: Any, r: Any) -> Any:
    """Scale and offset a sum."""
    raise NotImplementedError


def _same(total: Any, scale: Any, offset: Any, r: Any) -> Any:
    """Return a sum unchanged."""
    raise NotImplementedError


def _narrow(total: Any, none: Any) -> Any:
    """Convert a sum to an element, rounded once."""
    raise NotImplementedError


@overload(_wide, inline="always")
def _wide_of(element, total):  # Numba matches these arguments by name
    if element == types.int16:
        return lambda element, total: half_to_float(element)
    if element == types.uint16:
        return lambda element, total: brain_to_float(element)
    if total == types.int32:
        return lambda element, total: np.int32(element)
    if total == types.float64:
        return lambda element, total: np.float64(element)
    return lambda element, total: np.float32(element)


@overload(_affine, inline="always")
def _affine_of(total, scale, offset, r):
    return lambda total, scale, offset, r: total * scale[r] + offset[r]


@overload(_same, inline="always")
def _same_of(total, scale, offset, r):
    return lambda total, scale, offset, r: total


@overload(_narrow, inline="always")
def _narrow_of(total, none):
    if none == types.int16:
        return lambda total, none: float_to_half(total)
    if none == types.uint16:
        return lambda total, none: float_to_brain(total)
    if none == types.uint8 and isinstance(total, types.Integer):
        return lambda total, none: np.uint8((total + 32768) >> 16)
    if none == types.uint8:
        return lambda total, none: np.uint8(min(max(np.rint(total), np.float32(0)), np.float32(255)))
    return lambda total, none: total
