"""Options known from other libraries: concentrations, fixed lam, dominant base samples, placements, grids."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import mixaug as ma

N, SIZE = 4000, (32, 32)


def drawn(recipe, size=SIZE, n=N) -> ma.Mix:
    return recipe.draw(n, size, key=(0, 3))


@pytest.mark.parametrize(("recipe", "law"), [
    (ma.MixUp(alpha=(2.0, 5.0)), stats.beta(2, 5)), (ma.MixUp(lam=(0.3, 0.7)), stats.uniform(0.3, 0.4)),
    (ma.CutMix(alpha=(4.0, 1.0), placement="inside"), stats.beta(4, 1)),
    (ma.CutMix(lam=(0.2, 0.9), placement="inside"), stats.uniform(0.2, 0.7)),
], ids=["beta(2, 5)", "uniform(0.3, 0.7)", "box beta(4, 1)", "box uniform(0.2, 0.9)"])  # fmt: skip
def test_lam_of_the_base_sample_has_the_distribution(recipe, law):
    size = (1000, 1000) if isinstance(recipe, ma.CutMix) else SIZE
    assert stats.kstest(drawn(recipe, size).lam[0], law.cdf).pvalue > 1e-3


def test_a_fixed_lam_is_that_in_every_row():
    assert (drawn(ma.MixUp(lam=0.25)).lam[0] == 0.25).all()
    assert (drawn(ma.CutMix(lam=0.75, placement="inside")).lam[0] == 0.75).all()
    assert (drawn(ma.CutMix(lam=0.75)).lam[0] >= 0.75).all()


@pytest.mark.parametrize(
    "recipe",
    [ma.MixUp(dominant=True), ma.MixUp(sources=4, dominant=True), ma.CutMix(dominant=True, placement="inside")],
    ids=repr,
)
def test_the_base_sample_is_the_heaviest(recipe):
    lam = drawn(recipe).lam
    assert (lam[:-1] >= lam[1:]).all() or (lam[0] >= lam[1:].max(axis=0) - 2 / 32).all()
    assert lam[0].mean() > 0.5 if len(lam) == 2 else lam[0].min() >= 0.25


def test_a_dirichlet_has_a_concentration_for_each_source():
    lam = drawn(ma.MixUp(alpha=(4.0, 2.0, 2.0), sources=3)).lam
    np.testing.assert_allclose(lam.mean(axis=1), [0.5, 0.25, 0.25], atol=0.01)


def test_boxes_follow_placement():
    size = (40, 40)
    inside = drawn(ma.CutMix(placement="inside"), size).region.box[1]
    assert ((inside >= 0) & (inside <= 40)).all()
    coverage = drawn(ma.CutMix(placement="uniform"), size).pixel_weights()[1].mean(axis=0)
    middle, corner = coverage[20, 20], coverage[0, 0]
    assert abs(middle - corner) < 0.05
    clipped = drawn(ma.CutMix(), size).pixel_weights()[1].mean(axis=0)
    assert clipped[20, 20] > clipped[0, 0] + 0.1


@pytest.mark.parametrize("tiles", [(1, 2), (2, 3), (3, 1)])
def test_a_mosaic_has_any_grid(tiles):
    recipe = ma.Mosaic(tiles=tiles, jitter=0)
    assert recipe.sources == tiles[0] * tiles[1]
    lam = recipe.draw(8, (24, 24), key=0).lam
    np.testing.assert_allclose(lam, 1 / recipe.sources, atol=1e-6)


@pytest.mark.parametrize("recipe", [
    ma.MixUp(alpha=(1.0, 2.0)), ma.MixUp(lam=(0.1, 0.4)), ma.CutMix(placement="uniform", dominant=True),
    ma.Mosaic(tiles=(2, 3)), ma.NWayCutMix(alpha=(1.0, 2.0, 3.0)),
], ids=repr)  # fmt: skip
def test_a_repr_reads_back_and_the_invariants_hold(recipe):
    assert ma.recipe(repr(recipe)) == recipe
    ma.testing.check(recipe, sizes=[(9, (12, 10))], libraries=["numpy"])


@pytest.mark.parametrize(("make", "sentence"), [
    (lambda: ma.MixUp(alpha=1.0, lam=0.5), "lam"), (lambda: ma.MixUp(lam=0.5, sources=3), "expected two sources"),
    (lambda: ma.MixUp(lam=1.5), "expected"), (lambda: ma.MixUp(lam=(0.7, 0.3)), "expected"),
    (lambda: ma.MixUp(alpha=(1.0, 2.0, 3.0)), "expected"), (lambda: ma.CutMix(placement="middle"), "expected one of"),
    (lambda: ma.Mosaic(tiles=(1, 1)), "expected 2 to 256 tiles in all"), (lambda: ma.MixUp(alpha=1e300), "at most 1e"),
])  # fmt: skip
def test_options_that_contradict_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)
