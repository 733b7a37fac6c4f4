"""timm: drop-ins for `timm.data.Mixup` and `FastCollateMixup` in training scripts. Only the second imports timm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from torch import Tensor

from .batch import Options, mix_rows
from .core.hints import known_options
from .fields import Images
from .losses import check_smoothing, smooth
from .ops.rows import Rows
from .recipes import CutMix, CutMixMinMax, MixUp, Recipe, identity, one_of, per_batch, sometimes
from .recipes.recipe import check_number, check_whole
from .torch import Calls

_MODES = ("batch", "pair", "elem")


class Mixup:
    """Mixup and CutMix with the arguments, and for the scripts, of `timm.data.Mixup`.

        output = smooth(mix_batch(recipe, (samples, targets), key=(seed, step)), label_smoothing)

    Args:
        mixup_alpha: concentration of mixup; 0: none.
        cutmix_alpha: concentration of CutMix; 0: none.
        cutmix_minmax: (low, high): CutMix by boxes of such sides, `ma.CutMixMinMax`, instead of by cutmix_alpha.
        prob: chance of mixing, of a batch or ("pair", "elem") of a sample.
        switch_prob: chance of CutMix where both are on.
        mode: "batch": one draw for all samples, `ma.per_batch`. "elem": each sample its own. "pair": as "elem": each
            sample has the distribution that it has in timm, but the two of a pair do not share their draw.
        correct_lam: True. Labels follow the pixels.
        label_smoothing: 0 to below 1.
        num_classes: how many columns the targets have.
        multi_label: whether targets are (n, num_classes) zeros and ones, to be smoothed towards 1/2.
        seed: any int; public.
        return_mix: whether calls give (samples, targets, mix), as `ma.mix_batch` does.

    `recipe` is what it mixes by. `step` counts the calls, is public, and is what `state_dict` holds: load it, and a
    resumed run goes on as the first would have. timm's scripts do not save this object: a restarted one draws the mixes
    of its first epochs again, unless two lines after its loader is made set `step`, as in the second example. If
    `torch.distributed` runs several processes, the key is (seed, step, rank): with the same seed on every rank, their
    mixes differ. In a worker of a DataLoader the key is (seed, the worker's seed, calls in this worker), as for
    `ma.torch.MixingCollate`; set `seed` there. With `mixup_enabled = False` samples pass unmixed and targets become
    smoothed rows all the same, as in timm.

    Other than there, batches may be odd or of one sample, samples may be uint8 and are not written to, targets may be
    rows (n, num_classes) already, the rows that come out are float32 whatever the samples are and sum to 1, and nothing
    is drawn from NumPy's global generator. Partners are drawn, not the batch in reverse.

    Raises:
        ValueError: options out of range, mixup and CutMix both off, or a `correct_lam` that is not True.

    Example:
        >>> import mixaug as ma, torch
        >>> mixup_fn = ma.timm.Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, num_classes=10)
        >>> samples, targets = mixup_fn(torch.zeros(5, 3, 8, 8), torch.arange(5))
        >>> targets.shape, mixup_fn.step
        (torch.Size([5, 10]), 1)

        A script that starts again at `start_epoch`:

        >>> start_epoch, loader_train = 2, [(torch.zeros(4, 3, 8, 8), torch.arange(4))] * 6
        >>> if start_epoch:
        ...     mixup_fn.step = start_epoch * len(loader_train)
        >>> mixup_fn.step
        12
    """

    @known_options()
    def __init__(
        self,
        mixup_alpha: float = 1.0,
        cutmix_alpha: float = 0.0,
        cutmix_minmax: Sequence[float] | None = None,
        prob: float = 1.0,
        switch_prob: float = 0.5,
        mode: str = "batch",
        correct_lam: bool = True,
        label_smoothing: float = 0.1,
        num_classes: int = 1000,
        multi_label: bool = False,
        seed: int = 0,
        return_mix: bool = False,
    ) -> None:
        if not correct_lam:
            raise ValueError(
                f"correct_lam: expected True, got {correct_lam!r}; labels follow the pixels here, leave it out"
            )
        if mode not in _MODES:
            raise ValueError(f"mode: expected one of {', '.join(_MODES)}, got {mode!r}")
        one = _one(mixup_alpha, _cutmix(cutmix_alpha, cutmix_minmax), switch_prob)
        some = one if prob == 1 else sometimes(check_number("prob", prob, 0, 1, open_low=False), one)
        self.recipe: Recipe = per_batch(some) if mode == "batch" else some
        self.label_smoothing = check_smoothing(label_smoothing)
        self.num_classes = check_whole("num_classes", num_classes, 1)
        self.multi_label, self.seed = multi_label, seed
        self.return_mix = return_mix
        self.mixup_enabled = True
        self.step = 0
        self._calls = Calls()

    def __call__(self, x: Tensor, target: Tensor) -> tuple[Any, ...]:
        """The mixed samples, and what they are made of.

        Args:
            x: samples (n, c, h, w), of any dtype that is mixed.
            target: class ids (n,), or rows (n, num_classes).

        Returns:
            Samples of the dtype of x, and rows float32 (n, num_classes); float64 for float64 targets; with
            `return_mix` the mix too.
        """
        if self.multi_label and tuple(target.shape[1:]) != (self.num_classes,):
            raise ValueError(
                f"target: expected zeros and ones (n, {self.num_classes}) for multi_label, got {tuple(target.shape)}"
            )
        recipe = self.recipe if self.mixup_enabled else identity()
        worker = self._calls.in_worker()
        key = self._calls.key(self.seed, *(worker or (self.step,)))
        fields = {"images": Images("nchw")}
        options = Options(num_classes=self.num_classes, fields=fields, return_mix=self.return_mix)
        samples, labels, *mix = mix_rows(recipe, Rows((x, target)), key, advises=False, **options)
        self.step += not worker
        return samples, smooth(labels, self.label_smoothing, self.multi_label), *mix

    def state_dict(self) -> dict[str, int]:
        """How many calls there were."""
        return {"step": self.step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from there."""
        self.step = check_whole("step", state["step"], 0)


def __getattr__(name: str) -> Any:
    if name == "FastCollateMixup":
        return import_module(".timm_collate", __package__).FastCollateMixup
    raise AttributeError(f"mixaug.timm has no {name!r}; it has Mixup and FastCollateMixup")


def _cutmix(alpha: float, minmax: Sequence[float] | None) -> Recipe | None:
    if minmax is None:
        return CutMix(alpha) if check_number("cutmix_alpha", alpha, 0, open_low=False) else None
    if len(minmax) != 2:
        raise ValueError(f"cutmix_minmax: expected (low, high), got {minmax!r}")
    return CutMixMinMax(*minmax)


def _one(mixup_alpha: float, cutmix: Recipe | None, switch_prob: float) -> Recipe:
    """Mixup, CutMix, or a choice of both."""
    chance = check_number("switch_prob", switch_prob, 0, 1, open_low=False)
    mixup = MixUp(mixup_alpha) if check_number("mixup_alpha", mixup_alpha, 0, open_low=False) else None
    on = [recipe for recipe in (mixup, cutmix) if recipe is not None]
    if not on:
        raise ValueError(
            "expected mixup_alpha or cutmix_alpha above 0, or cutmix_minmax, got none; to mix nothing leave it out"
        )
    return on[0] if len(on) == 1 else one_of(*on, weights=(1 - chance, chance))
