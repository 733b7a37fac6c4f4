"""The draw on the CPU: words, ranks, boxes and shares, each in one loop that Numba compiles to its disk cache.

The same numbers as the functions of the same names make, which are the definition.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .kernel_cache import compiled

inlined: Any = njit(nogil=True, error_model="numpy", inline="always")  #: else LLVM unrolls what it should vectorise

_ONE = np.float32(1)
_STEPS = np.float32(2.0**24)


@inlined
def _rotated(x: Any, bits: int) -> Any:
    return np.uint32(np.uint32(x << np.uint32(bits)) | np.uint32(x >> np.uint32(32 - bits)))


@inlined
def _rounds(x0: Any, x1: Any, a: int, b: int, c: int, d: int) -> Any:
    x0 = np.uint32(x0 + x1)
    x1 = np.uint32(_rotated(x1, a) ^ x0)
    x0 = np.uint32(x0 + x1)
    x1 = np.uint32(_rotated(x1, b) ^ x0)
    x0 = np.uint32(x0 + x1)
    x1 = np.uint32(_rotated(x1, c) ^ x0)
    x0 = np.uint32(x0 + x1)
    return x0, np.uint32(_rotated(x1, d) ^ x0)


@inlined
def _threefry(k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
    """keys.threefry, of words of 32 bits."""
    k2 = np.uint32(k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    x0, x1 = _rounds(np.uint32(x0 + k0), np.uint32(x1 + k1), 13, 15, 26, 6)
    x0, x1 = _rounds(np.uint32(x0 + k1), np.uint32(x1 + k2 + np.uint32(1)), 17, 29, 16, 24)
    x0, x1 = _rounds(np.uint32(x0 + k2), np.uint32(x1 + k0 + np.uint32(2)), 13, 15, 26, 6)
    x0, x1 = _rounds(np.uint32(x0 + k0), np.uint32(x1 + k1 + np.uint32(3)), 17, 29, 16, 24)
    x0, x1 = _rounds(np.uint32(x0 + k1), np.uint32(x1 + k2 + np.uint32(4)), 13, 15, 26, 6)
    return np.uint32(x0 + k2), np.uint32(x1 + k0 + np.uint32(5))


@compiled
def encrypted(k0: int, k1: int, x0: int, x1: int) -> Any:
    """Two words, of ints below 2^32."""
    y0, y1 = _threefry(np.uint32(k0), np.uint32(k1), np.uint32(x0), np.uint32(x1))
    return np.int64(y0), np.int64(y1)


@compiled
def random_bits(k0: int, k1: int, rows: Any, count: int) -> Any:
    """keys.random_bits: uint32 (count, n)."""
    n = rows.shape[0]
    a, b = np.uint32(k0), np.uint32(k1)
    made = np.empty((2 * ((count + 1) // 2), n), np.uint32)
    for block in range((count + 1) // 2):
        for i in range(n):
            made[2 * block, i], made[2 * block + 1, i] = _threefry(a, b, rows[i], np.uint32(block))
    return made[:count]


@compiled
def shuffled(k0: int, k1: int, n: int) -> Any:
    """keys.shuffled: int32 (n,)."""
    a, b = np.uint32(k0), np.uint32(k1)
    ranked = np.empty(n, np.uint64)
    for i in range(n):
        word, _ = _threefry(a, b, np.uint32(i), np.uint32(0xFFFFFFFF))
        ranked[i] = np.uint64(word >> np.uint32(1)) << np.uint64(32) | np.uint64(i)
    ranked.sort()
    return (ranked & np.uint64(0xFFFFFFFF)).astype(np.int32)


@compiled
def ring(k0: int, k1: int, n: int, sources: int) -> Any:
    """recipes.recipe.ring: int32 (sources, n)."""
    order = shuffled(k0, k1, n)
    made = np.empty((sources, n), np.int32)
    for place in range(n):
        i = order[place]
        made[0, i] = i
        for j in range(1, sources):
            made[j, i] = order[(place + j) % n]
    return made


@compiled
def look_up(table: Any, word: Any) -> Any:
    """keys.look_up."""
    made = np.empty(word.shape[0], table.dtype)
    for i in range(word.shape[0]):
        made[i] = table[word[i] >> np.uint32(16)]
    return made


@compiled
def boxes(ratio: Any, bits: Any, size: Any, clipped: bool) -> Any:
    """recipes.cut.clipped_box, or inside_box: int32 (n, d, 2)."""
    axes, n = bits.shape
    made = np.empty((n, axes, 2), np.int32)
    for axis in range(axes):
        length = size[axis]
        for i in range(n):
            side = np.int32(np.floor(ratio[i] * np.float32(length)))
            count = np.float32(length if clipped else length + 1 - side) * (_ONE / _STEPS)
            start = np.int32(np.floor(np.float32(bits[axis, i] >> np.uint32(8)) * count))
            if clipped:
                start -= side // 2
            made[i, axis, 0] = max(start, 0)
            made[i, axis, 1] = min(start + side, length)
    return made


@compiled
def lams(background: Any, box: Any, who: Any, hole: Any, pixels: int, sources: int, n: int) -> Any:
    """regions.Paste.lam: float32 (k, n), of the boxes int32 (boxes, n, d, 2) of the sources who."""
    made = np.zeros((sources, n), np.float32)
    for i in range(n):
        total = np.float32(pixels)
        if hole.shape[0]:
            total = max(total - np.float32(_area(hole, i)), _ONE)
        taken = np.float32(0)
        for b in range(box.shape[0]):
            area = np.float32(_area(box[b], i))
            part = area / max(area, total)
            if box.shape[0] > 1:
                part = np.floor(part * _STEPS) * (_ONE / _STEPS)
            taken = part if b == 0 else taken + part
            made[who[b], i] = part
        free, rest = _ONE - taken, _ONE
        for j in range(1, sources):
            if background.shape[1]:
                blended = background[j, i] * free if box.shape[0] else background[j, i]
                made[j, i] = blended + made[j, i]
            rest -= made[j, i]
        made[0, i] = rest
    return made


@inlined
def _area(box: Any, i: int) -> int:
    area = 1
    for axis in range(box.shape[1]):
        area *= box[i, axis, 1] - box[i, axis, 0]
    return area


@compiled
def settled(index: Any, lam: Any) -> Any:
    """mix.settled: sources of share 0 are the base sample, shares of equal sources are added into the first."""
    index, lam = index.copy(), lam.copy()
    k, n = index.shape
    for i in range(n):
        for j in range(1, k):
            if not lam[j, i] > 0:
                index[j, i] = index[0, i]
        for first in range(k):
            for j in range(first + 1, k):
                if index[j, i] == index[first, i]:
                    lam[first, i] += lam[j, i]
                    lam[j, i] = 0
    return index, lam


@compiled
def matmul(x: Any, y: Any) -> Any:
    """numpy.matmul, of int32 (n or 1, k or 1, a, b) and (n, k, b, c): exact while no sum comes to 2^31."""
    n, k, b, c = y.shape
    a = x.shape[2]
    made = np.zeros((n, k, a, c), np.int32)
    for i in range(n):
        for j in range(k):
            first, second, sums = x[i % x.shape[0], j % x.shape[1]], y[i, j], made[i, j]
            if c == 1:  # what is long is to be inmost
                turned = first.T.copy()
                for u in range(b):
                    for v in range(a):
                        sums[v, 0] += turned[u, v] * second[u, 0]
            else:
                for v in range(a):
                    for u in range(b):
                        for w in range(c):
                            sums[v, w] += first[v, u] * second[u, w]
    return made


@compiled
def lowest(values: Any, wanted: Any) -> Any:
    """recipes.masks.lowest: bool (n, pixels), of int32 (n, pixels); by counts of their first digits, then the next."""
    n, pixels = values.shape
    made = np.empty((n, pixels), np.bool_)
    count = np.empty(2048, np.int64)
    for i in range(n):
        below, limit = np.int64(wanted[i]), np.uint32(0)
        if below >= pixels:
            made[i] = True
            continue
        for level in range(3):
            shift = np.uint32(20 - 10 * level)
            count[:] = 0
            for pixel in range(pixels):
                value = _above(values[i, pixel]) >> shift
                if value >> np.uint32(10) == limit >> np.uint32(10) or level == 0:
                    count[value & np.uint32(2047 if level == 0 else 1023)] += 1
            digit = np.uint32(0)
            while count[digit] <= below:
                below -= count[digit]
                digit += np.uint32(1)
            limit = (limit | digit) << np.uint32(10) if level < 2 else limit | digit
        for pixel in range(pixels):
            made[i, pixel] = _above(values[i, pixel]) < limit
    return made


@inlined
def _above(value: Any) -> Any:
    """A number of 31 bits, in the order of the values."""
    return np.uint32(value + np.int32(2**30))


@compiled
def feistel(k0: int, k1: int, index: Any, n: int, width: int, height: int, rounds: int, inverse: bool) -> Any:
    """epoch.Permutation of a cell network of width x height: int64 (m,), of an index (m,)."""
    made = index.copy()
    left = np.arange(made.shape[0])
    x, y, shift = np.empty_like(made), np.empty_like(made), np.empty(made.shape[0], np.uint32)
    while left.shape[0]:
        _network(np.uint32(k0), np.uint32(k1), made, left, x, y, shift, width, height, rounds, inverse)
        left = left[made[left] >= n]
    return made


@compiled
def _network(
    k0: Any,
    k1: Any,
    made: Any,
    left: Any,
    x: Any,
    y: Any,
    shift: Any,
    width: int,
    height: int,
    rounds: int,
    inverse: bool,
) -> None:
    """Encrypt those that are left; round by round, so that the words of a round are made side by side."""
    for m in range(left.shape[0]):
        x[m], y[m] = made[left[m]] // height, made[left[m]] % height
    for step in range(rounds):
        turn = rounds - 1 - step if inverse else step
        by, turned, side = (x, y, height) if turn % 2 else (y, x, width)
        for m in range(left.shape[0]):
            shift[m] = _threefry(k0, k1, np.uint32(by[m]), np.uint32(turn))[0]
        for m in range(left.shape[0]):
            by_side = np.int64(shift[m] % np.uint32(side))
            to = turned[m] + (side - by_side if inverse else by_side)
            turned[m] = to - side if to >= side else to
    for m in range(left.shape[0]):
        made[left[m]] = x[m] * height + y[m]
