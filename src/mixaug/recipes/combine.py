"""Recipes made of recipes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

import numpy as np

from .. import backends
from ..backends import Array
from ..core.choice import Chosen, Drawn
from ..core.hints import known_options, short
from ..core.keys import bits24
from .blend import Identity
from .recipe import Draw, Recipe, check_number, check_recipe, check_whole, keep

MAX_WEIGHT = 1e290  #: of `one_of`: sums of these, times 2^24, are finite
MAX_DEPTH = 32  #: of nested recipes
MAX_NODES = 10_000  #: recipes in a nested recipe, including itself


def check_nested(where: str, recipe: Recipe, inner: Sequence[Recipe]) -> None:
    """Store depth, number of recipes and guides of a nested recipe; raise a ValueError if it is too large."""
    depth = 1 + max(getattr(one, "_depth", 1) for one in inner)
    nodes = 1 + sum(getattr(one, "_nodes", 1) for one in inner)
    if depth > MAX_DEPTH:
        raise ValueError(f"{where}: expected recipes at most {MAX_DEPTH} deep, got {depth}; nest fewer in each other")
    if nodes > MAX_NODES:
        raise ValueError(f"{where}: expected at most {MAX_NODES} recipes in all, got {nodes}; take fewer")
    needs = {need for one in inner for need in one.needs}
    keep(recipe, _depth=depth, _nodes=nodes, _needs=tuple(sorted(needs)))


def check_item_recipe(where: str, recipe: Recipe, way_out: str) -> Recipe:
    """Return a recipe for a dataset of single samples; raise a ValueError if it draws once per batch."""
    if (shared := _nested(recipe, PerBatch)) is not None:
        raise ValueError(
            f"{where}: expected a recipe that draws for each sample, got {shared!r}, which draws once for a batch; "
            f"leave per_batch out, or {way_out}"
        )
    return recipe


def check_no_schedule(where: str, recipe: Recipe, way_out: str) -> Recipe:
    """Return a recipe for a transform that does not know the epoch; raise a ValueError if it has a schedule."""
    if _nested(recipe, Schedule) is not None:
        raise ValueError(f"{where}: expected a recipe without schedule, got {recipe!r}; {way_out}")
    return recipe


def _nested(value: object, kind: type[Recipe]) -> Recipe | None:
    """Return the first recipe of a class inside a nested recipe, which may be itself; None if there is none."""
    if isinstance(value, kind):
        return value
    parts = vars(value).values() if isinstance(value, Recipe) else value if isinstance(value, (tuple, list)) else ()
    return next((found for part in parts if (found := _nested(part, kind)) is not None), None)


class Nested(Recipe):
    """A recipe made of other recipes. It needs the guides of all of them."""

    _needs: ClassVar[tuple[str, ...]] = ()

    @property
    def needs(self) -> tuple[str, ...]:
        """The guides that its recipes need."""
        return self._needs


@dataclass(frozen=True)
class OneOf(Nested):
    """Choose one of several recipes for each row; made by `one_of`."""

    recipes: tuple[Recipe, ...]
    weights: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not self.recipes:
            raise ValueError("one_of: expected one recipe or more, got none; use identity() to mix nothing")
        if self.weights is not None:
            weights = (check_number("one_of weights", weight, 0, MAX_WEIGHT, open_low=False) for weight in self.weights)
            keep(self, weights=tuple(weights))
            self._check_weights(self.weights)

        check_nested("one_of", self, self.recipes)

    def _check_weights(self, weights: tuple[float, ...]) -> None:
        if len(weights) != len(self.recipes):
            raise ValueError(
                f"one_of: expected {len(self.recipes)} weights, one a recipe, got {len(weights)}; give each recipe one"
            )
        if not sum(weights) > 0:
            raise ValueError("one_of: expected weights with a sum above 0, got only zeros; give one of them 1")

    @property
    def sources(self) -> int:
        """k, the largest number of sources among the recipes."""
        return max(recipe.sources for recipe in self.recipes)

    def region(self, draw: Draw) -> Drawn:
        """Return for each row the region of the recipe chosen for it."""
        drawn = (draw.child(place).region_of(recipe) for place, recipe in enumerate(self.recipes))
        return Chosen(self._choice(draw), tuple(drawn))

    def _choice(self, draw: Draw) -> Array:
        """Return int32 (n,): the position of the recipe chosen for each row."""
        weights = self.weights or (1.0,) * len(self.recipes)
        limits = [round(2**24 * part / sum(weights)) for part in accumulate(weights)]
        bits = bits24(draw.xp, draw.random_bits(1)[0])
        return sum((draw.xp.cast(bits >= limit, "int32") for limit in limits[:-1]), draw.rows_of(0))

    def __repr__(self) -> str:
        if self.recipes[1:] == (identity(),) and self.weights and self.weights[1] == 1 - self.weights[0]:
            return f"sometimes({self.weights[0]!r}, {self.recipes[0]!r})"
        weights = "" if self.weights is None else f", weights={self.weights!r}"
        return f"one_of({', '.join(map(repr, self.recipes))}{weights})"


@dataclass(frozen=True)
class PerBatch(Nested):
    """Draw once for all rows; made by `per_batch`."""

    recipe: Recipe

    def __post_init__(self) -> None:
        check_nested("per_batch", self, (self.recipe,))

    @property
    def sources(self) -> int:
        """k, the number of sources of the recipe."""
        return self.recipe.sources

    def region(self, draw: Draw) -> Drawn:
        """Return the region of row 0 for every row."""
        return draw.child(0).shared().region_of(self.recipe)

    def __repr__(self) -> str:
        return f"per_batch({self.recipe!r})"


@dataclass(frozen=True)
class Schedule(Nested):
    """Change the recipe at given epochs; made by `schedule`."""

    phases: tuple[tuple[int, Recipe], ...]

    def __post_init__(self) -> None:
        phases = {check_whole("schedule epoch", start, 0): recipe for start, recipe in self.phases}
        if 0 not in phases:
            raise ValueError(
                f"schedule: expected a recipe from epoch 0 on, got {sorted(phases)}; "
                "add one, 0: ma.identity() mixes nothing"
            )
        keep(self, phases=tuple((start, phases[start]) for start in sorted(phases)))
        check_nested("schedule", self, tuple(phases.values()))

    @property
    def sources(self) -> int:
        """k, the largest number of sources among the recipes."""
        return max(recipe.sources for _, recipe in self.phases)

    def region(self, draw: Draw) -> Drawn:
        """Return the region of the current recipe; if the epoch is traced, draw all of them and select one."""
        epoch = draw.key.epoch
        if epoch is None:
            raise ValueError(
                "schedule: expected an epoch in the key, got none; "
                "pass key=(seed, epoch, step), or epoch= in an adapter"
            )
        xp = backends.find(epoch)
        held = xp.concrete(epoch) if xp else epoch
        if held is not None:
            start, recipe = max(phase for phase in self.phases if phase[0] <= max(int(held), 0))
            return Chosen(draw.rows_of(0), (draw.child(start).region_of(recipe),), self.sources)
        begun = [draw.xp.cast(draw.xp.constant(epoch) >= start, "int32") for start, _ in self.phases[1:]]
        choice = sum(begun, draw.rows_of(0))
        return Chosen(choice, tuple(draw.child(start).region_of(recipe) for start, recipe in self.phases))

    def __repr__(self) -> str:
        return f"schedule({{{', '.join(f'{start}: {recipe!r}' for start, recipe in self.phases)}}})"


@known_options()
def schedule(phases: Mapping[int, Recipe | str]) -> Recipe:
    """Change the recipe at given epochs.

        recipe of epoch e = phases[largest start <= e]

    Args:
        phases: each recipe by its first epoch, counted from 0; one has to begin at 0.

    Raises:
        TypeError: if `phases` is not a dict of recipes.
        ValueError: if no recipe begins at epoch 0, or an epoch is not a whole number >= 0; when drawn, if the key has
            no epoch.

    Example:
        >>> import mixaug as ma
        >>> late = ma.schedule({0: ma.CutMix(), 180: ma.identity()})  # the last 20 of 200 epochs without mixing
        >>> late.draw(2, size=(8, 8), key=(0, 180, 5)).lam
        array([[1., 1.],
               [0., 0.]], dtype=float32)

    The epoch is read from the key, (seed, epoch, step); every adapter that knows the epoch puts it there. What a recipe
    draws does not depend on the other recipes of the schedule. If the epoch is traced (in `tf.data`, or as an argument
    of a jitted step), all recipes are drawn and one is selected, so use few of them there.
    """
    if not isinstance(phases, Mapping):
        raise TypeError(
            f"schedule: expected a dict of epochs, got {short(phases)}; "
            f"write such as {{0: ma.CutMix(), 180: ma.identity()}}"
        )
    return Schedule(tuple((start, check_recipe("schedule", recipe)) for start, recipe in phases.items()))


def ramp(make: Callable[[float], Recipe], points: Mapping[int, float], every: int = 1) -> dict[int, Recipe]:
    """Return the phases of a schedule in which a number is interpolated linearly between epochs.

        phases[e] = make(value at e on the line between the points around it)
        e = first point, first point + every, ..., last point

    Args:
        make: makes a recipe from the number: `ma.MixUp` for its alpha, `lambda p: ma.sometimes(p, recipe)` for a
            probability.
        points: the number at two or more epochs.
        every: how many epochs a phase lasts.

    Returns:
        Phases, which can be merged with others: `ma.schedule({0: recipe, **ma.ramp(...)})`.

    Raises:
        ValueError: if there are fewer than two points, an epoch is not a whole number >= 0, or `every` is not one >= 1.

    Example:
        Mixup Without Hesitation (Yu et al. 2021): mix for the first 60 % of training, then in every other epoch until
        90 %, then with a probability that falls to 0.

        >>> import mixaug as ma
        >>> mix = ma.MixUp(alpha=0.5)
        >>> half = {epoch: mix if epoch % 2 else ma.identity() for epoch in range(60, 90)}
        >>> falling = ma.ramp(lambda p: ma.sometimes(p, mix), {90: 1.0, 100: 0.0})
        >>> recipe = ma.schedule({0: mix, **half, **falling})
        >>> recipe.phases[-6]
        (95, sometimes(0.5, MixUp(alpha=0.5, sources=2)))
    """
    check_whole("ramp every", every, 1)
    if len(points) < 2:
        raise ValueError(
            f"ramp: expected the number at two epochs or more, got {short(dict(points))}; "
            f"write such as {{0: 1.0, 10: 0.0}}"
        )
    at = sorted(check_whole("ramp epoch", epoch, 0) for epoch in points)
    epochs = [*range(at[0], at[-1], every), at[-1]]
    return {epoch: make(float(np.interp(epoch, at, [points[e] for e in at]))) for epoch in epochs}


@known_options()
def one_of(*recipes: Recipe | str, weights: Sequence[float] | None = None) -> Recipe:
    """Choose one of several recipes for each row, by weights or with equal probability.

        probability of recipes[i] = weights[i] / sum(weights)

    Args:
        recipes: one or more.
        weights: one number >= 0 per recipe; None for equal weights.

    Raises:
        TypeError: if an argument is not a recipe. ValueError: if the weights do not fit.

    Example:
        >>> import mixaug as ma
        >>> ma.one_of(ma.MixUp(alpha=0.2), ma.CutMix(), weights=(1, 3)).sources
        2

    `per_batch(one_of(...))` chooses once per batch, like torchvision's RandomChoice and timm's switch_prob.
    """
    if len(recipes) == 1 and isinstance(recipes[0], (list, tuple)):
        raise TypeError("one_of: expected recipes one by one, got a list of them; write one_of(mixup, cutmix)")
    some = tuple(check_recipe("one_of", recipe) for recipe in recipes)
    return OneOf(some, None if weights is None else tuple(weights))


@known_options()
def sometimes(p: float, recipe: Recipe | str) -> Recipe:
    """Mix each row with probability p, and leave it unchanged otherwise.

        sometimes(p, recipe) = one_of(recipe, identity(), weights=(p, 1 - p))

    Args:
        p: the probability, 0 to 1.
        recipe: the recipe to mix with.

    Raises:
        ValueError: if `p` is not in 0..1. TypeError: if `recipe` is not a recipe.

    Example:
        >>> import mixaug as ma
        >>> ma.sometimes(0.5, ma.CutMix())
        sometimes(0.5, CutMix(alpha=1.0))

    `per_batch(sometimes(0.5, CutMix()))` is `cutmix_prob` in the code of the CutMix paper.
    """
    p = check_number("sometimes p", p, 0, 1, open_low=False)
    return one_of(recipe, identity(), weights=(p, 1 - p))


@known_options()
def per_batch(recipe: Recipe | str) -> Recipe:
    """Draw once for all rows, as most papers do: one weight, one box; sources still differ from row to row.

    A recipe that needs guides still uses the guide of each row: the boxes of SaliencyMix have one size, but each lies
    where its partner is salient.

    Datasets of single samples (`ma.torch.MixedDataset`, `ma.grain.mixed`, `ma.tf.mixed_zip`) have no batch and
    raise an error.

    Args:
        recipe: the recipe to draw from.

    Raises:
        TypeError: if `recipe` is not a recipe.

    Example:
        >>> import mixaug as ma
        >>> mix = ma.per_batch(ma.CutMix()).draw(6, size=(8, 8), key=(0, 0))
        >>> len(set(mix.lam[1].tolist()))
        1
    """
    return PerBatch(check_recipe("per_batch", recipe))


def identity() -> Recipe:
    """Mix nothing: every output is a copy of its base sample, and labels become rows of weights.

    Example:
        >>> import mixaug as ma
        >>> ma.identity().draw(3, size=(8, 8), key=(0, 0)).lam
        array([[1., 1., 1.]], dtype=float32)
    """
    return Identity()
