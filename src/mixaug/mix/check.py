"""Check a mix that was made by hand or read from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import backends
from ..core.checks import check_array, check_lam, check_region, check_size, check_sizes, check_values, check_windows
from ..ops import rows

if TYPE_CHECKING:
    from .value import Mix


def check(mix: Mix) -> None:
    """Raise unless structure and, where they can be seen, values of a mix made by hand are right."""
    xp, index, region = backends.of(mix.index, "index"), mix.index, mix.region
    if len(xp.shape(index)) != 2:
        raise ValueError(f"index: expected the shape (k, n), got {tuple(index.shape)}; give rows for each source")
    sources, n = xp.shape(index)
    check_array(xp, "index", index, ((sources, n),), ("int32",))
    check_array(xp, "lam", mix.lam, ((sources, n),), ("float32",))
    object.__setattr__(mix, "size", check_size(mix.size))
    check_region(xp, region, sources, n, mix.size)
    if mix.source_size is not None:
        object.__setattr__(mix, "source_size", check_sizes(mix.size, mix.source_size).source)
        check_windows(region, mix._sizes, "this region")
    seen = [xp.concrete(array) for array in (index, mix.lam, *region.arrays().values())]
    if all(array is not None for array in seen) and all(isinstance(length, int) for length in mix.size):
        check_values(region, n, *mix._sizes)
        home, host = backends.common(), type(region).of(dict(zip(region.arrays(), seen[2:], strict=True)), sources)
        wanted = rows.merge(home, seen[0], host.lam(home, n, mix.size))
        check_lam(seen[0], rows.merge(home, seen[0], seen[1]), wanted)
