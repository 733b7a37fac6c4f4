"""Label rules: how the labels of an output follow from those of its sources.

A rule is a frozen value, `ma.Labels(rule=ma.label_rules.Heaviest())`; "area", "maximum", "visible" and "heaviest" are
the texts of those here. A new rule is one frozen dataclass that derives from `Rule`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, ClassVar, Protocol

from . import backends
from .backends import Array
from .core.hints import short


class Mixture(Protocol):
    """What a rule may look at: a `Mix`."""

    @property
    def lam(self) -> Array:
        """float32 (k, n)."""
        ...

    @property
    def visible(self) -> Callable[..., Any]:
        """`Mix.visible`."""
        ...


@dataclass(frozen=True)
class Rule:
    """How the labels of an output follow from those of its sources.

    output = sum_k weights[k] * label[k]
    output = max_k weights[k] * label[k]     (greatest)
    """

    sums_to_one: ClassVar[bool] = True  #: whether labels that sum to 1 stay so; else the loss is a binary one
    greatest: ClassVar[bool] = False  #: whether a class has the greatest of its weights instead of their sum

    @property
    def guide(self) -> str | None:
        """The name of the field that the weights depend on, beside lam; None: no other."""
        return None

    def settled(self, layout: str | None, spatial: str | None) -> Rule:  # noqa: ARG002 - of every rule
        """The rule for a guide of that layout, where it says none itself."""
        return self

    def weights(self, mix: Mixture, guide: Array | None, guide_source: Array | None) -> Array:  # noqa: ARG002 - of every rule
        """float32 (k, n): how much the label of each source counts."""
        return mix.lam


@dataclass(frozen=True)
class Area(Rule):
    """Each source counts as much as it is of the image: the default.

    weights = lam
    """


@dataclass(frozen=True)
class Maximum(Rule):
    """All classes of all sources in full, for samples that may have several classes at once.

    output = max_k (lam[k] > 0) * label[k]
    """

    sums_to_one: ClassVar[bool] = False
    greatest: ClassVar[bool] = True

    def weights(self, mix: Mixture, guide: Array | None, guide_source: Array | None) -> Array:  # noqa: ARG002 - of every rule
        """1 for each source that the output has something of."""
        return backends.of(mix.lam).cast(mix.lam > 0, "float32")


@dataclass(frozen=True)
class Visible(Rule):
    """Each source counts as much as its part of the visible foreground.

        weights = mix.visible(foreground).lam

    Args:
        foreground: the name of a bool field (n, *size): where in each image its object is.
        layout, spatial: those of the foreground, as for `ma.Masks`; by default as its field says.

    arXiv 2606.04820 (2026), "OA-CutMix".
    """

    foreground: str = "foreground"
    layout: str | None = None
    spatial: str | None = None

    @property
    def guide(self) -> str | None:
        """The foreground."""
        return self.foreground

    def settled(self, layout: str | None, spatial: str | None) -> Rule:
        """The rule for a foreground of that layout."""
        return self if self.layout else replace(self, layout=layout, spatial=spatial)

    def weights(self, mix: Mixture, guide: Array | None, guide_source: Array | None) -> Array:
        """The visible foreground of each source over that of all."""
        return mix.visible(guide, layout=self.layout, spatial=self.spatial, source=guide_source).lam


@dataclass(frozen=True)
class Heaviest(Rule):
    """The label of the source with the greatest lam alone; of several, that of the first.

    weights[k] = 1 if k == argmax lam else 0
    """

    def weights(self, mix: Mixture, guide: Array | None, guide_source: Array | None) -> Array:  # noqa: ARG002 - of every rule
        """1 for the heaviest source, 0 for the others."""
        xp, lam = backends.of(mix.lam), mix.lam
        parts = [lam[k] for k in range(lam.shape[0])]
        greatest, chosen = reduce(xp.maximum, parts), []
        left = greatest >= 0  # all True
        for part in parts:
            chosen.append(left & (part == greatest))
            left = left & (part != greatest)
        return xp.cast(xp.stack(chosen), "float32")


RULES: dict[str, type[Rule]] = {"area": Area, "maximum": Maximum, "visible": Visible, "heaviest": Heaviest}


def rule(what: Any) -> Rule:
    """A rule, or the rule of that text.

    Raises:
        TypeError, ValueError: if `what` is neither.

    Example:
        >>> import mixaug as ma
        >>> ma.label_rules.rule("visible")
        Visible(foreground='foreground', layout=None, spatial=None)
    """
    if isinstance(what, Rule):
        return what
    texts = ", ".join(map(repr, RULES))
    if not isinstance(what, str):
        raise TypeError(
            f"rule: expected one of {texts}, got {short(what)}; "
            "pass one of these, or a value such as ma.label_rules.Heaviest()"
        )
    if what not in RULES:
        raise ValueError(f"rule: expected one of {texts}, got {what!r}")
    return RULES[what]()
