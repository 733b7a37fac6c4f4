"""The readable form of a recipe: `one_of(mixup(alpha=0.2), cutmix)`. Parsed, never evaluated."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from .recipe import Recipe


def parse(text: str, known: Mapping[str, Callable[..., Recipe]]) -> Recipe:
    """The recipe that a text names, with names from `known` in any case and with or without underscores."""
    if not isinstance(text, str):
        raise TypeError(f'recipe: expected a text such as "cutmix(alpha=1.0)", got {text!r}')
    try:
        if "#" in text:  # Python would drop what follows
            raise ValueError
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(f'recipe: expected a form such as "one_of(mixup(alpha=0.2), cutmix)", got {text!r}') from None
    recipe = _Reader(text, known).value(tree)
    if not isinstance(recipe, Recipe):
        raise ValueError(f'recipe: expected the name of a recipe such as "cutmix", got {text!r}')
    return recipe


class _Reader:
    def __init__(self, text: str, known: Mapping[str, Callable[..., Recipe]]) -> None:
        self.text = text
        self.known = {_plain(name): make for name, make in known.items()}
        self.names = sorted(known)

    def value(self, node: ast.expr) -> Any:
        """A recipe, a number, a tuple of numbers, a dict of those, or None."""
        if isinstance(node, ast.Name):
            return self.make(node.id, [], {})
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if any(isinstance(arg, ast.Starred) for arg in node.args) or any(k.arg is None for k in node.keywords):
                raise ValueError(f"recipe: expected plain options, got a * in {self.text!r}; write them out")
            options = {str(k.arg).lower(): self.value(k.value) for k in node.keywords}
            return self.make(node.func.id, [self.value(arg) for arg in node.args], options)
        if isinstance(node, ast.Dict) and None not in node.keys:
            return {
                self.value(start): self.value(value)
                for start, value in zip(node.keys, node.values, strict=True)
                if start
            }
        if isinstance(node, (ast.Tuple, ast.List)):
            return tuple(self.value(item) for item in node.elts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            return -self.value(node.operand)
        if isinstance(node, ast.Constant) and (node.value is None or type(node.value) in (int, float)):
            return node.value
        raise ValueError(f"recipe: expected names, numbers and brackets, got {ast.unparse(node)!r} in {self.text!r}")

    def make(self, name: str, args: list[Any], options: dict[str, Any]) -> Recipe:
        """Call the maker of that name."""
        make = self.known.get(_plain(name))
        if make is None:
            raise ValueError(f"recipe: {name!r} is not known{self._nearest(name)}; known are {', '.join(self.names)}")
        signature = inspect.signature(make)
        try:
            signature.bind(*args, **options)
        except TypeError as error:
            takes = ", ".join(str(p.replace(annotation=p.empty)) for p in signature.parameters.values())
            raise ValueError(f"recipe: {name} takes ({takes}), {error} in {self.text!r}") from None
        return make(*args, **options)

    def _nearest(self, name: str) -> str:
        near = get_close_matches(_plain(name), self.known, n=1, cutoff=0.5)
        return f", did you mean {next(n for n in self.names if _plain(n) == near[0])}?" if near else ""


def _plain(name: str) -> str:
    return name.lower().replace("_", "")
