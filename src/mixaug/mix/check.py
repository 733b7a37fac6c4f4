"""Validate a mix that was constructed directly or read from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import backends
from ..core.checks import check_array, check_lam, check_region, check_size, check_sizes, check_values, check_windows
from ..ops import rows

if TYPE_CHECKING:
    from .value import Mix


def check(mix: Mix) -> None:
    """Check the structure of a mix and, unless they are traced, its values."""
    xp, index, region = backends.of(mix.index, "index"), mix.index, mix.region
    if len(xp.shape(index)) != 2:
        raise ValueError(
            f"index: expected the shape (k, n), got {tuple(index.shape)}; pass a row number for each source of each "
            "output"
        )
    sources, n = xp.shape(index)
    check_array(xp, "index", index, ((sources, n),), ("int32",))
    check_array(xp, "lam", mix.lam, ((sources, n),), ("float32",))
    object.__setattr__(mix, "size", check_size(mix.size))
    check_region(xp, region, sources, n, mix.size)
    if mix.source_size is not None:
        object.__setattr__(mix, "source_size", check_sizes(mix.size, mix.source_size).source)
        check_windows(region, mix._sizes, "this region")
    arrays = [xp.concrete(array) for array in (index, mix.lam, *region.arrays().values())]
    if all(array is not None for array in arrays) and all(isinstance(length, int) for length in mix.size):
        check_values(region, n, *mix._sizes)
        numpy, on_host = (
            backends.common(),
            type(region).of(dict(zip(region.arrays(), arrays[2:], strict=True)), sources),
        )
        wanted = rows.merge(numpy, arrays[0], on_host.lam(numpy, n, mix.size))
        check_lam(arrays[0], rows.merge(numpy, arrays[0], arrays[1]), wanted)
