"""What the lab says when something is wrong."""

from collections.abc import Iterable
from difflib import get_close_matches


class LabError(ValueError):
    """One sentence for the person at the terminal: what was expected, what came, the way out."""


class UnreadableError(LabError):
    """A file that is damaged, or no image."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"expected an image, got {path}, which cannot be read ({reason}): repair or remove it")
        self.path, self.reason = path, reason


def unknown(what: str, name: str, known: Iterable[str], shown: Iterable[str] | None = None) -> LabError:
    """The error for a name that is not one of the known ones, with the nearest of them.

    Args:
        what: what the name should be of.
        name: the name.
        known: all names.
        shown: what the sentence lists instead of them, where they are many.

    >>> unknown("a model", "resnet21", ["small", "resnet20"])
    LabError("expected a model (small, resnet20), got 'resnet21': did you mean 'resnet20'?")
    """
    names = list(known)
    nearest = get_close_matches(name, names, n=1, cutoff=0.0)[0]
    return LabError(f"expected {what} ({', '.join(shown or names)}), got {name!r}: did you mean {nearest!r}?")
