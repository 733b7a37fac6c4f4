"""Find the fields of a batch that guide a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import backends
from ..backends import Array
from ..core.layout import parse
from ..recipes import Recipe
from . import Boxes, Field, Guide, Masks, quoted

_WAYS = {
    "saliency": "'saliency': ma.guides.spectral_residual(images)",
    "masks": "'masks': class ids (n, *size)",
    "instances": "'instances': the mask of each object (n, m, *size)",
}


def guides_of(
    recipe: Recipe, kinds: Mapping[str, Field], columns: Mapping[str, Any], on_host: bool
) -> dict[str, Array]:
    """Return the guides that a recipe needs, (rows, *size) each, for `recipe.draw(guide=)`.

    Args:
        recipe: the recipe.
        kinds: the fields of the batch, with their layouts set.
        columns: their values, with one row per source.
        on_host: whether to return NumPy arrays.

    Raises:
        ValueError: if no field fits, or several do.
    """
    guides = {}
    for need in recipe.needs:
        name = _provider(recipe, need, kinds, columns)
        x = map_of(name, need, kinds[name], columns[name])
        xp = backends.of(x, name)
        values = xp.concrete(x) if on_host else None
        guides[need] = x if values is None else values
    return guides


def _provider(recipe: Recipe, need: str, kinds: Mapping[str, Field], columns: Mapping[str, Any]) -> str:
    declared = [name for name, kind in kinds.items() if isinstance(kind, Guide) and kind.need == need]
    named = declared or [name for name, kind in kinds.items() if _has(need, kind, columns[name])]
    if not named:
        raise ValueError(
            f"{type(recipe).__name__}: expected a field of {need} to look at, got {quoted(kinds)}; pass a dict of "
            f"fields with such as {_WAYS[need]}, or say which field it is, as in fields={{'mine': ma.Guide({need!r})}}"
        )
    if len(named) > 1:
        raise ValueError(
            f"{type(recipe).__name__}: expected one field of {need} to look at, got {quoted(named)}; leave out all but "
            f"one, or say which is meant: fields={{{named[0]!r}: ma.Guide({need!r})}}"
        )
    return named[0]


def _has(need: str, kind: Field, x: Any) -> bool:
    """Return whether a field of another kind can serve as the guide."""
    if need == "masks":
        return isinstance(kind, Masks) and not kind.soft
    first = x[0] if isinstance(x, list) and x else x
    return need == "instances" and isinstance(kind, Boxes) and isinstance(first, Mapping) and "masks" in first


def map_of(name: str, need: str, kind: Field, x: Any) -> Array:
    """Return the guide with its rows first and its spatial axes last."""
    if isinstance(kind, Boxes):
        masks = [row["masks"] for row in x] if isinstance(x, list) else x["masks"]
        return _padded(masks) if isinstance(masks, (list, tuple)) else masks
    if need == "instances" or not isinstance(kind, (Guide, Masks)):
        return x
    axes, xp = parse(kind.layout or "", kind.spatial), backends.of(x, name)
    wanted = f"n{axes.spatial}"
    if "c" in axes.axes:
        channels = axes.channels(x)
        if isinstance(channels, int) and channels != 1:
            raise ValueError(
                f"{name}: expected one number a pixel of {need}, got {channels} channels; pass their mean or maximum"
            )
        place = axes.axes.index("c")
        x = x[(*[slice(None)] * place, 0)]
    letters = axes.axes.replace("c", "")
    if set(letters) != set(wanted):
        raise ValueError(
            f"{name}: expected {need} over the axes {wanted!r} that the mix is drawn for, got the layout "
            f"{axes.axes!r}; pass one map a sample, such as the mean over the other axes"
        )
    return x if letters == wanted else xp.transpose(x, [letters.index(letter) for letter in wanted])


def _padded(masks: Sequence[Any]) -> Array:
    """Return masks of objects, (m_i, *size) per sample, as one bool array (n, m, *size) on the host, padded."""
    arrays = []
    for one in masks:
        values = backends.of(one, "masks").concrete(one)
        if values is None:
            raise TypeError("masks: expected lists of masks on the host, got traced or distant ones; pad them first")
        arrays.append(np.asarray(values) != 0)
    most = max((len(one) for one in arrays), default=0)
    padded = np.zeros((len(arrays), most, *arrays[0].shape[1:]), bool)
    for row, one in zip(padded, arrays, strict=True):
        row[: len(one)] = one
    return padded
