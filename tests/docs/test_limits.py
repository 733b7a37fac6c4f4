"""The statements of docs/limits.md hold, as far as one machine can show, and its advice works."""

from __future__ import annotations

import jax
import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

import mixaug as ma
from mixaug.core.checks import MAX_LENGTH, MAX_PIXELS
from ways import own_class_everywhere

N = 6
X, Y = own_class_everywhere(N, (8, 8)), np.arange(N)
SAMPLES = tf.data.Dataset.from_tensor_slices((X, Y))
PAIRS = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
CHANNELS_LAST = {"images": ma.Images(layout="nhwc")}


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((8, 8, N)), keras.layers.Flatten(), keras.layers.Dense(N)])
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    return model


def test_the_length_of_zipped_single_samples_must_be_asserted():
    ds = ma.tf.mixed_zip("cutmix", SAMPLES, SAMPLES, num_classes=N)
    assert ds.cardinality() == tf.data.UNKNOWN_CARDINALITY
    ds = ds.apply(tf.data.experimental.assert_cardinality(N))
    assert ds.cardinality() == N == len(list(ds))


def test_a_new_pipeline_counts_from_0_unless_a_variable_has_the_epoch():
    def passes(count, **options):
        ds = SAMPLES.batch(N).apply(ma.tf.mixed("cutmix", num_classes=N, **options))
        return [labels.numpy() for _ in range(count) for _, labels in ds]

    first, second = passes(2)
    assert (passes(1)[0] == first).all()
    assert (passes(1, epoch=tf.Variable(1, dtype=tf.int64))[0] == second).all()
    assert (first != second).any()


def test_evaluate_and_predict_count_epochs_unless_set_epoch_is_used(model):
    ds = ma.keras.MixedDataset("cutmix", X, Y, 2, num_classes=N)
    model.fit(ds, epochs=2, shuffle=False, verbose=0)
    model.evaluate(ds, verbose=0)
    model.predict(ds, verbose=0)
    assert ds.epoch == 4
    begun = []
    note = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: begun.append(ds.epoch))
    model.fit(ds, epochs=1, shuffle=False, verbose=0, callbacks=[ma.keras.SetEpoch(ds), note])
    assert set(begun) == {0}


def test_keras_reads_a_loader_before_fit_and_a_callback_sets_the_epoch(model, monkeypatch):
    asked = []
    loader = ma.torch.loader("cutmix", PAIRS, 3, num_classes=N, fields=CHANNELS_LAST)
    of = loader.sampler.request
    monkeypatch.setattr(loader.sampler, "request", lambda epoch, step: asked.append(epoch) or of(epoch, step))
    model.fit(loader, epochs=2, verbose=0)
    assert asked[-4:] == [1, 1, 2, 2]
    set_epoch = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: loader.sampler.set_epoch(epoch))
    model.fit(loader, epochs=2, verbose=0, callbacks=[set_epoch])
    assert asked[-4:] == [0, 0, 1, 1]


def test_the_length_of_a_loader_and_of_its_dataset():
    loader = ma.torch.loader("cutmix", PAIRS, 4, num_classes=N, fields=CHANNELS_LAST)
    assert (len(loader), len(loader.dataset)) == (2, N)


def test_a_layer_in_a_model_does_not_see_labels():
    with pytest.raises(ValueError, match="expected labels beside the images"):
        keras.Sequential([ma.keras.MixLayer("cutmix")])(X)
    holes = keras.Sequential([ma.keras.MixLayer("cutout")])(X, training=True).numpy()
    assert (holes != X).any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("size", [(MAX_LENGTH + 1,), (2**16, 2**16)], ids=["an axis", "pixels"])
def test_sizes_beyond_the_limits_are_refused(size):
    limits = rf"at most {MAX_LENGTH} and at most {MAX_PIXELS} pixels, .* split the samples into tiles"
    with pytest.raises(ValueError, match=limits):
        ma.CutMix().draw(2, size, key=0)
    assert (MAX_LENGTH, MAX_PIXELS) == (2**24, 2**31 - 1)


def test_weights_of_blends_are_of_65536_parts_and_areas_are_of_pixels():
    lam = ma.MixUp().draw(100, (7, 9), key=0).lam
    assert (lam * 65536 == np.rint(lam * 65536)).all()
    area = ma.CutMix().draw(100, (7, 9), key=0).lam.astype(np.float64) * 63
    np.testing.assert_allclose(area, np.rint(area), atol=1e-5)


@pytest.mark.parametrize("recipe", [ma.ResizeMix(), ma.Mosaic()], ids=repr)
def test_resized_parts_take_the_nearest_pixel(recipe):
    noise = np.random.default_rng(0).random((4, 17, 13, 1))
    images = recipe.draw(4, (17, 13), key=0).images(noise)
    assert np.isin(images, noise).all()


@pytest.mark.parametrize("recipe", [ma.MixUp(), ma.CutMix(), ma.FMix()], ids=repr)
def test_nan_stays_among_the_outputs_that_have_its_image_as_a_source(recipe):
    x = X.copy()
    x[0, 3, 3] = np.nan
    mix = recipe.draw(N, (8, 8), key=0)
    spoilt = np.isnan(mix.images(x)).any(axis=(1, 2, 3))
    assert spoilt.any()
    assert not spoilt[(mix.index != 0).all(axis=0)].any()
    assert np.isfinite(mix.images(np.nan_to_num(x))).all()


def test_class_ids_out_of_range_give_nan_where_values_cannot_be_seen():
    made = jax.jit(lambda x, y: ma.mix_batch("mixup", (x, y), key=0, num_classes=N - 1))(X, Y)
    assert np.isnan(made[1]).any()
    with pytest.raises(ValueError, match=r"expected class ids in 0..4, got 0..5"):
        ma.mix_batch("mixup", (X, Y), key=0, num_classes=N - 1)


@pytest.mark.parametrize("make", [tf.RaggedTensor.from_tensor, tf.sparse.from_dense], ids=["ragged", "sparse"])
def test_ragged_and_sparse_tensors_are_refused(make):
    with pytest.raises(TypeError, match=r"images: expected an array of .*; convert it first"):
        ma.mix_batch("cutmix", (make(tf.constant(X)), tf.constant(Y)), key=0, num_classes=N)
    ma.mix_batch("cutmix", (tf.constant(X), tf.constant(Y)), key=0, num_classes=N)


def test_lam_counts_padding_in_cuts_but_not_in_blends():
    hidden = np.zeros((2, 8, 1), np.float32)
    hidden[0, :2], hidden[1] = 1, 2  # two tokens and eight
    cut = [ma.CutMix().draw(2, (8,), key=(0, step)) for step in range(20)]
    shares = [(mix.lam[1, 1], (mix.images(hidden, "ntc")[1] == 1).sum() / 8) for mix in cut]
    assert any(lam != tokens for lam, tokens in shares)
    mix = ma.MixUp().draw(2, (8,), key=0)
    np.testing.assert_allclose(mix.images(hidden, "ntc")[1, :2, 0], 2 - mix.lam[1, 1], atol=1e-6)


def test_a_restarted_script_with_mixing_collate_repeats_unless_the_seed_differs():
    from mixaug.timm_collate import FastCollateMixup

    class Samples(torch.utils.data.Dataset):
        def __len__(self):
            return N

        def __getitem__(self, i):
            return np.full((3, 8, 8), i, np.uint8), i

    def script(start_epoch, seed=0):
        torch.manual_seed(0)
        collate = FastCollateMixup(mixup_alpha=0.8, num_classes=N, seed=seed)
        loader = torch.utils.data.DataLoader(Samples(), 3, collate_fn=collate, num_workers=1)
        return [torch.cat([rows for _, rows in loader]) for _ in range(start_epoch, 4)]

    unbroken = script(0)
    assert (script(2)[0] == unbroken[0]).all()  # it repeats
    for rows in script(2, seed=2):
        assert all((rows != other).any() for other in unbroken[:2])
