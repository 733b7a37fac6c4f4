"""Layouts are declared, never guessed: every layout in every library, against a definition for each pixel."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import torch

import mixaug as ma
import ways
from mixaug.core.layout import parse

N, LENGTHS = 5, {"n": 5, "c": 3, "h": 8, "w": 6, "d": 5, "t": 4}
LAYOUTS = [
    ("nhwc", None), ("nchw", None), ("nhw", None), ("ntchw", None), ("nthwc", None), ("ncthw", None), ("ntc", None),
    ("nct", None), ("nt", None), ("ndhwc", None), ("ncdhw", None), ("nthw", None), ("NTCHW", "thw"), ("nthwc", "tw"),
    ("nhcw", None), ("nwhc", None), ("nwch", None), ("nchwt", None), ("ntdhwc", None), ("ndhw", "hw"), ("ntchwd", "hw"),
]  # fmt: skip
RECIPES = [
    ma.CutMix(),
    ma.MixUp(sources=3),
    ma.Mosaic(),
    ma.SmoothMix(),
    ma.one_of(ma.MixUp(), ma.GridMix(), ma.RICAP()),
]


def pixels(letters: str, dtype: str = "float32", **lengths: int) -> np.ndarray:
    lengths = {**LENGTHS, **lengths}
    return (np.random.default_rng(0).random([lengths[a] for a in letters.lower()]) * 255).astype(dtype)


def size(letters: str, spatial: str | None = None) -> tuple[int, ...]:
    return tuple(LENGTHS[a] for a in parse(letters, spatial).spatial)


def defined(mix: ma.Mix, x: np.ndarray, letters: str, spatial: str | None) -> np.ndarray:
    """The mixed images by definition: pixel weights times the sources, the same along all other axes."""
    axes, over = parse(letters, spatial)
    order = ["n", *over, *(a for a in axes[1:] if a not in over)]
    x = np.transpose(x, [axes.index(a) for a in order]).astype(np.float64)
    flat = x.reshape(*x.shape[: 1 + len(over)], -1)
    shown = ways.seen_through(mix, flat[mix.index])
    mixed = (mix.pixel_weights().astype(np.float64)[..., None] * shown).sum(axis=0).reshape(-1, *x.shape[1:])
    return np.transpose(mixed, [order.index(a) for a in axes])


@pytest.mark.parametrize("library", ways.MAKE)
@pytest.mark.parametrize(("letters", "spatial"), LAYOUTS, ids=str)
def test_every_layout_is_mixed_by_its_definition(letters, spatial, library):
    x = pixels(letters)
    for step, recipe in enumerate(RECIPES):
        mix = recipe.draw(N, size(letters, spatial), key=(0, step))
        given = ways.MAKE[library](x)
        got = mix.images(given, letters, spatial=spatial)
        assert type(got) is type(given)
        np.testing.assert_allclose(ways.values(got), defined(mix, x, letters, spatial), rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(ways.values(given), x)


@pytest.mark.parametrize(("letters", "spatial"), LAYOUTS, ids=str)
def test_scales_sources_and_memory_of_every_layout(letters, spatial):
    data, rows = pixels(letters, n=9), np.array([8, 1, 5, 3, 0])
    mix = ma.CutMix().draw(N, size(letters, spatial), key=(0, 1), index=np.stack([rows, rows[::-1]]))
    scale = np.float32([1, 2, 3]) if "c" in letters.lower() else np.float32(2)
    along = [3 if a == "c" else 1 for a in letters.lower()] if "c" in letters.lower() else []
    want = defined(mix, data, letters, spatial) * scale.reshape(along)
    out = np.empty(want.shape, np.float32)
    options = {"spatial": spatial, "source": data, "scale": scale, "out": out}
    assert mix.images(None, letters, **options) is out
    np.testing.assert_allclose(out, want, rtol=1e-5)
    strided = data[rows][..., ::-1]
    got = mix.images(strided, letters, spatial=spatial, source=data[..., ::-1], scale=scale)
    assert got.shape == want.shape


@pytest.mark.slow_ways
@pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("letters", ["ntchw", "nthwc", "nhw", "nct"])
def test_the_label_is_the_pixels_of_every_frame_and_channel(letters, way):
    ids = np.broadcast_to(np.arange(N, dtype=np.float32).reshape(-1, *[1] * (len(letters) - 1)), pixels(letters).shape)

    def run(x, y):
        fields = {"images": ma.Images(letters)}
        return ma.mix_batch(ma.CutMix(), (x, y), key=(0, 2), num_classes=N, fields=fields)

    images, labels = map(ways.values, way(run, ids.copy(), np.arange(N)))
    own = (images == ids).reshape(N, -1).mean(axis=1)
    np.testing.assert_allclose(own, labels[np.arange(N), np.arange(N)], atol=1e-6)
    shared = [i for i, a in enumerate(letters) if a in "tc" and a not in parse(letters).spatial]
    assert (np.ptp(images, axis=tuple(shared)) == 0).all() if shared else True


@pytest.mark.parametrize("library", ways.MAKE)
def test_rows_of_a_table_are_blended(library):
    x, y = np.eye(4, dtype=np.float32), np.arange(4)
    fields = {"images": ma.Images("nc")}
    batch = tuple(map(ways.MAKE[library], (x, y)))
    for recipe in (ma.MixUp(), ma.one_of(ma.MixUp(sources=3), ma.identity()), ma.sometimes(0.5, ma.MixUp())):
        mixed, labels = map(ways.values, ma.mix_batch(recipe, batch, key=(0, 0), num_classes=4, fields=fields))
        np.testing.assert_allclose(mixed, labels, atol=1e-6)
    for recipe in (ma.CutMix(), ma.SmoothMix(), ma.one_of(ma.MixUp(), ma.CutMix()), ma.Cutout()):
        with pytest.raises(ValueError, match=r"combines sources by place, got none, .* use a blend, such as ma.MixUp"):
            ma.mix_batch(recipe, batch, key=(0, 0), num_classes=4, fields=fields)


AMBIGUOUS = [
    ((4, 3, 32, 32), "nchw", "nhwc"), ((4, 28, 28), "nhw", "ntc"),
    ((4, 8, 16, 16, 3), "nthwc", "ndhwc"), ((4, 7), "nc", None),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "said", "other"), AMBIGUOUS)
@pytest.mark.parametrize("library", ways.MAKE)
def test_ambiguous_shapes_raise_and_either_reading_can_be_declared(library, shape, said, other):
    if library == "torch":
        shape = {(4, 3, 32, 32): (4, 32, 32, 3), (4, 8, 16, 16, 3): (4, 8, 3, 16, 16)}.get(shape, shape)
        said, other = {"nchw": ("nhwc", "nchw"), "nthwc": ("ntchw", "ncdhw"), "nhw": ("nhw", "nct")}.get(
            said, (said, other)
        )
    x, y = ways.MAKE[library](np.zeros(shape, np.float32)), ways.MAKE[library](np.arange(4))
    with pytest.raises(ValueError, match=rf"images: .*fields={{'images': ma.Images\(layout='{said}'\)}}") as caught:
        ma.mix_batch(ma.MixUp(), (x, y), key=(0, 0), num_classes=4)
    assert other is None or repr(other) in str(caught.value)
    with pytest.raises(ValueError, match=rf"pass layout='{said}'"):
        ma.MixUp().draw(4, (3, 3), key=(0, 0)).images(x)
    for layout in filter(None, (said, other)):
        ma.mix_batch(ma.MixUp(), (x, y), key=(0, 0), num_classes=4, fields={"images": ma.Images(layout=layout)})


def test_unknown_lengths_do_not_count_as_evidence():
    run = tf.function(lambda x, y: ma.mix_batch(ma.CutMix(), (x, y), key=(0, 0), num_classes=4))
    spec = tf.TensorSpec([None, None, None, None]), tf.TensorSpec([None], tf.int32)
    assert run.get_concrete_function(*spec).structured_outputs[0].shape.rank == 4


@pytest.mark.parametrize("layout", ["hwc", "nhwcc", "nhxc", "first", "n", ""])
def test_invalid_layouts_raise(layout):
    with pytest.raises(ValueError, match=r"layout: expected n \(rows\) first"):
        parse(layout)
    for spatial in ("c", "hh", "t", ""):
        with pytest.raises(ValueError, match="spatial: expected axes of the layout"):
            parse("nhwc", spatial)


@pytest.mark.parametrize("library", ways.MAKE)
@pytest.mark.parametrize("dtype", ["int16", "uint16"])
def test_integers_of_16_bits_are_scaled_or_refused(library, dtype):
    x = np.broadcast_to(np.array([0, 1000, 30000, 32767]).astype(dtype)[:, None, None, None], (4, 8, 8, 3)).copy()
    if dtype == "uint16":
        x[3] = 65535
    given = ways.MAKE[library](x)
    scale = 1 / np.iinfo(dtype).max
    y, options = ways.MAKE[library](np.arange(4)), {"key": (0, 0), "num_classes": 4}
    layout = ma.Images(layout="nhwc")
    with pytest.raises(TypeError, match=rf"dtype=\"float32\", scale=1 / {np.iinfo(dtype).max}"):
        ma.mix_batch(ma.CutMix(), (given, y), fields={"images": layout}, **options)
    for recipe in (ma.CutMix(), ma.MixUp(), ma.Mosaic(), ma.SmoothMix(), ma.Cutout(fill=3)):
        fields = {"images": ma.Images(layout="nhwc", dtype="float32", scale=scale)}
        got, _ = ma.mix_batch(recipe, (given, y), fields=fields, **options)
        want, _ = ma.mix_batch(recipe, (x.astype(np.float32), np.arange(4)), fields=fields, **options)
        np.testing.assert_allclose(ways.values(got), want, rtol=1e-5, atol=1e-7)


def test_masks_of_frames_follow_the_frames():
    clips, masks = pixels("ntchw"), np.random.default_rng(1).integers(0, 3, (N, 4, 8, 6)).astype(np.uint8)
    for recipe in (ma.CutMix(), ma.SmoothMix(), ma.Mosaic()):
        fields = {"images": ma.Images("ntchw"), "labels": ma.Masks(layout="nthw")}
        _, mixed = ma.mix_batch(recipe, (clips, masks), key=(0, 3), fields=fields)
        mix = recipe.draw(N, (8, 6), key=(0, 3))
        each = np.stack([mix.masks(np.ascontiguousarray(masks[:, t])) for t in range(4)], axis=1)
        np.testing.assert_array_equal(mixed, each)
        soft = mix.masks(masks, num_classes=3, soft=True, layout="nthw")
        each = np.stack([mix.masks(np.ascontiguousarray(masks[:, t]), num_classes=3, soft=True) for t in range(4)], 1)
        np.testing.assert_allclose(soft, each, atol=1e-6)


@pytest.mark.parametrize("library", ways.MAKE)
@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.SmoothMix(), ma.Mosaic(), ma.Cutout()], ids=repr)
def test_soft_masks_equal_the_masks_of_their_ids(recipe, library):
    ids = np.random.default_rng(2).integers(0, 7, (N, 8, 6))
    hot = np.eye(7, dtype=np.float32)[ids]
    hot = np.moveaxis(hot, -1, 1).copy() if library == "torch" else hot
    mix = recipe.draw(N, (8, 6), key=(0, 4))
    want = ways.values(mix.masks(ways.MAKE[library](ids), num_classes=7, soft=True))
    for given in (hot, hot.astype(bool)):
        got = mix.masks(ways.MAKE[library](given), num_classes=7, soft=True)
        np.testing.assert_allclose(ways.values(got), want, atol=1e-6)


def test_torch_layers_and_compiled_code_take_layouts():
    clips, y = torch.rand(4, 2, 3, 8, 8), torch.arange(4)
    mixed = ma.torch.Mixed(ma.CutMix(), num_classes=4, fields={"images": ma.Images("ntchw")})
    want = mixed(clips, y, step=3)
    torch._dynamo.reset()
    got = torch.compile(mixed, fullgraph=True, backend="aot_eager")(clips, y, step=torch.tensor(3))
    torch.testing.assert_close(got[0], want[0])


@pytest.mark.parametrize("layout", ["nhwc", "NCHW", None])
def test_soft_masks_of_ids_have_their_classes_where_the_layout_of_the_field_says(layout):
    ids = torch.arange(2).reshape(2, 1, 1).expand(2, 4, 6)
    fields = {"image": "images", "mask": ma.Masks(num_classes=3, soft=True, layout=layout)}
    out = ma.mix_batch("identity", {"image": torch.zeros(2, 3, 4, 6), "mask": ids}, key=0, fields=fields)
    want = np.eye(3)[ids.numpy()]
    np.testing.assert_array_equal(out["mask"], want if layout == "nhwc" else np.moveaxis(want, -1, 1))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_soft_masks_have_nothing_of_pixels_that_are_not_seen(number):
    shares = np.zeros((4, 6, 6, 2), np.float32)
    shares[2] = number
    fields = {"image": "images", "mask": ma.Masks(soft=True)}
    out = ma.mix_batch("cutmix(lam=0.5)", {"image": np.zeros((4, 6, 6, 3), np.float32), "mask": shares}, key=1,
                       fields=fields, return_mix=True)  # fmt: skip
    from_2 = ((out["mix"].index == 2)[..., None, None] & (out["mix"].pixel_weights() > 0)).any(axis=0)
    assert 0 < from_2.sum() < from_2.size
    np.testing.assert_array_equal(out["mask"], np.where(from_2, number, 0)[..., None].repeat(2, -1).astype(np.float32))
