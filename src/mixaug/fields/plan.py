"""Plans of batches: what depends on the structure, shapes and dtypes of a batch, computed once and cached."""

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

_CACHE_SIZE = 256
_CACHE: dict[Hashable, BatchPlan] = {}


class BatchPlan(NamedTuple):
    """How batches of one structure are mixed."""

    fields: Mapping[str, Field]  #: the kind of each field with its layout, by path
    mixers: Mapping[str, Mixer]  #: the function that mixes each field
    sizes: Sizes  #: the spatial sizes of outputs and sources
    library: Library
    rows: Dim
    first: str  #: the path of the first field with an array
    per_source: bool  #: whether a field returns lam
    is_one_class: bool | None  #: whether a cross-entropy fits labels made from class ids; None without class ids

    def like(self, values: Mapping[str, Any]) -> Array:
        """Return an array of the batch, for its library and device."""
        field = values[self.first]
        if not isinstance(field, (dict, list)):
            return field
        return next(iter(arrays(self.first, self.fields[self.first], field).values()))


def plan(batch: tree.Tree, fields: Fields | None, num_classes: int | None) -> BatchPlan:
    """Return the plan of a batch, from the cache if its structure has been seen before."""
    key = None if backends.is_compiling() else _key(batch, fields, num_classes)
    found = None if key is None else _CACHE.get(key)
    if found is None:
        found = _made_plan(batch, fields, num_classes)
        if key is not None:
            if len(_CACHE) >= _CACHE_SIZE:
                _CACHE.clear()
            _CACHE[key] = found
    return found


def _made_plan(batch: tree.Tree, fields: Fields | None, num_classes: int | None) -> BatchPlan:
    check_form(batch, fields)
    kinds = resolve(batch, fields, num_classes)
    values = tree.several(batch, kinds)
    kinds, size = settle(kinds, values)
    named = {name: arrays(name, kind, values[name]) for name, kind in kinds.items()}
    xp = backends.same({path: x for some in named.values() for path, x in some.items()})
    ids = (kind for name, kind in kinds.items() if isinstance(kind, Labels) and _are_ids(values[name], kind))
    return BatchPlan(
        fields=kinds,
        mixers={name: _mixer(kind, values[name]) for name, kind in kinds.items()},
        sizes=check_sizes(size, None),
        library=xp,
        rows=count_rows(values),
        first=next(name for name, some in named.items() if some),
        per_source=any(isinstance(kind, PerSource) for kind in kinds.values()),
        is_one_class=next((not label_rule(kind.rule).greatest for kind in ids), None),
    )


def _mixer(kind: Field, x: Any) -> Mixer:
    return kind.mixer(x) if isinstance(kind, (Images, Labels)) else kind.mix


def _are_ids(y: Array, kind: Labels) -> bool:
    return not kind.binary and are_ids(y, kind.num_classes)


def check_form(batch: tree.Tree, fields: Fields | None = None) -> None:
    """Raise an error unless it is a batch: an array, a dict, or a tuple of one to three parts, or of declared parts."""
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


def count_rows(values: Mapping[str, Any]) -> Dim:
    """Return the number of rows of a batch; raise a ValueError if fields differ."""
    found = {path: x for name, field in values.items() for path, x in tree.columns(field, name).items()}
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


# --- keys of the cache ---


class _UnknownError(Exception):
    """A part of a batch cannot be a key, such as a traced array or a list of strings."""


def _key(batch: tree.Tree, fields: Fields | None, num_classes: int | None) -> Hashable | None:
    """Return the cache key of a plan; None if a part is traced or cannot be compared."""
    try:
        key = _form(batch), _declared_key(fields), type(num_classes), num_classes
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


def _declared_key(fields: Fields | None) -> Hashable:
    """Return the key of `fields`. Equal numbers of different types, such as 1 and True, are different."""
    if fields is None or isinstance(fields, str):
        return fields
    if isinstance(fields, Field):
        options = tuple(vars(fields).values())
        if isinstance(fields, Images) and not are_plain(fields.scale, fields.offset):
            raise _UnknownError
        return type(fields), options, *map(type, options)
    if isinstance(fields, Mapping):
        return dict, *(_named(name, _declared_key(what)) for name, what in fields.items())
    return type(fields), *map(_declared_key, fields)


def _named(name: Any, value: Hashable) -> tuple[str, Hashable]:
    if type(name) is not str:
        raise _UnknownError
    return name, value
