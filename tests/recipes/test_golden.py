"""The drawn mixes that every library must reproduce."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mixaug as ma
import ways
from mixaug.core.maps import example
from mixaug.recipes import GUIDED, RECIPES

ROWS = json.loads((Path(__file__).parent / "golden.json").read_text())


@pytest.mark.parametrize("library", ways.LIKES)
def test_golden(library):
    like = ways.LIKES[library]
    for row in ROWS:
        recipe, n, size = ma.recipe(row["recipe"]), row["n"], tuple(row["size"])
        guide = {need: example(need, n, size) for need in recipe.needs} or None
        mix = recipe.draw(n, size, key=tuple(row["key"]), like=like, guide=guide)
        structure, arrays = mix.flatten()
        assert json.loads(json.dumps(structure)) == row["structure"]
        for got, want in zip(arrays, row["arrays"], strict=True):
            got = ways.values(got)
            assert (got.dtype.name, list(got.shape)) == (want["dtype"], want["shape"])
            expected = np.array(want["values"], want["dtype"]).reshape(want["shape"])
            soft = any(name in row["recipe"] for name in ("smoothmix(", "gmix("))
            np.testing.assert_allclose(got.astype(float), expected, rtol=0, atol=1e-6 if soft else 0)


def test_golden_holds_every_recipe():
    text = " ".join(row["recipe"] for row in ROWS)
    assert all(recipe.__name__.lower() in text for recipe in (*RECIPES, *GUIDED))
