"""The draw on the CPU: random bits, sources, boxes and lam, by kernels that Numba compiles.

Each public function returns the same numbers as the function that its docstring names, which is the definition. It
allocates the result, and a kernel below fills it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .cache import compiled, inlined
from .machine import threefry

_ONE = np.float32(1)
_STEPS = np.float32(2.0**24)


def encrypted(k0: int, k1: int, x0: int, x1: int) -> tuple[int, int]:
    """Two words, of ints below 2^32."""
    bits = np.empty((2, 1), np.uint32)
    _random_bits(k0, k1, np.array([x0], np.uint32), x1, bits)
    return int(bits[0, 0]), int(bits[1, 0])


def random_bits(k0: int, k1: int, rows: Any, count: int) -> Any:
    """keys.random_bits: uint32 (count, n)."""
    bits = np.empty((2 * ((count + 1) // 2), len(rows)), np.uint32)
    _random_bits(k0, k1, rows, 0, bits)
    return bits[:count]


def shuffled(k0: int, k1: int, n: int) -> Any:
    """keys.shuffled: int32 (n,)."""
    order = np.empty((1, n), np.int32)
    _ring(k0, k1, np.empty((2, n), np.uint64), order)
    return order[0]


def ring(k0: int, k1: int, n: int, sources: int) -> Any:
    """recipes.recipe.ring: int32 (sources, n)."""
    index = np.empty((sources + 1, n), np.int32)
    _ring(k0, k1, np.empty((2, n), np.uint64), index)
    return index[:sources]


def look_up(table: Any, bits: Any) -> Any:
    """keys.look_up."""
    return table[bits >> np.uint32(16)]


def boxes(ratio: Any, bits: Any, size: Any, clipped: bool) -> Any:
    """recipes.cut.clipped_box, or inside_box: int32 (n, d, 2)."""
    box = np.empty((bits.shape[1], bits.shape[0], 2), np.int32)
    _boxes(ratio, bits, np.array(size, np.int64), clipped, box)
    return box


def lams(background: Any, box: Any, who: Any, pixels: Any, sources: int) -> Any:
    """regions.Paste.lam: float32 (k, n), of the boxes int32 (boxes, n, d, 2) of the sources `who`.

    `pixels` is float32 (n,), how many pixels no hole covers.
    """
    lam = np.zeros((sources, len(pixels)), np.float32)
    _lams(background, box, who, pixels, lam)
    return lam


def settled(index: Any, lam: Any) -> Any:
    """mix.settled: sources of lam 0 become the base sample, and lam of equal sources is added to the first of them."""
    index, lam = index.copy(), lam.copy()
    _settle(index, lam)
    return index, lam


def matmul(x: Any, y: Any) -> Any:
    """numpy.matmul of int32 (n or 1, k or 1, a, b) and (n, k, b, c); exact while no sum reaches 2^31."""
    product = np.zeros((*y.shape[:2], x.shape[2], y.shape[3]), np.int32)
    if y.shape[3] == 1:  # transpose, so that the inmost loop is the long one
        x, y, out = y.swapaxes(2, 3), x.swapaxes(2, 3), product.swapaxes(2, 3)
    else:
        out = product
    _multiply(np.ascontiguousarray(x), np.ascontiguousarray(y), out)
    return product


def lowest(values: Any, wanted: Any) -> Any:
    """recipes.masks.lowest: bool (n, pixels), of int32 (n, pixels)."""
    mask = np.empty(values.shape, np.bool_)
    _lowest(values, wanted, np.empty(2048, np.int64), mask)
    return mask


def feistel(k0: int, k1: int, index: Any, n: int, sides: tuple[int, int], rounds: int, inverse: bool) -> Any:
    """epoch.Permutation over a Feistel network on cells of these two sides: int64 (m,), of an index (m,)."""
    rows, scratch = index.copy(), np.empty((3, len(index)), np.int64)
    _walk(k0, k1, rows, scratch, np.empty(len(index), np.uint32), n, sides, -rounds if inverse else rounds)
    return rows


def levels(x: Any, rows: Any) -> tuple[Any, bool]:
    """core.maps.saliency: uint8 (n, pixels) of these rows of maps, and whether a number is not finite or below 0."""
    made = np.empty((len(rows), x.shape[1]), np.uint8)
    return made, _of_maps(_levels, x, rows, made)


def peaks(x: Any, rows: Any) -> tuple[Any, bool]:
    """core.maps.peak: int32 (n,) of these rows of maps, and whether a number is not finite or below 0."""
    first = np.empty(len(rows), np.int32)
    return first, _of_maps(_peaks, x, rows, first)


def present(x: Any, there: Any) -> Any:
    """backends.numpy.present: whether each number is among those of a row, into zeros (n, count)."""
    _present(np.ascontiguousarray(x), there)
    return there


def _of_maps(kernel: Any, x: Any, rows: Any, made: Any) -> bool:
    top, wrong = np.zeros(1, np.int32), np.zeros(1, np.int32)
    kernel(x, x.view(np.int32), rows, top, top.view(np.float32), wrong, made)
    return bool(wrong[0])


@compiled
def _random_bits(k0: int, k1: int, rows: Any, first: int, bits: Any) -> None:
    """Write words 2b and 2b + 1 of each row, for the blocks b = first, first + 1, ...; bits is (2 * blocks, n)."""
    a, b = np.uint32(k0), np.uint32(k1)
    for block in range(bits.shape[0] // 2):
        for i in range(rows.shape[0]):
            bits[2 * block, i], bits[2 * block + 1, i] = threefry(a, b, rows[i], np.uint32(first + block))


@compiled
def _ring(k0: int, k1: int, ranks: Any, index: Any) -> None:
    """Write the sources of each row, those that follow it in a ring, and last the ring: the rows by random bits.

    Rows of equal bits are in the order of their numbers.
    """
    sources, n = index.shape[0] - 1, index.shape[1]
    for i in range(n):
        bits = threefry(np.uint32(k0), np.uint32(k1), np.uint32(i), np.uint32(0xFFFFFFFF))[0]
        ranks[0, i] = np.uint64(bits >> np.uint32(1)) << np.uint64(32) | np.uint64(i)
    half = _sort(ranks)
    for place in range(n):
        index[sources, place] = np.int32(ranks[half, place] & np.uint64(0xFFFFFFFF))
    for place in range(n):
        for j in range(sources):
            index[j, index[sources, place]] = index[sources, (place + j) % n]


@inlined
def _sort(ranks: Any) -> int:
    """Merge sort ranks[0], with ranks[1] as scratch; return which of the two holds the result."""
    n, half, length = ranks.shape[1], 0, 1
    while length < n:
        of, to = ranks[half], ranks[1 - half]
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
def _boxes(ratio: Any, bits: Any, size: Any, clipped: bool, box: Any) -> None:
    axes, n = bits.shape
    for axis in range(axes):
        length = size[axis]
        for i in range(n):
            side = np.int32(np.floor(ratio[i] * np.float32(length)))
            count = np.float32(length if clipped else length + 1 - side) * (_ONE / _STEPS)
            start = np.int32(np.floor(np.float32(bits[axis, i] >> np.uint32(8)) * count))
            if clipped:
                start -= side // 2
            box[i, axis, 0] = max(start, 0)
            box[i, axis, 1] = min(start + side, length)


@compiled
def _lams(background: Any, box: Any, who: Any, pixels: Any, lam: Any) -> None:
    sources, n = lam.shape
    for i in range(n):
        taken = np.float32(0)
        for b in range(box.shape[0]):
            area = np.float32(_area(box[b], i))
            part = area / max(area, pixels[i])
            if box.shape[0] > 1:
                part = np.floor(part * _STEPS) * (_ONE / _STEPS)
            taken = part if b == 0 else taken + part
            lam[who[b], i] = part
        free, rest = _ONE - taken, _ONE
        for j in range(1, sources):
            if background.shape[1]:
                blended = background[j, i] * free if box.shape[0] else background[j, i]
                lam[j, i] = blended + lam[j, i]
            rest -= lam[j, i]
        lam[0, i] = rest


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
def _multiply(x: Any, y: Any, product: Any) -> None:
    """Matrices (a, b) times (b, c), of which c is long."""
    n, k, a, c = product.shape
    for i in range(n):
        for j in range(k):
            first, second, sums = x[i % x.shape[0], j % x.shape[1]], y[i % y.shape[0], j % y.shape[1]], product[i, j]
            for v in range(a):
                for u in range(first.shape[1]):
                    for w in range(c):
                        sums[v, w] += first[v, u] * second[u, w]


@compiled
def _lowest(values: Any, wanted: Any, count: Any, mask: Any) -> None:
    """By counts of the values' first digits, then of the next ones."""
    n, pixels = values.shape
    for i in range(n):
        below, limit = np.int64(wanted[i]), np.uint32(0)
        if below >= pixels:
            for pixel in range(pixels):
                mask[i, pixel] = True
            continue
        for level in range(3):
            shift = np.uint32(20 - 10 * level)
            for digit in range(2048):
                count[digit] = 0
            for pixel in range(pixels):
                value = _above(values[i, pixel]) >> shift
                if value >> np.uint32(10) == limit >> np.uint32(10) or level == 0:
                    count[value & np.uint32(2047 if level == 0 else 1023)] += 1
            digits = np.uint32(0)
            while count[digits] <= below:
                below -= count[digits]
                digits += np.uint32(1)
            limit = (limit | digits) << np.uint32(10) if level < 2 else limit | digits
        for pixel in range(pixels):
            mask[i, pixel] = _above(values[i, pixel]) < limit


@inlined
def _above(value: Any) -> Any:
    """A number of 31 bits, in the order of the values."""
    return np.uint32(value + np.int32(2**30))


@inlined
def _highest(bits: Any, row: int, top: Any, wrong: Any) -> Any:
    """Write the greatest bits of a row of floats, which are ordered as these; 0 if no normal number is above 0."""
    highest, below = np.int32(0), np.int32(0)
    for pixel in range(bits.shape[1]):
        held = bits[row, pixel]
        below |= np.int32(held < 0) & np.int32(held != np.int32(-(2**31)))
        highest = max(highest, held)
    wrong[0] |= below | np.int32(highest >= np.int32(0x7F800000))
    top[0] = highest if highest >= np.int32(0x00800000) else np.int32(0)


@inlined
def _level(value: Any, bits: Any, greatest: Any) -> Any:
    return np.rint(value / greatest * np.float32(255)) if bits >= np.int32(0x00800000) else np.float32(0)


@compiled
def _levels(x: Any, bits: Any, rows: Any, top: Any, greatest: Any, wrong: Any, made: Any) -> None:
    """`greatest` is the memory of `top` as floats."""
    for i in range(rows.shape[0]):
        row = rows[i]
        _highest(bits, row, top, wrong)
        for pixel in range(x.shape[1]):
            level = _level(x[row, pixel], bits[row, pixel], greatest[0]) if top[0] > 0 else np.float32(255)
            made[i, pixel] = np.uint8(np.int32(level))


@compiled
def _peaks(x: Any, bits: Any, rows: Any, top: Any, greatest: Any, wrong: Any, first: Any) -> None:
    """`greatest` is the memory of `top` as floats."""
    for i in range(rows.shape[0]):
        row, start = rows[i], 0
        _highest(bits, row, top, wrong)
        first[i] = 0
        if top[0] == 0 or wrong[0]:
            continue
        near, found = greatest[0] * np.float32(0.99), -1  # what is below is no candidate
        while found < 0:
            stop, candidates = min(start + 512, x.shape[1]), 0
            for pixel in range(start, stop):
                candidates += x[row, pixel] >= near
            if candidates:
                for pixel in range(start, stop):
                    if found < 0 and _level(x[row, pixel], bits[row, pixel], greatest[0]) == np.float32(255):
                        found = pixel
            start = stop
        first[i] = found


@compiled
def _present(x: Any, there: Any) -> None:
    for i in range(x.shape[0]):
        for pixel in range(x.shape[1]):
            if 0 <= x[i, pixel] < there.shape[1]:
                there[i, x[i, pixel]] = True


@compiled
def _walk(k0: int, k1: int, rows: Any, scratch: Any, shift: Any, n: int, sides: Any, rounds: int) -> None:
    """Encrypt each row until it is below n; decrypt if `rounds` is negative."""
    left, count = scratch[0], rows.shape[0]
    for m in range(count):
        left[m] = m
    while count:
        _network(np.uint32(k0), np.uint32(k1), rows, scratch[:, :count], shift, sides, rounds)
        still = 0
        for m in range(count):
            if rows[left[m]] >= n:
                left[still], still = left[m], still + 1
        count = still


@compiled
def _network(k0: Any, k1: Any, rows: Any, scratch: Any, shift: Any, sides: Any, rounds: int) -> None:
    """Encrypt the rows in scratch[0]; round by round, so that the bits of a round are drawn side by side."""
    left, x, y = scratch[0], scratch[1], scratch[2]
    width, height = sides
    for m in range(left.shape[0]):
        x[m], y[m] = rows[left[m]] // height, rows[left[m]] % height
    for step in range(abs(rounds)):
        turn = step if rounds > 0 else -rounds - 1 - step
        by, turned, side = (x, y, height) if turn % 2 else (y, x, width)
        for m in range(left.shape[0]):
            shift[m] = threefry(k0, k1, np.uint32(by[m]), np.uint32(turn))[0]
        for m in range(left.shape[0]):
            by_side = np.int64(shift[m] % np.uint32(side))
            to = turned[m] + (by_side if rounds > 0 else side - by_side)
            turned[m] = to - side if to >= side else to
    for m in range(left.shape[0]):
        rows[left[m]] = x[m] * height + y[m]
