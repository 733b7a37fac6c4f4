"""The structure of a batch: nested dicts, tuples and lists of arrays. The name of a leaf is its path, "targets/mask".

A list of arrays counts as a tuple, because collate functions make such lists. Other lists, of strings, numbers or
dicts, are leaves with one item per sample.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

Tree: TypeAlias = Any

POSITIONS = ("images", "labels", "sample_weight")  #: the names of the parts of a pair or a triple


def parts(tree: Tree, name: str = "") -> dict[str, Tree] | None:
    """Return the children of a dict, a tuple or a list of arrays by path; None for a leaf."""
    if hasattr(tree, "dtype"):  # nearly always; isinstance of Mapping is slower
        return None
    if isinstance(tree, Mapping):
        keys: Sequence[Any] = tuple(tree)
    elif isinstance(tree, tuple) or (isinstance(tree, list) and (not name or _holds_arrays(tree))):
        keys = POSITIONS[: len(tree)] if not name and len(tree) <= len(POSITIONS) else range(len(tree))
    else:
        return None
    values = tree.values() if isinstance(tree, Mapping) else tree
    children = {f"{name}/{key}" if name else str(key): value for key, value in zip(keys, values, strict=True)}
    if len(children) < len(keys):
        raise ValueError(f"batch: expected one field for each name, got two of one name among {keys}; rename one")
    return children


def _holds_arrays(items: list[Any]) -> bool:
    """Return whether a list is a tuple of fields, as collate functions make it, and not one item per sample."""
    return bool(items) and all(
        isinstance(x, tuple) or (_holds_arrays(x) if isinstance(x, list) else _is_array(x)) for x in items
    )


def _is_array(x: Any) -> bool:
    return hasattr(x, "dtype") and not isinstance(x, np.generic)


def columns(field: Any, name: str = "") -> dict[str, Any]:
    """Return the values of one field by path: those of a dict, or the field itself. Lists are values here."""
    if not isinstance(field, Mapping):
        return {name: field}
    return {path: x for key, value in field.items() for path, x in columns(value, f"{name}/{key}").items()}


def each_column(field: Any, function: Callable[[Any], Any]) -> Any:
    """Apply a function to each value of a field."""
    if not isinstance(field, Mapping):
        return function(field)
    return {key: each_column(value, function) for key, value in field.items()}


def leaves(tree: Tree, name: str = "") -> dict[str, Any]:
    """Return the leaves by path."""
    children = parts(tree, name)
    if children is None:
        return {name: tree}
    return {path: leaf for child, value in children.items() for path, leaf in leaves(value, child).items()}


def each(tree: Tree, function: Callable[[str, Any], Any], name: str = "") -> Tree:
    """Apply a function to each path and leaf; return a tree of the same structure."""
    children = parts(tree, name)
    if children is None:
        return function(name, tree)
    return like(tree, [each(value, function, child) for child, value in children.items()])


def at(tree: Tree, path: str) -> Tree:
    """Return the subtree at a path."""
    return several(tree, (path,))[path]


def several(tree: Tree, paths: Iterable[str]) -> dict[str, Tree]:
    """Return the subtrees at these paths."""
    top = parts(tree) or {}
    return {path: top[path] if path in top else _down(top, path) if path else tree for path in paths}


def _down(children: Mapping[str, Tree], path: str) -> Tree:
    if path in children:
        return children[path]
    name = next(name for name in children if path.startswith(f"{name}/"))
    return _down(parts(children[name], name) or {}, path)


def replaced(tree: Tree, values: Mapping[str, Any], name: str = "") -> Tree:
    """Return the tree with other values at these paths."""
    if name in values:
        return values[name]
    children = parts(tree, name)
    return (
        tree if children is None else like(tree, [replaced(value, values, child) for child, value in children.items()])
    )


def like(tree: Tree, values: Sequence[Any]) -> Tree:
    """Return values in a dict or tuple like the given one."""
    if isinstance(tree, Mapping):
        return dict(zip(tree, values, strict=True))
    return getattr(tree, "_make", type(tree))(values)  # a NamedTuple has _make
