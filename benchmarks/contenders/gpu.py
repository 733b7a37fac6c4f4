"""A batch of photos on a GPU, 256x224x224x3 uint8 to normalised bfloat16: mixaug and torchvision, by CUDA's events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import torch

import mixaug as ma

from .. import child, timing
from ..timing import Call, Contender, Row
from ..workloads import OFFSET, RECIPES, SCALE
from . import torch_, training

SIZE, CLASSES = (224, 224), 1000
NAMES = ("mixaug", "mixaug out=", "mixaug out=, images alone", "torchvision")
STEP = "GPU, ResNet-50, bfloat16"
PLAIN, IDENTITY, MIXED = "not mixed", "mixaug, ma.identity()", "mixaug, CutMix"
TORCHVISION = "torchvision CutMix"
AHEAD = 10_000_000  #: cycles that the device is kept busy for, until all of a call is in its queue
CACHE = 256 << 20  #: bytes that are written before a call, so that none of its own lie in the device's cache


@dataclass(frozen=True)
class Photos:
    """The batch on the device, channels first."""

    x: torch.Tensor
    y: torch.Tensor
    scale: torch.Tensor
    offset: torch.Tensor

    def in_channels_last(self) -> Photos:
        """The same with the channels of a pixel side by side, as PyTorch's convolutions like them."""
        return replace(self, x=self.x.contiguous(memory_format=torch.channels_last))


def rows(short: bool) -> Iterator[Row]:
    """All that is measured here: nothing where there is no GPU."""
    if not torch.cuda.is_available():
        for method in ("CutMix", "MixUp"):
            for name in NAMES:
                one = Contender(name, dict, ours=name.startswith("mixaug"))
                yield timing.row("gpu", method, one, [], error="no GPU")
        return
    photos, turns = load(16 if short else 256), 3 if short else 50
    for method in ("CutMix", "MixUp"):
        yield from events(method, contenders(photos, method), len(photos.x), turns)
        last = contenders(photos.in_channels_last(), method)
        yield from events(f"{method}, channels last", last, len(photos.x), turns)
    unmixed = {MIXED: IDENTITY, TORCHVISION: PLAIN}
    yield from training.measure(STEP, steps(photos), unmixed, training.pace(short), len(photos.x))


def load(n: int) -> Photos:
    """Random images on the device."""
    rng = np.random.default_rng(6)
    arrays = rng.integers(0, 256, (n, 3, *SIZE), np.uint8), rng.integers(0, CLASSES, n), SCALE, OFFSET
    return Photos(*(torch.from_numpy(array).cuda() for array in arrays))


def contenders(photos: Photos, method: str) -> list[Contender]:
    """Those that mix on the device: parameters, images and labels."""
    bound = Contender(timing.COPY, lambda: copier(photos.x.numel() * 3), remark=torch.cuda.get_device_name())
    return [
        bound,
        Contender(NAMES[0], lambda: ours(photos, RECIPES[method], False), ours=True),
        Contender(NAMES[1], lambda: ours(photos, RECIPES[method], True), ours=True),
        Contender(NAMES[2], lambda: images(photos, RECIPES[method]), ours=True, remark="of a mix that is drawn"),
        Contender(NAMES[3], lambda: torchvision(photos, method), per_sample=False, remark=torch_.ONE_DRAW),
    ]


def copier(nbytes: int) -> Call:
    """The limit: a copy on the device that reads half of these bytes and writes the other half."""
    source, target = (torch.ones(nbytes // 2, dtype=torch.uint8, device="cuda") for _ in range(2))
    return lambda: target.copy_(source)


def ours(photos: Photos, recipe: ma.Recipe, buffer: bool) -> Call:
    """Draw, then one kernel for the images and one for the labels."""
    options, steps = units(photos, buffer), count()

    def call() -> Any:
        mix = recipe.draw(len(photos.x), SIZE, key=(0, 0, next(steps)), like=photos.x)
        return mix.images(photos.x, **options), mix.labels(photos.y, CLASSES)

    return call


def images(photos: Photos, recipe: ma.Recipe) -> Call:
    """The kernel of the images alone."""
    mix, options = recipe.draw(len(photos.x), SIZE, key=(0, 0, 0), like=photos.x), units(photos, True)
    return lambda: mix.images(photos.x, **options)


def steps(photos: Photos) -> list[Contender]:
    """Steps of one network on the same photos, mixed and not, each waited for."""
    train, photos = trainer(), photos.in_channels_last()

    def step(make: Callable[[], Call]) -> Callable[[], Call]:
        def made() -> Call:
            call = make()
            return lambda: train(*call())

        return made

    return [
        Contender(PLAIN, step(lambda: lambda: (normalised(photos, photos.x), photos.y))),
        Contender(IDENTITY, step(lambda: ours(photos, ma.identity(), False))),
        Contender(MIXED, step(lambda: ours(photos, RECIPES["CutMix"], False)), ours=True),
        Contender(TORCHVISION, step(lambda: torchvision(photos, "CutMix")), per_sample=False, remark=torch_.ONE_DRAW),
    ]


def trainer() -> Callable[[torch.Tensor, torch.Tensor], None]:
    """A step of a new ResNet-50 in bfloat16."""
    from torchvision.models import resnet50  # beside a PyTorch for the CPU it cannot be imported

    torch.manual_seed(0)
    model = resnet50().to("cuda", torch.bfloat16, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)

    def train(x: torch.Tensor, y: torch.Tensor) -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x).float(), y).backward()
        optimizer.step()
        torch.cuda.synchronize()

    return train


def units(photos: Photos, buffer: bool) -> dict[str, Any]:
    """The dtype, scale and offset of the output, and its memory."""
    out = torch.empty_like(photos.x, dtype=torch.bfloat16) if buffer else None
    return {"dtype": "bfloat16", "scale": photos.scale, "offset": photos.offset, "out": out}


def torchvision(photos: Photos, method: str) -> Call:
    """`v2.CutMix` of uint8, or `v2.MixUp` of what is normalised already, for it refuses uint8."""
    mixer = torch_.torchvision_mixer(method, CLASSES)

    def cut() -> Any:
        x, y = mixer(photos.x, photos.y)
        return normalised(photos, x), y

    return cut if method == "CutMix" else lambda: mixer(normalised(photos, photos.x), photos.y)


def normalised(photos: Photos, x: torch.Tensor) -> torch.Tensor:
    """Pixels as bfloat16, with one temporary."""
    scale, offset = photos.scale[:, None, None], photos.offset[:, None, None]
    return x.to(torch.float32).mul_(scale).add_(offset).to(torch.bfloat16)


def events(method: str, made: list[Contender], images: int, turns: int) -> Iterator[Row]:
    """Seconds on the device, and on the clock until it is done: all in turn, in random order."""
    ready, broken = timing.prepared(made)
    calls, other = (
        {name: call for name, (call, _) in ready.items()},
        torch.empty(CACHE, dtype=torch.uint8, device="cuda"),
    )
    for table, measure in (("gpu", lambda call: on_device(call, other)), ("gpu wall", on_clock)):
        spans: dict[str, list[float]] = {name: [] for name in calls}
        for name in np.random.default_rng(0).permuted([list(calls)] * turns, axis=1).ravel():
            spans[name].append(measure(calls[name]))
        limit = float(np.median(spans[timing.COPY]))
        for one in made:
            yield timing.row(table, method, one, spans.get(one.name, []), limit, images, broken.get(one.name, ""))


def on_device(call: Call, other: torch.Tensor) -> float:
    """Seconds between two events around a call that is in the queue before the first of them comes."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    torch.cuda._sleep(AHEAD)
    other.fill_(1)
    start.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) / 1e3


def on_clock(call: Call) -> float:
    """Seconds from asking for it until the device has done it."""
    torch.cuda.synchronize()

    def whole() -> None:
        call()
        torch.cuda.synchronize()

    return timing.seconds(whole)


if __name__ == "__main__":
    child.main("gpu", rows, ["torch", "torchvision", "triton"])
