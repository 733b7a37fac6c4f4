"""Checks of the element specs of datasets: tensors, batches or single samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from ..fields import Fields, Images, resolve, tree


def check_tensors(function: str, ds: tf.data.Dataset) -> None:
    """Raise a TypeError if an element contains None."""
    for name, spec in tree.leaves(ds.element_spec).items():
        if not hasattr(spec, "shape"):
            raise TypeError(
                f"{function}: expected elements of tensors, got None as {name!r}; leave it out of the elements"
            )


def check_same_form(ds_a: tf.data.Dataset, ds_b: tf.data.Dataset) -> None:
    """Raise a TypeError if the elements differ in their fields, dtypes or ranks."""
    form_a, form_b = (
        tf.nest.map_structure(lambda spec: (spec.dtype.name, spec.shape.rank), ds.element_spec) for ds in (ds_a, ds_b)
    )
    if form_a != form_b:
        raise TypeError(
            f"mixed_zip: expected elements of the same form, got {ds_a.element_spec} and {ds_b.element_spec}; "
            "map one of them to the form of the other"
        )


def check_batched(ds: tf.data.Dataset, fields: Fields | None) -> None:
    """Raise a ValueError if elements may be single samples: scalars, fields of unequal length, images of few axes."""
    spec = ds.element_spec
    kinds = resolve(spec, fields, None)
    shapes = {
        path: x.shape
        for name, field in tree.several(spec, kinds).items()
        for path, x in tree.columns(field, name).items()
    }
    lengths = {shape[0] for shape in shapes.values() if shape.rank} - {None}
    may_be_single = any(isinstance(kind, Images) and _is_single(shapes[name], kind) for name, kind in kinds.items())
    if may_be_single or len(lengths) > 1 or any(shape.rank == 0 for shape in shapes.values()):
        raise ValueError(
            f"mixed: expected a dataset of batches, got what may be single samples, {_listed(shapes)}; batch() it "
            "first, or pass batched=True if these are batches"
        )


def is_batched(ds: tf.data.Dataset) -> bool:
    """Whether the elements are batches; raise a ValueError if their shapes do not tell."""
    shapes = {name: spec.shape for name, spec in tree.leaves(ds.element_spec).items()}
    if any(shape.rank == 0 for shape in shapes.values()):
        return False
    lengths = {shape[0] for shape in shapes.values()}
    if len(lengths - {None}) > 1:
        return False
    if lengths == {None}:
        return True
    raise ValueError(
        f"mixed_zip: expected shapes that distinguish samples from batches, got {_listed(shapes)}; "
        "pass batched=True if these are batches, batched=False if they are single samples"
    )


def sample_bytes(spec: Any) -> int | None:
    """The size of an element in bytes, None if a shape is not known."""
    specs = tf.nest.flatten(spec)
    if not all(leaf.shape.is_fully_defined() for leaf in specs):
        return None
    return int(sum(leaf.shape.num_elements() * leaf.dtype.size for leaf in specs))


def _is_single(shape: tf.TensorShape, kind: Images) -> bool:
    """Whether images have too few axes for a batch of their layout, and a known length."""
    rank = shape.rank
    return bool(rank) and rank < (len(kind.layout) if kind.layout else 4) and shape[0] is not None


def _listed(shapes: Mapping[str, tf.TensorShape]) -> str:
    return ", ".join(f"{name or 'images'!r} {tuple(shape)}" for name, shape in shapes.items() if shape.rank is not None)
