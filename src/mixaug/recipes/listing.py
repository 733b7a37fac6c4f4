"""What there is to know of a recipe before it is used. Its docstring says it, and is the only place that does."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from .recipe import Recipe

_CITATION = re.compile(r'(?P<authors>[A-Z][^":;]*?) (?P<year>[12]\d{3}), "(?P<title>[^"]+)"')
_SECTIONS = ("Args:", "Returns:", "Raises:", "Example:")


@dataclass(frozen=True)
class Paper:
    """Where a recipe was published.

    >>> str(Paper("Zhang et al.", 2018, "mixup: Beyond Empirical Risk Minimization"))
    'Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization"'
    """

    authors: str
    year: int
    title: str

    def __str__(self) -> str:
        return f'{self.authors} {self.year}, "{self.title}"'


@dataclass(frozen=True)
class Entry:
    """A recipe in the list of all, `ma.recipes()`.

    Args:
        name: as `ma.recipe` reads it, in any case.
        defaults: the recipe with every option as it is unless it is said, in the form that `ma.recipe` reads.
        summary: what it does, in a line: the first of its docstring.
        formula: the indented lines that follow it there; empty where there are none.
        good_for: the paragraph that begins with "Good for", or empty.
        notes: what else it says, a paragraph each: the paper, and what is different here.
        paper: the first of these that begins as `Paper` is written; None where none does.
        kind: the class.
        distribution: the one that it comes with: "mixaug", or that of its entry point.
    """

    name: str
    defaults: str
    summary: str
    formula: str
    good_for: str
    notes: tuple[str, ...]
    paper: Paper | None
    kind: type[Recipe]
    distribution: str

    @property
    def options(self) -> str:
        """The options of `defaults`, without the name."""
        return self.defaults.removeprefix(f"{self.name}(").removesuffix(")")


def entry(kind: type[Recipe], distribution: str = "mixaug") -> Entry:
    """What the list says of a recipe.

    >>> from .cut import CutMix
    >>> entry(CutMix).defaults, entry(CutMix).paper.year
    ('CutMix(alpha=1.0)', 2019)
    """
    first, *rest = re.split(r"\n\s*\n", inspect.cleandoc(_docstring(kind)))
    said = [paragraph for paragraph in rest if not paragraph.startswith((*_SECTIONS, " "))]
    prose = [" ".join(paragraph.split()) for paragraph in said]
    notes = tuple(text for text in prose if not text.startswith("Good for"))
    return Entry(
        name=kind.__name__,
        defaults=repr(kind()),
        summary=" ".join(first.split()),
        formula=inspect.cleandoc("\n" + rest[0]) if rest and rest[0].startswith(" ") else "",
        good_for=next((text for text in prose if text.startswith("Good for")), ""),
        notes=notes,
        paper=next((paper for paper in map(_paper, notes) if paper), None),
        kind=kind,
        distribution=distribution,
    )


def _docstring(kind: type[Recipe]) -> str:
    """That which was written: a dataclass without one gets its signature instead."""
    text = kind.__doc__ or ""
    return "" if text.startswith(f"{kind.__name__}(") else text


def _paper(text: str) -> Paper | None:
    found = _CITATION.match(text)
    return Paper(found["authors"], int(found["year"]), found["title"]) if found else None
