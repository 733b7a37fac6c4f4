"""The form of a batch: arrays in dicts and tuples, nested as they like. A leaf's name is its path, "targets/mask"."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Tree: TypeAlias = Any

POSITIONS = ("images", "labels", "sample_weight")  #: the names of the parts of a pair or a triple


def parts(tree: Tree, name: str = "") -> dict[str, Tree] | None:
    """What a dict or a tuple holds, by path; None of a leaf. A list is one of these at the top alone."""
    if hasattr(tree, "dtype"):  # what nearly all are; to ask whether they are mappings takes longer
        return None
    if isinstance(tree, Mapping):
        keys: Sequence[Any] = tuple(tree)
    elif isinstance(tree, tuple) or (isinstance(tree, list) and not name):
        keys = POSITIONS[: len(tree)] if not name and len(tree) <= len(POSITIONS) else range(len(tree))
    else:
        return None
    values = tree.values() if isinstance(tree, Mapping) else tree
    return {f"{name}/{key}" if name else str(key): value for key, value in zip(keys, values, strict=True)}


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
    return {path: top[path] if path in top else _down(top, path) for path in paths}


def _down(top: Mapping[str, Tree], path: str) -> Tree:
    name, *steps = path.split("/")
    tree = top[name]
    for step in steps:
        held, name = parts(tree, name) or {}, f"{name}/{step}"
        tree = held[name]
    return tree


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
