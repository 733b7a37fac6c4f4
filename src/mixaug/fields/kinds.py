"""The kinds of fields, and how a mix is applied to each: images, labels, masks, values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from .. import backends, label_rules
from ..backends import Array
from ..core import layout
from ..core.hints import short
from ..core.regions import Size
from ..core.units import check_integers, plain
from ..label_rules import Rule
from ..mix import Mix
from ..ops import images, labels
from ..ops.masks import check_ids
from .readings import is_called, is_list, quoted, refuse

AllFields: TypeAlias = Mapping[str, tuple[Any, Any]]  #: each field's value and its source, by name
Mixer: TypeAlias = Callable[[Mix, Any, Any, AllFields], Any]  #: mixes a field, given its value and its source


@dataclass(frozen=True)
class Images:
    """Images, signals or volumes.

    Args:
        layout: a letter per axis, in any case: n (rows) first, then c (channels), h, w, d, t, such as "nchw", "nhw",
            "ntchw" for videos, or "nc" for rows of a table, which only blends can mix. By default "nhwc", or "nchw" in
            PyTorch; if the shape is ambiguous, the layout has to be given.
        spatial: the axes that a mix is drawn over, such as "thw"; by default those of d, h and w that exist, else t.
            All other axes, such as channels and frames, share the mix.
        dtype: the dtype of the output, such as "float32"; by default that of the input.
        scale, offset: a number, or a tuple or array of one per channel: output = scale * pixel + offset.
    """

    layout: str | None = None
    spatial: str | None = None
    dtype: Any = None
    scale: Any = None
    offset: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", plain(self.scale))
        object.__setattr__(self, "offset", plain(self.offset))

    def settled(self, name: str, x: Array, like: str = "") -> Images:
        """Return the field with its layout: the one given, or the default of the library or of `like`."""
        name, scaled = name or "images", self.scale is not None or self.offset is not None
        axes, _ = layout.of_images(x, self.layout, self.spatial, name, "Images(", like)
        say = f"fields={{{name!r}: ma.Images({{}})}}"
        check_integers(backends.of(x).dtype(x), self.dtype, scaled, name, say)
        return replace(self, layout=axes)

    def size(self, x: Array) -> Size:
        """Return the spatial size of images, for which a mix is drawn."""
        return layout.parse(self.layout or "", self.spatial).size(backends.of(x), x)

    def mixer(self, x: Array) -> Mixer:
        """Return the function that mixes images of this shape and dtype."""
        xp, axes = backends.of(x), layout.parse(self.layout or "", self.spatial)
        units = images.in_units(xp, x, axes, self.dtype, self.scale, self.offset)

        def mix(mix: Mix, x: Array, source: Array | None, beside: AllFields) -> Array:  # noqa: ARG001 - the signature of all fields
            return mix.mixed_images(xp, x, source, axes, units)

        return mix


@dataclass(frozen=True)
class Labels:
    """Class ids (n,) or (n, 1), or one column per class (n, classes).

    Args:
        num_classes: needed for class ids.
        rule: how labels are computed from those of the sources: "area", "maximum", "visible", "heaviest", or a value
            such as `ma.label_rules.Visible("foreground")`, which names the field that it depends on.
        binary: whether labels are 0 and 1, (n,) or (n, 1), and become (n, 1) for a sigmoid.

    Raises:
        TypeError, ValueError: if `rule` is not a label rule, or `num_classes` is above 2 with `binary`.
    """

    num_classes: int | None = None
    rule: str | Rule = "area"
    binary: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "rule", label_rules.rule(self.rule))
        if self.binary and self.num_classes not in (None, 1, 2):
            raise ValueError(
                f"Labels: expected no num_classes beside binary=True, got {short(self.num_classes)}; leave out one of "
                "them, and say num_classes in the field that it is for, as in ma.Labels(10)"
            )

    def check(self, name: str, x: Any) -> None:
        """Raise a ValueError for an array with more axes than labels have, such as masks."""
        if backends.find(x) is not None and len(x.shape) > 2:
            refuse(name, x, "class ids (n,) or (n, 1), or rows (n, classes)")

    def mixer(self, y: Array) -> Mixer:
        """Return the function that mixes labels of this shape and dtype."""
        xp, rule = backends.of(y, "labels"), label_rules.rule(self.rule)
        count = None if self.num_classes is None else labels.check_count(self.num_classes)

        def mix(mix: Mix, y: Array, source: Array | None, beside: AllFields) -> Array:
            guide = (None, None) if rule.guide is None else _guide(beside, rule)
            return labels.mix(xp, y, source, mix.index, rule.weights(mix, *guide), count, rule.greatest, self.binary)

        return mix


def _guide(beside: AllFields, rule: Rule) -> tuple[Any, Any]:
    """Return the field that a rule depends on, and its source."""
    return beside[find(beside, str(rule.guide), "rule")]


def guided(labels: Labels, fields: Mapping[str, Any]) -> Labels:
    """Return labels whose rule has the layout of the masks that it depends on."""
    rule = label_rules.rule(labels.rule)
    guide = None if rule.guide is None else fields[find(fields, rule.guide, "rule")]
    return replace(labels, rule=rule.settled(guide.layout, guide.spatial)) if isinstance(guide, Masks) else labels


def find(fields: Mapping[str, Any], name: str, what: str) -> str:
    """Return the path of the field with this name; raise a ValueError unless there is exactly one."""
    found = [path for path in fields if is_called(path, name)]
    if len(found) != 1:
        add = f", or add a field {name!r} to the batch" if what == "rule" and not found else ""
        raise ValueError(f"{what}: expected the name of one field, got {name!r}; name one of {quoted(fields)}{add}")
    return found[0]


@dataclass(frozen=True)
class Masks:
    """Class ids of pixels. Each output pixel has the id of the source with the largest weight, or class probabilities.

    Args:
        num_classes: the number of classes; needed for ids with `soft`.
        ignore_index: the id of pixels without a class.
        soft: whether to return float32 class probabilities (n, *size, num_classes), from ids, or from floats or bools
            with one channel per class. Floats without channels are the probability of one class.
        layout: as for `ma.Images`; by default that of the images, with or without channels. With `soft`, c is the axis
            of the classes, which the input may lack.
        spatial: as for `ma.Images`.
    """

    num_classes: int | None = None
    ignore_index: int | None = None
    soft: bool = False
    layout: str | None = None
    spatial: str | None = None

    def settled(self, name: str, x: Array, axes: int | None, like: str = "") -> Masks:
        """Return the field with its layout, for a mix with this many spatial axes; by default two."""
        name, xp = name or "masks", backends.of(x, name)
        axes = 2 if axes is None and not self.layout else axes or 0
        found = layout.of_masks(
            x,
            self.layout,
            self.spatial,
            axes,
            what=name,
            kind="Masks(soft=True, " if self.soft else "Masks(",
            like=like,
            classes=self.num_classes if self.soft else None,
        )
        if not self.soft:
            check_ids(xp.dtype(x), name, f"pass fields={{{name!r}: ma.Masks(soft=True, layout={found.axes!r})}}")
        if not self.soft:
            return replace(self, layout=found.axes)
        return replace(self, layout=layout.with_classes((self.layout or found.axes).lower(), like or xp.layout))

    def size(self, x: Array) -> Size:
        """Return the spatial size of masks."""
        found = layout.of_masks(x, self.layout, self.spatial, 0)
        return found.size(backends.of(x), x)

    def mix(self, mix: Mix, x: Array, source: Array | None, beside: AllFields) -> Array:  # noqa: ARG002 - the signature of all fields
        """Return the mixed masks."""
        return mix.masks(
            x,
            self.ignore_index,
            num_classes=self.num_classes,
            soft=self.soft,
            layout=self.layout,
            spatial=self.spatial,
            source=source,
        )


@dataclass(frozen=True)
class PerSource:
    """Labels or texts of each source, for losses that need them separately: (labels (k, n, ...), lam (k, n)).

    A list of n objects becomes k lists of n.
    """

    def mix(self, mix: Mix, x: Any, source: Any, beside: AllFields) -> tuple[Any, Array]:  # noqa: ARG002 - the signature of all fields
        """Return the labels of each source, and lam."""
        if not is_list(x):
            return mix.per_source(x, source=source)
        index = backends.of(mix.index).concrete(mix.index)
        if index is None:
            raise TypeError(
                "per_source: expected an array, or a mix on the host, got a list and a traced mix; mix it outside"
            )
        source = x if source is None else source
        return [list(x), *([source[row] for row in rows.tolist()] for rows in index[1:])], mix.lam


@dataclass(frozen=True)
class Values:
    """Regression targets or sample weights, averaged with weights lam."""

    def mix(self, mix: Mix, x: Array, source: Array | None, beside: AllFields) -> Array:  # noqa: ARG002 - the signature of all fields
        """Return the averaged values."""
        return mix.values(x, source=source)


@dataclass(frozen=True)
class Keep:
    """Texts, ids and other data that cannot be mixed: the base sample's values."""

    def mix(self, mix: Mix, x: Any, source: Any, beside: AllFields) -> Any:  # noqa: ARG002 - the signature of all fields
        """Return a copy."""
        return list(x) if isinstance(x, list) else backends.of(x, "keep").copy(x)
