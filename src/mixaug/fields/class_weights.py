"""Class weights: the weight of each output in the loss, from the classes of its sources."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .. import backends
from ..backends import Array
from ..core.hints import short
from ..mix import Mix
from ..ops import rows
from ..ops.labels import check_count
from . import AllFields, Field, Labels, PerSource, Values, tree

ClassWeights: TypeAlias = Mapping[Any, Any] | Sequence[float] | Array  #: {class: weight}, or one weight per class

ADDED = "sample_weight"  #: the entry added to a dict without sample weights
NEW = "/"  #: the name of added weights among the mixed fields, which no path can have


class RowWeights(NamedTuple):
    """The weight of each output: sum_k lam[k] * table[class of source k].

    Args:
        labels: the path of the labels.
        area: the labels field with the rule "area".
        table: one weight per class.
        into: the path of the sample weights to multiply; None if they are added to the batch.
    """

    labels: str
    area: Labels
    table: tuple[float, ...]
    into: str | None

    def applied(self, mix: Mix, mixed: dict[str, Any], beside: AllFields) -> dict[str, Any]:
        """Return the mixed fields with sample weights in `into`, or as `NEW`."""
        y, source = beside[self.labels]
        weight = self._of(self.area.mixer(y)(mix, y, source, {}))
        if self.into is None:
            return {**mixed, NEW: weight}
        before = mixed[self.into]
        xp = backends.of(before)
        return {**mixed, self.into: before * xp.cast(rows.over(weight, before), before.dtype)}

    def _of(self, labels: Array) -> Array:
        """Return float32 (n,): sum_c labels[c] * table[c], for labels mixed by area."""
        xp = backends.of(labels)
        labels = xp.cast(labels, "float32")
        if self.area.binary:
            zero, one = self.table
            return zero + (one - zero) * labels[:, 0]
        return xp.summed(labels * backends.to(xp, np.asarray(self.table, np.float32)))


def resolve(weights: ClassWeights, kinds: Mapping[str, Field], batch: tree.Tree, num_classes: int | None) -> RowWeights:
    """Return the weights for a batch with these fields.

    Raises:
        TypeError, ValueError: if they are not one finite number >= 0 per class, or if the labels or sample weights they
            belong to are ambiguous.
    """
    name, numbers = _named(weights)
    labels = _labels(kinds, name)
    kind = kinds[labels]
    area = Labels(kind.num_classes, binary=kind.binary) if isinstance(kind, Labels) else Labels(num_classes)
    count = 2 if area.binary else area.num_classes
    table = _table(numbers, None if count is None else check_count(count))
    into = _sample_weight(kinds)
    if into is None:
        _check_can_gain(batch)
    area = area if area.binary else Labels(len(table))
    return RowWeights(labels, area, table, into)


def are_sample_weights(path: str) -> bool:
    """Return whether values are sample weights, by their name or that of the dict around them."""
    return any(part.startswith(ADDED) for part in path.split("/"))


def plain(weights: ClassWeights | None) -> Any:
    """Return class weights as lists and strings, for a configuration file."""
    if weights is None:
        return None
    name, numbers = _named(weights)
    table = list(_table(numbers, None))
    return table if name is None else {name: table}


def extended(batch: tree.Tree, weight: Array) -> tree.Tree:
    """Return the batch with sample weights: a last part of a tuple, an entry of a dict."""
    if isinstance(batch, Mapping):
        return {**batch, ADDED: weight}
    return type(batch)([*batch, weight])


def without_added(batch: tree.Tree, form: tree.Tree) -> tuple[tree.Tree, Array | None]:
    """Undo `extended`: return a batch of the given form, and the added sample weights, or None."""
    if isinstance(batch, Mapping):
        if batch.keys() == form.keys():
            return batch, None
        return {name: x for name, x in batch.items() if name in form}, batch[ADDED]
    if isinstance(batch, (tuple, list)) and len(batch) > len(form):
        return batch[:-1], batch[-1]
    return batch, None


def _named(weights: ClassWeights) -> tuple[str | None, Any]:
    """Return the name of the labels, or None, and the weights, from {"kind": [...]} or weights alone."""
    if isinstance(weights, Mapping) and any(isinstance(name, str) for name in weights):
        if len(weights) != 1:
            came = ", ".join(map(repr, weights))
            raise ValueError(
                f"class_weights: expected classes as numbers, or the name of one field of labels, got {came}; "
                "write {class: weight} or {'kind': {class: weight}}"
            )
        return next(iter(weights.items()))
    return None, weights


def _labels(kinds: Mapping[str, Field], name: str | None) -> str:
    found = [path for path, kind in kinds.items() if isinstance(kind, (Labels, PerSource))]
    if name is not None:
        found = [path for path in found if path == name or path.endswith(f"/{name}")]
    if len(found) == 1:
        return found[0]
    came = ", ".join(map(repr, found or kinds))
    if name is not None or not found:
        what = "labels" if name is None else f"labels called {name!r}"
        raise ValueError(f"class_weights: expected {what} in the batch, got {came}; name them in fields=")
    raise ValueError(
        f"class_weights: expected one field of labels, got {came}; say which, as in class_weights={{{found[0]!r}: ...}}"
    )


def _sample_weight(kinds: Mapping[str, Field]) -> str | None:
    """Return the path of the sample weights, or None."""
    found = [path for path, kind in kinds.items() if isinstance(kind, Values) and are_sample_weights(path)]
    if len(found) > 1:
        raise ValueError(
            f"class_weights: expected one field of sample weights or none, got {', '.join(map(repr, found))}; "
            "multiply them after mixing"
        )
    return found[0] if found else None


def _check_can_gain(batch: tree.Tree) -> None:
    """Raise an error for a batch to which sample weights cannot be added."""
    if isinstance(batch, Mapping):
        if ADDED in batch:
            raise ValueError(
                f"class_weights: expected {ADDED!r} to be 'values', which they multiply, got another kind of field; "
                "leave it out of fields="
            )
    elif type(batch) not in (tuple, list):
        raise TypeError(
            f"class_weights: expected a tuple or a dict, which gains sample weights, got {type(batch).__name__}; "
            "pass a dict of named fields"
        )


def _table(weights: Any, num_classes: int | None) -> tuple[float, ...]:
    """Return one weight per class."""
    numbers = _of_dict(weights, num_classes) if isinstance(weights, Mapping) else _of_array(weights)
    if num_classes is not None and len(numbers) != num_classes:
        raise ValueError(
            f"class_weights: expected {num_classes} weights, one a class, got {len(numbers)}; "
            "give each class one, 1.0 changes nothing"
        )
    for number, weight in enumerate(numbers):
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(
                f"class_weights: expected finite numbers >= 0, got {weight} for class {number}; correct it"
            )
    return numbers


def _of_dict(weights: Mapping[Any, Any], num_classes: int | None) -> tuple[float, ...]:
    classes = range(num_classes or len(weights))
    missing = [number for number in classes if number not in weights]
    unknown = [name for name in weights if name not in classes]
    if missing or unknown:
        what = f"no weight for class {missing[0]}" if missing else f"one for {unknown[0]!r}"
        raise ValueError(
            f"class_weights: expected a weight for each class 0..{len(classes) - 1}, got {what}; "
            "1.0 leaves a class as it is"
        )
    return _of_array([weights[number] for number in classes])


def _of_array(weights: Any) -> tuple[float, ...]:
    xp = backends.find(weights)
    numbers = weights if xp is None else xp.concrete(weights)
    if numbers is None:
        raise TypeError("class_weights: expected numbers on the host, got a traced or distant array; pass a list")
    try:
        numbers = numbers if isinstance(numbers, (list, tuple)) else np.asarray(numbers, np.float64).tolist()
        if any(isinstance(number, (str, bytes)) for number in numbers):  # float("1") is a number
            raise TypeError
        return tuple(float(number) for number in numbers)
    except (TypeError, ValueError):
        raise TypeError(
            f"class_weights: expected {{class: weight}}, or one number a class, got {short(weights)}; "
            "pass a list of floats"
        ) from None
