"""The readable form of a recipe: `one_of(mixup(alpha=0.2), cutmix)`. Parsed, never evaluated."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeAlias

from .recipe import Recipe

Make: TypeAlias = Callable[..., Recipe]


def parse(
    text: str, known: Mapping[str, Make], others: Callable[[], Mapping[str, Callable[[], Make]]] = dict
) -> Recipe:
    """The recipe that a text names, with names in any case and with or without underscores.

    Args:
        text: what to read.
        known: what each name makes.
        others: called where a name is not among these: what gives the maker of each further name.
    """
    if not isinstance(text, str):
        raise TypeError(f'recipe: expected a text such as "cutmix(alpha=1.0)", got {text!r}')
    try:
        if "#" in text:  # Python would drop what follows
            raise ValueError
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f'recipe: expected a form such as "one_of(mixup(alpha=0.2), cutmix)", got {text!r}') from None
    recipe = _Reader(text, known, others).value(tree)
    if not isinstance(recipe, Recipe):
        raise ValueError(f'recipe: expected the name of a recipe such as "cutmix", got {text!r}')
    return recipe


class _Reader:
    def __init__(
        self, text: str, known: Mapping[str, Make], others: Callable[[], Mapping[str, Callable[[], Make]]]
    ) -> None:
        self.text = text
        self.names = tuple(known)
        self.known = {plain(name): make for name, make in known.items()}
        self.others = others

    def value(self, node: ast.expr) -> Any:
        """A recipe, a number, a tuple of numbers, a dict of those, or None."""
        if isinstance(node, ast.Name):
            return self.make(node.id, [], {})
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if any(isinstance(arg, ast.Starred) for arg in node.args) or any(k.arg is None for k in node.keywords):
                raise ValueError(f"recipe: expected plain options, got a * in {self.text!r}; write them out")
            options = {str(k.arg).lower(): self.value(k.value) for k in node.keywords}
            return self.make(node.func.id, [self.value(arg) for arg in node.args], options)
        if isinstance(node, ast.Dict) and all(isinstance(start, ast.Constant) for start in node.keys):
            return {
                self.value(start): self.value(value)
                for start, value in zip(node.keys, node.values, strict=True)
                if start
            }
        if isinstance(node, (ast.Tuple, ast.List)):
            return tuple(self.value(item) for item in node.elts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            if type(node.operand.value) in (int, float):
                return -self.value(node.operand)
        elif isinstance(node, ast.Constant) and (node.value is None or type(node.value) in (int, float)):
            return node.value
        raise ValueError(f"recipe: expected names, numbers and brackets, got {ast.unparse(node)!r} in {self.text!r}")

    def make(self, name: str, args: list[Any], options: dict[str, Any]) -> Recipe:
        """Call the maker of that name."""
        make = self.known.get(plain(name)) or self._other(name)
        signature = inspect.signature(make)
        try:
            signature.bind(*args, **options)
        except TypeError as error:
            takes = ", ".join(str(p.replace(annotation=p.empty)) for p in signature.parameters.values())
            raise ValueError(f"recipe: {name} takes ({takes}), {error} in {self.text!r}") from None
        return make(*args, **options)

    def _other(self, name: str) -> Make:
        """What makes a recipe of a name that is not among the known ones."""
        others = self.others()
        for other, load in others.items():
            if plain(other) == plain(name):
                return load()
        names = sorted((*self.names, *others), key=plain)
        raise ValueError(f"recipe: {name!r} is not known{_nearest(name, names)}; known are {', '.join(names)}")


def _nearest(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(plain(name), list(map(plain, names)), n=1, cutoff=0.5)
    return f", did you mean {next(n for n in names if plain(n) == near[0])}?" if near else ""


def plain(name: str) -> str:
    """A name as it is compared: in small letters, without underscores."""
    return name.lower().replace("_", "")
