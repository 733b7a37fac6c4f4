"""Fields are not guessed, and every container works: tuples, lists, images without labels, detection targets."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

import mixaug as ma
import ways

N = 4
Y = np.arange(N)


def ids(*shape: int, dtype: str = "float32") -> np.ndarray:
    """Images whose pixels are their row number."""
    return np.broadcast_to(np.arange(N).reshape(-1, *[1] * len(shape)), (N, *shape)).astype(dtype)


def mix(batch, recipe=None, **options):
    return ma.mix_batch(recipe or ma.CutMix(), batch, key=(0, 0), num_classes=N, **options)


X = ids(8, 8, 3)
WANT = mix((X, Y))


@pytest.mark.parametrize("library", ways.MAKE)
@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_are_tuples_and_a_second_image_is_recognized(kind, library):
    x = np.moveaxis(X, -1, 1).copy() if library == "torch" else X
    make = ways.MAKE[library]
    inner, labels = mix(kind([kind([make(x), make(x)]), make(Y)]))
    assert type(inner) is kind
    for one in inner:
        got = ways.values(one)
        np.testing.assert_array_equal(np.moveaxis(got, 1, -1) if library == "torch" else got, WANT[0])
    np.testing.assert_allclose(ways.values(labels), WANT[1])


@pytest.mark.parametrize("other", [
    ids(8, 8, 3, dtype="uint8"), ids(8, 8, 1), ids(8, 8), Y, ids(8, 8, 3, dtype="float64"), ["a", "b", "c", "d"],
], ids=lambda x: str(getattr(x, "dtype", "texts")))  # fmt: skip
@pytest.mark.parametrize("place", ["images/1", "sample_weight"])
def test_what_may_be_something_else_has_to_be_declared(other, place):
    def batch(x):
        return ((X, x), Y) if place == "images/1" else (X, Y, x)

    if isinstance(other, list) and place == "images/1":
        other = np.array(other)
    with pytest.raises(ValueError, match=rf"{place}: expected .*pass fields={{'{place}': .*'keep'"):
        mix(batch(other))
    out = mix(batch(other), fields={place: "keep"})
    np.testing.assert_array_equal(np.asarray(out[0][1] if place == "images/1" else out[2]), np.asarray(other))


def test_the_third_part_is_weights_or_images_like_the_first():
    for weights in (np.float32([1, 2, 3, 4]), np.float64([[1], [2], [3], [4]])):
        np.testing.assert_allclose(mix((X, Y, weights))[2].ravel(), WANT[1] @ [1, 2, 3, 4], rtol=1e-6)
    np.testing.assert_array_equal(mix((X, Y, X))[2], WANT[0])


def test_fields_are_named_by_their_path_and_a_word_may_declare_several():
    small = ids(8, 8, 3, dtype="uint8")
    for fields in ({"images/0": "images", "images/1": "images"}, {"images": "images"}):
        (a, b), _ = mix(((small, small), Y), fields=fields)
        np.testing.assert_array_equal(a, b)
        assert a.dtype == np.uint8


def test_texts_and_lists_that_are_kept_stay_lists():
    ragged = [np.zeros(i) for i in range(N)]
    out = mix({"images": X, "labels": Y, "caption": list("abcd"), "tokens": ragged}, fields={
        "caption": "per_source", "tokens": "keep",
    })  # fmt: skip
    assert out["caption"][0][0] == list("abcd")
    assert [len(one) for one in out["tokens"]] == [0, 1, 2, 3]


def test_a_collated_batch_of_nested_samples_is_mixed():
    class Two(torch.utils.data.Dataset):
        def __len__(self):
            return 8

        def __getitem__(self, i):
            return (torch.full((3, 8, 8), float(i)), torch.full((3, 8, 8), float(i))), i % 4

    for batch in ma.torch.loader(ma.CutMix(), Two(), 4, num_classes=4):
        (a, b), labels = batch
        assert torch.equal(a, b)
        assert labels.shape == (4, 4)


@pytest.mark.parametrize("library", ways.MAKE)
def test_images_without_labels_must_be_declared_for_recipes_of_several_sources(library):
    x = ways.MAKE[library](np.ascontiguousarray(np.moveaxis(X, -1, 1)) if library == "torch" else X)
    assert ma.mix_batch(ma.Cutout(), x, key=(0, 0)).shape == x.shape
    assert ma.mix_batch(ma.Cutout(), [x], key=(0, 0))[0].shape == x.shape
    for batch in (x, (x,)):
        with pytest.raises(
            ValueError, match=r'expected labels beside the images.*fields="images" if there are no labels'
        ):
            ma.mix_batch(ma.CutMix(), batch, key=(0, 0))
        out = ma.mix_batch(ma.CutMix(), batch, key=(0, 0), fields="images")
        assert (out if batch is x else out[0]).shape == x.shape
    masks = ways.MAKE[library](ids(8, 8, dtype="uint8"))
    mixed = ways.values(ma.mix_batch(ma.CutMix(), masks, key=(0, 0), fields="masks"))
    np.testing.assert_array_equal(mixed, mix((X, ids(8, 8, dtype="uint8")), fields=("images", "masks"))[1])


def test_images_without_labels_in_the_adapters():
    x = torch.ones(4, 3, 8, 8)
    assert (ma.torch.Mixed(ma.Cutout())(x) == 0).any()
    model = keras.Sequential([keras.Input((8, 8, 3)), ma.keras.MixLayer(ma.Cutout()), keras.layers.Flatten()])
    assert model(np.ones((2, 8, 8, 3), np.float32), training=True).shape == (2, 192)
    with pytest.raises(ValueError, match="expected labels beside the images"):
        ma.keras.MixLayer(ma.CutMix())(X)
    layer = ma.keras.MixLayer(ma.CutMix(), fields="images")
    again = ma.keras.MixLayer.from_config(layer.get_config())
    np.testing.assert_array_equal(ways.values(again(X)), ways.values(layer(X)))
    ds = tf.data.Dataset.from_tensor_slices(X).batch(2).apply(ma.tf.mixed(ma.Cutout()))
    assert [len(one) for one in ds] == [2, 2]


def test_a_saved_layer_keeps_its_layout():
    layer = ma.keras.MixLayer(ma.CutMix(), num_classes=N, fields={"images": ma.Images("nchw")})
    again = ma.keras.MixLayer.from_config(layer.get_config())
    assert again.fields == layer.fields
    x = np.moveaxis(X, -1, 1).copy()
    np.testing.assert_array_equal(ways.values(again({"images": x, "labels": Y})["images"]), np.moveaxis(WANT[0], -1, 1))


def test_two_fields_of_one_path_and_batches_without_an_end_are_refused():
    with pytest.raises(ValueError, match="two of 'a/images'"):
        mix({"a/images": X, "a": {"images": X}, "labels": Y})
    with pytest.raises(ValueError, match="two of one name"):
        mix({1: X, "1": X, "labels": Y}, fields={"1": "images"})
    endless = {"images": X, "labels": Y}
    endless["more"] = endless
    with pytest.raises(ValueError, match="contains itself"):
        mix(endless)
    items = [X, Y]
    items.append(items)
    with pytest.raises(ValueError, match="contains itself"):
        mix(items)


def test_masked_arrays_are_refused_and_filled_ones_mix():
    masked = np.ma.masked_less(X, 1)
    with pytest.raises(TypeError, match=r"got a NumPy masked array; pass x.filled\(value\)"):
        mix((masked, Y))
    mix((masked.filled(0), Y))


def targets() -> list[dict]:
    return [
        {
            "boxes": torch.tensor([[0.0, 0, 6, 8], [2, 2, 4, 4]])[: 1 + i % 2],
            "labels": torch.tensor([1, 2])[: 1 + i % 2],
            "masks": torch.ones(1 + i % 2, 8, 8, dtype=torch.uint8),
            "image_id": 100 + i if i < 4 else torch.tensor([i]),
            "area": torch.tensor([48.0, 4])[: 1 + i % 2],
            "iscrowd": torch.tensor([0, 1])[: 1 + i % 2],
        }
        for i in range(N)
    ]


@pytest.mark.parametrize("recipe", [ma.MixUp(), ma.CutMix(), ma.Mosaic()], ids=repr)
def test_targets_of_detection_as_torchvisions_tutorial_has_them(recipe):
    images = torch.zeros(N, 3, 8, 8)
    _, mixed = ma.mix_batch(recipe, (images, targets()), key=(0, 0), fields=("images", "boxes"))
    for i, one in enumerate(mixed):
        boxes = one["boxes"]
        assert one["image_id"] == 100 + i
        torch.testing.assert_close(one["area"], (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
        assert torch.equal(one["iscrowd"], one["labels"] - 1)
        assert one["masks"].dtype == torch.uint8
        assert len(one["masks"]) == len(boxes) == len(one["weight"])


def test_a_pairing_says_which_field_it_looks_at():
    domain = np.array([0, 0, 1, 1])
    for value in (domain, np.array(list("aabb")), list("aabb")):
        batch = {"images": X, "labels": Y, "domain": value}
        out = mix(batch, ma.MixUp(), fields={"domain": "keep"}, pairing=ma.pairing.OtherClass(field="domain"))
        partner = [set(np.flatnonzero(row)) - {i} for i, row in enumerate(out["labels"])]
        assert all(domain[list(other)] != domain[i] for i, other in enumerate(partner) if other)
    with pytest.raises(ValueError, match="OtherClass field: expected the name of one field, got 'place'"):
        mix((X, Y), pairing=ma.pairing.OtherClass(field="place"))


def test_elements_of_a_dataset_that_may_be_single_samples_are_refused():
    image = np.zeros((6, 4, 4, 3), np.float32)
    ds = tf.data.Dataset.from_tensor_slices((image, image))
    with pytest.raises(ValueError, match=r"may be single samples.*batch\(\) it first, or pass batched=True"):
        ds.apply(ma.tf.mixed(ma.CutMix(), fields=("images", "images")))
    for batches in (ds.batch(2), ds.batch(2, drop_remainder=True)):
        batches.apply(ma.tf.mixed(ma.CutMix(), fields=("images", "images")))
    grey = (ma.Images("nhw"), ma.Images("nhw"))
    tf.data.Dataset.from_tensors((image[..., 0], image[..., 0])).apply(ma.tf.mixed(ma.CutMix(), fields=grey))
    ds.apply(ma.tf.mixed(ma.CutMix(), fields=grey, batched=True))
