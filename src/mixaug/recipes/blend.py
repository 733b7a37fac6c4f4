"""Blends of whole images: every pixel has the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..backends import Array, Dim, Library
from ..core.keys import ONE, beta_table, look_up
from ..core.regions import Paste, Region
from .lam import Alpha, LamRecipe, lam_table
from .recipe import Draw, Recipe, check_sources, keep


@dataclass(frozen=True, repr=False)
class MixUp(LamRecipe):
    """Blend each sample with others of its batch.

        output = sum_k lam[k] * x[index[k]],  lam ~ Dirichlet(alpha, ..., alpha)

    With two sources lam[0] ~ Beta(alpha, alpha). Weights are whole numbers of 1/65536.

    Args:
        alpha: concentration, 1e-9 to 1e6; by default 1. Small values leave most samples nearly unmixed; with 1 all
            blends are equally likely. A tuple has one number for each source, the base sample first: (a, b) means
            lam[0] ~ Beta(a, b).
        sources: how many samples an output is made of, 2 to 256.
        lam: the weight of the base sample in place of alpha: a number, or (low, high) to draw it uniformly. Only for
            two sources.
        dominant: whether to sort the weights in descending order, so that the base sample has the largest one; with
            two sources this is max(lam, 1 - lam).

    Raises:
        ValueError: if an option is out of its range, if both `alpha` and `lam` are given, or `lam` with more sources.

    Example:
        >>> import mixaug as ma
        >>> ma.MixUp(alpha=0.2, sources=3).draw(4, size=(8, 8), key=(0, 0)).lam.shape
        (3, 4)
        >>> ma.MixUp(lam=0.75).draw(2, size=(8, 8), key=(0, 0)).lam[0]
        array([0.75, 0.75], dtype=float32)

    Good for classification and regression of images, signals and other data that can be averaged, and for networks that
    are overconfident. Every source is visible everywhere, but none at full contrast.

    Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization". The paper draws one weight per batch; here each row
    has its own. Use `per_batch(MixUp(...))` for the paper's version.
    """

    sources: int = 2

    def __post_init__(self) -> None:
        keep(self, sources=check_sources("MixUp sources", self.sources))
        super().__post_init__()
        if self.lam is not None and self.sources > 2:
            raise ValueError(
                f"MixUp lam: expected two sources, got sources={self.sources}; "
                "give alpha=, a number or one for each source"
            )

    def region(self, draw: Draw) -> Region:
        """Draw one weight per source."""
        xp, bits = draw.xp, draw.random_bits(self.sources - 1)
        if self.sources == 2 or self.alpha is None:
            partner = xp.rint(look_up(xp, lam_table(self.law, 1), bits[0]) * float(ONE))
            weights = [float(ONE) - partner, partner]
        else:
            weights = sticks(xp, stick_betas(self.alpha, self.sources), bits, draw.n)
            weights = falling(xp, weights) if self.dominant else weights
        return Paste(xp.stack(weights) * (1 / ONE), (None,) * self.sources)


def sticks(xp: Library, betas: Sequence[tuple[float, float]], bits: Array, n: Dim) -> list[Array]:
    """Draw Dirichlet weights by stick breaking: whole numbers that sum to ONE.

    Each part except the first takes a Beta(a, b) fraction of the rest, from one random word; the first gets the rest.
    """
    rest = xp.full((n,), float(ONE), "float32")
    weights: list[Array] = []
    for part, (a, b) in enumerate(betas):
        weights.append(
            xp.rint(rest * look_up(xp, beta_table(a, b), bits[part]))
        )  # whole numbers, so that no library rounds the rest
        rest = rest - weights[-1]
    return [rest, *weights]


def stick_betas(alpha: Alpha, count: int) -> list[tuple[float, float]]:
    """Return (a, b) for each part of a Dirichlet except the first: its concentration and the sum of the later ones."""
    if not isinstance(alpha, tuple):
        return [(alpha, left * alpha) for left in range(count - 1, 0, -1)]
    return [(alpha[j], sum(alpha[j + 1 :]) + alpha[0]) for j in range(1, count)]


def falling(xp: Library, weights: Sequence[Array]) -> list[Array]:
    """Sort the weights of each row in descending order."""
    ordered = list(weights)
    for end in range(len(ordered) - 1, 0, -1):
        for j in range(end):
            one, other = ordered[j], ordered[j + 1]
            ordered[j], ordered[j + 1] = xp.maximum(one, other), xp.minimum(one, other)
    return ordered


@dataclass(frozen=True)
class Identity(Recipe):
    """Leave every sample unchanged; labels still become rows of weights."""

    sources: ClassVar[int] = 1

    def region(self, draw: Draw) -> Region:  # noqa: ARG002 - nothing to draw
        """Return the base sample everywhere."""
        return Paste(None, (None,))

    def __repr__(self) -> str:
        return "identity()"
