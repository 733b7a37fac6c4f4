"""NumPy: mixaug, and the three ways in which mixing is written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np

import mixaug as ma

from .. import child, timing
from ..timing import Call, Contender, Row
from ..workloads import RECIPES, Case, Pipelines, Work, normalised, one_hot, works
from . import ours

Pair = tuple[np.ndarray, np.ndarray]
Mixer = Callable[[np.ndarray, np.ndarray, np.random.Generator], Pair]

DIRICHLET, WHERE, LOOP = "Dirichlet by hand", "np.where by hand", "loop over slices by hand"
GATHERS = "gathers every source of the whole batch"


def rows(short: bool) -> Iterator[Row]:
    """All that is measured here."""
    yield from child.batches(contenders, short)
    yield from parts(works(short)[0])
    yield from child.pipelines(generators, short)


def contenders(work: Work, case: Case) -> list[Contender]:
    """Those that mix a batch."""
    limits = [filled(work, case), *([cast(work, case)] if case.normalises else [])]
    beside = [*limits, *ours.contenders(work, case, np.asarray)]
    if work.with_masks:
        return [*beside, Contender(LOOP, lambda: looped_masks(work, case), remark="on copies")]
    return beside + [
        Contender(name, lambda mixer=mixer: by_hand(work, case, mixer), remark=remark)
        for name, (mixer, remark) in mixers(case.method).items()
    ]


def filled(work: Work, case: Case) -> Contender:
    """A second limit: the output written, and nothing read."""
    dtype = np.uint8 if case.dtypes.endswith("uint8") else np.float32

    def make() -> Call:
        out = np.empty((work.rows, *work.size, 3), dtype)
        return lambda: out.fill(1)

    return Contender(timing.FILL, make, per_sample=False, remark="reads nothing, mixes nothing")


def cast(work: Work, case: Case) -> Contender:
    """A third limit: uint8 converted to float32, neither scaled nor mixed."""

    def make() -> Call:
        x, out = work.images(case), np.empty((work.rows, *work.size, 3), np.float32)
        return lambda: np.copyto(out, x)

    return Contender(timing.CAST, make, per_sample=False, remark="into a buffer, mixes nothing")


def mixers(method: str) -> dict[str, tuple[Mixer, str]]:
    """The ways to write a method by hand."""
    if method == "CutMix":
        return {WHERE: (chosen, GATHERS), LOOP: (sliced, "on a copy; in place it would read what it has overwritten")}
    parents = 5 if method == "5-way MixUp" else 2
    return {DIRICHLET: (lambda x, y, rng: blended(x, y, rng, parents), GATHERS)}


def by_hand(work: Work, case: Case, mixer: Mixer) -> Call:
    """A call of one of them; what cuts, cuts uint8 and normalises last."""
    x, y, rng = work.images(case), one_hot(work.labels, work.classes), np.random.default_rng(0)
    return lambda: finished(case.normalises, *mixer(x, y, rng))


def finished(normalises: bool, x: np.ndarray, y: np.ndarray) -> Pair:
    """Mixed images, normalised if asked for, with their labels."""
    return normalised(x) if normalises else x, y


def blended(x: np.ndarray, y: np.ndarray, rng: np.random.Generator, parents: int = 2) -> Pair:
    """MixUp of any number of sources, by Dirichlet weights and as many shuffles."""
    weights = rng.dirichlet(np.ones(parents), len(x)).astype(np.float32).T
    order = np.stack([np.arange(len(x)), *(rng.permutation(len(x)) for _ in range(parents - 1))])
    return (weights[:, :, None, None, None] * x[order]).sum(axis=0), (weights[:, :, None] * y[order]).sum(axis=0)


def boxes(n: int, size: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A clipped box a sample, (n, 2 axes, 2 ends), and how much of the image it leaves, (n,)."""
    sides = (np.sqrt(1 - rng.beta(1.0, 1.0, n))[:, None] * size).astype(int)
    low = np.stack([rng.integers(0, length, n) for length in size], axis=1) - sides // 2
    ends = np.stack([np.maximum(low, 0), np.minimum(low + sides, size)], axis=2)
    left = 1 - np.prod(ends[:, :, 1] - ends[:, :, 0], axis=1) / np.prod(size)
    return ends, left.astype(np.float32)


def weighed(y: np.ndarray, order: np.ndarray, left: np.ndarray) -> np.ndarray:
    """The labels of pasted images."""
    return left[:, None] * y + (1 - left)[:, None] * y[order]


def chosen(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Pair:
    """CutMix by a mask of the whole batch and `np.where`."""
    n, size = len(x), x.shape[1:3]
    ends, left = boxes(n, size, rng)
    inside = [
        (np.arange(length) >= ends[:, axis, :1]) & (np.arange(length) < ends[:, axis, 1:])
        for axis, length in enumerate(size)
    ]
    order, mask = rng.permutation(n), inside[0][:, :, None, None] & inside[1][:, None, :, None]
    return np.where(mask, x[order], x), weighed(y, order, left)


def sliced(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Pair:
    """CutMix by a loop that pastes one box after another on a copy."""
    ends, left = boxes(len(x), x.shape[1:3], rng)
    order, out = rng.permutation(len(x)), x.copy()
    for row, ((top, bottom), (start, stop)) in enumerate(ends):
        out[row, top:bottom, start:stop] = x[order[row], top:bottom, start:stop]
    return out, weighed(y, order, left)


def looped_masks(work: Work, case: Case) -> Call:
    """The same for images and masks."""
    x, masks, rng = work.images(case), work.masks, np.random.default_rng(0)

    def call() -> Pair:
        ends, _ = boxes(len(x), work.size, rng)
        order, out, out_masks = rng.permutation(len(x)), x.copy(), masks.copy()
        for row, ((top, bottom), (start, stop)) in enumerate(ends):
            out[row, top:bottom, start:stop] = x[order[row], top:bottom, start:stop]
            out_masks[row, top:bottom, start:stop] = masks[order[row], top:bottom, start:stop]
        return out, out_masks

    return call


def parts(work: Work) -> Iterator[Row]:
    """Where the time of a small batch goes: what it takes to draw, and to apply the drawn mix to images and labels."""
    for method in RECIPES:
        case = Case(method, "uint8 to float32")
        yield from timing.measure("per_source", method, pieces(work, case), work.pace)


def pieces(work: Work, case: Case) -> list[Contender]:
    """The draw, the images and the labels of mixaug, each by itself."""
    x, steps = work.images(case), count()
    out = np.ones(x.shape, np.float32)

    def draw() -> ma.Mix:
        return case.recipe.draw(work.rows, work.size, key=(0, 0, next(steps)), like=x)

    mix = draw()
    calls: dict[str, Call] = {
        "draw": draw,
        "images, out=": lambda: mix.images(x, out=out, **ours.as_float(case)),
        "labels": lambda: mix.labels(work.labels, work.classes),
    }
    return [Contender(name, lambda call=call: call, ours=True) for name, call in calls.items()]


def generators(data: Pipelines) -> list[Contender]:
    """The pipelines: mixaug's, and generators by hand."""
    by_us = [
        Contender(f"mixaug batches, {method}", lambda recipe=recipe: mixed(data, recipe), ours=True)
        for method, recipe in RECIPES.items()
    ]
    hands = {(method, name): mixer for method in RECIPES for name, (mixer, _) in mixers(method).items()}
    return by_us + [
        Contender(f"generator, {method}, {name}", lambda mixer=mixer: generated(data, mixer))
        for (method, name), mixer in hands.items()
    ]


def mixed(data: Pipelines, recipe: ma.Recipe) -> Callable[[], Iterator[Pair]]:
    """`ma.batches`."""
    options = {"num_classes": data.classes, "fields": ours.normalised_fields()}
    return lambda: ma.batches(recipe, data.x, data.y, data.batch_size, epochs=1, **options)


def generated(data: Pipelines, mixer: Mixer) -> Callable[[], Iterator[Pair]]:
    """A shuffled pass that takes a batch, mixes it and normalises it."""
    y, rng = one_hot(data.y, data.classes), np.random.default_rng(0)

    def passed() -> Iterator[Pair]:
        order = rng.permutation(data.rows)
        for start in range(0, data.rows, data.batch_size):
            rows = order[start : start + data.batch_size]
            yield finished(True, *mixer(data.x[rows], y[rows], rng))

    return passed


if __name__ == "__main__":
    child.main("numpy", rows, ["numpy", "numba"])
