"""Recipes made of recipes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from .._xp import Array
from ..keys import bits24
from ..regions import Chosen, Drawn
from .blend import Identity
from .recipe import Draw, Recipe, check_number, check_recipe, keep


@dataclass(frozen=True)
class OneOf(Recipe):
    """Choose one of several recipes for each row; `one_of` makes it."""

    recipes: tuple[Recipe, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for recipe in self.recipes:
            check_recipe("one_of", recipe)
        if not self.recipes:
            raise ValueError("one_of: expected one recipe or more, got none; use identity() to mix nothing")
        if self.weights is not None:
            weights = (check_number("one_of weights", weight, 0, open_low=False) for weight in self.weights)
            keep(self, weights=tuple(weights))
            self._check_weights(self.weights)

    def _check_weights(self, weights: tuple[float, ...]) -> None:
        if len(weights) != len(self.recipes):
            raise ValueError(f"one_of: expected {len(self.recipes)} weights, one a recipe, got {len(weights)}")
        if not sum(weights) > 0:
            raise ValueError("one_of: expected weights with a sum above 0, got only zeros")

    @property
    def parents(self) -> int:
        """k, the largest number of parents among the recipes."""
        return max(recipe.parents for recipe in self.recipes)

    def region(self, draw: Draw) -> Drawn:
        """Each row's region is that of the recipe chosen for it."""
        drawn = (recipe.region(draw.child(place)) for place, recipe in enumerate(self.recipes))
        return Chosen(self._choice(draw), tuple(drawn))

    def _choice(self, draw: Draw) -> Array:
        """int32 (n,): the place of the recipe chosen for each row."""
        weights = self.weights or (1.0,) * len(self.recipes)
        limits = [round(2**24 * part / sum(weights)) for part in accumulate(weights)]
        bits = bits24(draw.xp, draw.words(1)[0])
        return sum((draw.xp.cast(bits >= limit, "int32") for limit in limits[:-1]), draw.xp.full((draw.n,), 0, "int32"))

    def __repr__(self) -> str:
        if self.recipes[1:] == (identity(),) and self.weights and self.weights[1] == 1 - self.weights[0]:
            return f"sometimes({self.weights[0]!r}, {self.recipes[0]!r})"
        weights = "" if self.weights is None else f", weights={self.weights!r}"
        return f"one_of({', '.join(map(repr, self.recipes))}{weights})"


@dataclass(frozen=True)
class PerBatch(Recipe):
    """Draw once for all rows; `per_batch` makes it."""

    recipe: Recipe

    def __post_init__(self) -> None:
        check_recipe("per_batch", self.recipe)

    @property
    def parents(self) -> int:
        """k, the number of parents of the recipe."""
        return self.recipe.parents

    def region(self, draw: Draw) -> Drawn:
        """The recipe's region for row 0, in every row."""
        return self.recipe.region(draw.child(0).shared())

    def __repr__(self) -> str:
        return f"per_batch({self.recipe!r})"


def one_of(*recipes: Recipe, weights: Sequence[float] | None = None) -> Recipe:
    """Choose one of several recipes for each row, by weights or with equal chances.

        chance of recipes[i] = weights[i] / sum(weights)

    Args:
        recipes: one or more.
        weights: one number of 0 or more for each; None: equal.

    Raises:
        TypeError: what is no recipe. ValueError: weights that do not fit.

    Example:
        >>> import mixaug as ma
        >>> ma.one_of(ma.MixUp(alpha=0.2), ma.CutMix(), weights=(1, 3)).parents
        2

    `per_batch(one_of(...))` chooses once for the batch, as torchvision's RandomChoice and timm's switch_prob do.
    """
    return OneOf(recipes, None if weights is None else tuple(weights))


def sometimes(p: float, recipe: Recipe) -> Recipe:
    """Mix each row with chance p and leave it alone otherwise.

        sometimes(p, recipe) = one_of(recipe, identity(), weights=(p, 1 - p))

    Args:
        p: the chance, 0 to 1.
        recipe: what to do then.

    Raises:
        ValueError: a p that is no chance. TypeError: what is no recipe.

    Example:
        >>> import mixaug as ma
        >>> ma.sometimes(0.5, ma.CutMix())
        sometimes(0.5, CutMix(alpha=1.0))

    `per_batch(sometimes(0.5, CutMix()))` is the cutmix_prob of the CutMix paper's code.
    """
    p = check_number("sometimes p", p, 0, 1, open_low=False)
    return one_of(recipe, identity(), weights=(p, 1 - p))


def per_batch(recipe: Recipe) -> Recipe:
    """Draw once for all rows, as most papers do: one weight, one box; parents still differ from row to row.

    Args:
        recipe: what to draw once.

    Raises:
        TypeError: what is no recipe.

    Example:
        >>> import mixaug as ma
        >>> mix = ma.per_batch(ma.CutMix()).draw(6, size=(8, 8), key=(0, 0))
        >>> len(set(mix.share[1].tolist()))
        1
    """
    return PerBatch(recipe)


def identity() -> Recipe:
    """Mix nothing: every output is its own sample, in fresh memory, with a dense label.

    Example:
        >>> import mixaug as ma
        >>> ma.identity().draw(3, size=(8, 8), key=(0, 0)).share
        array([[1., 1., 1.]], dtype=float32)
    """
    return Identity()
