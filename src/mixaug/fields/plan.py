"""What is known of the batches of one form, whatever numbers they hold: found once for each form, and kept."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, NamedTuple

from .. import backends
from ..backends import Array, Dim, Library
from ..core.checks import check_sizes
from ..core.regions import Sizes
from ..core.units import are_plain
from ..label_rules import rule as label_rule
from ..ops.labels import are_ids
from . import Field, Fields, Images, Labels, Mixer, PerSource, arrays, resolve, settle, tree

_MOST_KEPT = 256
_KEPT: dict[Hashable, Plan] = {}


class Plan(NamedTuple):
    """How batches of a form are mixed."""

    fields: Mapping[str, Field]  #: what each field is, settled, by its path
    mixers: Mapping[str, Mixer]  #: what mixes each field
    sizes: Sizes  #: of outputs and sources, that a mix is drawn for
    library: Library
    rows: Dim
    first: str  #: the path of the first field that holds an array
    per_source: bool  #: whether the mix itself comes out of some field
    sums_to_one: bool | None  #: whether mixed labels of class ids do; None without class ids

    def like(self, held: Mapping[str, Any]) -> Array:
        """An array of the batch, which has its library and device."""
        field = held[self.first]
        if not isinstance(field, (dict, list)):
            return field
        return next(iter(arrays(self.first, self.fields[self.first], field).values()))


def plan(batch: tree.Tree, fields: Fields | None, num_classes: int | None) -> Plan:
    """Return the plan of a batch: a kept one, where all that it depends on has been seen before."""
    key = None if backends.is_compiling() else _key(batch, fields, num_classes)
    found = None if key is None else _KEPT.get(key)
    if found is None:
        found = _found(batch, fields, num_classes)
        if key is not None:
            if len(_KEPT) >= _MOST_KEPT:
                _KEPT.clear()
            _KEPT[key] = found
    return found


def _found(batch: tree.Tree, fields: Fields | None, num_classes: int | None) -> Plan:
    check_form(batch, fields)
    kinds = resolve(batch, fields, num_classes)
    held = tree.several(batch, kinds)
    kinds, size = settle(kinds, held)
    named = {name: arrays(name, kind, held[name]) for name, kind in kinds.items()}
    xp = backends.same({path: x for some in named.values() for path, x in some.items()})
    ids = (kind for name, kind in kinds.items() if isinstance(kind, Labels) and _are_ids(held[name], kind))
    return Plan(
        fields=kinds,
        mixers={name: _mixer(kind, held[name]) for name, kind in kinds.items()},
        sizes=check_sizes(size, None),
        library=xp,
        rows=count_rows(held),
        first=next(name for name, some in named.items() if some),
        per_source=any(isinstance(kind, PerSource) for kind in kinds.values()),
        sums_to_one=next((label_rule(kind.rule).sums_to_one for kind in ids), None),
    )


def _mixer(kind: Field, x: Any) -> Mixer:
    return kind.mixer(x) if isinstance(kind, (Images, Labels)) else kind.mix


def _are_ids(y: Array, kind: Labels) -> bool:
    return not kind.binary and are_ids(y, kind.num_classes)


def check_form(batch: tree.Tree, fields: Fields | None = None) -> None:
    """Refuse what is no batch: an array, a dict, or a tuple of one to three parts, or of any number that are said."""
    if isinstance(batch, Mapping):
        if not batch:
            raise ValueError("batch: expected one field or more, got an empty dict; fill it")
        return
    if hasattr(batch, "dtype"):
        return
    if isinstance(batch, (tuple, list)) and (len(batch) in (1, 2, 3) or (batch and fields is not None)):
        return
    came, way_out = type(batch).__name__, "mix the batches of a loader or a generator with ma.mixed"
    if isinstance(batch, (tuple, list)):
        came = f"{came} of {len(batch)}"
        way_out = "say what each part is, such as fields=('images', 'labels', 'masks', 'values')"
    raise TypeError(
        "batch: expected a dict, an (images, labels) pair or an (images, labels, sample_weight) triple, "
        f"got {came}; {way_out}"
    )


def count_rows(held: Mapping[str, Any]) -> Dim:
    """Return how many rows the fields of a batch have; a ValueError if they differ."""
    found = {path: x for name, field in held.items() for path, x in tree.columns(field, name).items()}
    shapes = {name: (len(x),) if isinstance(x, list) else backends.of(x, name).shape(x) for name, x in found.items()}
    for name, shape in shapes.items():
        if not shape:
            raise ValueError(f"{name}: expected a batch, rows on the first axis, got a single value; batch it first")
    known = {name: shape[0] for name, shape in shapes.items() if isinstance(shape[0], int)}
    if len(set(known.values())) > 1:
        (one, n), (other, m) = sorted(known.items(), key=lambda item: item[1])[:: len(known) - 1]
        raise ValueError(
            f"expected as many rows in every field, got {n} in {one!r} and {m} in {other!r}; "
            "pass the same samples in each"
        )
    return next(iter(known.values())) if known else next(iter(shapes.values()))[0]


# --- by what a plan is known ---


class _UnknownError(Exception):
    """There is something that no key can be made of, such as a traced array or a list of texts."""


def _key(batch: tree.Tree, fields: Fields | None, num_classes: int | None) -> Hashable | None:
    """Return all that a plan depends on; None if it depends on what cannot be compared, or is traced."""
    try:
        key = _form(batch), _said(fields), type(num_classes), num_classes
        hash(key)
    except (_UnknownError, TypeError, RecursionError):
        return None
    return key


def _form(batch: tree.Tree) -> Hashable:
    kind = type(batch)
    if kind is dict:
        return kind, *(_named(name, _form(x)) for name, x in batch.items())
    if isinstance(batch, (tuple, list)) and batch:
        return kind, *map(_form, batch)
    form: Hashable = backends.form(batch)
    if form is None:
        raise _UnknownError
    return form


def _said(fields: Fields | None) -> Hashable:
    """Return what was said of fields. Equal numbers of different types, such as 1 and True, are different."""
    if fields is None or isinstance(fields, str):
        return fields
    if isinstance(fields, Field):
        options = tuple(vars(fields).values())
        if isinstance(fields, Images) and not are_plain(fields.scale, fields.offset):
            raise _UnknownError
        return type(fields), options, *map(type, options)
    if isinstance(fields, Mapping):
        return dict, *(_named(name, _said(what)) for name, what in fields.items())
    return type(fields), *map(_said, fields)


def _named(name: Any, value: Hashable) -> tuple[str, Hashable]:
    if type(name) is not str:
        raise _UnknownError
    return name, value
