"""Recipes: distributions over mixes, one file a family.

A new recipe is a frozen dataclass in its family's file and a row in `RECIPES`; every invariant, library, adapter,
preview and report then covers it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .. import backends
from . import plugins as joined
from . import text
from .blend import MixUp
from .combine import identity, one_of, per_batch, ramp, schedule, sometimes
from .cut import BoxMix, CutMix, CutMixMinMax, HMix, NWayCutMix
from .erase import Cutout, RandomErasing
from .guided import AttentiveCutMix, ClassMix, CopyPaste, MergeMix, SaliencyMix
from .listing import Entry, Paper, entry
from .masks import GMix, GridMix, SmoothMix, TokenMix
from .noise import CowMix, FMix
from .recipe import Draw, Recipe, check_recipe, checked_init
from .tiles import RICAP, Mosaic, ResizeMix, SnapMix

RECIPES: tuple[type[Recipe], ...] = (
    MixUp, CutMix, CutMixMinMax, BoxMix, NWayCutMix, HMix, RICAP, Mosaic, ResizeMix, SnapMix,
    Cutout, RandomErasing,
    GridMix, TokenMix, FMix, CowMix, SmoothMix, GMix,
)  # fmt: skip

#: Recipes that need a guide.
GUIDED: tuple[type[Recipe], ...] = (SaliencyMix, AttentiveCutMix, MergeMix, ClassMix, CopyPaste)

for _kind in (*RECIPES, *GUIDED):
    setattr(_kind, "__init__", checked_init(_kind.__init__))  # noqa: B010 - it is made by `dataclass`

#: The constructor for each name in the text of a recipe.
KNOWN: dict[str, Callable[..., Recipe]] = {
    **{recipe.__name__.lower(): recipe for recipe in (*RECIPES, *GUIDED)},
    **{make.__name__: make for make in (one_of, sometimes, per_batch, schedule, identity)},
}

__all__ = [
    "GUIDED",
    "KNOWN",
    "RECIPES",
    "RICAP",
    "AttentiveCutMix",
    "BoxMix",
    "ClassMix",
    "CopyPaste",
    "CowMix",
    "CutMix",
    "CutMixMinMax",
    "Cutout",
    "Draw",
    "Entry",
    "FMix",
    "GMix",
    "GridMix",
    "HMix",
    "MergeMix",
    "MixUp",
    "Mosaic",
    "NWayCutMix",
    "Paper",
    "RandomErasing",
    "Recipe",
    "ResizeMix",
    "SaliencyMix",
    "SmoothMix",
    "SnapMix",
    "TokenMix",
    "check_recipe",
    "identity",
    "one_of",
    "per_batch",
    "ramp",
    "read",
    "recipe",
    "recipes",
    "schedule",
    "sometimes",
]


def recipes() -> tuple[Entry, ...]:
    """All recipes of the literature, and those of other distributions that are installed, which come last.

    A distribution joins by an entry point of the group "mixaug.recipes" that names a frozen dataclass. What is made of
    recipes (`one_of`, `sometimes`, `per_batch`, `schedule`, `identity`) is not in the list.

    Raises:
        ValueError: a recipe of another distribution that cannot be used.

    Example:
        >>> import mixaug as ma
        >>> ma.recipes()[0].defaults
        'MixUp(alpha=1.0, sources=2)'
        >>> str(ma.recipes()[0].paper)
        'Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization"'
    """
    others = joined.find(KNOWN).values()
    return (*map(entry, (*RECIPES, *GUIDED)), *(entry(other.load(), other.distribution) for other in others))


def recipe(text_form: str) -> Recipe:
    """Read a recipe from text, the form of its `repr` or shorter, in any case. Parsed, never evaluated.

    Args:
        text_form: such as "cutmix", "one_of(mixup(alpha=0.2), cutmix)" or "sometimes(0.5, GridMix(cells=8))".

    Raises:
        ValueError: an unknown name (the known ones and the nearest are listed), unknown options, another form; a recipe
            of another distribution that cannot be used.

    Example:
        >>> import mixaug as ma
        >>> ma.recipe("one_of(mixup(alpha=0.2), cutmix)")
        one_of(MixUp(alpha=0.2, sources=2), CutMix(alpha=1.0))
    """
    return read(text_form, KNOWN)


def read(text_form: str, known: Mapping[str, Callable[..., Recipe]]) -> Recipe:
    """Read a recipe from text by names that are known, or else by those of other distributions."""
    if backends.is_compiling():
        _check(text_form)
    return text.parse(text_form, known, joined.load, checks=not backends.is_compiling())


@backends.trace_constant
def _check(text_form: str) -> None:
    """Raise for a text that is no recipe: PyTorch's compiler cannot trace what makes the sentence."""
    text.parse(text_form, KNOWN, joined.load)
