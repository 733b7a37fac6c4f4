"""The functions of `Library` for NumPy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any
from typing import cast as typed

import numpy as np

from . import Array, Dim, F, Library, kernels, span

name, display_name, layout = "numpy", "NumPy", "nhwc"
stack, where, transpose = np.stack, np.where, np.transpose
maximum, minimum, floor, rint, exp, add = np.maximum, np.minimum, np.floor, np.rint, np.exp, np.add
reshape, log1p, ratio = np.reshape, np.log1p, np.true_divide

_this = typed(Library, sys.modules[__name__])


def at(x: object) -> Library | None:
    if type(x) is not np.ndarray and isinstance(x, np.ma.MaskedArray):
        raise TypeError("expected an array without a mask, got a NumPy masked array; pass x.filled(value)")
    if isinstance(x, np.matrix):  # a row of a matrix has two axes
        raise TypeError("expected an array of any number of axes, got a NumPy matrix; pass np.asarray(x)")
    return _this if isinstance(x, (np.ndarray, np.generic)) else None


def example() -> Array:
    return np.zeros(1, np.float32)


def compiled(function: F) -> F:
    return function


def draw_kernels() -> Any:
    return kernels("mixaug.kernels.draw")


def constant(x: Any) -> Array:
    return np.asarray(x)


table = constant


def constants(xs: Sequence[Any]) -> list[Array]:
    return [constant(x) for x in xs]


def uint32(bits: int) -> Array:
    return np.uint32(bits)


def cast(x: Array, dtype: Any) -> Array:
    return np.asarray(x).astype(dtype, copy=False)


def copy(x: Array) -> Array:
    return np.array(x)


def dtype(x: Array) -> str:
    return _name(x.dtype)


@cache
def _name(dtype: Any) -> str:
    return str(dtype.name)  # NumPy builds this string at each access


def shape(x: Array) -> tuple[Dim, ...]:
    return tuple(x.shape)


def concrete(x: Array) -> Any:
    return np.asarray(x)


def on_accelerator(x: Array) -> bool:  # noqa: ARG001
    return False


def form(x: Array) -> Any:
    return type(x), x.dtype, x.shape


def as_numpy(x: Array) -> Any:
    return x if type(x) in (np.ndarray, np.memmap) else None  # other subclasses may hold more than their memory


def memory_span(x: Array) -> tuple[int, int] | None:
    return span(x.ctypes.data, x.shape, x.strides, x.itemsize)


def from_numpy(x: Any, dtype: str) -> Array:
    if dtype != "bfloat16":
        return x
    from ml_dtypes import bfloat16  # installed wherever bfloat16 arrays exist

    return x.view(bfloat16)


def written(out: Array) -> Array:
    return out


def write(x: Array, out: Array) -> Array:
    if not out.flags.writeable:
        raise ValueError("out: expected memory that can be written to, got a read-only array; pass a copy of it")
    np.copyto(out, x)
    return out


def is_tracing() -> bool:
    return False


def is_key(x: Array) -> bool:  # noqa: ARG001
    return False


def arange(n: Dim) -> Array:
    return np.arange(n, dtype=np.int32)


def full(shape: Sequence[Dim], value: Any, dtype: str) -> Array:
    return np.full(tuple(shape), value, dtype)


def broadcast(x: Array, shape: Sequence[Dim]) -> Array:
    return np.broadcast_to(x, tuple(shape))


def concat(xs: Sequence[Array], axis: int = 0) -> Array:
    return np.concatenate(xs, axis)


def matmul(x: Array, y: Array) -> Array:
    draw = draw_kernels()  # BLAS does not multiply integers
    return draw.matmul(x, y) if draw else np.matmul(x, y)


def inner(x: Array, y: Array) -> Array:
    return np.matmul(x, np.swapaxes(y, 1, 2))


def take(x: Array, index: Array, axis: int = 0) -> Array:
    return np.take(x, index, axis)


def take_each(x: Array, index: Array, axis: int) -> Array:
    return np.take_along_axis(x, _along(index, x.ndim, axis), axis)


def present(x: Array, count: int) -> Array:
    there = np.zeros((len(x), count), bool)
    if quicker := draw_kernels():
        return quicker.present(x, there)
    there[np.arange(len(x))[:, None], x] = True
    return there


def _along(index: Array, axes: int, axis: int) -> Array:
    """Reshape an index (n, length) to `axes` axes, with n on the first and length on `axis`."""
    n, length = index.shape  # -1 fails without rows
    return index.reshape([n if a == 0 else length if a == axis else 1 for a in range(axes)])


def total(x: Array, axes: tuple[int, ...]) -> Array:
    accumulator = np.int64 if x.dtype == bool else np.float64
    return np.sum(x, axes, dtype=accumulator).astype(np.float32)


def argsort(x: Array) -> Array:
    return np.argsort(x, kind="stable").astype(np.int32)


def argmax(x: Array) -> Array:
    return np.argmax(x, -1)


def highest(x: Array) -> Array:
    return np.max(x, -1, keepdims=True)


def summed(x: Array) -> Array:
    return np.sum(x, -1)


def log_softmax(x: Array) -> Array:
    shifted = x - highest(x)
    return shifted - np.log(np.sum(np.exp(shifted), -1, keepdims=True))


def rotate_left(x: Array, bits: int) -> Array:
    return np.bitwise_or(np.left_shift(x, np.uint32(bits)), np.right_shift(x, np.uint32(32 - bits)))


def shift_right(x: Array, bits: int) -> Array:
    return np.right_shift(x, x.dtype.type(bits))


def split(number: Array) -> tuple[Array, Array]:
    bits = np.asarray(number).astype(np.int64)
    return (bits & 0xFFFFFFFF).astype(np.uint32), (bits >> 32 & 0xFFFFFFFF).astype(np.uint32)
