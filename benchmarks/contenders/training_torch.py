"""A training step of ResNet-20 in PyTorch, fed by loaders that mix and by the same ones that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import torch
from torch import nn

import mixaug as ma

from .. import child, workloads
from ..timing import Call, Contender, Row
from ..workloads import RECIPES, Pipelines
from . import torch_, training

MIXED, IDENTITY = "mixaug torch.loader, CutMix", "mixaug torch.loader, ma.identity()"
PLAIN, COLLATE = "DataLoader, not mixed", "DataLoader, torchvision CutMix in collate_fn"


def rows(short: bool) -> Iterator[Row]:
    """All that is measured here."""
    data = workloads.pipelines(short)
    unmixed = {MIXED: IDENTITY, COLLATE: PLAIN}
    yield from training.measure("PyTorch", contenders(data), unmixed, training.pace(short), data.batch_size)


def contenders(data: Pipelines) -> list[Contender]:
    """The loaders that feed the same network."""
    step = trainer()

    def fed(one: Contender) -> Contender:
        return Contender(one.name, lambda: stepped(step, one.make()), one.ours, one.per_sample, one.remark)

    peers = {one.name: one for one in torch_.peer_loaders(data, "CutMix")}
    ours = Contender(MIXED, lambda: torch_.our_loader(data, RECIPES["CutMix"]), ours=True)
    unmixed = Contender(IDENTITY, lambda: torch_.our_loader(data, ma.identity()))
    plain = Contender(PLAIN, lambda: torch_.collated(data, lambda x, y: (x, y), True))
    return [fed(one) for one in (unmixed, ours, plain, peers[COLLATE])]


def stepped(step: Callable[[Any, Any], Any], passes: Callable[[], Iterable[Any]]) -> Call:
    """A call that takes a batch and trains on it, pass after pass."""
    source = (batch for _ in count() for batch in passes())
    return lambda: step(*next(source))


def trainer() -> Callable[[torch.Tensor, torch.Tensor], float]:
    """A step of a new ResNet-20; labels are class ids or rows of weights."""
    torch.manual_seed(0)
    model = resnet20(10)
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)

    def step(x: torch.Tensor, y: torch.Tensor) -> float:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def resnet20(classes: int) -> nn.Module:
    """The network of He et al. 2015, section 4.2, for 32x32: a stem, three stages of three blocks, the mean."""
    widths = [16] * 3 + [32] * 3 + [64] * 3
    blocks = [Block(before, width) for before, width in zip([16, *widths], widths, strict=False)]
    stem = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, classes))


class Block(nn.Module):
    """relu(x + F(x)), where F is two convolutions; where it has more channels, x is halved and padded with zeros."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.stride, self.more = (1 if before == width else 2), width - before
        self.residual = nn.Sequential(
            nn.Conv2d(before, width, 3, self.stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The block's features, (n, width, h / stride, w / stride)."""
        same = x[:, :, :: self.stride, :: self.stride]
        return torch.relu(nn.functional.pad(same, (0, 0, 0, 0, 0, self.more)) + self.residual(x))


if __name__ == "__main__":
    torch.set_num_threads(2)
    child.main("training_torch", rows, ["torch", "torchvision"])
