"""The kernels that know dtypes: each is small, compiled for one pair of dtypes, and called by its address.

A float16 comes as int16, a bfloat16 as uint16, which Numba knows. Sums are float32, float64 of float64, or int32 for
blends of uint8 that stay uint8: `total` below is a zero of that dtype, `none` one of the outputs'.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from .._xp.kernel_cache import Compiled
from . import signatures
from .forms import u
from .machine import brain_to_float, float_to_brain, float_to_half, half_to_float
from .signatures import held


@cache
def pick(given: Any) -> Compiled:
    """Copy pixels that do not lie side by side."""
    size = given().itemsize

    def pick(out, x, start, column, run, state):
        state = held(state)
        step, places = state.frame.step, state.region.column
        o = out[run.at * size : (run.at + run.length) * size].view(given)
        s, places = x[start * size :].view(given), places.reshape(-1)[column:]
        if step == 3:  # most images: where the compiler knows it, it takes a third of the time
            for pixel in range(u(run.length // 3)):
                at = u(places[pixel])
                for c in range(u(3)):
                    o[pixel * u(3) + c] = s[at + c]
        else:
            for pixel in range(u(run.length // step)):
                at = u(places[pixel])
                for c in range(u(step)):
                    o[pixel * u(step) + c] = s[at + c]

    return Compiled(pick, signatures.PICK)


@cache
def convert(given: Any, made: Any, computed: Any) -> Compiled:
    """Output = scale * pixel + offset, rounded once."""
    size_in, size_out = given().itemsize, made().itemsize

    def convert(out, x, start, run, state):
        numbers = held(state).numbers
        o = out[run.at * size_out : (run.at + run.length) * size_out].view(made)
        s = x[start * size_in : (start + run.length) * size_in].view(given)
        scale, offset = numbers.scale.view(computed)[run.pattern :], numbers.offset.view(computed)[run.pattern :]
        for r in range(u(run.length)):
            o[r] = _narrow(_wide(s[r], computed(0)) * scale[r] + offset[r], made(0))

    return Compiled(convert, signatures.CONVERT)


@cache
def blend(given: Any, made: Any, computed: Any, plain: bool) -> Compiled:
    """Output = scale * (((w0 x0 + w1 x1) + w2 x2) + ...) + offset, in this order, rounded once."""
    size_in, size_out, affine = given().itemsize, made().itemsize, _same if plain else _affine

    def blend(out, run, state):
        state = held(state)
        pixels, numbers = state.pixels, state.numbers
        o = out[run.at * size_out : (run.at + run.length) * size_out].view(made)
        places, shares, work = numbers.place, numbers.share, numbers.work.view(computed)
        scale, offset = numbers.scale.view(computed)[run.pattern :], numbers.offset.view(computed)[run.pattern :]
        x0 = pixels.own[places[0] * size_in : (places[0] + run.length) * size_in].view(given)
        x1 = pixels.source[places[1] * size_in : (places[1] + run.length) * size_in].view(given)
        w0, w1 = computed(shares[0]), computed(shares[1])
        if places.shape[0] == 2:
            for r in range(u(run.length)):
                total = w0 * _wide(x0[r], computed(0)) + w1 * _wide(x1[r], computed(0))
                o[r] = _narrow(affine(total, scale, offset, r), made(0))
            return
        for r in range(u(run.length)):
            work[r] = w0 * _wide(x0[r], computed(0)) + w1 * _wide(x1[r], computed(0))
        for j in range(2, places.shape[0]):
            x, w = pixels.source[places[j] * size_in : (places[j] + run.length) * size_in].view(given), shares[j]
            for r in range(u(run.length)):
                work[r] += computed(w) * _wide(x[r], computed(0))
        for r in range(u(run.length)):
            o[r] = _narrow(affine(work[r], scale, offset, r), made(0))

    return Compiled(blend, signatures.BLEND)


@cache
def weigh(given: Any, computed: Any) -> Compiled:
    """Total = w x (run.pattern 0), total += w x (1), or total = w x where w is not 0 (2), with a weight an element."""
    size = given().itemsize

    def weigh(x, start, run, state):
        numbers = held(state).numbers
        s = x[start * size : (start + run.length) * size].view(given)
        work, spread = numbers.work.view(computed), numbers.spread
        if run.pattern == 0:
            for r in range(u(run.length)):
                work[r] = computed(spread[r]) * _wide(s[r], computed(0))
        elif run.pattern == 1:
            for r in range(u(run.length)):
                work[r] += computed(spread[r]) * _wide(s[r], computed(0))
        else:
            for r in range(u(run.length)):
                if spread[r] != 0:
                    work[r] = computed(spread[r]) * _wide(s[r], computed(0))

    return Compiled(weigh, signatures.WEIGH)


@cache
def finish(made: Any, computed: Any, plain: bool) -> Compiled:
    """Output = scale * total + offset, rounded once."""
    size, affine = made().itemsize, _same if plain else _affine

    def finish(out, run, state):
        numbers = held(state).numbers
        o = out[run.at * size : (run.at + run.length) * size].view(made)
        work = numbers.work.view(computed)
        scale, offset = numbers.scale.view(computed)[run.pattern :], numbers.offset.view(computed)[run.pattern :]
        for r in range(u(run.length)):
            o[r] = _narrow(affine(work[r], scale, offset, r), made(0))

    return Compiled(finish, signatures.FINISH)


def _wide(element: Any, total: Any) -> Any:
    """An element in the dtype of the sums."""
    raise NotImplementedError  # what Numba makes of these four is below, by types alone


def _affine(total: Any, scale: Any, offset: Any, r: Any) -> Any:
    """A sum in its new units."""
    raise NotImplementedError


def _same(total: Any, scale: Any, offset: Any, r: Any) -> Any:
    """A sum that stays in its units."""
    raise NotImplementedError


def _narrow(total: Any, none: Any) -> Any:
    """A sum as an element, rounded once."""
    raise NotImplementedError


@overload(_wide, inline="always")
def _wide_of(element, total):  # Numba wants names and no annotations, here and below
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
