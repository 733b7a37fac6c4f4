"""JAX: keys of both kinds, jit without compiling anew, vmap, scan and grad, a mix as a pytree."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mixaug as ma
import ways

N, SIZE = 6, (8, 7)
RECIPE = ma.one_of(ma.MixUp(alpha=1.0, sources=3), ma.CutMix())
X, Y = ways.own_class_everywhere(N, SIZE), np.arange(N)


def mix_under(key, like=None) -> ma.Mix:
    return RECIPE.draw(N, SIZE, key=key, like=like)


def assert_mixes_equal(got: ma.Mix, want: ma.Mix) -> None:
    for one, other in zip(got.flatten()[1], want.flatten()[1], strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_a_prng_key_is_taken_by_its_words():
    for key in (jax.random.key(5), jax.random.PRNGKey(5)):
        words = [int(word) for word in (jax.random.key_data(key) if key.shape == () else key)]
        got = mix_under(key, jnp.zeros(1))
        assert_mixes_equal(got, mix_under(ma.core.keys.Key(*words)))
        assert isinstance(got.lam, jax.Array)
        assert_mixes_equal(mix_under((key, 3)), mix_under(ma.core.keys.fold_in(ma.core.keys.Key(*words), 3)))
    assert (mix_under(jax.random.key(5)).lam != mix_under(jax.random.key(6)).lam).any()


def test_other_keys_are_refused():
    with pytest.raises(TypeError, match=r"key: expected an integer, \(seed, step\) or .*, got Array"):
        mix_under(jax.random.key(0, impl="rbg"))
    with pytest.raises(TypeError, match="key: expected"):
        mix_under(jax.random.split(jax.random.key(0), 3))
    with pytest.raises(TypeError, match="key: expected"):
        mix_under((0, jnp.float32(3)))


def test_jit_compiles_once_for_all_steps():
    @jax.jit
    def run(x, y, step):
        return ma.mix_batch(RECIPE, (x, y), key=(2, 1, step), num_classes=N)

    for step in range(4):
        images, labels = run(X, Y, step)
        want = ma.mix_batch(RECIPE, (X, Y), key=(2, 1, step), num_classes=N)
        ways.assert_same(images, want[0], jax.Array, atol=1e-6)
        ways.assert_same(labels, want[1], jax.Array, atol=1e-7)
    assert run._cache_size() == 1


def test_steps_of_every_integer_dtype_and_sign():
    for number in (np.int32(-3), np.uint32(2**32 - 3), np.int8(-1)):
        got = jax.jit(lambda step: mix_under((7, step), jnp.zeros(1)))(number)
        assert_mixes_equal(got, mix_under((7, int(number))))


def test_wide_integers_where_x64_is_on():
    with jax.enable_x64(True):
        for number in (2**40 + 1, -5):
            got = jax.jit(lambda step: mix_under((7, step), jnp.zeros(1)))(jnp.int64(number))
            assert_mixes_equal(got, mix_under((7, number)))
        x = jnp.asarray(X, jnp.float64)
        assert mix_under((0, 0), x).images(x).dtype == jnp.float64
        assert mix_under((0, 0), x).labels(x[:, 0, 0]).dtype == jnp.float64


def test_vmap_over_keys_is_the_loop():
    keys = jax.random.split(jax.random.key(0), 4)
    mixes = jax.vmap(lambda key: mix_under(key, jnp.zeros(1)))(keys)
    assert isinstance(mixes, ma.Mix)
    for i in range(4):
        assert_mixes_equal(jax.tree.map(lambda array, i=i: array[i], mixes), mix_under(keys[i]))
    images = jax.vmap(lambda key: mix_under(key, jnp.zeros(1)).images(jnp.asarray(X)))(keys)
    for i in range(4):
        np.testing.assert_allclose(images[i], mix_under(keys[i]).images(X), atol=1e-6)


def test_scan_over_steps_is_the_loop():
    x = jnp.asarray(X)
    _, shares = jax.lax.scan(lambda carry, step: (carry, mix_under((1, step), x).lam), None, jnp.arange(3))
    for step in range(3):
        np.testing.assert_array_equal(shares[step], mix_under((1, step)).lam)


def test_gradients_flow():
    x = jnp.asarray(np.random.default_rng(0).normal(size=(N, *SIZE, 2)).astype(np.float32))
    recipe = ma.one_of(ma.MixUp(), ma.CutMix(), ma.SmoothMix())
    gradient = jax.grad(lambda x: recipe.draw(N, SIZE, key=(0, 0), like=x).images(x).sum())(x)
    mix = recipe.draw(N, SIZE, key=(0, 0))
    weights = np.zeros((N, *SIZE))
    for rows, dense in zip(mix.index, mix.pixel_weights(), strict=True):
        np.add.at(weights, rows, dense)
    np.testing.assert_allclose(gradient[..., 1], weights, atol=1e-6)


@pytest.mark.parametrize("recipe", ways.RECIPE_ROWS, ids=repr)
def test_a_mix_is_a_pytree_wherever_it_was_drawn(recipe):
    """A mix of NumPy's may be handed to a jitted function: it becomes one of JAX's there."""
    mix = recipe.draw(N, SIZE, key=(0, 0))
    images, back = jax.jit(lambda mix, x: (mix.images(x), mix))(mix, X)
    np.testing.assert_allclose(images, mix.images(X), atol=1e-6)
    assert back.size == mix.size
    assert_mixes_equal(back, mix)
    assert len(jax.tree.leaves(mix)) == len(mix.flatten()[1])


def test_ids_out_of_range_are_refused_eagerly_and_nan_under_jit():
    def run(y):
        return ma.MixUp().draw(3, (2, 2), key=(0, 0), like=y).labels(y, num_classes=3)

    with pytest.raises(ValueError, match=r"expected class ids in 0\.\.2, got 0\.\.7"):
        run(jnp.array([0, 7, 2]))
    rows, mix = jax.jit(run)(jnp.array([0, 7, 2])), ma.MixUp().draw(3, (2, 2), key=(0, 0))
    touched = ((mix.index == 1) & (mix.lam > 0)).any(axis=0)
    np.testing.assert_array_equal(np.isnan(rows).all(axis=1), touched)


@pytest.mark.parametrize("size", [(513, 377), (97, 89)])
def test_soft_shares_of_large_images_need_no_float64(size):
    lam = ma.SmoothMix().draw(3, size, key=(0, 0), like=jnp.zeros(1)).lam
    np.testing.assert_allclose(lam, ma.SmoothMix().draw(3, size, key=(0, 0)).lam, atol=1e-6)


@pytest.mark.parametrize("recipe", [ma.SmoothMix(), ma.GridMix(), ma.CutMix()], ids=repr)
def test_a_batch_of_no_rows(recipe):
    mix = recipe.draw(0, SIZE, key=(0, 0), like=jnp.zeros(1))
    assert mix.lam.shape == (2, 0)
    assert mix.images(jnp.zeros((0, *SIZE, 3))).shape == (0, *SIZE, 3)


def test_the_streams_take_jax_arrays():
    loader = [(jnp.asarray(X), jnp.asarray(Y))] * 2
    for step, (images, labels) in enumerate(ma.mixed(RECIPE, loader, seed=3, epoch=1, num_classes=N)):
        want = ma.mix_batch(RECIPE, (X, Y), key=(3, 1, step), num_classes=N)
        ways.assert_same(images, want[0], jax.Array, atol=1e-6)
        ways.assert_same(labels, want[1], jax.Array, atol=1e-7)


@pytest.mark.parametrize("ulps", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("total", [3, 1024, 224 * 224, 2**21 + 1, 512**3 // 3])
def test_a_quotient_that_is_a_little_off_is_put_right(total, ulps):
    """XLA's GPUs divide so; shares are to be the same bits there."""
    from mixaug.backends import jax as xp

    part = np.random.default_rng(0).integers(0, total + 1, 10_000).astype(np.float32)
    y = np.full_like(part, total)
    right = part / y
    off = np.where(right > 0, right.view(np.int32) + ulps, 0).astype(np.int32).view(np.float32)
    for nearer in (xp._corrected, jax.jit(xp._corrected)):
        np.testing.assert_array_equal(nearer(part, off, y), right)
    np.testing.assert_array_equal(jax.jit(xp.ratio)(part, y), right)


def test_weights_of_64_bits_have_shares_too():
    with jax.enable_x64(True):
        weight = jnp.stack([jnp.full((4, 5, 6), 0.25, jnp.float64), jnp.full((4, 5, 6), 0.75, jnp.float64)])
        lam = ma.Dense(weight).lam(ma.backends.of(weight), 4, (5, 6))
    assert lam.dtype == jnp.float32
    np.testing.assert_array_equal(lam[1], [0.75] * 4)


@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(sources=3), ma.GridMix()], ids=repr)
def test_a_jitted_step_makes_the_images_in_one_operation(recipe):
    """XLA gathers, converts, normalises and mixes in one fusion: nothing of the images' size lies between."""
    x, scale = jnp.zeros((7, 20, 24, 3), jnp.uint8), np.float32([0.1, 0.2, 0.3])

    def run(x, step):
        return recipe.draw(7, (20, 24), key=(0, 0, step), like=x).images(x, dtype="float32", scale=scale, offset=-scale)

    text = jax.jit(run).lower(x, jnp.int32(0)).compile().as_text()
    entry = text[text.index("\nENTRY ") :].splitlines()[2:]
    whole = [line for line in entry if re.search(r"= \w+\[7,20,24,3\]", line) and " parameter(" not in line]
    assert len(whole) == 1, whole
