"""Check the invariants of a recipe: for authors of recipes."""

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

_REGION = "the region is valid"
_ULP = 2.0**-24  # the last bit of a float32 just below 1
_TOLERANCE = 1e-6  # of float32 sums over pixels


def check(
    recipe: Recipe | str,
    *,
    sizes: Sequence[tuple[int, tuple[int, ...]]] = SIZES,
    libraries: Sequence[str] | None = None,
) -> None:
    """Check that a recipe keeps the invariants, in every installed library.

        for each (n, size): region, weights, sources, label, definition, masks, unchanged inputs
        for each library: the same mix as NumPy's, eager, and compiled by XLA at the first size
        once: the repr can be read back

    Args:
        recipe: a recipe with the options to check.
        sizes: pairs of a number of outputs and a spatial size; by default odd sizes, a single pixel, signals, images
            and volumes. Pass others for a recipe that supports images only.
        libraries: names among "numpy", "tensorflow", "torch" and "jax"; by default all that can be imported.

    Raises:
        AssertionError: if an invariant is violated; the message names it, the recipe, the size and the values.
        TypeError: if `recipe` is not a recipe.

    Example:
        >>> import mixaug as ma
        >>> ma.testing.check(ma.CutMix(alpha=1.0), libraries=["numpy"])

    All checks use the same key; recipes that need guides get random ones. PyTorch is checked without `torch.compile`.
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
        equal = again == recipe and hash(again) == hash(recipe)
        result = repr(again)
    except (TypeError, ValueError) as error:
        equal, result = False, str(error)
    if not equal:
        raise AssertionError(f"the repr can be read back: expected {recipe!r}, got {result}")


@dataclass(frozen=True)
class _Case:
    """A recipe, a number of outputs and a size."""

    recipe: Recipe
    n: int
    size: tuple[int, ...]

    def check(self) -> None:
        """Check all invariants in NumPy."""
        self._check_weights()
        self._check_sources()
        self._check_boxes()
        self._check_label()
        self._check_definition()
        self._check_masks()

    @property
    def layout(self) -> str:
        """The layout of images with channels last."""
        return f"n{SPATIAL[len(self.size)]}c"

    @cached_property
    def guides(self) -> dict[str, NDArray[Any]]:
        """Random guides for the recipe, by name."""
        return {need: example(need, self.n, self.size) for need in self.recipe.needs}

    @cached_property
    def mix(self) -> Mix:
        """The mix drawn by NumPy."""
        with self._failing("any number of rows and any size"):
            return self.recipe.draw(self.n, self.size, key=KEY, guide=self.guides or None)

    @property
    def channels(self) -> int | None:
        """The number of channels that images must have; None for any."""
        fill = self.mix.region.fill
        return None if fill is None or not is_of_channels(fill, len(self.size)) else fill.shape[-1]

    @cached_property
    def dense(self) -> NDArray[np.float64]:
        """The weight of each source at each pixel."""
        return np.asarray(self.mix.pixel_weights(), np.float64)

    @cached_property
    def visible(self) -> NDArray[np.bool_]:
        """Bool (n, *size), the pixels outside holes."""
        return np.asarray(self.dense.sum(axis=0) > 0.5)

    def _check_weights(self) -> None:
        invariant, total, lam = "weights are at least 0 and sum to 1", self.dense.sum(axis=0), self.mix.lam
        least = self.mix.region.pixel_weights(backends.common(), self.n, self.size).min(initial=0)
        self._expect(least >= 0, invariant, f"a pixel has the weight {least:g}")
        worst = _farthest(total, self.visible)
        self._expect(
            abs(total - self.visible).max() < _TOLERANCE, invariant, f"the weights of a pixel sum to {worst:.7g}"
        )
        self._expect(lam.min() >= 0, invariant, f"a lam is {lam.min():g}")
        worst = _farthest(lam.sum(axis=0), np.ones(self.n))
        self._expect(abs(worst - 1) <= 2 * _ULP, invariant, f"lam of an output sums to {worst:.7g}")

    def _check_sources(self) -> None:
        invariant, index, shape = "sources are distinct", self.mix.index, (self.recipe.sources, self.n)
        self._expect(index.shape == shape, invariant, f"expected an index of the shape {shape}, got {index.shape}")
        self._expect((index[0] == np.arange(self.n)).all(), invariant, "the first is not the base sample")
        for i, (column, lam) in enumerate(zip(index.T, self.mix.lam.T, strict=True)):
            used = column[lam > 0].tolist()
            self._expect(len(set(used)) == len(used), invariant, f"output {i} is made of the rows {used}")

    def _check_boxes(self) -> None:
        region, invariant = self.mix.region, "boxes, source boxes and holes are inside the image"
        for boxes in (*region.box, *region.source_box, getattr(region, "hole", None)):
            if boxes is not None:
                first, last = boxes[..., 0], boxes[..., 1]
                out = (first < 0) | (last > np.array(self.size)) | (first > last)
                self._expect(not out.any(), invariant, f"one is {boxes[out.any(axis=-1)][:1].tolist()}")

    def _check_label(self) -> None:
        invariant, axes = "the label is the visible pixels", tuple(range(1, 1 + len(self.size)))
        count = self.visible.sum(axis=axes)
        nonempty = count > 0  # a hole may cover the whole image
        mean_weight = self.dense.sum(axis=tuple(a + 1 for a in axes))[:, nonempty] / count[nonempty]
        self._expect_close(invariant, "lam", self.mix.lam[:, nonempty], "mean weight", mean_weight)
        images, region = _one_hot_images(self.n, self.size), self.mix.region
        labels = self.mix.labels(np.arange(self.n), self.n)
        any_fill = None if region.fill is None else np.zeros(self.n, np.float32)
        mix = replace(self.mix, region=replace(region, fill=any_fill))
        pixels = (mix.images(images, self.layout) * self.visible[..., None]).sum(axis=axes, dtype=np.float64)
        shares = pixels[nonempty] / count[nonempty, None]
        self._expect_close(invariant, "weight of a class", labels[nonempty], "share of the pixels", shares)

    def _check_definition(self) -> None:
        x = np.random.default_rng(0).random((self.n, *self.size, self.channels or 2), np.float32)
        before = x.copy()
        x.flags.writeable = False
        images, region = self.mix.images(x, self.layout), self.mix.region
        unchanged = (x == before).all() and not np.shares_memory(images, x)
        self._expect(unchanged, "inputs are not written to", "they were")
        weights = region.pixel_weights(backends.common(), self.n, self.size)[..., None]
        mixed = (weights * _shown(self.mix, x[self.mix.index])).sum(axis=0)
        fill = np.zeros(self.n, np.float32) if region.fill is None else region.fill
        fill = fill.reshape(*fill.shape, *[1] * (x.ndim - fill.ndim))
        defined = np.where(self.visible[..., None], mixed, fill)
        self._expect_close("images equal the definition by pixel weights", "pixel", images, "weighted sum", defined)

    def _check_masks(self) -> None:
        invariant, rows = "a mask has the id of the heaviest source", np.arange(self.n)
        ids = np.broadcast_to(rows.reshape(-1, *[1] * len(self.size)), (self.n, *self.size))
        heaviest = np.take_along_axis(self.mix.index, self.dense.reshape(len(self.dense), self.n, -1).argmax(0).T, 0)
        heaviest = heaviest.T.reshape(ids.shape)
        ordered = np.sort(self.dense, axis=0)
        decided = ordered[-1] - ordered[-2] > _TOLERANCE if len(ordered) > 1 else self.visible
        expected = np.where(self.visible, heaviest, ids)  # holes keep the id of the base sample
        wrong = (self.mix.masks(np.ascontiguousarray(ids)) != expected) & (decided | ~self.visible)
        self._expect(not wrong.any(), invariant, f"{int(wrong.sum())} pixels have another")

    def check_library(self, name: str, *, compiled: bool) -> None:
        """Check that the same key gives the same mix in a library, and that inputs are unchanged."""
        example = backends.example(name)
        xp = backends.of(example)
        invariant = f"the same key gives the same mix in {xp.display_name}{', compiled' if compiled else ''}"
        before = np.random.default_rng(0).random((self.n, *self.size, self.channels or 2), np.float32)
        x, sizes = xp.constant(before), Sizes(self.size, self.size)

        @backends.no_autograph
        def run(x: Array) -> tuple[Mix, Array]:
            xp = backends.of(x)
            mix = self.recipe.draw_in(xp, xp, DrawArgs(self.n, sizes, keys.make(KEY), guides=self.guides))
            return mix, mix.images(x, self.layout)

        with self._failing(invariant):
            mix, images = (xp.compiled(run) if compiled else run)(x)
        (structure, arrays), (expected_structure, expected_arrays) = mix.flatten(), self.mix.flatten()
        same = structure == expected_structure
        self._expect(same, invariant, f"expected {expected_structure}, got {structure}")
        for part, got, want in zip(("index", "lam", *structure[1]), arrays, expected_arrays, strict=True):
            self._expect(backends.find(got) == xp, invariant, f"{part} is an array of {backends.display_name(got)}")
            values = np.asarray(got)
            same = values.dtype == want.dtype and values.shape == want.shape
            self._expect(same, invariant, f"{part} is {values.dtype} {values.shape}, not {want.dtype} {want.shape}")
            difference = abs(values.astype(np.float64) - want).max(initial=0)
            self._expect(difference <= self._tolerance(part), invariant, f"{part} is {difference:g} off")
        expected = self.mix.images(np.asarray(x), self.layout)
        self._expect_close(invariant, "pixel", np.asarray(images), "NumPy's", expected)
        unchanged = (np.asarray(x) == before).all()
        self._expect(unchanged, "inputs are not written to", f"they were, in {xp.display_name}")

    def _tolerance(self, part: str) -> float:
        """Return how far a library may differ from NumPy: soft masks, and lam of boxes over a blend, are rounded."""
        arrays = self.mix.region.arrays()
        soft = "weight" in arrays and arrays["weight"].dtype != bool
        if soft and part in ("weight", "lam"):
            return _TOLERANCE
        return 3 * _ULP if part == "lam" and "background" in arrays and len(arrays) > 1 else 0.0

    @contextmanager
    def _failing(self, invariant: str) -> Iterator[None]:
        """Convert any error of the recipe to an AssertionError."""
        try:
            yield
        except Exception as error:
            message = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            invariant = _REGION if str(error).startswith("region: ") else invariant
            raise AssertionError(f"{self._where(invariant)}{message}") from error

    def _expect(self, ok: object, invariant: str, message: str) -> None:
        if not ok:
            raise AssertionError(f"{self._where(invariant)}{message}")

    def _expect_close(self, invariant: str, name: str, got: Array, other: str, want: Array) -> None:
        difference = abs(np.asarray(got, np.float64) - want)
        if difference.max(initial=0) > 2 * _TOLERANCE:
            at = np.unravel_index(difference.argmax(), difference.shape)
            self._fail(invariant, f"a {name} is {float(got[at]):.7g}, its {other} {float(want[at]):.7g}")

    def _fail(self, invariant: str, message: str) -> NoReturn:
        raise AssertionError(f"{self._where(invariant)}{message}")

    def _where(self, invariant: str) -> str:
        return f"{invariant}: violated by {self.recipe!r} for {self.n} outputs of size {self.size}: "


def _farthest(got: NDArray[Any], want: NDArray[Any]) -> float:
    """Return the value with the greatest error."""
    return float(got.flat[abs(got - want).argmax()])


def _one_hot_images(n: int, size: tuple[int, ...]) -> NDArray[np.float32]:
    """Return images that are one-hot i at every pixel of image i, so that a mix shows its sources."""
    one_hot = np.eye(n, dtype=np.float32).reshape(n, *[1] * len(size), n)
    return np.broadcast_to(one_hot, (n, *size, n)).copy()


def _shown(mix: Mix, sources: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the sources (k, n, *size, c) with their source boxes resized to their boxes."""
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
