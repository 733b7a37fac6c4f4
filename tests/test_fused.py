"""The fused engines on the host: each equals the definition, and is used where it can be and nowhere else."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import torch

import mixaug as ma
import ways
from mixaug import _xp, engines
from mixaug._xp import numpy as host
from mixaug.engines import loops, memory

N = 6
SCALE, OFFSET = np.float32([0.25, 0.5, 2.0]), np.float32([-3.0, 0.0, 1.0])
UNITS = {"dtype": "float32", "scale": SCALE, "offset": OFFSET}
RECIPES = [
    ma.CutMix(), ma.MixUp(), ma.MixUp(parents=3), ma.MixUp(parents=4), ma.MixUp(parents=5), ma.MixUp(parents=6),
    ma.HMix(), ma.NWayCutMix(parents=5), ma.Mosaic(), ma.RICAP(), ma.ResizeMix(), ma.Cutout(fill=7.4),
    ma.RandomErasing(noise=40, fill=100), ma.FMix(), ma.SmoothMix(), ma.GridMix(), ma.identity(),
    ma.one_of(ma.MixUp(), ma.CutMix(), ma.Mosaic()),
]  # fmt: skip
DTYPES = [
    ("float16", "float16"), ("bfloat16", "bfloat16"), ("uint8", "bfloat16"), ("float32", "uint8"), ("uint8", "float16"),
    ("float64", "float32"),
]  # fmt: skip
SIZES = [(13, 11), (37,), (3, 5, 4)]


def images(size, dtype="uint8", n=N):
    x = np.random.default_rng(len(size)).integers(0, 256, (n, *size, 3))
    return x.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


@pytest.fixture
def generic(monkeypatch):
    """What a function gives where no engine takes anything: what the array libraries do."""

    def run(function):
        with monkeypatch.context() as patch:
            patch.setattr(engines, "images", lambda *_: None)
            patch.setattr(engines, "labels", lambda *_: None)
            return function()

    return run


@pytest.fixture
def used(monkeypatch):
    """Whether the loops were asked for while a function ran."""

    def run(function):
        asked = []
        with monkeypatch.context() as patch:
            patch.setattr(_xp, "loops", lambda module, real=_xp.loops: asked.append(module) or real(module))
            function()
        return "mixaug.engines.loops" in asked

    return run


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_images_are_those_of_the_definition(recipe, size, generic):
    mix = recipe.draw(N, size, key=(0, 3))
    x = images(size)
    for given, options in ((x, {}), (x, UNITS), (x.astype(np.float32) / 7, {})):
        for channels in ("last", "first"):
            y = given if channels == "last" else np.ascontiguousarray(np.moveaxis(given, -1, 1))
            got = mix.images(y, channels, **options)
            want = generic(lambda y=y, channels=channels, options=options: mix.images(y, channels, **options))
            np.testing.assert_array_equal(got, want)
    if mix.region.arrays().keys() & {"hole", "fill", "crop_0", "crop_1"}:
        return
    weights = mix.dense().astype(np.float64)[..., None]
    whole = (weights * x[mix.parent]).sum(axis=0) * SCALE + OFFSET
    np.testing.assert_allclose(mix.images(x, **UNITS), whole, atol=1e-6 * 512)


@pytest.mark.parametrize("dtypes", DTYPES, ids=str)
@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(parents=3), ma.SmoothMix()], ids=repr)
def test_every_dtype_is_rounded_once(recipe, dtypes, generic):
    mix, x = recipe.draw(N, (9, 7), key=(0, 4)), images((9, 7), dtypes[0])
    got = mix.images(x, dtype=dtypes[1], scale=0.5, offset=3.0)
    want = generic(lambda: mix.images(x, dtype=dtypes[1], scale=0.5, offset=3.0))
    assert got.dtype.name == dtypes[1]
    np.testing.assert_array_equal(got.astype(np.float64), want.astype(np.float64))


@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(), ma.FMix(), ma.SmoothMix()], ids=repr)
def test_large_outputs_are_written_past_the_caches(recipe, generic):
    x = np.random.default_rng(0).integers(0, 256, (15, 225, 223, 3), np.uint8)  # no row begins with a whole line
    assert x.size * 4 > 8 << 20
    mix = recipe.draw(15, (225, 223), key=(0, 1))
    np.testing.assert_array_equal(mix.images(x, **UNITS), generic(lambda: mix.images(x, **UNITS)))


@pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
def test_every_library_converts_as_numpy_does(way):
    x = images((8, 8))
    want = ma.CutMix().draw(N, (8, 8), key=(0, 5)).images(x, **UNITS)

    def run(x):
        return ma.CutMix().draw(ways.count(x), (8, 8), key=(0, 5), like=x).images(x, "last", **UNITS)

    ways.assert_same(way(run, x), want, ways.array_of(way), atol=1e-4)


@pytest.mark.parametrize("change", [lambda x: x[::2][::-1], np.asfortranarray, lambda x: x.astype(">f4"),
                                    lambda x: x[:, :, ::-1], lambda x: np.repeat(x, 2, axis=2)[:, :, ::2]])  # fmt: skip
def test_memory_of_every_form(change, generic):
    x = change(images((9, 7), n=2 * N))
    x.flags.writeable = False
    before, mix = x.copy(), ma.MixUp().draw(len(x), (9, 7), key=(0, 1))
    np.testing.assert_array_equal(mix.images(x), generic(lambda: mix.images(np.array(x))))
    np.testing.assert_array_equal(x, before)


def test_channels_last_stays_channels_last(used):
    x = torch.rand(N, 3, 9, 7).to(memory_format=torch.channels_last)
    mix = ma.CutMix().draw(N, (9, 7), key=(0, 1), like=x)
    assert used(lambda: mix.images(x))
    assert mix.images(x).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(mix.images(x), mix.images(x.contiguous()))


@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy, tf.constant, jnp.asarray])
def test_the_loops_are_used_on_the_host(make, used):
    x, mix = make(images((8, 8))), ma.MixUp().draw(N, (8, 8), key=(0, 1), like=make(images((8, 8))))
    assert used(lambda: mix.images(x, "last"))


def test_gradients_go_through_the_library(used):
    x = torch.rand(N, 3, 8, 8, requires_grad=True)
    mix = ma.MixUp().draw(N, (8, 8), key=(0, 1), like=x)
    assert not used(lambda: mix.images(x).sum().backward())
    assert torch.allclose(x.grad.sum(), torch.tensor(float(x.numel())))
    with torch.no_grad():
        assert used(lambda: mix.images(x))
    y = tf.random.uniform((N, 8, 8, 3))
    with tf.GradientTape() as tape:
        tape.watch(y)
        total = tf.reduce_sum(ma.MixUp().draw(N, (8, 8), key=(0, 1), like=y).images(y))
    np.testing.assert_allclose(tf.reduce_sum(tape.gradient(total, y)), y.numpy().size, rtol=1e-5)
    z = jnp.asarray(y.numpy())
    gradient = jax.grad(lambda z: ma.MixUp().draw(N, (8, 8), key=(0, 1)).to(_xp.of(z)).images(z).sum())(z)
    np.testing.assert_allclose(gradient.sum(), z.size, rtol=1e-5)


@pytest.mark.parametrize("n", [0, 1])
def test_few_rows(n):
    x = images((8, 8))[:n]
    assert ma.CutMix().draw(n, (8, 8), key=(0, 1)).images(x, **UNITS).shape == (n, 8, 8, 3)


def test_out_is_written_to():
    x, mix = images((8, 8)), ma.CutMix().draw(N, (8, 8), key=(0, 1))
    want = mix.images(x, **UNITS)
    for out in (np.zeros(want.shape, np.float32), np.zeros((2 * N, 8, 8, 3), np.float32)[::2]):
        assert mix.images(x, **UNITS, out=out) is out
        np.testing.assert_array_equal(out, want)
    tensor = torch.zeros(want.shape)
    like = ma.CutMix().draw(N, (8, 8), key=(0, 1), like=tensor)
    assert like.images(torch.from_numpy(x), "last", **UNITS, out=tensor) is tensor
    np.testing.assert_array_equal(tensor, want)


@pytest.mark.parametrize(("options", "error", "message"), [
    ({"out": np.zeros((N, 8, 8, 3))}, ValueError, r"out: expected uint8 of the shape .*, got float64"),
    ({"scale": 2.0}, ValueError, r"scale: expected dtype= beside it for uint8 images"),
    ({"dtype": "float32", "scale": [1.0, 2.0]}, ValueError, r"scale: expected a number, or one for each of 3 channels"),
    ({"dtype": "int8"}, TypeError, r"dtype: expected uint8, .*, got 'int8'"),
])  # fmt: skip
def test_what_is_wrong_is_refused(options, error, message):
    mix = ma.CutMix().draw(N, (8, 8), key=(0, 1))
    with pytest.raises(error, match=message):
        mix.images(images((8, 8)), **options)


def test_own_memory_and_no_images_and_bad_parents_are_refused():
    mix, x = ma.CutMix().draw(N, (8, 8), key=(0, 1)), images((8, 8))
    with pytest.raises(ValueError, match="out: expected memory of its own"):
        mix.images(x, out=x)
    with pytest.raises(ValueError, match="images: expected images or a source, got neither"):
        mix.images(None)
    for row in (-1, 99):
        wrong = ma.Mix(np.full((2, N), row, np.int32), mix.share, mix.region, mix.size)
        with pytest.raises(ValueError, match=r"row|rows"):
            wrong.images(x)
    tensor = tf.constant(x)
    with pytest.raises(TypeError, match="out: expected none, for tensors of TensorFlow"):
        mix.to(_xp.of(tensor)).images(tensor, out=tf.zeros(x.shape, tf.uint8))


def test_boxes_beyond_the_image_are_cut(generic):
    x, mix = images((8, 8)), ma.CutMix().draw(N, (8, 8), key=(0, 1))
    beyond = np.stack([np.array([[-3, 4], [5, 30]], np.int32)] * N)
    wide = ma.Mix(mix.parent, mix.share, ma.Paste(None, (None, beyond)), mix.size)
    np.testing.assert_array_equal(wide.images(x), generic(lambda: wide.images(x)))


@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(parents=4), ma.SmoothMix()], ids=repr)
def test_rows_are_taken_from_a_whole_dataset(recipe, generic):
    data = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), np.uint8)
    parent = np.random.default_rng(1).integers(0, 50, (recipe.parents, N))
    mix = recipe.draw(N, (8, 8), key=(0, 1), parent=parent)
    want = mix.images(data[parent[0]], source=data, **UNITS)
    np.testing.assert_array_equal(mix.images(None, source=data, **UNITS), want)
    np.testing.assert_array_equal(generic(lambda: mix.images(None, source=data, **UNITS)), want)


@pytest.mark.parametrize("n", [0, 1, 2, 7])
@pytest.mark.parametrize("recipe", ways.RECIPE_ROWS, ids=repr)
def test_the_fused_draw_is_the_draw(recipe, n, monkeypatch):
    for size in ((9, 7), (13,)):
        fused = recipe.draw(n, size, key=(5, 2**40, -3))
        with monkeypatch.context() as patch:
            patch.setattr(host, "fused", lambda: None)
            plain = recipe.draw(n, size, key=(5, 2**40, -3))
        for got, want in zip(fused.flatten()[1], plain.flatten()[1], strict=True):
            assert got.dtype == want.dtype
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("keep", [np.asarray, torch.from_numpy, lambda x: tf.experimental.dlpack.from_dlpack(
    x.__dlpack__()), jnp.asarray, lambda x: x[3:].reshape(-1)[::7]])  # fmt: skip
def test_memory_is_lent_again_only_when_nothing_looks_into_it(keep):
    size = 1 << 20
    memory._free.clear()
    memory.memory(size)  # comes back at once, so that what follows is lent a second time
    lent = memory.memory(size)
    assert lent.ctypes.data % memory.ALIGNED == 0
    lent[:] = 7
    kept = keep(lent)
    del lent
    other = memory.memory(size)
    other[:] = 9
    assert set(np.asarray(kept).ravel().tolist()) == {7}
    del kept, other
    assert memory._free[size]


def test_batches_that_are_kept_stay_what_they_are():
    x, y = np.random.default_rng(0).integers(0, 256, (80, 64, 64, 3), np.uint8), np.arange(80) % 4
    fields = {"images": ma.Images(**UNITS)}
    ds = ma.keras.MixedDataset(x, y, 32, ma.MixUp(), num_classes=4, fields=fields, workers=4, max_queue_size=4)
    wanted = [[a.copy() for a in ds[i]] for i in range(len(ds))]
    kept, found = {}, [None] * 24

    def work(first):
        for i in range(first, 24, 4):
            found[i] = ds[i % len(ds)]

    threads = [threading.Thread(target=work, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for i in range(24):
        while found[i] is None:
            time.sleep(0.001)
        kept[i] = found[i]
        found[i] = kept[i] if i % 5 else (kept[i][0][:1].copy(), kept[i][1])  # some go, so that their memory comes back
        if not i % 5:
            kept[i] = None
    for i, batch in kept.items():
        for got, want in zip(batch or wanted[i % len(ds)], wanted[i % len(ds)], strict=True):
            np.testing.assert_array_equal(got, want)


def test_without_numba_it_works_and_says_so_once():
    code = (
        "import sys, warnings; sys.modules['numba'] = None; import numpy as np, mixaug as ma\n"
        "with warnings.catch_warnings(record=True) as said:\n"
        "    warnings.simplefilter('always')\n"
        "    batch = np.zeros((4, 8, 8, 1)), np.arange(4)\n"
        "    for step in range(3): ma.mix_batch(ma.CutMix(), batch, key=(0, step), num_classes=4)\n"
        "print(len(said), said[0].message, ma.CutMix().draw(4, (8, 8), key=(0, 1)).share.tolist())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.startswith("1 mixaug: Numba is not installed")
    assert str(ma.CutMix().draw(4, (8, 8), key=(0, 1)).share.tolist()) in out


def test_the_loops_are_in_the_cache_on_disk():
    assert loops.paste.stats.cache_path


def test_regions_of_other_shapes_are_not_for_the_loops(used):
    mix, x = ma.MixUp(parents=3).draw(N, (8, 8), key=(0, 1)), images((8, 8))
    fewer = ma.Mix(mix.parent, mix.share, ma.Paste(mix.region.background[:2], (None,) * 3), mix.size)
    with pytest.raises(IndexError):
        fewer.images(x)
    wide = ma.Mix(mix.parent.astype(np.int64), mix.share, mix.region, mix.size)
    assert not used(lambda: wide.images(x))
    np.testing.assert_array_equal(wide.images(x), mix.images(x))


def test_a_hole_without_a_filling_is_refused():
    with pytest.raises(ValueError, match="fill: expected what is in the hole, got none"):
        ma.Paste(None, (None, None), hole=np.zeros((N, 2, 2), np.int32))


def test_autograd_sees_that_out_was_written_to():
    x, out, w = torch.rand(N, 3, 8, 8), torch.zeros(N, 3, 8, 8), torch.ones(N, 3, 8, 8, requires_grad=True)
    loss = (out * w).sum()
    ma.CutMix().draw(N, (8, 8), key=(0, 1), like=x).images(x, out=out)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_labels_of_other_byte_orders_and_shares_of_other_dtypes():
    mix, ids = ma.MixUp().draw(N, (8, 8), key=(0, 1)), np.arange(N)
    np.testing.assert_array_equal(mix.labels(ids.astype(">i4"), N), mix.labels(ids, N))
    tensor = mix.to(_xp.of(torch.zeros(1)))
    for dtype, apart in ((torch.bfloat16, 0.01), (torch.float16, 0.001)):
        coarse = ma.Mix(tensor.parent, tensor.share.to(dtype), tensor.region, tensor.size)
        np.testing.assert_allclose(coarse.labels(torch.arange(N), N), mix.labels(ids, N), atol=apart)


def test_masked_arrays_are_left_to_numpy(used):
    x = np.ma.masked_equal(images((8, 8)), 7)
    assert not used(lambda: ma.CutMix().draw(N, (8, 8), key=(0, 1)).images(x))


def test_idle_memory_is_bounded():
    memory._free.clear()
    for kept in range(60):
        memory.memory((1 << 20) + kept)
    assert len(memory._free) <= memory._SIZES
    large = memory.memory(memory._IDLE + 1)
    del large
    assert not memory._free.get(memory._IDLE + 1)


def test_without_a_folder_for_the_cache_loops_are_compiled_all_the_same():
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
        "import mixaug as ma; print(ma.CutMix().draw(4, (8, 8), key=(0, 1)).share.tolist())"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == str(ma.CutMix().draw(4, (8, 8), key=(0, 1)).share.tolist())
