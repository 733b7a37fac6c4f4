"""The readable form of a recipe: `one_of(mixup(alpha=0.2), cutmix)`. Parsed, never evaluated."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NoReturn, TypeAlias

from ..core.hints import meant_option, other_name, short
from .recipe import Recipe

Make: TypeAlias = Callable[..., Recipe]
Other: TypeAlias = Callable[[str, tuple[str, ...]], Make]

MAX_CHARACTERS = 100_000  #: of a text
MAX_BRACKETS = 100  #: that are open at once
_CONSTANTS = {"none": None, "true": True, "false": False}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(
    r"""\s*(?: (?P<number> [-+]? (?: [0-9]+\.?[0-9]* | \.[0-9]+ ) (?: [eE][-+]?[0-9]+ )? ) (?![\w.])
    | (?P<name> [^\W\d]\w* ) | (?P<quoted> '[^'\\\n]*' | "[^"\\\n]*" ) | (?P<mark> [()\[\]{},:=] ) | (?P<end> $ ) )""",
    re.VERBOSE,
)


def parse(text: str, known: Mapping[str, Make], other: Other, checks: bool = True) -> Recipe:
    """The recipe that a text names, with names in any case and with or without underscores.

    Args:
        text: what to read.
        known: what each name makes.
        other: what a name makes that is not among these, whose names it is handed; it raises for an unknown one.
        checks: whether options are looked at before they are handed on.
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
        """The token, after which the one behind it comes next."""
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
        """Raise for a text of the right tokens in the wrong order."""
        raise ValueError(
            f"recipe: expected names and options in brackets, got {short(self.text)}; "
            'write such as "one_of(mixup(alpha=0.2), cutmix)"'
        )

    def take(self, mark: str) -> bool:
        """Whether that mark comes next, which is then read."""
        found = self.kind == "mark" and self.token == mark
        if found:
            self.next()
        return found

    def value(self) -> Any:
        """A recipe, a number, a quoted word, None, True, False, a tuple or a dict."""
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
        """The number that a token spells."""
        try:
            return float(token) if set(token) & set(".eE") else int(token)
        except ValueError:  # of more digits than Python reads
            raise ValueError(
                f"recipe: expected a number, got {len(token)} digits in {short(self.text)}; write fewer"
            ) from None

    def named(self, name: str) -> Any:
        """A constant, or the recipe of that name and the options in brackets behind it."""
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
        """A dict of numbers, a tuple, or a value in brackets of its own."""
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
        """Each (key or None, value) up to a closing bracket, and whether a comma stands before that."""
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
        """A value without a key, `option=value` or `number: value`."""
        if self.kind == "name":
            name = self.next()
            return (_Option(name), self.value()) if self.take("=") else (None, self.named(name))
        value = self.value()
        return (value, self.value()) if self.take(":") else (None, value)

    def add(self, options: dict[Any, Any], key: Any, value: Any) -> None:
        """Add what may be said once."""
        if key in options:
            raise ValueError(f"recipe: expected {key} once, got it twice in {short(self.text)}; leave one out")
        options[key] = value

    def make(self, name: str, args: list[Any], options: dict[str, Any]) -> Recipe:
        """Call the maker of that name."""
        make = self.known.get(plain(name)) or self.other(name, self.names)
        if self.checks:
            self.check_options(name, make, args, options)
        return make(*args, **options)

    def check_options(self, name: str, make: Make, args: list[Any], options: dict[str, Any]) -> None:
        """Raise a ValueError for options that a maker does not take."""
        signature = inspect.signature(make)
        try:
            signature.bind(*args, **options)
        except TypeError as error:
            takes = ", ".join(str(p.replace(annotation=p.empty)) for p in signature.parameters.values())
            unknown = [option for option in options if option not in signature.parameters]
            hints = [meant_option(option, signature.parameters).replace("ma.", "") for option in unknown[:1]]
            way_out = hints[0] if hints else "write options by name"
            raise ValueError(
                f"recipe: expected options of {name}({takes}), got {_cause(error)} in {short(self.text)}; {way_out}"
            ) from None


def unknown(name: str, names: Sequence[str]) -> ValueError:
    """The error for a name that is not among those known."""
    names = sorted(names, key=plain)
    return ValueError(
        f"recipe: expected a known name, got {short(name)}{_nearest(name, names)}; known are {', '.join(names)}"
    )


def _cause(error: TypeError) -> str:
    """What Python says of arguments, without its verb."""
    return str(error).removeprefix("got ")


def _nearest(name: str, names: Sequence[str]) -> str:
    meant = other_name(name).replace("ma.", "")
    if plain(meant.partition("(")[0]) in map(plain, names):
        return f", did you mean {meant}?"
    near = get_close_matches(plain(name), list(map(plain, names)), n=1, cutoff=0.5)
    return f", did you mean {next(n for n in names if plain(n) == near[0])}?" if near else ""


def plain(name: str) -> str:
    """A name as it is compared: in small letters, without underscores."""
    return name.lower().replace("_", "")
