"""The units of mixed images: their dtype, and a scale and an offset for each channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .. import backends
from ..backends import Array
from .hints import short

DTYPES = ("uint8", "float16", "bfloat16", "float32", "float64")
FLOATS = DTYPES[1:]
INTEGERS = ("int16", "uint16")  #: dtypes that are converted to floats, with explicit units


@dataclass(frozen=True, eq=False)
class Units:
    """A dtype, and an affine map of the pixels.

        output = scale * pixel + offset, in float32 (float64 for float64 pixels), rounded once to the dtype

    Args:
        dtype: the name of the dtype of the output.
        scale: float32 () or (c,), one for each channel; None for no change of units.
        offset: like `scale`.
    """

    dtype: str
    scale: Array | None = None
    offset: Array | None = None

    def keep(self, dtype: str) -> bool:
        """Whether images of that dtype remain unchanged."""
        return self.scale is None and self.dtype == dtype


class Target(NamedTuple):
    """The form, units and memory of mixed images."""

    place: str | None  #: the position of the channels: "first", "last" or None
    units: Units
    out: Array | None = None  #: the array to write to; if None, a new one


@backends.memoized
def unchanged(dtype: str) -> Units:
    """Return the units that leave images of that dtype unchanged."""
    return Units(dtype)


def plain(numbers: Any) -> Any:
    """Convert lists and NumPy arrays of numbers to hashable numbers or tuples; other values are returned unchanged."""
    if backends.is_compiling():
        return numbers
    if isinstance(numbers, (list, tuple)) and all(isinstance(number, (int, float)) for number in numbers):
        return tuple(map(float, numbers))
    if isinstance(numbers, (np.ndarray, np.generic)) and numbers.ndim < 2 and numbers.dtype.kind in "fiu":
        numbers = numbers.tolist()
        return tuple(numbers) if isinstance(numbers, list) else numbers
    return numbers


def are_plain(*numbers: Any) -> bool:
    """Whether all values are None, numbers or tuples of numbers, and so hashable."""
    return all(
        number is None
        or isinstance(number, (int, float))
        or (isinstance(number, tuple) and all(isinstance(x, (int, float)) for x in number))
        for number in numbers
    )


def checked(dtype: str, wanted: Any, scale: Any, offset: Any, channels: int | None) -> Units:
    """Return the units that the options ask for; raises an error for invalid options."""
    name = dtype if wanted is None else _dtype_name(wanted)
    if name not in DTYPES and not (name == dtype and dtype in INTEGERS):
        raise TypeError(f"dtype: expected one of {', '.join(DTYPES)}, got {short(wanted)}")
    if scale is None and offset is None:
        return Units(name)
    if wanted is None and dtype == "uint8":
        raise ValueError('scale: expected dtype= together with scale= for uint8 images, got None; pass dtype="float32"')
    scale = _per_channel("scale", 1.0 if scale is None else scale, channels)
    return Units(name, scale, _per_channel("offset", 0.0 if offset is None else offset, channels))


def check_integers(dtype: str, wanted: Any, scaled: bool, what: str, say: str) -> None:
    """Refuse images of dtype `INTEGERS` without a float output dtype and a scale.

    Args:
        dtype: the dtype of the images.
        wanted: the dtype of the output, or None.
        scaled: whether a scale or an offset was passed.
        what: the name of the images in the message.
        say: how to pass options, with "{}" in place of them.
    """
    if dtype in INTEGERS and (wanted is None or _dtype_name(wanted) not in FLOATS or not scaled):
        options = say.replace("{}", f'dtype="float32", scale=1 / {np.iinfo(dtype).max}')
        raise TypeError(
            f"{what}: expected a float dtype= and a scale= for {dtype} images, got dtype={wanted!r} and "
            f"{'a' if scaled else 'no'} scale; pass {options}"
        )


def _per_channel(name: str, value: Any, channels: int | None) -> Array:
    xp = backends.find(value)
    try:
        numbers = value if xp and xp.name != "numpy" else np.asarray(value, np.float32)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}: expected a number, or one for each channel, got {short(value)}; pass floats"
        ) from None
    shape = tuple(numbers.shape)
    if len(shape) > 1 or (shape and channels is not None and shape[0] not in (1, channels)):
        raise ValueError(
            f"{name}: expected a number, or one for each of {channels} channels, got the shape {shape}; "
            f"pass one number or {channels or 'one for each channel'}"
        )
    return numbers


def _dtype_name(dtype: Any) -> str:
    """Return the name of a dtype of any library."""
    if isinstance(dtype, str):
        return dtype
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    return str(name).removeprefix("torch.")
