"""Guided recipes: the invariants in every library, each formula against a plain implementation, valid guides."""

from __future__ import annotations

import numpy as np
import pytest
from test_invariants import COMPILED, check_invariants

import mixaug as ma
import ways
from mixaug import backends
from mixaug.core import keys, maps
from mixaug.recipes.lam import lam_quantiles
from mixaug.recipes.recipe import ring
from ways import KEY

EAGER = [way for way in ways.WAYS if way not in (*COMPILED, ways.tf_graph)]
GRAPHS = [ways.tf_graph, ways.tf_xla, ways.torch_traced, ways.jax_jit]
DRAWS = 1000


@pytest.mark.slow_ways
@pytest.mark.parametrize("shape", ways.SIZES, ids=str)
@pytest.mark.parametrize("way", EAGER, ids=lambda way: way.__name__)
@pytest.mark.parametrize("recipe", ways.GUIDED_ROWS, ids=repr)
def test_guided_recipes_keep_the_invariants(recipe, way, shape):
    check_invariants(recipe, way, *shape)


@pytest.mark.parametrize("way", GRAPHS, ids=lambda way: way.__name__)
def test_guided_recipes_in_one_graph_equal_numpy(way):
    n, size = [(5, (9, 7)), (4, (3, 5, 2)), (3, (13,)), (5, (8, 6))][GRAPHS.index(way)]
    x, y = 255 * ways.own_class_everywhere(n, size, "uint8"), np.arange(n)
    given = {need: maps.example(need, n, size) for need in maps.NEEDS}

    def run(x, y, *guides):
        named, mixed = dict(zip(given, guides, strict=True)), []
        for recipe in ways.GUIDED_ROWS:
            guide = {need: named[need] for need in recipe.needs}
            mix = recipe.draw(ways.count(x), size, key=KEY, like=x, guide=guide)
            mixed.append((mix, mix.images(x, ways.layout_of(x)), mix.labels(y, num_classes=n)))
        return mixed

    wanted = run(x, y, *given.values())
    for (mix, images, labels), (want, *others) in zip(way(run, x, y, *given.values()), wanted, strict=True):
        (structure, arrays), (form, values) = mix.flatten(), want.flatten()
        assert structure == form
        for got, expected in zip((*arrays, images, labels), (*values, *others), strict=True):
            ways.assert_same(got, expected, ways.array_of(way))


# --- each formula, implemented plainly ---


def drawn(recipe, seed, n, size, need):
    """A mix with random guides, and the integer guide and random bits for the plain implementation."""
    guide = maps.example(need, n, size, seed)
    mix = recipe.draw(n, size, key=(seed, 1), guide=guide)
    words = keys.random_bits(backends.common(), keys.make((seed, 1)), np.arange(n, dtype=np.uint32), 300)
    return mix, guide, words


def levels(saliency):
    """rint(255 * x / max) of one map."""
    return np.rint(np.float32(255) * (saliency / saliency.max()))


def lam_of(word, law=((1.0, 1.0), None, False)):
    return lam_quantiles(law, 0)[word >> 16]


SIZE_OF = [(9, 7), (16, 16), (5, 12)]


@pytest.mark.parametrize("size", SIZE_OF, ids=str)
def test_saliencymix_is_a_box_around_the_partners_most_salient_pixel(size):
    n = 8
    for seed in range(DRAWS // (n * len(SIZE_OF)) + 1):
        mix, guide, words = drawn(ma.SaliencyMix(), seed, n, size, "saliency")
        for i in range(n):
            level = levels(guide[ring_partner(seed, n, i)])
            centre = np.unravel_index(level.argmax(), size)
            ratio = np.float32((1 - lam_of(words[0, i])) ** (1 / len(size)))
            expected = []
            for at, length in zip(centre, size, strict=True):
                side = int(np.floor(ratio * np.float32(length)))
                first = at - side // 2
                expected.append([max(first, 0), min(first + side, length)])
            assert mix.region.box[1][i].tolist() == expected
            area = np.prod([b - a for a, b in expected])
            assert mix.lam[1, i] == np.float32(area / np.prod(size))


def ring_partner(seed, n, i):
    """The partner of row i: the next row on the ring."""
    return ring(backends.common(), keys.make((seed, 1)), n, 2)[1, i]


@pytest.mark.parametrize(
    ("recipe", "size"),
    [(ma.AttentiveCutMix(top=3, cells=3), (9, 7)), (ma.AttentiveCutMix(), (30, 16)), (ma.MergeMix(token=3), (10, 8))],
    ids=str,
)
def test_the_cells_of_the_greatest_sums_are_pasted(recipe, size):
    n = 10
    for seed in range(DRAWS // (3 * n) + 1):
        mix, guide, words = drawn(recipe, seed, n, size, "saliency")
        weight = mix.region.weight[1]
        for i in range(n):
            level = levels(guide[ring_partner(seed, n, i)])
            if isinstance(recipe, ma.MergeMix):
                counts = [-(-length // recipe.token) for length in size]
                cell = [[p // recipe.token for p in range(length)] for length in size]
                part = np.float32(1 - lam_of(words[0, i]))
                top = int(np.rint(part * np.float32(np.prod(counts))))
            else:
                counts, top = [recipe.cells] * 2, recipe.top
                cell = [[p * recipe.cells // length for p in range(length)] for length in size]
            sums = np.zeros(counts)
            for a, b in np.ndindex(size):
                sums[cell[0][a], cell[1][b]] += level[a, b]
            best = sorted(range(sums.size), key=lambda c: (-sums.flat[c], c))[:top]
            expected = [[cell[0][a] * counts[1] + cell[1][b] in best for b in range(size[1])] for a in range(size[0])]
            assert weight[i].tolist() == expected


@pytest.mark.parametrize("ignore", [None, 2])
def test_classmix_pastes_half_of_the_partners_classes(ignore):
    n, size = 10, (6, 5)
    for seed in range(DRAWS // (2 * n)):
        mix, guide, words = drawn(ma.ClassMix(ignore), seed, n, size, "masks")
        for i in range(n):
            mask = guide[ring_partner(seed, n, i)]
            classes = sorted(set(mask.ravel().tolist()) - {ignore}, key=lambda c: (words[c, i] >> 1, c))
            chosen = classes[: len(classes) // 2]
            assert mix.region.weight[1, i].tolist() == np.isin(mask, chosen).tolist()


def test_classmix_chooses_every_class_as_often():
    masks = np.arange(4)[None, :, None].repeat(6000, axis=0)
    pasted = ma.ClassMix().draw(6000, (4, 1), key=0, guide=masks).region.weight[1, :, :, 0]
    assert (pasted.sum(axis=1) == 2).all()
    np.testing.assert_allclose(pasted.mean(axis=0), 0.5, atol=0.03)


def test_copypaste_pastes_the_union_of_the_chosen_objects():
    n, size = 10, (8, 7)
    for seed in range(DRAWS // n):
        mix, guide, words = drawn(ma.CopyPaste(part=0.4), seed, n, size, "instances")
        for i in range(n):
            objects = guide[ring_partner(seed, n, i)]
            union = np.zeros(size, bool)
            for word, mask in zip(words[5:8, i], objects, strict=True):
                if word >> 8 < round(2**24 * 0.4):
                    union |= mask
            assert mix.region.weight[1, i].tolist() == union.tolist()


def test_a_resized_partner_is_seen_through_its_box_and_so_are_its_objects():
    """Pixels are the numbers of objects: only pixels of objects are pasted."""
    n, size = 10, (12, 9)
    for seed in range(DRAWS // n):
        mix, guide, words = drawn(ma.CopyPaste(part=1.0, scale=(0.3, 2.5)), seed, n, size, "instances")
        shows = guide.any(axis=1).astype(np.float32)[..., None]
        images = np.concatenate([shows, 1 - shows], axis=-1)
        mixed, pasted = mix.images(images), np.asarray(mix.region.weight[1])
        assert (mixed[pasted] == [1, 0]).all()
        factor = np.float32(0.3 + (2.5 - 0.3) * ((words[0] >> 16) + 0.5) / 65536)
        for i in range(n):
            box, part = mix.region.box[1][i], mix.region.source_box[1][i]
            for axis, length in enumerate(size):
                side = min(max(int(np.floor(factor[i] * np.float32(length))), 1), length)
                shown = min(max(int(np.floor(np.float32(length) / factor[i])), 1), length)
                assert (box[axis, 1] - box[axis, 0], part[axis, 1] - part[axis, 0]) == (side, shown)


def test_blended_edges_are_a_gaussian_of_the_mask():
    from scipy.ndimage import gaussian_filter

    objects = np.zeros((2, 1, 24, 20), bool)
    objects[:, :, 6:14, 5:12] = True
    soft = ma.CopyPaste(part=1.0, blend=1.5).draw(2, (24, 20), key=0, guide=objects).region.weight[1]
    smooth = gaussian_filter(objects[:, 0].astype(float), (0, 1.5, 1.5), mode="nearest")
    np.testing.assert_allclose(soft, smooth, atol=0.02)
    assert (soft[:, 9, 8] > 0.95).all()


# --- valid guides ---


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", "int32"])
def test_the_kernels_round_maps_as_the_definition_does(dtype, monkeypatch):
    rng = np.random.default_rng(0)
    x = (rng.random((40, 9, 11)) ** 4 * 200).astype(dtype)
    x[0], x[1], x[2, 3, 3] = 0, 7, 0
    if dtype == "float32":
        x[3] *= 1e-38  # many of these are denormal
        x[4] *= 1e30
        x[5, 0, 0] = -0.0
    rows, xp = rng.integers(0, 40, 60).astype(np.int32), backends.common()
    got = maps.saliency(xp, x, rows), maps.peak(xp, x, rows)
    monkeypatch.setattr(xp, "draw_kernels", lambda: None)
    want = maps.saliency(xp, x, rows), maps.peak(xp, x, rows)
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_array_equal(got[1], want[1])
    assert got[0].dtype == np.uint8
    assert (got[0][rows == 0] == 255).all()
    assert (got[1] == got[0].reshape(60, -1).argmax(axis=1)).all()


@pytest.mark.parametrize("value", [np.nan, -1.0, np.inf, -np.inf])
@pytest.mark.parametrize("kernels", [True, False])
def test_values_that_are_not_saliency_raise(value, kernels, monkeypatch):
    if not kernels:
        monkeypatch.setattr(backends.common(), "draw_kernels", lambda: None)
    saliency = np.ones((3, 4, 4), np.float32)
    saliency[2, 1, 3] = value
    for recipe in (ma.SaliencyMix(), ma.AttentiveCutMix()):
        with pytest.raises(
            ValueError, match=r"saliency: expected finite numbers of 0 or more, got .*nan_to_num"
        ) as error:
            recipe.draw(3, (4, 4), key=0, guide=saliency)
        assert str(float(value)) in str(error.value)
    recipe.draw(3, (4, 4), key=0, guide=np.maximum(np.nan_to_num(saliency), 0))  # the way out


def test_where_values_cannot_be_seen_they_count_as_nothing():
    bad = np.ones((3, 4, 4), np.float32)
    bad[:, 0], bad[:, 1], bad[:, 2, 0] = np.nan, -5, np.inf
    clean = np.where(np.isfinite(bad) & (bad > 0), bad, 0)
    for way in (ways.tf_graph, ways.jax_jit):
        mix = way(lambda g: ma.SaliencyMix().draw(ways.count(g), (4, 4), key=0, like=g, guide=g), bad)
        np.testing.assert_array_equal(
            ways.values(mix.region.box[1]), ma.SaliencyMix().draw(3, (4, 4), key=0, guide=clean).region.box[1]
        )


def test_a_map_of_zeros_counts_every_pixel_the_same():
    zeros, ones = np.zeros((4, 6, 6), np.float32), np.full((4, 6, 6), 3, np.float32)
    for recipe in (ma.SaliencyMix(), ma.AttentiveCutMix(top=2, cells=2), ma.MergeMix(token=2)):
        of_zeros, of_ones = (recipe.draw(4, (6, 6), key=5, guide=guide).pixel_weights() for guide in (zeros, ones))
        np.testing.assert_array_equal(of_zeros, of_ones)


def test_maps_may_have_another_size_than_the_images():
    n, rng = 6, np.random.default_rng(0)
    coarse = rng.random((n, 4, 4)).astype(np.float32)
    fine = coarse.repeat(4, axis=1).repeat(4, axis=2)
    for recipe in (ma.AttentiveCutMix(top=3, cells=4), ma.MergeMix(token=4)):
        by_coarse, by_fine = (recipe.draw(n, (16, 16), key=1, guide=guide) for guide in (coarse, fine))
        np.testing.assert_array_equal(by_coarse.pixel_weights(), by_fine.pixel_weights())
    box = ma.SaliencyMix(lam=15 / 16).draw(n, (16, 16), key=1, guide=coarse).region.box[1]
    for i, partner in enumerate(ma.SaliencyMix(lam=15 / 16).draw(n, (16, 16), key=1, guide=coarse).index[1]):
        a, b = np.unravel_index(coarse[partner].argmax(), (4, 4))
        assert box[i].tolist() == [[4 * a, 4 * a + 4], [4 * b, 4 * b + 4]]  # around the middle of the map's pixel


def test_a_recipe_of_recipes_needs_the_guides_of_all():
    assert ma.CutMix().needs == ()
    assert ma.one_of(ma.CutMix(), ma.MixUp()).needs == ()
    assert ma.sometimes(0.5, ma.one_of(ma.SaliencyMix(), ma.CutMix())).needs == ("saliency",)
    assert ma.schedule({0: ma.CutMix(), 5: ma.per_batch(ma.SaliencyMix())}).needs == ("saliency",)


def test_per_batch_draws_one_size_and_leaves_each_box_where_its_partner_is_salient():
    n, size = 6, (12, 12)
    saliency = maps.example("saliency", n, size)
    mix = ma.per_batch(ma.SaliencyMix(lam=0.9)).draw(n, size, key=3, guide=saliency)
    for i, partner in enumerate(mix.index[1]):
        first, last = mix.region.box[1][i].T
        at = np.array(np.unravel_index(levels(saliency[partner]).argmax(), size))
        assert ((first <= at) & (at < last)).all()
    assert len({tuple(box[:, 0]) for box in mix.region.box[1]}) > 1


def test_parts_of_a_batch_are_drawn_by_themselves():
    n, size, recipe = 6, (8, 8), ma.one_of(ma.SaliencyMix(), ma.MergeMix(token=2))
    saliency = maps.example("saliency", n, size)
    whole = recipe.draw(n, size, key=4, guide=saliency)
    index = ma.pairing.Cyclic().index(n, 2, key=4)
    for rows in ([4, 1], [0, 5, 2]):
        part = recipe.draw(len(rows), size, key=4, guide=saliency, index=index[:, rows], rows=np.array(rows))
        np.testing.assert_array_equal(part.pixel_weights(), whole.pixel_weights()[:, rows])
