"""Regions of third-party recipes, mixes constructed directly, numbers and texts are checked before they are used."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import pytest

import mixaug as ma
from mixaug.recipes.combine import MAX_DEPTH

N, SIZE = 6, (8, 8)


def box(n=N, first=0, last=4) -> np.ndarray:
    return np.broadcast_to(np.int32([[first, last], [first, last]]), (n, 2, 2)).copy()


class Given(ma.Recipe):
    """A third-party recipe with a given region."""

    sources: ClassVar[int] = 2

    def __init__(self, region: Any) -> None:
        self.made = region

    def region(self, draw: Any) -> Any:
        return self.made


HALF = np.full((2, N), 0.5, np.float32)
WRONG = {
    "no region": "a region",
    "one box for all rows": ma.Paste(None, (None, box(1))),
    "int64 boxes": ma.Paste(None, (None, box().astype(np.int64))),
    "weights of one source": ma.Paste(HALF[:1], (None, None)),
    "three sources": ma.Paste(None, (None, box(), None)),
    "outside of the image": ma.Paste(None, (None, box(last=9))),
    "turned round": ma.Paste(None, (None, box(first=5))),
    "weights above 1": ma.Paste(HALF * 3, (None, None)),
    "weights below 0": ma.Paste(np.stack([HALF[0] * 3, -HALF[0]]), (None, None)),
    "not a number": ma.Paste(HALF * np.nan, (None, None)),
    "boxes over each other": ma.Paste(None, (box(), box())),
    "a filling of NaN": ma.Paste(None, (None, None), hole=box(), fill=np.full(N, np.nan, np.float32)),
    "a source box of no pixels": ma.Paste(None, (None, box()), (None, box(last=0))),
    "masks that sum to 2": ma.Dense(np.ones((2, N, *SIZE), np.float32)),
    "masks of another size": ma.Dense(np.ones((2, N, 4, 4), bool)),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_region_of_a_third_party_is_checked(name):
    with pytest.raises((TypeError, ValueError), match=r"^region: .*expected .*, got ") as caught:
        Given(WRONG[name]).draw(N, SIZE, key=0)
    assert "\n" not in str(caught.value)


def test_a_region_that_is_right_is_drawn():
    mix = Given(ma.Paste(None, (None, box()))).draw(N, SIZE, key=0)
    assert (mix.lam[1] == 0.25).all()


def test_a_region_is_checked_in_a_graph_too():
    import tensorflow as tf

    with pytest.raises(ValueError, match="region: background: expected the shape"):
        tf.function(lambda x: Given(ma.Paste(tf.ones((1, N)), (None, None))).draw(N, SIZE, key=(0, 0), like=x).lam)(
            tf.zeros(1)
        )


@pytest.mark.parametrize("change", [
    {"index": np.zeros((2, N), np.float32)}, {"index": np.zeros((3, N), np.int32)},
    {"lam": np.ones((2, N), np.float32)},
    {"lam": np.full((2, N), 0.5, np.float32)}, {"size": (0, 8)}, {"size": (8, 8, 8)}, {"region": "none"},
    {"index": np.full((2, N), -1, np.int32)},
])  # fmt: skip
def test_a_mix_constructed_directly_is_checked(change):
    mix = ma.CutMix(lam=0.75, placement="inside").draw(N, SIZE, key=0)
    parts = {"index": mix.index, "lam": mix.lam, "region": mix.region, "size": mix.size}
    assert ma.Mix(**parts).lam is mix.lam
    with pytest.raises((TypeError, ValueError), match="expected") as caught:
        ma.Mix(**{**parts, **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("call", [
    lambda: ma.CutMix().draw(2**40, SIZE, key=0), lambda: ma.CutMix().draw(2, (2**31, 2**31), key=0),
    lambda: ma.MixUp(alpha=1e300), lambda: ma.MixUp(alpha=0), lambda: ma.MixUp(sources=10**9),
    lambda: ma.GridMix(cells=10**12), lambda: ma.TokenMix(token=10**12).draw(2, SIZE, key=0).lam * (1 / 0),
    lambda: ma.one_of("mixup", "cutmix", weights=(1e308, 1e308)), lambda: ma.one_of("mixup", weights=(float("nan"),)),
    lambda: ma.MixUp().draw(2, SIZE, key=0).labels(np.arange(2), 10**12),
])  # fmt: skip
def test_numbers_are_checked_against_what_computes_with_them(call):
    with pytest.raises((ValueError, TypeError, ZeroDivisionError)) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_nested_recipes_are_bounded():
    recipe = ma.MixUp()
    for _ in range(MAX_DEPTH - 1):
        recipe = ma.one_of(recipe, ma.CutMix())
    with pytest.raises(ValueError, match=f"expected recipes at most {MAX_DEPTH} deep, got {MAX_DEPTH + 1}; nest fewer"):
        ma.one_of(recipe, ma.CutMix())
    assert repr(recipe)
    recipe.draw(2, SIZE, key=0)


@pytest.mark.parametrize("text", [
    "mixup(alpha=1, alpha=2)", "one_of(" * 10_000 + "mixup" + ")" * 10_000, "mixup" * 100_000, "cutmix(alpha=1e999)",
    "mixup(alpha=__import__('os'))", "cutmix()()", "", "mixup;cutmix", "cutmix(alpha=10**10**10)",
    "mixup(alpha=1 if 1 else 2)",
    "cut\0mix", "[mixup]", "mixup(alpha='\\d')",
])  # fmt: skip
def test_invalid_recipe_texts_raise_one_sentence(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"recipe|alpha") as caught:
            ma.recipe(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
