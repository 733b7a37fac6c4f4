"""Fuzzing: random batches in every adapter must equal the definition or raise an error of one sentence.

    python tests/fuzz/fuzz_doors.py --cases 1000 --seed 0          # or: make fuzz FUZZ_ARGS="--cases 1000"
    python tests/fuzz/fuzz_doors.py --case 4711                    # one of them, as a snippet

Case i of a run has the seed `seed + i`, and is the same wherever it runs. What fails is printed as a snippet.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import fuzz_definition as definition
import ml_dtypes
import numpy as np
from fuzz_cases import DOORS, ITEMS, STACKED, Case, Part, draw  # noqa: F401 - what a snippet and tests use
from fuzz_damage import damaged
from fuzz_definition import Nonsense, Seen, of_values

import mixaug as ma

OURS = Path(ma.__file__).parent


# --- what a snippet can name ---


def boxes_of(
    seed: int, n: int, m: int, size: tuple[int, ...], array: Callable[[Any], Any] = np.asarray
) -> dict[str, Any]:
    """Boxes "xyxy" of whole pixels with a label each, some of them empty."""
    rng, (height, width) = np.random.default_rng(seed), size
    top, left = rng.integers(-1, height, (n, m)), rng.integers(-1, width, (n, m))
    bottom, right = top + rng.integers(0, height + 1, (n, m)), left + rng.integers(0, width + 1, (n, m))
    boxes = np.stack([left, top, right, bottom], axis=-1).astype(np.float32)
    return {"boxes": array(boxes), "labels": array(rng.integers(0, 5, (n, m)))}


def points_of(seed: int, n: int, m: int, size: tuple[int, ...]) -> Any:
    """Keypoints in the middle of pixels, x first, with their visibility."""
    rng = np.random.default_rng(seed)
    axes = [rng.integers(0, length, (n, m)) + 0.5 for length in reversed(size)]
    return np.stack([*axes, rng.integers(0, 3, (n, m))], axis=-1).astype(np.float32)


def each(tree: Any, function: Callable[[Any], Any]) -> Any:
    """The function's value of each array of dicts, tuples and lists of arrays; lists of texts are one."""
    if isinstance(tree, Mapping):
        return {name: each(value, function) for name, value in tree.items()}
    if isinstance(tree, (tuple, list)) and not (tree and isinstance(tree[0], str)):
        return type(tree)(each(value, function) for value in tree)
    return function(tree)


def picked(batch: Any, rows: Any) -> Any:
    """Some rows of a batch."""
    return each(
        batch, lambda x: [x[row] for row in rows] if isinstance(x, list) else MAKERS[library_of(x)](values(x)[rows])
    )


class Rows:
    """The samples of a batch, by index."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __len__(self) -> int:
        found: list[int] = []
        each(self.batch, lambda x: found.append(len(x)))
        return found[0]

    def __getitem__(self, row: int) -> Any:
        if row >= len(self):
            raise IndexError(row)
        return each(self.batch, lambda x: x[int(row)])


class Sub(np.ndarray[Any, Any]):
    """A kind of NumPy's arrays."""


def read_only(x: Any) -> Any:
    """The same numbers in memory that cannot be written to."""
    x = np.array(x)
    x.flags.writeable = False
    return x


def swapped_bytes(x: Any) -> Any:
    """The same numbers with their bytes in the other order."""
    return x if x.dtype == ml_dtypes.bfloat16 else x.astype(x.dtype.newbyteorder())


def unaligned(x: Any) -> Any:
    """The same numbers at addresses that are no multiples of their size."""
    memory = np.zeros(x.nbytes + 1, np.uint8)
    out = memory[1:].view(x.dtype).reshape(x.shape)
    out[...] = x
    return out


def with_gradient(x: Any) -> Any:
    """A tensor of PyTorch that needs a gradient, where it can."""
    return x.requires_grad_() if x.is_floating_point() else x


def with_number(x: Any, number: float) -> Any:
    """The array with another number in its middle."""
    if number in (-1, 0.5) or not np.isfinite(number):
        x = x.astype(np.int64) if number == -1 and x.dtype.kind in "bu" else x
    x = x.copy()
    if x.dtype.kind in "iu" and not float(number).is_integer():
        return x
    with np.errstate(all="ignore"):
        x.reshape(-1)[x.size // 2] = np.asarray(number).astype(x.dtype)
    return x


def channels_first(function: Callable[[], Any]) -> Any:
    """The function's value where Keras is configured for channels first."""
    import keras

    keras.config.set_image_data_format("channels_first")
    try:
        return function()
    finally:
        keras.config.set_image_data_format("channels_last")


def values(x: Any) -> Any:
    """An array of any library as NumPy's."""
    module = type(x).__module__.partition(".")[0]
    if module == "torch":
        import torch

        x = x.detach().cpu()
        return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16) if x.dtype == torch.bfloat16 else x.numpy()
    return np.asarray(x)


def _makers() -> dict[str, Callable[[Any], Any]]:
    """What makes arrays of NumPy's in each library, which is imported when it is first used."""

    def tensorflow(x: Any) -> Any:
        import tensorflow

        return tensorflow.constant(x)

    def torch(x: Any) -> Any:
        import torch

        if x.dtype == ml_dtypes.bfloat16:
            return torch.from_numpy(x.view(np.int16).copy()).view(torch.bfloat16)
        return torch.from_numpy(np.array(x))

    def jax(x: Any) -> Any:
        import jax.numpy

        return jax.numpy.asarray(x)

    return {"numpy": np.asarray, "tensorflow": tensorflow, "torch": torch, "jax": jax}


MAKERS = _makers()


class Names(dict[str, Any]):
    """The names of a snippet; frameworks are imported when they are first asked for."""

    def __missing__(self, name: str) -> Any:
        modules = {"tf": "tensorflow", "torch": "torch", "jax": "jax", "grain": "grain"}
        if name not in modules:
            raise KeyError(name)
        __import__(modules[name])
        self[name] = sys.modules[modules[name]]
        return self[name]


def names(library: str) -> Names:
    """What the text of a case may use."""
    return Names(
        np=np, ma=ma, ml_dtypes=ml_dtypes, array=MAKERS[library], boxes_of=boxes_of, points_of=points_of, picked=picked,
        Rows=Rows, MAKERS=MAKERS, Sub=Sub, read_only=read_only, swapped_bytes=swapped_bytes, unaligned=unaligned,
        with_gradient=with_gradient, with_number=with_number, channels_first=channels_first,
    )  # fmt: skip


# --- a case as text ---


def batch_text(case: Case, parts: list[Part]) -> str:
    """The batch of a case."""

    def leaf(part: Part) -> str:
        if part.kind == "boxes" and part.text.startswith("boxes_of"):
            return f"{part.text[:-1]}, array)"
        return part.text if part.is_list or part.whole or case.library == "numpy" else f"array({part.text})"

    def of(depth: int, some: list[Part]) -> str:
        if len(some) == 1 and len(some[0].path) == depth:
            return leaf(some[0])
        groups: dict[Any, list[Part]] = {}
        for part in some:
            groups.setdefault(part.path[depth], []).append(part)
        inner = {name: of(depth + 1, group) for name, group in groups.items()}
        as_dict = case.container in ("dict", "nested") or (depth and isinstance(next(iter(inner)), str))
        if as_dict:
            return "{" + ", ".join(f"{name!r}: {text}" for name, text in inner.items()) + "}"
        if case.container == "list":
            return f"[{', '.join(inner.values())}]"
        return f"({', '.join(inner.values())},)"

    return of(0, parts)


def call_text(case: Case, options: Mapping[str, str]) -> str:
    """The call of a case."""
    if case.door == "tf.mixed_zip":
        options = {name: text for name, text in options.items() if (name, text) != ("bank", "bank")}
    rest = "".join(f", {name}={text}" for name, text in options.items())
    recipe, seed, epoch = case.recipe, case.seed % 7, case.epoch
    key = options.get("key", f"({seed}, {epoch}, 5)")
    keyed = rest if "key" in options else f", key={key}{rest}"
    by_place = "*batch" if case.container in ("tuple", "list") and case.seed % 2 else "batch"
    counts = {
        "batches": f", sample_weight=batch[2]{rest}"
        if len({part.path[0] for part in case.parts if part.path}) > 2
        else rest
    }
    layer = f"ma.keras.MixLayer({recipe}, seed={seed}{rest})(batch)"
    size = case.batch_size or max(1, case.n - 1)
    return {
        "mix_batch": f"ma.mix_batch({recipe}, batch{keyed})",
        "recipe": f"({recipe})({by_place}{keyed})",
        "mixed": f"next(ma.mixed({recipe}, [batch], epoch={epoch}, seed={seed}{rest}))",
        "layer": layer if case.like == "nhwc" else f"channels_first(lambda: {layer})",
        "torch.Mixed": f"ma.torch.Mixed({recipe}, seed={seed}{rest})({by_place}, epoch={epoch})",
        "collate": f"ma.torch.MixingCollate({recipe}, seed={seed}{rest})([*Rows(batch)])",
        "torch.MixedDataset": f"ma.torch.MixedDataset({recipe}, Rows(batch), {seed}{rest})[{case.item}]",
        "loader": f"next(iter(ma.torch.loader({recipe}, Rows(batch), {size}, seed={seed}{rest})))",
        "batches": f"next(ma.batches({recipe}, batch[0], batch[1], {size}, seed={seed}{counts['batches']}))",
        "keras.MixedDataset": f"ma.keras.MixedDataset({recipe}, batch[0], batch[1], {size}, {seed}{rest})[0]",
        "grain": f"ma.grain.mixed({recipe}, grain.MapDataset.source(Rows(batch)), seed={seed}{rest})[{case.item}]",
        "tf.mixed": f"next(iter(tf.data.Dataset.from_tensors(batch).apply(ma.tf.mixed({recipe}, seed={seed}{rest}))))",
        "tf.mixed_zip": f"next(iter(ma.tf.mixed_zip({recipe}, *map(tf.data.Dataset.from_tensors, (batch, bank)), "
        f"seed={seed}, batched=True{rest})))",
        "timm.Mixup": f"ma.timm.Mixup(seed={seed}{rest})(*batch)",
        "timm.FastCollateMixup": f"ma.timm.FastCollateMixup(seed={seed}{rest})([*Rows(batch)])",
        "tf.function": f"tf.function(lambda batch: ma.mix_batch({recipe}, batch{keyed}))(batch)",
        "jax.jit": f"jax.jit(lambda batch: ma.mix_batch({recipe}, batch{keyed}))(batch)",
        "torch.compile": f"torch.compile(lambda batch: ma.mix_batch({recipe}, batch{keyed}), backend='eager')(batch)",
    }[case.door]  # fmt: skip


def lines(case: Case) -> list[str]:
    """The lines that make the batch, and the call."""
    made = [f"batch = {batch_text(case, case.parts)}"]
    if case.bank or case.door == "tf.mixed_zip":
        other = batch_text(case, case.parts).replace("default_rng(", "default_rng(1 + ")
        other = re.sub(r"(boxes|points)_of\(", r"\1_of(1 + ", other)
        made.append(f"bank = picked({other}, list(range({min(case.bank or case.n, case.n)})))")
    return made


def options_of(case: Case) -> dict[str, str]:
    """The options of the call."""
    return {**case.options, "bank": "bank"} if case.bank else dict(case.options)


def snippet(case: Case) -> str:
    """What can be pasted into a file beside this one."""
    imports = {"tf": "import tensorflow as tf\n", **{name: f"import {name}\n" for name in ("torch", "jax", "grain")}}
    call = call_text(case, options_of(case))
    frameworks = [text for name, text in imports.items() if f"{name}." in call.replace(f"ma.{name}.", "")]
    return (
        f"# case {case.seed}: {case.library}, {case.door}{', ' + case.damage if case.damage else ''}\n"
        f"{''.join(frameworks)}import ml_dtypes\nimport numpy as np\n"
        "from fuzz_doors import *  # noqa: F403\n\nimport mixaug as ma\n\n"
        f"array = MAKERS[{case.library!r}]\n"
        + "\n".join(lines(case))
        + f"\nout = {call_text(case, options_of(case))}\n"
    )


# --- what is right ---


def at(tree: Any, path: tuple[Any, ...]) -> Any:
    """The value at a path; elements of tuples have the names of `ma.mix_batch`."""
    for place, name in enumerate(path):
        if not isinstance(tree, Mapping):
            name = {"images": 0, "labels": 1, "sample_weight": 2}.get(name, name) if not place else name
        tree = tree[name]
    return tree


def dtype_of(x: Any) -> str:
    """The name of an array's dtype."""
    return getattr(x.dtype, "name", str(x.dtype).removeprefix("torch."))


def library_of(x: Any) -> str:
    """The library of an array."""
    roots = (cls.__module__.partition(".")[0].removesuffix("lib") for cls in type(x).__mro__)
    return next((root for root in roots if root in MAKERS), type(x).__name__)


EPS = {"float64": 2.0**-50, "float32": 2.0**-22, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def assert_close(got: Any, want: Any, atol: Any, certain: Any = True) -> None:
    """Assert equal shapes and, where it is certain, values."""
    got = got.astype(float)
    assert got.shape == want.shape, f"expected the shape {want.shape}, got {got.shape}"
    wrong = ~((abs(got - want) <= atol) | (got == want) | (np.isnan(got) & np.isnan(want))) & certain
    if wrong.any():
        where = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise AssertionError(
            f"at {where} expected {want[where]!r}, got {got[where]!r}, of {int(wrong.sum())} that differ"
        )


def check_images(part: Part, seen: Seen, source: Any, got: Any) -> None:
    """Assert that images are those of the definition."""
    of_values(source.ndim == len(part.axes), "axes")
    given, said = source.dtype.name, part.options
    made = said.get("dtype") or given
    of_values(given in (*EPS, "uint8") or (given in ("int16", "uint16") and made in EPS and "scale" in said), given)
    fills = (
        (lambda x: np.clip(np.rint(x), *_ends(given)))
        if given not in EPS
        else (lambda x: np.asarray(x, source.dtype).astype(float))
    )
    want, copied, certain = definition.images(seen, source, part.axes, part.spatial, fills)
    if made == "float64" and library_of(got) == "jax":
        made = "float32"  # JAX has no other, unless it is told to
    assert dtype_of(got) == made, f"expected {made}, got {dtype_of(got)}"
    at_channel = [-1 if one == "c" else 1 for one in part.axes]
    scale, offset = (_channels(said.get(name, plain), at_channel) for name, plain in (("scale", 1.0), ("offset", 0.0)))
    size = abs(want * scale) + abs(offset)
    most = largest(source)
    size = size + most * abs(scale)
    plain = made == given and "scale" not in said and "offset" not in said
    want = want * scale + offset
    blend = EPS.get(given if given == "float64" else "float32", 0) * size * 4
    if made == "uint8":
        want, atol = np.clip(want, 0, 255), 0.51 + size * 2.0**-16
        if plain:
            atol = np.where(copied, 0, 0.5 + len(seen.index) * 255 / 2**16)
    else:
        atol = blend + EPS[made] * abs(want) / 2 + (6e-8 if made == "float16" else 0)
        if plain:
            atol = np.where(copied, 0, atol)
    assert_close(values(got), want, atol, certain)


def largest(x: Any) -> float:
    """The largest magnitude of an array's finite numbers."""
    x = x.astype(float)
    return float(np.abs(x[np.isfinite(x)]).max(initial=0))


def _ends(dtype: str) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _channels(numbers: Any, shape: list[int]) -> Any:
    numbers = np.asarray(numbers, np.float32).astype(float)
    return (
        numbers.reshape(shape)
        if numbers.ndim and -1 in shape
        else numbers.reshape(-1)[0]
        if numbers.size == 1
        else numbers
    )


BY_ROW = (*ITEMS, "loader", "batches", "keras.MixedDataset")


def check_part(case: Case, part: Part, seen: Seen, sources: Mapping[Any, Any], got: Any) -> None:
    """Assert that a mixed field is that of the definition."""
    source, said = sources[part.path], part.options
    rows = seen.index[0]
    if part.whole and (isinstance(source, (list, tuple, dict)) or source.dtype.kind in "OSU"):
        return  # a container or a list of things, where an array was
    if case.door in BY_ROW and part.kind in ("labels", "masks") and seen.index.size:  # no other rows are looked at
        source = source.copy()
        source[~np.isin(np.arange(len(source)), seen.index)] = source[seen.index[0, 0]]
    if part.is_list:
        want = (
            [source[row] for row in rows] if part.kind == "keep" else [[source[r] for r in some] for some in seen.index]
        )
        got, lam = (got, None) if part.kind == "keep" else got
        assert got == want, f"expected {want}, got {got}"
        return
    if part.kind == "images":
        check_images(part, seen, source, got)
        return
    if part.kind == "boxes":
        check_boxes(case, seen, source, got)
        return
    if part.kind in ("keep", "per_source") and source.dtype.kind not in "biufV":
        return
    of_values(source.dtype.kind in "biufV", source.dtype)
    kind = source.dtype.name
    if part.kind == "labels":
        classes = said["num_classes"]
        guide = sources.get((*part.path[:-1], "foreground"))
        want = definition.labels(seen, source, classes, said["rule"], said["binary"], guide)
        is_row = source.ndim == 2 and not said["binary"] and not (source.shape[1] == 1 and classes not in (None, 1))
        assert dtype_of(got) == ("float64" if kind == "float64" and is_row else "float32"), dtype_of(got)
        assert_close(values(got), want, 1e-6 if kind != "float16" else 1e-5)
    elif part.kind == "values":
        want = definition.values(seen, source)
        table = part.name.rpartition("/")[2].startswith("sample_weight") and "class_weights" in case.options
        made = kind if "float" in kind else "float32"
        assert dtype_of(got) == made, f"expected {made}, got {dtype_of(got)}"
        if not table:
            assert_close(values(got), want, 4 * EPS[made] * (1 + largest(source)))
    elif part.kind == "keep":
        assert dtype_of(got) == kind, f"expected {kind}, got {dtype_of(got)}"
        np.testing.assert_array_equal(values(got), source[rows])
    elif part.kind == "per_source":
        got, lam = got
        np.testing.assert_array_equal(values(got), source[seen.index])
        np.testing.assert_allclose(values(lam), seen.lam, atol=1e-6)
    elif part.kind == "keypoints":
        check_points(seen, source, values(got))
    elif part.kind == "masks":
        check_masks(case, part, seen, source, got)


def check_masks(case: Case, part: Part, seen: Seen, source: Any, got: Any) -> None:
    """Assert that masks are those of the definition."""
    said = part.options
    if said.get("shares") and source.dtype == bool and source.ndim == len(part.axes) - 1:
        return  # ids 0 and 1
    one_channel = "c" in part.axes and source.ndim == len(part.axes) and source.shape[part.axes.index("c")] == 1
    is_id = source.dtype.kind in "iu" or (source.dtype == bool and one_channel and said["num_classes"] != 1)
    if said.get("shares") and is_id:  # whole numbers and bools are ids, here in an axis of one channel
        said = {**said, "shares": False}
    is_float, has_channel = source.dtype.kind in "fV", source.ndim == len("n" + part.spatial) + 1
    if said["soft"] and said["num_classes"] == 1 and (is_float or (source.dtype == bool and has_channel)):
        said = {**said, "shares": True}  # of one class
        axes = part.axes if "c" in part.axes else part.axes + "c" if case.like == "nhwc" else "nc" + part.axes[1:]
        part = replace(part, axes=axes)
        source = np.expand_dims(source, axes.index("c")) if source.ndim == len(axes) - 1 else source
    where = part.axes.index("c") if "c" in part.axes else 1 if case.like == "nchw" else -1
    if not said.get("shares") and "c" in part.axes and source.ndim == len(part.axes) - 1:
        part = replace(part, axes=part.axes.replace("c", ""))
    elif "c" not in part.axes and source.ndim == len(part.axes) + 1:
        part = replace(part, axes=part.axes + "c" if case.like == "nhwc" else "nc" + part.axes[1:])
    of_values(source.ndim == len(part.axes), "axes")
    if said.get("shares"):
        of_values(source.shape[part.axes.index("c")] == said["num_classes"], "classes")
        want = definition.blended_masks(seen, source, part.axes, part.spatial)
        assert dtype_of(got) == ("float64" if source.dtype.name == "float64" else "float32")
        assert_close(values(got), want, 3e-6 * (1 + largest(source)))
        return
    of_values(source.dtype.kind in "biu", "ids")
    if not said["soft"]:
        assert dtype_of(got) == source.dtype.name, f"expected {source.dtype.name}, got {dtype_of(got)}"
        definition.check_masks(seen, source, part.axes, part.spatial, values(got), said["num_classes"], said["ignore"])
        return
    plain, axes = source, part.axes
    if "c" in axes:
        of_values(source.shape[axes.index("c")] == 1, "channel")
        plain, axes = source.take(0, axes.index("c")), axes.replace("c", "")
    want = definition.soft_masks(seen, plain, axes, part.spatial, said["num_classes"], said["ignore"])
    assert dtype_of(got) == "float32"
    assert_close(np.moveaxis(values(got), where, -1), want, 3e-6)


def check_points(seen: Seen, source: Any, got: Any) -> None:
    """Assert that keypoints are where they were, and hidden where their source is."""
    if any(box is not None for box in seen.source_box):
        return
    of_values(source.ndim in (3, 4) and source.shape[-1] == len(seen.size) + 1, "keypoints")
    (k, n), weights = seen.index.shape, seen.first
    m = int(np.prod(source.shape[1:-1]))
    source, got = source.reshape(len(source), m, -1) if len(source) else source, got.reshape(n, k * m, source.shape[-1])
    assert got.shape == (n, k * m, source.shape[2]), got.shape
    for j, i, p in np.ndindex(k, n, m):
        *point, visible = source[seen.index[j, i], p].tolist()
        pixel = [v if np.isfinite(v) else -1 for v in reversed(point)]
        is_point = visible > 0 and all(0 <= v < length for v, length in zip(pixel, seen.size, strict=True))
        weight = weights[(j, i, *map(int, pixel))] if is_point else 0
        np.testing.assert_array_equal(got[i, j * m + p, :-1], point)
        if not 0 < weight < 1e-5:
            assert got[i, j * m + p, -1] == (visible if weight > 0 else 0)


def check_boxes(case: Case, seen: Seen, source: Any, got: Any) -> None:
    """Assert that boxes are the rectangles around what is seen of them."""
    assert set(got) == {"boxes", "labels", "weight"}, set(got)
    order = [1, 0, 3, 2]
    found = definition.boxes(seen, source["boxes"][..., order], 0.1)
    if found is None:
        return
    want, weight, certain = found
    assert_close(values(got["weight"]), weight, 2e-5, certain)
    assert_close(values(got["boxes"])[..., order], want, 1e-4, certain[..., None])
    labels = np.concatenate([source["labels"][rows] for rows in seen.index], axis=1)
    assert_close(values(got["labels"]), np.where(weight > 0, labels, -1), 0, certain)


def check_form(case: Case, batch: Any, out: Any, kinds: Mapping[Any, Part], path: tuple[Any, ...] = ()) -> None:
    """Assert that containers are unchanged, and that arrays belong to the same library."""
    if path in kinds:
        is_odd = isinstance(batch, list) or (isinstance(batch, np.ndarray) and batch.dtype.kind in "OSU")
        if kinds[path].is_list or is_odd:
            return
        found: list[Any] = []
        each(out, found.append)
        want = (
            "torch"
            if case.door in STACKED
            else "tensorflow"
            if case.door == "layer" and case.library == "numpy"
            else case.library
        )
        for x in found:
            assert library_of(x) == want, f"{path}: expected an array of {want}, got {type(x)}"
        return
    is_list = case.door in STACKED and isinstance(batch, tuple) and not case.door.startswith("timm.")
    wanted: type = list if is_list else type(batch)
    by_place = case.door == "recipe" and case.seed % 2
    by_place = by_place or (case.door == "torch.Mixed" and case.seed % 2)
    if not path and wanted is list and (by_place or case.door in ("batches", "keras.MixedDataset")):
        wanted = tuple
    assert type(out) is wanted, f"{path}: expected a {wanted.__name__}, got {type(out).__name__}"
    names_of = list(batch) if isinstance(batch, Mapping) else range(len(batch))
    gained = "class_weights" in case.options and not path and not _has_weights(kinds)
    assert len(out) == len(batch) + gained, f"{path}: expected {len(batch)} parts, got {len(out)}"
    for place, name in enumerate(names_of):
        label = name
        if not isinstance(batch, Mapping) and not path and len(batch) <= 3:
            label = ("images", "labels", "sample_weight")[place]
        check_form(case, batch[name], out[name], kinds, (*path, label))


def _has_weights(kinds: Mapping[Any, Part]) -> bool:
    return any(
        part.kind == "values" and str(path[-1]).startswith("sample_weight") for path, part in kinds.items() if path
    )


def split(case: Case, batch: Any, out: Any) -> tuple[Any, Any]:
    """The batch and the mix of what comes with `return_mix=True`."""
    if isinstance(batch, Mapping):
        return {name: value for name, value in out.items() if name != "mix"}, out["mix"]
    if isinstance(batch, (tuple, list)):
        return out[:-1], out[-1]
    return out


def verify(case: Case, batch: Any, bank: Any, out: Any, mix: Any) -> None:
    """Assert that the result is right; raise Nonsense if no result can be."""
    kinds = {part.path: part for part in case.parts}
    check_form(case, batch, out, kinds)
    seen = Seen.of(mix, values)
    seen.check()
    if case.seed % 3 == 0:
        check_one_hot(seen, mix)
    sources = {part.path: as_numpy(at(batch, part.path)) for part in case.parts}
    by_rows = case.door in (*STACKED, "grain")
    if by_rows:  # samples are as many as the first field has
        count = len([*Rows(batch)]) if "ollate" in case.door else len(Rows(batch))  # up to the first that is missing
        sources = {path: each(x, lambda one: stacked(one, count)) for path, x in sources.items()}
    if bank is not None:
        sources = {path: both(x, as_numpy(at(bank, path))) for path, x in sources.items()}
    odd = {part.path for part in case.parts if part.whole and not getattr(sources[part.path], "shape", ())}
    lengths = {len(one) for path, x in sources.items() if path not in odd
               for one in (x.values() if isinstance(x, dict) else [x])}  # fmt: skip
    of_values(len(lengths) == 1 or by_rows, "different numbers of rows")  # a dataset gives what it is asked for
    assert seen.index.min(initial=0) >= 0
    of_values(seen.index.max(initial=-1) < min(lengths), "rows that are not there")
    if case.door in ITEMS:
        out = each(out, lambda x: [x] if isinstance(x, str) else x[None])
        assert seen.index[0].tolist() == [case.item], "the base sample is not the item"
    for part in case.parts:
        got = at(out, part.path)
        try:
            check_part(case, part, seen, sources, got)
        except AssertionError as error:
            raise AssertionError(f"{part.name or 'the batch'} ({part.kind}): {error}") from None
    check_weights(case, seen, sources, out)


def check_one_hot(seen: Seen, mix: Any) -> None:
    """Assert that the mean over the pixels of each output is its label, where the pixels of image i are one-hot i."""
    letters = {0: "", 1: "t", 2: "hw", 3: "dhw"}[len(seen.size)]
    fill = mix.region.fill
    if not seen.index.size or (fill is not None and len(fill.shape) == 2 + len(seen.size)):  # a number for each channel
        return
    make, count = MAKERS[library_of(mix.index)], int(seen.index.max()) + 1
    ids = np.arange(count)
    one_hot = np.eye(count, dtype=np.float32).reshape(count, *[1] * len(letters), count)
    size = mix.source_size or seen.size
    pixels = np.broadcast_to(one_hot, (count, *(size if letters else ()), count)).copy()
    own = seen.index[0]
    out = values(mix.images(make(pixels[own]), f"n{letters}c", source=make(pixels)))
    labels = values(mix.labels(make(ids[own]), count, source=make(ids)))
    is_seen = ~seen.covered[..., None] if letters else np.ones((len(own), 1), bool)
    axes = tuple(range(1, out.ndim - 1))
    shown = is_seen.sum(axis=axes)
    mean = (out * is_seen).sum(axis=axes) / np.maximum(shown, 1)
    np.testing.assert_allclose(mean, np.where(shown > 0, labels, mean), atol=1e-5, err_msg="one-hot images")


def check_weights(case: Case, seen: Seen, sources: Mapping[Any, Any], out: Any) -> None:
    """Assert that sample weights are multiplied by the weights of the classes."""
    if "class_weights" not in case.options:
        return
    part = next(part for kind in ("labels", "per_source") for part in case.parts if part.kind == kind)
    table = eval(case.options["class_weights"], {"np": np})  # noqa: S307 - of our own making
    table = table.get(part.name, table) if isinstance(table, dict) else table
    table = np.array([table[i] for i in range(len(table))], float)
    said = part.options if part.kind == "labels" else {"num_classes": len(table), "binary": False}
    source = sources[part.path].copy()
    if len(source) and seen.index.size:  # no other rows are looked at
        source[~np.isin(np.arange(len(source)), seen.index)] = source[seen.index[0, 0]]
    rows = definition.labels(seen, source, said["num_classes"], "area", said["binary"], None)
    want = table[0] + (table[1] - table[0]) * rows[:, 0] if said["binary"] else rows @ table
    weights = [one for one in case.parts if one.kind == "values" and str(one.path[-1]).startswith("sample_weight")]
    if weights:
        before = definition.values(seen, sources[weights[0].path])
        got, want = at(out, weights[0].path), want.reshape(-1, *[1] * (before.ndim - 1)) * before
    else:
        got = out["sample_weight"] if isinstance(out, Mapping) else out[-1]
    assert_close(values(got), want, 1e-5)


def as_numpy(x: Any) -> Any:
    """A field in NumPy, in its own form."""
    return each(x, lambda one: one if isinstance(one, list) else values(one))


def stacked(x: Any, count: int) -> Any:
    """Return the first rows of a field as the samples of a dataset are stacked.

    A row of an object array of one axis is a Python number, which becomes a number again; other rows stay arrays.
    """
    if not getattr(x, "shape", ()):
        return x
    return np.array(x[:count].tolist()) if x.dtype == object and x.ndim == 1 else x[:count]


def both(x: Any, y: Any) -> Any:
    """Two fields, one after the other."""
    if isinstance(x, dict):
        return {name: both(value, y[name]) for name, value in x.items()}
    return x + y if isinstance(x, list) else np.concatenate([x, y])


# --- errors ---

#: Expected, got, way out; if the error lists the expected values, they are the way out.
SENTENCE = re.compile(r"[^\n]*expected [^\n]*, got [^\n]*; [^\n]*")
VALUES = re.compile(
    r"[^\n]*expected (a finite number|a whole number|an integer in|one of|True or False|a number in|\d+ weights)"
    r"[^\n]*, got [^\n]*"
)


def check_refusal(case: Case, error: BaseException) -> str:
    """The error of a case; an AssertionError if it is not a good error."""
    text = str(error)
    if type(error).__module__.startswith("tensorflow"):  # from the host, while a dataset runs
        found = re.search(r"(TypeError|ValueError): ([^\n]*)", text)
        assert found, f"an error of TensorFlow: {text[:300]}"
        return found[2]
    assert isinstance(error, (TypeError, ValueError)), f"{type(error).__name__} in place of a ValueError: {text[:300]}"
    if type(error).__module__ == "builtins" and (
        found := re.search(r"Exception encountered when calling .*\n\n.*?([^\n]*expected[^\n]*)", text, re.S)
    ):
        text = found[1].replace("\x1b[1m", "").replace("\x1b[0m", "")  # Keras frames what its layers raise
    where = innermost(error)
    assert OURS in where.parents or case.door in ("layer", "tf.function", "tf.mixed", "tf.mixed_zip"), (
        f"raised in {where}: {type(error).__name__}: {text[:300]}"
    )
    assert "\n" not in text.strip(), f"more than a line: {text[:300]}"
    return text


def is_users(case: Case, error: BaseException) -> bool:
    """Whether what is wrong shows in the user's own dataset or collate function, or before Keras calls a layer."""
    where = innermost(error)
    by_items = case.door in (*STACKED, "grain") and OURS not in where.parents
    by_items = by_items or (case.door.startswith("tf.mixed") and not any(OURS in path.parents for path in files(error)))
    return by_items or where == Path(__file__).resolve() or "In a nested call() argument" in str(error)


def innermost(error: BaseException) -> Path:
    """The file that an error was raised in."""
    return files(error)[-1]


def files(error: BaseException) -> list[Path]:
    """The files of the frames that an error came through, the innermost last."""
    return [Path(frame.filename).resolve() for frame in traceback.extract_tb(error.__traceback__)]


def pattern(sentence: str) -> str:
    """An error without numbers and names, to group errors of the same kind."""
    text = re.sub(r"^[^:]*: (?=expected)", "_: ", sentence)
    text = re.sub(r"options (among|of) .*?, got", r"options \1 _, got", text)
    text = re.sub(r", got .*; ", ", got _; ", text) if "; " in text else re.sub(r", got .*", ", got _", text)
    text = re.sub(r"\bfor .*?, which", "for _, which", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "'_'", text)
    text = re.sub(r"('_', )+'_'", "'_'", text)
    text = re.sub(r"\([\d, None?]*\)|\[[-\d., ]*\]", "(_)", text)
    text = re.sub(r"-?\b\d[\d.e+-]*\b|\bnan\b|\binf\b", "#", text)
    return re.sub(r"\b(u?int#|b?float#|bfloat#|[bu]?int\d+|b?float\d+|bool)\b", "dtype", text)


# --- a run ---


class Result(NamedTuple):
    """The result of a case: "right", "refused", "void" (no batch) or "wrong"."""

    how: str
    text: str = ""


def run(case: Case) -> Result:
    """Run a case and check its result."""
    space = names(case.library)
    try:
        exec("\n".join(lines(case)), space)  # noqa: S102 - of our own making
    except Exception as error:
        return Result("void" if case.damage else "wrong", f"no batch: {type(error).__name__}: {error}")
    batch, bank = space["batch"], space.get("bank")
    before = _frozen(batch)
    if "Fast" in case.door:
        import conftest  # noqa: F401 - lets torchvision load, which timm imports
    call = call_text(case, options_of(case))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", ma.MixedLabelsWarning)
            for text in (
                "The given NumPy array is not writable",
                "invalid value encountered",
                "mixaug: compiling kernels",
                "overflow encountered",
                "Explicitly requested dtype",
                ".*epoch.*ended",
            ):
                warnings.filterwarnings("ignore", message=text)
            try:
                out = eval(call, space)  # noqa: S307
            except Exception as error:
                if case.damage and is_users(case, error):
                    return Result("void", "rows of what has none")
                sentence = check_refusal(case, error)
                if not case.damage and not any(re.search(one, sentence) for one in case.may_refuse):
                    raise AssertionError(f"refused: {type(error).__name__}: {sentence}") from error
                assert SENTENCE.fullmatch(sentence) or VALUES.fullmatch(sentence), f"no sentence: {sentence}"
                return Result("refused", sentence)
            if not case.is_verified:
                pass
            elif case.options.get("return_mix") != "True":
                both = eval(call_text(case, {**options_of(case), "return_mix": "True"}), space)  # noqa: S307
                again, mix = split(case, batch, both)
                _assert_equal(out, again)
            else:
                out, mix = split(case, batch, out)
        assert _frozen(batch) == before, "the batch was written to"
        if case.is_verified:
            try:
                with np.errstate(all="ignore"):
                    verify(case, batch, bank, out, mix)
            except Nonsense as why:
                raise AssertionError(f"taken, though there is no right answer: {why}") from None
    except Exception as error:
        if not isinstance(error, AssertionError):
            error.__cause__ = error
        return Result("wrong", f"{error}\n{_trace(error)}")
    return Result("right")


def _trace(error: BaseException) -> str:
    cause = error.__cause__
    return "" if cause is None else "".join(traceback.format_exception(cause)[-6:])


def _frozen(batch: Any) -> list[bytes]:
    found: list[bytes] = []

    def add(x: Any) -> None:
        try:
            found.append(
                repr(x).encode()
                if isinstance(x, list) or not hasattr(x, "dtype") or np.asarray(values(x)).dtype == object
                else np.asarray(values(x)).tobytes()
            )
        except Exception:
            found.append(b"")

    each(batch, add)
    return found


def _assert_equal(one: Any, other: Any) -> None:
    a, b = [], []
    each(one, a.append)
    each(other, b.append)
    assert len(a) == len(b), "return_mix changes the result"
    for x, y in zip(a, b, strict=True):
        if isinstance(x, list) or values(x).dtype.kind in "SU":
            same = np.array_equal(x, y)
        else:
            x, y = values(x), values(y)
            is_number = x.dtype.kind in "biuf" or x.dtype.name in EPS
            same = np.array_equal(x.astype(float), y.astype(float), equal_nan=True) if is_number else (x == y).all()
        assert same, "two calls with one key differ"


def case_of(seed: int, libraries: Any = (), doors: Any = ()) -> Case:
    """The case of a seed; three of ten are damaged."""
    return damaged(draw(seed, libraries, doors))


def raised(wrong: Callable[[], Any]) -> str:
    """The regular expression of an error."""
    try:
        wrong()
    except (TypeError, ValueError) as error:
        return pattern(str(error))
    return ""


def _too_long(*_: Any) -> None:
    raise AssertionError("a case that does not end")


def main() -> None:
    """Run cases and report the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, help="run this case alone and print it")
    parser.add_argument("--library", action="append", default=[])
    parser.add_argument("--door", action="append", default=[])
    parser.add_argument("--limit", type=int, default=180, help="seconds that a case may take, compiling too")
    parser.add_argument("--fail", type=int, default=20, help="stop after so many that are wrong")
    asked = parser.parse_args()
    seeds = [asked.case] if asked.case is not None else range(asked.seed, asked.seed + asked.cases)
    counts: Counter[str] = Counter()
    sentences: dict[str, tuple[int, str]] = {}
    slow: Counter[str] = Counter()
    voids: Counter[str] = Counter()
    begun = time.time()
    signal.signal(signal.SIGALRM, _too_long)
    for seed in seeds:
        case = case_of(seed, asked.library, asked.door)
        if asked.case is not None:
            print(snippet(case))
        start = time.time()
        signal.alarm(asked.limit)
        result = run(case)
        signal.alarm(0)
        slow[f"{case.library} {case.door}"] += time.time() - start
        counts[result.how] += 1
        counts[f"{case.library} {case.door}"] += 1
        if result.how == "refused":
            sentences.setdefault(pattern(result.text), (seed, result.text))
        if result.how == "void":
            voids[result.text[:80]] += 1
        if result.how == "wrong":
            print(f"\n{'-' * 80}\n{snippet(case)}# {result.text}\n", flush=True)
            if counts["wrong"] >= asked.fail:
                break
        if sum(counts[how] for how in ("right", "refused", "void", "wrong")) % 5000 == 0:
            print(seed, dict(counts), f"{time.time() - begun:.0f} s", flush=True)
    print(f"\n{dict(counts)} in {time.time() - begun:.0f} s\n{len(sentences)} sentences:")
    from fuzz_sentences import ROWS

    known = {raised(wrong) for _, wrong, _ in ROWS}
    for text, (seed, example) in sorted(sentences.items()):
        print(f"  {seed}: {example}{'' if text in known else '   (not in fuzz_sentences.py)'}")
    print({name: f"{seconds:.1f} s" for name, seconds in slow.most_common(12)})
    print(voids.most_common(10))
    sys.exit(bool(counts["wrong"]))


if __name__ == "__main__":
    sys.modules["fuzz_doors"] = sys.modules["__main__"]
    main()
