"""What a field may be, for sentences about those that nobody declared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import numpy as np

from .. import backends
from ..core.units import DTYPES
from ..ops.masks import DTYPES as IDS


def is_list(x: Any) -> bool:
    """Whether a field is a list of things, or NumPy's array of texts or objects, which no other library has."""
    return isinstance(x, list) or (isinstance(x, np.ndarray) and x.dtype.kind in "OSU")


def refuse(name: str, x: Any, expected: str) -> NoReturn:
    """Raise a ValueError for a part of a batch that is not what it should be, which says what it may be."""
    xp = backends.find(x)
    came = f"{xp.dtype(x)} of the shape {tuple(x.shape)}" if xp else type(x).__name__
    raise ValueError(f"{name}: expected {expected}, got {came}; say what it is: {ways_out(name, x)}")


def ways_out(name: str, x: Any) -> str:
    """How to say what a part of a batch is, the likely reading first."""
    likely, *others = _readings(x)
    return f"pass fields={{{name!r}: {likely}}} (or {', '.join(others)})"


def _readings(x: Any) -> list[str]:
    """What a part of a batch may be said to be, as code."""
    xp, numbers = backends.find(x), ["'values'", "'keep'"]
    if is_list(x):
        return ["'keep'", "'per_source'"]
    if xp is None:
        return ["'images'", "'labels'", "'masks'", *numbers]
    dtype, axes = xp.dtype(x), len(x.shape)
    if axes < 3:
        return ["'labels'", *numbers] if dtype in IDS else ["'values'", "'labels'", "'keep'"]
    images = [] if dtype not in DTYPES else ["ma.Images(layout='nhw')" if axes == 3 else "'images'"]
    if dtype not in IDS:
        return [*images, f"ma.Masks(soft=True, layout={xp.layout!r})" if axes == 4 else "ma.Masks(soft=True)", *numbers]
    colours = axes == 4 and 3 in (x.shape[1], x.shape[-1])
    return [*images, "'masks'", *numbers] if images and colours else ["'masks'", *images, *numbers]


def is_called(path: str, name: str) -> bool:
    """Return whether a field of this path has this name: its own or its whole path."""
    return path == name or path.endswith(f"/{name}")


def quoted(names: Iterable[str]) -> str:
    """Names of fields for a sentence; that of a single array is empty."""
    return ", ".join(repr(name) if name else "an array without a name" for name in names)
