"""What the numbers of mixed images are in: another dtype, and a scale and an offset a channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..backends import Array
from .hints import short

DTYPES = ("uint8", "float16", "bfloat16", "float32", "float64")
FLOATS = DTYPES[1:]
INTEGERS = ("int16", "uint16")  #: dtypes that come out as floats, in units that have to be said


@dataclass(frozen=True, eq=False)
class Units:
    """output = scale * pixel + offset, computed in float32 (float64 of float64) and rounded once to the dtype.

    Args:
        dtype: the name of the dtype of the output.
        scale: float32 (), or (c,) with one a channel; None where pixels stay in their units.
        offset: of the same shape; None where scale is.
    """

    dtype: str
    scale: Array | None = None
    offset: Array | None = None

    def keep(self, dtype: str) -> bool:
        """Whether images of that dtype stay what they are."""
        return self.scale is None and self.dtype == dtype


class Target(NamedTuple):
    """What mixed images are written as."""

    place: str | None  #: where the channels are: "first", "last" or None
    units: Units
    out: Array | None = None  #: the memory to write to; None: fresh memory


@backends.kept
def unchanged(dtype: str) -> Units:
    """The units of images of that dtype that stay as they are."""
    return Units(dtype)


def plain(numbers: Any) -> Any:
    """A number, or a tuple of numbers in place of a list or NumPy's array of them; what is neither stays as it is."""
    if backends.is_compiling():
        return numbers
    if isinstance(numbers, (list, tuple)) and all(isinstance(number, (int, float)) for number in numbers):
        return tuple(map(float, numbers))
    if isinstance(numbers, (np.ndarray, np.generic)) and numbers.ndim < 2 and numbers.dtype.kind in "fiu":
        numbers = numbers.tolist()
        return tuple(numbers) if isinstance(numbers, list) else numbers
    return numbers


def are_plain(*numbers: Any) -> bool:
    """Whether these are None, numbers or tuples of numbers, that nothing can change."""
    return all(
        number is None
        or isinstance(number, (int, float))
        or (isinstance(number, tuple) and all(isinstance(x, (int, float)) for x in number))
        for number in numbers
    )


def checked(dtype: str, wanted: Any, scale: Any, offset: Any, channels: int | None) -> Units:
    """The units of images of that dtype and so many channels, where some are said; an error for what is none."""
    named = dtype if wanted is None else _named(wanted)
    if named not in DTYPES and not (named == dtype and dtype in INTEGERS):
        raise TypeError(f"dtype: expected one of {', '.join(DTYPES)}, got {short(wanted)}")
    if scale is None and offset is None:
        return Units(named)
    if wanted is None and dtype == "uint8":
        raise ValueError('scale: expected dtype= beside it for uint8 images, got none; pass dtype="float32"')
    scale = _per_channel("scale", 1.0 if scale is None else scale, channels)
    return Units(named, scale, _per_channel("offset", 0.0 if offset is None else offset, channels))


def check_integers(dtype: str, wanted: Any, scaled: bool, what: str, say: str) -> None:
    """Refuse images of integers that floats are made of, unless it is said how.

    Args:
        dtype: the dtype of the images.
        wanted: the name of that of the output, or None.
        scaled: whether a scale or an offset was said.
        what: the name of the images, for the sentence.
        say: how a reader passes options, with their place as "{}".
    """
    if dtype in INTEGERS and (wanted is None or _named(wanted) not in FLOATS or not scaled):
        options = say.replace("{}", f'dtype="float32", scale=1 / {np.iinfo(dtype).max}')
        raise TypeError(
            f"{what}: expected a float dtype= and a scale= for images of {dtype}, which say what becomes of their "
            f"numbers, got dtype={wanted!r} and {'a' if scaled else 'no'} scale; pass {options}"
        )


def _per_channel(name: str, given: Any, channels: int | None) -> Array:
    known = backends.find(given)
    try:
        numbers = given if known and known.name != "numpy" else np.asarray(given, np.float32)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}: expected a number, or one for each channel, got {short(given)}; pass floats"
        ) from None
    shape = tuple(numbers.shape)
    if len(shape) > 1 or (shape and channels is not None and shape[0] not in (1, channels)):
        raise ValueError(
            f"{name}: expected a number, or one for each of {channels} channels, got the shape {shape}; "
            f"give one or {channels or 'as many'}"
        )
    return numbers


def _named(dtype: Any) -> str:
    """The name of a dtype of any library."""
    if isinstance(dtype, str):
        return dtype
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    return str(name).removeprefix("torch.")
