"""Basic augmentation: what it does to pixels, how it is distributed, and that it is a function of its key."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

import mixaug as ma
from mixaug.core import keys
from mixaug.lab.augment import AUGMENTATIONS, augment, moved
from mixaug.lab.errors import LabError

RAMP = np.arange(1, 241, dtype=np.uint8).reshape(1, 12, 20, 1)  # no two pixels the same, none black
MANY = np.repeat(RAMP, 4000, axis=0)


def windows(image, down, right):
    """Every crop of the padded image, by its corner."""
    height, width, _ = image.shape
    padded = np.pad(image, ((down, down), (right, right), (0, 0)))
    return {
        (i, j): padded[i : i + height, j : j + width].tobytes()
        for i in range(2 * down + 1)
        for j in range(2 * right + 1)
    }


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("shape", [(5, 8, 8, 3), (1, 9, 13, 1), (0, 8, 8, 1)])
def test_shape_and_dtype_stay_and_nothing_is_written_to(name, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    before = images.copy()
    images.flags.writeable = False
    out = augment(images, [name], (0, 0, 0))
    assert (out.shape, out.dtype) == (shape, np.uint8)
    assert np.array_equal(images, before)


def test_flip_is_left_to_right_of_half_of_them():
    out = augment(MANY, ["flip"], (0, 0, 0))
    flipped = (out == RAMP[:, :, ::-1]).all((1, 2, 3))
    assert (flipped | (out == RAMP).all((1, 2, 3))).all()
    assert abs(flipped.mean() - 0.5) < 0.03


def test_crop_is_a_window_of_the_padded_image_from_every_place_alike():
    corner = {pixels: place for place, pixels in windows(RAMP[0], 1, 2).items()}
    places = [corner[image.tobytes()] for image in augment(MANY, ["crop"], (0, 0, 0))]
    counts = np.unique(places, axis=0, return_counts=True)[1]
    assert len(counts) == 3 * 5
    assert abs(counts / len(MANY) - 1 / 15).max() < 0.02


def test_crop_pads_an_eighth_of_the_side():
    images = np.ones((2000, 32, 32, 1), np.uint8)
    black = (augment(images, ["crop"], (0, 0, 0)) == 0).all((2, 3)).sum(1)
    assert black.max() == 4


def test_brightness_is_a_factor_between_0_8_and_1_2():
    images = np.full((4000, 8, 8, 1), 200, np.uint8)
    out = augment(images, ["brightness"], (0, 0, 0))
    assert (out == out[:, :1, :1]).all()
    assert (out.min(), out.max()) == (160, 240)
    assert abs(out.mean() - 200) < 1


def test_brightness_rounds_and_clips():
    images = np.tile(np.array([0, 10, 250], np.uint8), (4000, 8, 8, 1))
    black, dark, bright = np.moveaxis(augment(images, ["brightness"], (0, 0, 0)), -1, 0)
    assert not black.any()
    assert set(np.unique(dark)) == {8, 9, 10, 11, 12}
    assert (bright.min(), bright.max()) == (200, 255)
    assert abs((dark == 8).mean() - 0.125) < 0.02  # of U(8, 12) an eighth rounds to 8: it is not cut off


def test_added_brightness_is_of_up_to_a_fifth_of_the_range_and_clipped():
    images = np.tile(np.array([0, 100, 250], np.uint8), (4000, 8, 8, 1))
    black, grey, bright = np.moveaxis(augment(images, ["brightness-added"], (0, 0, 0)), -1, 0).astype(int)
    assert (grey.min(), grey.max()) == (49, 151)
    assert abs(grey.mean() - 100) < 2
    shift = grey - 100
    assert np.array_equal(black, shift.clip(0))
    assert np.array_equal(bright, (250 + shift).clip(0, 255))


@pytest.mark.parametrize(("name", "kind"), [("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)])
def test_contrast_and_saturation_are_pillows_with_factors_between_0_8_and_1_2(name, kind):
    one = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    possible = {np.asarray(kind(Image.fromarray(one)).enhance(0.8 + f / 5000)).tobytes() for f in range(2001)}
    out = augment(np.repeat(one[None], 200, axis=0), [name], (0, 0, 0))
    assert len({image.tobytes() for image in out}) > 50
    assert sum(image.tobytes() in possible for image in out) > 180  # the rest is rounded between two of the factors


def test_grey_images_have_no_saturation():
    assert np.array_equal(augment(MANY[:20], ["saturation"], (0, 0, 0)), MANY[:20])
    assert not np.array_equal(augment(MANY[:20], ["contrast"], (0, 0, 0)), MANY[:20])


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_function_of_the_key(name):
    images = np.concatenate([MANY[:64], MANY[:64] // 2, MANY[:64] // 3], axis=-1)
    one = augment(images, [name], (7, 1, 2))
    assert np.array_equal(one, augment(images, [name], (7, 1, 2)))
    for other in ((8, 1, 2), (7, 2, 2), (7, 1, 3)):
        assert not np.array_equal(one, augment(images, [name], other))


def test_each_draws_the_same_with_and_without_the_others():
    images, key = MANY[:64], (0, 0, 0)
    assert np.array_equal(
        augment(images, ["flip", "crop"], key), augment(augment(images, ["flip"], key), ["crop"], key)
    )


def test_words_are_not_those_of_the_mix(monkeypatch):
    asked = []
    draw = keys.random_bits
    monkeypatch.setattr(
        keys, "random_bits", lambda xp, key, rows, count: asked.append(key) or draw(xp, key, rows, count)
    )
    images, labels = MANY[:8], np.arange(8)
    augment(images, ["flip"], (0, 1, 2))
    recipe = ma.one_of(ma.CutMix(), ma.per_batch(ma.one_of(ma.MixUp(), ma.SmoothMix(), ma.GridMix())))
    ma.mix_batch(recipe, (images, labels), key=(0, 1, 2), num_classes=8)
    assert len(asked) > 4
    assert asked[0] not in asked[1:]


def test_unknown_name():
    with pytest.raises(LabError, match="got 'flipp': did you mean 'flip'"):
        augment(MANY[:2], ["flipp"], (0, 0, 0))


def test_without_names_nothing_is_done():
    assert augment(MANY, [], (0, 0, 0)) is MANY


# --- targets ---


@pytest.mark.parametrize("names", [["flip"], ["crop"], ["crop", "flip"], ["flip", "brightness", "crop"]])
def test_targets_are_moved_as_their_images_are(names):
    """Pixels that tell where they are: in the image and in the target they are the same afterwards."""
    images, key = np.repeat(RAMP, 200, axis=0), (0, 1, 2)
    out = augment(images, [name for name in names if name != "brightness"], key)
    assert np.array_equal(moved(images[..., 0], names, key), out[..., 0])
    assert np.array_equal(moved(np.repeat(images, 3, axis=-1), names, key), np.repeat(out, 3, axis=-1))
    assert (out != images).any()


@pytest.mark.parametrize("name", ["brightness", "brightness-added", "contrast"])
def test_targets_do_not_change_in_brightness_or_contrast(name):
    assert np.array_equal(moved(MANY[:50], [name], (0, 0, 0)), MANY[:50])
    assert (augment(MANY[:50], [name], (0, 0, 0)) != MANY[:50]).any()


def test_class_ids_stay():
    labels = np.arange(5)
    assert moved(labels, ["flip", "crop"], (0, 0, 0)) is labels


def test_crop_fills_with_what_is_said_where_the_image_is_black():
    images = np.repeat(RAMP, 200, axis=0)
    masks = moved(np.ones((200, 12, 20), np.uint8), ["crop"], (0, 0, 0), fill=255)
    black = augment(images, ["crop"], (0, 0, 0))[..., 0] == 0
    assert black.any()
    assert np.array_equal(masks, np.where(black, 255, 1))
