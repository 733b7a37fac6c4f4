"""Outputs of another size than their sources: images, masks, objects and labels, in every library and adapter."""

from __future__ import annotations

import grain
import jax
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import torch

import mixaug as ma
import ways
from mixaug.core.regions import Dense, Paste
from mixaug.mix import assemble

N = 6
RECIPES = [
    ma.Mosaic(),
    ma.Mosaic(tiles=(2, 3), jitter=0.5),
    ma.one_of(ma.Mosaic(tiles=3), ma.Mosaic()),
    ma.per_batch(ma.Mosaic()),
]
SHAPES = [((9, 14), (20, 11)), ((16, 12), (8, 6)), ((7,), (19,)), ((4, 9, 8), (6, 7, 11))]  #: sources, outputs


def pixels(size: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    return np.random.default_rng(0).uniform(0, 255, (N, *size, 3)).astype(kind)


def defined(mix: ma.Mix, x: np.ndarray) -> np.ndarray:
    """Each output pixel comes from the source whose box contains it, at the position given by the source box."""
    n = mix.index.shape[1]
    out = np.zeros((n, *mix.size, *x.shape[1 + len(mix.size) :]), x.dtype)
    for j, (box, source_box) in enumerate(zip(mix.region.box, mix.region.source_box, strict=True)):
        for i in range(n):
            if box is None:
                continue
            places = []
            for (to, end), (start, stop) in zip(box[i].tolist(), source_box[i].tolist(), strict=True):
                places.append(
                    [int(start + (p - to + 0.5) * (stop - start) // max(end - to, 1)) for p in range(to, end)]
                )
            tile = tuple(slice(*ends) for ends in box[i].tolist())
            out[(i, *tile)] = x[mix.index[j, i]][np.ix_(*places)]
    return out


@pytest.mark.parametrize(("source_size", "size"), SHAPES, ids=str)
@pytest.mark.parametrize("recipe", RECIPES, ids=repr)
def test_images_equal_the_definition_and_labels_match_the_visible_pixels(recipe, source_size, size):
    mix = recipe.draw(N, size, key=0, source_size=source_size)
    assert (mix.size, mix.source_size) == (size, source_size)
    x = pixels(source_size)
    np.testing.assert_array_equal(mix.images(x, ways.layout_of(x)), defined(mix, x))
    own = ways.own_class_everywhere(N, source_size)
    images = mix.images(own, ways.layout_of(own))
    assert images.shape == (N, *size, N)
    ways.assert_label_is_the_pixels(images, mix.labels(np.arange(N), N))
    assert (mix.pixel_weights().sum(axis=0) == 1).all()


@pytest.mark.parametrize("way", ways.WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("recipe", [ma.Mosaic(), ma.one_of(ma.Mosaic(tiles=(1, 2)), ma.RICAP())], ids=repr)
def test_every_library_makes_the_same_outputs(recipe, way):
    size, source_size = (8, 13), (9, 14)
    x, mask = pixels(source_size), np.arange(N)[:, None, None] + np.zeros((1, *source_size), np.int32)

    def run(x, mask):
        mix = recipe.draw(ways.count(x), size, key=0, source_size=source_size, like=x)
        return mix, mix.images(x, "nhwc"), mix.masks(mask, layout="nhw")

    want, (mix, images, masks) = (
        recipe.draw(N, size, key=0, source_size=source_size),
        way(run, x, mask.astype(np.int32)),
    )
    assert mix.flatten()[0] == want.flatten()[0]
    assert mix.source_size == source_size
    for one, other in zip(mix.flatten()[1], want.flatten()[1], strict=True):
        ways.assert_same(one, other, ways.array_of(way))
    ways.assert_same(images, defined(want, x), ways.array_of(way))
    ways.assert_same(masks, defined(want, mask.astype(np.int32)), ways.array_of(way))


@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float64"])
def test_dtypes_layouts_and_units(dtype):
    x, mix = pixels((9, 14), dtype), ma.Mosaic().draw(N, (20, 11), key=0, source_size=(9, 14))
    want = defined(mix, x)
    for layout in ("nhwc", "nchw", "nhcw"):
        order = ["nhwc".index(letter) for letter in layout]
        got = mix.images(np.ascontiguousarray(x.transpose(order)), layout)
        np.testing.assert_array_equal(got, want.transpose(order))
    for layout in ("nthwc", "ntchw", "ncthw"):
        order = ["nthwc".index(letter) for letter in layout]
        video = np.stack([x, x[:, ::-1]], axis=1)
        got = mix.images(np.ascontiguousarray(video.transpose(order)), layout)
        both = np.stack([want, defined(mix, np.ascontiguousarray(x[:, ::-1]))], axis=1)
        np.testing.assert_array_equal(got, both.transpose(order))
    made = mix.images(x, dtype="float64" if dtype == "float64" else "float32", scale=(0.5, 1, 2), offset=1.0)
    np.testing.assert_allclose(made, want.astype(np.float64) * (0.5, 1, 2) + 1, rtol=1e-6)
    out = np.empty_like(want)
    assert mix.images(x, out=out) is out
    np.testing.assert_array_equal(out, want)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
@pytest.mark.parametrize("size", [(640, 500), (33, 700)], ids=str)
def test_large_outputs_are_the_same_by_kernels_and_by_the_library(size, dtype):
    """Tiles that end within lines, outputs written with non-temporal stores, and channels first."""
    x = np.random.default_rng(0).integers(0, 255, (N, 300, 211, 3)).astype(dtype)
    for recipe in (ma.Mosaic(), ma.Mosaic(tiles=(3, 2))):
        mix = recipe.draw(N, size, key=0, source_size=(300, 211))
        want = mix.images(np.repeat(x, 2, axis=2)[:, :, ::2])  # not supported by the kernels
        np.testing.assert_array_equal(mix.images(x), want)
        first = np.ascontiguousarray(np.moveaxis(x, -1, 1))
        np.testing.assert_array_equal(np.moveaxis(mix.images(first, "nchw"), 1, -1), want)
        last = torch.from_numpy(first).to(memory_format=torch.channels_last)
        np.testing.assert_array_equal(mix.images(last).movedim(1, -1).numpy(), want)
        scaled = mix.images(x, dtype="float32", scale=(0.5, 1, 2), offset=1)
        np.testing.assert_allclose(scaled, want.astype(np.float32) * np.float32([0.5, 1, 2]) + 1, rtol=1e-6)
        np.testing.assert_array_equal(mix.masks(x[..., 0].astype(np.int16)), want[..., 0].astype(np.int16))
    volumes = x[:, :40, :60].reshape(N, 10, 40, 6, 3).copy()
    mix = ma.Mosaic().draw(N, (7, 90, 80), key=0, source_size=(10, 40, 6))
    want = mix.images(np.repeat(volumes, 2, axis=2)[:, :, ::2], "ndhwc")
    np.testing.assert_array_equal(mix.images(volumes, "ndhwc"), want)
    first = np.ascontiguousarray(np.moveaxis(volumes, -1, 1))
    np.testing.assert_array_equal(np.moveaxis(mix.images(first, "ncdhw"), 1, -1), want)


def test_int16_is_not_mixed_as_float16():
    """For the kernels float16 and int16 are the same."""
    x, mix = pixels((9, 14), "int16"), ma.Mosaic().draw(N, (20, 11), key=0, source_size=(9, 14))
    got = mix.images(x, dtype="float32", scale=0.5)
    np.testing.assert_allclose(got, defined(mix, x).astype(np.float32) * 0.5, rtol=1e-6)


def test_holes_over_windows():
    """A hole in a tile, and two that overlap."""
    for hole in (np.int32([[[0, 2], [0, 4]]]), np.int32([[[[0, 2], [0, 4]], [[1, 2], [2, 4]]]])):
        of, boxes = np.int32([[[0, 12], [0, 16]]]), (np.int32([[[2, 6], [0, 8]]]), np.int32([[[0, 2], [4, 8]]]))
        region = Paste(None, boxes, (of, of), hole, np.float32([7]))
        mix = ma.Mix(np.int32([[0], [1]]), np.float32([[0.8], [0.2]]), region, (6, 8), (12, 16))
        x = np.stack([np.full((12, 16, 3), 1, np.float32), np.full((12, 16, 3), 2, np.float32)])
        for source in (x, np.repeat(x, 2, axis=2)[:, :, ::2]):
            got = mix.images(source[:1], source=source)[0, ..., 0]
            assert (got[:2, :4] == 7).all()
            assert (got[:2, 4:] == 2).all()
            assert (got[2:] == 1).all()
        ids = mix.masks(x[:1, ..., 0].astype(np.uint8), source=x[..., 0].astype(np.uint8))[0]
        assert (ids[:2, :4] == 1).all()
        assert (ids[:2, 4:] == 2).all()


def test_kernels_stay_within_the_images_whatever_boxes_say():
    """Unchecked values, as from a compiled draw of a third-party recipe."""
    rng, x = np.random.default_rng(0), pixels((9, 14))
    for _ in range(200):
        boxes, of = (tuple(rng.integers(-30, 40, (N, 2, 2)).astype(np.int32) for _ in range(3)) for _ in range(2))
        region = Paste(None, boxes, of)
        index = rng.integers(0, N, (3, N)).astype(np.int32)
        mix = ma.Mix(index, np.full((3, N), 1 / 3, np.float32), region, (20, 11), (9, 14), _checked=True)
        out = mix.images(x)
        assert np.isin(out, x).all()


def test_sources_are_rows_of_a_dataset():
    dataset, rows = pixels((9, 14)), np.array([[5, 3], [1, 1], [2, 0], [4, 4]])
    mix = ma.Mosaic().draw(2, (20, 11), key=0, source_size=(9, 14), index=rows)
    np.testing.assert_array_equal(mix.images(None, source=dataset), defined(mix, dataset))
    np.testing.assert_array_equal(mix.images(dataset[[5, 3]], source=dataset), defined(mix, dataset))
    ids = dataset[..., 0].astype(np.int32)
    np.testing.assert_array_equal(mix.masks(ids[[5, 3]], source=ids), defined(mix, ids))


def test_masks_follow_the_images():
    mix, ids = ma.Mosaic().draw(N, (20, 12), key=1, source_size=(10, 14)), pixels((10, 14))[..., 0].astype(np.int64) % 5
    want = defined(mix, ids)
    np.testing.assert_array_equal(mix.masks(ids), want)
    np.testing.assert_array_equal(mix.masks(ids, num_classes=5, soft=True), np.eye(5)[want])
    ignored = mix.masks(ids, 4, num_classes=5, soft=True)
    np.testing.assert_array_equal(ignored[want != 4], np.eye(5)[want[want != 4]])
    assert (ignored[want == 4] == 0).all()
    shares = np.eye(5, dtype=np.float32)[ids]
    np.testing.assert_array_equal(mix.masks(shares, num_classes=5, soft=True, layout="nhwc"), np.eye(5)[want])
    frames = np.stack([ids, ids], axis=1)
    np.testing.assert_array_equal(mix.masks(frames, layout="nthw"), np.stack([want, want], axis=1))
    with pytest.raises(ValueError, match=r"masks: expected class ids in 0..2, got 0..4"):
        mix.masks(ids, num_classes=3)


@pytest.mark.parametrize("size", [(20, 28), (24, 12), (10, 14)], ids=str)
def test_fields_of_another_size_keep_their_ratio(size):
    """A mask of half the size: each pixel equals its image pixel where sources agree."""
    mix = ma.Mosaic().draw(N, size, key=1, source_size=(10, 14))
    ids = np.arange(N)[:, None, None] + np.zeros((1, 10, 14), np.int64)
    large, small = mix.masks(ids), mix.masks(ids[:, :5, :7])
    assert small.shape == (N, size[0] // 2, size[1] // 2)
    np.testing.assert_array_equal(small, large[:, 1::2, 1::2])
    assert mix.masks(ids[:, :3, :3]).shape == (N, 3 * size[0] // 10, 3 * size[1] // 14)
    assert mix.masks(ids[:, :1, :1]).shape == (N, max(size[0] // 10, 1), max(size[1] // 14, 1))
    ramp = np.arange(5)[None, :, None] + np.zeros((N, 1, 7), np.int64)  # rows of the source
    shown = mix.masks(ramp)
    fine = mix.masks(np.repeat(np.repeat(ramp, 2, axis=1), 2, axis=2))
    assert abs(shown - fine[:, 1::2, 1::2]).max() <= 1


def objects() -> tuple[np.ndarray, np.ndarray]:
    """Boxes xyxy (N, 3, 4) and their masks, in images of (12, 16)."""
    rng = np.random.default_rng(3)
    first = rng.integers(0, [12, 8], (N, 3, 2))
    boxes = np.concatenate([first, first + rng.integers(1, 5, (N, 3, 2))], axis=2).astype(np.float32)
    masks = np.zeros((N, 3, 12, 16), bool)
    for i, m in np.ndindex(N, 3):
        left, top, right, bottom = boxes[i, m].astype(int)
        masks[i, m, top:bottom, left:right] = True
    return boxes, masks


@pytest.mark.parametrize("recipe", [ma.Mosaic(), ma.Mosaic(tiles=3), ma.one_of(ma.Mosaic(), ma.Mosaic(tiles=3))])
@pytest.mark.parametrize("size", [(24, 32), (36, 16), (12, 20)], ids=str)
def test_boxes_are_moved_and_scaled_with_their_sources(recipe, size):
    boxes, masks = objects()
    mix = recipe.draw(N, size, key=2, source_size=(12, 16))
    mixed = mix.boxes(boxes, labels=np.arange(N)[:, None].repeat(3, axis=1))
    parts = boxes / [16, 12, 16, 12]
    normalized = mix.boxes(parts.astype(np.float32), normalized=True)
    instances = mix.instances(masks)
    assert instances.masks.shape[2:] == size
    shown = mix.masks(np.arange(N)[:, None, None] + np.zeros((1, 12, 16), np.int64))
    for j in range(mix.index.shape[0]):
        for i, m in np.ndindex(N, 3):
            slot, row = 3 * j + m, mix.index[j, i]
            box = np.zeros((2, 2), int) if mix.region.box[j] is None else mix.region.box[j][i]
            sides = (box[:, 1] - box[:, 0])[::-1]
            if not sides.all():
                assert mixed.weight[i, slot] == 0
                assert not instances.masks[i, slot].any()
                continue
            start = box[::-1, 0]
            want = np.concatenate([start, start]) + parts[row, m] * np.concatenate([sides, sides])
            assert mixed.labels[i, slot] == row
            np.testing.assert_allclose(mixed.boxes[i, slot], want, atol=1e-3)
            assert abs(mixed.weight[i, slot] - 1) < 1e-5
            np.testing.assert_allclose(normalized.boxes[i, slot] * [*size[::-1], *size[::-1]], want, atol=1e-3)
            at = np.argwhere(instances.masks[i, slot])[:, ::-1]
            if len(at):
                assert (at + 0.5 >= want[:2] - 0.51).all()
                assert (at + 0.5 <= want[2:] + 0.51).all()
                assert (shown[i][instances.masks[i, slot]] == row).all()


def test_a_crop_of_a_larger_source_clips_its_objects():
    """One tile that shows the left half of a source of twice the size."""
    region = Paste(None, (np.int32([[[0, 6], [0, 8]]]),), (np.int32([[[0, 12], [0, 8]]]),))
    mix = ma.Mix(np.int32([[0]]), np.float32([[1]]), region, (6, 8), (12, 16))
    mixed = mix.boxes(np.float32([[[4, 2, 12, 6], [10, 2, 14, 6], [0, 0, 8, 12]]]), min_visibility=0.1)
    np.testing.assert_allclose(mixed.weight, [[0.5, 0, 1]])
    np.testing.assert_allclose(mixed.boxes[0, [0, 2]], [[4, 1, 8, 3], [0, 0, 8, 6]])
    points = mix.keypoints(np.float32([[[4.5, 2.5, 2], [12, 3, 2], [20, 3, 2]]]))
    np.testing.assert_allclose(points.weight, [[1, 0, 0]])
    np.testing.assert_allclose(points.points[0, 0], [4.5, 1.25, 2])
    masks = np.zeros((1, 1, 12, 16), bool)
    masks[0, 0, 2:6, 4:12] = True
    instances = mix.instances(masks)
    np.testing.assert_allclose(instances.weight, [[0.5]])
    assert np.argwhere(instances.masks[0, 0]).min(axis=0).tolist() == [1, 4]
    assert instances.masks.sum() == 2 * 4


def test_visible_counts_the_foreground_of_the_outputs():
    mix = ma.Mosaic().draw(N, (24, 30), key=2, source_size=(12, 16))
    foreground = np.zeros((N, 12, 16), bool)
    foreground[:, 3:9, 2:7] = True
    foreground[1] = False
    seen = np.stack([(defined(mix, foreground) & (mix.pixel_weights()[j] > 0)).sum(axis=(1, 2)) for j in range(4)])
    np.testing.assert_allclose(mix.visible(foreground).lam, seen / seen.sum(axis=0), atol=1e-6)
    assert (mix.visible(foreground).unseen == ((seen == 0) & foreground.any(axis=(1, 2))[mix.index])).all()


def test_files_trees_and_joined_mixes_keep_the_size_of_the_sources(tmp_path):
    x, y = pixels((9, 14)), np.arange(N)
    images, _, mix = ma.mix_batch(ma.Mosaic(), (x, y), key=0, num_classes=N, size=(20, 11), copies=2, return_mix=True)
    assert images.shape == (2 * N, 20, 11, 3)
    mix.save(tmp_path / "mix.npz")
    read = ma.Mix.load(tmp_path / "mix.npz")
    assert read.source_size == (9, 14)
    np.testing.assert_array_equal(read.images(np.concatenate([x, x])), images)
    again = jax.tree_util.tree_map(lambda a: a, ma.Mix.load(tmp_path / "mix.npz", like=jax.numpy.zeros(1)))
    assert again.source_size == (9, 14)
    plain = ma.Mosaic().draw(N, (9, 14), key=0)
    assert plain.source_size is None
    assert len(plain.flatten()[0]) == 4


def test_the_size_of_the_images_is_the_same_as_none():
    x, y = pixels((9, 14)), np.arange(N)
    for recipe in (ma.CutMix(), ma.MixUp(), ma.Mosaic(), ma.RICAP()):
        said = ma.mix_batch(recipe, (x, y), key=0, num_classes=N, size=(9, 14))
        for one, other in zip(said, ma.mix_batch(recipe, (x, y), key=0, num_classes=N), strict=True):
            np.testing.assert_array_equal(one, other)


def test_crops_of_larger_sources():
    mix, x = ma.RICAP().draw(N, (6, 9), key=0, source_size=(9, 14)), pixels((9, 14))
    np.testing.assert_array_equal(mix.images(x), defined(mix, x))
    for box, source_box in zip(mix.region.box, mix.region.source_box, strict=True):
        np.testing.assert_array_equal(box[..., 1] - box[..., 0], source_box[..., 1] - source_box[..., 0])
    boxes = ma.RICAP().draw(500, (6, 9), key=0, source_size=(60, 90)).region.source_box
    assert (np.concatenate(boxes)[..., 0].max(axis=0) > [50, 75]).all()


@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(), ma.GridMix(), ma.ResizeMix(), ma.SmoothMix(),
                                    ma.sometimes(0.5, ma.Mosaic())], ids=repr)  # fmt: skip
def test_recipes_that_do_not_resize_raise_with_size(recipe):
    x, y = pixels((9, 14)), np.arange(N)
    sentence = r"size: expected \(9, 14\), the size of the sources, for .*, which does not resize them, got \(8, 8\); "
    with pytest.raises(ValueError, match=sentence + r"pass size=\(9, 14\), or a recipe that resizes its sources"):
        ma.mix_batch(recipe, (x, y), key=0, num_classes=N, size=(8, 8))
    ma.mix_batch(recipe, (x, y), key=0, num_classes=N, size=(9, 14))
    ma.mix_batch(ma.Mosaic(), (x, y), key=0, num_classes=N, size=(8, 8))


def test_other_sizes_that_are_refused():
    x, y, options = pixels((9, 14)), np.arange(N), {"key": 0, "num_classes": N}
    with pytest.raises(
        ValueError, match=r"size: expected at most \(9, 14\), the size of the sources, for RICAP, which"
    ):
        ma.mix_batch(ma.RICAP(), (x, y), size=(10, 10), **options)
    with pytest.raises(
        ValueError, match=r"size: expected 2 lengths, as the sources have the size \(9, 14\), got \(8,\); pass one"
    ):
        ma.mix_batch(ma.Mosaic(), (x, y), size=(8,), **options)
    with pytest.raises(ValueError, match="size: expected lengths of 1 or more, got"):
        ma.mix_batch(ma.Mosaic(), (x, y), size=(0, 8), **options)
    with pytest.raises(
        ValueError, match=r"include_clean: expected outputs of the size of the images, \(9, 14\), beside"
    ):
        ma.mix_batch(ma.Mosaic(), (x, y), size=(8, 8), include_clean=True, **options)
    ma.mix_batch(ma.Mosaic(), (x, y), size=(9, 14), include_clean=True, **options)
    mix = ma.Mosaic().draw(N, (20, 11), key=0, source_size=(9, 14))
    with pytest.raises(ValueError, match="images: expected 2 spatial axes"):
        mix.images(np.zeros((N, 9, 14, 3, 3), np.float32), "nhwdc")
    with pytest.raises(ValueError, match="images: expected 6 rows"):
        mix.images(x[:4])
    with pytest.raises(ValueError, match="expected mixes of one size"):
        ma.mix.joined([mix, ma.Mosaic().draw(N, (20, 11), key=0, source_size=(10, 14))])


WHOLE = np.int32([[[0, 6], [0, 8]]])


@pytest.mark.parametrize(
    ("region", "sentence"),
    [
        (Paste(None, (np.int32([[[0, 6], [0, 7]]]),), (WHOLE * 2,)), "region: box_0: expected boxes and holes that"),
        (Paste(None, (WHOLE,), (WHOLE * 3,)), r"region: source_box_0: expected 0 <= first <= last <= \(12, 16\)"),
        (Paste(None, (WHOLE,)), r"size: expected \(12, 16\), the size of the sources, for this region, which"),
        (Paste(np.float32([[1]]), (WHOLE,), (WHOLE,)), r"size: expected \(12, 16\), the size of the sources"),
        (Dense(np.ones((1, 1, 6, 8), bool), (WHOLE,), (WHOLE,)), r"size: expected \(12, 16\), the size of the sources"),
    ],
)  # fmt: skip
def test_regions_that_do_not_fit_are_refused(region, sentence):
    with pytest.raises(ValueError, match=sentence):
        ma.Mix(np.int32([[0]]), np.float32([[1]]), region, (6, 8), (12, 16))
    ma.Mix(np.int32([[0]]), np.float32([[1]]), Paste(None, (WHOLE,), (WHOLE,)), (6, 8), (12, 16))


def test_every_adapter_takes_size():
    x, y, recipe = pixels((9, 14), "uint8"), np.arange(N), ma.Mosaic()
    options = {"num_classes": N, "size": (20, 12)}
    assert recipe(x, y, key=0, **options)[0].shape == (N, 20, 12, 3)
    assert next(iter(ma.batches(recipe, x, y, 3, **options)))[0].shape == (3, 20, 12, 3)
    assert next(iter(ma.mixed(recipe, [(x, y)], epoch=0, **options)))[0].shape == (N, 20, 12, 3)
    ds = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
    for graph in (False, True):
        made = ds.apply(ma.tf.mixed(recipe, graph=graph, **options))
        assert made.element_spec[0].shape[1:] == (20, 12, 3)
        assert next(iter(made))[0].shape == (3, 20, 12, 3)
    first = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))
    assert ma.torch.Mixed(recipe, **options)(first, torch.from_numpy(y))[0].shape == (N, 3, 20, 12)
    items = torch.utils.data.TensorDataset(first, torch.from_numpy(y))
    assert next(iter(ma.torch.loader(recipe, items, 3, **options)))[0].shape == (3, 3, 20, 12)
    assert ma.torch.MixedDataset(recipe, items, **options)[0][0].shape == (3, 20, 12)
    zipped = ma.tf.mixed_zip(ma.Mosaic(tiles=(1, 2)), ds, ds, **options)
    assert next(iter(zipped))[0].shape == (3, 20, 12, 3)
    assert ma.keras.MixedDataset(recipe, x, y, 3, **options)[0][0].shape == (3, 20, 12, 3)
    items = [(image, int(label)) for image, label in zip(x, y, strict=True)]
    assert ma.grain.mixed(recipe, grain.MapDataset.source(items), **options)[0][0].shape == (20, 12, 3)
    jitted = jax.jit(lambda x, y: ma.mix_batch(recipe, (x, y), key=0, **options))
    np.testing.assert_array_equal(jitted(x, y)[0], ma.mix_batch(recipe, (x, y), key=0, **options)[0])


def test_sizes_that_are_unknown_until_run_time():
    x, y = pixels((9, 14), "uint8"), np.arange(N)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8), tf.TensorSpec([None], tf.int64),
                                  tf.TensorSpec([None, None, None], tf.int64)])  # fmt: skip
    def run(x, y, m):
        return ma.mix_batch(ma.Mosaic(), {"images": x, "labels": y, "masks": m}, key=0, num_classes=N, size=(20, 12))

    ids = x[..., 0].astype(np.int64)
    want = ma.mix_batch(ma.Mosaic(), {"images": x, "labels": y, "masks": ids}, key=0, num_classes=N, size=(20, 12))
    got = run(x, y, ids)
    for name, value in want.items():
        np.testing.assert_array_equal(got[name], value)


def test_a_batch_with_everything():
    boxes, masks = objects()
    batch = {
        "images": pixels((12, 16), "uint8"),
        "labels": np.arange(N),
        "masks": masks[:, 0].astype(np.uint8),
        "bounding_boxes": {"boxes": boxes, "labels": np.ones((N, 3), int), "masks": masks},
        "keypoints": np.ones((N, 2, 3), np.float32),
        "foreground": masks.any(axis=1),
    }
    fields = {"labels": ma.Labels(rule="visible")}
    options = {"key": 0, "num_classes": N, "size": (30, 24), "fields": fields, "return_mix": True}
    out = ma.mix_batch(ma.Mosaic(), batch, **options)
    mix = out.pop("mix")
    np.testing.assert_array_equal(out["images"], defined(mix, batch["images"]))
    np.testing.assert_array_equal(out["masks"], defined(mix, batch["masks"]))
    assert out["bounding_boxes"]["masks"].shape == (N, 12, 30, 24)
    assert out["bounding_boxes"]["boxes"].max() <= 30
    np.testing.assert_allclose(out["labels"].sum(axis=1), 1, atol=1e-6)
    ma.show(out, mix=mix)


def test_mixes_with_equal_sizes_have_no_source_size():
    region = Paste(None, (WHOLE,), (WHOLE,))
    assert assemble(ma.backends.common(), np.int32([[0]]), region, (6, 8), (6, 8)).source_size is None


def test_empty_copies_have_the_requested_size():
    batch = np.zeros((0, 2, 4, 2, 2), np.float32), np.zeros(0, np.uint8)
    options = {"num_classes": 2, "fields": (ma.Images(layout="ndhwc"), None), "copies": 3, "return_mix": True}
    images, _, mix = ma.mix_batch(ma.Mosaic(), batch, key=0, size=(2, 7, 8), **options)
    assert (images.shape, mix.size) == ((0, 2, 7, 8, 2), (2, 7, 8))


@pytest.mark.parametrize("array", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
def test_outputs_of_another_size_are_not_written_over_the_images(array):
    pixels = np.random.default_rng(0).integers(0, 256, 4 * 8 * 8 * 3).astype(np.uint8)
    memory = array(pixels.copy())
    x, out = memory.reshape(4, 8, 8, 3), memory[: 4 * 4 * 4 * 3].reshape(4, 4, 4, 3)
    mix = ma.Mosaic().draw(4, (4, 4), key=0, source_size=(8, 8))
    for own, source in ((x, None), (None, x), (x * 1, x)):
        with pytest.raises(ValueError, match="out: expected memory of its own, got memory of the images"):
            mix.images(own, "nhwc", source=source, out=out)
        np.testing.assert_array_equal(ways.values(memory), pixels)
    np.testing.assert_array_equal(ways.values(mix.images(x, "nhwc", out=out * 0)), ways.values(mix.images(x, "nhwc")))
