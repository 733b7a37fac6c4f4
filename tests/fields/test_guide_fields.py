"""Guides as fields of a batch, in every adapter; and recipes without their guide."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

import mixaug as ma
import ways
from mixaug.core import maps

N, SIZE = 6, (8, 10)
RECIPE = ma.SaliencyMix(lam=0.8)


def batch(n=N):
    """Image i is one-hot i at every pixel, and its map is salient at one pixel."""
    x = ways.own_class_everywhere(n, SIZE)
    saliency = np.zeros((n, *SIZE), np.float32)
    for i in range(n):
        saliency[i, (3 * i + 1) % SIZE[0], (7 * i + 2) % SIZE[1]] = 1 + i
    return {"images": x, "labels": np.arange(n), "saliency": saliency}


def assert_pasted_at_the_peaks(images, labels, saliency):
    """Where another class is visible, its most salient pixel is visible too; labels match the pixels."""
    images, labels = ways.values(images), ways.values(labels)
    ways.assert_label_is_the_pixels(images, labels)
    mixed = 0
    for image, label in zip(images, labels, strict=True):
        for c in np.flatnonzero((label > 0) & (label < 0.5)):
            at = np.unravel_index(saliency[c].argmax(), SIZE)
            assert image[(*at, c)] == 1
            mixed += 1
    assert mixed


def test_a_batch_with_a_field_called_saliency():
    given = batch()
    out = ma.mix_batch(RECIPE, given, key=0, num_classes=N, return_mix=True)
    assert_pasted_at_the_peaks(out["images"], out["labels"], given["saliency"])
    want = RECIPE.draw(N, SIZE, key=0, guide=given["saliency"])
    np.testing.assert_array_equal(out["mix"].pixel_weights(), want.pixel_weights())
    np.testing.assert_array_equal(out["saliency"], want.images(given["saliency"], "nhw"))  # the guide is mixed as well


@pytest.mark.parametrize("form", ["said", "nested", "tuple", "channel", "first", "turned"])
def test_a_guide_by_any_name_and_layout(form):
    given = batch()
    want = ma.mix_batch(RECIPE, given, key=0, num_classes=N)
    x, y, saliency = given.values()
    if form == "tuple":
        x, y, _ = ma.mix_batch(RECIPE, (x, y, saliency), key=0, num_classes=N, fields=("images", "labels", ma.Guide()))
    else:
        kind, like = {
            "said": (ma.Guide(), saliency),
            "nested": ("saliency", saliency),
            "channel": (ma.Guide(layout="nhwc"), saliency[..., None]),
            "first": (ma.Guide(layout="nchw"), saliency[:, None]),
            "turned": (ma.Guide(layout="nwh"), saliency.swapaxes(1, 2)),
        }[form]
        inputs = {"x": {"image": x, "map": like}, "y": y} if form == "nested" else {"image": x, "map": like, "y": y}
        fields = {"x/map" if form == "nested" else "map": kind, "y": "labels"}
        out = ma.mix_batch(RECIPE, inputs, key=0, num_classes=N, fields=fields)
        x, y = (out["x"]["image"] if form == "nested" else out["image"]), out["y"]
    np.testing.assert_array_equal(x, want["images"])
    np.testing.assert_array_equal(y, want["labels"])


def test_masks_are_looked_at_and_mixed():
    x, masks = ways.own_class_everywhere(4, (6, 6)), maps.example("masks", 4, (6, 6))
    out = ma.mix_batch(ma.ClassMix(), {"images": x, "masks": masks}, key=1, return_mix=True)
    want = ma.ClassMix().draw(4, (6, 6), key=1, guide=masks)
    np.testing.assert_array_equal(out["mix"].pixel_weights(), want.pixel_weights())
    np.testing.assert_array_equal(out["masks"], want.masks(masks))
    predicted = masks[::-1].copy()  # predicted masks say what is pasted, not those that the loss sees
    out = ma.mix_batch(
        ma.ClassMix(),
        {"images": x, "masks": masks, "predicted": predicted},
        key=1,
        fields={"predicted": ma.Guide("masks")},
        return_mix=True,
    )
    want = ma.ClassMix().draw(4, (6, 6), key=1, guide=predicted)
    np.testing.assert_array_equal(out["masks"], want.masks(masks))
    np.testing.assert_array_equal(out["predicted"], want.masks(predicted))


def objects(n=4, m=3, size=(10, 12)):
    masks = maps.example("instances", n, size)[:, :m]
    boxes = np.zeros((n, m, 4), np.float32)
    for i, j in np.ndindex(n, m):
        rows, columns = np.nonzero(masks[i, j])
        boxes[i, j] = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    return {"boxes": boxes, "masks": masks, "labels": np.arange(n * m).reshape(n, m)}


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("recipe", [ma.CopyPaste(part=0.6), ma.CopyPaste(part=0.6, scale=(0.4, 1.8))], ids=repr)
def test_pasted_objects_have_boxes_and_hide_other_objects(listed, recipe):
    size = (10, 12)
    for seed in range(25):
        targets = objects()
        given = (
            [dict(zip(targets, row, strict=True)) for row in zip(*targets.values(), strict=True)] if listed else targets
        )
        x = ways.own_class_everywhere(4, size)
        inputs = {"images": x, "bounding_boxes": given}
        out = ma.mix_batch(recipe, inputs, key=seed, return_mix=True)
        mix = recipe.draw(4, size, key=seed, guide=targets["masks"])
        np.testing.assert_array_equal(out["mix"].pixel_weights(), mix.pixel_weights())
        rows = (
            out["bounding_boxes"] if listed else [{k: v[i] for k, v in out["bounding_boxes"].items()} for i in range(4)]
        )
        for i, row in enumerate(rows):
            pasted = np.asarray(mix.region.weight[1, i])
            for label, mask, weight, box in zip(row["labels"], row["masks"], row["weight"], row["boxes"], strict=True):
                if weight <= 0:
                    continue
                source, j = divmod(int(label), 3)
                if source == i:
                    assert (mask == (targets["masks"][i, j] & ~pasted)).all()  # own objects lose what is covered
                else:
                    assert source == mix.index[1, i]
                    assert mask.sum() == 0 or (pasted[mask]).all()
                shown = pasted if source != i else ~pasted
                assert box[2] > box[0]
                columns = np.flatnonzero((shown & True).any(axis=0))
                assert columns.min() <= box[0]
                assert box[2] <= columns.max() + 1


def test_instances_can_be_the_only_guide_and_are_mixed():
    masks = objects()["masks"].astype(np.uint8)
    x = ways.own_class_everywhere(4, (10, 12))
    out = ma.mix_batch(ma.CopyPaste(part=1.0), {"images": x, "instances": masks}, key=0, return_mix=True)
    mix = ma.CopyPaste(part=1.0).draw(4, (10, 12), key=0, guide=masks)
    assert out["instances"].dtype == np.uint8
    np.testing.assert_array_equal(out["instances"] != 0, mix.instances(masks != 0, min_visibility=0.0).masks)


# --- every adapter ---


def test_keras_dataset_and_layer():
    given = batch()
    x = {"images": given["images"], "saliency": given["saliency"]}
    ds = ma.keras.MixedDataset(RECIPE, x, given["labels"], 4, num_classes=N)
    for index in range(2):
        inputs, labels = ds[index]
        assert_pasted_at_the_peaks(inputs["images"], labels, given["saliency"])
    layer = ma.keras.MixLayer(RECIPE, num_classes=N)
    out = layer(given)
    assert_pasted_at_the_peaks(out["images"], out["labels"], given["saliency"])
    said = ma.keras.MixLayer(RECIPE, num_classes=N, fields={"saliency": ma.Guide()})
    again = ma.keras.MixLayer.from_config(said.get_config())
    assert again.fields == {"saliency": ma.Guide()}
    assert keras.backend.backend()


@pytest.mark.parametrize("graph", [False, True])
def test_tf_data(graph):
    given = batch(8)
    ds = tf.data.Dataset.from_tensor_slices(given)
    for out in ds.batch(4).apply(ma.tf.mixed(RECIPE, num_classes=8, graph=graph)):
        assert_pasted_at_the_peaks(out["images"], out["labels"], given["saliency"])
    pairs = ma.tf.mixed_zip(RECIPE, ds, ds.skip(3), num_classes=8, graph=graph)
    rows = list(pairs)
    stacked = [np.stack([row[name] for row in rows]) for name in ("images", "labels")]
    assert_pasted_at_the_peaks(*stacked, given["saliency"])


class Samples(torch.utils.data.Dataset):
    def __init__(self):
        self.fields = batch(9)

    def __len__(self):
        return 9

    def __getitem__(self, i):
        return {name: torch.from_numpy(x)[i] if x.ndim > 1 else int(x[i]) for name, x in self.fields.items()}


def test_torch_loader_dataset_collate_and_module():
    fields, samples = {"images": ma.Images("nhwc")}, Samples()
    options = {"num_classes": 9, "fields": fields}
    doors = [
        ma.torch.loader(RECIPE, samples, 4, **options),
        ma.torch.loader(RECIPE, samples, 4, partners="dataset", **options),
        ma.torch.loader(RECIPE, samples, 4, num_workers=2, **options),
        torch.utils.data.DataLoader(ma.torch.MixedDataset(RECIPE, samples, **options), 4),
        torch.utils.data.DataLoader(samples, 4, collate_fn=ma.torch.MixingCollate(RECIPE, **options)),
    ]
    drawn = [list(door) for door in doors]
    for batches in drawn:
        whole = {name: torch.cat([out[name] for out in batches]) for name in ("images", "labels")}
        assert_pasted_at_the_peaks(whole["images"], whole["labels"], samples.fields["saliency"])
    for one, other in zip(drawn[0], drawn[2], strict=True):
        assert torch.equal(one["images"], other["images"])  # for any number of workers
    mixed = ma.torch.Mixed(RECIPE, **options)
    given = torch.utils.data.default_collate([samples[i] for i in range(9)])
    out = mixed(given)
    assert_pasted_at_the_peaks(out["images"], out["labels"], samples.fields["saliency"])


def test_ranks_draw_what_one_process_would():
    samples, options = Samples(), {"num_classes": 9, "fields": {"images": ma.Images("nhwc")}, "shuffle": False}
    whole = next(iter(ma.torch.loader(RECIPE, samples, 8, partners="dataset", **options)))
    parts = [
        next(iter(ma.torch.loader(RECIPE, samples, 4, partners="dataset", rank=rank, world_size=2, **options)))
        for rank in range(2)
    ]
    for name in ("images", "labels"):
        assert torch.equal(torch.cat([part[name] for part in parts]), whole[name])


def test_numpy_batches_and_any_iterable():
    given = batch(9)
    x = {"images": given["images"], "saliency": given["saliency"]}
    for inputs, labels in ma.batches(RECIPE, x, given["labels"], 5, epochs=1, num_classes=9):
        assert_pasted_at_the_peaks(inputs["images"], labels, given["saliency"])
    for out in ma.mixed(RECIPE, [given], epoch=0, num_classes=9):
        assert_pasted_at_the_peaks(out["images"], out["labels"], given["saliency"])


def test_copies_clean_rows_banks_and_pairings():
    given, bank = batch(), {name: x[:4] for name, x in batch().items()}
    bank["labels"] = bank["labels"].copy()
    out = ma.mix_batch(RECIPE, given, key=0, num_classes=N, include_clean=True, copies=2)
    assert len(out["images"]) == 3 * N
    np.testing.assert_array_equal(out["images"][:N], given["images"])
    assert_pasted_at_the_peaks(out["images"][N:], out["labels"][N:], given["saliency"])
    out = ma.mix_batch(RECIPE, given, key=0, num_classes=N, bank=bank)
    assert_pasted_at_the_peaks(out["images"], out["labels"], given["saliency"])
    out = ma.mix_batch(RECIPE, given, key=0, num_classes=N, pairing=ma.pairing.OtherClass())
    assert_pasted_at_the_peaks(out["images"], out["labels"], given["saliency"])


def test_grain():
    grain = pytest.importorskip("grain")
    given = batch()
    samples = [{name: x[i] for name, x in given.items()} for i in range(N)]
    ds = ma.grain.mixed(RECIPE, grain.MapDataset.source(samples), num_classes=N)
    rows = [ds[i] for i in range(N)]
    stacked = [np.stack([row[name] for row in rows]) for name in ("images", "labels")]
    assert_pasted_at_the_peaks(*stacked, given["saliency"])


def test_gradients_of_a_network_may_follow_a_guide():
    given = {name: torch.from_numpy(x) for name, x in batch().items()}
    wanted = ma.mix_batch(RECIPE, given, key=0, num_classes=N, fields={"images": ma.Images("nhwc")})
    given["saliency"].requires_grad_()
    out = ma.mix_batch(RECIPE, given, key=0, num_classes=N, fields={"images": ma.Images("nhwc")})
    assert torch.equal(out["images"], wanted["images"])


# --- a recipe without its guide, and guides without a recipe ---


def test_a_recipe_without_its_guide_is_refused_and_the_way_out_works():
    given = batch()
    x, y = given["images"], given["labels"]
    with pytest.raises(
        ValueError, match=r"SaliencyMix: expected a field of saliency to look at, got 'images', 'labels'; .*"
    ):
        RECIPE(x, y, num_classes=N, key=0)
    ma.mix_batch(RECIPE, {"images": x, "labels": y, "saliency": ma.guides.spectral_residual(x)}, num_classes=N, key=0)
    named = {"images": x, "labels": y, "mine": ma.guides.spectral_residual(x)}
    ma.mix_batch(RECIPE, named, num_classes=N, key=0, fields={"mine": ma.Guide("saliency")})
    with pytest.raises(ValueError, match=r"guide: expected saliency for SaliencyMix.*, got None; pass guide=ma.guides"):
        RECIPE.draw(N, SIZE, key=0)
    RECIPE.draw(N, SIZE, key=0, guide=ma.guides.spectral_residual(x))
    both = ma.one_of(ma.SaliencyMix(), ma.ClassMix())
    with pytest.raises(ValueError, match=r"pass guide=\{'masks': \.\.\., 'saliency': \.\.\.\}"):
        both.draw(N, SIZE, key=0)
    both.draw(N, SIZE, key=0, guide={need: maps.example(need, N, SIZE) for need in ("masks", "saliency")})


def test_values_that_are_not_a_guide_raise():
    saliency = batch()["saliency"]
    cases = [
        (ma.CutMix(), saliency, ValueError, "expected None for CutMix"),
        (RECIPE, {"masks": saliency}, ValueError, "expected saliency for SaliencyMix.*, got masks"),
        (RECIPE, saliency[0], ValueError, r"expected the shape \(n, \*size\) with 2 spatial axes"),
        (RECIPE, saliency[:3], ValueError, "expected rows up to 5, which `index` refers to, got 3 rows"),
        (RECIPE, saliency.astype(complex), TypeError, "saliency: expected float or int or bool"),
        (ma.ClassMix(), saliency, TypeError, "masks: expected int or bool"),
        (ma.ClassMix(), np.full((N, *SIZE), -1), ValueError, "masks: expected class ids in 0..255, got -1"),
        (ma.ClassMix(), np.full((N, *SIZE), 256), ValueError, "masks: expected class ids in 0..255, got 256"),
        (ma.CopyPaste(), saliency > 0, ValueError, r"instances: expected the shape \(n, m, \*size\)"),
        (RECIPE, np.zeros((N, 2**12, 2**12), bool), ValueError, "at most 8388608 pixels, got 16777216"),
        (RECIPE, "saliency", TypeError, "saliency: expected an array"),
    ]
    for recipe, guide, error, match in cases:
        with pytest.raises(error, match=match):
            recipe.draw(N, SIZE, key=0, guide=guide)


def test_fields_that_may_be_two_guides_are_refused():
    given = batch() | {"map": batch()["saliency"]}
    with pytest.raises(ValueError, match="expected one field of saliency to look at, got 'saliency', 'map'"):
        ma.mix_batch(RECIPE, given, key=0, num_classes=N, fields={"map": ma.Guide()})
    masks = maps.example("masks", N, SIZE)
    two = {"images": batch()["images"], "masks": masks, "foreground": masks > 0}
    with pytest.raises(ValueError, match=r"got 'masks', 'foreground'; .*fields={'masks': ma.Guide\('masks'\)}"):
        ma.mix_batch(ma.ClassMix(), two, key=0)
    ma.mix_batch(ma.ClassMix(), two, key=0, fields={"masks": ma.Guide("masks")})
    with pytest.raises(ValueError, match="Guide need: expected one of 'saliency', 'masks', 'instances', got 'mask'"):
        ma.Guide("mask")
    wide = batch() | {"saliency": np.ones((N, *SIZE, 3), np.float32)}
    with pytest.raises(ValueError, match="expected one number a pixel of saliency, got 3 channels"):
        ma.mix_batch(RECIPE, wide, key=0, num_classes=N)


def test_an_unused_guide_is_mixed_too():
    given = batch()
    out = ma.mix_batch(ma.CutMix(), given, key=0, num_classes=N, return_mix=True)
    np.testing.assert_array_equal(out["saliency"], out["mix"].images(given["saliency"], "nhw"))
