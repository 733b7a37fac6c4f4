"""The draw on the CPU: words, ranks, boxes and shares by kernels that Numba compiles.

Each function makes the same numbers as the one that its docstring names, which is the definition. The functions make
room, the kernels below them write into it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernel_cache import compiled, inlined

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


def encrypted(k0: int, k1: int, x0: int, x1: int) -> tuple[int, int]:
    """Two words, of ints below 2^32."""
    made = np.empty((2, 1), np.uint32)
    _words(k0, k1, np.array([x0], np.uint32), x1, made)
    return int(made[0, 0]), int(made[1, 0])


def random_bits(k0: int, k1: int, rows: Any, count: int) -> Any:
    """keys.random_bits: uint32 (count, n)."""
    made = np.empty((2 * ((count + 1) // 2), len(rows)), np.uint32)
    _words(k0, k1, rows, 0, made)
    return made[:count]


def shuffled(k0: int, k1: int, n: int) -> Any:
    """keys.shuffled: int32 (n,)."""
    return ring(k0, k1, n, 0)


def ring(k0: int, k1: int, n: int, sources: int) -> Any:
    """recipes.recipe.ring: int32 (sources, n); of no sources the order of the rows, int32 (n,)."""
    word, ranked = np.empty((2, n), np.uint32), np.empty((2, n), np.uint64)
    _words(k0, k1, np.arange(n, dtype=np.uint32), 0xFFFFFFFF, word)
    made = np.empty((max(sources, 1), n), np.int32)
    _ring(word, ranked, made, sources)
    return made if sources else made[0]


def look_up(table: Any, word: Any) -> Any:
    """keys.look_up."""
    return table[word >> np.uint32(16)]


def boxes(ratio: Any, bits: Any, size: Any, clipped: bool) -> Any:
    """recipes.cut.clipped_box, or inside_box: int32 (n, d, 2)."""
    made = np.empty((bits.shape[1], bits.shape[0], 2), np.int32)
    _boxes(ratio, bits, np.array(size, np.int64), clipped, made)
    return made


def lams(background: Any, box: Any, who: Any, hole: Any, pixels: int, sources: int, n: int) -> Any:
    """regions.Paste.lam: float32 (k, n), of the boxes int32 (boxes, n, d, 2) of the sources who."""
    made = np.zeros((sources, n), np.float32)
    _lams(background, box, who, hole, pixels, made)
    return made


def settled(index: Any, lam: Any) -> Any:
    """mix.settled: sources of share 0 are the base sample, shares of equal sources are added into the first."""
    index, lam = index.copy(), lam.copy()
    _settle(index, lam)
    return index, lam


def matmul(x: Any, y: Any) -> Any:
    """numpy.matmul, of int32 (n or 1, k or 1, a, b) and (n, k, b, c): exact while no sum comes to 2^31."""
    made = np.zeros((*y.shape[:2], x.shape[2], y.shape[3]), np.int32)
    if y.shape[3] == 1:  # what is long is to be inmost
        _multiply(np.ascontiguousarray(y.swapaxes(2, 3)), np.ascontiguousarray(x.swapaxes(2, 3)), made.swapaxes(2, 3))
    else:
        _multiply(np.ascontiguousarray(x), np.ascontiguousarray(y), made)
    return made


def lowest(values: Any, wanted: Any) -> Any:
    """recipes.masks.lowest: bool (n, pixels), of int32 (n, pixels)."""
    made = np.empty(values.shape, np.bool_)
    _lowest(values, wanted, np.empty(2048, np.int64), made)
    return made


def feistel(k0: int, k1: int, index: Any, n: int, width: int, height: int, rounds: int, inverse: bool) -> Any:
    """epoch.Permutation of a cell network of width x height: int64 (m,), of an index (m,)."""
    made, room = index.copy(), np.empty((3, len(index)), np.int64)
    _walk(k0, k1, made, room, np.empty(len(index), np.uint32), n, (width, height), rounds if inverse else -rounds)
    return made


@compiled
def _words(k0: int, k1: int, rows: Any, first: int, made: Any) -> None:
    """Words 2b and 2b + 1 of each row, b = first, first + 1, ...: made (2 blocks, n)."""
    a, b = np.uint32(k0), np.uint32(k1)
    for block in range(made.shape[0] // 2):
        for i in range(rows.shape[0]):
            made[2 * block, i], made[2 * block + 1, i] = _threefry(a, b, rows[i], np.uint32(first + block))


@compiled
def _ring(word: Any, ranked: Any, made: Any, sources: int) -> None:
    """Rank the rows by their words, made[0]; or where there are sources, write those of each row."""
    n = word.shape[1]
    for i in range(n):
        ranked[0, i] = np.uint64(word[0, i] >> np.uint32(1)) << np.uint64(32) | np.uint64(i)
    order = ranked[_sort(ranked)]
    for place in range(n):
        row = np.int64(order[place] & np.uint64(0xFFFFFFFF))
        if not sources:
            made[0, place] = row
        for j in range(sources):
            made[j, row] = np.int32(order[(place + j) % n] & np.uint64(0xFFFFFFFF))


@inlined
def _sort(ranked: Any) -> int:
    """Merge runs of 1, 2, 4, ... of ranked[0], to and fro between the two halves; the half where they end."""
    n, half, length = ranked.shape[1], 0, 1
    while length < n:
        of, to = ranked[half], ranked[1 - half]
        for start in range(0, n, 2 * length):
            a, b = start, min(start + length, n)
            middle, end = b, min(start + 2 * length, n)
            for place in range(start, end):
                if a < middle and (b >= end or of[a] <= of[b]):
                    to[place], a = of[a], a + 1
                else:
                    to[place], b = of[b], b + 1
        half, length = 1 - half, 2 * length
    return half


@compiled
def _boxes(ratio: Any, bits: Any, size: Any, clipped: bool, made: Any) -> None:
    axes, n = bits.shape
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


@compiled
def _lams(background: Any, box: Any, who: Any, hole: Any, pixels: int, made: Any) -> None:
    sources, n = made.shape
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


@inlined
def _area(box: Any, i: int) -> int:
    area = 1
    for axis in range(box.shape[1]):
        area *= box[i, axis, 1] - box[i, axis, 0]
    return area


@compiled
def _settle(index: Any, lam: Any) -> None:
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


@compiled
def _multiply(x: Any, y: Any, made: Any) -> None:
    """Matrices (a, b) times (b, c), of which c is long."""
    n, k, a, c = made.shape
    for i in range(n):
        for j in range(k):
            first, second, sums = x[i % x.shape[0], j % x.shape[1]], y[i % y.shape[0], j % y.shape[1]], made[i, j]
            for v in range(a):
                for u in range(first.shape[1]):
                    for w in range(c):
                        sums[v, w] += first[v, u] * second[u, w]


@compiled
def _lowest(values: Any, wanted: Any, count: Any, made: Any) -> None:
    """By counts of the values' first digits, then of the next ones."""
    n, pixels = values.shape
    for i in range(n):
        below, limit = np.int64(wanted[i]), np.uint32(0)
        if below >= pixels:
            for pixel in range(pixels):
                made[i, pixel] = True
            continue
        for level in range(3):
            shift = np.uint32(20 - 10 * level)
            for digit in range(2048):
                count[digit] = 0
            for pixel in range(pixels):
                value = _above(values[i, pixel]) >> shift
                if value >> np.uint32(10) == limit >> np.uint32(10) or level == 0:
                    count[value & np.uint32(2047 if level == 0 else 1023)] += 1
            found = np.uint32(0)
            while count[found] <= below:
                below -= count[found]
                found += np.uint32(1)
            limit = (limit | found) << np.uint32(10) if level < 2 else limit | found
        for pixel in range(pixels):
            made[i, pixel] = _above(values[i, pixel]) < limit


@inlined
def _above(value: Any) -> Any:
    """A number of 31 bits, in the order of the values."""
    return np.uint32(value + np.int32(2**30))


@compiled
def _walk(k0: int, k1: int, made: Any, room: Any, shift: Any, n: int, sides: Any, rounds: int) -> None:
    """Encrypt until all are below n; backwards where rounds > 0."""
    left, count = room[0], made.shape[0]
    for m in range(count):
        left[m] = m
    while count:
        _network(np.uint32(k0), np.uint32(k1), made, room[:, :count], shift, sides, rounds)
        still = 0
        for m in range(count):
            if made[left[m]] >= n:
                left[still], still = left[m], still + 1
        count = still


@compiled
def _network(k0: Any, k1: Any, made: Any, room: Any, shift: Any, sides: Any, rounds: int) -> None:
    """Encrypt those that are left; round by round, so that the words of a round are made side by side."""
    left, x, y = room[0], room[1], room[2]
    width, height = sides
    for m in range(left.shape[0]):
        x[m], y[m] = made[left[m]] // height, made[left[m]] % height
    for step in range(abs(rounds)):
        turn = rounds - 1 - step if rounds > 0 else step
        by, turned, side = (x, y, height) if turn % 2 else (y, x, width)
        for m in range(left.shape[0]):
            shift[m] = _threefry(k0, k1, np.uint32(by[m]), np.uint32(turn))[0]
        for m in range(left.shape[0]):
            by_side = np.int64(shift[m] % np.uint32(side))
            to = turned[m] + (side - by_side if rounds > 0 else by_side)
            turned[m] = to - side if to >= side else to
    for m in range(left.shape[0]):
        made[left[m]] = x[m] * height + y[m]
