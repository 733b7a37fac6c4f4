"""A drop-in for `timm.data.FastCollateMixup`, reached as `ma.timm.FastCollateMixup`. This imports timm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from timm.data import mixup as theirs

from .fields import Fields, Images, Labels
from .losses import smooth
from .timm import Mixup
from .torch import MixingCollate, check_samples


class FastCollateMixup(theirs.FastCollateMixup):  # type: ignore[misc] # its PrefetchLoader hands `mixup_enabled` to no other class
    """Collate uint8 samples and mix them, with the arguments, and for the loaders, of `timm.data.FastCollateMixup`.

        output = smooth(mix_batch(recipe, (samples, targets), key=(seed, the worker's seed, calls)), label_smoothing)

    Args:
        options: as for `ma.timm.Mixup`, by place or by name.

    Samples are pairs of a uint8 image (c, h, w), an array or a tensor, and a class id, or a row of `multi_label`. They
    are mixed in integers, rounded to nearest, and come out uint8, as timm's `PrefetchLoader` takes them.
    `mixup_enabled = False`, on this or on that loader, lets samples pass unmixed from the next epoch on; it lies in
    shared memory, so persistent workers see it. Draws follow the workers' seeds, as those of `ma.torch.MixingCollate`.
    So a script that is started again with the same global seed draws the mixes of its first epochs again; two lines
    before its first batch is read set another `seed`, as in the second example. (With `use_multi_epochs_loader` workers
    start when the loader is made: set it before.)

    Raises:
        ImportError: if timm is not installed.
        TypeError: if samples are not uint8.
        ValueError: if an option is out of range; there is no mode "half".

    Example:
        >>> import mixaug as ma, numpy as np
        >>> collate = ma.timm.FastCollateMixup(mixup_alpha=0.8, cutmix_alpha=1.0, num_classes=10)
        >>> samples, targets = collate([(np.zeros((3, 8, 8), np.uint8), i) for i in range(4)])
        >>> samples.dtype, targets.shape
        (torch.uint8, torch.Size([4, 10]))

        A script that starts again at `start_epoch`:

        >>> start_epoch = 2
        >>> if start_epoch:
        ...     collate.seed = start_epoch
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        mixup = Mixup(*args, **options)  # checks the options, and knows what they mean
        self.num_classes, self.multi_label = mixup.num_classes, mixup.multi_label
        self.label_smoothing, self.recipe = mixup.label_smoothing, mixup.recipe
        fields: Fields = {"images": Images("nchw"), "labels": Labels(mixup.num_classes)}
        self._collate = MixingCollate(mixup.recipe, seed=mixup.seed, fields=fields, return_mix=mixup.return_mix)

    @property
    def seed(self) -> int:
        """The first number of the keys; workers that start have it as it is then."""
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
        """The mixed samples uint8 (n, c, h, w), and rows float32 (n, num_classes); with `return_mix` the mix too."""
        check_samples(batch)
        dtype = str(getattr(batch[0][0], "dtype", type(batch[0][0]).__name__)).removeprefix("torch.")
        if dtype != "uint8":
            raise TypeError(
                f"FastCollateMixup: expected uint8 samples, as timm's loader with its prefetcher makes, got {dtype}; "
                "mix the batches of another one with ma.timm.Mixup"
            )
        samples, labels, *mix = self._collate([(image, target) for image, target in batch])
        return samples, smooth(labels, self.label_smoothing, self.multi_label), *mix
