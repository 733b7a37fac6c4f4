"""A batch of photos on a GPU, 256x224x224x3 uint8 to normalised bfloat16: mixaug and torchvision, by CUDA's events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch

import mixaug as ma

from .. import child, timing
from ..timing import Call, Contender, Row
from ..workloads import OFFSET, RECIPES, SCALE
from . import torch_

SIZE, CLASSES = (224, 224), 1000


@dataclass(frozen=True)
class Photos:
    """The batch on the device, channels first."""

    x: torch.Tensor
    y: torch.Tensor
    scale: torch.Tensor
    offset: torch.Tensor


def rows(short: bool) -> Iterator[Row]:
    """All that is measured here: nothing where there is no GPU."""
    names = ["mixaug", "mixaug out=", "torchvision"]
    if not torch.cuda.is_available():
        for method in ("CutMix", "MixUp"):
            for name in names:
                one = Contender(name, dict, ours=name.startswith("mixaug"))
                yield timing.row("gpu", method, one, [], error="no GPU")
        return
    photos, turns = load(16 if short else 256), 3 if short else 50
    for method in ("CutMix", "MixUp"):
        yield from events(method, contenders(photos, method), len(photos.x), turns)


def load(n: int) -> Photos:
    """Random images on the device."""
    rng = np.random.default_rng(6)
    arrays = rng.integers(0, 256, (n, 3, *SIZE), np.uint8), rng.integers(0, CLASSES, n), SCALE, OFFSET
    return Photos(*(torch.from_numpy(array).cuda() for array in arrays))


def contenders(photos: Photos, method: str) -> list[Contender]:
    """Those that mix on the device: parameters, images and labels."""
    bound = Contender(timing.COPY, lambda: copier(photos.x.numel() * 3))
    return [
        bound,
        Contender("mixaug", lambda: ours(photos, RECIPES[method], False), ours=True),
        Contender("mixaug out=", lambda: ours(photos, RECIPES[method], True), ours=True),
        Contender("torchvision", lambda: torchvision(photos, method), per_sample=False),
    ]


def copier(nbytes: int) -> Call:
    """The limit: a copy on the device that reads half of these bytes and writes the other half."""
    source, target = (torch.ones(nbytes // 2, dtype=torch.uint8, device="cuda") for _ in range(2))
    return lambda: target.copy_(source)


def ours(photos: Photos, recipe: ma.Recipe, buffer: bool) -> Call:
    """Draw on the device, then one kernel for the images."""
    options: dict[str, Any] = {"dtype": "bfloat16", "scale": photos.scale, "offset": photos.offset}
    if buffer:
        options["out"] = torch.empty_like(photos.x, dtype=torch.bfloat16)
    steps = count()

    def call() -> Any:
        mix = recipe.draw(len(photos.x), SIZE, key=(0, 0, next(steps)), like=photos.x)
        return mix.images(photos.x, **options), mix.labels(photos.y, CLASSES)

    return call


def torchvision(photos: Photos, method: str) -> Call:
    """`v2.CutMix` of uint8, or `v2.MixUp` of what is normalised already, for it refuses uint8."""
    mixer = torch_.torchvision_mixer(method, CLASSES)
    scale, offset = photos.scale[:, None, None], photos.offset[:, None, None]

    def normalised(x: torch.Tensor) -> torch.Tensor:
        return x.to(torch.float32).mul_(scale).add_(offset).to(torch.bfloat16)

    def cut() -> Any:
        x, y = mixer(photos.x, photos.y)
        return normalised(x), y

    return cut if method == "CutMix" else lambda: mixer(normalised(photos.x), photos.y)


def events(method: str, made: list[Contender], images: int, turns: int) -> Iterator[Row]:
    """Seconds on the device, between two events around each call; the wall clock beside them."""
    ready, broken = timing.prepared(made)
    spans = {name: [span(call) for _ in range(turns)] for name, (call, _) in ready.items()}
    limit = float(np.median([device for device, _ in spans[timing.COPY]]))
    for one in made:
        pairs = spans.get(one.name, [])
        error = broken.get(one.name, "")
        yield timing.row("gpu", method, one, [device for device, _ in pairs], limit, images, error)
        yield timing.row("gpu wall", method, one, [wall for _, wall in pairs], limit, images, error)


def span(call: Call) -> tuple[float, float]:
    """How long a call takes: (on the device, on the wall), seconds."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()

    def whole() -> None:
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()

    wall = timing.seconds(whole)
    return start.elapsed_time(end) / 1e3, wall


if __name__ == "__main__":
    child.main("gpu", rows, ["torch", "torchvision", "triton"])
