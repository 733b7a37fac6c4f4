"""Scenes: masks and boxes match the pictures, and a scene depends on its number only."""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mixaug.lab import scenes as lab
from mixaug.lab.data import FASHION_CLASSES, fashion_mnist_sample, load
from mixaug.lab.dataset import Data, Split
from mixaug.lab.errors import LabError

SPRITES = fashion_mnist_sample()


def solid(*classes):
    """One solid sprite per class, so that objects are squares of one color."""
    return Split(np.full((len(classes), 28, 28, 1), 255, np.uint8), np.array(classes))


@pytest.fixture(scope="module")
def data():
    return load("scenes", task="segmentation")


@pytest.fixture(scope="module")
def spoiled():
    return load("scenes", task="image2image")


def made(sprites, size=64, task="segmentation", count=60):
    return [lab._Scene(sprites, (0, i), size, task) for i in range(count)]


def test_the_dataset_has_the_documented_contents(data, spoiled):
    assert (data.name, data.size, data.channels, data.task) == ("scenes", (64, 64), 3, "segmentation")
    assert (data.classes, spoiled.classes) == (("background", *FASHION_CLASSES), ())
    for split, pairs, count in ((data.train, spoiled.train, 2000), (data.test, spoiled.test, 400)):
        assert (split.images.shape, split.targets.shape) == ((count, 64, 64, 3), (count, 64, 64))
        assert (pairs.images.shape, pairs.targets.shape) == ((count, 64, 64, 1), (count, 64, 64, 3))
        assert np.unique(split.targets).tolist() == list(range(11))
        objects = (split.boxes["labels"] >= 0).sum(axis=1)
        assert np.bincount(objects, minlength=6)[1:].min() > count / 10
        assert not ((split.boxes["labels"][:, 1:] >= 0) & (split.boxes["labels"][:, :-1] < 0)).any()  # padding is last


def test_a_scene_is_a_function_of_its_number(data):
    for number, split, sprites in ((0, data.train, SPRITES.train), (1, data.test, SPRITES.test)):
        for i in (399, 7):
            scene = lab._Scene(sprites, (number, i), 64, "segmentation")
            assert np.array_equal(np.asarray(scene.picture), split.images[i])
            assert np.array_equal(scene.mask(), split.targets[i])
            assert np.array_equal(scene.boxes()[0], split.boxes["boxes"][i])
        assert (other := lab._Scene(sprites, (1 - number, 7), 64, "segmentation")).picture != scene.picture
        assert (np.asarray(other.picture) == np.asarray(scene.picture)).mean() < 0.1  # not even the background
    assert len({image.tobytes() for image in np.concatenate([data.train.images, data.test.images])}) == 2400


def test_train_scenes_are_of_train_sprites_and_test_scenes_of_test_sprites(monkeypatch):
    monkeypatch.setattr(lab, "COUNTS", (40, 40))
    data = lab.scenes(Data("", tuple("abcd"), solid(0, 1), solid(2, 3)))
    assert np.unique(data.train.targets).tolist() == [0, 1, 2]
    assert np.unique(data.test.targets).tolist() == [0, 3, 4]


@pytest.mark.parametrize("size", [32, 64, 101])
def test_masks_match_the_visible_objects(size):
    """Each solid object has a unique color, which shows where it is visible."""
    for scene in made(solid(*range(10)), size):
        picture, owner = np.asarray(scene.picture), np.asarray(scene.owner)
        assert picture.shape == (size, size, 3)
        colours = [np.unique(picture[owner == i], axis=0) for i in np.unique(owner)[1:]]
        assert all(len(colour) == 1 for colour in colours)
        for i, (colour,) in zip(np.unique(owner)[1:], colours, strict=True):
            assert ((picture == colour).all(axis=-1) == (owner == i)).all()
        assert np.array_equal(scene.mask(), np.array(scene.labels)[owner])


def test_later_objects_cover_earlier_ones():
    overlapping = 0
    for scene in made(solid(*range(10))):
        owner = np.asarray(scene.owner)
        for i in range(1, len(scene.labels)):
            down, across = np.nonzero(owner == i)
            if down.size:
                inside = owner[down.min() : down.max() + 1, across.min() : across.max() + 1]
                assert (inside >= i).all()  # a solid square is hidden only by later ones
                overlapping += (inside > i).any()
    assert overlapping > 30


@pytest.mark.parametrize("size", [32, 64, 101])
def test_a_box_is_the_bounding_rectangle_of_the_visible_pixels(size):
    left_out = 0
    for scene in made(SPRITES.train, size, count=200):
        owner = np.asarray(scene.owner)
        wanted = []
        for i, label in list(enumerate(scene.labels))[1:]:
            down, across = np.nonzero(owner == i)
            if down.size >= owner.size / 256:
                wanted.append((across.min(), down.min(), across.max() + 1, down.max() + 1, label))
            else:
                left_out += 1
        boxes, labels = scene.boxes()
        assert np.c_[boxes, labels][labels >= 0].tolist() == [list(map(float, one)) for one in wanted]
        assert (boxes[labels < 0] == -1).all()
    assert left_out > 0


def test_a_silhouette_has_no_holes():
    ring = np.zeros((28, 28), np.uint8)
    ring[5:20, 5:20], ring[9:12, 9:12] = 200, 0
    assert (lab._silhouette(ring) == np.where(np.pad(np.ones((15, 15), bool), ((5, 8), (5, 8))), 255, 0)).all()


def test_scenes_of_another_size_have_the_same_layout():
    for small, large in zip(made(SPRITES.train, 64), made(SPRITES.train, 192), strict=True):
        assert (small.mask() == large.mask()[1::3, 1::3]).mean() > 0.96
        apart = np.asarray(small.picture, float) - np.asarray(large.picture.resize((64, 64), Image.Resampling.BOX))
        assert np.abs(apart).mean() < 6


def test_image_pairs_have_the_same_layout_gray_and_clean(data, spoiled):
    assert spoiled.train.boxes is None
    for i in range(20):
        ours, clean = spoiled.train.images[i, ..., 0].astype(float), Image.fromarray(spoiled.train.targets[i])
        apart = ours - np.asarray(clean.convert("L"), float)
        assert abs(np.median(apart)) < 3
        assert 10 < np.median(np.abs(apart)) / 0.6745 < 18  # the noise
        assert (np.abs(apart) > 60).mean() > 0.002  # the strokes
        background = data.train.targets[i] == 0
        same = spoiled.train.targets[i][background] == data.train.images[i][background]
        assert same.all(axis=-1).mean() > 0.8  # except for the soft edges of objects


def test_the_hue_is_the_class_in_image_pairs_but_not_in_segmentation():
    for task, told in (("image2image", True), ("segmentation", False)):
        hues = {}
        for scene in made(solid(*range(10)), task=task):
            picture, mask = np.asarray(scene.picture), scene.mask()
            for label in np.unique(mask)[1:].tolist():
                red, green, blue = picture[mask == label][0] / 255
                hues.setdefault(label, []).append(colorsys.rgb_to_hsv(red, green, blue)[0])
        within = [abs(hue - (label - 1) / 10) < 0.06 for label, all_of in hues.items() for hue in all_of]
        assert all(within) == told
        assert len(within) > 100


@pytest.mark.parametrize("size", [31, 257])
def test_impossible_size(size):
    with pytest.raises(LabError, match=f"^expected scenes of 32 to 256 pixels, got {size}: 64 is usual$"):
        load("scenes", task="segmentation", image_size=size)


def test_the_sprites_are_not_modified():
    before = SPRITES.train.images.copy()
    made(replace(SPRITES.train, images=before), count=3)
    assert np.array_equal(before, SPRITES.train.images)
