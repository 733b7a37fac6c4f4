"""The invariants, for every recipe, every library, and odd, tiny and non-square sizes."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mixaug as ma
import ways
from ways import CASES, COMPILED, KEY, is_soft


@pytest.fixture(params=ways.RECIPE_ROWS, ids=repr)
def recipe(request: pytest.FixtureRequest) -> ma.Recipe:
    return request.param


@pytest.mark.slow_ways  # all recipes are in test_graphs.py
@pytest.mark.parametrize(("way", "shape"), CASES, ids=[f"{way.__name__}-{shape}" for way, shape in CASES])
def test_all_invariants(recipe, way, shape):
    check_invariants(recipe, way, *shape)


@pytest.mark.full
@pytest.mark.parametrize("shape", ways.SIZES[1:], ids=str)
@pytest.mark.parametrize("way", COMPILED, ids=lambda way: way.__name__)
@pytest.mark.parametrize("recipe", [ma.one_of(ma.CutMix(), ma.MixUp(sources=3)), ma.GridMix(), ma.Mosaic()], ids=repr)
def test_all_invariants_compiled_at_other_sizes(recipe, way, shape):
    check_invariants(recipe, way, *shape)


def check_invariants(recipe, way, n, size) -> None:
    x, y, guides = ways.own_class_everywhere(n, size), np.arange(n), ways.guides(recipe, n, size)

    def run(x, y, *maps):
        guide = dict(zip(guides, maps, strict=True)) or None
        mix = recipe.draw(ways.count(x), size, key=KEY, like=x, guide=guide)
        return mix, mix.pixel_weights(), mix.images(x, ways.layout_of(x)), mix.labels(y, num_classes=n)

    mix, dense, images, labels = way(run, x, y, *guides.values())
    array = ways.array_of(way)
    assert isinstance(mix, ma.Mix)
    assert all(isinstance(out, array) for out in (mix.index, mix.lam, dense, images, labels))
    dense, images, labels, index, lam = map(ways.values, (dense, images, labels, mix.index, mix.lam))
    assert (images.dtype, images.shape) == (x.dtype, x.shape)
    assert (labels.dtype, labels.shape) == (np.float32, (n, n))
    pixels = tuple(range(1, 1 + len(size)))

    # 2: weights sum to 1, or are all 0 in a hole
    total = dense.sum(axis=0, dtype=np.float64)
    seen = total > 0.5
    assert (dense >= 0).all()
    assert (lam >= 0).all()
    np.testing.assert_allclose(total, seen, atol=2**-23)
    np.testing.assert_array_equal(lam.sum(axis=0, dtype=np.float32), np.ones(n, np.float32))
    # 1: the label is the visible pixels, by the definition and from outside
    exact = 1e-6 if is_soft(recipe) else 2**-23
    visible = np.maximum(seen.sum(axis=pixels), 1)
    nothing = ~seen.any(axis=pixels)
    means = dense.sum(axis=tuple(a + 1 for a in pixels), dtype=np.float64) / visible
    np.testing.assert_allclose(means[:, ~nothing], lam[:, ~nothing], atol=exact, rtol=0)
    outside = (images * seen[..., None]).sum(axis=pixels, dtype=np.float64) / visible[:, None]
    np.testing.assert_allclose(outside[~nothing], labels[~nothing], atol=1e-6, rtol=0)
    # 3: sources are distinct, the first is the base sample, padding is the base sample with lam 0
    assert index.shape == lam.shape == (recipe.sources, n)
    np.testing.assert_array_equal(index[0], np.arange(n))
    for column, weights in zip(index.T, lam.T, strict=True):
        used = column[weights > 0]
        assert len(set(used)) == len(used)
        if recipe.sources <= n:
            assert (column[weights == 0] == column[0]).all()
    # 4: sources, boxes, backgrounds and lam equal NumPy's bit for bit; soft masks to 1e-6
    expected = recipe.draw(n, size, key=KEY, guide=guides or None)
    structure, arrays = mix.flatten()
    assert structure == expected.flatten()[0]
    within = 1e-6 if is_soft(recipe) else 0
    for name, got, want in zip(["index", "lam", *structure[1]], arrays, expected.flatten()[1], strict=True):
        over_a_blend = 3 * 2**-24 if name == "lam" and "HMix" in repr(recipe) else 0  # a product and a sum
        ways.assert_same(got, want, array, atol=max(within, over_a_blend))
    # 8: images equal the definition: sources weighted by the pixel weights, and the fill in holes
    weights = expected.region.pixel_weights(ma.backends.common(), n, size)
    applied = (weights[..., None] * ways.seen_through(mix, x[index])).sum(axis=0)
    applied = np.where(seen[..., None], applied, fill_of(expected, x.shape))
    np.testing.assert_allclose(images, applied, atol=1e-6, rtol=0)


def fill_of(mix: ma.Mix, shape: tuple[int, ...]) -> np.ndarray:
    """The fill of the holes of a mix, for images of a shape, channels last."""
    fill = np.zeros(shape[0], np.float32) if mix.region.fill is None else mix.region.fill
    return np.broadcast_to(fill.reshape(*fill.shape, *[1] * (len(shape) - fill.ndim)), shape)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("place", ["last", "first", None])
def test_every_dtype_and_layout(recipe, place, dtype):
    """5, 6, 8: dtype, layout and shape are kept; inputs are not modified; blends are rounded once."""
    n, size = 6, (7, 10)
    shape = {"last": (n, *size, 3), "first": (n, 3, *size), None: (n, *size)}[place]
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    x = np.random.default_rng(0).uniform(0, 255, shape).astype(kind)
    x.flags.writeable = False
    mix = recipe.draw(n, size, key=KEY)
    out = mix.images(x, ways.layout(2, place))
    assert (out.dtype, out.shape) == (x.dtype, x.shape)
    assert not np.shares_memory(out, x)
    last = {"last": x, "first": np.moveaxis(x, 1, -1), None: x[..., None]}[place]
    got = {"last": out, "first": np.moveaxis(out, 1, -1), None: out[..., None]}[place]
    weights = mix.region.pixel_weights(ma.backends.common(), n, size)[
        ..., None
    ]  # of each source, also where two are the same row
    shown = ways.seen_through(mix, last[mix.index])
    seen = np.broadcast_to(weights.sum(axis=0, dtype=np.float64) > 0.5, last.shape)
    fill = fill_of(mix, last.shape)
    ulp = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2**-22, "float64": 2**-22}.get(dtype)
    if dtype == "uint8":
        whole = np.rint(weights.astype(np.float64)[1:] * 65536).astype(np.int64)
        whole = np.concatenate([65536 - whole.sum(axis=0, keepdims=True), whole])
        expected = np.where(seen, ((whole * shown).sum(axis=0) + 2**15) >> 16, np.clip(np.rint(fill), 0, 255))
        np.testing.assert_array_equal(got, expected)
    else:
        expected = np.where(seen, (weights.astype(np.float64) * shown.astype(np.float64)).sum(axis=0), fill)
        np.testing.assert_allclose(got.astype(np.float64), expected, rtol=ulp)
    for library, make in ways.MAKE.items():
        if library == "jax" and dtype == "float64":
            continue  # JAX has none, unless its x64 mode is on
        array = make(x)
        mixed = recipe.draw(n, size, key=KEY, like=array).images(array, ways.layout(2, place))
        assert type(mixed) is type(array)
        assert (ways.values(mixed).dtype, mixed.shape) == (x.dtype, x.shape)
        np.testing.assert_array_equal(ways.values(array), x)
        if dtype == "uint8" and not is_soft(recipe):
            np.testing.assert_array_equal(ways.values(mixed), out)
        elif dtype != "uint8":
            tolerance = {"rtol": ulp, "atol": 1e-3 if is_soft(recipe) else 0}  # soft masks may differ by 1e-6 of 255
            np.testing.assert_allclose(ways.values(mixed).astype(np.float64), out.astype(np.float64), **tolerance)


@given(
    recipe=st.sampled_from(ways.RECIPE_ROWS),
    n=st.integers(0, 40),
    size=st.lists(st.integers(1, 12), min_size=1, max_size=3).map(tuple),
    key=st.lists(st.integers(-(2**70), 2**70), min_size=2, max_size=4).map(tuple),
)
def test_invariants_hold_whatever_is_drawn(recipe, n, size, key):
    mix = recipe.draw(n, size, key=key)
    dense = mix.pixel_weights().astype(np.float64)
    axes = tuple(range(2, 2 + len(size)))
    seen = dense.sum(axis=0)
    np.testing.assert_allclose(seen, seen > 0.5, atol=2**-22)
    visible = seen.sum(axis=tuple(range(1, 1 + len(size))))
    some = visible > 0
    np.testing.assert_allclose(dense.sum(axis=axes)[:, some] / visible[some], mix.lam[:, some], atol=1e-6)
    np.testing.assert_array_equal(mix.lam.sum(axis=0), np.ones(n, np.float32))
    np.testing.assert_array_equal(mix.index[0], np.arange(n))
    for column, weights in zip(mix.index.T, mix.lam.T, strict=True):
        assert len(set(column[weights > 0])) == (weights > 0).sum()


@given(st.integers(2, 6), st.integers(1, 5))
def test_fewer_rows_than_sources(sources, n):
    """3: lam of equal sources is added to the first, so each row is counted once."""
    mix = ma.MixUp(alpha=1.0, sources=sources).draw(n, (2, 2), key=(0, 0))
    assert ((mix.lam > 0).sum(axis=0) <= n).all()
    np.testing.assert_array_equal(mix.lam.sum(axis=0), np.ones(n, np.float32))
    x = ways.own_class_everywhere(n, (2, 2))
    np.testing.assert_allclose(mix.images(x, "nhwc").mean(axis=(1, 2)), mix.labels(np.arange(n), n), atol=1e-6)


def test_nodes_of_a_composition_do_not_move_each_other():
    """Appending a branch does not change the draws of other branches."""
    two = ma.one_of(ma.MixUp(), ma.CutMix(), weights=(0, 1)).draw(9, (8, 8), key=KEY)
    three = ma.one_of(ma.MixUp(), ma.CutMix(), ma.GridMix(), weights=(0, 1, 0)).draw(9, (8, 8), key=KEY)
    np.testing.assert_array_equal(two.pixel_weights(), three.pixel_weights())


def test_partners_depend_on_the_key_only():
    """Partners depend on the key, not on the recipe."""
    sources = [recipe.draw(9, (32, 32), key=KEY).index[1] for recipe in (ma.MixUp(), ma.MixUp(alpha=4), ma.SmoothMix())]
    np.testing.assert_array_equal(sources[0], sources[1])
    np.testing.assert_array_equal(sources[0], sources[2])


def test_a_batch_with_a_dense_branch_keeps_the_lam_of_each_branch():
    recipe = ma.one_of(ma.MixUp(alpha=1.0), ma.SmoothMix(), weights=(1, 0))
    mixed, alone = recipe.draw(50, (97, 89), key=KEY), ma.one_of(ma.MixUp(alpha=1.0)).draw(50, (97, 89), key=KEY)
    np.testing.assert_array_equal(mixed.lam, alone.lam)


def test_per_batch_draws_once_and_still_pairs_each_row():
    mix = ma.per_batch(ma.one_of(ma.CutMix(), ma.MixUp())).draw(64, (16, 16), key=(0, 1))
    assert len(np.unique(mix.pixel_weights().reshape(2, 64, -1), axis=1)[0]) == 1
    assert len(set(mix.index[1])) == 64
