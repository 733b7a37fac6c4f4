"""The invariants of a recipe that can be checked from outside: for those who write one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from . import backends
from .backends import Array
from .core import keys
from .core.layout import SPATIAL
from .core.maps import example
from .core.regions import Sizes, is_of_channels
from .mix import Mix
from .recipes import KNOWN, Recipe, check_recipe, read
from .recipes.recipe import DrawArgs

KEY = (2**65 + 7, -3, 11)
SIZES: tuple[tuple[int, tuple[int, ...]], ...] = ((32, (9, 7)), (3, (32, 32)), (1, (1, 1)), (2, (13,)), (4, (3, 5, 2)))

_REGION = "the region fits together"
_ULP = 2.0**-24  # the last bit of a number just below 1
_CLOSE = 1e-6  # how far float32 sums over pixels may be apart


def check(
    recipe: Recipe | str,
    *,
    sizes: Sequence[tuple[int, tuple[int, ...]]] = SIZES,
    libraries: Sequence[str] | None = None,
) -> None:
    """Check that a recipe keeps the invariants, in every library that is installed.

        for each (n, size): the region, weights, sources, the label is the pixels, the definition, masks, inputs stay
        for each library: the same mix as NumPy's, eager, and compiled by XLA at the first size
        once: the repr reads back

    Args:
        recipe: with the options to be checked.
        sizes: how many outputs, and of what spatial size: odd ones, a single pixel, signals, images and volumes. Give
            others where a recipe is made for images alone.
        libraries: of "numpy", "tensorflow", "torch" and "jax"; None: all that are installed and can be imported.

    Raises:
        AssertionError: a law is broken: which, by what recipe, where, and how. TypeError: what is no recipe.

    Example:
        >>> import mixaug as ma
        >>> ma.testing.check(ma.CutMix(alpha=1.0), libraries=["numpy"])

    It draws under one key; recipes that need guides get random ones. PyTorch is tried as it is, without its compiler.
    """
    recipe = check_recipe("testing.check", recipe)
    _check_repr(recipe)
    cases = [_Case(recipe, n, tuple(size)) for n, size in sizes]
    for case in cases:
        case.check()
    for name in _installed() if libraries is None else libraries:
        for case in cases:
            case.check_library(name, compiled=False)
        cases[0].check_library(name, compiled=True)


def _installed() -> list[str]:
    return [name for name in backends.DISPLAY_NAMES if find_spec(name) and _imports(name)]


def _imports(name: str) -> bool:
    try:
        backends.example(name)
    except ImportError:
        return False
    return True


def _check_repr(recipe: Recipe) -> None:
    try:
        again = read(repr(recipe), {type(recipe).__name__: type(recipe), **KNOWN})
        ok = again == recipe and hash(again) == hash(recipe)
        came = repr(again)
    except (TypeError, ValueError) as error:
        ok, came = False, str(error)
    if not ok:
        raise AssertionError(f"the repr reads back: {recipe!r} gives {came}")


@dataclass(frozen=True)
class _Case:
    """What a recipe draws for n outputs of a size."""

    recipe: Recipe
    n: int
    size: tuple[int, ...]

    def check(self) -> None:
        """All invariants but those of the other libraries."""
        self._check_weights()
        self._check_parents()
        self._check_windows()
        self._check_label()
        self._check_definition()
        self._check_masks()

    @property
    def layout(self) -> str:
        """That of images with their channels last."""
        return f"n{SPATIAL[len(self.size)]}c"

    @cached_property
    def guides(self) -> dict[str, NDArray[Any]]:
        """Those that the recipe needs, made at random."""
        return {need: example(need, self.n, self.size) for need in self.recipe.needs}

    @cached_property
    def mix(self) -> Mix:
        """That which NumPy draws."""
        with self._failing("any number of rows of any size"):
            return self.recipe.draw(self.n, self.size, key=KEY, guide=self.guides or None)

    @property
    def channels(self) -> int | None:
        """How many channels images need to have; None if any number will do."""
        fill = self.mix.region.fill
        return None if fill is None or not is_of_channels(fill, len(self.size)) else fill.shape[-1]

    @cached_property
    def dense(self) -> NDArray[np.float64]:
        """The weights of the sources at each pixel."""
        return np.asarray(self.mix.pixel_weights(), np.float64)

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Bool (n, *size): where a source is to be seen, and no hole."""
        return np.asarray(self.dense.sum(axis=0) > 0.5)

    def _check_weights(self) -> None:
        law, total, lam = "weights are at least 0 and sum to 1", self.dense.sum(axis=0), self.mix.lam
        least = self.mix.region.pixel_weights(backends.common(), self.n, self.size).min(initial=0)
        self._expect(least >= 0, law, f"a pixel has the weight {least:g}")
        worst = _farthest(total, self.seen)
        self._expect(abs(total - self.seen).max() < _CLOSE, law, f"those of a pixel sum to {worst:.7g}")
        self._expect(lam.min() >= 0, law, f"a lam is {lam.min():g}")
        worst = _farthest(lam.sum(axis=0), np.ones(self.n))
        self._expect(abs(worst - 1) <= 2 * _ULP, law, f"the shares of an output sum to {worst:.7g}")

    def _check_parents(self) -> None:
        law, index, shape = "sources are distinct", self.mix.index, (self.recipe.sources, self.n)
        self._expect(index.shape == shape, law, f"expected sources of the shape {shape}, got {index.shape}")
        self._expect((index[0] == np.arange(self.n)).all(), law, "the first is not the base sample")
        for i, (column, lam) in enumerate(zip(index.T, self.mix.lam.T, strict=True)):
            used = column[lam > 0].tolist()
            self._expect(len(set(used)) == len(used), law, f"output {i} is made of the rows {used}")

    def _check_windows(self) -> None:
        region, law = self.mix.region, "boxes, their source boxes and holes lie in the image"
        for boxes in (*region.box, *region.source_box, getattr(region, "hole", None)):
            if boxes is not None:
                first, last = boxes[..., 0], boxes[..., 1]
                out = (first < 0) | (last > np.array(self.size)) | (first > last)
                self._expect(not out.any(), law, f"one is {boxes[out.any(axis=-1)][:1].tolist()}")

    def _check_label(self) -> None:
        law, axes = "the label is the pixels that are seen", tuple(range(1, 1 + len(self.size)))
        count = self.seen.sum(axis=axes)
        some = count > 0  # a hole may be all there is
        of_weights = self.dense.sum(axis=tuple(a + 1 for a in axes))[:, some] / count[some]
        self._expect_close(law, "lam", self.mix.lam[:, some], "mean weight", of_weights)
        images, region = _own_class_everywhere(self.n, self.size), self.mix.region
        labels = self.mix.labels(np.arange(self.n), self.n)
        any_fill = None if region.fill is None else np.zeros(self.n, np.float32)
        mix = replace(self.mix, region=replace(region, fill=any_fill))
        visible = (mix.images(images, self.layout) * self.seen[..., None]).sum(axis=axes, dtype=np.float64)
        self._expect_close(
            law, "weight of a class", labels[some], "part of the pixels", visible[some] / count[some, None]
        )

    def _check_definition(self) -> None:
        x = np.random.default_rng(0).random((self.n, *self.size, self.channels or 2), np.float32)
        before = x.copy()
        x.flags.writeable = False
        images, region = self.mix.images(x, self.layout), self.mix.region
        self._expect((x == before).all() and not np.shares_memory(images, x), "inputs are not written to", "they were")
        weights = region.pixel_weights(backends.common(), self.n, self.size)[..., None]
        mixed = (weights * _shown(self.mix, x[self.mix.index])).sum(axis=0)
        fill = np.zeros(self.n, np.float32) if region.fill is None else region.fill
        fill = fill.reshape(*fill.shape, *[1] * (x.ndim - fill.ndim))
        defined = np.where(self.seen[..., None], mixed, fill)
        self._expect_close("what is applied is the dense definition", "pixel", images, "weighted sum", defined)

    def _check_masks(self) -> None:
        law, rows = "a mask has the id of the source that weighs most", np.arange(self.n)
        ids = np.broadcast_to(rows.reshape(-1, *[1] * len(self.size)), (self.n, *self.size))
        heaviest = np.take_along_axis(self.mix.index, self.dense.reshape(len(self.dense), self.n, -1).argmax(0).T, 0)
        heaviest = heaviest.T.reshape(ids.shape)
        ordered = np.sort(self.dense, axis=0)
        sure = ordered[-1] - ordered[-2] > _CLOSE if len(ordered) > 1 else self.seen
        expected = np.where(self.seen, heaviest, ids)  # a hole is nobody's: there the own id stays
        wrong = (self.mix.masks(np.ascontiguousarray(ids)) != expected) & (sure | ~self.seen)
        self._expect(not wrong.any(), law, f"{int(wrong.sum())} pixels have another")

    def check_library(self, name: str, *, compiled: bool) -> None:
        """The same key gives the same mix in a library, which leaves its input as it is."""
        example = backends.example(name)
        xp = backends.of(example)
        law = f"the same key gives the same mix in {xp.display_name}{', compiled' if compiled else ''}"
        before = np.random.default_rng(0).random((self.n, *self.size, self.channels or 2), np.float32)
        x, sizes = xp.constant(before), Sizes(self.size, self.size)

        @backends.no_autograph
        def run(x: Array) -> tuple[Mix, Array]:
            xp = backends.of(x)
            mix = self.recipe.draw_in(xp, xp, DrawArgs(self.n, sizes, keys.make(KEY), guides=self.guides))
            return mix, mix.images(x, self.layout)

        with self._failing(law):
            mix, images = (xp.compiled(run) if compiled else run)(x)
        (structure, arrays), (expected, wanted) = mix.flatten(), self.mix.flatten()
        self._expect(structure == expected, law, f"expected {expected}, got {structure}")
        for part, got, want in zip(("index", "lam", *structure[1]), arrays, wanted, strict=True):
            self._expect(backends.find(got) == xp, law, f"{part} is an array of {backends.display_name(got)}")
            held, apart = np.asarray(got), self._apart(part)
            same = held.dtype == want.dtype and held.shape == want.shape
            self._expect(same, law, f"{part} is {held.dtype} {held.shape} and not {want.dtype} {want.shape}")
            off = abs(held.astype(np.float64) - want).max(initial=0)
            self._expect(off <= apart, law, f"{part} is {off:g} off")
        self._expect_close(law, "pixel", np.asarray(images), "NumPy's", self.mix.images(np.asarray(x), self.layout))
        unwritten = (np.asarray(x) == before).all()
        self._expect(unwritten, "inputs are not written to", f"they were, in {xp.display_name}")

    def _apart(self, part: str) -> float:
        """How far a library may be from NumPy: soft masks, and shares of boxes over a blend, are rounded on the way."""
        arrays = self.mix.region.arrays()
        soft = "weight" in arrays and arrays["weight"].dtype != bool
        if soft and part in ("weight", "lam"):
            return _CLOSE
        return 3 * _ULP if part == "lam" and "background" in arrays and len(arrays) > 1 else 0.0

    @contextmanager
    def _failing(self, law: str) -> Iterator[None]:
        """A recipe of others may fail in any way."""
        try:
            yield
        except Exception as error:
            came = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            law = _REGION if str(error).startswith("region: ") else law
            raise AssertionError(f"{self._where(law)}{came}") from error

    def _expect(self, ok: object, law: str, came: str) -> None:
        if not ok:
            raise AssertionError(f"{self._where(law)}{came}")

    def _expect_close(self, law: str, name: str, got: Array, other: str, want: Array) -> None:
        off = abs(np.asarray(got, np.float64) - want)
        if off.max(initial=0) > 2 * _CLOSE:
            at = np.unravel_index(off.argmax(), off.shape)
            self._fail(law, f"a {name} is {float(got[at]):.7g}, its {other} {float(want[at]):.7g}")

    def _fail(self, law: str, came: str) -> NoReturn:
        raise AssertionError(f"{self._where(law)}{came}")

    def _where(self, law: str) -> str:
        return f"{law}: broken by {self.recipe!r} for {self.n} outputs of size {self.size}: "


def _farthest(got: NDArray[Any], want: NDArray[Any]) -> float:
    """The number that is farthest from what is wanted."""
    return float(got.flat[abs(got - want).argmax()])


def _own_class_everywhere(n: int, size: tuple[int, ...]) -> NDArray[np.float32]:
    """Images that show the truth whatever the draw: image i is one-hot i at every pixel."""
    one_hot = np.eye(n, dtype=np.float32).reshape(n, *[1] * len(size), n)
    return np.broadcast_to(one_hot, (n, *size, n)).copy()


def _shown(mix: Mix, sources: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each source shows at each pixel: (k, n, *size, c) of sources (k, n, *size, c), pixel by pixel."""
    out = sources.copy()
    for j, i in np.ndindex(sources.shape[:2]):
        box, source_box = mix.region.box[j], mix.region.source_box[j]
        if box is not None and source_box is not None:
            to, of = box[i].astype(int).tolist(), source_box[i].astype(int).tolist()
            origin = [
                c + (2 * np.arange(b - a) + 1) * (d - c) // (2 * max(b - a, 1))
                for (a, b), (c, d) in zip(to, of, strict=True)
            ]
            out[(j, i, *(slice(a, b) for a, b in to))] = sources[j, i][np.ix_(*origin)]
    return out
