"""NumPy, as the maths sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import Array, Dim

stack, where, transpose = np.stack, np.where, np.transpose
maximum, minimum, floor, rint, exp, add = np.maximum, np.minimum, np.floor, np.rint, np.exp, np.add
reshape = np.reshape


def is_array(x: object) -> bool:
    return isinstance(x, (np.ndarray, np.generic))


def constant(x: Any) -> Array:
    return np.asarray(x)


def cast(x: Array, dtype: Any) -> Array:
    return np.asarray(x).astype(dtype, copy=False)


def copy(x: Array) -> Array:
    return np.array(x)


def dtype(x: Array) -> str:
    return str(x.dtype.name)


def shape(x: Array) -> tuple[Dim, ...]:
    return tuple(x.shape)


def concrete(x: Array) -> Any:
    return np.asarray(x)


def arange(n: Dim) -> Array:
    return np.arange(n, dtype=np.int32)


def full(shape: Sequence[Dim], value: Any, dtype: str) -> Array:
    return np.full(tuple(shape), value, dtype)


def broadcast(x: Array, shape: Sequence[Dim]) -> Array:
    return np.broadcast_to(x, tuple(shape))


def take(x: Array, index: Array, axis: int = 0) -> Array:
    return np.take(x, index, axis)


def total(x: Array, axes: tuple[int, ...]) -> Array:
    counted = np.int64 if x.dtype == bool else np.float64
    return np.sum(x, axes, dtype=counted).astype(np.float32)


def argsort(x: Array) -> Array:
    return np.argsort(x, kind="stable").astype(np.int32)


def rotate_left(x: Array, bits: int) -> Array:
    return np.bitwise_or(np.left_shift(x, np.uint32(bits)), np.right_shift(x, np.uint32(32 - bits)))


def shift_right(x: Array, bits: int) -> Array:
    return np.right_shift(x, x.dtype.type(bits))


def split(number: Array) -> tuple[Array, Array]:
    bits = np.asarray(number).astype(np.int64)
    return (bits & 0xFFFFFFFF).astype(np.uint32), (bits >> 32 & 0xFFFFFFFF).astype(np.uint32)
