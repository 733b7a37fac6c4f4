"""The kernels that depend on dtypes. Each is small, compiled for one combination of dtypes, and called by address.

Numba has no type for float16 and bfloat16; their bits are int16 and uint16 here. Sums are float32, float64 for float64,
or int32 for blends of uint8 that stay uint8. A zero of a dtype tells `_wide` and `_narrow` which dtype to return.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from . import signatures
from .cache import Compiled, inlined
from .forms import u
from .machine import brain_to_float, float_to_brain, float_to_half, half_to_float
from .signatures import load
from .spans import line_shown, look


@inlined
def _part(x, start, length, size):
    """Return the bytes of `length` elements of that size, from element `start` on."""
    return x[start * size : (start + length) * size]


@cache
def pick(dtype_in: Any) -> Compiled:
    """Copy pixels of a source that a box resizes."""
    size = dtype_in().itemsize

    def pick(out, x, window, ptr):
        state = load(ptr)
        region, frame, step = state.region, state.frame, u(state.frame.step)
        box, source_box = region.box[window.b, window.i], region.source_box[window.b, window.i]
        look(window.i, window.b, region, frame)
        line = frame.width * frame.step
        left = window.first % line // frame.step
        column = region.column[window.b]
        for y in range(window.lines):
            o = _part(out, window.at + y * line, window.length, size).view(dtype_in)
            start = window.start + line_shown(window.first + y * line, box, source_box, frame)
            s = _part(x, start, frame.source_width * frame.step, size).view(dtype_in)
            if step == u(3):  # a constant, so that the loop is unrolled: a third of the time
                for pixel in range(u(window.length // 3)):
                    at = u(column[u(left) + pixel])
                    for c in range(u(3)):
                        o[pixel * u(3) + c] = s[at + c]
            else:
                for pixel in range(u(window.length) // step):
                    at = u(column[u(left) + pixel])
                    for c in range(step):
                        o[pixel * step + c] = s[at + c]

    return Compiled(pick, signatures.PICK)


@cache
def convert(dtype_in: Any, dtype_out: Any, computed: Any) -> Compiled:
    """Compute `scale * pixel + offset`, rounded once."""
    size_in, size_out = dtype_in().itemsize, dtype_out().itemsize

    def convert(out, x, start, run, ptr):
        numbers = load(ptr).numbers
        o = _part(out, run.at, run.length, size_out).view(dtype_out)
        s = _part(x, start, run.length, size_in).view(dtype_in)
        scale, offset = numbers.scale.view(computed)[run.pattern :], numbers.offset.view(computed)[run.pattern :]
        for r in range(u(run.length)):
            o[r] = _narrow(_wide(s[r], computed(0)) * scale[r] + offset[r], dtype_out(0))

    return Compiled(convert, signatures.CONVERT)


@cache
def blend(dtype_in: Any, dtype_out: Any, computed: Any, plain: bool) -> Compiled:
    """Compute `scale * (((w0 * x0 + w1 * x1) + w2 * x2) + ...) + offset`, in this order, rounded once."""
    size_in, size_out, affine = dtype_in().itemsize, dtype_out().itemsize, _same if plain else _affine

    def blend(out, run, ptr):
        state = load(ptr)
        pixels, numbers = state.pixels, state.numbers
        o = _part(out, run.at, run.length, size_out).view(dtype_out)
        places, weights, work = numbers.place, numbers.weight, numbers.work.view(computed)
        scale, offset = numbers.scale.view(computed)[run.pattern :], numbers.offset.view(computed)[run.pattern :]
        x0 = _part(pixels.own, places[0], run.length, size_in).view(dtype_in)
        x1 = _part(pixels.source, places[1], run.length, size_in).view(dtype_in)
        w0, w1 = computed(weights[0]), computed(weights[1])
        if places.shape[0] == 2:
            for r in range(u(run.length)):
                total = w0 * _wide(x0[r], computed(0)) + w1 * _wide(x1[r], computed(0))
                o[r] = _narrow(affine(total, scale, offset, r), dtype_out(0))
            return
        for r in range(u(run.length)):
            work[r] = w0 * _wide(x0[r], computed(0)) + w1 * _wide(x1[r], computed(0))
        for j in range(2, places.shape[0]):
            x, w = _part(pixels.source, places[j], run.length, size_in).view(dtype_in), weights[j]
            for r in range(u(run.length)):
                work[r] += computed(w) * _wide(x[r], computed(0))
        for r in range(u(run.length)):
            o[r] = _narrow(affine(work[r], scale, offset, r), dtype_out(0))

    return Compiled(blend, signatures.BLEND)


@cache
def weigh(dtype_in: Any, computed: Any) -> Compiled:
    """Add a source with a weight for each element: `mode` is 0 for `sum = w * x`, 1 for `sum += w * x`.

    Mode 2 is mode 0 where w is not 0, and leaves the other sums.
    """
    size = dtype_in().itemsize

    def weigh(x, start, length, mode, ptr):
        numbers = load(ptr).numbers
        s, work, spread = _part(x, start, length, size).view(dtype_in), numbers.work.view(computed), numbers.spread
        if mode == 0:
            for r in range(u(length)):
                work[r] = computed(spread[r]) * _wide(s[r], computed(0))
        elif mode == 1:
            for r in range(u(length)):
                work[r] += computed(spread[r]) * _wide(s[r], computed(0))
        else:
            for r in range(u(length)):
                if spread[r] != 0:
                    work[r] = computed(spread[r]) * _wide(s[r], computed(0))

    return Compiled(weigh, signatures.WEIGH)


@cache
def finish(dtype_out: Any, computed: Any, plain: bool) -> Compiled:
    """Compute `scale * sum + offset`, rounded once."""
    size, affine = dtype_out().itemsize, _same if plain else _affine

    def finish(out, run, ptr):
        numbers = load(ptr).numbers
        o = _part(out, run.at, run.length, size).view(dtype_out)
        work = numbers.work.view(computed)
        scale, offset = numbers.scale.view(computed)[run.pattern :], numbers.offset.view(computed)[run.pattern :]
        for r in range(u(run.length)):
            o[r] = _narrow(affine(work[r], scale, offset, r), dtype_out(0))

    return Compiled(finish, signatures.FINISH)


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
