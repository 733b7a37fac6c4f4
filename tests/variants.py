"""Which variants of a test `make test` runs."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import Any

SLOW = ("tf_graph", "tf_xla", "torch_compiled", "jax_eager", "jax_jit")  # ways that may take seconds: they compile


def pairwise(variants: list[Any]) -> set[int]:
    """A subset of the variants that covers all pairs of values of two parameters.

    Greedy: repeatedly takes the variant that adds the most pairs; ties go to the first.
    """
    missing = {}
    for number, variant in enumerate(variants):
        values = [(name, id(value)) for name, value in sorted(variant.params.items())]
        missing[number] = set(combinations(values, min(2, len(values))))
    chosen = set()
    while missing:
        best = max(missing, key=lambda number: len(missing[number]))
        chosen.add(best)
        covered = missing.pop(best)
        missing = {number: left for number, pairs in missing.items() if (left := pairs - covered)}
    return chosen


def one_a_way(variants: list[Any]) -> set[int]:
    """All variants of the fast ways, and one variant of each slow way, a different one for each."""
    by_way: dict[str, list[int]] = defaultdict(list)
    for number, variant in enumerate(variants):
        by_way[variant.params["way"].__name__].append(number)
    chosen = {number for name, numbers in by_way.items() if name not in SLOW for number in numbers}
    return chosen | {numbers[-1 - SLOW.index(name) % len(numbers)] for name, numbers in by_way.items() if name in SLOW}
