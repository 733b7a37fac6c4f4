"""Fields of a batch: nested dicts, tuples, names and options, texts; in mix_batch and in every adapter."""

from __future__ import annotations

import json
from typing import Any

import grain
import keras
import numpy as np
import pytest

import mixaug as ma
import ways
from mixaug.core.rows import Rows
from mixaug.fields import read, tree, written

tf, torch, jnp = ways.tf, ways.torch, ways.jnp
N, SIZE = 6, (8, 6)
IMAGES = ways.own_class_everywhere(N, SIZE)
MASKS = np.broadcast_to(np.arange(N, dtype=np.uint8).reshape(N, 1, 1), (N, *SIZE)).copy()
SMALL = np.broadcast_to(np.arange(N, dtype=np.int32).reshape(N, 1, 1), (N, 4, 3)).copy()
IDS = np.arange(N)
RECIPE, KEY = ma.CutMix(alpha=1.0), (0, 0, 0)
NESTED = {"image": IMAGES, "targets": {"mask": MASKS, "label": IDS, "views": (SMALL, MASKS)}}
SAID = {"targets/views/0": "masks", "1": ma.Masks(num_classes=N)}


def assert_agree(images: Any, masks: Any, channels: int = -1) -> None:
    """For one-hot images: image and mask pixels have the same source, also for masks of another size."""
    seen, masks = ways.values(images).argmax(channels), ways.values(masks)
    masks = masks[..., 0] if masks.ndim > seen.ndim else masks
    rows = [(2 * np.arange(m) + 1) * s // (2 * m) for m, s in zip(masks.shape[1:], seen.shape[1:], strict=True)]
    np.testing.assert_array_equal(seen[:, rows[0]][:, :, rows[1]], masks)


# --- mix_batch ---


def test_nested_dicts_and_tuples_keep_their_form():
    mixed = ma.mix_batch(RECIPE, NESTED, key=KEY, num_classes=N, fields=SAID)
    assert list(tree.leaves(mixed)) == ["image", "targets/mask", "targets/label", "targets/views/0", "targets/views/1"]
    assert_agree(mixed["image"], mixed["targets"]["mask"])
    for view in mixed["targets"]["views"]:
        assert_agree(mixed["image"], view)
    ways.assert_label_is_the_pixels(mixed["image"], mixed["targets"]["label"])
    assert (mixed["image"].min(axis=(1, 2)) == 0).any()  # something was mixed


def test_fields_of_a_tuple_in_its_order():
    images, masks, label, small = ma.mix_batch(
        RECIPE, (IMAGES, MASKS, IDS, SMALL), key=KEY, num_classes=N, fields=("images", "masks", "labels", ma.Masks())
    )
    assert_agree(images, masks)
    assert_agree(images, small)
    ways.assert_label_is_the_pixels(images, label)
    pair = ma.mix_batch(RECIPE, (IMAGES, MASKS), key=KEY, fields=(None, "masks"))
    np.testing.assert_array_equal(pair[1], masks)


def test_field_names_of_keras_are_recognized():
    batch = {"images": IMAGES, "labels": np.eye(N, dtype=np.float32), "segmentation_masks": MASKS[..., None]}
    mixed = ma.mix_batch(RECIPE, batch, key=KEY)
    assert mixed["segmentation_masks"].shape == (N, *SIZE, 1)
    assert_agree(mixed["images"], mixed["segmentation_masks"])


def test_two_images_of_a_sample_and_several_outputs():
    batch = {
        "photo": IMAGES,
        "depth": SMALL.astype(np.float32),
        "kind": IDS,
        "tags": np.eye(N, dtype=np.int32),
        "who": IDS % 2,
    }
    fields = {
        "photo": "images",
        "depth": ma.Images(layout="nhw"),
        "kind": "labels",
        "tags": ma.Labels(rule="maximum"),
        "who": ma.Labels(num_classes=2),
    }
    mixed = ma.mix_batch(RECIPE, batch, key=KEY, num_classes=N, fields=fields)
    assert_agree(mixed["photo"], mixed["depth"].astype(int))
    np.testing.assert_array_equal(mixed["tags"], mixed["kind"] > 0)
    np.testing.assert_allclose(mixed["who"], mixed["kind"].reshape(N, N // 2, 2).sum(axis=1), atol=1e-6)


def test_labels_weighted_by_a_foreground_field():
    foreground = np.zeros((N, *SIZE), bool)
    foreground[:, 2:6, 1:5] = True
    mix = RECIPE.draw(N, SIZE, key=KEY)
    expected = mix.labels(IDS, N, rule="visible", guide=foreground)
    batch = {"images": IMAGES, "targets": {"labels": IDS, "foreground": foreground}}
    mixed = ma.mix_batch(RECIPE, batch, key=KEY, num_classes=N, fields={"labels": ma.Labels(rule="visible")})
    np.testing.assert_array_equal(mixed["targets"]["labels"], expected)
    np.testing.assert_array_equal(mixed["targets"]["foreground"], mix.masks(foreground))
    assert not np.array_equal(expected, mix.labels(IDS, N))


@pytest.mark.parametrize("make", ways.MAKE.values(), ids=ways.MAKE)
def test_texts_are_kept_or_returned_per_source(make):
    words = [f"row {i}" for i in range(N)]
    batch = {"images": make(IMAGES), "caption": words, "id": make(IDS), "text": np.array(words), "all": words}
    fields = {"images": ma.Images("nhwc"), "caption": "keep", "id": "keep", "text": ma.PerSource(), "all": "per_source"}
    mixed = ma.mix_batch(RECIPE, batch, key=KEY, fields=fields)
    index = RECIPE.draw(N, SIZE, key=KEY).index
    assert mixed["caption"] == words
    assert mixed["caption"] is not words
    assert type(mixed["id"]) is type(batch["id"])
    np.testing.assert_array_equal(ways.values(mixed["id"]), IDS)
    for name in ("text", "all"):
        parts, lam = mixed[name]
        assert [list(map(str, part)) for part in parts] == [[words[row] for row in rows] for rows in index]
        assert lam.shape == (2, N)


def test_tensors_of_texts():
    words = tf.constant(["a", "b", "c", "d", "e", "f"])
    batch = {"images": tf.constant(IMAGES), "caption": words, "again": words}
    mixed = ma.mix_batch(RECIPE, batch, key=KEY, fields={"caption": "keep", "again": "per_source"})
    assert mixed["caption"].numpy().tolist() == words.numpy().tolist()
    index = RECIPE.draw(N, SIZE, key=KEY).index
    np.testing.assert_array_equal(mixed["again"][0], words.numpy()[index])


def test_copies_of_a_batch_with_texts_and_a_bank_of_them():
    words = [f"row {i}" for i in range(N)]
    batch = {"images": IMAGES, "masks": MASKS, "caption": words}
    options = {"key": KEY, "fields": {"caption": "keep"}}
    twice = ma.mix_batch(RECIPE, batch, include_clean=True, copies=2, **options)
    assert twice["caption"] == words * 3
    np.testing.assert_array_equal(twice["masks"][:N], MASKS)
    for part in range(3):
        assert_agree(twice["images"][part * N :][:N], twice["masks"][part * N :][:N])
    bank = {"images": IMAGES[:2], "masks": MASKS[:2], "caption": ["x", "y"]}
    mixed = ma.mix_batch(RECIPE, batch, bank=bank, key=KEY, fields={"caption": "per_source"})
    assert set(mixed["caption"][0][1]) <= {*words, "x", "y"}
    assert set(np.unique(mixed["masks"][mixed["masks"] != MASKS])) <= {0, 1}
    assert_agree(mixed["images"], mixed["masks"])


def test_parts_of_a_source_are_its_rows():
    words, place = ["a", "b", "c"], np.array([[2, 0], [1, 1]])
    batch = {"images": IMAGES[[2, 0]], "caption": ["c", "a"]}
    source = {"images": IMAGES[:3], "caption": words}
    mixed = ma.batch.mix_rows(ma.MixUp(), Rows(batch, source, place), KEY, fields={"caption": "per_source"})
    assert mixed["caption"][0] == [["c", "a"], ["b", "b"]]


@pytest.mark.parametrize(
    ("batch", "options", "error", "sentence"),
    [
        (NESTED, {"fields": {"nobody": "masks"}}, ValueError, "'targets/views/0': expected a known name"),
        ({"image": IMAGES}, {"fields": {"mask": "masks"}}, ValueError, "expected names among 'image', .* got 'mask'"),
        ((IMAGES, MASKS), {"fields": ("images",)}, ValueError, "or one for each of the 2 parts, got"),
        ({"image": IMAGES}, {"fields": ("images",)}, ValueError, "expected a dict by name"),
        ({"image": IMAGES, "x": {"mask": MASKS}}, {"fields": {"x": "masks"}}, ValueError, "say what each of these is"),
        ({"image": IMAGES}, {"fields": {"image": 3}}, TypeError, "expected its kind, got 3; pass such as"),
        (
            {"image": IMAGES, "label": IDS},
            {"fields": {"label": ma.Labels(N, rule=ma.label_rules.Visible("ground"))}},
            ValueError,
            "rule: expected the name of one field, got 'ground'; name one of 'image', 'label'",
        ),
        ({"image": IMAGES, "masks": MASKS.astype(float)}, {}, TypeError, "masks: expected class ids of an integer"),
        ({"image": IMAGES, "labels": ["a"] * N}, {"num_classes": 2}, TypeError, "labels: expected an array"),
        ({"image": IMAGES, "t": ["a"] * 3}, {"fields": {"t": "keep"}}, ValueError, "got 3 in 't' and 6 in 'image'"),
    ],
)  # fmt: skip
def test_fields_that_are_refused(batch, options, error, sentence):
    with pytest.raises(error, match=sentence):
        ma.mix_batch(RECIPE, batch, key=KEY, **options)


def test_lists_cannot_be_mixed_per_source_in_traced_code():
    with pytest.raises(
        TypeError, match="per_source: expected an array, or a mix on the host, got a list and a traced mix"
    ):
        tf.function(
            lambda x: ma.mix_batch(RECIPE, {"images": x, "t": ["a"] * N}, key=KEY, fields={"t": "per_source"})["images"]
        )(tf.constant(IMAGES))


def test_fields_in_a_configuration_file():
    fields = {"a": "images", "b": ma.Masks(soft=True, num_classes=3), "c": ma.Labels(2, rule="maximum")}
    fields |= {"d": ma.Labels(3, rule=ma.label_rules.Visible("mask")), "e": ma.Labels(binary=True, rule="heaviest")}
    assert read(json.loads(json.dumps(written(fields)))) == fields
    assert read(json.loads(json.dumps(written(("images", ma.Keep()))))) == ["images", ma.Keep()]
    assert read(written(None)) is None


# --- boxes ---

WHOLE = np.broadcast_to(np.float32([0, 0, SIZE[1], SIZE[0]]), (N, 1, 4)).copy()
BOXES = {"boxes": WHOLE, "labels": IDS[:, None]}


def assert_boxes_agree(images: Any, boxes: Any, channels: int = -1) -> None:
    """The boxes were whole images; now each surrounds the pixels of its sample, and its weight is their fraction."""
    seen = ways.values(images).argmax(channels)
    for i in range(len(seen)):
        row = {name: ways.values(x[i]) for name, x in boxes.items()} if isinstance(boxes, dict) else boxes[i]
        found = row["weight"] > 0
        much = [label for label in range(N) if np.mean(seen[i] == label) >= 0.1]  # the others are hardly visible
        assert set(row["labels"][found].tolist()) == set(much)
        for box, label, weight in zip(row["boxes"], row["labels"], row["weight"], strict=True):
            if weight > 0:
                at = np.argwhere(seen[i] == label)
                np.testing.assert_array_equal(box, [*at.min(axis=0)[::-1], *(at.max(axis=0) + 1)[::-1]])
                np.testing.assert_allclose(weight, len(at) / seen[i].size, atol=1e-6)


def test_boxes_by_keras_names():
    mixed = ma.mix_batch(RECIPE, {"images": IMAGES, "bounding_boxes": BOXES}, key=KEY)
    assert {name: x.shape for name, x in mixed["bounding_boxes"].items()} == {
        "boxes": (N, 2, 4), "labels": (N, 2), "weight": (N, 2)
    }  # fmt: skip
    assert_boxes_agree(mixed["images"], mixed["bounding_boxes"])
    capped = ma.mix_batch(
        ma.MixUp(sources=3),
        {"images": IMAGES, "bounding_boxes": BOXES},
        key=KEY,
        fields={"bounding_boxes": ma.Boxes(max_boxes=2)},
    )
    assert capped["bounding_boxes"]["boxes"].shape == (N, 2, 4)
    again = ma.mix_batch(RECIPE, {"images": mixed["images"], "bounding_boxes": mixed["bounding_boxes"]}, key=(0, 1))
    assert (again["bounding_boxes"]["weight"] <= 1).all()
    alone = ma.mix_batch(RECIPE, (IMAGES, WHOLE), key=KEY, fields=("images", "boxes"))[1]
    np.testing.assert_array_equal(alone, mixed["bounding_boxes"]["boxes"])


def test_boxes_of_any_number_a_sample():
    """A list of dicts, as for detection models, one without boxes."""
    targets = [{"boxes": WHOLE[i], "labels": IDS[i : i + 1]} for i in range(N)]
    mixed = ma.mix_batch(RECIPE, (IMAGES, targets), key=KEY, fields=("images", "boxes"))
    assert_boxes_agree(mixed[0], mixed[1])
    assert {len(row["labels"]) for row in mixed[1]} <= {1, 2}
    targets[0] = {"boxes": WHOLE[0][:0], "labels": IDS[:0]}
    mixed = ma.mix_batch(RECIPE, (IMAGES, targets), key=KEY, fields=("images", "boxes"))
    assert all(0 not in row["labels"] for row in mixed[1])


def test_clean_and_mixed_boxes_have_as_many_slots():
    mixed = ma.mix_batch(
        ma.NWayCutMix(sources=3), {"images": IMAGES, "bounding_boxes": BOXES}, key=KEY, include_clean=True
    )
    assert mixed["bounding_boxes"]["boxes"].shape == (2 * N, 3, 4)
    assert_boxes_agree(mixed["images"], mixed["bounding_boxes"])
    np.testing.assert_array_equal(mixed["bounding_boxes"]["weight"][:N], [[1, 0, 0]] * N)


def test_boxes_from_a_bank():
    def rows(part: slice) -> dict[str, Any]:
        return {"images": IMAGES[part], "bounding_boxes": {name: x[part] for name, x in BOXES.items()}}

    mixed = ma.mix_batch(RECIPE, rows(slice(4)), bank=rows(slice(4, None)), key=KEY)
    assert_boxes_agree(mixed["images"], mixed["bounding_boxes"])
    assert set(mixed["bounding_boxes"]["labels"][:, 1].tolist()) <= {-1, 4, 5}


def test_keypoints_say_which_are_hidden():
    points = np.broadcast_to(np.float32([2, 5, 2]), (N, 1, 3)).copy()
    mixed = ma.mix_batch(RECIPE, {"images": IMAGES, "keypoints": points}, key=KEY)
    owner = mixed["images"].argmax(-1)[:, 5, 2]
    index = RECIPE.draw(N, SIZE, key=KEY).index
    np.testing.assert_array_equal(mixed["keypoints"][..., 2], np.where(owner[:, None] == index.T, 2, 0))


@pytest.mark.parametrize(
    ("batch", "fields", "sentence"),
    [
        ({"images": IMAGES, "bounding_boxes": {"labels": IDS}}, None, "expected a dict with 'boxes', got 'labels'"),
        ({"images": IMAGES, "keypoints": WHOLE[..., :2]}, None, "expected a last column with their visibility"),
        ((IMAGES, [{"boxes": WHOLE[0]}] * 5 + [{}]), ("images", "boxes"), "expected the same names in every sample"),
    ],
)  # fmt: skip
def test_objects_that_are_refused(batch, fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        ma.mix_batch(RECIPE, batch, key=KEY, fields=fields)


class Detection(torch.utils.data.Dataset):
    """Sample i has its whole image as a box, i % 3 + 1 times."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        many = i % 3 + 1
        target = {"boxes": torch.from_numpy(WHOLE[i]).repeat(many, 1), "labels": torch.full((many,), i)}
        return torch.from_numpy(np.moveaxis(IMAGES[i], -1, 0)), target


def test_boxes_in_every_adapter():
    fields = ("images", ma.Boxes(ragged=True))
    for images, targets in ma.torch.loader(RECIPE, Detection(), 4, fields=fields, num_workers=2):
        assert_boxes_agree(images, [{k: x.numpy() for k, x in row.items()} for row in targets], 1)
    image, target = ma.torch.MixedDataset(RECIPE, Detection(), fields=fields)[4]
    assert_boxes_agree(image[None], [{k: x.numpy() for k, x in target.items()}], 1)
    images, targets = ma.torch.MixingCollate(RECIPE, fields=fields)([Detection()[i] for i in range(N)])
    assert_boxes_agree(images, [{k: x.numpy() for k, x in row.items()} for row in targets], 1)
    ds = tf.data.Dataset.from_tensor_slices({"images": IMAGES, "bounding_boxes": BOXES}).batch(4)
    for element in ds.apply(ma.tf.mixed(RECIPE)):
        assert_boxes_agree(element["images"], element["bounding_boxes"])
    layer = ma.keras.MixLayer(RECIPE)
    out = layer({"images": IMAGES, "bounding_boxes": BOXES})
    assert_boxes_agree(out["images"], out["bounding_boxes"])
    for inputs, outputs in ma.keras.MixedDataset(RECIPE, {"images": IMAGES}, {"bounding_boxes": BOXES}, 4):
        assert_boxes_agree(inputs["images"], outputs["bounding_boxes"])
    samples = [{"image": IMAGES[i], "bounding_boxes": {k: x[i] for k, x in BOXES.items()}} for i in range(N)]
    for element in ma.grain.mixed(RECIPE, grain.MapDataset.source(samples)).batch(3):
        assert_boxes_agree(element["image"], element["bounding_boxes"])
    run = ways.jax.jit(lambda batch: ma.mix_batch(RECIPE, batch, key=KEY))
    out = run({"images": jnp.asarray(IMAGES), "bounding_boxes": {k: jnp.asarray(x) for k, x in BOXES.items()}})
    assert_boxes_agree(out["images"], out["bounding_boxes"])


# --- the adapters: each mixes masks by the same mix as the images, nested or not ---


def test_tensorflow_datasets():
    ds = tf.data.Dataset.from_tensor_slices(NESTED).batch(4)
    for element in ds.apply(ma.tf.mixed(RECIPE, num_classes=N, fields=SAID)):
        assert_agree(element["image"], element["targets"]["mask"])
        assert_agree(element["image"], element["targets"]["views"][0])
    pairs = tf.data.Dataset.from_tensor_slices((IMAGES, MASKS))
    shuffled = pairs.shuffle(N, seed=1)
    zipped = ma.tf.mixed_zip(RECIPE, pairs, shuffled, fields=("images", "masks"), batched=False)
    for images, masks in zipped.batch(3):
        assert_agree(images, masks)


def test_arrays_in_memory_and_keras():
    for images, masks in ma.batches(RECIPE, IMAGES, MASKS, 4, epochs=1, fields=("images", "masks")):
        assert_agree(images, masks)
    targets = {"mask": MASKS, "label": IDS}
    ds = ma.keras.MixedDataset(RECIPE, {"image": IMAGES}, targets, 4, num_classes=N)
    for inputs, outputs in ds:
        assert_agree(inputs["image"], outputs["mask"])
        ways.assert_label_is_the_pixels(inputs["image"], outputs["label"])
    layer = ma.keras.MixLayer(RECIPE, num_classes=N, fields={"seg": ma.Masks(soft=True, num_classes=N)})
    out = layer({"images": IMAGES, "labels": IDS, "seg": MASKS})
    np.testing.assert_allclose(out["seg"], out["images"], atol=1e-6)
    again = keras.layers.deserialize(json.loads(json.dumps(keras.layers.serialize(layer))))
    assert again.fields == layer.fields
    mapped = tf.data.Dataset.from_tensor_slices({"images": IMAGES, "labels": IDS, "seg": MASKS}).batch(6).map(again)
    out = next(iter(mapped))
    np.testing.assert_allclose(out["seg"], out["images"], atol=1e-6)


class Samples(torch.utils.data.Dataset):
    def __len__(self):
        return N

    def __getitem__(self, i):
        targets = {"mask": torch.from_numpy(MASKS[i]), "label": int(IDS[i]), "name": f"row {i}"}
        return torch.from_numpy(np.moveaxis(IMAGES[i], -1, 0)), targets


@pytest.mark.parametrize("workers", [0, 2])
def test_torch(workers):
    options = {"num_classes": N, "fields": {"name": "keep"}}
    for images, targets in ma.torch.loader(RECIPE, Samples(), 4, num_workers=workers, partners="dataset", **options):
        assert_agree(images, targets["mask"], 1)
        own = [int(name.removeprefix("row ")) for name in targets["name"]]
        ways.assert_label_is_the_pixels(images, targets["label"], 1)
        assert (targets["label"].numpy()[range(len(own)), own] >= 0).all()
    image, targets = ma.torch.MixedDataset(RECIPE, Samples(), **options)[3]
    assert_agree(image[None], targets["mask"][None], 1)
    assert targets["name"] == "row 3"
    batch = torch.utils.data.default_collate([Samples()[i] for i in range(N)])
    images, targets = ma.torch.Mixed(RECIPE, **options)(batch)
    assert_agree(images, targets["mask"], 1)
    images, targets = ma.torch.MixingCollate(RECIPE, **options)([Samples()[i] for i in range(N)])
    assert_agree(images, targets["mask"], 1)


def test_torch_compiled_and_jax_jitted():
    torch._dynamo.reset()
    mixed = torch.compile(ma.torch.Mixed(RECIPE), fullgraph=True, backend="aot_eager")
    planes = torch.from_numpy(np.moveaxis(IMAGES, -1, 1).copy())
    out = mixed({"images": planes, "more": {"mask": torch.from_numpy(MASKS)}})
    assert_agree(out["images"], out["more"]["mask"], 1)
    run = ways.jax.jit(lambda batch: ma.mix_batch(RECIPE, batch, key=KEY))
    out = run({"images": jnp.asarray(IMAGES), "more": {"mask": jnp.asarray(MASKS)}})
    assert_agree(out["images"], out["more"]["mask"])


def test_grain():
    samples = [{"image": IMAGES[i], "more": {"mask": MASKS[i], "label": i}} for i in range(N)]
    ds = ma.grain.mixed(RECIPE, grain.MapDataset.source(samples), num_classes=N).batch(3)
    for element in ds:
        assert_agree(element["image"], element["more"]["mask"])
        ways.assert_label_is_the_pixels(element["image"], element["more"]["label"])


def test_boxes_that_are_mixed_twice_weigh_the_product():
    batch, options = {"images": IMAGES, "targets": {"boxes": WHOLE}}, {"fields": {"targets": "boxes"}}
    once = ma.mix_batch(ma.MixUp(lam=0.5), batch, key=(0, 1), **options)
    again = ma.mix_batch(ma.MixUp(lam=0.25), once, key=(0, 2), **options)
    np.testing.assert_array_equal(once["targets"]["weight"], np.full((N, 2), 0.5))
    np.testing.assert_array_equal(again["targets"]["weight"], [[0.125, 0.125, 0.375, 0.375]] * N)
