"""The first minute: recipes can be called, keys can be ints or omitted, and texts work wherever recipes do."""

from __future__ import annotations

import random

import grain
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch.fx.experimental.proxy_tensor import make_fx

import mixaug as ma
from ways import (
    LIKES,
    MAKE,
    WAYS,
    array_of,
    assert_label_is_the_pixels,
    assert_same,
    own_class_everywhere,
    torch_compiled,
    values,
)

N, SIZE = 6, (8, 8)
X, Y = own_class_everywhere(N, SIZE), np.arange(N)
FIRST = np.ascontiguousarray(np.moveaxis(X, -1, 1))  # for PyTorch
WEIGHTS = np.linspace(0.5, 1, N, dtype=np.float32)
RECIPE = ma.CutMix(alpha=1.0)
LATE = ma.schedule({0: ma.CutMix(), 2: ma.identity()})


def images_for(way):
    return FIRST if array_of(way) is torch.Tensor else X


# A recipe is called


@pytest.mark.slow_ways
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("recipe", [RECIPE, ma.MixUp(sources=3), ma.FMix()], ids=str)
def test_a_call_is_mix_batch_in_every_library(way, recipe):
    x = images_for(way)
    layout = "nchw" if x is FIRST else "nhwc"
    want = ma.mix_batch(
        recipe, (x, Y), key=(3, 4), num_classes=N, fields={"images": ma.Images(layout), "labels": "labels"}
    )
    got = way(lambda images, labels: recipe(images, labels, num_classes=N, key=(3, 4)), x, Y)
    assert type(got) is tuple
    for mixed, expected in zip(got, want, strict=True):
        assert_same(mixed, expected, array_of(way), atol=2e-6)
    assert_label_is_the_pixels(*got, channels=1 if x is FIRST else -1)


FORMS = {
    "images, labels": ((X, Y), tuple),
    "images, labels, weights": ((X, Y, WEIGHTS), tuple),
    "one pair": (((X, Y),), tuple),
    "one list": (([X, Y],), list),
    "one dict": (({"images": X, "labels": Y},), dict),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_comes_back_in_the_container_that_it_came_in(form):
    given, kind = FORMS[form]
    mixed = RECIPE(*given, num_classes=N, key=7)
    assert type(mixed) is kind
    parts = list(mixed.values()) if kind is dict else list(mixed)
    want = ma.mix_batch(RECIPE, (X, Y, WEIGHTS), num_classes=N, key=(7, 0))
    for got, expected in zip(parts, want, strict=False):
        np.testing.assert_array_equal(got, expected)
    assert len(parts) == (3 if form.endswith("weights") else 2)


def test_a_call_takes_the_options_of_mix_batch():
    images, labels = RECIPE(X, Y, num_classes=N, key=0, include_clean=True, pairing=ma.pairing.Roll())
    np.testing.assert_array_equal(images[:N], X)
    assert_label_is_the_pixels(images, labels)
    assert np.all(values(labels)[N:][np.arange(N), (np.arange(N) - 1) % N] > 0)  # each is mixed with the row before it


def test_inputs_of_a_call_are_not_written_to():
    x, y = X.copy(), Y.copy()
    RECIPE(x, y, num_classes=N)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)


# Keys


@pytest.mark.parametrize(
    "key", [7, np.int64(7), np.uint8(7), np.array(7), tf.constant(7), torch.tensor(7), jnp.int32(7)]
)
def test_a_single_integer_is_that_seed_at_step_0(key):
    want = RECIPE.draw(N, SIZE, key=(7, 0))
    for mix in (RECIPE.draw(N, SIZE, key=key), RECIPE(X, Y, num_classes=N, key=key, return_mix=True)[-1]):
        np.testing.assert_array_equal(values(mix.index), want.index)
        np.testing.assert_array_equal(values(mix.lam), want.lam)


def test_a_pairing_takes_a_single_integer_too():
    pairing = ma.pairing.Cyclic()
    np.testing.assert_array_equal(pairing.index(N, 2, key=7), pairing.index(N, 2, key=(7, 0)))


def test_numpy_integers_make_the_key_that_ints_make():
    want = RECIPE.draw(N, SIZE, key=(7, 1, 2)).lam
    np.testing.assert_array_equal(RECIPE.draw(N, SIZE, key=(np.int32(7), np.uint16(1), np.int64(2))).lam, want)


@pytest.mark.parametrize("key", ["7", 7.0, True, (7,), (), {"seed": 7}, np.array([7, 0]), np.float32(7), (7, 0.5)])
def test_values_that_are_not_a_key_raise(key):
    for use in (lambda: RECIPE.draw(N, SIZE, key=key), lambda: RECIPE(X, Y, num_classes=N, key=key)):
        with pytest.raises(TypeError, match=r"^key: expected (an integer, \(seed, step\)|integers)"):
            use()


@pytest.mark.parametrize("key", [7, None, (7, 0), np.int64(7)])
def test_a_schedule_refuses_a_key_without_an_epoch(key):
    with pytest.raises(ValueError, match=r"expected an epoch in the key, got none; pass key=\(seed, epoch, step\)"):
        LATE(X, Y, num_classes=N, key=key)
    images, _ = LATE(X, Y, num_classes=N, key=(7, 2, 0))
    np.testing.assert_array_equal(images, X)


def test_a_key_of_jax_still_works():
    key = jax.random.key(5)
    want = RECIPE.draw(N, SIZE, key=key).lam
    np.testing.assert_array_equal(
        RECIPE(jnp.asarray(X), jnp.asarray(Y), num_classes=N, key=key, return_mix=True)[2].lam, want
    )
    np.testing.assert_array_equal(jax.jit(lambda key: RECIPE.draw(N, SIZE, key=key).lam)(key), want)


# No key


def seeded():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    tf.random.set_seed(0)
    keras.utils.set_random_seed(0)


@pytest.mark.parametrize("library", LIKES)
def test_without_a_key_two_calls_differ_whatever_the_global_seeds_are(library):
    x = MAKE[library](FIRST if library == "torch" else X)
    y = MAKE[library](Y)
    drawn = []
    for _ in range(4):
        seeded()
        images, labels = RECIPE(x, y, num_classes=N)
        assert_label_is_the_pixels(images, labels, channels=1 if library == "torch" else -1)
        drawn.append(values(labels).tolist())
        drawn.append(values(ma.mix_batch(RECIPE, (x, y), num_classes=N)[1]).tolist())
    assert len({str(labels) for labels in drawn}) == len(drawn)


def test_draws_without_a_key_differ():
    lams = set()
    for _ in range(8):
        seeded()
        lams.add(ma.MixUp().draw(N, SIZE).lam.tobytes())
    assert len(lams) == 8


def test_no_global_generator_is_touched():
    seeded()
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    RECIPE(X, Y, num_classes=N)
    RECIPE.draw(N, SIZE)
    RECIPE(torch.tensor(FIRST), torch.tensor(Y), num_classes=N)
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


def call(x, y):
    return RECIPE(x, y, num_classes=N)


def drawn(x, _y):
    return RECIPE.draw(N, SIZE).lam + 0 * x.sum() if hasattr(x, "sum") else RECIPE.draw(N, SIZE).lam


def by_door(x, y):
    return ma.mix_batch(RECIPE, {"images": x, "labels": y}, num_classes=N)


T_X, T_Y = torch.from_numpy(FIRST), torch.from_numpy(Y)
TRACES = {
    "tf.function": lambda f: tf.function(f)(tf.constant(X), tf.constant(Y)),
    "xla": lambda f: tf.function(f, jit_compile=True)(tf.constant(X), tf.constant(Y)),
    "tf.data": lambda f: tf.data.Dataset.from_tensors((X, Y)).map(f),
    "jax.jit": lambda f: jax.jit(f)(X, Y),
    "jax.vmap": lambda f: jax.vmap(f)(X[None], Y[None]),
    "torch.compile": lambda f: torch.compile(f, backend="aot_eager")(T_X, T_Y),
    "torch.compile, one graph": lambda f: torch.compile(f, backend="aot_eager", fullgraph=True)(T_X, T_Y),
    "torch.jit": lambda f: torch.jit.trace(f, (T_X, T_Y)),
    "torch.vmap": lambda f: torch.vmap(f)(T_X[None], T_Y[None]),
    "make_fx": lambda f: make_fx(f)(T_X, T_Y),
}


@pytest.mark.parametrize("function", [call, drawn, by_door], ids=lambda f: f.__name__)
@pytest.mark.parametrize("trace", TRACES)
def test_traced_code_without_a_key_is_refused(trace, function):
    torch._dynamo.reset()
    with pytest.raises(Exception, match=r"(?s)key: expected one in code that .* traces.*pass key=") as caught:
        TRACES[trace](function)
    assert isinstance(caught.value, (TypeError, torch._dynamo.exc.Unsupported))


def test_the_suggestion_for_traced_code_works():
    graph = tf.function(lambda x, y, step: RECIPE(x, y, num_classes=N, key=(0, step)))
    compiled = torch.compile(
        lambda x, y, step: RECIPE(x, y, num_classes=N, key=(0, step)), backend="aot_eager", fullgraph=True
    )
    jitted = jax.jit(lambda x, y, step: RECIPE(x, y, num_classes=N, key=(0, step)))
    for step in (0, 1):
        want = RECIPE(X, Y, num_classes=N, key=(0, step))[1]
        np.testing.assert_array_equal(graph(X, Y, tf.constant(step))[1], want)
        np.testing.assert_array_equal(jitted(X, Y, step)[1], want)
        np.testing.assert_array_equal(values(compiled(T_X, T_Y, torch.tensor(step))[1]), want)
    ds = tf.data.Dataset.from_tensor_slices((X, Y)).batch(N).apply(ma.tf.mixed(RECIPE, num_classes=N))
    assert_label_is_the_pixels(*next(iter(ds)))
    assert_label_is_the_pixels(*ma.torch.Mixed(RECIPE, num_classes=N)(T_X, T_Y), channels=1)
    assert_label_is_the_pixels(
        *jax.jit(lambda x, y, key: RECIPE(x, y, num_classes=N, key=key))(X, Y, jax.random.key(0))
    )


def test_a_callback_of_the_host_may_leave_the_key_out():
    ds = tf.data.Dataset.from_tensors((X, Y)).repeat(3)
    mixed = ds.map(lambda x, y: tf.numpy_function(call, (x, y), (tf.float32, tf.float32)))
    assert len({labels.numpy().tobytes() for _, labels in mixed}) == 3


# Texts

TEXT = "one_of(cutmix(alpha=0.5), mixup)"
READ = ma.one_of(ma.CutMix(alpha=0.5), ma.MixUp())
PAIRS = torch.utils.data.TensorDataset(T_X, T_Y)
DS = tf.data.Dataset.from_tensor_slices((X, Y))


def of_elements(recipe):
    ds = grain.MapDataset.source([(X[i], i) for i in range(N)])
    return ma.grain.mixed(recipe, ds, num_classes=N)[1]


DOORS = {
    "mix_batch": lambda r: ma.mix_batch(r, (X, Y), key=1, num_classes=N),
    "batches": lambda r: next(ma.batches(r, X, Y, N, num_classes=N)),
    "mixed": lambda r: next(ma.mixed(r, [(X, Y)], epoch=0, num_classes=N)),
    "one_of": lambda r: ma.one_of(r, ma.MixUp())(X, Y, key=1, num_classes=N),
    "sometimes": lambda r: ma.sometimes(0.5, r)(X, Y, key=1, num_classes=N),
    "per_batch": lambda r: ma.per_batch(r)(X, Y, key=1, num_classes=N),
    "schedule": lambda r: ma.schedule({0: r})(X, Y, key=(1, 0, 0), num_classes=N),
    "tf.mixed": lambda r: next(iter(DS.batch(N).apply(ma.tf.mixed(r, num_classes=N)))),
    "tf.mixed_zip": lambda r: next(iter(ma.tf.mixed_zip(r, DS, DS, num_classes=N))),
    "keras.MixedDataset": lambda r: ma.keras.MixedDataset(r, X, Y, N, num_classes=N)[0],
    "keras.MixLayer": lambda r: ma.keras.MixLayer(r, num_classes=N)((X, Y)),
    "torch.Mixed": lambda r: ma.torch.Mixed(r, num_classes=N)(T_X, T_Y),
    "torch.MixedDataset": lambda r: ma.torch.MixedDataset(r, PAIRS, num_classes=N)[1],
    "torch.loader": lambda r: next(iter(ma.torch.loader(r, PAIRS, N, num_classes=N))),
    "torch.MixingCollate": lambda r: ma.torch.MixingCollate(r, num_classes=N)([PAIRS[i] for i in range(N)]),
    "grain.mixed": of_elements,
    "lightning": lambda r: [ma.lightning.MixCallback(r).recipe.draw(N, SIZE, key=1).lam],
}


@pytest.mark.parametrize("door", DOORS)
def test_a_text_is_taken_wherever_a_recipe_is(door):
    for got, want in zip(DOORS[door](TEXT), DOORS[door](READ), strict=True):
        np.testing.assert_array_equal(values(got), values(want))


@pytest.mark.parametrize("door", DOORS)
def test_an_invalid_text_raises_the_error_of_the_parser(door):
    with pytest.raises(ValueError, match="recipe: expected a known name, got 'cutmx', did you mean cutmix"):
        DOORS[door]("cutmx")


def test_the_checks_of_a_recipe_take_a_text():
    ma.testing.check("cutmix(alpha=0.5)", libraries=["numpy"])


def test_texts_make_the_recipes_that_they_name():
    assert ma.one_of("cutmix", ma.MixUp()) == ma.one_of(ma.CutMix(), ma.MixUp())
    assert ma.sometimes(0.5, "cutmix") == ma.sometimes(0.5, ma.CutMix())
    assert repr(ma.schedule({0: "cutmix", 5: "mixup"})) == repr(ma.schedule({0: ma.CutMix(), 5: ma.MixUp()}))
    assert ma.per_batch("mixup") == ma.per_batch(ma.MixUp())


def test_recipes_as_text_work_in_torch_compile():
    recipe = ma.recipe("cutmix")
    images, labels = torch_compiled(lambda x, y: recipe(x, y, num_classes=N, key=3), FIRST, Y)
    assert_label_is_the_pixels(images, labels, channels=1)


def test_a_trainer_of_hugging_face_takes_a_text():
    with pytest.raises(ValueError, match="recipe: expected a known name, got 'cutmx', did you mean cutmix"):
        ma.huggingface.MixTrainer(recipe="cutmx")


def test_images_without_labels_return_images():
    for images in (ma.CutMix()(X, fields="images", key=3), ma.Cutout()(X, key=3)):
        assert isinstance(images, np.ndarray)
        assert images.shape == X.shape
    images, mix = ma.CutMix()(X, fields="images", key=3, return_mix=True)
    np.testing.assert_allclose(mix.images(X), images)
