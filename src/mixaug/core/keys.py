"""Randomness: keys, the random bits of a key, and the tables that turn bits into numbers.

A draw is a pure function of a key and a row number: there is no generator and no state. The bits come from
Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), the same in every
library.
"""

from __future__ import annotations

import operator
import os
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np

from .. import backends
from ..backends import Array, Dim, Library
from .hints import short


class Key(NamedTuple):
    """64 random bits in two words of 32: Python ints if known on the host, otherwise uint32 scalars of a library."""

    low: Array
    high: Array
    epoch: Any = None  #: the epoch, an int or a scalar of a library, for recipes with a schedule


draw_version = 1  #: incremented whenever recipes draw different mixes from the same keys
KeyLike: TypeAlias = Any  #: an int, (seed, step), (seed, epoch, step), a JAX PRNG key, or None for a random key

ONE = 65536  #: one in Q16 fixed point: weights are multiples of 1 / ONE, tables have ONE entries

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_MASK = 0xFFFFFFFF
_PARITY = 0x1BD11BDA


class Uint32(Protocol):
    """The operations on 32-bit words that Threefry needs, from an array library or on Python ints."""

    def add(self, x: Any, y: Any) -> Any:
        """Add modulo 2^32."""

    def rotate_left(self, x: Any, bits: int) -> Any:
        """Rotate a word to the left."""


class _Ints:
    """`Uint32` on Python ints: folding a key that is known on the host creates no arrays."""

    @staticmethod
    def add(x: int, y: int) -> int:
        return (x + y) & _MASK

    @staticmethod
    def rotate_left(x: int, bits: int) -> int:
        return (x << bits | x >> (32 - bits)) & _MASK


def threefry(xp: Uint32, key: Key, counter: tuple[Array, Array]) -> tuple[Array, Array]:
    """Encrypt a counter of two uint32 words with Threefry-2x32, 20 rounds."""
    ks = (key[0], key[1], key[0] ^ key[1] ^ _PARITY)
    x0, x1 = xp.add(counter[0], ks[0]), xp.add(counter[1], ks[1])
    for group in range(5):
        for bits in _ROTATIONS[group % 2]:
            x0 = xp.add(x0, x1)
            x1 = xp.rotate_left(x1, bits) ^ x0
        x0 = xp.add(x0, ks[(group + 1) % 3])
        x1 = xp.add(xp.add(x1, ks[(group + 2) % 3]), group + 1)
    return x0, x1


def make(key: KeyLike = None) -> Key:
    """Make a key from (seed, step) or (seed, epoch, step): the 64 bits of the seed, with each further number folded in.

    A `Key` is returned unchanged. A JAX PRNG key of 64 bits is accepted as a key and as a seed. The second of three or
    more numbers is the epoch, which the key stores. A single integer s means (s, 0). None draws 64 bits from the
    operating system at each call, whatever the frameworks' seeds are.

    Raises:
        TypeError: if `key` is not an integer or a sequence of integers (or of scalar integer tensors), or if it is
            None in traced code.
    """
    if isinstance(key, Key):
        return key
    original = key
    if key is None:
        return _random_key()
    if not isinstance(key, (tuple, list)):
        if _is_key(key):
            return Key(*_split(key))
        key = (key, 0) if _is_integer(key) else ()
    if len(key) < 2:
        raise TypeError(
            f"key: expected an integer, (seed, step) or (seed, epoch, step), got {short(original)}; "
            "write key=0, or key=(seed, step) with a step that counts the batches"
        )
    folded = Key(*_split(key[0]), epoch=key[1] if len(key) > 2 else None)
    for number in key[1:]:
        folded = fold_in(folded, number)
    return folded


_ALTERNATIVES = {
    "tensorflow": "ds.apply(ma.tf.mixed(recipe)), if this is a tf.data pipeline",
    "torch": "ma.torch.Mixed(recipe), which counts its steps",
    "jax": "a key of jax.random",
}


def _random_key() -> Key:
    """Draw a key from the operating system; raises TypeError in traced code, where it would become a constant."""
    if root := backends.tracing():
        raise TypeError(
            f"key: expected one in code that {backends.DISPLAY_NAMES[root]} traces, where a random key would become a "
            "constant, got None; pass key=(seed, step), with the step as an argument of the traced function, or use "
            f"{_ALTERNATIVES[root]}"
        )
    bits = int.from_bytes(os.urandom(8))
    return Key(bits & _MASK, bits >> 32)


def _is_integer(x: object) -> bool:
    """Whether `x` is a Python or NumPy int or a scalar integer tensor; bools are not."""
    if xp := backends.find(x):
        return "int" in xp.dtype(x) and not len(x.shape)  # type: ignore[attr-defined]
    return isinstance(x, int) and not isinstance(x, bool)


def _is_key(x: object) -> bool:
    xp = backends.find(x)
    return xp is not None and xp.is_key(x)


def fold_in(key: Key, number: Any) -> Key:
    """Return the encryption of `number` (an int modulo 2^64, or a scalar integer tensor) under `key`, as a key."""
    bits = (*key[:2], *_split(number))
    if {*map(type, bits)} == {int}:
        fold = _fold if backends.is_compiling() else _folded
        return Key(*fold(*bits), key.epoch)
    xp = backends.common(*bits)
    k0, k1, low, high = (xp.uint32(word) if isinstance(word, int) else xp.constant(word) for word in bits)
    return Key(*threefry(xp, Key(k0, k1), (low, high)), key.epoch)


@lru_cache(maxsize=1024)
def _folded(k0: int, k1: int, low: int, high: int) -> tuple[int, int]:
    kernels = backends.loaded_kernels("mixaug.kernels.draw")  # not worth importing for this alone
    folded: tuple[int, int] = (kernels.encrypted if kernels else _fold)(k0, k1, low, high)
    return folded


def _fold(k0: int, k1: int, low: int, high: int) -> tuple[int, int]:
    return threefry(_Ints, Key(k0, k1), (low, high))


def _split(number: Any) -> tuple[Any, Any]:
    """Return the low and high 32 bits of an integer modulo 2^64, or of a PRNG key."""
    if type(number) is int:
        return number & _MASK, number >> 32 & _MASK
    xp = backends.find(number)
    if xp and xp.is_key(number):
        low, high = xp.split(number)
        values = xp.concrete(low), xp.concrete(high)
        return (low, high) if values[0] is None else (int(values[0]), int(values[1]))
    value = xp.concrete(number) if xp else number
    if xp and value is None:
        if "int" not in xp.dtype(number) or len(number.shape):
            raise TypeError(
                f"key: expected scalar integers, got {xp.dtype(number)} of shape {number.shape}; "
                "pass each number as an integer scalar"
            )
        return xp.split(number)
    try:
        if isinstance(value, bool):
            raise TypeError
        bits = operator.index(value) % 2**64
    except TypeError:
        raise TypeError(
            f"key: expected integers, got {short(number)}; pass the seed, the epoch and the step as ints"
        ) from None
    return bits & _MASK, bits >> 32


def random_bits(xp: Library, key: Key, rows: Array, count: int) -> Array:
    """Return the first `count` random words of each row: uint32 (count, n).

    Words 2b and 2b + 1 of a row are threefry(key, (row, b)). The words of NumPy rows are computed by NumPy.
    """
    if kernels := xp.draw_kernels():
        return kernels.random_bits(*key[:2], rows, count)
    if (home := backends.of(rows)) != xp:
        return xp.cast(backends.to(xp, random_bits(home, key, rows, count)), "uint32")
    blocks = xp.cast(xp.arange((count + 1) // 2), "uint32")
    pairs = threefry(xp, key, (rows[None, :], blocks[:, None]))
    return xp.reshape(xp.stack(pairs, axis=1), (2 * ((count + 1) // 2), xp.shape(rows)[0]))[:count]


def rank_bits(xp: Library, key: Key, rows: Array) -> Array:
    """Return the word that ranks each row, uint32 (n,): from the last block, which no recipe reaches."""
    return threefry(xp, key, (rows, xp.uint32(_MASK)))[0]


def shuffled(xp: Library, key: Key, n: Dim) -> Array:
    """Return a random permutation of 0 .. n - 1, int32 (n,)."""
    if kernels := xp.draw_kernels():
        return kernels.shuffled(*key[:2], n)
    word = rank_bits(xp, key, xp.cast(xp.arange(n), "uint32"))
    return xp.argsort(xp.cast(xp.shift_right(word, 1), "int32"))


def bits16(xp: Library, word: Array) -> Array:
    """Return the high 16 bits of a word, int32 in 0 .. ONE - 1."""
    return xp.cast(xp.shift_right(word, 16), "int32")


def bits24(xp: Library, word: Array) -> Array:
    """Return the high 24 bits of a word, int32; they are exact in float32."""
    return xp.cast(xp.shift_right(word, 8), "int32")


def uniform(xp: Library, word: Array) -> Array:
    """Return a float32 in [0, 1), a multiple of 2^-24."""
    return xp.cast(bits24(xp, word), "float32") * 2.0**-24


def below(xp: Library, count: Any, word: Array) -> Array:
    """Return an integer in 0 .. count - 1 for each word, int32; rounding never yields `count`."""
    return floor(xp, xp.cast(bits24(xp, word), "float32") * (xp.cast(xp.constant(count), "float32") * 2.0**-24))


def floor(xp: Library, x: Array) -> Array:
    """Round down to int32."""
    return xp.cast(xp.floor(x), "int32")


def look_up(xp: Library, table: np.ndarray[Any, Any], word: Array) -> Array:
    """Return the entry of a table of ONE entries at the high 16 bits of a word."""
    if (kernels := xp.draw_kernels()) and word.ndim == 1:
        return kernels.look_up(table, word)
    return xp.take(xp.table(table), bits16(xp, word))


@backends.trace_constant
@lru_cache(maxsize=64)
def beta_quantiles(a: float, b: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the quantiles of Beta(a, b) at (i + 1/2) / ONE: float64 (ONE,), read-only.

    An entry at 16 random bits follows Beta(a, b), without rejection loops or NaN at small a, alike in every library.
    """
    table: np.ndarray[Any, np.dtype[np.float64]] = (np.arange(ONE) + 0.5) / ONE
    if (a, b) != (1, 1):  # Beta(1, 1) is uniform
        from scipy.special import betaincinv  # slow to import

        table = betaincinv(a, b, table)
    table.flags.writeable = False
    return table


@backends.trace_constant
@lru_cache(maxsize=64)
def beta_table(a: float, b: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the quantiles of Beta(a, b) for `look_up`, float32."""
    return beta_quantiles(a, b).astype(np.float32)
