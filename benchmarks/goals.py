"""The goals, each with what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .contenders.startup import COLD, FIRST, FURTHER, IMPORT, NUMPY
from .results import Results
from .timing import CAST, FILL, LIMITS, Row

U8, F32 = "uint8 to float32", "float32 to float32"
BOTH = ("CutMix", "MixUp")


@dataclass(frozen=True)
class Found:
    """A measured value, with its 90th percentile if known, and a remark."""

    value: float
    p90: float | None = None
    beside: str = ""


@dataclass(frozen=True)
class Goal:
    """A goal: a value that should be at most, or at least, the limit."""

    text: str
    limit: float
    unit: str
    find: Callable[[Results], Found | None]
    at_least: bool = False

    def verdict(self, found: Found) -> str:
        """Whether the goal is met, or how far it is missed."""
        if found.value >= self.limit if self.at_least else found.value <= self.limit:
            return "met"
        if self.unit == "%":
            return f"missed by {found.value - self.limit:.1f} points"
        off = self.limit / found.value if self.at_least else found.value / self.limit
        return f"missed, {off:.2f} times off"


def goals() -> Iterator[Goal]:
    """All goals, in the order of the page."""
    yield from big_batches()
    yield from small_batches()
    yield from pipelines()
    yield from steps()


def big_batches() -> Iterator[Goal]:
    """B and C, against NumPy's cast and the copy."""
    for method in BOTH:
        case = f"{method}, {U8}"
        yield times(f"B, {case}, into a buffer, against NumPy's cast", 1.2, "B", case, "mixaug out=", CAST)
    for method in BOTH:
        yield times_copy(f"B, {method}, {U8}, fresh memory", 1.5, "B", f"{method}, {U8}", "mixaug")
    for method in BOTH:
        yield times_copy(f"B, {method}, {F32}, into a buffer", 1.2, "B", f"{method}, {F32}", "mixaug out=")
    for dtypes in ("uint8 to uint8", F32):
        yield times_copy(f"C, CutMix of images and masks, {dtypes}", 1.2, "C", f"CutMix, {dtypes}", "mixaug out=")


def small_batches() -> Iterator[Goal]:
    """A, against the fill of its output and the others."""
    for method in BOTH:
        case = f"{method}, {U8}"
        yield times(
            f"A, {case}: draw, images, labels, against a fill of the output", 3, "A", case, "mixaug mix_batch", FILL
        )
    for text, name in (("one draw per sample", "mixaug mix_batch"), ("per_batch", "mixaug mix_batch, per_batch")):
        yield Goal(
            f"A in PyTorch, {text}, against torchvision and timm with one draw per batch",
            1.2,
            "x",
            lambda run, name=name: least_gain(run, lambda row: row.name in ("torchvision", "timm Mixup batch"), name),
            at_least=True,
        )
    yield Goal(
        "A, against all contenders that draw per sample, hand-written code included",
        10,
        "x",
        lambda run: least_gain(run, lambda row: row.per_sample),
        at_least=True,
    )


def pipelines() -> Iterator[Goal]:
    """Images per second from a dataset in memory."""
    for method in BOTH:
        yield Goal(
            f"tf.data, fused, {method}: images/s relative to the same pipeline without mixing",
            0.9,
            "x",
            lambda run, method=method: of_pipeline(run, f"mixaug in tf.data, fused, {method}", "tf.data, not mixed"),
            at_least=True,
        )
    for method in BOTH:
        ours = f"mixaug torch.loader, {method}"
        for other, limit in (("not mixed", 0.9), (f"torchvision {method}", 3)):
            yield Goal(
                f"`torch.loader`, {method}, against a DataLoader with batched fetch, {other}",
                limit,
                "x",
                lambda run, ours=ours, other=other: of_pipeline(run, ours, f"DataLoader, batched fetch, {other}"),
                at_least=True,
            )


def steps() -> Iterator[Goal]:
    """Training, the GPU and startup."""
    for library, name in (
        ("Keras", "mixaug in tf.data, fused, CutMix"),
        ("Keras", "mixaug MixedDataset, CutMix"),
        ("PyTorch", "mixaug torch.loader, CutMix"),
    ):
        yield Goal(
            f"added to a step of ResNet-20, {library}, {name}",
            1.0,
            "%",
            lambda run, library=library, name=name: added(run.find("training", library, name)),
        )
    for method in BOTH:
        yield times_copy(f"GPU, {method}, uint8 to bfloat16", 1.25, "gpu", method, "mixaug out=, images alone", "gpu")
        yield Goal(
            f"GPU, {method}, faster than torchvision",
            3,
            "x",
            lambda run, method=method: gain(run.find("gpu", method, "mixaug"), run.find("gpu", method, "torchvision")),
            at_least=True,
        )
    for name, limit in ((COLD, 3000), (FURTHER, 2000)):
        yield Goal(name, limit, "ms", lambda run, name=name: whole(run.find("startup", "", name)))
    for name, limit in ((IMPORT, 2), (FIRST, 4)):
        yield times(f"{name}, against import numpy", limit, "startup", "", name, NUMPY, "startup")


def times(text: str, limit: float, table: str, case: str, name: str, other: str, process: str = "numpy") -> Goal:
    """A goal against another row of the same process and case."""

    def find(run: Results) -> Found | None:
        row, against = run.find(table, case, name, process), run.find(table, case, other, process)
        if row is None or against is None or not row.median or not row.p90 or not against.median:
            return None
        return Found(row.median / against.median, row.p90 / against.median)

    return Goal(text, limit, "x", find)


def times_copy(text: str, limit: float, table: str, case: str, name: str, process: str = "numpy") -> Goal:
    """A goal against the copy of the same bytes."""

    def find(run: Results) -> Found | None:
        row = run.find(table, case, name, process)
        if row is None or row.times_copy is None or row.p90 is None or row.copy is None:
            return None
        return Found(row.times_copy, row.p90 / row.copy)

    return Goal(text, limit, "x copy", find)


def whole(row: Row | None) -> Found | None:
    """The median of a row."""
    return None if row is None or row.median is None else Found(row.median, row.p90)


def gain(ours: Row | None, other: Row | None) -> Found | None:
    """The speed of mixaug relative to another row."""
    if ours is None or other is None or not ours.median or other.median is None:
        return None
    return Found(other.median / ours.median, beside=f"{other.name}, {ours.case}")


def least_gain(run: Results, wanted: Callable[[Row], bool], name: str = "") -> Found | None:
    """The smallest gain over other contenders on A, within the same process."""
    gains = []
    for row in run.of("A"):
        if row.median is not None and not row.ours and row.name not in LIMITS and wanted(row):
            gains.append(gain(run.find("A", row.case, name or OURS[row.process], row.process), row))
    return min((one for one in gains if one is not None), key=lambda one: one.value, default=None)


OURS = {
    "numpy": "mixaug mix_batch",
    "torch": "mixaug mix_batch",
    "tensorflow": "mixaug in tf.data, fused",
    "jax": "mixaug mix_batch, jitted",
}  #: the contender of mixaug that is compared with the others of a process


def of_pipeline(run: Results, name: str, other: str) -> Found | None:
    """The images per second of a pipeline, relative to another one."""
    speed = gain(run.find("pipelines", "", name), run.find("pipelines", "", other))
    return None if speed is None else Found(speed.value)


def added(row: Row | None) -> Found | None:
    """The time that mixing adds to a step, in percent."""
    if row is None or row.added is None or row.interval is None:
        return None
    low, high = row.interval
    return Found(row.added, beside=f"95 % interval {low:+.1f} to {high:+.1f}")
