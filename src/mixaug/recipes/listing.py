"""The description of each recipe, read from its docstring."""

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
    """An entry of `ma.recipes()`.

    Args:
        name: as `ma.recipe` reads it, in any case.
        defaults: the recipe with its default options, as text that `ma.recipe` reads.
        summary: the first line of its docstring.
        formula: the indented lines that follow the summary, or an empty string.
        good_for: the paragraph that begins with "Good for", or an empty string.
        notes: the other paragraphs: the paper, and differences from it.
        paper: the paper cited by the first note that begins with a citation, or None.
        kind: the class.
        distribution: the package that provides it: "mixaug", or that of its entry point.
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
    """Return the entry of a recipe.

    >>> from .cut import CutMix
    >>> entry(CutMix).defaults, entry(CutMix).paper.year
    ('CutMix(alpha=1.0)', 2019)
    """
    first, *rest = re.split(r"\n\s*\n", inspect.cleandoc(_docstring(kind)))
    texts = [paragraph for paragraph in rest if not paragraph.startswith((*_SECTIONS, " "))]
    prose = [" ".join(paragraph.split()) for paragraph in texts]
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
    """Return the docstring as written; a dataclass without one has its signature in its place."""
    text = kind.__doc__ or ""
    return "" if text.startswith(f"{kind.__name__}(") else text


def _paper(text: str) -> Paper | None:
    found = _CITATION.match(text)
    return Paper(found["authors"], int(found["year"]), found["title"]) if found else None
