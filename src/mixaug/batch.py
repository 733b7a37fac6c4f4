"""The door that most people use: check a batch, draw a mix for it, apply it to every field."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from . import _xp
from ._xp import Array
from .fields import Field, Images, resolve
from .recipes import Recipe, check_recipe

Batch: TypeAlias = Any  #: a dict of named fields, (images, labels) or (images, labels, sample_weight)
Fields: TypeAlias = Mapping[str, str | Field]

_POSITIONS = ("images", "labels", "sample_weight")


@_xp.opaque
def mix_batch(
    recipe: Recipe, batch: Batch, *, key: Sequence[Any], num_classes: int | None = None, fields: Fields | None = None
) -> Batch:
    """Mix a batch: one draw serves every field, so that none can disagree.

        mix = recipe.draw(n, size of the first image field, key=key)

    Args:
        recipe: what to draw from.
        batch: a dict of named fields, an (images, labels) pair or an (images, labels, sample_weight) triple, arrays of
            one library with n rows each. image(s), pixel_values, label(s), value(s) and sample_weight(s) are known by
            name. Sample weights are averaged by share, as the labels are.
        key: (seed, step) or (seed, epoch, step), or a JAX PRNG key. The same key gives the same mix: count the steps.
        num_classes: needed for class ids.
        fields: what fields of other names are, {"photo": "images", "kind": "labels"}, or with options,
            {"images": ma.Images(channels="first"), "labels": ma.Parts()}.

    Returns:
        A new batch of the same form; nothing is written to.

    Raises:
        TypeError, ValueError: fields that are not known, of several libraries, of different n, or without an image.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> images, labels = np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 1, 2, 1])
        >>> mixed, weights = ma.mix_batch(ma.CutMix(), (images, labels), key=(0, 0), num_classes=3)
        >>> mixed.shape, weights.shape
        ((4, 8, 8, 3), (4, 3))
    """
    return mix_from(recipe, batch, None, None, key=key, num_classes=num_classes, fields=fields)


@_xp.opaque
def mix_from(
    recipe: Recipe,
    batch: Batch,
    source: Batch | None,
    parent: Array | None,
    *,
    key: Sequence[Any],
    num_classes: int | None = None,
    fields: Fields | None = None,
    first: int = 0,
) -> Batch:
    """Mix a batch with parents that are rows of a source of the same form: a dataset, or two batches joined."""
    check_recipe("recipe", recipe)
    arrays = named(batch)
    kinds = resolve(tuple(arrays), fields, num_classes)
    xp = _xp.same(arrays)
    n = _rows(xp, arrays)
    like = next(iter(arrays.values()))
    mix = recipe.draw(n, _size(arrays, kinds), key=key, like=like, parent=parent, first=first)
    sources = {} if source is None else named(source)
    return _like(batch, {name: kinds[name].mix(mix, x, sources.get(name)) for name, x in arrays.items()})


def named(batch: Batch) -> dict[str, Array]:
    """The fields of a batch by name; those of a pair or a triple are images, labels and sample_weight."""
    if isinstance(batch, Mapping):
        if not batch:
            raise ValueError("batch: expected one field or more, got an empty dict")
        return dict(batch)
    if isinstance(batch, (tuple, list)) and len(batch) in (2, 3):
        return dict(zip(_POSITIONS, batch, strict=False))
    shape = f"{type(batch).__name__} of {len(batch)}" if isinstance(batch, (tuple, list)) else type(batch).__name__
    raise TypeError(
        f"batch: expected a dict, an (images, labels) pair or an (images, labels, sample_weight) triple, got {shape}"
    )


def each(batch: Batch, function: Callable[[Array], Any]) -> Batch:
    """A batch of the same form, with the function's value for each field (for each of the arrays of `Parts`)."""
    return _like(
        batch,
        {name: tuple(map(function, x)) if isinstance(x, tuple) else function(x) for name, x in named(batch).items()},
    )


def _like(batch: Batch, mixed: dict[str, Array]) -> Batch:
    if isinstance(batch, Mapping):
        return mixed
    return getattr(batch, "_make", type(batch))(mixed.values())  # a NamedTuple has _make


def _rows(xp: _xp.Library, arrays: dict[str, Array]) -> Any:
    shapes = {name: xp.shape(x) for name, x in arrays.items()}
    for name, shape in shapes.items():
        if not shape:
            raise ValueError(f"{name}: expected a batch, rows on the first axis, got a single value; batch it first")
    known = {name: shape[0] for name, shape in shapes.items() if isinstance(shape[0], int)}
    if len(set(known.values())) > 1:
        (one, n), (other, m) = sorted(known.items(), key=lambda item: item[1])[:: len(known) - 1]
        raise ValueError(f"expected as many rows in every field, got {n} in {one!r} and {m} in {other!r}")
    return next(iter(known.values())) if known else next(iter(shapes.values()))[0]


def _size(arrays: dict[str, Array], kinds: dict[str, Field]) -> Any:
    for name, kind in kinds.items():
        if isinstance(kind, Images):
            return kind.size(name, arrays[name])
    raise ValueError(f"expected an image field to draw for, got {', '.join(map(repr, arrays))}; name one in fields=")
