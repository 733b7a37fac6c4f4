"""Label rules: how the label of an output is computed from those of its sources.

A rule is a frozen value, such as `ma.Labels(rule=ma.label_rules.Heaviest())`, or one of the names "area", "maximum",
"visible" and "heaviest". A new rule is a frozen dataclass derived from `Rule`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce
from math import inf
from typing import Any, ClassVar, Protocol

import numpy as np

from . import backends
from .backends import Array
from .core import maps
from .core.hints import short


class Mixture(Protocol):
    """The part of `Mix` that rules use."""

    @property
    def lam(self) -> Array:
        """float32 (k, n)."""
        ...

    @property
    def visible(self) -> Callable[..., Any]:
        """`Mix.visible`."""
        ...

    @property
    def mass(self) -> Callable[..., Any]:
        """`Mix.mass`."""
        ...

    @property
    def index(self) -> Array:
        """int32 (k, n)."""
        ...

    @property
    def pixel_weights(self) -> Callable[..., Any]:
        """`Mix.pixel_weights`."""
        ...


@dataclass(frozen=True)
class Rule:
    """How the label of an output is computed from those of its sources.

    output = sum_k weights[k] * label[k]
    output = max_k weights[k] * label[k]     (greatest)
    """

    sums_to_one: ClassVar[bool] = True  #: whether mixed labels still sum to 1; if not, they need a binary loss
    greatest: ClassVar[bool] = False  #: whether to take the maximum over the sources instead of the sum

    @property
    def guide(self) -> str | None:
        """The name of the field that the weights depend on besides lam; None for lam alone."""
        return None

    def settled(self, layout: str | None, spatial: str | None) -> Rule:  # noqa: ARG002 - rules with a guide use them
        """Return the rule with the layout of its guide, unless it has one already."""
        return self

    def weights(self, mix: Mixture, guide: Array | None, guide_source: Array | None) -> Array:  # noqa: ARG002 - as above
        """Return the weight of each source's label, float32 (k, n)."""
        return mix.lam


@dataclass(frozen=True)
class Area(Rule):
    """Weight each source by its share of the pixels: the default.

    weights = lam
    """


@dataclass(frozen=True)
class Maximum(Rule):
    """Assign all classes of all sources weight 1, for multi-label classification.

    output = max_k (lam[k] > 0) * label[k]
    """

    sums_to_one: ClassVar[bool] = False
    greatest: ClassVar[bool] = True

    def weights(self, mix: Mixture, guide: Array | None, guide_source: Array | None) -> Array:  # noqa: ARG002 - no guide
        """Return 1 for each source with lam > 0."""
        return backends.of(mix.lam).cast(mix.lam > 0, "float32")


@dataclass(frozen=True)
class Visible(Rule):
    """Weight each source by its share of the visible foreground.

        weights = mix.visible(foreground).lam, or .relative

    Args:
        foreground: the name of a bool field (n, *size), the pixels of the object in each image.
        layout, spatial: the layout of the foreground, as for `ma.Masks`; by default that of its field.
        relative: whether to divide each source's visible foreground by all of its foreground, so that a small object
            counts as much as a large one.

    arXiv 2606.04820 (2026), "OA-CutMix".
    """

    foreground: str = "foreground"
    layout: str | None = None
    spatial: str | None = None
    relative: bool = field(default=False, kw_only=True)

    @property
    def guide(self) -> str | None:
        """The name of the foreground field."""
        return self.foreground

    def settled(self, layout: str | None, spatial: str | None) -> Rule:
        """Return the rule with the layout of the foreground, unless it has one already."""
        return self if self.layout else replace(self, layout=layout, spatial=spatial)

    def weights(self, mix: Mixture, guide: Array | None, guide_source: Array | None) -> Array:
        """Return the share of each source in the visible foreground."""
        visible = mix.visible(guide, layout=self.layout, spatial=self.spatial, source=guide_source)
        return visible.relative if self.relative else visible.lam


@dataclass(frozen=True)
class Heaviest(Rule):
    """Use only the label of the source with the greatest lam, the first of equals.

    weights[k] = 1 if k == argmax lam else 0
    """

    def weights(self, mix: Mixture, guide: Array | None, guide_source: Array | None) -> Array:  # noqa: ARG002 - no guide
        """Return 1 for the heaviest source, 0 for the others."""
        xp, lam = backends.of(mix.lam), mix.lam
        sources = [lam[k] for k in range(lam.shape[0])]
        greatest, weights = reduce(xp.maximum, sources), []
        undecided = greatest >= 0  # all True
        for source in sources:
            weights.append(undecided & (source == greatest))
            undecided = undecided & (source != greatest)
        return xp.cast(xp.stack(weights), "float32")


@dataclass(frozen=True)
class Mass(Rule):
    """Each source counts as much as the mass of its saliency map that is to be seen: the rule of SnapMix.

        weights = mix.mass(saliency)

    They need not sum to 1: a box of background over background leaves little of either. A cross-entropy takes them as
    they are, `-sum_c label[c] * log p[c]`.

    Args:
        saliency: the name of the field of maps, `ma.Guide()`, such as class activation maps of the labels.

    Huang et al. 2021, "SnapMix: Semantically Proportional Mixing for Augmenting Fine-grained Data".
    """

    sums_to_one: ClassVar[bool] = False
    saliency: str = "saliency"

    @property
    def guide(self) -> str | None:
        """The maps."""
        return self.saliency

    def weights(self, mix: Mixture, guide: Array | None, guide_source: Array | None) -> Array:
        """The mass of each source that is to be seen."""
        weights: Array = mix.mass(guide, source=guide_source)
        return weights


@dataclass(frozen=True)
class Remix(Rule):
    """A source of a much rarer class counts alone: the rule of Remix, for imbalanced data.

        a, b = counts of the classes of the base sample and its partner
        weights[0] = 0 if a / b >= kappa and lam[0] < tau
                     1 if b / a >= kappa and lam[1] < tau
                     lam[0] otherwise;                       weights[1] = 1 - weights[0]

    Args:
        counts: how many training samples each class has, 1 or more.
        kappa: how many times as common a class has to be, 1 or more.
        tau: how small its lam has to be, 0 to 1.
        labels: the name of the field of class ids.

    Raises:
        ValueError: if an option is out of its range; when mixed, a recipe of other than two sources.

    Chou et al. 2020, "Remix: Rebalanced Mixup".
    """

    counts: tuple[float, ...] = ()
    kappa: float = 3.0
    tau: float = 0.5
    labels: str = "labels"

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", tuple(float(count) for count in self.counts))
        if not self.counts or not all(1 <= count < inf for count in self.counts):
            raise ValueError(
                f"Remix counts: expected how many samples each class has, 1 or more each, got {short(self.counts)}; "
                "pass such as counts=(5000, 50)"
            )
        if not (1 <= self.kappa < inf and 0 <= self.tau <= 1):
            raise ValueError(
                f"Remix: expected kappa of 1 or more and tau of 0 to 1, got {short(self.kappa)} and {short(self.tau)}"
            )

    @property
    def guide(self) -> str | None:
        """The class ids."""
        return self.labels

    def weights(self, mix: Mixture, guide: Array | None, guide_source: Array | None) -> Array:
        """lam, or 0 and 1 where one of the classes is much rarer."""
        if mix.lam.shape[0] != 2:
            raise ValueError(
                f"Remix: expected a recipe of two sources, got {mix.lam.shape[0]}; take ma.MixUp(), or another rule"
            )
        ids: Array = guide
        xp, shape = backends.of(ids, self.labels), tuple(ids.shape)
        if shape[1:] not in ((), (1,)) or "int" not in xp.dtype(ids):
            raise ValueError(
                f"Remix: expected class ids (n,) in {self.labels!r}, integers, got {xp.dtype(ids)} of shape {shape}; "
                "pass labels= the field that has them"
            )
        index, lam, counts = backends.to_each(xp, [mix.index, mix.lam, np.asarray(self.counts, np.float32)])
        source = ids if guide_source is None else guide_source
        base, other = (xp.take(counts, xp.cast(xp.reshape(x, (-1,)), "int64")) for x in (ids, source))
        partner, zero = xp.take(other, index[1]), lam[0] * 0.0
        first = xp.where((base >= self.kappa * partner) & (lam[0] < self.tau), zero, lam[0])
        first = xp.where((partner >= self.kappa * base) & (lam[1] < self.tau), zero + 1.0, first)
        return xp.stack([first, 1.0 - first])


@dataclass(frozen=True)
class Attended(Rule):
    """Each source counts as much as what a network attends to in the mixed image: the rule of TransMix.

        weights[k] = (1 - part) * lam[k] + part * sum over the pixels of pixel_weights()[k] * A / sum A

    A is the attention of the mixed image, so the rule is applied after the forward pass: mix with `return_mix=True`,
    then `mix.labels(y, num_classes, rule=ma.label_rules.Attended(), guide=ma.guides.attention(weights))`.

    Args:
        part: how much the attention counts, 0 to 1.

    Raises:
        ValueError: if `part` is out of its range.

    Chen et al. 2022, "TransMix: Attend to Mix for Vision Transformers".
    """

    part: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.part <= 1:
            raise ValueError(f"Attended part: expected a number of 0 to 1, got {short(self.part)}")

    @property
    def guide(self) -> str | None:
        """The attention of the mixed images."""
        return "attention"

    def weights(self, mix: Mixture, guide: Array | None, guide_source: Array | None) -> Array:  # noqa: ARG002 - of every rule
        """The mean of lam and of the attention to each source."""
        xp = backends.of(guide, "attention")
        weights, lam = backends.to_each(xp, [mix.pixel_weights(), mix.lam])
        size = xp.shape(weights)[2:]
        maps.check(xp, "saliency", guide, len(size), xp.stack([xp.arange(xp.shape(lam)[1])]))
        level = xp.cast(maps.at_pixels(xp, maps.saliency(xp, guide, xp.arange(xp.shape(lam)[1])), size), "float32")
        axes = tuple(range(1, 1 + len(size)))
        total = xp.total(level, axes)
        seen = [xp.ratio(xp.total(xp.cast(weights[k], "float32") * level, axes), total) for k in range(lam.shape[0])]
        return lam * (1 - self.part) + xp.stack(seen) * self.part


RULES: dict[str, type[Rule]] = {
    "area": Area,
    "maximum": Maximum,
    "visible": Visible,
    "heaviest": Heaviest,
    "mass": Mass,
}  #: those that a text names
VALUES: tuple[type[Rule], ...] = (*RULES.values(), Remix, Attended)


def rule(what: Any) -> Rule:
    """Return a rule, given itself or its name.

    Raises:
        TypeError, ValueError: if `what` is neither a rule nor the name of one.

    Example:
        >>> import mixaug as ma
        >>> ma.label_rules.rule("visible")
        Visible(foreground='foreground', layout=None, spatial=None, relative=False)
    """
    if isinstance(what, Rule):
        return what
    names = ", ".join(map(repr, RULES))
    if not isinstance(what, str):
        raise TypeError(
            f"rule: expected one of {names}, got {short(what)}; "
            "pass one of these, or a value such as ma.label_rules.Heaviest()"
        )
    if what not in RULES:
        raise ValueError(f"rule: expected one of {names}, got {what!r}")
    return RULES[what]()
