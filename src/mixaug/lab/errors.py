"""The errors of the lab."""

from collections.abc import Iterable
from difflib import get_close_matches


class LabError(ValueError):
    """An error for the user, in one sentence: expected, got, way out."""


class UnreadableError(LabError):
    """A file that is damaged or not an image."""

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(f"expected an image, got {path}, which cannot be read ({reason}): repair or remove it")
        self.path, self.reason = path, reason


def unknown(what: str, name: str, known: Iterable[str], shown: Iterable[str] | None = None) -> LabError:
    """Return the error for an unknown name, with the closest known name.

    Args:
        what: the kind of thing that the name refers to.
        name: the name.
        known: all known names.
        shown: a shorter list to show instead of `known`.

    >>> unknown("a model", "resnet21", ["small", "resnet20"])
    LabError("expected a model (small, resnet20), got 'resnet21': did you mean 'resnet20'?")
    """
    names = list(known)
    nearest = get_close_matches(name, names, n=1, cutoff=0.0)[0]
    return LabError(f"expected {what} ({', '.join(shown or names)}), got {name!r}: did you mean {nearest!r}?")
