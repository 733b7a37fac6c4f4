"""A drop-in replacement for `timm.data.FastCollateMixup`, available as `ma.timm.FastCollateMixup`. Imports timm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.data import mixup as timm_mixup

from .fields import Fields, Images, Labels
from .losses import smooth
from .timm import Mixup
from .torch import MixingCollate, check_samples


class FastCollateMixup(timm_mixup.FastCollateMixup):  # type: ignore[misc] # PrefetchLoader sets mixup_enabled on this class only
    """A drop-in replacement for `timm.data.FastCollateMixup`, with the same arguments: collate uint8 samples and mix.

        output = smooth(mix_batch(recipe, (samples, targets), key=(seed, worker seed, call)), label_smoothing)

    Args:
        args, options: as for `ma.timm.Mixup`.

    Attributes:
        mixup_enabled: set it to False, here or on timm's loader, to turn mixing off from the next epoch on. It lies in
            shared memory, so persistent workers see the change.
        seed: the first number of the key; workers use the value that it had when they started.

    Samples are pairs of a uint8 image (c, h, w), an array or a tensor, and a class id, or a row for `multi_label`. They
    are mixed in integer arithmetic, rounded to nearest, and returned as uint8, as timm's `PrefetchLoader` expects.

    The mixes depend on the workers' seeds, as for `ma.torch.MixingCollate`. A script restarted with the same global
    seed repeats the mixes of its first epochs unless it sets another `seed` before it reads its first batch, as in the
    second example. (With `use_multi_epochs_loader` the workers start when the loader is created: set it before.)

    Raises:
        ImportError: if timm is not installed.
        TypeError: if samples are not uint8.
        ValueError: if an option is out of range; the mode "half" does not exist.

    Example:
        >>> import mixaug as ma, numpy as np
        >>> collate = ma.timm.FastCollateMixup(mixup_alpha=0.8, cutmix_alpha=1.0, num_classes=10)
        >>> samples, targets = collate([(np.zeros((3, 8, 8), np.uint8), i) for i in range(4)])
        >>> samples.dtype, targets.shape
        (torch.uint8, torch.Size([4, 10]))

        A script that restarts at `start_epoch`:

        >>> start_epoch = 2
        >>> if start_epoch:
        ...     collate.seed = start_epoch
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        mixup = Mixup(*args, **options)  # checks the options and makes the recipe
        self.num_classes, self.multi_label = mixup.num_classes, mixup.multi_label
        self.label_smoothing, self.recipe = mixup.label_smoothing, mixup.recipe
        fields: Fields = {"images": Images("nchw"), "labels": Labels(mixup.num_classes)}
        self._collate = MixingCollate(mixup.recipe, seed=mixup.seed, fields=fields, return_mix=mixup.return_mix)

    @property
    def seed(self) -> int:
        """The first number of the key."""
        return self._collate.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._collate.seed = seed

    @property
    def mixup_enabled(self) -> bool:
        """Whether samples are mixed."""
        return self._collate.enabled

    @mixup_enabled.setter
    def mixup_enabled(self, enabled: bool) -> None:
        self._collate.enabled = enabled

    def __call__(self, batch: Sequence[tuple[Any, Any]], _: Any = None) -> tuple[Any, ...]:
        """Return mixed samples uint8 (n, c, h, w) and rows float32 (n, num_classes), then the mix if requested."""
        check_samples(batch)
        dtype = str(getattr(batch[0][0], "dtype", type(batch[0][0]).__name__)).removeprefix("torch.")
        if dtype != "uint8":
            raise TypeError(
                f"FastCollateMixup: expected uint8 samples, as timm's loader with its prefetcher makes, got {dtype}; "
                "mix the batches of another loader with ma.timm.Mixup"
            )
        samples, labels, *mix = self._collate([(image, target) for image, target in batch])
        return samples, smooth(labels, self.label_smoothing, self.multi_label), *mix
