"""`fields=` as plain data for a configuration file, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as fields_of
from typing import Any, get_args

from ..core.hints import short
from ..label_rules import VALUES, Rule
from .resolve import Field, Fields, as_list


def written(fields: Fields | None) -> Any:
    """Return `fields` as dicts, lists and strings, for a configuration file."""
    if fields is None or isinstance(fields, Mapping):
        return None if fields is None else {name: _written(what) for name, what in fields.items()}
    return [_written(what) for what in as_list(fields)]


def _written(what: Any) -> Any:
    if not isinstance(what, Field | Rule):
        return what
    if isinstance(what, Rule) and type(what) not in VALUES:
        raise TypeError(
            f"rule: expected one of ma.label_rules to be saved, got {short(what)}; make the layer with fields= anew "
            "instead"
        )
    return {"kind": type(what).__name__, **{one.name: _written(getattr(what, one.name)) for one in fields_of(what)}}


def read(fields: Any) -> Any:
    """Undo `written`; fields that are not plain data are returned unchanged."""
    if fields is None or isinstance(fields, Mapping):
        return None if fields is None else {name: _read(what) for name, what in fields.items()}
    return [_read(what) for what in as_list(fields)]


def _read(what: Any) -> Any:
    if not isinstance(what, Mapping):
        return what
    options = {name: _read(value) for name, value in what.items() if name != "kind"}
    return {kind.__name__: kind for kind in (*get_args(Field), *VALUES)}[what["kind"]](**options)
