"""Schedules: known results at the boundaries, traced code, and every adapter that knows the epoch."""

from __future__ import annotations

import grain
import jax
import numpy as np
import pytest

import mixaug as ma
import ways
from mixaug.core import keys

tf, jnp, torch = ways.tf, ways.jnp, ways.torch
N = 6
X, Y = ways.own_class_everywhere(N, (8, 5)), np.arange(N)
PLANAR = torch.from_numpy(np.moveaxis(X, -1, 1).copy())
LATE = ma.schedule({0: ma.identity(), 2: ma.MixUp(alpha=50.0)})  # unmixed in epochs 0 and 1, then visibly mixed
THREE = ma.schedule({0: ma.MixUp(sources=3), 10: ma.CutMix(), 20: ma.RICAP()})


def is_mixed(labels) -> bool:
    """Whether all rows are blends; raises if only some are."""
    mixed = ways.values(labels).max(axis=1) < 0.9
    assert mixed.all() or not mixed.any()
    return bool(mixed.all())


@pytest.mark.parametrize(
    ("epoch", "start"), [(0, 0), (9, 0), (10, 10), (19, 10), (20, 20), (21, 20), (10**6, 20), (-1, 0), (-(10**6), 0)]
)
def test_the_recipe_of_an_epoch_is_the_last_that_has_begun(epoch, start):
    """Bit for bit the draw of that phase, padded to the number of sources of the others."""
    got = THREE.draw(N, (8, 5), key=(3, epoch, 4))
    alone = dict(THREE.phases)[start]
    made = keys.fold_in(keys.make((3, epoch, 4)), start)  # the number of the phase is folded into the key
    want = alone.draw(N, (8, 5), key=made, index=ma.pairing.Cyclic().index(N, alone.sources, key=(3, epoch, 4)))
    np.testing.assert_array_equal(got.images(X), want.images(X))
    np.testing.assert_array_equal(got.labels(Y, N), want.labels(Y, N))
    assert got.lam.shape == (4, N)


def test_a_phase_draws_the_same_whatever_the_others_are():
    one, other = (
        ma.schedule({0: ma.identity(), 5: ma.CutMix()}),
        ma.schedule({0: ma.MixUp(), 5: ma.CutMix(), 9: ma.GMix()}),
    )
    for draw in (lambda r: r.draw(N, (8, 5), key=(0, 7, 1)).lam[1],):
        np.testing.assert_array_equal(draw(one), draw(other))


def test_epochs_of_numpy_and_of_tensors_are_epochs():
    want = THREE.draw(N, (8, 5), key=(0, 12, 1))
    for epoch in (np.int64(12), np.array(12), tf.constant(12), tf.Variable(12), torch.tensor(12), jnp.int32(12)):
        got = THREE.draw(N, (8, 5), key=(0, epoch, 1), like=X)
        np.testing.assert_array_equal(got.images(X), want.images(X))


@pytest.mark.parametrize("key", [(0, 3), (np.int64(1), tf.constant(4)), jax.random.key(0), jax.random.PRNGKey(3)])
def test_a_key_without_an_epoch_is_refused(key):
    for recipe in (LATE, ma.one_of(ma.CutMix(), LATE), ma.per_batch(LATE)):
        with pytest.raises(ValueError, match=r"expected an epoch in the key, got none; pass key=\(seed, epoch, step\)"):
            recipe.draw(N, (8, 5), key=key)


def test_a_jax_key_may_be_the_seed():
    assert not is_mixed(LATE.draw(N, (8, 5), key=(jax.random.key(0), 1, 0)).labels(Y, N))
    assert is_mixed(LATE.draw(N, (8, 5), key=(jax.random.key(0), 2, 0)).labels(Y, N))


BOXES = ma.schedule({0: ma.CutMix(), 10: ma.identity(), 20: ma.MixUp()})
WAYS = {
    "tensorflow": tf.function,
    "torch": lambda run: torch.compile(run, fullgraph=True, backend="aot_eager"),
    "jax": jax.jit,
}
TRACED = [("jax", BOXES)]
TRACED += [pytest.param("torch", ma.schedule({0: ma.identity(), 10: ma.CutMix()}), marks=pytest.mark.full)]
TRACED += [("tensorflow", THREE), ("tensorflow", ma.schedule({0: ma.RICAP(), 10: ma.GridMix(), 20: ma.Cutout()}))]


@pytest.mark.parametrize(("library", "recipe"), TRACED, ids=lambda x: repr(x))
def test_a_traced_epoch_equals_a_known_one(library, recipe):
    """One compiled function with the epoch as argument."""
    make, traced = ways.MAKE[library], 0

    def run(x, y, epoch):
        nonlocal traced
        traced += 1
        mix = recipe.draw(N, (8, 5), key=(1, epoch, 7), like=x)
        return mix.images(x, ways.layout_of(x)), mix.labels(y, N)

    torch._dynamo.reset()
    run = WAYS[library](run)
    for epoch in (9, 10, 19, 20, -4):
        images, labels = run(make(X), make(Y), make(np.array(epoch)))
        want = recipe.draw(N, (8, 5), key=(1, epoch, 7))
        np.testing.assert_allclose(ways.values(images), want.images(X), atol=1e-6)
        np.testing.assert_array_equal(ways.values(labels), want.labels(Y, N))
    assert traced == 1 or library == "torch"  # its compiler runs copies of the code


# Every adapter that knows the epoch: a function from the epoch to the labels of a batch.
def through_batches(epoch):
    return list(ma.batches(LATE, X, Y, N, epochs=epoch + 1, num_classes=N))[-1][1]


def through_mixed(epoch):
    return next(ma.mixed(LATE, [(X, Y)], epoch=epoch, num_classes=N))[1]


def through_tf_counted(epoch):
    ds = tf.data.Dataset.from_tensors((X, Y)).apply(ma.tf.mixed(LATE, num_classes=N))
    return [next(iter(ds))[1] for _ in range(epoch + 1)][-1]


def through_tf_variable(epoch):
    variable = tf.Variable(epoch, dtype=tf.int64, trainable=False)
    ds = tf.data.Dataset.from_tensors((X, Y)).apply(ma.tf.mixed(LATE, num_classes=N, epoch=variable))
    return next(iter(ds))[1]


def through_tf_said(epoch):
    return next(iter(tf.data.Dataset.from_tensors((X, Y)).apply(ma.tf.mixed(LATE, num_classes=N, epoch=epoch))))[1]


def through_mixed_zip(epoch):
    ds, other = (tf.data.Dataset.from_tensors((X, y)) for y in (Y, Y[::-1].copy()))
    return next(iter(ma.tf.mixed_zip(LATE, ds, other, num_classes=N, epoch=epoch, batched=True)))[1]


def through_keras_dataset(epoch):
    ds = ma.keras.MixedDataset(LATE, X, Y, N, num_classes=N)
    ds.epoch = epoch
    return ds[0][1]


def through_keras_layer(epoch):
    return ma.keras.MixLayer(LATE, num_classes=N)({"images": X, "labels": Y, "epoch": np.int64(epoch)})["labels"]


def through_torch_loader(epoch):
    loader = ma.torch.loader(LATE, list(zip(PLANAR, Y, strict=True)), N, num_classes=N)
    return [next(iter(loader))[1] for _ in range(epoch + 1)][-1]


def through_torch_dataset(epoch):
    ds = ma.torch.MixedDataset(LATE, list(zip(PLANAR, Y, strict=True)), num_classes=N)
    ds.epoch = epoch
    return np.stack([ds[i][1] for i in range(N)])


def through_torch_module(epoch):
    return ma.torch.Mixed(LATE, num_classes=N)(PLANAR, torch.from_numpy(Y), epoch=epoch)[1]


def through_grain(epoch):
    ds = ma.grain.mixed(LATE, grain.MapDataset.source(list(zip(X, Y, strict=True))), num_classes=N).repeat(epoch + 1)
    return np.stack([ds[epoch * N + i][1] for i in range(N)])


DOORS = [
    through_batches, through_mixed, through_tf_counted, through_tf_variable, through_tf_said, through_mixed_zip,
    through_keras_dataset, through_keras_layer, through_torch_loader, through_torch_dataset, through_torch_module,
    through_grain,
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_every_adapter_passes_the_epoch(door):
    assert [is_mixed(door(epoch)) for epoch in range(4)] == [False, False, True, True]


def test_what_does_not_know_the_epoch_refuses_a_schedule():
    """And does not take another number of its key for the epoch."""
    batch = (PLANAR, torch.from_numpy(Y))
    for run in (
        lambda: ma.torch.Mixed(LATE, num_classes=N)(*batch),
        lambda: ma.keras.MixLayer(LATE, num_classes=N)({"images": X, "labels": Y}),
    ):
        with pytest.raises(ValueError, match="schedule: expected an epoch in the key"):
            run()
    with pytest.raises(
        ValueError, match=r"MixingCollate: expected a recipe without schedule, got .*; mix with ma.torch.loader"
    ):
        ma.torch.MixingCollate(LATE, num_classes=N)


def test_ramp_by_hand():
    made = ma.ramp(lambda p: ma.sometimes(p, ma.CutMix()), {10: 0.0, 14: 1.0, 16: 0.5})
    chances = {epoch: recipe.weights[0] for epoch, recipe in made.items()}
    assert chances == {10: 0.0, 11: 0.25, 12: 0.5, 13: 0.75, 14: 1.0, 15: 0.75, 16: 0.5}
    assert ma.ramp(ma.MixUp, {4: 2.0, 0: 1.0}, every=3) == {0: ma.MixUp(1.0), 3: ma.MixUp(1.75), 4: ma.MixUp(2.0)}
    assert all(type(recipe.alpha) is float for recipe in ma.ramp(ma.MixUp, {0: 1, 2: 2}).values())


def test_mixup_without_hesitation():
    """The schedule of its paper, as in ramp's docstring: the probability of mixing in each of 100 epochs."""
    mix = ma.MixUp(alpha=0.5)
    half = {epoch: mix if epoch % 2 else ma.identity() for epoch in range(60, 90)}
    falling = ma.ramp(lambda p: ma.sometimes(p, mix), {90: 1.0, 100: 0.0})
    recipe = ma.schedule({0: mix, **half, **falling})
    chances = []
    for epoch in range(102):
        lam = recipe.draw(400, (2, 2), key=(0, epoch, 0)).lam
        chances.append((lam[0] < 1).mean())
    want = [1.0] * 60 + [float(epoch % 2) for epoch in range(60, 90)] + [1 - i / 10 for i in range(11)] + [0.0]
    np.testing.assert_allclose(chances, want, atol=0.08)
    assert chances[91] < 1


def test_a_schedule_is_a_value_that_text_and_repr_make_again():
    recipe = ma.schedule({20: ma.identity(), 0: ma.CutMix(), 5: ma.sometimes(0.5, ma.MixUp(0.2))})
    assert (
        repr(recipe)
        == "schedule({0: CutMix(alpha=1.0), 5: sometimes(0.5, MixUp(alpha=0.2, sources=2)), 20: identity()})"
    )
    assert ma.recipe(repr(recipe)) == recipe
    assert hash(ma.recipe(repr(recipe))) == hash(recipe)
    assert ma.recipe("schedule({0: cutmix, 5: sometimes(0.5, mixup(0.2)), 20: identity})") == recipe
    assert ma.recipe("one_of(schedule({0: cutmix}), mixup)") == ma.one_of(ma.schedule({0: ma.CutMix()}), ma.MixUp())
    numpys = ma.schedule({np.int64(0): ma.CutMix(), np.int32(7): ma.MixUp()})
    assert ma.recipe(repr(numpys)) == numpys


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: ma.schedule({}), ValueError, r"schedule: expected a recipe from epoch 0 on, got \[\]"),
        (lambda: ma.schedule({5: ma.CutMix(), 3: ma.CutMix()}), ValueError, r"from epoch 0 on, got \[3, 5\]"),
        (lambda: ma.schedule({-1: ma.CutMix()}), ValueError, "schedule epoch: .* of 0 or more, got -1"),
        (lambda: ma.schedule({0: ma.CutMix(), 1.5: ma.CutMix()}), ValueError, "schedule epoch: .*, got 1.5"),
        (lambda: ma.schedule({0: ma.CutMix(), "5": ma.CutMix()}), ValueError, "schedule epoch: .*, got '5'"),
        (lambda: ma.schedule({0: 3}), TypeError, "schedule: expected a recipe, got 3"),
        (lambda: ma.schedule([ma.CutMix()]), TypeError, r"expected a dict .* write such as \{0: ma.CutMix"),
        (lambda: ma.ramp(ma.MixUp, {0: 1.0}), ValueError, "the number at two epochs or more, got {0: 1.0}"),
        (lambda: ma.ramp(ma.MixUp, {0: 1.0, 9: 2.0}, every=0), ValueError, "ramp every: .* of 1 or more, got 0"),
        (lambda: ma.ramp(ma.MixUp, {0: 1.0, 2.5: 2.0}), ValueError, "ramp epoch: .* of 0 or more, got 2.5"),
        (lambda: ma.recipe("schedule({5: cutmix})"), ValueError, "from epoch 0 on"),
        (lambda: ma.recipe("schedule({0.5: cutmix})"), ValueError, "schedule epoch: .*, got 0.5"),
        (lambda: ma.recipe("schedule({cutmix: cutmix})"), ValueError, "recipe: expected .*, got "),
        (lambda: ma.recipe("schedule({{0: cutmix}: cutmix})"), ValueError, "recipe: expected .*, got "),
        (lambda: ma.recipe("schedule({**cutmix})"), ValueError, "recipe: expected .*, got "),
        (lambda: ma.recipe("schedule({None: cutmix})"), ValueError, "recipe: expected names and options in brackets"),
        (lambda: ma.recipe("{0: cutmix}"), ValueError, "expected the name of a recipe"),
        (lambda: ma.recipe("mixup(alpha=-None)"), ValueError, "recipe: expected .*, got "),
        (lambda: ma.recipe("mixup(alpha={0: 1})"), ValueError, "MixUp alpha: expected a finite number of 1e-09"),
    ],
)  # fmt: skip
def test_what_is_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()
