"""Fields that guide recipes."""

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
    """The guide of a guided recipe. The output has it mixed: saliency like images, class ids like masks.

    Args:
        need: the kind of guide: "saliency", numbers >= 0 (n, *size); "masks", class ids 0 to 255 (n, *size), for
            example predictions; "instances", one mask per object of each sample (n, m, *size).
        layout: as in `ma.Masks`, with or without a channel axis of length 1.
        spatial: as in `ma.Images`.

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
        """Return this field with its layout set, for a mix with the given number of spatial axes."""
        if self.need == "instances":
            return self
        axes = 2 if axes is None and not self.layout else axes or 0
        found = layout.of_masks(x, self.layout, self.spatial, axes, what=name, kind="Guide(", like=like)
        return replace(self, layout=found.axes)

    def mix(self, mix: Mix, x: Array, source: Array | None, beside: Mapping[str, Any]) -> Array:  # noqa: ARG002 - the signature of all fields
        """Return the guide of the mixed samples."""
        xp = backends.of(x, self.need)
        if self.need == "instances":
            is_int = "int" in xp.dtype(x)
            masks, of = x != 0 if is_int else x, source != 0 if is_int and source is not None else source
            return xp.cast(mix.instances(masks, min_visibility=0.0, source=of).masks, x.dtype)
        if self.need == "saliency" and xp.dtype(x) in DTYPES:
            return mix.images(x, self.layout, spatial=self.spatial, source=source)
        return mix.masks(x, layout=self.layout, spatial=self.spatial, source=source)
