"""Recipes of other distributions, found by their entry points in the group `mixaug.recipes`.

A recipe is imported when it is used. An entry point that cannot be used raises an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Any

from ..backends import trace_constant
from .recipe import Recipe
from .text import plain, unknown

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "mixaug.recipes"
_RESERVED = ("all", "none")  # words of the command line


@dataclass(frozen=True)
class Joined:
    """An entry point that names a recipe."""

    point: EntryPoint

    @property
    def distribution(self) -> str:
        """The package that provides it."""
        return self.point.dist.name if self.point.dist else "an unknown distribution"

    def load(self) -> type[Recipe]:
        """Import the recipe.

        Raises:
            ValueError: if it cannot be imported, is not a recipe, has another name, or has an option without a default.
        """
        kind = self._imported()
        if not (isinstance(kind, type) and issubclass(kind, Recipe)):
            raise self._error("a class made from ma.Recipe", repr(kind), "mend")
        if not (is_dataclass(kind) and kind.__dataclass_params__.frozen):
            raise self._error("a frozen dataclass", f"the class {kind.__name__}", "mend")
        if plain(kind.__name__) != plain(self.point.name):
            raise self._error(f"a class of the name {self.point.name!r}", repr(kind.__name__), "rename one of them in")
        try:
            kind()
        except (TypeError, ValueError) as error:
            raise self._error("a class with a default for every option", _line(error), "mend") from error
        return kind

    def _imported(self) -> Any:
        try:
            return self.point.load()
        except Exception as error:  # a module may fail in any way while it is imported
            raise self._error("a recipe to import", f"{type(error).__name__}: {_line(error)}", "reinstall") from error

    def _error(self, expected: str, came: str, way_out: str) -> ValueError:
        return ValueError(
            f"{GROUP}: expected {expected} in {self.point.value} of {self.distribution}, got {came}; "
            f"{way_out} {self.distribution}, or uninstall it"
        )


@trace_constant
def load(name: str, taken: tuple[str, ...]) -> type[Recipe]:
    """Return the recipe of that name from another distribution.

    Args:
        name: in any case, with or without underscores.
        taken: names that are reserved.

    Raises:
        ValueError: if there is no recipe of that name, or its entry point cannot be used.
    """
    others = find(taken)
    for other, joined in others.items():
        if plain(other) == plain(name):
            return joined.load()
    raise unknown(name, (*taken, *others))


def find(taken: Iterable[str]) -> dict[str, Joined]:
    """Return the recipes of other distributions by name, without importing them.

    Args:
        taken: reserved names.

    Raises:
        ValueError: if a recipe has a reserved name, or two have the same name.
    """
    from importlib.metadata import entry_points  # slow to import, and needed only for unknown names

    owners = {plain(name): "mixaug" for name in (*taken, *_RESERVED)}
    found: dict[str, Joined] = {}
    for joined in sorted(map(Joined, entry_points(group=GROUP)), key=lambda one: (one.point.name, one.distribution)):
        name = joined.point.name
        owner = owners.setdefault(plain(name), joined.distribution)
        if owner != joined.distribution or name in found:
            raise ValueError(
                f"{GROUP}: expected a name of its own for each recipe, got {name!r} of {joined.distribution}, "
                f"which {owner} has already; rename it, or uninstall {joined.distribution}"
            )
        found[name] = joined
    return found


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
