"""The functions of `Library` for JAX: eager, and under jit, vmap and grad."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any
from typing import cast as typed

import jax
import jax.export
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax._src.array import ArrayImpl
from jax._src.core import trace_state_clean

from . import TREES, Array, Dim, F, Library

name, display_name, layout = "jax", "JAX", "nhwc"
stack, where, transpose, reshape, matmul = jnp.stack, jnp.where, jnp.transpose, jnp.reshape, jnp.matmul
maximum, minimum, floor, rint, exp = jnp.maximum, jnp.minimum, jnp.floor, jnp.rint, jnp.exp
log1p, log_softmax = jnp.log1p, jax.nn.log_softmax
_MASK = 0xFFFFFFFF


def at(x: object) -> Library | None:
    return typed(Library, sys.modules[__name__]) if isinstance(x, jax.Array) or _is_length(x) else None


def _is_length(x: object) -> bool:
    """Whether `x` is a symbolic dimension, as in the shapes of Keras' symbolic inputs."""
    return bool(jax.export.is_symbolic_dim(x))


def example() -> Array:
    return jnp.zeros(1)


def compiled(function: F) -> F:
    return typed(F, jax.jit(function))


def draw_kernels() -> Any:
    return None


def constant(x: Any) -> Array:
    return jnp.asarray(x)


table = constant


def constants(xs: Sequence[Any]) -> list[Array]:
    return [constant(x) for x in xs]


def uint32(bits: int) -> Array:
    return jnp.uint32(bits)


def cast(x: Array, dtype: Any) -> Array:
    return jnp.asarray(x).astype(jax.dtypes.canonicalize_dtype(dtype))  # without x64, int64 means int32


def copy(x: Array) -> Array:
    return jnp.array(x)


def dtype(x: Array) -> str:
    return str(x.dtype.name)


def shape(x: Array) -> tuple[Dim, ...]:
    return tuple(x.shape)


def concrete(x: Array) -> Any:
    """Return the values as a NumPy array; None if `x` is traced or on an accelerator."""
    if isinstance(x, jax.core.Tracer) or _is_length(x) or not x.is_fully_addressable:
        return None
    return np.asarray(x) if all(device.platform == "cpu" for device in x.devices()) else None


def on_accelerator(x: Array) -> bool:
    return not isinstance(x, jax.core.Tracer) and not _is_length(x) and concrete(x) is None


def form(x: Array) -> Any:
    return (ArrayImpl, x.dtype, x.shape) if type(x) is ArrayImpl else None


def as_numpy(x: Array) -> Any:
    """As `concrete`, but only for arrays on the default device; None on any other device, or on several."""
    values = concrete(x)
    return values if values is not None and x.devices() == _default_devices() else None


@cache
def _devices_of_new_arrays(default: Any) -> set[Any]:  # noqa: ARG001 - `default` is the key of the cache
    with jax.ensure_compile_time_eval():  # the first call may be inside a traced function
        return typed(set[Any], jnp.zeros(()).devices())


def _default_devices() -> set[Any]:
    return _devices_of_new_arrays(jax.config.jax_default_device)


def memory_span(x: Array) -> tuple[int, int] | None:  # noqa: ARG001 - arrays are immutable
    return None


def from_numpy(x: Any, dtype: str) -> Array:
    return jax.device_put(x.view(ml_dtypes.bfloat16) if dtype == "bfloat16" else x)  # jnp.asarray would copy


def written(out: Array) -> Array:
    return out


def write(x: Array, out: Array) -> Array:  # noqa: ARG001
    raise TypeError("out: expected none, as JAX arrays are immutable, got an array; leave it out and use the result")


def is_tracing() -> bool:
    return not trace_state_clean()


def is_key(x: Array) -> bool:
    """Whether an array is a PRNG key of 64 bits: a typed key, or a raw one, uint32 (2,)."""
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        return bool(x.shape == () and jax.random.key_data(x).shape == (2,))
    return bool(x.shape == (2,) and x.dtype == jnp.uint32)


def arange(n: Dim) -> Array:
    return jnp.arange(n, dtype=jnp.int32)


def full(shape: Sequence[Dim], value: Any, dtype: str) -> Array:
    return jnp.full(tuple(shape), value, dtype)


def broadcast(x: Array, shape: Sequence[Dim]) -> Array:
    return jnp.broadcast_to(x, tuple(shape))


def concat(xs: Sequence[Array], axis: int = 0) -> Array:
    return jnp.concatenate(xs, axis)


def inner(x: Array, y: Array) -> Array:
    return jnp.matmul(x, jnp.swapaxes(y, 1, 2), precision="highest")


def take(x: Array, index: Array, axis: int = 0) -> Array:
    return jnp.take(x, index, axis)


def argsort(x: Array) -> Array:
    return jnp.argsort(x, stable=True).astype(jnp.int32)


def argmax(x: Array) -> Array:
    return jnp.argmax(x, -1)


def take_each(x: Array, index: Array, axis: int) -> Array:
    shape = [length if a in (0, axis) else 1 for a, length in enumerate(x.shape)]
    shape[axis] = index.shape[1]
    return jnp.take_along_axis(x, jnp.reshape(index, shape), axis)


def present(x: Array, count: int) -> Array:
    return jnp.zeros((x.shape[0], count), bool).at[jnp.arange(x.shape[0])[:, None], x].set(True)


def total(x: Array, axes: tuple[int, ...]) -> Array:
    if x.dtype == bool:
        return jnp.sum(x, axes, dtype=jnp.int32).astype(jnp.float32)
    others = tuple(length for axis, length in enumerate(x.shape) if axis not in axes)
    pixels = math.prod(x.shape[axis] for axis in axes)  # -1 fails without rows
    return _pairwise_sum(jnp.reshape(jnp.moveaxis(x, axes, range(-len(axes), 0)), (*others, pixels)))


def _pairwise_sum(x: Array) -> Array:
    """Sum over the last axis pairwise, as float64 may be disabled: the error grows with log2 of the length."""
    while x.shape[-1] > 1:
        half = (x.shape[-1] + 1) // 2
        x = x[..., :half] + jnp.pad(x[..., half:], [(0, 0)] * (x.ndim - 1) + [(0, 2 * half - x.shape[-1])])
    return x[..., 0].astype(jnp.float32)


def highest(x: Array) -> Array:
    return jnp.max(x, -1, keepdims=True)


def summed(x: Array) -> Array:
    return jnp.sum(x, -1)


def ratio(x: Array, y: Array) -> Array:
    """Divide, then correct by a Newton step: XLA's quotient is off by up to 2 ulp on a GPU."""
    return _corrected(x, x / y, y)


def _corrected(x: Array, quotient: Array, y: Array) -> Array:
    """Add the remainder over y to a quotient; the products of 12-bit halves and their differences are exact."""
    (q0, q1), (y0, y1) = _halves(quotient), _halves(y)
    return quotient + (((x - q0 * y0) - q0 * y1) - q1 * y0 - q1 * y1) / y


def _halves(x: Array) -> tuple[Array, Array]:
    """Split a float32 into two floats of 12 bits that sum to it."""
    bits = jax.lax.bitcast_convert_type(x, jnp.int32)
    upper = jax.lax.bitcast_convert_type(bits >> 12 << 12, jnp.float32)
    return upper, x - upper


def add(x: Array, y: Any) -> Array:
    return x + (uint32(y) if isinstance(y, int) else y)


def rotate_left(x: Array, bits: int) -> Array:
    return x << bits | x >> (32 - bits)


def shift_right(x: Array, bits: int) -> Array:
    return x >> bits


def split(number: Array) -> tuple[Array, Array]:
    """Return the two 32-bit halves of a PRNG key, or the low and high 32 bits of a scalar integer."""
    if is_key(number):
        data = jax.random.key_data(number) if number.shape == () else number
        return data[0], data[1]
    if number.dtype.itemsize == 8:
        return (number & _MASK).astype(jnp.uint32), (number >> 32 & _MASK).astype(jnp.uint32)
    return number.astype(jnp.uint32), jnp.where(number < 0, jnp.uint32(_MASK), jnp.uint32(0))


for _tree in TREES:
    jax.tree_util.register_pytree_node(_tree, lambda value: value.flatten()[::-1], _tree.unflatten)
