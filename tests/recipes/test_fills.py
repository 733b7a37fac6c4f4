"""Fill and noise of holes, for each channel: in every library, layout and dtype; errors."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch
from scipy import stats

import mixaug as ma
import ways
from mixaug import backends
from mixaug.core.regions import inside

NUMPY = backends.common()
FILL, NOISE = (300.0, -7.25, 40.0), (3.0, 0.0, 90.0)
RECIPES = [
    ma.Cutout(side=0.6, fill=FILL),
    ma.Cutout(side=0.5, fill=FILL, count=(1, 3)),
    ma.RandomErasing(area=(0.02, 0.9), fill=FILL),
    ma.RandomErasing(area=(0.02, 0.9), fill=FILL, noise=5.0),
    ma.RandomErasing(area=(0.02, 0.9), fill=100, noise=NOISE),
    ma.RandomErasing(area=(0.02, 0.9), fill=FILL, noise=NOISE, count=2),
    ma.one_of(ma.Cutout(fill=FILL), ma.RandomErasing(noise=20), ma.CutMix()),
    ma.one_of(ma.Cutout(fill=FILL), ma.GridMix(), ma.Mosaic()),
    ma.one_of(ma.RandomErasing(area=(0.02, 0.9), noise=NOISE), ma.Cutout(fill=3), ma.SmoothMix()),
]
LAYOUTS = ("nhwc", "nchw", "ntchw", "nthwc", "ncthw", "nhwct", "nwhc", "nhcw")
DTYPES = ("uint8", "float16", "bfloat16", "float32", "float64")
N, SIZE = 6, (11, 14)


def pixels(dtype: str = "float32", size: tuple[int, ...] = SIZE) -> np.ndarray:
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    return np.random.default_rng(0).uniform(0, 255, (N, *size, 3)).astype(kind)


def defined(mix: ma.Mix, x: np.ndarray) -> np.ndarray:
    """The mixed images (n, *size, 3) by definition, in float64; rounded and clipped for uint8."""
    n, *size = x.shape[:-1]
    weights = mix.region.pixel_weights(NUMPY, n, tuple(size))[..., None].astype(np.float64)
    out = (weights * ways.seen_through(mix, x[mix.index]).astype(np.float64)).sum(axis=0)
    fill = np.zeros(n) if mix.region.fill is None else mix.region.fill.astype(np.float64)
    fill = fill[(..., *[None] * (x.ndim - fill.ndim))]
    out = np.where(weights.sum(axis=0) > 0.5, out, np.broadcast_to(fill, out.shape))
    return np.clip(np.rint(out), 0, 255) if x.dtype == np.uint8 else out


def laid_out(x: np.ndarray, layout: str) -> np.ndarray:
    """Images (n, h, w, c) in a layout; two frames, or none."""
    letters = "nhwc"
    if "t" in layout:
        x, letters = np.stack([x, x], axis=1), "nthwc"
    return np.ascontiguousarray(np.transpose(x, [letters.index(letter) for letter in layout]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_images_are_the_definition_in_every_layout(recipe, dtype):
    x, mix = pixels(dtype), recipe.draw(N, SIZE, key=(0, 2))
    want = defined(mix, x)
    near = {"rtol": {"float16": 2**-10, "bfloat16": 2**-7}.get(dtype, 1e-6), "atol": 1.0 if dtype == "uint8" else 1e-3}
    if "SmoothMix" not in repr(recipe) and dtype == "uint8":
        near["atol"] = 0
    for layout in LAYOUTS:
        if "w" in layout and layout.index("w") < layout.index("h"):
            swapped = recipe.draw(N, SIZE, key=(0, 2)).images(laid_out(x, layout), layout, spatial="hw")
        else:
            swapped = mix.images(laid_out(x, layout), layout)
        got, expected = swapped.astype(np.float64), laid_out(want, layout)
        np.testing.assert_allclose(got, expected, **near, err_msg=layout)
    strided = np.repeat(x, 2, axis=2)[:, :, ::2]  # not supported by the kernels
    np.testing.assert_allclose(mix.images(strided).astype(np.float64), want, **near)
    if dtype == "float64":
        return
    units = {"dtype": "float32", "scale": (0.5, 0.25, 2.0), "offset": (1.0, 0.0, -3.0)}
    scaled = want * units["scale"] + units["offset"]
    for layout in ("nhwc", "nchw"):
        got = mix.images(laid_out(x, layout), layout, **units)
        atol = 2.0 if dtype == "uint8" else 0.02 if "16" in dtype else 1e-3
        np.testing.assert_allclose(got, laid_out(scaled, layout), rtol=near["rtol"], atol=max(atol, near["atol"]))


@pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("recipe", [RECIPES[i] for i in (1, 4, 8)], ids=repr)
def test_every_library_draws_and_fills_alike(recipe, way):
    x = pixels()

    def run(x):
        mix = recipe.draw(ways.count(x), SIZE, key=(0, 2), like=x)
        return mix.region.fill, mix.images(x, "nhwc")

    def planes(x):
        return recipe.draw(ways.count(x), SIZE, key=(0, 2), like=x).images(x, "nchw")

    mix, (fill, images) = recipe.draw(N, SIZE, key=(0, 2)), way(run, x)
    ways.assert_same(fill, mix.region.fill, ways.array_of(way))
    np.testing.assert_allclose(ways.values(images), defined(mix, x), rtol=1e-6, atol=1e-3)
    first = way(planes, laid_out(x, "nchw"))
    np.testing.assert_allclose(ways.values(first), laid_out(defined(mix, x), "nchw"), rtol=1e-6, atol=1e-3)


def test_channels_last_memory_of_torch():
    x = torch.from_numpy(laid_out(pixels(), "nchw")).to(memory_format=torch.channels_last)
    for recipe in RECIPES:
        mix = recipe.draw(N, SIZE, key=(0, 2))
        got = mix.images(x)
        assert got.is_contiguous(memory_format=torch.channels_last)
        np.testing.assert_allclose(got.numpy(), laid_out(defined(mix, pixels()), "nchw"), rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize("size", [(13,), (5, 4, 3), (200, 190)], ids=str)
def test_signals_volumes_and_large_images(size):
    x = pixels(size=size)
    for recipe in RECIPES[:6]:
        mix = recipe.draw(N, size, key=(0, 5))
        want = defined(mix, x)
        np.testing.assert_allclose(mix.images(x, ways.layout_of(x)), want, rtol=1e-6)
        first = np.ascontiguousarray(np.moveaxis(x, -1, 1))
        got = mix.images(first, ways.layout(len(size), "first"))
        np.testing.assert_allclose(np.moveaxis(got, 1, -1), want, rtol=1e-6)


def test_a_field_of_another_size_has_the_same_fill():
    mix, x = ma.RandomErasing(area=(0.02, 0.9), noise=NOISE).draw(N, (22, 28), key=0), pixels()
    at = np.ix_(range(N), range(1, 22, 2), range(1, 28, 2))
    hidden = inside(NUMPY, mix.region.hole, (22, 28))[at]
    np.testing.assert_allclose(mix.images(x), np.where(hidden[..., None], mix.region.fill[at], x), rtol=1e-6)


def test_masks_labels_and_objects_do_not_see_the_fill():
    mask, boxes = np.random.default_rng(0).integers(0, 5, (N, *SIZE)), np.float32([[[0, 0, 14, 11]]] * N)
    for one, other in [(ma.Cutout(fill=FILL), ma.Cutout()), (RECIPES[4], ma.RandomErasing(area=(0.02, 0.9)))]:
        mix, plain = one.draw(N, SIZE, key=3), other.draw(N, SIZE, key=3)
        np.testing.assert_array_equal(mix.masks(mask), mask)
        shares = mix.masks(mask, num_classes=5, soft=True)
        np.testing.assert_array_equal(shares, plain.masks(mask, num_classes=5, soft=True))
        frames = np.stack([mask, mask], axis=1)
        np.testing.assert_array_equal(mix.masks(frames, layout="nthw"), frames)
        np.testing.assert_array_equal(mix.boxes(boxes).weight, plain.boxes(boxes).weight)


def test_joined_mixes_and_files_keep_the_fill(tmp_path):
    x, y = pixels(), np.arange(N)
    recipe = ma.one_of(ma.Cutout(fill=FILL), ma.CutMix())
    images, _, mix = ma.mix_batch(recipe, (x, y), key=0, num_classes=N, include_clean=True, copies=2, return_mix=True)
    assert mix.region.fill.shape == (3 * N, 1, 1, 3)
    np.testing.assert_array_equal(mix.images(np.concatenate([x, x, x])), images)
    mix.save(tmp_path / "mix.npz")
    np.testing.assert_array_equal(ma.Mix.load(tmp_path / "mix.npz").images(np.concatenate([x, x, x])), images)


def test_noise_a_channel_is_drawn_for_each_and_one_number_once():
    n, size = 60, (40, 30)
    own = ma.RandomErasing(area=0.3, fill=50, noise=(20, 20, 5)).draw(n, size, key=(0, 0)).region.fill
    assert own.shape == (n, *size, 3)
    for c, deviation in enumerate((20, 20, 5)):
        assert stats.kstest(own[..., c].ravel(), stats.norm(50, deviation).cdf).pvalue > 1e-3
    assert (abs(np.corrcoef(own.reshape(-1, 3).T) - np.eye(3)) < 0.02).all()
    shared = ma.RandomErasing(area=0.3, fill=(1, 2, 3), noise=20).draw(n, size, key=(0, 0)).region.fill
    np.testing.assert_allclose(np.diff(shared, axis=-1), 1, atol=1e-4)
    alone = ma.RandomErasing(area=0.3, fill=1, noise=20).draw(n, size, key=(0, 0)).region.fill
    np.testing.assert_array_equal(shared[..., 0], alone)


def test_one_number_serves_any_channels_and_a_tuple_of_one_serves_one():
    for channels in (1, 2, 7):
        x = np.ones((2, 8, 8, channels), np.float32)
        assert (ma.Cutout(side=1, fill=5).draw(2, (8, 8), key=0).images(x) == 5).any(axis=(1, 2)).all()
    mix, grey = ma.Cutout(side=1, fill=(5,)).draw(2, (8, 8), key=0), np.ones((2, 8, 8), np.float32)
    np.testing.assert_array_equal(mix.images(grey, "nhw"), mix.images(grey[..., None])[..., 0])
    assert (mix.images(grey, "nhw") == 5).any()
    assert (mix.images(np.ones((2, 3, 8, 8), np.float32), "nthw") == 5).any()


@pytest.mark.parametrize("library", ways.MAKE)
@pytest.mark.parametrize("recipe", RECIPES[:5], ids=repr)
def test_images_of_other_channels_are_refused_and_the_way_out_works(recipe, library):
    make = ways.MAKE[library]
    x, y = make(np.ones((4, 8, 8, 1), np.float32)), make(np.arange(4))
    fields = {"images": ma.Images(layout="nhwc")}
    with pytest.raises(
        ValueError,
        match="images: expected 3 channels, one for each number of the recipe's fill or noise, got 1 in the layout "
        "'nhwc'; give fill and noise a single number, or one for each channel",
    ):
        ma.mix_batch(recipe, {"images": x, "labels": y}, key=0, num_classes=4, fields=fields)
    options = {name: getattr(recipe, name) for name in ("fill", "noise") if hasattr(recipe, name)}
    for change in (lambda fill: fill[0] if isinstance(fill, tuple) else fill, lambda _: (1.5,)):
        mended = type(recipe)(**{name: change(value) for name, value in options.items()})
        ma.mix_batch(mended, {"images": x, "labels": y}, key=0, num_classes=4, fields=fields)


def test_recipes_of_different_channels_are_refused():
    recipe = ma.one_of(ma.Cutout(fill=(1, 2, 3)), ma.RandomErasing(noise=(1, 2)))
    with pytest.raises(
        ValueError,
        match="fill: expected the same number of channels in all recipes, got 2 and 3; give each",
    ):
        recipe.draw(4, (8, 8), key=0)
    ma.one_of(ma.Cutout(fill=(1, 2, 3)), ma.RandomErasing(noise=(1, 2, 0))).draw(4, (8, 8), key=0)
    ma.one_of(ma.Cutout(fill=(1, 2, 3)), ma.RandomErasing(noise=1)).draw(4, (8, 8), key=0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: ma.Cutout(fill=()), "Cutout fill: expected a number, or one for each channel, got none; give one"),
        (lambda: ma.Cutout(fill=(1, "a")), "Cutout fill: expected a finite number, got 'a'"),
        (lambda: ma.RandomErasing(noise=(1, -1)), "RandomErasing noise: expected a finite number of 0 or more, got -1"),
        (
            lambda: ma.RandomErasing(fill=(1, 2, 3), noise=(1, 2)),
            "RandomErasing noise: expected 3 numbers, as many as fill has, got 2; give both one for each channel",
        ),
    ],
)
def test_options_that_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()


@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_texts_and_saved_layers_keep_the_fill(recipe):
    assert ma.recipe(repr(recipe)) == recipe
    layer = ma.keras.MixLayer(recipe, num_classes=3)
    assert ma.keras.MixLayer.from_config(layer.get_config()).recipe == recipe


def test_a_recipe_with_a_fill_a_channel_passes_the_checks_of_recipes():
    ma.testing.check(
        ma.one_of(ma.RandomErasing(area=(0.02, 0.5), noise=(1, 2, 3)), ma.CutMix()), libraries=["numpy", "torch"]
    )


def test_adapters_fill_channels():
    import tensorflow as tf

    x, y, recipe = np.full((8, 9, 9, 3), 50, np.uint8), np.arange(8), ma.Cutout(side=0.5, fill=(255, 0, 7))
    batches = [
        next(iter(ma.batches(recipe, x, y, 8, num_classes=8))),
        next(iter(ma.tf.mixed(recipe, num_classes=8)(tf.data.Dataset.from_tensor_slices((x, y)).batch(8)))),
    ]
    for images, _ in batches:
        assert {tuple(one) for one in ways.values(images).reshape(-1, 3).tolist()} == {(255, 0, 7), (50, 50, 50)}
    module = ma.torch.Mixed(recipe, num_classes=8)
    images, _ = module(torch.from_numpy(laid_out(x, "nchw")), torch.from_numpy(y))
    assert {tuple(one) for one in images.movedim(1, -1).reshape(-1, 3).tolist()} == {(255, 0, 7), (50, 50, 50)}
