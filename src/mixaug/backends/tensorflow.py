"""The functions of `Library` for TensorFlow: eager, in a graph, and under XLA."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any
from typing import cast as typed

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

from . import Array, Dim, F, Library

_Eager = tf.__internal__.EagerTensor

name, display_name, layout = "tensorflow", "TensorFlow", "nhwc"
where, reshape, stack, transpose, broadcast = tf.where, tf.reshape, tf.stack, tf.transpose, tf.broadcast_to
exp, floor, rint, maximum, minimum, add = tf.exp, tf.floor, tf.math.rint, tf.maximum, tf.minimum, tf.add
log1p, log_softmax, ratio = tf.math.log1p, tf.nn.log_softmax, tf.divide


def at(x: object) -> Library | None:
    return typed(Library, sys.modules[__name__]) if isinstance(x, (tf.Tensor, tf.Variable)) else None


def example() -> Array:
    return tf.zeros(1)


def compiled(function: F) -> F:
    return typed(F, tf.function(function, jit_compile=True))


def draw_kernels() -> Any:
    return None


def constant(x: Any) -> Array:
    return tf.convert_to_tensor(x)


table = constant


def constants(xs: Sequence[Any]) -> list[Array]:
    return [constant(x) for x in xs]


def uint32(bits: int) -> Array:
    return tf.constant(bits, tf.uint32)


def cast(x: Array, dtype: Any) -> Array:
    return tf.cast(x, dtype)


def copy(x: Array) -> Array:
    return tf.identity(x)


def dtype(x: Array) -> str:
    return str(x.dtype.name)


def shape(x: Array) -> tuple[Dim, ...]:
    if x.shape.rank is None:
        raise ValueError("expected a tensor of known rank, got one of unknown rank; call set_shape on it first")
    dynamic = None if x.shape.is_fully_defined() else tf.shape(x)
    return tuple(dynamic[i] if dynamic is not None and d is None else d for i, d in enumerate(x.shape))


def concrete(x: Array) -> Any:
    """Return the values as a NumPy array; None in a graph or on an accelerator."""
    if not tf.executing_eagerly() or not hasattr(x, "numpy") or "CPU" not in (x.device or "CPU"):
        return None
    return np.asarray(x)  # x.numpy() would copy


def on_accelerator(x: Array) -> bool:  # noqa: ARG001 - TensorFlow moves eager tensors between devices itself
    return False


def form(x: Array) -> Any:
    return (_Eager, x.dtype, x._shape_tuple()) if type(x) is _Eager else None


def as_numpy(x: Array) -> Any:
    """Return a NumPy view of the memory; None in a graph, on an accelerator, for a variable, or under a tape."""
    if not tf.executing_eagerly() or not isinstance(x, tf.__internal__.EagerTensor) or "CPU" not in x.device:
        return None
    return None if record.could_possibly_record() else np.asarray(x)


def memory_span(x: Array) -> tuple[int, int] | None:  # noqa: ARG001 - tensors are immutable
    return None


def from_numpy(x: Any, dtype: str) -> Array:
    if x.size and x.ctypes.data % 64 == 0:  # the alignment that TensorFlow's kernels require
        tensor = tf.experimental.dlpack.from_dlpack(x.__dlpack__())
    else:
        tensor = tf.convert_to_tensor(x)
    return tf.bitcast(tensor, tf.bfloat16) if dtype == "bfloat16" else tensor


def written(out: Array) -> Array:
    return out


def write(x: Array, out: Array) -> Array:  # noqa: ARG001
    raise TypeError(
        "out: expected none, as TensorFlow tensors are immutable, got a tensor; leave it out and use the result"
    )


def is_tracing() -> bool:
    return not tf.executing_eagerly()


def is_key(x: Array) -> bool:  # noqa: ARG001
    return False


def arange(n: Dim) -> Array:
    return tf.range(n, dtype=tf.int32)


def full(shape: Sequence[Dim], value: Any, dtype: str) -> Array:
    return tf.fill(tuple(shape), tf.cast(value, dtype))


def concat(xs: Sequence[Array], axis: int = 0) -> Array:
    return tf.concat(xs, axis=axis)


def take(x: Array, index: Array, axis: int = 0) -> Array:
    return tf.gather(x, index, axis=axis)


def take_each(x: Array, index: Array, axis: int) -> Array:
    return tf.gather(x, index, axis=axis, batch_dims=1)


def present(x: Array, count: int) -> Array:
    n = shape(x)[0]
    place = tf.reshape(x + count * tf.range(n)[:, None], (-1,))
    return tf.reshape(tf.math.unsorted_segment_sum(tf.ones_like(place), place, n * count) > 0, (n, count))


def total(x: Array, axes: tuple[int, ...]) -> Array:
    accumulator = tf.int32 if x.dtype == tf.bool else tf.float64
    return tf.cast(tf.reduce_sum(tf.cast(x, accumulator), axes), tf.float32)


def matmul(x: Array, y: Array) -> Array:
    return tf.cast(tf.matmul(tf.cast(x, tf.float64), tf.cast(y, tf.float64)), tf.int32)  # GPUs do not multiply integers


def inner(x: Array, y: Array) -> Array:
    product = tf.matmul(tf.cast(x, tf.float64), tf.cast(y, tf.float64), transpose_b=True)
    return tf.cast(product, x.dtype)


def argsort(x: Array) -> Array:
    return tf.argsort(x, stable=True)


def argmax(x: Array) -> Array:
    return tf.argmax(x, -1)


def highest(x: Array) -> Array:
    return tf.reduce_max(x, -1, keepdims=True)


def summed(x: Array) -> Array:
    return tf.reduce_sum(x, -1)


def rotate_left(x: Array, bits: int) -> Array:
    high, low = tf.bitwise.left_shift(x, np.uint32(bits)), tf.bitwise.right_shift(x, np.uint32(32 - bits))
    return tf.bitwise.bitwise_or(high, low)


def shift_right(x: Array, bits: int) -> Array:
    return tf.bitwise.right_shift(x, tf.cast(bits, x.dtype))


def split(number: Array) -> tuple[Array, Array]:
    bits = tf.cast(number, tf.int64)
    low = tf.bitwise.bitwise_and(bits, 0xFFFFFFFF)
    return tf.cast(low, tf.uint32), tf.cast(tf.bitwise.right_shift(bits, 32) & 0xFFFFFFFF, tf.uint32)
