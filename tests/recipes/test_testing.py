"""ma.testing: mixaug's recipes pass, and each violated invariant is reported."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

import mixaug as ma
import ways
from mixaug.core.regions import whole

QUICK = {"libraries": ["numpy"]}


@pytest.mark.parametrize("recipe", ways.RECIPE_ROWS, ids=repr)
def test_ours_keep_them(recipe):
    ma.testing.check(recipe, **QUICK)


@pytest.mark.parametrize("recipe", [ma.HMix(), ma.one_of(ma.GMix(), ma.Cutout(), ma.ResizeMix())], ids=repr)
def test_ours_keep_them_in_every_library(recipe):
    ma.testing.check(recipe, sizes=[(5, (9, 7))])


@dataclass(frozen=True)
class Broken(ma.Recipe):
    """A recipe that violates an invariant in a given way."""

    way: int = 0
    sources: int = 2

    def region(self, draw: Any) -> Any:
        return WAYS[self.way][1](draw)


def boxed(draw, first, last):
    ends = [draw.xp.full((draw.n,), end, "int32") for end in (first, last)]
    return draw.xp.stack([draw.xp.stack(ends, axis=1)] * len(draw.size), axis=1)


def blended(draw, *weights):
    return ma.Paste(draw.xp.stack([draw.xp.full((draw.n,), w, "float32") for w in weights]), (None,) * len(weights))


def overlapping(draw):
    box = boxed(draw, 0, 1)
    return ma.Paste(None, (None, box, box))


def window(draw, source_box):
    return ma.Paste(None, (None, whole(draw.xp, draw.n, draw.size)), (None, source_box))


def of_numpy(draw):
    return ma.Dense(np.stack([np.ones((draw.n, *draw.size), bool), np.zeros((draw.n, *draw.size), bool)]))


def of_its_library(draw):
    weight = 0.25 if draw.xp.name == "jax" else 0.5
    return blended(draw, weight, 1 - weight)


def untraceable(draw):
    return blended(draw, 0.5, 0.5) if float(draw.random_bits(1)[0][0]) >= 0 else None


def failing(draw):
    raise ZeroDivisionError("no such size")


def half_seen(draw):
    weight = draw.xp.full((draw.n, *draw.size), 0.25, "float32")
    return ma.Dense(draw.xp.stack([weight, weight]))


@dataclass(frozen=True)
class Restless(ma.Recipe):
    sources: ClassVar[int] = 2

    def region(self, draw: Any) -> Any:
        weight = next(WEIGHTS)
        return blended(draw, weight, 1 - weight)


@dataclass(frozen=True)
class Named(ma.Recipe):
    kind: object = frozenset({1})
    sources: ClassVar[int] = 1

    def region(self, draw: Any) -> Any:
        raise NotImplementedError


WEIGHTS = iter([0.5, 0.25])
REGION = "the region is valid"
WAYS = [
    (
        REGION,
        lambda draw: blended(draw, 0.75, 0.5),
        "background: expected weights that sum to 1 over the sources, got 1.25",
    ),
    (REGION, lambda draw: blended(draw, 1.5, -0.5), "background: expected weights of 0 or more, got -0.5"),
    (REGION, half_seen, "weight: expected weights that sum to 1 over the sources, got 0.5"),
    (REGION, overlapping, "box_1: expected no pixel in common with box_2, got [["),
    (REGION, lambda draw: ma.Paste(None, (None, boxed(draw, 0, 99))), "box_1: expected 0 <= first <= last <= (9, 7)"),
    (REGION, lambda draw: window(draw, boxed(draw, -1, 1)), "source_box_1: expected 0 <= first <= last"),
    (REGION, lambda draw: ma.Paste(None, (None, boxed(draw, 1, 0))), "got [[1, 0], [1, 0]]"),
    ("any number of rows and any size", failing, "ZeroDivisionError: no such size"),
    ("the same key gives the same mix in JAX", of_its_library, "lam is 0.25 off"),
    (f"{REGION}", of_numpy, "weight: expected an array of TensorFlow, got "),
    ("the same key gives the same mix in TensorFlow, compiled", untraceable, "Error"),
]


@pytest.mark.parametrize("way", range(len(WAYS)), ids=[f"{i}: {law}" for i, (law, _, _) in enumerate(WAYS)])
def test_what_is_broken_is_named(way):
    law, _, came = WAYS[way]
    library = next((name for name, title in ma.backends.DISPLAY_NAMES.items() if title in law + came), "numpy")
    with pytest.raises(AssertionError) as broken:
        ma.testing.check(Broken(way, sources=3 if "box_2" in came else 2), libraries=[library])
    said = str(broken.value)
    assert re.match(rf"{law}: violated by Broken\(way={way}, sources=\d\) for \d+ outputs of size \(.*\): ", said)
    assert came in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("index", "came"),
    [
        (np.zeros((2, 5), int), "the first is not the base sample"),
        (np.arange(15).reshape(3, 5), r"expected an index of the shape \(2, 5\), got \(3, 5\)"),
        (np.stack([np.arange(5)] * 2), r"output 0 is made of the rows \[0, 0\]"),
    ],
)
def test_invalid_sources_are_reported(monkeypatch, index, came):
    recipe = ma.MixUp()
    mix = replace(recipe.draw(5, (9, 7), key=ma.testing.KEY), index=index, _checked=True)
    monkeypatch.setattr(ma.MixUp, "draw", lambda *_, **__: mix)
    monkeypatch.setattr(ma.Mix, "pixel_weights", lambda mix: mix.region.pixel_weights(ma.backends.common(), 5, (9, 7)))
    with pytest.raises(AssertionError, match=f"^sources are distinct: .*{came}"):
        ma.testing.check(recipe, sizes=[(5, (9, 7))], **QUICK)


def test_a_draw_that_depends_on_what_came_before_is_named():
    with pytest.raises(AssertionError, match=r"^the same key gives the same mix in NumPy: .* lam is 0.25 off"):
        ma.testing.check(Restless(), sizes=[(5, (9, 7))], **QUICK)


def test_inputs_that_are_written_to_are_named(monkeypatch):
    mixed = ma.Mix.images
    monkeypatch.setattr(ma.Mix, "images", lambda mix, x, layout: x if x.shape[-1] == 2 else mixed(mix, x, layout))
    with pytest.raises(AssertionError, match=r"^inputs are not written to: violated by CutMix\(alpha=1.0\)"):
        ma.testing.check(ma.CutMix(), **QUICK)


def test_images_that_are_not_the_definition_are_named(monkeypatch):
    mixed = ma.Mix.images
    monkeypatch.setattr(ma.Mix, "images", lambda mix, *a: mixed(mix, *a) * (0.5 if a[0].shape[-1] == 2 else 1))
    with pytest.raises(AssertionError, match=r"^images equal the definition by pixel weights: .* a pixel is"):
        ma.testing.check(ma.CutMix(), **QUICK)


def test_masks_of_another_source_are_reported(monkeypatch):
    monkeypatch.setattr(ma.Mix, "masks", lambda _, m: m.copy())
    with pytest.raises(AssertionError, match=r"^a mask has the id of the heaviest source: .* have another"):
        ma.testing.check(ma.CutMix(), **QUICK)


def test_a_repr_that_does_not_read_back_is_named():
    with pytest.raises(
        AssertionError,
        match=r"^the repr can be read back: expected Named\(kind=frozenset\(\{1\}\)\), got recipe: expected names",
    ):
        ma.testing.check(Named(), **QUICK)


def test_values_that_are_not_a_recipe_raise():
    with pytest.raises(TypeError, match=r"testing.check: expected a recipe, got 3"):
        ma.testing.check(3)
