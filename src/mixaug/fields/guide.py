"""A field that recipes look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .. import backends
from ..backends import Array
from ..core import layout
from ..core.hints import short
from ..core.maps import NEEDS
from ..core.units import DTYPES
from ..mix import Mix


@dataclass(frozen=True)
class Guide:
    """What a guided recipe looks at. It comes out mixed: saliency as images are, class ids as masks are.

    Args:
        need: what it is: "saliency", numbers >= 0 (n, *size); "masks", class ids 0 to 255 (n, *size), such as predicted
            ones; "instances", the masks of each sample's objects (n, m, *size).
        layout: as for `ma.Masks`: with a channel axis of length 1, or without.
        spatial: as for `ma.Images`.

    Raises:
        ValueError: if `need` is unknown.
    """

    need: str = "saliency"
    layout: str | None = None
    spatial: str | None = None

    def __post_init__(self) -> None:
        if self.need not in NEEDS:
            names = ", ".join(map(repr, NEEDS))
            raise ValueError(f"Guide need: expected one of {names}, got {short(self.need)}")

    def settled(self, name: str, x: Array, axes: int | None, like: str = "") -> Guide:
        """The same with a layout, for a mix of so many spatial axes."""
        if self.need == "instances":
            return self
        axes = 2 if axes is None and not self.layout else axes or 0
        found = layout.of_masks(x, self.layout, self.spatial, axes, what=name, kind="Guide(", like=like)
        return replace(self, layout=found.axes)

    def mix(self, mix: Mix, x: Array, source: Array | None, beside: Mapping[str, Any]) -> Array:  # noqa: ARG002 - of every field
        """The guide of the mixed samples."""
        xp = backends.of(x, self.need)
        if self.need == "instances":
            is_int = "int" in xp.dtype(x)
            masks, of = x != 0 if is_int else x, source != 0 if is_int and source is not None else source
            return xp.cast(mix.instances(masks, min_visibility=0.0, source=of).masks, x.dtype)
        if self.need == "saliency" and xp.dtype(x) in DTYPES:
            return mix.images(x, self.layout, spatial=self.spatial, source=source)
        return mix.masks(x, layout=self.layout, spatial=self.spatial, source=source)
