"""The kernels on the host, as invariants: what they make, where they are used, whose memory they write to."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import torch

import mixaug as ma
import ways
from mixaug import backends
from mixaug import kernels as engines
from mixaug.backends import numpy as host
from mixaug.core import keys
from mixaug.core.rows import Rows
from mixaug.core.units import Target, Units
from mixaug.epoch import Permutation
from mixaug.kernels import pool as memory
from mixaug.kernels.forms import State
from mixaug.kernels.plan import BAND, STREAM

classes, tiles = (backends.kernels(f"mixaug.kernels.{name}") for name in ("classes", "tiles"))

MAKE = State._fields.index("make")
N = 7
SIZES = [(37,), (13, 11), (3, 5, 4)]
SCALE, OFFSET = np.float32([0.25, 0.5, 2.0]), np.float32([-3.0, 0.0, 1.0])
UNITS = {"dtype": "float32", "scale": SCALE, "offset": OFFSET}

CUT = [ma.CutMix(), ma.NWayCutMix(sources=5), ma.identity()]
BLENDED = [*(ma.MixUp(sources=k) for k in (2, 3, 4, 5, 6)), ma.HMix(), ma.one_of(ma.MixUp(), ma.CutMix())]
MOVED = [ma.Mosaic(), ma.RICAP(), ma.ResizeMix(), ma.one_of(ma.MixUp(), ma.Mosaic(), ma.ResizeMix())]
COVERED = [ma.Cutout(fill=7), ma.Cutout(fill=300.4), ma.RandomErasing(noise=40, fill=100)]
MASKED = [ma.FMix(), ma.GridMix(), ma.SmoothMix(), ma.one_of(ma.MixUp(), ma.SmoothMix(), ma.CutMix())]
JOINED = [ma.one_of(ma.FMix(), ma.ResizeMix(), ma.Cutout(fill=7)), ma.one_of(ma.GridMix(), ma.RandomErasing(noise=40)),
          ma.one_of(ma.SmoothMix(), ma.Mosaic(), ma.RandomErasing(noise=40, fill=100)),
          ma.one_of(ma.SmoothMix(), ma.RICAP(), ma.Cutout(fill=300.4))]  # fmt: skip
RECIPES = [*CUT, *BLENDED, *MOVED, *COVERED, *MASKED, *JOINED]
FEW = [ma.CutMix(), ma.MixUp(sources=3), ma.HMix(), ma.Cutout(fill=7)]

MAIN = [("uint8", "uint8", False), ("uint8", "float32", True), ("float32", "float32", False)]
PAIRS = [
    ("uint8", "bfloat16", True), ("float32", "uint8", True), ("float16", "float16", False),
    ("float64", "float64", False), ("bfloat16", "bfloat16", True), ("uint8", "float16", True),
    ("float64", "float32", True),
]  # fmt: skip
ROUNDED = {"float16": 2.0**-11, "bfloat16": 2.0**-8}  # the largest rounding error of each dtype


def pixels(size, dtype="uint8", n=N):
    """(n, *size, 3), values from 0 to 255, fractional if the dtype is floating point."""
    x = np.random.default_rng(len(size)).random((n, *size, 3)) * 255
    return (np.rint(x) if dtype == "uint8" else x).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def drawn(recipe=ma.MixUp(), size=(8, 8), n=N, step=1, like=None):  # noqa: B008 - a frozen value
    mix = recipe.draw(n, size, key=(0, step))
    return mix if like is None else mix.to(backends.of(like))


def put(x, place):
    """Images in the given layout; only the first channel if the layout has no channel axis."""
    return {"last": x, "first": np.ascontiguousarray(np.moveaxis(x, -1, 1)), None: np.ascontiguousarray(x[..., 0])}[
        place
    ]


def units(pair, place="last"):
    """The options for a pair of dtypes, for images with or without channels."""
    per = slice(None) if place else 0
    return {"dtype": pair[1]} | ({"scale": SCALE[per], "offset": OFFSET[per]} if pair[2] else {})


def defined(mix, x, pair):
    """The mixed images in float64 before rounding, computed from the pixel weights in NumPy; channels last."""
    weight = mix.pixel_weights().astype(np.float64)[..., None]
    seen = ways.seen_through(mix, x[mix.index]).astype(np.float64)
    hole = ~weight.any(axis=0)
    if pair == ("uint8", "uint8", False):
        whole = np.rint(weight * 65536)
        whole[0] = np.where(hole, 0, 65536 - whole[1:].sum(axis=0))
        made = ((whole * seen).sum(axis=0) + 32768) // 65536
    else:
        made = (weight * seen).sum(axis=0)
    fill = mix.region.fill
    if fill is not None:
        fill = fill.reshape(*fill.shape, *[1] * (made.ndim - fill.ndim))
        fill = np.rint(np.clip(fill, 0, 255)) if pair[0] == "uint8" else fill.astype(x.dtype).astype(np.float64)
        made = np.where(hole, fill, made)
    return made * SCALE.astype(np.float64) + OFFSET if pair[2] else made


def assert_rounded_once(got, want, pair):
    """Whether images are correctly rounded, up to the errors of float32 (float64) at 255 or 511."""
    assert (got.dtype.name, got.shape) == (pair[1], want.shape)
    noise = 0 if pair[:2] == ("uint8", "uint8") else 1e-12 if pair[0] == "float64" else 1e-6 * (511 if pair[2] else 255)
    if pair[1] == "uint8":
        want, away = np.clip(want, 0, 255), 0 if pair[0] == "uint8" else 0.5
    else:
        away = (2.0**-24 if pair[:2] == ("float64", "float32") else ROUNDED.get(pair[1], 0)) * np.abs(want)
    error = np.abs(got.astype(np.float64) - want) - away
    assert error.size == 0 or error.max() <= noise, f"{error.max()} beyond the rounding, at {error.argmax()}"


@pytest.fixture
def generic(monkeypatch):
    """The result of a function without kernels, computed by the array library."""

    def run(function, *args, **options):
        with monkeypatch.context() as patch:
            patch.setattr(engines, "images", lambda *_: None)
            patch.setattr(engines, "labels", lambda *_: None)
            return function(*args, **options)

    return run


@pytest.fixture
def ran(monkeypatch):
    """The kernels that have been called, in order: "paste", "dense" or "labels"."""
    if tiles is None:
        pytest.skip(ways.NO_KERNELS)
    names = []

    def mix(*given, real=tiles.mix):
        names.append("paste" if given[0][MAKE] == tiles.paste.address else "dense")
        return real(*given)

    monkeypatch.setattr(tiles, "mix", mix)
    monkeypatch.setattr(classes, "labels", lambda *given, real=classes.labels: names.append("labels") or real(*given))
    return names


# --- results ---


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_images_equal_the_definition(recipe, size, ran):
    mix = drawn(recipe, size, step=3)
    for pair in MAIN:
        x = pixels(size, pair[0])
        want = defined(mix, x, pair)
        for place in ("last", "first", None):
            given = put(x, place)
            before = given.copy()
            assert_rounded_once(
                mix.images(given, ways.layout(len(size), place), **units(pair, place)), put(want, place), pair
            )
            np.testing.assert_array_equal(given, before)
    assert len(ran) == 3 * len(MAIN)


@pytest.mark.parametrize("form", ["paste", "dense"])
def test_the_base_sample_has_the_remaining_weight(form, generic, ran):
    size, mix = (64, 64), drawn(ma.MixUp(sources=5), (64, 64))
    lam = np.random.default_rng(0).dirichlet(np.ones(5), N).T.astype(np.float32, order="C")  # not multiples of 2^-16
    weight = np.ascontiguousarray(np.broadcast_to(lam[:, :, None, None], (5, N, *size)))
    region = ma.Paste(lam, (None,) * 5) if form == "paste" else ma.Dense(weight)
    by_hand, x = ma.Mix(mix.index, lam, region, size), pixels(size)
    assert_rounded_once(by_hand.images(x), defined(by_hand, x, MAIN[0]), MAIN[0])
    assert ran == [form]
    np.testing.assert_array_equal(generic(by_hand.images, x), by_hand.images(x))


@pytest.mark.parametrize("make", ways.MAKE.values(), ids=ways.MAKE)
def test_a_half_of_uint8_is_rounded_up(make, generic):
    x = np.repeat(np.uint8([0, 1, 0, 255, 254, 255]).reshape(3, 2, 1, 1), 64, axis=3).transpose(1, 2, 3, 0).copy()
    mix, given = ma.MixUp(lam=0.5).draw(2, (1, 64), key=(0, 0)), make(x)
    for images in (mix.images(given, "nhwc"), generic(mix.images, given, "nhwc")):
        np.testing.assert_array_equal(ways.values(images), np.broadcast_to(np.uint8([1, 128, 255]), x.shape))


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_each_pair_of_dtypes_is_rounded_once(pair, ran):
    x = pixels((9, 7), pair[0])
    covered = (ma.RandomErasing(noise=40), ma.Cutout(fill=257))  # 257 is halfway between two bfloat16 numbers
    recipes = (*FEW, ma.MixUp(sources=4), *covered, ma.SmoothMix(), *JOINED)
    for recipe in recipes:
        mix = drawn(recipe, (9, 7), step=4)
        want = defined(mix, x, pair)
        for place in ("last", "first"):
            assert_rounded_once(mix.images(put(x, place), ways.layout(2, place), **units(pair)), put(want, place), pair)
    assert ran == ["paste"] * 14 + ["dense"] * (2 + 2 * len(JOINED))


@pytest.mark.parametrize(("pair", "recipes"), [
    (MAIN[1], [ma.CutMix(), ma.MixUp(), ma.MixUp(sources=4), ma.HMix(), ma.Cutout(fill=7)]),
    (MAIN[2], [ma.MixUp(sources=3), ma.CutMix()]),
], ids=["uint8 to float32", "float32"])  # fmt: skip
def test_large_outputs_are_those_of_the_definition(pair, recipes):
    x = pixels((225, 223), pair[0], n=16)  # rows that no tile holds and that begin within a line; past the caches
    assert x[0].size > BAND
    assert x.size * 4 > STREAM
    for recipe in recipes:
        mix = drawn(recipe, (225, 223), n=16)
        want = defined(mix, x, pair)
        for place in ("last", "first"):
            assert_rounded_once(mix.images(put(x, place), ways.layout(2, place), **units(pair)), put(want, place), pair)


@pytest.mark.parametrize("recipe", [ma.Mosaic(), ma.ResizeMix(), ma.RandomErasing(noise=40), *JOINED], ids=repr)
def test_large_outputs_of_other_regions_equal_the_library(recipe, generic):
    x, mix = pixels((225, 223), n=16), drawn(recipe, (225, 223), n=16)
    for place in ("last", "first"):
        given = put(x, place)
        np.testing.assert_array_equal(
            mix.images(given, ways.layout(2, place), **UNITS),
            generic(mix.images, given, ways.layout(2, place), **UNITS),
        )


@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.HMix(), ma.Cutout(fill=7), ma.GridMix()], ids=repr)
def test_images_of_another_size_than_the_mix(recipe, generic, ran):
    mix = drawn(recipe, (8, 12))
    for size in ((16, 24), (5, 7), (1, 1), (8, 13)):
        np.testing.assert_array_equal(mix.images(pixels(size)), generic(mix.images, pixels(size)))
    assert len(ran) == 4


@pytest.mark.parametrize("make", ways.MAKE.values(), ids=ways.MAKE)
def test_a_kernel_equals_its_library(make, generic, ran):
    ids, engaged = np.array([3, 0, 2, 1, 1, 3, 2]), 0
    for recipe in (*FEW, ma.SmoothMix()):
        like = make(pixels((8, 8)))
        mix = drawn(recipe, like=like)
        for pair in (*MAIN[:2], *PAIRS[:1] * (recipe in FEW)):
            x = make(pixels((8, 8), pair[0]))
            got, want = (
                run(mix.images, x, ways.layout_of(x), **units(pair)) for run in (lambda f, *a, **o: f(*a, **o), generic)
            )
            ways.assert_same(got, ways.values(want), type(like))
            engaged += 1
        for dtype in ("uint8", "int32", "int64"):
            y = make(ids.astype(dtype))
            ways.assert_same(mix.labels(y, 4), ways.values(generic(mix.labels, y, 4)), type(like))
    assert (ran.count("labels"), len(ran)) == (15, engaged + 15)


@pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
def test_every_library_converts_as_the_kernel_does(way):
    recipe, x = ma.one_of(ma.MixUp(sources=3), ma.CutMix()), pixels((8, 8))

    def run(x):
        mix = recipe.draw(ways.count(x), (8, 8), key=(0, 1), like=x)
        return mix.images(x, ways.layout_of(x)), mix.images(x, ways.layout_of(x), **UNITS)

    for got, want, atol in zip(way(run, x), run(x), (0, 1e-4), strict=True):
        ways.assert_same(got, want, ways.array_of(way), atol=atol)


def test_ids_out_of_range_raise_the_error_of_the_library(ran):
    mix = drawn()
    for ids in (np.array([0, 1, 2, 3, 0, 1, 4]), np.array([0, 1, -1, 3, 0, 1, 2])):
        with pytest.raises(ValueError, match=r"labels: expected class ids in 0\.\.3, got"):
            mix.labels(ids, 4)
    huge = np.array([2**63 + 1] * N, np.uint64)
    with pytest.raises(ValueError, match=r"labels: expected class ids in 0\.\.3, got"):
        mix.labels(huge, 4)
    assert ran == ["labels"] * 3


# --- when the kernels are used ---


def gradient(mix, c):
    """Of sum(c * mix.images(x)), by hand."""
    made = np.zeros_like(c)
    np.add.at(made, mix.index, mix.pixel_weights().astype(np.float64)[..., None] * c)
    return made


@pytest.mark.parametrize("recipe", [ma.MixUp(sources=3), ma.CutMix(), ma.SmoothMix()], ids=repr)
def test_gradients_use_the_library(recipe, ran):
    x, c = pixels((8, 8), "float32"), np.random.default_rng(1).random((N, 8, 8, 3))
    mix = drawn(recipe)
    want, images = gradient(mix, c), mix.images(x)
    ran.clear()
    c = c.astype(np.float32)

    of_torch = mix.to(backends.of(torch.zeros(1)))
    followed = torch.tensor(x, requires_grad=True)
    mixed = of_torch.images(followed, ways.layout_of(followed))
    (mixed * torch.tensor(c)).sum().backward()
    np.testing.assert_allclose(mixed.detach(), images, rtol=1e-6)
    np.testing.assert_allclose(followed.grad, want, rtol=1e-5, atol=1e-6)

    of_tf, watched = mix.to(backends.of(tf.zeros(1))), tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        total = tf.reduce_sum(of_tf.images(watched) * c)
    np.testing.assert_allclose(tape.gradient(total, watched), want, rtol=1e-5, atol=1e-6)
    with tf.autodiff.ForwardAccumulator(watched, tf.constant(c)) as forward:
        total = of_tf.images(watched)
    np.testing.assert_allclose(forward.jvp(total), mix.images(c), rtol=1e-5, atol=1e-6)

    of_jax = mix.to(backends.of(jnp.zeros(1)))
    for wrapped in (lambda f: f, jax.jit):
        found = wrapped(jax.grad(lambda x: (of_jax.images(x) * c).sum()))(jnp.asarray(x))
        np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)
    assert len(ran) == 1  # the forward mode's by NumPy


def test_without_a_gradient_the_kernels_are_used(ran):
    x = torch.tensor(pixels((8, 8), "float32"), requires_grad=True)
    mix = drawn(like=x)
    with torch.no_grad():
        mix.images(x, ways.layout_of(x))
    with torch.inference_mode():
        assert mix.images(x, ways.layout_of(x)).is_inference()
    mix.images(x.detach(), "nhwc")
    assert ran == ["paste"] * 3


def test_under_vmap_the_library_is_used(ran):
    x = np.stack([pixels((8, 8), "float32"), pixels((8, 8), "float32")[::-1]])
    mix = drawn()
    want = np.stack([mix.images(np.ascontiguousarray(one)) for one in x])
    ran.clear()
    of_torch, of_jax = (mix.to(backends.of(like)) for like in (torch.zeros(1), jnp.zeros(1)))
    by_torch = torch.func.vmap(lambda x: of_torch.images(x, ways.layout_of(x)))(torch.tensor(x))
    np.testing.assert_allclose(by_torch, want, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(of_jax.images)(jnp.asarray(x)), want, rtol=1e-6)
    assert ran == []


FORMS = {
    "fortran": (np.asfortranarray, False),
    "strided": (lambda x: np.repeat(x, 2, axis=2)[:, :, ::2], False),
    "rows": (lambda x: np.repeat(x, 2, axis=0)[::2], False),
    "turned": (lambda x: x[::-1, :, ::-1], False),
    "big-endian": (lambda x: x.astype(x.dtype.newbyteorder(">")), False),
    "unaligned": (lambda x: np.frombuffer(b"0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape), False),
    "read-only": (lambda x: x, True),
    "a part": (lambda x: np.concatenate([x, x])[3 : 3 + len(x)], True),
}


@pytest.mark.parametrize("form", FORMS)
def test_memory_of_every_form(form, generic, ran):
    change, taken = FORMS[form]
    for recipe, options in ((ma.MixUp(), {}), (ma.HMix(), {}), (ma.FMix(), {}), (ma.CutMix(), {"scale": SCALE})):
        x, mix = change(pixels((9, 7), "float32")), drawn(recipe, (9, 7))
        before = x.copy()
        x.flags.writeable = False
        ran.clear()
        got = mix.images(x, **options)
        assert bool(ran) == taken
        np.testing.assert_array_equal(got, generic(mix.images, np.array(x, "float32", order="C"), **options))
        np.testing.assert_array_equal(x, before)
        assert got.flags.writeable
        assert not np.shares_memory(got, x)


@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(), ma.SmoothMix(), ma.RandomErasing(noise=40)], ids=repr)
def test_channels_last_stays_channels_last(recipe, ran):
    for size in ((9, 7), (3, 5, 4)):
        form = torch.channels_last if len(size) == 2 else torch.channels_last_3d
        x = torch.from_numpy(pixels(size)).movedim(-1, 1)
        mix = drawn(recipe, size, like=x)
        for options in ({}, UNITS):
            options = {**options, "layout": "nchw" if len(size) == 2 else "ncdhw"}
            got = mix.images(x, **options)
            assert got.is_contiguous(memory_format=form)
            assert torch.equal(got, mix.images(x.contiguous(), **options))
    assert len(ran) == 8


@pytest.mark.parametrize(("n", "size"), [(0, (9, 7)), (1, (9, 7)), (2, (9, 7)), (3, (1, 1)), (2, (1,))], ids=str)
def test_few_rows_and_few_pixels(n, size, generic):
    for recipe in (ma.CutMix(), ma.MixUp(sources=4), ma.FMix(), ma.Cutout(), ma.RICAP()):
        x, mix = pixels(size, n=n), drawn(recipe, size, n)
        want = generic(mix.images, x, ways.layout_of(x), **UNITS)
        for make in ways.MAKE.values():
            given = make(x)
            ways.assert_same(
                mix.to(backends.of(given)).images(given, ways.layout_of(given), **UNITS), want, type(given)
            )


@pytest.mark.parametrize("x", [np.zeros(N, np.float32), np.float32(1), torch.zeros(N)], ids=["rows", "one", "torch"])
def test_rows_without_axes_raise(x):
    with pytest.raises(
        ValueError, match=r"images: expected a batch of images of the layout .*; batch single samples first"
    ):
        drawn(like=x).images(x)


# --- the caller's memory ---


def test_out_is_written_and_returned(ran):
    x = pixels((8, 8))
    for recipe in (ma.CutMix(), ma.MixUp(), ma.SmoothMix()):
        for options in ({}, UNITS):
            mix = drawn(recipe)
            want = mix.images(x, **options)
            spaced = np.zeros((2 * N, *want.shape[1:]), want.dtype)
            for out, taken in ((np.zeros_like(want), 1), (spaced[::2], 0), (np.asfortranarray(want) * 0, 0)):
                ran.clear()
                assert mix.images(x, out=out, **options) is out
                assert len(ran) == taken
                np.testing.assert_array_equal(out, want)
            assert not spaced[1::2].any()
            given, like = torch.tensor(x), mix.to(backends.of(torch.zeros(1)))
            for out in (
                torch.tensor(want * 0),
                torch.tensor(spaced * 0)[::2],
                torch.tensor(want * 0).mT.contiguous().mT,
            ):
                assert like.images(given, ways.layout_of(given), out=out, **options) is out
                np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize(("options", "error", "sentence"), [
    ({"out": np.zeros((N, 8, 8, 3))}, ValueError, "out: expected uint8 of the shape .*, got float64"),
    ({"out": np.zeros((N, 8, 8, 1), np.uint8)}, ValueError, r"out: expected uint8 of the shape .* got uint8 of .* 1\)"),
    ({"out": np.zeros((N, 8, 8, 3), np.uint8), **UNITS}, ValueError, "out: expected float32 of the shape"),
    ({"out": torch.zeros(N, 8, 8, 3)}, TypeError, "expected all arrays of one library, got NumPy .* PyTorch"),
    ({"scale": 2.0}, ValueError, 'scale: expected dtype= .* for uint8 images, got None; pass dtype="float32"'),
    ({"offset": 2.0}, ValueError, "scale: expected dtype= together with scale= for uint8 images"),
    ({"dtype": "float32", "scale": [1, 2]}, ValueError, r"scale: expected a number, or one for each of 3 .*\(2"),
    ({"dtype": "float32", "offset": np.ones((3, 1))}, ValueError, "offset: expected a number, or one for each of 3"),
    ({"dtype": "int8"}, TypeError, "dtype: expected one of uint8, float16, bfloat16, float32, float64, got 'int8'"),
    ({"dtype": "float32", "scale": "big"}, TypeError, "scale: expected a number, or one for each channel, got 'big'"),
    ({"out": np.broadcast_to(np.uint8(0), (N, 8, 8, 3))}, ValueError, "out: expected memory that can be written to"),
])  # fmt: skip
def test_wrong_arguments_raise(options, error, sentence):
    with pytest.raises(error, match=sentence):
        drawn().images(pixels((8, 8)), **options)


@pytest.mark.parametrize(
    "part", [lambda x: x, lambda x: x[:], lambda x: x.reshape(-1).reshape(x.shape), lambda x: x[::-1]]
)
def test_the_memory_of_the_images_is_refused(part):
    x = pixels((8, 8))
    before, data = x.copy(), pixels((8, 8))
    for images, options in ((x, {}), (data, {"source": x}), (None, {"source": x})):
        with pytest.raises(ValueError, match="out: expected memory of its own, got memory of the images"):
            drawn().images(images, out=part(x), **options)
    given = torch.from_numpy(x)
    with pytest.raises(ValueError, match="out: expected memory of its own"):
        drawn(like=given).images(given, ways.layout_of(given), out=given)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(("make", "title"), [(tf.constant, "TensorFlow tensors"), (jnp.asarray, "JAX arrays")])
def test_what_cannot_be_written_to_is_refused(make, title):
    x, out = make(pixels((8, 8))), make(np.zeros((N, 8, 8, 3), np.uint8))
    with pytest.raises(
        TypeError, match=f"out: expected none, as {title} are immutable, got .*; leave it out and use the result"
    ):
        drawn(like=x).images(x, out=out)
    assert not np.asarray(out).any()


def test_neither_images_nor_a_source_is_refused():
    with pytest.raises(ValueError, match="images: expected images or a source, got neither"):
        drawn().images(None)


# --- whole datasets ---


@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(sources=4), ma.SmoothMix(), ma.Mosaic()], ids=repr)
def test_rows_are_taken_from_a_whole_dataset(recipe, generic):
    data = pixels((8, 8), n=50)
    index = np.random.default_rng(1).permutation(50)[: recipe.sources * N].reshape(recipe.sources, N)
    mix = recipe.draw(N, (8, 8), key=(0, 1), index=index)
    for make in ways.MAKE.values():
        of, source = mix.to(backends.of(make(data))), make(data)
        for options in ({}, UNITS):
            want = mix.images(data[mix.index[0]], source=data, **options)
            ways.assert_same(of.images(None, "nhwc", source=source, **options), want, type(source))
            np.testing.assert_array_equal(generic(mix.images, None, source=data, **options), want)


@pytest.mark.parametrize("recipe", [ma.MixUp(), ma.FMix()], ids=repr)
def test_a_source_with_another_memory_layout_than_the_images(recipe, ran):
    data, index = pixels((8, 8), n=20), np.random.default_rng(2).permutation(20)[: 2 * N].reshape(2, N)
    mix = recipe.draw(N, (8, 8), key=(0, 1), index=index)
    x = data[mix.index[0]]
    want = mix.images(x, source=data)
    ran.clear()
    for source in (np.asfortranarray(data), np.repeat(data, 2, axis=2)[:, :, ::2]):
        np.testing.assert_array_equal(mix.images(x, source=source), want)
    planes, points = torch.from_numpy(put(x, "first")), torch.from_numpy(data).movedim(-1, 1)
    like = mix.to(backends.of(planes))
    for images, source in ((planes, points), (points[mix.index[0]], points.contiguous())):
        np.testing.assert_array_equal(like.images(images, source=source).movedim(1, -1), want)
    assert ran == []


@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.GridMix(), ma.RICAP(), ma.identity()], ids=repr)
def test_batches_are_converted_with_scale_and_offset(recipe):
    x, y = pixels((8, 8), n=20), np.arange(20) % 4
    fields = {"images": ma.Images(**UNITS)}
    plain = list(ma.batches(recipe, x, y, 6, epochs=2, num_classes=4))
    converted = ma.batches(recipe, x, y, 6, epochs=2, num_classes=4, fields=fields)
    ds = ma.keras.MixedDataset(recipe, x, y, 6, num_classes=4, fields=fields)
    for i, ((images, labels), (got, shares)) in enumerate(zip(plain, converted, strict=True)):
        ds.epoch = i // len(ds)
        for made, weights in ((got, shares), ds[i % len(ds)]):
            ways.assert_same(made, images * SCALE + OFFSET, np.ndarray)
            np.testing.assert_array_equal(weights, labels)


# --- bounds ---


def test_sources_out_of_range_raise():
    mix, x = drawn(), pixels((8, 8))
    for row, place in ((N, 1), (2**31 - 1, 0)):
        index = mix.index.copy()
        index[place, 3] = row
        for make in ways.MAKE.values():
            wrong = ma.Mix(index, mix.lam, mix.region, mix.size).to(backends.of(make(x)))
            with pytest.raises(ValueError, match=f"expected rows up to {row}, .* got {N} rows"):
                wrong.images(make(x), "nhwc")
            with pytest.raises(ValueError, match=f"expected rows up to {row}, .* got {N} rows"):
                wrong.labels(make(np.arange(N)), N)
    for row in (-1, -(2**31)):
        index = mix.index.copy()
        index[1, 3] = row
        with pytest.raises(ValueError, match=f"index: expected rows of the source, 0 or more, got {row}"):
            ma.Mix(index, mix.lam, mix.region, mix.size)


BEYOND = [[[-3, 4], [5, 30]], [[6, 99], [-9, 99]], [[9, 12], [2, 4]], [[-8, -2], [0, 8]], [[5, 2], [1, 7]],
          [[0, 8], [7, 7]], [[-(2**30), 2**30], [-(2**30), 2**30]]]  # fmt: skip


@pytest.mark.parametrize("box", BEYOND[:5] + BEYOND[6:])
@pytest.mark.parametrize("form", ["paste", "dense"])
def test_boxes_beyond_the_image_are_refused_before_the_kernels(form, box, ran):
    mix, boxes = drawn(), np.broadcast_to(np.int32(box), (N, 2, 2)).copy()
    weight = np.stack([np.ones((N, 8, 8), bool), np.zeros((N, 8, 8), bool)])
    region = ma.Dense(weight, (None, boxes), (None, boxes)) if form == "dense" else ma.Paste(None, (None, boxes))
    with pytest.raises(ValueError, match="region: box_1: expected 0 <= first <= last"):
        ma.Mix(mix.index, mix.lam, region, mix.size)
    assert ran == []


@pytest.mark.parametrize("dtype", ["int8", "int16", "int64", "float32"])
def test_kernels_leave_boxes_of_other_dtypes_to_the_library(dtype, ran):
    x, boxes = pixels((8, 8)), np.tile(np.array([[1, 5], [2, 7]], dtype), (N, 1, 1))
    rows, target = Rows(x, None, drawn().index), Target("last", Units("uint8"))
    assert engines.cpu.images(host, rows, ma.Paste(None, (None, boxes)), target) is None
    assert ran == []
    assert engines.cpu.images(host, rows, ma.Paste(None, (None, boxes.astype(np.int32))), target) is not None


# --- memory that is lent ---


KEPT = {"NumPy": lambda x: x, "a view": lambda x: x[1:2, ::3].reshape(-1)[5:], "torch": torch.from_numpy,
        "a tensor's view": lambda x: torch.from_numpy(x)[2:, 1], "dlpack": lambda x: tf.experimental.dlpack.from_dlpack(
            x.__dlpack__()), "jax": jax.device_put, "memory": memoryview, "a slice of tf": lambda x: tf.reshape(
            tf.experimental.dlpack.from_dlpack(x.__dlpack__()), [-1])}  # fmt: skip


@pytest.mark.parametrize("keep", KEPT.values(), ids=KEPT)
def test_memory_is_reused_only_without_references(keep):
    size = 1 << 20
    memory._free.clear()
    lent = memory.memory(size)
    address = lent.ctypes.data
    assert (lent.nbytes, address % memory.ALIGNED) == (size, 0)
    lent[:] = 7
    kept = keep(lent.reshape(4, 512, 512))
    del lent
    others = [memory.memory(size) for _ in range(4)]
    for other in others:
        other[:] = 9
    assert set(np.asarray(kept).ravel().tolist()) == {7}
    del kept, other, others
    assert address in {buffer.ctypes.data for buffer in memory._free[size]} or len(memory._free[size]) == memory._KEPT


def test_few_buffers_of_few_sizes_are_kept():
    memory._free.clear()
    for turn in range(20):
        lent = [memory.memory((1 << 18) + 64 * turn) for _ in range(5)]
        del lent
    assert len(memory._free) <= memory._SIZES
    assert all(len(buffers) <= memory._KEPT for buffers in memory._free.values())
    memory.memory(1000)
    assert 1000 not in memory._free


@pytest.mark.parametrize("make", ways.MAKE.values(), ids=ways.MAKE)
def test_outputs_that_are_kept_are_not_overwritten(make, generic):
    x, kept = pixels((128, 128), n=4), []
    given = make(x)
    memory._free.clear()
    for step in range(12):
        mix = drawn(ma.MixUp(), (128, 128), 4, step)
        made = mix.to(backends.of(given)).images(given, ways.layout_of(given), **UNITS)
        if step % 3:  # some are freed, so that their memory is reused
            kept.append((made, generic(mix.images, x, **UNITS)))
        del made
    for made, want in kept:
        np.testing.assert_array_equal(ways.values(made), want)
    del kept, made
    assert memory._free


@pytest.mark.parametrize("like", [jnp.zeros(1), tf.zeros(1), torch.zeros(1)], ids=["jax", "tensorflow", "torch"])
def test_nothing_is_copied_between_a_library_and_the_kernels(like):
    xp, lent = backends.of(like), memory.memory(1 << 20).view(np.float32)
    lent[:] = 3
    given = xp.from_numpy(lent, "float32")
    for seen in (xp.as_numpy(given), xp.concrete(given)):
        assert seen.ctypes.data == lent.ctypes.data


def test_what_jax_has_yet_to_compute_keeps_the_memory_that_it_reads():
    @jax.jit
    def slow(x):
        rows = x.reshape(-1, 64)[:2000]
        return sum(jnp.tanh(rows.T @ rows * scale).sum() for scale in np.linspace(1e-4, 1e-3, 20)) + x.sum()

    x = jnp.asarray(pixels((64, 64), "float32", n=16))
    mixes = [drawn(ma.CutMix(), (64, 64), 16, step).to(backends.of(x)) for step in range(6)]
    want = [slow(jnp.array(np.array(mix.images(x)))) for mix in mixes]
    waiting = [(turn % 6, slow(mixes[turn % 6].images(x))) for turn in range(60)]  # each is freed at once
    assert all(np.array_equal(got, want[which]) for which, got in waiting)
    given_away = jax.jit(lambda x: x * 2, donate_argnums=0)
    doubled = [given_away(mixes[turn % 6].images(x)) for turn in range(30)]
    for turn, made in enumerate(doubled):
        np.testing.assert_array_equal(made, 2 * np.array(mixes[turn % 6].images(x)))


ENDING = """
from mixaug.kernels import pool
lent = pool.memory(1 << 20)
vars(pool).update(dict.fromkeys(set(vars(pool)) - {'__builtins__'}))  # so are names when Python ends
del lent
"""


def test_a_program_exits_without_messages_while_outputs_are_alive():
    ended = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("", "")


WITHIN_JIT = """
import jax, jax.numpy as jnp, mixaug as ma, numpy as np
x = jnp.asarray(np.random.default_rng(0).random((8, 8, 8, 3), np.float32))
mix = ma.CutMix().draw(8, (8, 8), key=(0, 1), like=jnp.zeros(1))
traced = jax.jit(lambda: mix.images(x))()  # the first mix of the program: nothing is known of its devices
print(bool((traced == mix.images(x)).all()))
"""


def test_images_that_a_jitted_function_closes_over_are_mixed():
    found = subprocess.run([sys.executable, "-c", WITHIN_JIT], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"


def test_eight_threads_mix_at_once(generic):
    x, y, ids = pixels((128, 128), n=6), pixels((128, 128), "float32", n=6), np.arange(6)
    mixes = [drawn(recipe, (128, 128), 6, step) for step, recipe in enumerate((ma.CutMix(), ma.HMix(), ma.FMix()))]

    def made(mix):
        return mix.images(x, **UNITS), mix.images(y), mix.images(x), mix.labels(ids, 6)

    wanted, wrong = [generic(made, mix) for mix in mixes], []

    def work(turn):
        kept = [(made(mixes[i % 3]), wanted[i % 3]) for i in range(turn, turn + 6)]
        wrong.extend(turn for pair in kept for got, want in zip(*pair, strict=True) if not np.array_equal(got, want))
        done.append(turn)

    done = []
    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(done), wrong) == (list(range(8)), [])


class Keeper(keras.Model):
    """Keeps the batches that it is trained on, and is slow."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def call(self, x):
        return x

    def train_step(self, data):
        time.sleep(0.01)
        self.kept.append(data)
        return {"loss": keras.ops.zeros(())}


def test_four_workers_and_a_slow_consumer_that_keeps_every_batch():
    x, y = pixels((64, 64), n=80), np.arange(80) % 4
    options = {"num_classes": 4, "fields": {"images": ma.Images(**UNITS)}}
    ds = ma.keras.MixedDataset(ma.MixUp(), x, y, 32, workers=4, max_queue_size=8, **options)
    model = Keeper()
    model(x[:1])
    model.compile(run_eagerly=True, jit_compile=False)
    model.fit(ds, epochs=5, verbose=0, shuffle=False)
    wanted = list(ma.batches(ma.MixUp(), x, y, 32, epochs=5, **options))
    assert len(model.kept) == 15
    for batch, want in zip(model.kept, wanted, strict=True):
        for got, array in zip(batch, want, strict=True):
            np.testing.assert_array_equal(np.asarray(got), array)


# --- the draw ---


@pytest.fixture
def plain(monkeypatch):
    """The result of a function without compiled draws, computed by NumPy."""

    def run(function, *args):
        with monkeypatch.context() as patch:
            patch.setattr(host, "draw_kernels", lambda: None)
            patch.setitem(sys.modules, "mixaug.kernels.draw", None)
            keys._folded.cache_clear()
            made = function(*args)
        keys._folded.cache_clear()
        return made

    return run


@pytest.mark.parametrize("recipe", ways.RECIPE_ROWS, ids=repr)
def test_the_compiled_draw_equals_the_generic_draw(recipe, plain):
    for _, size in ways.SIZES:
        for n in (0, 1, 2, 7, 128):

            def draw(n=n, size=size):
                return recipe.draw(n, size, key=(5, 2**40, -n)).flatten()

            (kind, arrays), (wanted, numbers) = draw(), plain(draw)
            assert kind == wanted
            for got, want in zip(arrays, numbers, strict=True):
                ways.assert_same(got, want, np.ndarray)


def test_rows_of_the_same_rank_are_by_number(plain):
    """With so many rows some have the same 31 bits, by which they are ranked."""
    got, want = (run(keys.shuffled, host, keys.make((0, 1)), 300_000) for run in (lambda f, *args: f(*args), plain))
    ways.assert_same(got, want, np.ndarray)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 97, 1000, 70_001])
def test_the_compiled_order_of_a_dataset_equals_the_generic_order(n, plain):
    rows = np.random.default_rng(n).integers(0, n, 200)
    for seed in (0, -3, 2**40):

        def walk(seed=seed):
            permutation = Permutation(n, keys.make((seed, 1)))
            return permutation(rows), permutation.inverse(rows)

        for got, want in zip(walk(), plain(walk), strict=True):
            ways.assert_same(got, want, np.ndarray)


# --- values that are not computed yet ---


def test_noise_is_put_into_holes_by_the_kernels(ran):
    ma.RandomErasing(noise=40).draw(N, (8, 8), key=(0, 1)).images(pixels((8, 8)))
    assert ran == ["paste"]


@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.Mosaic(), ma.Cutout(), ma.FMix(), ma.GridMix()], ids=repr)
def test_kernels_mix_binary_masks(recipe, generic, ran):
    mix = drawn(recipe, (13, 11))
    for dtype in ("uint8", "int16", "int32", "int64"):
        m = np.random.default_rng(1).integers(0, 99, (N, 13, 11)).astype(dtype)
        np.testing.assert_array_equal(mix.masks(m), generic(mix.masks, m))
    assert len(ran) == 4


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_a_scale_may_be_followed_by_a_gradient(library):
    x, scale = pixels((8, 8), "float32"), np.ones(3, np.float32)
    mix = drawn()
    want = mix.images(x).sum(axis=(0, 1, 2))
    if library == "torch":
        followed, given = torch.tensor(scale, requires_grad=True), torch.tensor(x)
        mix.to(backends.of(given)).images(given, ways.layout_of(given), scale=followed).sum().backward()
        found = followed.grad
    else:
        given = jnp.asarray(x)
        found = jax.grad(lambda scale: mix.to(backends.of(given)).images(given, scale=scale).sum())(jnp.asarray(scale))
    np.testing.assert_allclose(found, want, rtol=1e-5)


def test_recorded_values_are_not_constants():
    x, other = (torch.rand(N, 3, 8, 8) for _ in range(2))
    mix = drawn(like=x)
    recorded = torch.fx.experimental.proxy_tensor.make_fx(lambda x: mix.images(x))(x)
    assert torch.equal(recorded(other), mix.images(other))


def test_the_forward_mode_of_torch():
    x = torch.rand(N, 3, 8, 8)
    mix = drawn(like=x)
    torch.testing.assert_close(torch.func.jvp(mix.images, (x,), (x,))[1], mix.images(x))


DEVICES = """
import jax, mixaug as ma
x = jax.device_put(jax.numpy.ones((4, 8, 8, 3)), jax.devices()[1])
mix = ma.MixUp().draw(4, (8, 8), key=(0, 1), like=x)
print(mix.images(x).devices() == mix.labels(jax.device_put(jax.numpy.arange(4), jax.devices()[1]), 4).devices()
      == x.devices())
"""


def test_arrays_of_jax_stay_on_their_device():
    command = [
        sys.executable,
        "-c",
        "import os; os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=2'" + DEVICES,
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "True\n"


# --- inputs that kernels refuse, and the place of the cache ---


@ways.of_kernels
def test_the_kernels_are_in_the_cache_on_disk():
    assert tiles.mix.stats.cache_path


def test_kernels_refuse_regions_of_other_shapes(ran):
    mix, x = ma.MixUp(sources=3).draw(N, (8, 8), key=(0, 1)), pixels((8, 8))
    with pytest.raises(ValueError, match=r"region: background: expected the shape \(3, 7\), got \(2, 7\)"):
        ma.Mix(mix.index, mix.lam, ma.Paste(mix.region.background[:2], (None,) * 3), mix.size)
    with pytest.raises(TypeError, match="index: expected int32, got int64"):
        ma.Mix(mix.index.astype(np.int64), mix.lam, mix.region, mix.size)
    mix.images(x)
    assert ran == ["paste"]


class Soft(ma.Dense):
    """A user's function."""


class Pasted(ma.Paste):
    """Another function of a user."""


def test_the_plan_of_a_region_depends_on_its_contents(ran):
    mix, x = ma.SmoothMix().draw(N, (8, 8), key=(0, 1)), pixels((8, 8))
    soft = ma.Mix(mix.index, mix.lam, Soft(mix.region.weight), mix.size)
    np.testing.assert_array_equal(soft.images(x), mix.images(x))
    mix = drawn(ma.ResizeMix())
    pasted = ma.Mix(mix.index, mix.lam, Pasted(None, mix.region.box, mix.region.source_box), mix.size)
    np.testing.assert_array_equal(pasted.images(x), mix.images(x))
    assert ran == ["dense"] * 2 + ["paste"] * 2


@pytest.mark.parametrize("kind", [lambda *views: ma.Paste(None, *views),
                                  lambda *views: ma.Dense(np.ones((2, N, 8, 8), bool), *views)])  # fmt: skip
def test_a_crop_without_its_box_is_refused(kind):
    box = np.zeros((N, 2, 2), np.int32)
    with pytest.raises(ValueError, match="box: expected one for the source box of source 1, got None"):
        kind((box, None), (None, box))
    with pytest.raises(ValueError, match="source_box: expected one for each of 2 boxes, or None, got 3"):
        kind((None, box), (None, box, None))


def test_kernels_refuse_more_boxes_than_sources(ran):
    mix, box = ma.GridMix().draw(N, (8, 8), key=(0, 1)), np.zeros((N, 2, 2), np.int32)
    more = ma.Mix(mix.index, mix.lam, ma.Dense(mix.region.weight, (None, None, box), (None, None, box)), mix.size)
    with pytest.raises(ValueError, match="zip"):
        more.images(pixels((8, 8)))
    assert ran == []


def test_nan_weights_raise():
    weight = np.float32([[[[np.nan, 0, 1, 1]]], [[[np.nan, 0, 0, 0]]]])
    with pytest.raises(ValueError, match="region: weight: expected weights of 0 or more, got nan"):
        ma.Mix(np.int32([[0], [0]]), np.float32([[1], [0]]), ma.Dense(weight, fill=np.float32([1])), (1, 4))


def test_labels_of_a_number_of_classes_that_has_an_index(ran):
    mix, y = drawn(), np.arange(N)
    for count in (np.int64(N), np.array(N), torch.tensor(N)):
        np.testing.assert_array_equal(mix.labels(y, count), mix.labels(y, N))
    np.testing.assert_array_equal(mix.labels(y, torch.tensor(N), rule="maximum"), mix.labels(y, N, rule="maximum"))
    assert ran == ["labels"] * 6


@pytest.mark.parametrize(
    "size", [(32, 32), (9, 7), (5,), (3, 4, 2), (40, 40)], ids=str
)  # the images of the last one are all large
def test_channels_that_come_first_have_their_scale_in_one_run(size):
    for pair in MAIN:
        x, mix = pixels(size, pair[0]), drawn(ma.MixUp(sources=3), size)
        for options in (units(pair), {"dtype": "float32", "scale": 2.0}):
            want = mix.images(x, ways.layout_of(x), **options)
            np.testing.assert_array_equal(
                mix.images(put(x, "first"), ways.layout_of(x, "first"), **options), put(want, "first")
            )


def test_a_hole_without_a_filling_is_refused():
    with pytest.raises(ValueError, match="fill: expected the values inside the holes, got None; pass zeros"):
        ma.Paste(None, (None, None), hole=np.zeros((N, 2, 2), np.int32))


def test_autograd_sees_that_out_was_written_to():
    x, out, w = torch.rand(N, 3, 8, 8), torch.zeros(N, 3, 8, 8), torch.ones(N, 3, 8, 8, requires_grad=True)
    loss = (out * w).sum()
    ma.CutMix().draw(N, (8, 8), key=(0, 1), like=x).images(x, out=out)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_labels_of_other_byte_orders_and_lam_of_other_dtypes():
    mix, ids = ma.MixUp().draw(N, (8, 8), key=(0, 1)), np.arange(N)
    np.testing.assert_array_equal(mix.labels(ids.astype(">i4"), N), mix.labels(ids, N))
    tensor = mix.to(backends.of(torch.zeros(1)))
    for dtype in (torch.bfloat16, torch.float16):
        with pytest.raises(TypeError, match="lam: expected float32, got"):
            ma.Mix(tensor.index, tensor.lam.to(dtype), tensor.region, tensor.size)


def test_masked_arrays_are_refused(ran):
    x = np.ma.masked_equal(pixels((8, 8)), 7)
    with pytest.raises(TypeError, match=r"expected an array without a mask, got a NumPy masked array; pass x.filled"):
        drawn(ma.CutMix()).images(x)
    drawn(ma.CutMix()).images(x.filled(0))
    assert ran == ["paste"]


def test_idle_memory_is_bounded():
    memory._free.clear()
    for kept in range(60):
        memory.memory((1 << 20) + kept)
    assert len(memory._free) <= memory._SIZES
    large = memory.memory(memory._IDLE + 1)
    del large
    assert not memory._free.get(memory._IDLE + 1)


def test_without_a_folder_for_the_cache_kernels_are_compiled_all_the_same():
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
        "import mixaug as ma; print(ma.CutMix().draw(4, (8, 8), key=(0, 1)).lam.tolist())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == str(ma.CutMix().draw(4, (8, 8), key=(0, 1)).lam.tolist())


@ways.of_kernels
@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(), ma.FMix(), ma.SmoothMix()], ids=repr)
@pytest.mark.parametrize("wrong", [-1, N, 2**31 - 1])
def test_kernels_never_read_rows_out_of_range(recipe, wrong, monkeypatch):
    refused = []

    def run(*given, real=tiles.mix):
        made = real(*given)
        refused.append(made)
        return made

    monkeypatch.setattr(tiles, "mix", run)
    mix, x = recipe.draw(N, (8, 8), key=(0, 0)), np.zeros((N, 8, 8, 3), np.uint8)
    for place in (0, 1):
        index = mix.index.copy()
        index[place, 3] = wrong
        for own, source in ((x, None), (x, x.copy()), (None, x)):
            out = np.full_like(x, 7)
            with pytest.raises(ValueError, match=f"(expected rows up to|rows of the source, 0 or more, got) {wrong}"):
                ma.Mix(index, mix.lam, mix.region, mix.size).images(own, source=source, out=out)
            assert (out == 7).all()
    assert refused == [False] * (0 if wrong < 0 else 6)  # a row below 0 raises when the mix is constructed
