"""Recipes that look at guides, in the lab: what they are fed, how they are shown, and data that have no guide."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import mixaug as ma
from mixaug import drawing
from mixaug.lab import preview
from mixaug.lab.config import Arm, Config
from mixaug.lab.data import load
from mixaug.lab.errors import LabError
from mixaug.lab.guided import OBJECTS, guides_for
from mixaug.lab.train import Batches


def config(data, *arms):
    task = "segmentation" if data == "scenes" else "classification"
    return Config(data=data, task=task, arms=arms, model="unet" if data == "scenes" else "small", batch_size=16)


@pytest.fixture(scope="module")
def scenes():
    return load("scenes", task="segmentation", train_size=40)


def test_training_batches_are_mixed_by_the_saliency_of_the_augmented_images():
    data = load("fashion-mnist-sample", train_size=40)
    batches = Batches(
        config("fashion-mnist-sample", "saliencymix"), data, Arm("saliencymix", (), ma.SaliencyMix()), seed=3
    )
    given, key, _ = batches.unmixed(1)
    images, labels = batches[1]
    saliency = ma.guides.spectral_residual(given.images)
    mix = ma.SaliencyMix().draw(len(given), data.size, key=key, guide=saliency)
    np.testing.assert_array_equal(images, mix.images(given.images))
    np.testing.assert_array_equal(labels, mix.labels(given.targets, len(data.classes)))


@pytest.mark.parametrize("recipe", [ma.ClassMix(), ma.CopyPaste()], ids=repr)
def test_training_batches_of_scenes_are_mixed_by_their_masks(scenes, recipe):
    batches = Batches(config("scenes", "classmix"), scenes, Arm("guided", (), recipe), seed=3)
    given, key, _ = batches.unmixed(0)
    images, masks = batches[0]
    guides = guides_for(recipe, given, scenes)
    mix = recipe.draw(len(given), scenes.size, key=key, guide=guides)
    np.testing.assert_array_equal(images, mix.images(given.images))
    np.testing.assert_array_equal(masks.argmax(-1), mix.masks(given.targets))


def test_objects_are_the_connected_parts_of_each_class(scenes):
    objects = guides_for(ma.CopyPaste(), scenes.train, scenes)["instances"]
    masks = scenes.train.targets
    assert objects.shape == (40, OBJECTS, *scenes.size)
    for mask, parts in zip(masks, objects, strict=True):
        for part in parts:
            assert len(set(mask[part].tolist())) <= 1
        if parts[-1].sum() == 0:
            assert (parts.any(axis=0) == (mask > 0)).all()
        assert (parts.sum(axis=0) <= 1).all()


def test_a_sheet_shows_the_saliency_below_each_source(scenes):
    split = scenes.train.take(range(4))
    plain, guided = (
        preview.sheet(split, scenes, recipe, key=(0, 0), rows=1) for recipe in (ma.CutMix(), ma.SaliencyMix())
    )
    assert guided.height > plain.height + 64
    sheet = ma.show({"images": split.images, "saliency": ma.guides.spectral_residual(split.images)})
    assert sheet.image.height > ma.show(split.images).image.height + 64


def test_heat_goes_from_blue_to_red_over_the_image_in_grey():
    image = np.full((8, 8, 3), 100, np.uint8)
    saliency = np.zeros((4, 4), np.float32)
    saliency[1, 2] = 3
    made = drawing.heated(image, saliency)
    hot = made[2, 4].astype(int)
    assert hot[0] > hot[2] + 100
    assert (made[2:4, 4:6] == made[2, 4]).all()
    cold = made[0, 0].astype(int)
    assert cold[2] > cold[0] + 100
    assert Image.fromarray(made).size == (8, 8)


def test_data_without_masks_are_refused_and_the_way_out_works(scenes):
    data = load("fashion-mnist-sample", train_size=10)
    with pytest.raises(LabError, match="expected data with masks for ClassMix, got fashion-mnist-sample"):
        preview.sheet(data.train, data, ma.ClassMix(), key=(0, 0))
    preview.sheet(scenes.train.take(range(4)), scenes, ma.ClassMix(), key=(0, 0), rows=1)
