"""mix_batch: dicts, pairs and triples, names, and every error."""

from __future__ import annotations

import collections
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

import mixaug as ma
import ways

tf, torch = ways.tf, ways.torch
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
    fields = {"photo": ma.Images(layout="nchw"), "kind": "labels", "age": "values"}
    batch = {"photo": planar, "kind": LABELS, "age": WEIGHTS}
    mixed = ma.mix_batch(ma.CutMix(), batch, key=(0, 0), num_classes=N, fields=fields)
    plain = ma.mix_batch(ma.CutMix(), (IMAGES, LABELS, WEIGHTS), key=(0, 0), num_classes=N)
    np.testing.assert_array_equal(np.moveaxis(mixed["photo"], 1, -1), plain[0])
    np.testing.assert_array_equal(mixed["kind"], plain[1])
    np.testing.assert_array_equal(mixed["age"], plain[2])


@pytest.mark.parametrize(
    ("batch", "options", "error", "sentence"),
    [
        ((IMAGES,), {}, ValueError, "expected labels beside the images"),
        (IMAGES, {}, ValueError, 'fields="images" if there are no labels'),
        ("photo", {}, TypeError, r"\(images, labels\) pair or an .* triple, got str"),
        ({}, {}, ValueError, "got an empty dict"),
        (
            {"images": IMAGES, "mood": LABELS},
            {},
            ValueError,
            r"'mood': expected a known name, .*, got neither; pass fields=\{'mood'",
        ),
        (
            {"images": IMAGES},
            {"fields": {"label": "labels"}},
            ValueError,
            "expected names among 'images', the batch's fields, got 'label'",
        ),
        (
            {"images": IMAGES},
            {"fields": {"images": "sound"}},
            ValueError,
            "expected one of image, images, .*, got 'sound'",
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
        ((IMAGES, LABELS), {}, ValueError, "expected num_classes for class ids"),
        ((IMAGES, np.int64(3)), {"num_classes": N}, ValueError, "labels: expected a batch, rows on the first axis"),
        (
            (IMAGES[0, 0, 0], LABELS[:3]),
            {"num_classes": N},
            ValueError,
            r"got the shape \(3,\); batch single samples first",
        ),
        ((IMAGES.astype(np.int64), LABELS), {"num_classes": N}, TypeError, "images: expected uint8"),
    ],
)
def test_batches_that_are_refused(batch, options, error, sentence):
    with pytest.raises(error, match=sentence):
        ma.mix_batch(ma.CutMix(), batch, key=(0, 0), **options)


def test_values_that_are_not_a_recipe_raise():
    with pytest.raises(TypeError, match=r"expected a recipe first, before the data, got 3; pass one"):
        ma.mix_batch(3, (IMAGES, LABELS), key=(0, 0), num_classes=N)


@pytest.mark.parametrize(
    ("n", "size", "sentence"),
    [
        (-1, (4, 4), "n: expected a whole number of 0 or more and at most 2147483647, got -1"),
        (2.0, (4, 4), "n: expected how many outputs"),
        (True, (4, 4), "n: expected how many outputs"),
        (2, (0, 4), r"size: expected lengths of 1 or more, got \(0, 4\)"),
        (2, (4.0, 4), "size: expected lengths of 1 or more"),
    ],
)
def test_draws_that_are_refused(n, size, sentence):
    with pytest.raises(ValueError, match=sentence):
        ma.MixUp().draw(n, size, key=(0, 0))


@pytest.mark.parametrize("size", [32, None])
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


def test_the_library_is_that_of_the_images_for_every_key():
    images, _ = ma.mix_batch(ma.CutMix(), (IMAGES, LABELS), key=(0, tf.constant(3), tf.Variable(5)), num_classes=N)
    np.testing.assert_array_equal(images, ma.mix_batch(ma.CutMix(), (IMAGES, LABELS), key=(0, 3, 5), num_classes=N)[0])

    @tf.function
    def run(step):
        with pytest.raises(TypeError, match="got traced numbers of TensorFlow; pass like= an array of that library"):
            ma.CutMix().draw(N, (8, 8), key=(0, step), like=IMAGES)
        return ma.CutMix().draw(N, (8, 8), key=(0, step)).lam

    assert isinstance(run(tf.constant(3)), tf.Tensor)


CLASSES = 2 * N + 3
BATCH = (ways.own_class_everywhere(CLASSES, (6, 5))[:N], LABELS)  # image i is of class i
BANK = (ways.own_class_everywhere(CLASSES, (6, 5))[N:], np.arange(N, CLASSES))  # longer, and of other classes
MORE = ma.one_of(ma.MixUp(sources=3), ma.CutMix(), ma.RICAP())


@pytest.mark.parametrize("recipe", [ma.CutMix(), MORE, ma.GridMix(), ma.Cutout()], ids=repr)
def test_keep_clean_puts_the_batch_before_its_mixes(recipe):
    weights = WEIGHTS.astype(np.float64)
    images, labels, kept = ma.mix_batch(
        recipe, (IMAGES, LABELS, weights), key=(1, 2), num_classes=N, include_clean=True
    )
    mixed = ma.mix_batch(recipe, (IMAGES, LABELS, weights), key=(1, 2), num_classes=N)
    assert len(images) == len(labels) == len(kept) == 2 * N
    np.testing.assert_array_equal(images[:N], IMAGES)
    np.testing.assert_array_equal(labels[:N], np.eye(N, dtype=np.float32))
    np.testing.assert_array_equal(kept[:N], weights)
    for got, want in zip((images, labels, kept), mixed, strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got[N:], want)


@pytest.mark.parametrize("clean", [False, True])
def test_each_copy_has_another_mix(clean):
    options = {"num_classes": CLASSES, "include_clean": clean}
    images, labels = ma.mix_batch(MORE, BATCH, key=(1, 2), copies=3, **options)
    one = ma.mix_batch(MORE, BATCH, key=(1, 2), **options)
    assert len(images) == len(labels) == (3 + clean) * N
    np.testing.assert_array_equal(images[: len(one[0])], one[0])
    np.testing.assert_array_equal(labels[: len(one[1])], one[1])
    copies = labels.reshape(-1, N, CLASSES)
    assert all((copies[i] != copies[j]).any() for i in range(len(copies)) for j in range(i))
    ways.assert_label_is_the_pixels(images, labels)


def test_copies_say_nothing_of_each_other():
    """The second copy of a row is mixed independently of the first."""
    n = 4000
    recipe, batch = ma.one_of(ma.identity(), ma.MixUp()), (np.zeros((n, 1, 1, 1), np.float32), np.arange(n) % 2)
    _, labels = ma.mix_batch(recipe, batch, key=(0, 0), num_classes=2, copies=2, pairing=ma.pairing.Roll())
    first, second = 1 - labels[np.arange(2 * n), np.arange(2 * n) % 2].reshape(2, n)  # the weight of the other class
    assert stats.spearmanr(first, second).pvalue > 1e-3
    assert stats.ks_2samp(first[second > 0], first[second == 0]).pvalue > 1e-3


@pytest.mark.parametrize("options", [{"include_clean": True}, {"copies": 2}])
def test_labels_apart_cannot_be_joined(options):
    with pytest.raises(
        TypeError, match="labels: expected labels of one array for include_clean or copies, got PerSource; mix"
    ):
        ma.mix_batch(ma.CutMix(), (IMAGES, LABELS), key=(0, 0), fields={"labels": ma.PerSource()}, **options)


@pytest.mark.parametrize("recipe", [ma.CutMix(), MORE, ma.MixUp(alpha=9.0, sources=4), ma.GridMix()], ids=repr)
@pytest.mark.parametrize("size", [1, 2, len(BANK[0])])
def test_partners_come_only_from_the_bank(recipe, size):
    bank = tuple(x[:size] for x in BANK)
    for step in range(10):
        images, labels = ma.mix_batch(recipe, BATCH, key=(0, step), num_classes=CLASSES, bank=bank)
        ways.assert_label_is_the_pixels(images, labels)
        assert not labels[:, :N][~np.eye(N, dtype=bool)].any()  # only the base sample is from the batch
        assert ((labels[:, N:] > 0).sum(axis=1) <= min(size, recipe.sources - 1)).all()
    assert labels[:, N:].any()


def test_partners_from_a_bank_are_distinct_and_equally_likely():
    counts = np.zeros(len(BANK[0]))
    for step in range(2000):
        _, labels = ma.mix_batch(ma.MixUp(alpha=99.0, sources=4), BATCH, key=(0, step), num_classes=CLASSES, bank=BANK)
        assert ((labels > 0).sum(axis=1) == 4).all()
        counts += labels[0, N:] > 0
    assert stats.chisquare(counts).pvalue > 1e-3


def test_a_bank_does_not_change_boxes_or_lam():
    fields = {"labels": ma.PerSource()}
    _, (_, plain) = ma.mix_batch(MORE, BATCH, key=(3, 4), fields=fields)
    _, (parts, lam) = ma.mix_batch(MORE, BATCH, key=(3, 4), fields=fields, bank=BANK)
    np.testing.assert_array_equal(lam, plain)
    assert (parts[1:][lam[1:] > 0] >= N).all()


@pytest.mark.parametrize("library", ways.MAKE)
def test_a_bank_of_any_library_gives_what_numpys_gives(library):
    make = ways.MAKE[library]
    batch, bank = (tuple(map(make, pair)) for pair in (BATCH, BANK))
    options = {"key": (5, 6), "num_classes": CLASSES, "include_clean": True, "copies": 2}
    images, labels = ma.mix_batch(ma.CutMix(), batch, bank=bank, fields={"images": ma.Images("nhwc")}, **options)
    want = ma.mix_batch(ma.CutMix(), BATCH, bank=BANK, **options)
    np.testing.assert_array_equal(ways.values(images), want[0])
    np.testing.assert_array_equal(ways.values(labels), want[1])


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"bank": {"images": IMAGES}}, ValueError, "bank: expected the fields of the batch, .*, got 'images'"),
        ({"bank": (IMAGES, tf.range(N))}, TypeError, "got NumPy for 'labels' and TensorFlow for 'bank labels'"),
        ({"bank": (IMAGES, LABELS[:4])}, ValueError, "got 4 in 'labels' and 6 in 'images'"),
        ({"bank": (IMAGES[:0], LABELS[:0])}, ValueError, "bank: expected one row or more, got none"),
        (
            {"bank": (IMAGES / 255, LABELS)},
            TypeError,
            r"bank images: expected a source like the batch, uint8 with rows \(8, 8, 3\), got float64",
        ),
        ({"bank": (IMAGES[:, :4], LABELS)}, TypeError, r"bank images: .*, got uint8 with rows \(4, 8, 3\)"),
        ({"bank": IMAGES}, ValueError, "expected the fields of the batch, 'images', 'labels', got an array"),
        (
            {"bank": (IMAGES, LABELS), "pairing": ma.pairing.Roll()},
            TypeError,
            "bank: expected nothing else to say who is mixed with whom, got a pairing; leave one of them out",
        ),
        ({"copies": 0}, ValueError, "copies: expected a whole number of 1 or more and at most 1024, got 0"),
        ({"copies": 1.5}, ValueError, "copies: expected a whole number of 1 or more and at most 1024, got 1.5"),
    ],
)  # fmt: skip
def test_options_that_are_refused(options, error, sentence):
    with pytest.raises(error, match=sentence):
        ma.mix_batch(ma.CutMix(), (IMAGES, LABELS), key=(0, 0), num_classes=N, **options)


# Every adapter with options: a function from the options to a batch, and the key that it uses.
def planar(batch):
    return torch.from_numpy(np.moveaxis(batch[0], -1, 1).copy()), torch.from_numpy(batch[1])


def through_mixed(options):
    return next(ma.mixed(MORE, [BATCH], epoch=0, num_classes=CLASSES, **options))


def through_tf(options):
    bank = {"bank": tuple(map(tf.constant, options["bank"]))} if "bank" in options else {}
    ds = tf.data.Dataset.from_tensors(BATCH).apply(ma.tf.mixed(MORE, num_classes=CLASSES, **{**options, **bank}))
    (images, labels), rows = next(iter(ds)), rows_of(options)
    assert ds.element_spec[0].shape == (rows, 6, 5, CLASSES)  # static
    assert ds.element_spec[1].shape == (rows, CLASSES)
    return images, labels


def through_torch(options):
    bank = {"bank": planar(options["bank"])} if "bank" in options else {}
    images, labels = ma.torch.Mixed(MORE, num_classes=CLASSES, **{**options, **bank})(*planar(BATCH))
    return images.movedim(1, -1), labels


def through_collate(options):
    bank = {"bank": planar(options["bank"])} if "bank" in options else {}
    collate = ma.torch.MixingCollate(MORE, num_classes=CLASSES, **{**options, **bank})
    images, labels = collate(list(zip(*planar(BATCH), strict=True)))
    return images.movedim(1, -1), labels


def through_lightning(options):
    bank = {"bank": planar(options["bank"])} if "bank" in options else {}
    trainer = SimpleNamespace(current_epoch=0, distributed_sampler_kwargs=None)
    batch = list(planar(BATCH))
    ma.lightning.MixCallback(MORE, num_classes=CLASSES, **{**options, **bank}).on_train_batch_start(
        trainer, None, batch, 0
    )
    return batch[0].movedim(1, -1), batch[1]


def through_batches(options):
    return next(ma.batches(MORE, *BATCH, N, num_classes=CLASSES, **options))


def through_keras_dataset(options):
    return ma.keras.MixedDataset(MORE, *BATCH, N, num_classes=CLASSES, **options)[0]


def through_keras_layer(options):
    layer = ma.keras.MixLayer(MORE, num_classes=CLASSES, **options)
    assert type(layer).from_config(layer.get_config()).copies == layer.copies
    assert type(layer).from_config(layer.get_config()).include_clean == layer.include_clean
    plain = layer({"images": BATCH[0], "labels": LABELS}, training=False)
    np.testing.assert_array_equal(plain["images"], BATCH[0])
    return tuple(layer({"images": BATCH[0], "labels": LABELS, "step": np.int64(0)}).values())


def through_torch_loader(options):
    pairs = list(zip(*planar(BATCH), strict=True))
    images, labels = next(iter(ma.torch.loader(MORE, pairs, N, num_classes=CLASSES, shuffle=False, **options)))
    return images.movedim(1, -1), labels


def rows_of(options) -> int:
    return N * (options.get("copies", 1) + options.get("include_clean", False))


DOORS = {
    through_mixed: (0, 0, 0), through_tf: (0, 0, 0), through_torch: (0, 0), through_collate: (0, 0, 0),
    through_lightning: (0, 0, 0),
}  # fmt: skip
COPIES = [{"include_clean": True}, {"copies": 3}, {"include_clean": True, "copies": 2}]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "options",
    [*COPIES, {"pairing": ma.pairing.OtherClass()}, {"bank": BANK}, {"bank": BANK, "include_clean": True, "copies": 2}],
    ids=lambda options: "-".join(options),
)
def test_every_adapter_takes_the_options(door, options):
    images, labels = door(options)
    want = ma.mix_batch(MORE, BATCH, key=DOORS[door], num_classes=CLASSES, **options)
    assert len(labels) == rows_of(options)
    np.testing.assert_allclose(ways.values(images), want[0], atol=1e-6)
    np.testing.assert_allclose(ways.values(labels), want[1], atol=1e-6)


@pytest.mark.parametrize("door", [through_batches, through_keras_dataset, through_keras_layer, through_torch_loader])
@pytest.mark.parametrize("options", COPIES, ids=lambda options: "-".join(options))
def test_the_others_take_copies(door, options):
    images, labels = map(ways.values, door(options))
    assert len(images) == len(labels) == rows_of(options)
    ways.assert_label_is_the_pixels(images, labels)
    copies = labels.reshape(-1, N, CLASSES)
    assert all((copies[i] != copies[j]).any() for i in range(len(copies)) for j in range(i))
    if "include_clean" in options:
        np.testing.assert_array_equal(copies[0][copies[0].argmax(axis=1).argsort()], np.eye(N, CLASSES))


def test_fields_of_two_lengths_are_refused_in_one_sentence():
    x, y = np.zeros((4, 6, 6, 3), np.float32), np.arange(4)
    with pytest.raises(
        ValueError, match=r"expected as many rows in every field, got 3 in 'labels' and 4 in 'images'; pa"
    ):
        ma.mix_batch(ma.identity(), (x, y[:3]), key=0, num_classes=4)
    with pytest.raises(
        ValueError, match=r"expected as many rows in every field, got 3 in 'extra' and 4 in 'label'; pass"
    ):
        ma.mix_batch(
            ma.CutMix(), {"image": x, "label": y, "extra": y[:3]}, key=0, num_classes=4, fields={"extra": "keep"}
        )
