"""The recipes, libraries and sizes of the laws' table. A new recipe or library is a row here."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

import mixaug as ma
from mixaug.recipes import RECIPES

ALONE = [make() for make in RECIPES]

RECIPE_ROWS = [
    *ALONE,
    ma.MixUp(alpha=0.3, parents=3),
    ma.MixUp(alpha=1.0, parents=5),
    ma.identity(),
    ma.one_of(ma.MixUp(alpha=0.2, parents=4), ma.CutMix(alpha=1.0), weights=(1, 2)),
    ma.one_of(ma.CutMix(), ma.GridMix(cells=3)),
    ma.one_of(ma.MixUp(), ma.SmoothMix(), ma.CutMix()),
    ma.sometimes(0.5, ma.CutMix(alpha=0.5)),
    ma.per_batch(ma.one_of(ma.CutMix(), ma.MixUp())),
    ma.one_of(ma.per_batch(ma.GridMix()), ma.identity()),
]

SIZES: list[tuple[int, tuple[int, ...]]] = [(5, (9, 7)), (1, (1, 1)), (2, (13,)), (4, (3, 5, 2))]


def _read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def _unknown_n(x: np.ndarray) -> tf.TensorSpec:
    return tf.TensorSpec([None, *x.shape[1:]], x.dtype)


def numpy(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    return function(*arrays)


def numpy_read_only(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    return function(*map(_read_only, arrays))


def tf_eager(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    return function(*map(tf.constant, arrays))


def tf_graph(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """In a graph that knows neither the batch size nor the values."""
    return tf.function(function, input_signature=[_unknown_n(x) for x in arrays])(*map(tf.constant, arrays))


def tf_xla(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    return tf.function(function, jit_compile=True)(*map(tf.constant, arrays))


WAYS = [numpy, numpy_read_only, tf_eager, tf_graph, tf_xla]


def count(x: Any) -> Any:
    """The number of rows, a tensor where it is unknown."""
    return x.shape[0] if isinstance(x, np.ndarray) or x.shape[0] is not None else tf.shape(x)[0]


def own_class_everywhere(n: int, size: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """Images that show the truth whatever the draw: image i is one-hot i at every pixel. (n, *size, n)"""
    x = np.zeros((n, *size, n), dtype)
    for i in range(n):
        x[i, ..., i] = 1
    return x
