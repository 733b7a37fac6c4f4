"""The form of a batch: arrays in dicts, tuples and lists, nested at will. A leaf's name is its path, "targets/mask".

A list of arrays is a tuple, for collate functions make lists of tuples. Other lists, of texts, numbers or dicts, are
leaves: they hold one thing for each sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

Tree: TypeAlias = Any

POSITIONS = ("images", "labels", "sample_weight")  #: the names of the parts of a pair or a triple


def parts(tree: Tree, name: str = "") -> dict[str, Tree] | None:
    """What a dict, a tuple or a list of arrays holds, by path; None of a leaf."""
    if hasattr(tree, "dtype"):  # what nearly all are; to ask whether they are mappings takes longer
        return None
    if isinstance(tree, Mapping):
        keys: Sequence[Any] = tuple(tree)
    elif isinstance(tree, tuple) or (isinstance(tree, list) and (not name or _holds_arrays(tree))):
        keys = POSITIONS[: len(tree)] if not name and len(tree) <= len(POSITIONS) else range(len(tree))
    else:
        return None
    values = tree.values() if isinstance(tree, Mapping) else tree
    held = {f"{name}/{key}" if name else str(key): value for key, value in zip(keys, values, strict=True)}
    if len(held) < len(keys):
        raise ValueError(f"batch: expected one field for each name, got two of one name among {keys}; rename one")
    return held


def _holds_arrays(items: list[Any]) -> bool:
    """Whether a list is a tuple of fields, as collate functions make them, and not one thing for each sample."""
    return bool(items) and all(
        isinstance(x, tuple) or (_holds_arrays(x) if isinstance(x, list) else _is_array(x)) for x in items
    )


def _is_array(x: Any) -> bool:
    return hasattr(x, "dtype") and not isinstance(x, np.generic)


def columns(field: Any, name: str = "") -> dict[str, Any]:
    """The values of one field by path: those of a dict, else itself. Lists are values here."""
    if not isinstance(field, Mapping):
        return {name: field}
    return {path: x for key, value in field.items() for path, x in columns(value, f"{name}/{key}").items()}


def each_column(field: Any, function: Callable[[Any], Any]) -> Any:
    """A field of the same form, with the function's value of each of its values."""
    if not isinstance(field, Mapping):
        return function(field)
    return {key: each_column(value, function) for key, value in field.items()}


def leaves(tree: Tree, name: str = "") -> dict[str, Any]:
    """The leaves by their paths."""
    held = parts(tree, name)
    if held is None:
        return {name: tree}
    return {path: leaf for child, value in held.items() for path, leaf in leaves(value, child).items()}


def each(tree: Tree, function: Callable[[str, Any], Any], name: str = "") -> Tree:
    """A tree of the same form, with the function's value of each path and leaf."""
    held = parts(tree, name)
    if held is None:
        return function(name, tree)
    return like(tree, [each(value, function, child) for child, value in held.items()])


def at(tree: Tree, path: str) -> Tree:
    """What lies at a path."""
    return several(tree, (path,))[path]


def several(tree: Tree, paths: Iterable[str]) -> dict[str, Tree]:
    """What lies at each of these paths."""
    top = parts(tree) or {}
    return {path: top[path] if path in top else _down(top, path) if path else tree for path in paths}


def _down(held: Mapping[str, Tree], path: str) -> Tree:
    if path in held:
        return held[path]
    name = next(name for name in held if path.startswith(f"{name}/"))
    return _down(parts(held[name], name) or {}, path)


def replaced(tree: Tree, values: Mapping[str, Any], name: str = "") -> Tree:
    """The tree with other values at these paths."""
    if name in values:
        return values[name]
    held = parts(tree, name)
    return tree if held is None else like(tree, [replaced(value, values, child) for child, value in held.items()])


def like(tree: Tree, values: Sequence[Any]) -> Tree:
    """These values in the form of a dict or a tuple."""
    if isinstance(tree, Mapping):
        return dict(zip(tree, values, strict=True))
    return getattr(tree, "_make", type(tree))(values)  # a NamedTuple has _make
