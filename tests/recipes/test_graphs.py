"""All recipes in a few graphs: every compiled library draws and mixes as NumPy does, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

import ways
from ways import KEY, is_soft

GROUPS = [ways.RECIPE_ROWS[first::6] for first in range(6)]
SHAPES = [(5, (9, 7)), (4, (3, 5, 2)), (3, (13,))]
GRAPHS = [ways.tf_graph, ways.tf_xla, ways.torch_traced, ways.jax_jit]


@pytest.mark.parametrize("group", range(len(GROUPS)))
@pytest.mark.parametrize("way", GRAPHS, ids=lambda way: way.__name__)
def test_recipes_in_one_graph_equal_numpy(way, group):
    recipes, (n, size) = GROUPS[group], SHAPES[(group + GRAPHS.index(way)) % len(SHAPES)]
    x, y = 255 * ways.own_class_everywhere(n, size, "uint8"), np.arange(n)

    def run(x, y):
        mixed = []
        for recipe in recipes:
            mix = recipe.draw(ways.count(x), size, key=KEY, like=x)
            mixed.append((mix, mix.images(x, ways.layout_of(x)), mix.labels(y, num_classes=n)))
        return mixed

    for recipe, (mix, images, labels), wanted in zip(recipes, way(run, x, y), run(x, y), strict=True):
        (structure, arrays), (form, values) = mix.flatten(), wanted[0].flatten()
        assert structure == form
        for name, got, want in zip(("index", "lam", *form[1]), arrays, values, strict=True):
            ways.assert_same(got, want, ways.array_of(way), atol=tolerance(recipe, name))
        ways.assert_same(images, wanted[1], ways.array_of(way), atol=int(is_soft(recipe)))
        ways.assert_same(labels, wanted[2], ways.array_of(way), atol=tolerance(recipe, "lam"))


def tolerance(recipe, name):
    """The allowed difference from NumPy: for soft masks, and where lam is a product and a sum."""
    if is_soft(recipe):
        return 1e-6
    return 3 * 2**-24 if name == "lam" and "HMix" in repr(recipe) else 0
