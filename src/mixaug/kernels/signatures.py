"""Numba types of the named tuples, and signatures of the kernels that are called by address."""

from __future__ import annotations

from typing import Any

from numba import types

from .forms import Band, Calls, Frame, Numbers, Pixels, Range, RegionArrays, Sources, State, Window
from .machine import loader


def _array(dtype: Any, axes: int, written: bool) -> Any:
    return types.Array(dtype, axes, "C", readonly=not written)


def _tuple(kind: Any, fields: list[Any]) -> Any:
    """Numba's type of a named tuple of these types."""
    alike = all(field == fields[0] for field in fields)
    return types.NamedUniTuple(fields[0], len(fields), kind) if alike else types.NamedTuple(fields, kind)


_read, _written = _array(types.uint8, 1, False), _array(types.uint8, 1, True)
_int, _flag = types.int64, types.boolean
PIXELS = _tuple(Pixels, [_written, _read, _read, _read, _written, _written, _array(_int, 1, True)])
SOURCES = _tuple(Sources, [_array(types.int32, 2, False), _flag, _flag, _int, _array(_int, 2, True)])
REGION_ARRAYS = _tuple(
    RegionArrays,
    [
        _array(types.float32, 2, False),
        _array(_flag, 1, False),
        _array(types.int32, 4, False),
        _array(types.int32, 4, False),
        _array(_int, 1, False),
        _array(_flag, 1, False),
        _array(_flag, 3, False),
        _array(types.float32, 3, False),
        _array(_int, 2, True),
        _array(_int, 2, True),
    ],
)
FRAME = _tuple(Frame, [*[_int] * 16, _flag, _flag])
NUMBERS = _tuple(
    Numbers,
    [
        _read,
        _read,
        _written,
        _array(types.float32, 1, True),
        _array(types.float32, 1, True),
        _array(_int, 1, True),
        _array(types.float32, 1, True),
    ],
)
CALLS = _tuple(Calls, [_int] * 7)
BAND = _tuple(Band, [_int] * 5)
WINDOW = _tuple(Window, [_int] * 7)
RANGE = _tuple(Range, [_int] * 3)

STATE = _tuple(State, [PIXELS, SOURCES, REGION_ARRAYS, FRAME, NUMBERS, CALLS])

load = loader(STATE)  #: the `State` at an address of `on_stack`

MAKE = types.void(BAND, _int)
STORE = types.void(_int, _int)
PICK = types.void(_written, _read, WINDOW, _int)
CONVERT = types.void(_written, _read, _int, RANGE, _int)
BLEND = types.void(_written, RANGE, _int)
WEIGH = types.void(_read, _int, _int, _int, _int)
FINISH = types.void(_written, RANGE, _int)
