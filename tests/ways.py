"""Tables of recipes, libraries and sizes for the tests of invariants. Add a row for a new recipe or library."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import torch

import mixaug as ma
from mixaug.core.layout import SPATIAL
from mixaug.core.maps import example
from mixaug.kernels.compiler import MISSING
from mixaug.recipes import GUIDED, RECIPES

NO_KERNELS = f"a test of the kernels themselves: {MISSING}"
of_kernels = pytest.mark.skipif(bool(MISSING), reason=NO_KERNELS)

ALONE = [make() for make in RECIPES]

RECIPE_ROWS = [
    *ALONE,
    ma.MixUp(alpha=0.3, sources=3),
    ma.MixUp(alpha=1.0, sources=5),
    ma.identity(),
    ma.one_of(ma.MixUp(alpha=0.2, sources=4), ma.CutMix(alpha=1.0), weights=(1, 2)),
    ma.one_of(ma.CutMix(), ma.GridMix(cells=3)),
    ma.one_of(ma.MixUp(), ma.SmoothMix(), ma.CutMix()),
    ma.sometimes(0.5, ma.CutMix(alpha=0.5)),
    ma.per_batch(ma.one_of(ma.CutMix(), ma.MixUp())),
    ma.one_of(ma.per_batch(ma.GridMix()), ma.identity()),
    ma.one_of(ma.RICAP(), ma.Cutout(), ma.ResizeMix(), ma.MixUp()),
    ma.one_of(ma.Mosaic(tiles=3), ma.GridMix(), ma.RandomErasing(area=(0.02, 0.9))),
    ma.NWayCutMix(sources=5),
    ma.one_of(ma.Cutout(side=0.6, count=(1, 4)), ma.HMix(), ma.RICAP()),
    ma.one_of(ma.RandomErasing(area=(0.02, 0.5), count=3), ma.SmoothMix()),
]

KEY = (2**65 + 7, -3, 11)
SOFT = ("SmoothMix", "GMix(")  # their masks may differ by 1e-6
GUIDED_ROWS = [
    *(make() for make in GUIDED),
    ma.SaliencyMix(lam=(0.2, 0.9), dominant=True),
    ma.AttentiveCutMix(top=2, cells=3),
    ma.MergeMix(token=2),
    ma.one_of(ma.SaliencyMix(), ma.CutMix(), ma.GridMix(cells=3)),
    ma.per_batch(ma.sometimes(0.9, ma.SaliencyMix())),
    ma.ClassMix(ignore_index=2),
    ma.CopyPaste(part=0.9, scale=(0.3, 2.0)),
    ma.CopyPaste(blend=1.0),
    ma.CopyPaste(part=1.0, scale=(0.3, 1.5), blend=0.7),
    ma.one_of(ma.ClassMix(), ma.CopyPaste(), ma.MixUp()),
]


def guides(recipe: ma.Recipe, n: int, size: tuple[int, ...], seed: int = 0) -> dict[str, np.ndarray]:
    """The guides for a recipe: random maps (the first is zeros), masks of five classes, three objects."""
    made = {need: example(need, n, size, seed) for need in recipe.needs}
    if n and "saliency" in made:
        made["saliency"][0] = 0
    return made


ITEM_ROWS = [recipe for recipe in RECIPE_ROWS if "per_batch" not in repr(recipe)]  # of single samples

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


def tensor(x: np.ndarray, device: str = "cpu") -> torch.Tensor:
    """NumPy to PyTorch, bfloat16 too; a copy, so that nothing is shared with read-only memory."""
    if x.dtype == ml_dtypes.bfloat16:
        return torch.from_numpy(x.view(np.int16).copy()).view(torch.bfloat16).to(device)
    return torch.from_numpy(np.array(x)).to(device)


def torch_eager(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    return function(*map(tensor, arrays))


def torch_compiled(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """In one graph without breaks. Inductor takes long and is tested once for each kind of region."""
    torch._dynamo.reset()
    return torch.compile(function, fullgraph=True, backend="aot_eager")(*map(tensor, arrays))


def torch_traced(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    """In one graph without breaks, run as traced, which takes less time than `torch_compiled`."""
    torch._dynamo.reset()
    return torch.compile(function, fullgraph=True, backend="eager")(*map(tensor, arrays))


def torch_cuda(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    return function(*(tensor(x, "cuda") for x in arrays))


def jax_eager(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    return function(*map(jnp.asarray, arrays))


def jax_jit(function: Callable[..., Any], *arrays: np.ndarray) -> Any:
    return jax.jit(function)(*map(jnp.asarray, arrays))


WAYS = [
    numpy, numpy_read_only, tf_eager, tf_graph, tf_xla, torch_eager, torch_compiled, jax_eager, jax_jit,
    *([torch_cuda] if torch.cuda.is_available() else []),
]  # fmt: skip

COMPILED = (tf_xla, torch_compiled, jax_jit)  # these take seconds each, so they do not run with every size
CASES = [(way, shape) for way in WAYS for shape in (SIZES[:1] if way in COMPILED else SIZES)]
ARRAYS = {"numpy": np.ndarray, "tf": tf.Tensor, "torch": torch.Tensor, "jax": jax.Array}
LIKES = {"numpy": None, "tensorflow": tf.zeros(1), "torch": torch.zeros(1), "jax": jnp.zeros(1)}
MAKE = {"numpy": np.asarray, "tensorflow": tf.constant, "torch": tensor, "jax": jnp.asarray}


def is_soft(recipe: ma.Recipe) -> bool:
    """Whether a recipe has soft masks, which libraries may round differently."""
    return any(name in repr(recipe) for name in SOFT)


def array_of(way: Callable[..., Any]) -> type:
    """The array type that a way returns."""
    return ARRAYS[way.__name__.partition("_")[0]]


def values(x: Any) -> np.ndarray:
    """The values of an array of any library, as NumPy."""
    if isinstance(x, torch.Tensor):
        x = x.detach().cpu()
        return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if x.dtype == torch.bfloat16 else x.numpy()
    return np.asarray(x)


def assert_same(got: Any, want: np.ndarray, array: type, atol: float = 0, device: str | None = None) -> None:
    """Assert equal library, device, dtype and shape, then equal values."""
    assert isinstance(got, array), f"expected {array}, got {type(got)}"
    assert device is None or str(got.device) == device
    found = values(got)
    assert (found.dtype.name, found.shape) == (want.dtype.name, want.shape)
    if atol:
        np.testing.assert_allclose(found.astype(np.float64), want.astype(np.float64), atol=atol, rtol=0)
    else:
        np.testing.assert_array_equal(found, want)


def count(x: Any) -> Any:
    """The number of rows, a tensor if it is unknown."""
    return tf.shape(x)[0] if isinstance(x, tf.Tensor) and x.shape[0] is None else x.shape[0]


def assert_label_is_the_pixels(images: Any, labels: Any, channels: int = -1) -> None:
    """Assert that the visible fraction of each image is its label, for images that were one-hot i."""
    images, labels = np.moveaxis(values(images), channels, -1).astype(np.float64), values(labels)
    if labels.ndim == 1:
        images, labels = images[None], labels[None]
    seen = images.sum(axis=tuple(range(1, images.ndim - 1)))
    some = seen.sum(axis=1) > 0  # a hole may cover the whole image
    np.testing.assert_allclose(seen[some] / seen[some].sum(axis=1, keepdims=True), labels[some], atol=2e-6)


def seen_through(mix: ma.Mix, sources: np.ndarray) -> np.ndarray:
    """What each source shows at each pixel, by definition: (k, n, *size, c) of sources (k, n, *size, c)."""
    out, boxes, source_boxes = sources.copy(), mix.region.box, mix.region.source_box
    for j, i in np.ndindex(sources.shape[:2]):
        if source_boxes[j] is None:
            continue
        box, source_box = values(boxes[j])[i].tolist(), values(source_boxes[j])[i].tolist()
        for pixel in np.ndindex(sources.shape[2:-1]):
            if all(first <= at < last for at, (first, last) in zip(pixel, box, strict=True)):
                off = [(at - box[a][0] + 0.5) * (source_box[a][1] - source_box[a][0]) for a, at in enumerate(pixel)]
                origin = tuple(int(source_box[a][0] + off[a] // (box[a][1] - box[a][0])) for a in range(len(pixel)))
                out[(j, i, *pixel)] = sources[(j, i, *origin)]
    return out


def layout(axes: int, place: str | None = "last") -> str:
    """The layout of images with this number of spatial axes, with channels last, first or None."""
    spatial = SPATIAL[axes]
    return {"last": f"n{spatial}c", "first": f"nc{spatial}", None: f"n{spatial}"}[place]


def layout_of(x: Any, place: str | None = "last") -> str:
    """The layout of images, from the number of their axes."""
    return layout(len(x.shape) - (1 if place is None else 2), place)


def own_class_everywhere(n: int, size: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """Images that show the truth whatever the draw: image i is one-hot i at every pixel. (n, *size, n)"""
    x = np.zeros((n, *size, n), dtype)
    for i in range(n):
        x[i, ..., i] = 1
    return x


def on_two_ranks(method: str, run: Callable[[int, str], None], folder: Path) -> list[Any]:
    """The objects that run(rank, folder) saves to folder/rank.pt in two processes."""
    context = torch.multiprocessing.get_context(method)
    ranks = [context.Process(target=run, args=(rank, str(folder))) for rank in range(2)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
        assert rank.exitcode == 0
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]
