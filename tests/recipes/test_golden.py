"""The drawn mixes that every library must hit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import mixaug as ma
import ways
from mixaug.recipes import RECIPES

ROWS = json.loads((Path(__file__).parent / "golden.json").read_text())


@pytest.mark.parametrize("library", ways.LIKES)
def test_golden(library):
    like = ways.LIKES[library]
    for row in ROWS:
        mix = ma.recipe(row["recipe"]).draw(row["n"], tuple(row["size"]), key=tuple(row["key"]), like=like)
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
    assert all(recipe.__name__.lower() in text for recipe in RECIPES)
