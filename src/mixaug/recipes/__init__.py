"""Recipes: distributions over mixes, one file a family.

A new one is a frozen dataclass in its family's file and a row in `RECIPES`: every law, library, adapter, preview and
report has it then.
"""

from __future__ import annotations

from collections.abc import Callable

from . import text
from .blend import MixUp
from .combine import identity, one_of, per_batch, ramp, schedule, sometimes
from .cut import BoxMix, CutMix, CutMixMinMax, EvenCutMix, HMix, InsideCutMix, NWayCutMix
from .erase import Cutout, RandomErasing
from .masks import GMix, GridMix, SmoothMix, TokenMix
from .noise import CowMix, FMix
from .recipe import Draw, Recipe, check_recipe
from .tiles import RICAP, Mosaic, ResizeMix

RECIPES: tuple[type[Recipe], ...] = (
    MixUp, CutMix, InsideCutMix, EvenCutMix, CutMixMinMax, BoxMix, NWayCutMix, HMix, RICAP, Mosaic, ResizeMix,
    Cutout, RandomErasing,
    GridMix, TokenMix, FMix, CowMix, SmoothMix, GMix,
)  # fmt: skip

_KNOWN: dict[str, Callable[..., Recipe]] = {
    **{recipe.__name__.lower(): recipe for recipe in RECIPES},
    **{make.__name__: make for make in (one_of, sometimes, per_batch, schedule, identity)},
}

__all__ = [
    "RECIPES",
    "RICAP",
    "BoxMix",
    "CowMix",
    "CutMix",
    "CutMixMinMax",
    "Cutout",
    "Draw",
    "EvenCutMix",
    "FMix",
    "GMix",
    "GridMix",
    "HMix",
    "InsideCutMix",
    "MixUp",
    "Mosaic",
    "NWayCutMix",
    "RandomErasing",
    "Recipe",
    "ResizeMix",
    "SmoothMix",
    "TokenMix",
    "check_recipe",
    "identity",
    "one_of",
    "per_batch",
    "ramp",
    "recipe",
    "schedule",
    "sometimes",
]


def recipe(text_form: str) -> Recipe:
    """Read a recipe from text, the form of its `repr` or shorter, in any case. Parsed, never evaluated.

    Args:
        text_form: such as "cutmix", "one_of(mixup(alpha=0.2), cutmix)" or "sometimes(0.5, GridMix(cells=8))".

    Raises:
        ValueError: an unknown name (the known ones and the nearest are listed), unknown options, another form.

    Example:
        >>> import mixaug as ma
        >>> ma.recipe("one_of(mixup(alpha=0.2), cutmix)")
        one_of(MixUp(alpha=0.2, parents=2), CutMix(alpha=1.0))
    """
    return text.parse(text_form, _KNOWN)
