"""Where randomness comes from: keys, the words drawn under them, and the tables that turn words into numbers.

A draw is a pure function of its key and the row's number: no generator, no state. The bits are Threefry-2x32 with
20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), the same in every library.
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
    """Two words of 32 bits: ints where they are known on the host, else uint32 scalars of a library."""

    low: Array
    high: Array
    epoch: Any = None  #: which epoch it is of, an int or a scalar of a library, for recipes that change over time


draw_version = 1  #: counted up where recipes draw other mixes under the same keys
KeyLike: TypeAlias = Any  #: an int, (seed, step), (seed, epoch, step), a JAX PRNG key, or None for one of the system's

ONE = 65536  #: weights are whole numbers of 1 / ONE, tables have ONE entries

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_MASK = 0xFFFFFFFF
_PARITY = 0x1BD11BDA


class Uint32(Protocol):
    """What Threefry needs of 32-bit words: every array library has it, and so have Python's ints."""

    def add(self, x: Any, y: Any) -> Any:
        """Add mod 2^32."""

    def rotate_left(self, x: Any, bits: int) -> Any:
        """The word with its bits moved up, those that fall out put in below."""


class _Ints:
    """Words as Python's ints: a key known on the host costs no array."""

    @staticmethod
    def add(x: int, y: int) -> int:
        return (x + y) & _MASK

    @staticmethod
    def rotate_left(x: int, bits: int) -> int:
        return (x << bits | x >> (32 - bits)) & _MASK


def threefry(xp: Uint32, key: Key, counter: tuple[Array, Array]) -> tuple[Array, Array]:
    """Encrypt a counter of two uint32 words under a key of two: Threefry-2x32, 20 rounds."""
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
    """The key of (seed, step) or (seed, epoch, step): the seed's two words, then each further number folded in.

    A `Key` is one already, and so is a JAX PRNG key of two words; it may also stand where a seed does. The second of
    three or more numbers is the epoch, and the key remembers it. A single integer s is (s, 0). None is a key of 64 bits
    that the operating system draws: another one at each call, whatever seeds the frameworks have.

    Raises:
        TypeError: if `key` is not an integer or a sequence of integers (or of scalar integer tensors), or if it is
            None in traced code.
    """
    if isinstance(key, Key):
        return key
    given = key
    if key is None:
        return _of_the_system()
    if not isinstance(key, (tuple, list)):
        if _is_key(key):
            return Key(*_split(key))
        key = (key, 0) if _is_integer(key) else ()
    if len(key) < 2:
        raise TypeError(
            f"key: expected an integer, (seed, step) or (seed, epoch, step), got {short(given)}; "
            "write key=0, or key=(seed, step) with a step that counts the batches"
        )
    made = Key(*_split(key[0]), epoch=key[1] if len(key) > 2 else None)
    for number in key[1:]:
        made = fold_in(made, number)
    return made


_INSTEAD = {
    "tensorflow": "ds.apply(ma.tf.mixed(recipe)), if this is a tf.data pipeline",
    "torch": "ma.torch.Mixed(recipe), which counts its steps",
    "jax": "a key of jax.random",
}


def _of_the_system() -> Key:
    """A key that nobody else has; a TypeError in traced code, which would draw the same at every run."""
    if root := backends.tracing():
        raise TypeError(
            f"key: expected one in code that {backends.DISPLAY_NAMES[root]} traces, where a random key would be frozen "
            "into a constant, got none; pass key=(seed, step), the step an argument of the traced function, or use "
            f"{_INSTEAD[root]}"
        )
    bits = int.from_bytes(os.urandom(8))
    return Key(bits & _MASK, bits >> 32)


def _is_integer(x: object) -> bool:
    """Whether it is an int of Python's or NumPy's, or a scalar integer tensor, but no bool."""
    if xp := backends.find(x):
        return "int" in xp.dtype(x) and not len(x.shape)  # type: ignore[attr-defined]
    return isinstance(x, int) and not isinstance(x, bool)


def _is_key(x: object) -> bool:
    xp = backends.find(x)
    return xp is not None and xp.is_key(x)


def fold_in(key: Key, number: Any) -> Key:
    """The key that `number` (an int mod 2^64, or a scalar integer tensor) has under `key`: its encryption."""
    bits = (*key[:2], *_split(number))
    if {*map(type, bits)} == {int}:
        fold = _fold if backends.is_compiling() else _folded
        return Key(*fold(*bits), key.epoch)
    xp = backends.common(*bits)
    k0, k1, low, high = (xp.uint32(word) if isinstance(word, int) else xp.constant(word) for word in bits)
    return Key(*threefry(xp, Key(k0, k1), (low, high)), key.epoch)


@lru_cache(maxsize=1024)
def _folded(k0: int, k1: int, low: int, high: int) -> tuple[int, int]:
    kernels = backends.loaded_kernels("mixaug.kernels.draw")  # for this alone it is not worth loading
    folded: tuple[int, int] = (kernels.encrypted if kernels else _fold)(k0, k1, low, high)
    return folded


def _fold(k0: int, k1: int, low: int, high: int) -> tuple[int, int]:
    return threefry(_Ints, Key(k0, k1), (low, high))


def _split(number: Any) -> tuple[Any, Any]:
    """The low and the high 32 bits of an integer, mod 2^64; the words of a PRNG key."""
    if type(number) is int:
        return number & _MASK, number >> 32 & _MASK
    xp = backends.find(number)
    if xp and xp.is_key(number):
        low, high = xp.split(number)
        held = xp.concrete(low), xp.concrete(high)
        return (low, high) if held[0] is None else (int(held[0]), int(held[1]))
    held = xp.concrete(number) if xp else number
    if xp and held is None:
        if "int" not in xp.dtype(number) or len(number.shape):
            raise TypeError(
                f"key: expected scalar integers, got {xp.dtype(number)} of shape {number.shape}; "
                "pass each number by itself"
            )
        return xp.split(number)
    try:
        if isinstance(held, bool):
            raise TypeError
        bits = operator.index(held) % 2**64
    except TypeError:
        raise TypeError(
            f"key: expected integers, got {short(number)}; a seed, an epoch and a step are whole numbers"
        ) from None
    return bits & _MASK, bits >> 32


def random_bits(xp: Library, key: Key, rows: Array, count: int) -> Array:
    """The first `count` random words of each row: uint32 (count, n).

    Words 2b and 2b + 1 of a row are threefry(key, (row, b)). Of rows in NumPy they are drawn there, and brought over.
    """
    if kernels := xp.draw_kernels():
        return kernels.random_bits(*key[:2], rows, count)
    if (home := backends.of(rows)) != xp:
        return xp.cast(backends.to(xp, random_bits(home, key, rows, count)), "uint32")
    blocks = xp.cast(xp.arange((count + 1) // 2), "uint32")
    pairs = threefry(xp, key, (rows[None, :], blocks[:, None]))
    return xp.reshape(xp.stack(pairs, axis=1), (2 * ((count + 1) // 2), xp.shape(rows)[0]))[:count]


def rank_bits(xp: Library, key: Key, rows: Array) -> Array:
    """The word by which rows are ranked, uint32 (n,): of the last block, which no recipe's words reach."""
    return threefry(xp, key, (rows, xp.uint32(_MASK)))[0]


def shuffled(xp: Library, key: Key, n: Dim) -> Array:
    """int32 (n,): the rows 0 .. n - 1 in a random order; rows of the same word by number."""
    if kernels := xp.draw_kernels():
        return kernels.shuffled(*key[:2], n)
    word = rank_bits(xp, key, xp.cast(xp.arange(n), "uint32"))
    return xp.argsort(xp.cast(xp.shift_right(word, 1), "int32"))


def bits16(xp: Library, word: Array) -> Array:
    """The high 16 bits of a word, as int32 in 0 .. ONE - 1."""
    return xp.cast(xp.shift_right(word, 16), "int32")


def bits24(xp: Library, word: Array) -> Array:
    """The high 24 bits of a word, as int32: all of them are exact in float32."""
    return xp.cast(xp.shift_right(word, 8), "int32")


def uniform(xp: Library, word: Array) -> Array:
    """A float32 in [0, 1), a whole number of 2^-24."""
    return xp.cast(bits24(xp, word), "float32") * 2.0**-24


def below(xp: Library, count: Any, word: Array) -> Array:
    """int32: a whole number in 0 .. count - 1 for each word; one multiply and a floor, which never give count."""
    return floor(xp, xp.cast(bits24(xp, word), "float32") * (xp.cast(xp.constant(count), "float32") * 2.0**-24))


def floor(xp: Library, x: Array) -> Array:
    """int32: the whole number below."""
    return xp.cast(xp.floor(x), "int32")


def look_up(xp: Library, table: np.ndarray[Any, Any], word: Array) -> Array:
    """The entry of a table of ONE entries that the high 16 bits of a word point at."""
    if (kernels := xp.draw_kernels()) and word.ndim == 1:
        return kernels.look_up(table, word)
    return xp.take(xp.table(table), bits16(xp, word))


@backends.trace_constant
@lru_cache(maxsize=64)
def beta_quantiles(a: float, b: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The quantiles of Beta(a, b) at (i + 1/2) / ONE: float64 (ONE,), read-only.

    Looked up with 16 random bits they are Beta-distributed: no rejection loop, no NaN at small a, the same everywhere.
    """
    table: np.ndarray[Any, np.dtype[np.float64]] = (np.arange(ONE) + 0.5) / ONE
    if (a, b) != (1, 1):  # Beta(1, 1) is uniform
        from scipy.special import betaincinv  # slow to import: only who draws from another Beta waits for it

        table = betaincinv(a, b, table)
    table.flags.writeable = False
    return table


@backends.trace_constant
@lru_cache(maxsize=64)
def beta_table(a: float, b: float, whole: str | None = None) -> np.ndarray[Any, Any]:
    """The quantiles of Beta(a, b) for `look_up`: float32, or rounded to whole numbers of 1 / ONE of that dtype."""
    quantiles = beta_quantiles(a, b)
    return quantiles.astype(np.float32) if whole is None else np.rint(ONE * quantiles).astype(whole)
