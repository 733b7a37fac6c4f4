"""Blends of whole images: every pixel has the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .._xp import Array, Dim, Library
from ..keys import ONE, beta_table, look_up
from ..regions import Paste, Region
from .recipe import Draw, Recipe, check_number, check_whole, keep


@dataclass(frozen=True)
class MixUp(Recipe):
    """Blend each sample with others of its batch.

        output = sum_k lam[k] * x[index[k]],  lam ~ Dirichlet(alpha, ..., alpha)

    With two sources that is lam[0] ~ Beta(alpha, alpha). Shares are whole numbers of 1/65536.

    Args:
        alpha: concentration, above 0: small ones leave most samples nearly alone, 1 makes all blends equally likely.
        sources: how many samples an output is made of, 2 or more.

    Raises:
        ValueError: an alpha or a number of sources that is none.

    Example:
        >>> import mixaug as ma
        >>> ma.MixUp(alpha=0.2, sources=3).draw(4, size=(8, 8), key=(0, 0)).lam.shape
        (3, 4)

    Good for classification and regression of anything that can be averaged, signals too, and for networks that are too
    sure of themselves. A blend shows every source everywhere, but none as it is.

    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization". The paper draws one weight for a batch; this draws
    one for each row: `per_batch(MixUp(...))` is the paper's.
    """

    alpha: float = 1.0
    sources: int = 2

    def __post_init__(self) -> None:
        keep(
            self,
            alpha=check_number("MixUp alpha", self.alpha, 0),
            sources=check_whole("MixUp sources", self.sources, 2),
        )

    def region(self, draw: Draw) -> Region:
        """Weights by stick-breaking: each other source takes a Beta part of what is left, the base sample the rest."""
        weights = sticks(draw.xp, self.alpha, self.sources, draw.random_bits(self.sources - 1), draw.n)
        return Paste(draw.xp.stack(weights) * (1 / ONE), (None,) * self.sources)


def sticks(xp: Library, alpha: float, count: int, bits: Array, n: Dim) -> list[Array]:
    """Dirichlet(alpha, ..., alpha) weights of `count` parts by breaking a stick: whole numbers that sum to ONE.

    The first part is what the others leave; there is a word for each of those.
    """
    rest = xp.full((n,), float(ONE), "float32")
    weights: list[Array] = []
    for left in range(count - 1, 0, -1):
        table = beta_table(alpha, left * alpha)
        weights.append(xp.rint(rest * look_up(xp, table, bits[len(weights)])))  # whole: no library rounds rest anew
        rest = rest - weights[-1]
    return [rest, *weights]


@dataclass(frozen=True)
class Identity(Recipe):
    """Leave every sample as it is; labels still become one row of weights a sample."""

    sources: ClassVar[int] = 1

    def region(self, draw: Draw) -> Region:  # noqa: ARG002 - nothing to draw
        """The base sample everywhere."""
        return Paste(None, (None,))

    def __repr__(self) -> str:
        return "identity()"
