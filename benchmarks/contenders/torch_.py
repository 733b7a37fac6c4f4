"""PyTorch on the CPU: mixaug, torchvision, timm and kornia."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch.utils import data as torch_data

import mixaug as ma

from .. import child
from ..timing import Call, Contender, Row
from ..workloads import OFFSET, RECIPES, SCALE, Case, Pipelines, Work
from . import ours

Tensor = torch.Tensor
Mixer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

PER_BATCH = "mixaug mix_batch, per_batch"
ONE_DRAW = "one lambda and box for the whole batch"
ONE_LAMBDA = "one lambda for the whole batch"
IN_PLACE = "overwrites its input"
WRONG = "; labels would be wrong for uint8, so it gets floats"
PER_CHANNEL = [torch.from_numpy(values)[:, None, None] for values in (SCALE, OFFSET)]


def rows(short: bool) -> Iterator[Row]:
    """All that is measured here."""
    yield from child.batches(contenders, short)
    yield from child.pipelines(loaders, short)


def lift(x: np.ndarray) -> Tensor:
    """A tensor; images with their channels first."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)) if x.ndim == 4 else x.copy())


def normalised(x: Tensor) -> Tensor:
    """Pixels as float32 of mean 0 and deviation 1 a channel, with one temporary."""
    scale, offset = PER_CHANNEL
    return x.to(torch.float32).mul_(scale).add_(offset)


def contenders(work: Work, case: Case) -> list[Contender]:
    """Those that mix a batch."""
    found = ours.contenders(work, case, lift)
    if work.with_masks:
        return found + masked(work, case)
    if case.method == "5-way MixUp":
        return found
    once = ma.per_batch(case.recipe)
    remark = f"{ONE_DRAW}; fresh memory; one call"
    per_batch = Contender(PER_BATCH, lambda: ours.by_batch(work, case, lift, once), True, False, remark)
    return [*found, per_batch, *peers(work, case)]


def peers(work: Work, case: Case) -> list[Contender]:
    """The other libraries, each in the best order that it allows: it mixes uint8 first where it can."""
    cuts = case.method == "CutMix"

    def one(name: str, make: Callable[[], Mixer], uint8: bool, remark: str, per_sample: bool = True) -> Contender:
        return Contender(name, lambda: by(work, case, make(), uint8), per_sample=per_sample, remark=remark)

    gap = "" if cuts else "; weights are uniform, not Beta"
    drawn = ONE_DRAW if cuts else ONE_LAMBDA
    also = f"; {IN_PLACE}"
    return [
        one("torchvision", lambda: torchvision_mixer(case.method, work.classes), cuts, drawn, False),
        one("timm Mixup batch", lambda: timm_mixer(case.method, work.classes, "batch"), cuts, drawn + also, False),
        one("timm Mixup pair", lambda: timm_mixer(case.method, work.classes, "pair"), False, IN_PLACE + WRONG, False),
        one("timm Mixup elem", lambda: timm_mixer(case.method, work.classes, "elem"), False, IN_PLACE + WRONG),
        one("kornia V2", lambda: kornia_mixer(case.method), False, "ids and weights instead of soft labels" + gap),
    ]


def by(work: Work, case: Case, mixer: Mixer, uint8: bool) -> Call:
    """A call of a library, with the normalising before it or after it."""
    x, y = lift(work.images(case)), lift(work.labels)
    return lambda: finished(mixer, x, y, case.normalises, uint8)


def finished(mixer: Mixer, x: Tensor, y: Tensor, normalises: bool, uint8: bool) -> tuple[Tensor, Tensor]:
    """A mixed batch, normalised if asked for: after it is mixed where the library mixes uint8, else before."""
    if normalises and not uint8:
        x = normalised(x)
    x, y = mixer(x, y)
    return normalised(x) if normalises and uint8 else x, y


def torchvision_v2() -> Any:
    """The transforms of torchvision: beside a PyTorch for the CPU they ask for two operators that do not load there."""
    if version("torch").endswith("+cpu") and not _DECLARED:
        _DECLARED.append(torch.library.Library("torchvision", "DEF"))
        for name in ("nms", "qnms"):
            _DECLARED[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision.transforms import v2

    return v2


_DECLARED: list[Any] = []


def torchvision_mixer(method: str, classes: int) -> Mixer:
    """`v2.CutMix` or `v2.MixUp`."""
    mixer: Mixer = getattr(torchvision_v2(), method)(alpha=1.0, num_classes=classes)
    return mixer


def timm_options(method: str, classes: int, mode: str) -> dict[str, Any]:
    """What timm's classes are told."""
    alphas = {"mixup_alpha": 0.0, "cutmix_alpha": 1.0} if method == "CutMix" else {"mixup_alpha": 1.0}
    return {**alphas, "mode": mode, "num_classes": classes, "label_smoothing": 0.0}


def timm_mixer(method: str, classes: int, mode: str) -> Mixer:
    """`timm.data.Mixup`; it makes its labels on the CPU."""
    torchvision_v2()
    from timm.data.mixup import Mixup

    return Mixup(**timm_options(method, classes, mode))


def kornia_mixer(method: str, keys: Sequence[str] = ("input", "class")) -> Mixer:
    """`RandomCutMixV2` or `RandomMixUpV2`."""
    from kornia import augmentation

    if method == "CutMix":
        return augmentation.RandomCutMixV2(p=1.0, use_correct_lambda=True, data_keys=list(keys))
    return augmentation.RandomMixUpV2(p=1.0, data_keys=list(keys))


def masked(work: Work, case: Case) -> list[Contender]:
    """The other libraries on images with masks."""
    x, masks = lift(work.images(case)), torch.from_numpy(work.masks)

    def torchvision_call() -> Call:
        from torchvision import tv_tensors

        mixer, labels = torchvision_mixer("CutMix", work.classes), torch.from_numpy(work.labels)
        return lambda: mixer(tv_tensors.Image(x), tv_tensors.Mask(masks), labels)  # type: ignore[call-arg]

    def kornia_call() -> Call:
        mixer = kornia_mixer("CutMix", ("input", "mask"))
        return lambda: mixer(x.to(torch.float32), masks[:, None].to(torch.float32))

    torchvision_v2()
    return [Contender("torchvision", torchvision_call, per_sample=False), Contender("kornia V2", kornia_call)]


class Pairs(torch_data.Dataset):
    """A dataset in memory of which a loader takes one sample, or a whole batch at once."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        return self.x[row], self.y[row]


class Whole(Pairs):
    """The same, which gives a loader the whole batch."""

    def __getitems__(self, rows: list[int]) -> tuple[Any, Any]:
        return self.x[rows], self.y[rows]


Passes = Callable[[], Iterable[Any]]


def loaders(data: Pipelines) -> list[Contender]:
    """The pipelines, all without worker processes: mixaug's loader, and the others in PyTorch's."""
    found = [
        Contender(f"mixaug torch.loader, {method}", lambda recipe=recipe: our_loader(data, recipe), ours=True)
        for method, recipe in RECIPES.items()
    ]
    found.append(Contender("DataLoader, not mixed", lambda: collated(data, lambda x, y: (x, y), uint8=True)))
    found.append(Contender("DataLoader, batched fetch, not mixed", lambda: fetched(data, lambda x, y: (x, y))))
    return found + [one for method in ("CutMix", "MixUp") for one in peer_loaders(data, method)]


def our_loader(data: Pipelines, recipe: ma.Recipe) -> Passes:
    """`ma.torch.loader`."""
    pairs = torch_data.TensorDataset(lift(data.x), lift(data.y))
    options = {"num_classes": data.classes, "fields": ours.normalised_fields()}
    loader: Iterable[Any] = ma.torch.loader(recipe, pairs, data.batch_size, **options)
    return lambda: loader


def peer_loaders(data: Pipelines, method: str) -> list[Contender]:
    """torchvision, timm and kornia."""
    drawn, cuts = ONE_DRAW if method == "CutMix" else ONE_LAMBDA, method == "CutMix"

    def mixer() -> Mixer:
        return torchvision_mixer(method, data.classes)

    return [
        Contender(
            f"DataLoader, torchvision {method} in collate_fn",
            lambda: collated(data, mixer(), cuts),
            per_sample=False,
            remark=drawn,
        ),
        Contender(
            f"DataLoader, batched fetch, torchvision {method}",
            lambda: fetched(data, mixer(), cuts),
            per_sample=False,
            remark=drawn,
        ),
        Contender(
            f"DataLoader, batched fetch, kornia V2 {method}", lambda: fetched(data, kornia_mixer(method), uint8=False)
        ),
        *(timm_loader(data, method, mode, drawn if mode == "batch" else "") for mode in ("batch", "elem")),
    ]


def timm_loader(data: Pipelines, method: str, mode: str, remark: str) -> Contender:
    """`FastCollateMixup`, which mixes in uint8 while it collates; normalised after that."""

    def make() -> Passes:
        torchvision_v2()
        from timm.data.mixup import FastCollateMixup

        collate = FastCollateMixup(**timm_options(method, data.classes, mode))
        pairs = Pairs(np.ascontiguousarray(np.moveaxis(data.x, -1, 1)), data.y)
        loader = torch_data.DataLoader(pairs, data.batch_size, shuffle=True, collate_fn=collate)
        return lambda: ((normalised(x), y) for x, y in loader)

    name = f"DataLoader, timm FastCollateMixup {mode}, {method}"
    return Contender(name, make, per_sample=mode != "batch", remark=remark)


def collated(data: Pipelines, mixer: Mixer, uint8: bool) -> Passes:
    """Samples one by one, collated to a batch that is then mixed: what the tutorials show."""

    def collate(samples: Any) -> tuple[Tensor, Tensor]:
        return finished(mixer, *torch_data.default_collate(samples), True, uint8)

    loader = torch_data.DataLoader(Pairs(lift(data.x), lift(data.y)), data.batch_size, shuffle=True, collate_fn=collate)
    return lambda: loader


def fetched(data: Pipelines, mixer: Mixer, uint8: bool = True) -> Passes:
    """Whole batches, which are then mixed: as fast as the loader can be made by hand."""
    loader = torch_data.DataLoader(
        Whole(lift(data.x), lift(data.y)),
        data.batch_size,
        shuffle=True,
        collate_fn=lambda batch: finished(mixer, *batch, True, uint8),
    )
    return lambda: loader


if __name__ == "__main__":
    torch.set_num_threads(2)
    child.main("torch", rows, ["torch", "torchvision", "timm", "kornia"])
