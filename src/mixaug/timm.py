"""timm: drop-in replacements for `timm.data.Mixup` and `timm.data.FastCollateMixup`. Only the second imports timm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from torch import Tensor

from .batch import Options, mix_rows
from .core.hints import known_options
from .core.rows import Rows
from .fields import Images
from .losses import check_smoothing, smooth
from .recipes import CutMix, CutMixMinMax, MixUp, Recipe, identity, one_of, per_batch, sometimes
from .recipes.recipe import check_number, check_whole
from .torch import CallKeys

_MODES = ("batch", "pair", "elem")


class Mixup:
    """A drop-in replacement for `timm.data.Mixup`, with the same arguments.

        output = smooth(mix_batch(recipe, (samples, targets), key=(seed, step)), label_smoothing)

    Args:
        mixup_alpha: Beta concentration of mixup; 0 turns it off.
        cutmix_alpha: Beta concentration of CutMix; 0 turns it off.
        cutmix_minmax: (low, high), the range of box sides of `ma.CutMixMinMax`, which replaces `cutmix_alpha`.
        prob: probability of mixing, per batch or, in the modes "pair" and "elem", per sample.
        switch_prob: probability of CutMix if both are on.
        mode: "batch": one draw per batch, `ma.per_batch`. "elem": one draw per sample. "pair": as "elem"; each sample
            has the distribution that it has in timm, but the two samples of a pair do not share a draw.
        correct_lam: must be True: labels follow the pixels.
        label_smoothing: label smoothing, in [0, 1).
        num_classes: number of target columns.
        multi_label: whether targets are zeros and ones (n, num_classes), smoothed towards 1/2.
        seed: any int.
        return_mix: whether calls return (samples, targets, mix), as for `ma.mix_batch`.

    Attributes:
        recipe: the recipe that the arguments describe.
        step: the number of calls so far, saved in `state_dict`; restore it to resume a run. timm's scripts do not save
            this object, so a restarted script repeats the mixes of its first epochs unless it sets `step`, as in the
            second example.
        seed: set it per run if you mix in DataLoader workers.
        mixup_enabled: set it to False to turn mixing off; targets are still smoothed rows, as in timm.

    If `torch.distributed` runs several processes, the key is (seed, step, rank), so their mixes differ with the same
    seed. In a DataLoader worker the key is (seed, worker seed, call), as for `ma.torch.MixingCollate`.

    Unlike timm's, this class accepts batches of odd size or of one sample, uint8 samples (inputs are not modified) and
    targets that are rows (n, num_classes). The target rows sum to 1 and are float32 whatever the dtype of the samples.
    Partners are drawn at random instead of reversing the batch, and NumPy's global generator is not used.

    Raises:
        ValueError: if an option is out of range, mixup and CutMix are both off, or `correct_lam` is not True.

    Example:
        >>> import mixaug as ma, torch
        >>> mixup_fn = ma.timm.Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, num_classes=10)
        >>> samples, targets = mixup_fn(torch.zeros(5, 3, 8, 8), torch.arange(5))
        >>> targets.shape, mixup_fn.step
        (torch.Size([5, 10]), 1)

        A script that restarts at `start_epoch`:

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
                f"correct_lam: expected True, got {correct_lam!r}; leave it out, because labels follow the pixels"
            )
        if mode not in _MODES:
            raise ValueError(f"mode: expected one of {', '.join(_MODES)}, got {mode!r}")
        recipe = _mixup_or_cutmix(mixup_alpha, _cutmix(cutmix_alpha, cutmix_minmax), switch_prob)
        recipe = recipe if prob == 1 else sometimes(check_number("prob", prob, 0, 1, open_low=False), recipe)
        self.recipe: Recipe = per_batch(recipe) if mode == "batch" else recipe
        self.label_smoothing = check_smoothing(label_smoothing)
        self.num_classes = check_whole("num_classes", num_classes, 1)
        self.multi_label, self.seed = multi_label, seed
        self.return_mix = return_mix
        self.mixup_enabled = True
        self.step = 0
        self._call_keys = CallKeys()

    def __call__(self, x: Tensor, target: Tensor) -> tuple[Any, ...]:
        """Mix samples and targets.

        Args:
            x: samples (n, c, h, w), of any dtype that `ma.mix_batch` accepts.
            target: class ids (n,), or rows (n, num_classes).

        Returns:
            Samples of the dtype of x, and rows (n, num_classes), float32, or float64 for float64 targets; then the mix
            if `return_mix` is set.
        """
        if self.multi_label and tuple(target.shape[1:]) != (self.num_classes,):
            raise ValueError(
                f"target: expected zeros and ones (n, {self.num_classes}) for multi_label, got {tuple(target.shape)}"
            )
        recipe = self.recipe if self.mixup_enabled else identity()
        worker_call = self._call_keys.worker_call()
        key = self._call_keys.key(self.seed, *(worker_call or (self.step,)))
        fields = {"images": Images("nchw")}
        options = Options(num_classes=self.num_classes, fields=fields, return_mix=self.return_mix)
        samples, labels, *mix = mix_rows(recipe, Rows((x, target)), key, advises=False, **options)
        self.step += not worker_call
        return samples, smooth(labels, self.label_smoothing, self.multi_label), *mix

    def state_dict(self) -> dict[str, int]:
        """Return the number of calls so far."""
        return {"step": self.step}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Restore the number of calls so far."""
        self.step = check_whole("step", state["step"], 0)


def __getattr__(name: str) -> Any:
    if name == "FastCollateMixup":
        return import_module(".timm_collate", __package__).FastCollateMixup
    raise AttributeError(f"mixaug.timm has no {name!r}; it has Mixup and FastCollateMixup")


def _cutmix(alpha: float, minmax: Sequence[float] | None) -> Recipe | None:
    """The CutMix that the arguments describe, None if it is off."""
    if minmax is None:
        return CutMix(alpha) if check_number("cutmix_alpha", alpha, 0, open_low=False) else None
    if len(minmax) != 2:
        raise ValueError(f"cutmix_minmax: expected (low, high), got {minmax!r}")
    return CutMixMinMax(*minmax)


def _mixup_or_cutmix(mixup_alpha: float, cutmix: Recipe | None, switch_prob: float) -> Recipe:
    """Mixup, CutMix, or a random choice of the two if both are on."""
    chance = check_number("switch_prob", switch_prob, 0, 1, open_low=False)
    mixup = MixUp(mixup_alpha) if check_number("mixup_alpha", mixup_alpha, 0, open_low=False) else None
    recipes = [recipe for recipe in (mixup, cutmix) if recipe is not None]
    if not recipes:
        raise ValueError(
            "expected mixup_alpha or cutmix_alpha above 0, or cutmix_minmax, got none; to mix nothing leave it out"
        )
    return recipes[0] if len(recipes) == 1 else one_of(*recipes, weights=(1 - chance, chance))
