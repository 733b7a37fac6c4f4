"""Run a mixing function on NumPy arrays inside a pipeline."""

from __future__ import annotations

from functools import partial
from typing import Any

import tensorflow as tf

from ..batch import Batch, with_mix, without_mix
from ..core import keys
from ..fields import tree
from ..mix import Mix, in_form_of
from .passes import MixFunction, no_autograph

_FLOATS = (tf.float16, tf.float32, tf.float64)


def on_host(function: MixFunction, spec: Any, host_function: MixFunction | None = None) -> MixFunction:
    """Wrap a function so that it runs on NumPy arrays, as one operation; unchanged if NumPy lacks a dtype.

    Args:
        function: a function of a key and (position, element).
        spec: the element spec of the dataset.
        host_function: the same function for NumPy arrays, by default `function`.
    """
    if not all(map(_is_numeric, tf.nest.flatten(spec))):
        return function
    outputs = _traced_outputs(function, spec)
    call = partial(_call, host_function or function, spec, outputs)
    specs = tf.nest.flatten(outputs)

    def mapped(key: keys.Key, numbered: tuple[Any, Batch]) -> Batch:
        position, element = numbered
        inputs = [key.low, key.high, key.epoch, position, *tf.nest.flatten(element)]
        flat = tf.numpy_function(call, inputs, [output.dtype for output in specs], stateful=False)
        for x, output in zip(flat, specs, strict=True):
            x.set_shape(output.shape)
        return tf.nest.pack_sequence_as(outputs, flat)

    return mapped


def _traced_outputs(function: MixFunction, spec: Any) -> Batch:
    """Trace the function to know the structure, the dtypes and the static shapes of its outputs."""

    def traced(low: tf.Tensor, high: tf.Tensor, epoch: tf.Tensor, position: tf.Tensor, element: Batch) -> Batch:
        return function(keys.Key(low, high, epoch), (position, element))

    scalars = [tf.TensorSpec([], dtype) for dtype in (tf.uint32, tf.uint32, tf.int64, tf.int64)]
    return tf.function(no_autograph(traced)).get_concrete_function(*scalars, spec).structured_outputs


def _call(
    function: MixFunction, spec: Any, outputs: Batch, low: Any, high: Any, epoch: Any, position: Any, *arrays: Any
) -> list[Any]:
    """Call a function on NumPy arrays and return the flat outputs."""
    key = keys.Key(int(low), int(high), int(epoch))
    mixed = function(key, (int(position), tf.nest.pack_sequence_as(spec, arrays)))
    flat: list[Any] = tf.nest.flatten(_with_traced_form(mixed, outputs))
    return flat


def _with_traced_form(mixed: Batch, outputs: Batch) -> Batch:
    """Give the mix of a NumPy batch, if it has one, the arrays that the traced mix has."""
    if not any(isinstance(x, Mix) for x in tree.leaves(outputs).values()):
        return mixed
    _, traced_mix = without_mix(outputs, outputs)
    batch, mix = without_mix(mixed, mixed)
    return with_mix(batch, in_form_of(mix, traced_mix))


def _is_numeric(spec: Any) -> bool:
    return isinstance(spec, tf.TensorSpec) and (spec.dtype.is_integer or spec.dtype.is_bool or spec.dtype in _FLOATS)
