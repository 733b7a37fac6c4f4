"""Recipes as text, such as `one_of(mixup(alpha=0.2), cutmix)`. Text is parsed, never evaluated."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn, TypeAlias

from ..core.hints import short, suggested_name, suggested_option
from .recipe import Recipe

Make: TypeAlias = Callable[..., Recipe]
Other: TypeAlias = Callable[[str, tuple[str, ...]], Make]

MAX_CHARACTERS = 100_000
MAX_BRACKETS = 100  #: open at the same time
_CONSTANTS = {"none": None, "true": True, "false": False}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(
    r"""\s*(?: (?P<number> [-+]? (?: [0-9]+\.?[0-9]* | \.[0-9]+ ) (?: [eE][-+]?[0-9]+ )? ) (?![\w.])
    | (?P<name> [^\W\d]\w* ) | (?P<quoted> '[^'\\\n]*' | "[^"\\\n]*" ) | (?P<mark> [()\[\]{},:=] ) | (?P<end> $ ) )""",
    re.VERBOSE,
)


def parse(text: str, known: Mapping[str, Make], other: Other, checks: bool = True) -> Recipe:
    """Parse a recipe. Names may be in any case, with or without underscores.

    Args:
        text: the text.
        known: the constructor for each name.
        other: called with an unknown name and the known ones; returns its constructor or raises an error.
        checks: whether to check options before the constructors are called.
    """
    if not isinstance(text, str):
        raise TypeError(f'recipe: expected a text, got {short(text)}; write such as "cutmix(alpha=1.0)"')
    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"recipe: expected a text of at most {MAX_CHARACTERS} characters, got {len(text)}; "
            "make the recipe in Python"
        )
    reader = _Reader(text, known, other, checks)
    recipe = reader.value()
    if reader.kind != "end":
        reader.refuse_form()
    if not isinstance(recipe, Recipe):
        raise ValueError(f'recipe: expected the name of a recipe, got {short(text)}; write such as "cutmix"')
    return recipe


class _Option(str):
    """The name of an option."""


class _Reader:
    """Reads a text from left to right; `kind` and `token` are what comes next."""

    def __init__(self, text: str, known: Mapping[str, Make], other: Other, checks: bool) -> None:
        self.text, self.place, self.depth, self.kind, self.token = text, 0, 0, "", ""
        self.names = tuple(known)
        self.known = {plain(name): make for name, make in known.items()}
        self.other, self.checks = other, checks
        self.next()

    def next(self) -> str:
        """Return the current token and advance to the next."""
        token, found = self.token, _TOKEN.match(self.text, self.place)
        if not found or not found.lastgroup:
            rest = self.text[self.place :].strip()
            raise ValueError(
                f"recipe: expected names, numbers, quoted words and brackets, got {rest[:20]!r} in "
                f"{short(self.text)}; write such as 'mixup(alpha=0.2)'"
            )
        self.kind, self.token, self.place = found.lastgroup, found[found.lastgroup], found.end()
        return token

    def refuse_form(self) -> NoReturn:
        """Raise a ValueError for valid tokens in the wrong order."""
        raise ValueError(
            f"recipe: expected names and options in brackets, got {short(self.text)}; "
            'write such as "one_of(mixup(alpha=0.2), cutmix)"'
        )

    def take(self, mark: str) -> bool:
        """Return whether this mark comes next, and read it."""
        found = self.kind == "mark" and self.token == mark
        if found:
            self.next()
        return found

    def value(self) -> Any:
        """Read a recipe, a number, a quoted word, None, True, False, a tuple or a dict."""
        if self.kind == "number":
            return self.number(self.next())
        if self.kind == "quoted":
            return self.next()[1:-1]
        if self.kind == "name":
            return self.named(self.next())
        if self.kind != "mark" or self.token not in _CLOSING:
            self.refuse_form()
        return self.bracket(self.next())

    def number(self, token: str) -> int | float:
        """Return the number of a token."""
        try:
            return float(token) if set(token) & set(".eE") else int(token)
        except ValueError:  # more digits than Python reads
            raise ValueError(
                f"recipe: expected a number, got {len(token)} digits in {short(self.text)}; write fewer"
            ) from None

    def named(self, name: str) -> Any:
        """Read a constant, or a recipe with its options in parentheses."""
        if name.lower() in _CONSTANTS:
            return _CONSTANTS[name.lower()]
        args: list[Any] = []
        options: dict[str, Any] = {}
        for key, value in self.items(")")[0] if self.take("(") else ():
            if isinstance(key, _Option):
                self.add(options, key.lower(), value)
            elif key is None and not options:
                args.append(value)
            else:
                self.refuse_form()
        return self.make(name, args, options)

    def bracket(self, opening: str) -> Any:
        """Read a dict with numbers as keys, a tuple, or a parenthesized value."""
        items, comma = self.items(_CLOSING[opening])
        if opening == "{":
            phases: dict[Any, Any] = {}
            for key, value in items:
                if type(key) not in (int, float):
                    self.refuse_form()
                self.add(phases, key, value)
            return phases
        if any(key is not None for key, _ in items):
            self.refuse_form()
        values = tuple(value for _, value in items)
        return values[0] if opening == "(" and len(values) == 1 and not comma else values

    def items(self, closing: str) -> tuple[list[tuple[Any, Any]], bool]:
        """Read (key or None, value) pairs up to a closing bracket; return them and whether they end with a comma."""
        self.depth += 1
        if self.depth > MAX_BRACKETS:
            raise ValueError(
                f"recipe: expected at most {MAX_BRACKETS} open brackets, got more in {short(self.text)}; "
                "make the recipe in Python"
            )
        found: list[tuple[Any, Any]] = []
        comma = False
        while not self.take(closing):
            if found and not comma:
                self.refuse_form()
            found.append(self.item())
            comma = self.take(",")
        self.depth -= 1
        return found, comma

    def item(self) -> tuple[Any, Any]:
        """Read a value without a key, `option=value` or `number: value`."""
        if self.kind == "name":
            name = self.next()
            return (_Option(name), self.value()) if self.take("=") else (None, self.named(name))
        value = self.value()
        return (value, self.value()) if self.take(":") else (None, value)

    def add(self, options: dict[Any, Any], key: Any, value: Any) -> None:
        """Add an option that may be given once."""
        if key in options:
            raise ValueError(f"recipe: expected {key} once, got it twice in {short(self.text)}; leave one out")
        options[key] = value

    def make(self, name: str, args: list[Any], options: dict[str, Any]) -> Recipe:
        """Call the constructor of this name."""
        make = self.known.get(plain(name)) or self.other(name, self.names)
        if self.checks:
            self.check_options(name, make, args, options)
        return make(*args, **options)

    def check_options(self, name: str, make: Make, args: list[Any], options: dict[str, Any]) -> None:
        """Raise a ValueError for options that a constructor does not take."""
        signature = inspect.signature(make)
        try:
            signature.bind(*args, **options)
        except TypeError as error:
            takes = ", ".join(str(p.replace(annotation=p.empty)) for p in signature.parameters.values())
            unknown = [option for option in options if option not in signature.parameters]
            hints = [suggested_option(option, signature.parameters).replace("ma.", "") for option in unknown[:1]]
            way_out = hints[0] if hints else "write options by name"
            raise ValueError(
                f"recipe: expected options of {name}({takes}), got {_cause(error)} in {short(self.text)}; {way_out}"
            ) from None


def unknown(name: str, names: Sequence[str]) -> ValueError:
    """Return the error for an unknown name."""
    names = sorted(names, key=plain)
    return ValueError(
        f"recipe: expected a known name, got {short(name)}{_nearest(name, names)}; known are {', '.join(names)}"
    )


def _cause(error: TypeError) -> str:
    """Return Python's message about wrong arguments, without its verb."""
    return str(error).removeprefix("got ")


def _nearest(name: str, names: Sequence[str]) -> str:
    meant = suggested_name(name).replace("ma.", "")
    if plain(meant.partition("(")[0]) in map(plain, names):
        return f", did you mean {meant}?"
    near = get_close_matches(plain(name), list(map(plain, names)), n=1, cutoff=0.5)
    return f", did you mean {next(n for n in names if plain(n) == near[0])}?" if near else ""


def plain(name: str) -> str:
    """Return a name in lower case without underscores, for comparison."""
    return name.lower().replace("_", "")
