"""What a field of a batch is: a small frozen value that knows how a mix acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from . import _xp
from ._xp import Array
from .apply import images
from .mix import Mix
from .regions import Size


@dataclass(frozen=True)
class Images:
    """Images, signals or volumes.

    Args:
        channels: where the channel axis is: "last", "first", or None where there is none. By default first in PyTorch,
            last elsewhere.
    """

    channels: str | None = images.DEFAULT

    def size(self, name: str, x: Array) -> Size:
        """The spatial size that a mix is drawn for."""
        return images.size(_xp.of(x, name), x, self.channels, name)

    def mix(self, mix: Mix, x: Array, source: Array | None) -> Array:
        """The mixed images."""
        return mix.images(x, self.channels, source=source)


@dataclass(frozen=True)
class Labels:
    """Class ids, or one column a class.

    Args:
        num_classes: needed for class ids.
    """

    num_classes: int | None = None

    def mix(self, mix: Mix, x: Array, source: Array | None) -> Array:
        """The mixed labels, a weight a class."""
        return mix.labels(x, self.num_classes, source=source)


@dataclass(frozen=True)
class Parts:
    """Labels that a loss wants apart: becomes (labels of each parent (k, n, ...), their shares (k, n))."""

    def mix(self, mix: Mix, x: Array, source: Array | None) -> tuple[Array, Array]:
        """The labels of each parent, and their shares."""
        return mix.parts(x, source=source)


@dataclass(frozen=True)
class Values:
    """Regression targets or sample weights: averaged by share."""

    def mix(self, mix: Mix, x: Array, source: Array | None) -> Array:
        """The averaged values."""
        return mix.values(x, source=source)


Field: TypeAlias = Images | Labels | Parts | Values

KINDS: dict[str, type[Field]] = {
    **dict.fromkeys(("image", "images", "pixel_values"), Images),
    **dict.fromkeys(("label", "labels"), Labels),
    **dict.fromkeys(("value", "values", "sample_weight", "sample_weights"), Values),
}  #: the names that need no saying


def resolve(
    names: tuple[str, ...], fields: Mapping[str, str | Field] | None, num_classes: int | None
) -> dict[str, Field]:
    """What each named field is: as `fields` says, or by its name; a field that is neither is refused."""
    said = dict(fields or {})
    for name in said.keys() - set(names):
        raise ValueError(f"fields: {name!r} is not in the batch, which has {', '.join(map(repr, names))}")
    return {name: _field(name, said.get(name, name), name in said, num_classes) for name in names}


def _field(name: str, what: str | Field, was_said: bool, num_classes: int | None) -> Field:
    if isinstance(what, (Images, Labels, Parts, Values)):
        return Labels(num_classes) if what == Labels() else what
    kind = KINDS.get(what) if isinstance(what, str) else None
    if kind is None:
        given = f"said to be {what!r}, which is none of {', '.join(KINDS)}" if was_said else "neither known nor named"
        raise ValueError(f"field {name!r} is {given}; pass fields={{{name!r}: 'images'}} (or 'labels', 'values')")
    return Labels(num_classes) if kind is Labels else kind()
