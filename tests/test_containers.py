"""Containers of a batch and the roles of their parts: each is known, said or refused, and no role is guessed."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch

import mixaug as ma
import ways

N, SIZE = 4, (8, 8)
CUTMIX = ma.CutMix(alpha=1.0)
OPTIONS = {"key": (0, 0), "num_classes": N}
X = ways.own_class_everywhere(N, SIZE)[..., :3]  # image i < 3 is one-hot i, the last is black
Y = np.arange(N)
MASK = np.arange(N, dtype=np.uint8)[:, None, None] * np.ones((1, *SIZE), np.uint8)


def assert_alike(*images: np.ndarray) -> None:
    assert (images[0] != X).any()
    for x in images[1:]:
        np.testing.assert_array_equal(x, images[0])


@pytest.mark.parametrize("kind", [list, tuple])
def test_lists_of_arrays_are_tuples_at_every_depth(kind):
    (a, b), labels = mixed = ma.mix_batch(CUTMIX, kind([kind([X, X]), Y]), **OPTIONS)
    assert type(mixed) is kind
    assert_alike(a, b)
    assert labels.shape == (N, N)
    ((a, b), c), _ = ma.mix_batch(CUTMIX, kind([kind([kind([X, X]), X]), Y]), **OPTIONS)
    assert_alike(a, b, c)


def test_parts_are_named_by_their_place():
    fields = {"images/1": "masks", "images/2": ma.Images(layout="nhw")}
    (a, mask, depth), _ = ma.mix_batch(CUTMIX, ((X, MASK, MASK), Y), fields=fields, **OPTIONS)
    np.testing.assert_array_equal(mask, depth)
    np.testing.assert_array_equal((a == X).all(axis=-1), mask == MASK)
    with pytest.raises(ValueError, match="'images/7' is not in the batch"):
        ma.mix_batch(CUTMIX, ((X, X), Y), fields={"images/7": "masks"}, **OPTIONS)


FURTHER = [MASK, MASK[..., None], X[..., :1], X.astype(np.float64), MASK[:, 0, 0], X.astype(np.uint8)]


@pytest.mark.parametrize("part", FURTHER, ids=lambda x: f"{x.dtype}{x.shape}")
def test_a_further_part_that_may_be_several_things_is_refused(part):
    for batch, name in (((X, part), "images/1"), (((X, part), X), "images/0/1"), ([[X, X], part], "images/1")):
        with pytest.raises(
            ValueError, match=rf"{name}: expected images like 'images/0.*pass fields={{'{name}': 'images'}}"
        ):
            ma.mix_batch(CUTMIX, (batch, Y), **OPTIONS)
        ma.mix_batch(CUTMIX, (batch, Y), fields={name: "keep"}, **OPTIONS)


@pytest.mark.parametrize("make", ways.MAKE.values(), ids=ways.MAKE)
def test_the_third_part_is_weights_only_where_it_can_be_nothing_else(make):
    layout = {"images": ma.Images(layout="nhwc")}
    weights = np.float32([1, 2, 3, 4])
    for given in (weights, weights[:, None]):
        *_, mixed = ma.mix_batch(CUTMIX, tuple(map(make, (X, Y, given))), fields=layout, **OPTIONS)
        assert tuple(mixed.shape) == given.shape
    for given in (Y, MASK, np.ones((N, 2), np.float32)):
        batch = tuple(map(make, (X, Y, given)))
        with pytest.raises(ValueError, match=r"sample_weight: expected sample weights, floats \(n,\) or \(n, 1\)"):
            ma.mix_batch(CUTMIX, batch, fields=layout, **OPTIONS)
        *_, kept = ma.mix_batch(CUTMIX, batch, fields={**layout, "sample_weight": "keep"}, **OPTIONS)
        np.testing.assert_array_equal(ways.values(kept), given)


def test_images_alone_need_a_word_only_where_they_are_mixed_with_others():
    assert (ma.mix_batch(ma.Cutout(), X, key=(0, 0)) != X).any()
    with pytest.raises(ValueError, match='expected labels beside the images.*fields="images" if there are none'):
        ma.mix_batch(CUTMIX, X, key=(0, 0))
    assert (ma.mix_batch(CUTMIX, X, key=(0, 0), fields="images") != X).any()
    mask = ma.mix_batch(CUTMIX, MASK, key=(0, 0), fields="masks")
    assert mask.shape == MASK.shape
    assert (mask != MASK).any()
    tensor = torch.ones(N, 3, *SIZE)
    assert (ma.torch.Mixed(ma.Cutout())(tensor) == 0).any()
    model = keras.Sequential([keras.Input((*SIZE, 3)), ma.keras.MixLayer(ma.Cutout()), keras.layers.Flatten()])
    assert model(np.ones_like(X), training=True).shape == (N, 192)


def test_batches_that_cannot_be_told_apart_are_refused():
    batch = {"images": X, "labels": Y}
    batch["self"] = batch
    with pytest.raises(ValueError, match="got one that contains itself"):
        ma.mix_batch(CUTMIX, batch, **OPTIONS)
    endless = [X, Y]
    endless.append(endless)
    with pytest.raises(ValueError, match="got one that contains itself"):
        ma.mix_batch(CUTMIX, endless, **OPTIONS)
    with pytest.raises(ValueError, match="one field for each path, got two of 'a/image'; rename one"):
        ma.mix_batch(CUTMIX, {"a/image": X, "a": {"image": X}, "labels": Y}, **OPTIONS)
    with pytest.raises(TypeError, match=r"got a NumPy masked array; pass x.filled\(value\)"):
        ma.mix_batch(CUTMIX, (np.ma.masked_array(X), Y), **OPTIONS)
    ma.mix_batch(CUTMIX, (np.ma.masked_array(X).filled(0), Y), **OPTIONS)


@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor])
def test_detection_targets_have_what_is_of_the_image_and_of_each_box(make):
    images = X if make is np.asarray else torch.as_tensor(X).permute(0, 3, 1, 2)
    targets = [
        {
            "boxes": make(np.float32([[1, 1, 6, 7], [0, 0, 8, 8]])),
            "labels": make(np.array([i, i + 10])),
            "masks": make(np.ones((2, *SIZE), np.uint8)),
            "image_id": make(np.array([i])),
            "area": make(np.float32([30, 64])),
            "iscrowd": make(np.array([i % 2, 1 - i % 2])),
        }
        for i in range(N)
    ]
    _, mixed = ma.mix_batch(CUTMIX, (images, targets), key=(0, 0), fields=("images", "boxes"))
    assert sum(len(target["boxes"]) for target in mixed) > 2 * N
    for i, target in enumerate(mixed):
        boxes = np.asarray(target["boxes"])
        labels = np.asarray(target["labels"])
        np.testing.assert_array_equal(target["image_id"], [i])
        np.testing.assert_allclose(target["area"], (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
        np.testing.assert_array_equal(target["iscrowd"], np.where(labels < 10, labels % 2, 1 - labels % 2))
        assert target["masks"].dtype == targets[0]["masks"].dtype


@pytest.mark.parametrize("pairing", [ma.pairing.SameClass, ma.pairing.OtherClass])
def test_a_pairing_looks_at_the_field_that_it_names(pairing):
    domain = np.array([0, 0, 1, 1])
    batch = {"images": X, "labels": Y, "domain": domain, "source": Y}
    fields = {"domain": "keep", "source": "per_source"}
    mixed = ma.mix_batch(CUTMIX, batch, fields=fields, pairing=pairing(field="domain"), **OPTIONS)
    partner = mixed["source"][0][1]
    assert ((domain[partner] == domain) == (pairing is ma.pairing.SameClass)).all()
    with pytest.raises(ValueError, match="field: expected the name of one field, got 'nope'"):
        ma.mix_batch(CUTMIX, batch, fields=fields, pairing=pairing(field="nope"), **OPTIONS)
