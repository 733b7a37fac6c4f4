"""How lam, the weight of the base sample, is drawn: the options shared by recipes with two sources."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from .. import backends
from ..core.hints import short
from ..core.keys import ONE, beta_quantiles
from .recipe import Recipe, check_number, keep

#: Outside this range lam is 0 or 1, or 1/2 to three digits, and SciPy's Beta quantiles lose precision.
MIN_ALPHA, MAX_ALPHA = 1e-9, 1e6

Alpha: TypeAlias = float | tuple[float, ...]
Lam: TypeAlias = float | tuple[float, float]
#: (a, b) of a Beta distribution; a range for a uniform lam, or None; whether to take max(lam, 1 - lam)
Law: TypeAlias = tuple[tuple[float, float], tuple[float, float] | None, bool]
Table: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, repr=False)
class LamRecipe(Recipe):
    """A recipe that draws lam, the weight of the base sample, from Beta(alpha, alpha) or as given by `lam`."""

    alpha: Alpha | None = None
    lam: Lam | None = field(default=None, kw_only=True)
    dominant: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.lam is not None:
            if self.alpha is not None:
                raise ValueError(
                    f"{name}: expected alpha or lam, got alpha={self.alpha!r} and lam={self.lam!r}; leave one out"
                )
            keep(self, lam=_checked_lam(f"{name} lam", self.lam))
        else:
            keep(self, alpha=checked_alpha(f"{name} alpha", 1.0 if self.alpha is None else self.alpha, self.sources))
        if not isinstance(self.dominant, bool):
            raise ValueError(f"{name} dominant: expected True or False, got {self.dominant!r}")

    @property
    def law(self) -> Law:
        """The distribution of lam, which is the cache key of its tables."""
        lam = self.lam if isinstance(self.lam, tuple) or self.lam is None else (self.lam, self.lam)
        return pair(1.0 if self.alpha is None else self.alpha), lam, self.dominant

    def __repr__(self) -> str:
        return options_repr(self)


def options_repr(recipe: Any) -> str:
    """Return the repr without options that are None, and without keyword-only options at their default."""
    options = {option.name: getattr(recipe, option.name) for option in fields(recipe)}
    named = [option for option in fields(recipe) if option.kw_only and options[option.name] != option.default]
    shown = [*(option for option in fields(recipe) if not option.kw_only), *named]
    texts = [f"{option.name}={options[option.name]!r}" for option in shown if options[option.name] is not None]
    return f"{type(recipe).__name__}({', '.join(texts)})"


def pair(alpha: Alpha) -> tuple[float, float]:
    """Return the two parameters of a Beta distribution."""
    a, b = alpha if isinstance(alpha, tuple) else (alpha, alpha)
    return a, b


def checked_alpha(name: str, alpha: Any, sources: int) -> Alpha:
    """Return a concentration, or a tuple of one per source; raise a ValueError for anything else."""
    if not isinstance(alpha, (tuple, list)):
        return check_concentration(name, alpha)
    if len(alpha) != sources:
        raise ValueError(
            f"{name}: expected a number, or {sources} of them, one for each source, got "
            f"{short(tuple(alpha))}; give one number"
        )
    return tuple(check_number(name, one, MIN_ALPHA, MAX_ALPHA, open_low=False) for one in alpha)


def check_concentration(name: str, alpha: Any) -> float:
    """Return a concentration for which Beta quantiles can be computed; raise a ValueError for anything else."""
    if isinstance(alpha, (int, float)) and alpha == 0:
        raise ValueError(
            f"{name}: expected a finite number of {MIN_ALPHA:g} or more and at most {MAX_ALPHA:g}, got {alpha!r}; "
            "ma.identity() mixes nothing"
        )
    return check_number(name, alpha, MIN_ALPHA, MAX_ALPHA, open_low=False)


def _checked_lam(name: str, lam: Any) -> Lam:
    if not isinstance(lam, (tuple, list)):
        return check_number(name, lam, 0, 1, open_low=False)
    if len(lam) != 2:
        raise ValueError(f"{name}: expected a number or a range (low, high), got {short(tuple(lam))}; give one or two")
    low = check_number(name, lam[0], 0, 1, open_low=False)
    return low, check_number(name, lam[1], low, 1, open_low=False)


@backends.trace_constant
@lru_cache(maxsize=64)
def lam_quantiles(law: Law, source: int) -> Table:
    """Return the quantiles of lam[0], the weight of the base sample, or of lam[1] = 1 - lam[0]: float64 (ONE,)."""
    alpha, lam, dominant = law
    if lam is not None:
        low, high = lam if source == 0 else (1 - lam[1], 1 - lam[0])
        table: Table = low + (high - low) * (np.arange(ONE) + 0.5) / ONE
    else:
        table = beta_quantiles(*(alpha if source == 0 else alpha[::-1]))
    if dominant:
        table = (np.maximum, np.minimum)[source](table, 1 - table)
    table.flags.writeable = False
    return table


@backends.trace_constant
@lru_cache(maxsize=64)
def lam_table(law: Law, source: int, whole: str | None = None) -> np.ndarray[Any, Any]:
    """Return these quantiles for `look_up`: float32, or rounded to whole multiples of 1 / ONE of the given dtype."""
    quantiles = lam_quantiles(law, source)
    return quantiles.astype(np.float32) if whole is None else np.rint(ONE * quantiles).astype(whole)
