"""The door: dicts, pairs and triples, names, and every refusal."""

from __future__ import annotations

import collections

import numpy as np
import pytest

import mixaug as ma
import ways

tf = ways.tf
N = 6
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 3), np.uint8)
LABELS = np.arange(N)
WEIGHTS = np.linspace(0, 1, N, dtype=np.float32)


def test_one_draw_serves_every_field():
    mix = ma.CutMix().draw(N, (8, 8), key=(1, 2, 3))
    images, labels, weights = ma.mix_batch(ma.CutMix(), (IMAGES, LABELS, WEIGHTS), key=(1, 2, 3), num_classes=N)
    np.testing.assert_array_equal(images, mix.images(IMAGES))
    np.testing.assert_array_equal(labels, mix.labels(LABELS, N))
    np.testing.assert_array_equal(weights, mix.values(WEIGHTS))


@pytest.mark.parametrize("kind", [tuple, list])
def test_the_form_of_the_batch_stays(kind):
    out = ma.mix_batch(ma.MixUp(), kind((IMAGES, LABELS)), key=(0, 0), num_classes=N)
    assert type(out) is kind
    named = {"pixel_values": IMAGES, "label": LABELS, "sample_weight": WEIGHTS}
    mixed = ma.mix_batch(ma.MixUp(), named, key=(0, 0), num_classes=N)
    assert list(mixed) == list(named)
    np.testing.assert_array_equal(mixed["pixel_values"], out[0])
    np.testing.assert_array_equal(mixed["label"], out[1])


def test_a_named_tuple_stays_one():
    pair = collections.namedtuple("Pair", "x y")(IMAGES, LABELS)
    out = ma.mix_batch(ma.MixUp(), pair, key=(0, 0), num_classes=N)
    assert type(out) is type(pair)
    assert out.y.shape == (N, N)


def test_fields_of_other_names_and_with_options():
    planar = np.moveaxis(IMAGES, -1, 1)
    fields = {"photo": ma.Images(channels="first"), "kind": "labels", "age": "values"}
    batch = {"photo": planar, "kind": LABELS, "age": WEIGHTS}
    mixed = ma.mix_batch(ma.CutMix(), batch, key=(0, 0), num_classes=N, fields=fields)
    plain = ma.mix_batch(ma.CutMix(), (IMAGES, LABELS, WEIGHTS), key=(0, 0), num_classes=N)
    np.testing.assert_array_equal(np.moveaxis(mixed["photo"], 1, -1), plain[0])
    np.testing.assert_array_equal(mixed["kind"], plain[1])
    np.testing.assert_array_equal(mixed["age"], plain[2])


@pytest.mark.parametrize(
    ("batch", "options", "error", "sentence"),
    [
        ((IMAGES,), {}, TypeError, r"\(images, labels\) pair or an .* triple, got tuple of 1"),
        (IMAGES, {}, TypeError, "got ndarray"),
        ({}, {}, ValueError, "got an empty dict"),
        (
            {"images": IMAGES, "mood": LABELS},
            {},
            ValueError,
            r"'mood' is neither known nor named; pass fields=\{'mood'",
        ),
        (
            {"images": IMAGES},
            {"fields": {"label": "labels"}},
            ValueError,
            "'label' is not in the batch, which has 'images'",
        ),
        (
            {"images": IMAGES},
            {"fields": {"images": "sound"}},
            ValueError,
            "said to be 'sound', which is none of image, images",
        ),
        ({"labels": LABELS}, {"num_classes": N}, ValueError, "expected an image field to draw for, got 'labels'"),
        ((IMAGES, LABELS[:4]), {"num_classes": N}, ValueError, "got 4 in 'labels' and 6 in 'images'"),
        ((IMAGES, tf.range(N)), {"num_classes": N}, TypeError, "got NumPy for 'images' and TensorFlow for 'labels'"),
        (
            (IMAGES, list(LABELS)),
            {"num_classes": N},
            TypeError,
            "labels: expected an array of NumPy, TensorFlow, PyTorch or JAX, got list",
        ),
        ((IMAGES, LABELS), {}, ValueError, "class ids need num_classes"),
        ((IMAGES, np.int64(3)), {"num_classes": N}, ValueError, "labels: expected a batch, rows on the first axis"),
        ((IMAGES[0, 0, 0], LABELS[:3]), {"num_classes": N}, ValueError, "channels=None"),
        ((IMAGES.astype(np.int64), LABELS), {"num_classes": N}, TypeError, "images: expected uint8"),
    ],
)
def test_batches_that_are_refused(batch, options, error, sentence):
    with pytest.raises(error, match=sentence):
        ma.mix_batch(ma.CutMix(), batch, key=(0, 0), **options)


def test_what_is_no_recipe_is_refused():
    with pytest.raises(TypeError, match=r'expected a recipe, got \'cutmix\'; ma.recipe\("cutmix"\) reads one'):
        ma.mix_batch("cutmix", (IMAGES, LABELS), key=(0, 0), num_classes=N)


@pytest.mark.parametrize(
    ("n", "size", "sentence"),
    [
        (-1, (4, 4), "n: expected how many outputs, a whole number, got -1"),
        (2.0, (4, 4), "n: expected how many outputs"),
        (True, (4, 4), "n: expected how many outputs"),
        (2, (0, 4), r"size: expected lengths of 1 or more, got \(0, 4\)"),
        (2, (4.0, 4), "size: expected lengths of 1 or more"),
    ],
)
def test_draws_that_are_refused(n, size, sentence):
    with pytest.raises(ValueError, match=sentence):
        ma.MixUp().draw(n, size, key=(0, 0))


@pytest.mark.parametrize("size", [32, (), None])
def test_a_size_is_a_tuple(size):
    with pytest.raises(TypeError, match=r"size: expected the spatial lengths, such as \(32, 32\), got"):
        ma.MixUp().draw(2, size, key=(0, 0))


def test_inputs_are_not_written_to():
    images, labels = IMAGES.copy(), LABELS.copy()
    for recipe in ways.RECIPE_ROWS:
        ma.mix_batch(recipe, (images, labels), key=(0, 0), num_classes=N)
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize(
    "arrange", [np.asfortranarray, lambda x: np.repeat(x, 2, axis=2)[:, :, ::2], lambda x: x[::-1][::-1]]
)
def test_any_arrangement_in_memory(arrange):
    images, _ = ma.mix_batch(ma.MixUp(), (arrange(IMAGES), LABELS), key=(0, 0), num_classes=N)
    np.testing.assert_array_equal(images, ma.mix_batch(ma.MixUp(), (IMAGES, LABELS), key=(0, 0), num_classes=N)[0])


def test_the_library_is_that_of_the_images_whatever_the_key_is_made_of():
    images, _ = ma.mix_batch(ma.CutMix(), (IMAGES, LABELS), key=(0, tf.constant(3), tf.Variable(5)), num_classes=N)
    np.testing.assert_array_equal(images, ma.mix_batch(ma.CutMix(), (IMAGES, LABELS), key=(0, 3, 5), num_classes=N)[0])

    @tf.function
    def run(step):
        with pytest.raises(TypeError, match="got traced numbers of TensorFlow; pass like= an array of that library"):
            ma.CutMix().draw(N, (8, 8), key=(0, step), like=IMAGES)
        return ma.CutMix().draw(N, (8, 8), key=(0, step)).share

    assert isinstance(run(tf.constant(3)), tf.Tensor)
