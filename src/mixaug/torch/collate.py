"""`MixingCollate`: a `collate_fn` that mixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import torch
from torch.utils import data

from ..batch import Batch, Options, mix_rows
from ..core.hints import known_options
from ..fields import Field, Labels, resolve, tree
from ..label_rules import rule as label_rule
from ..losses import check_smoothing, smooth
from ..ops.rows import Rows
from ..recipes import Recipe, check_recipe, identity
from ..recipes.combine import check_no_schedule
from .calls import Calls
from .samples import Collate, check_samples, collate, say_loss


class MixingCollate:
    """A `collate_fn` that mixes, for a DataLoader that is there already: `loader` promises more.

        batch = mix_batch(recipe, collate_fn(samples), key=(seed, the worker's seed, calls so far in this worker))

    A collate function is not told which batch it makes, so this counts its calls. Mixes are new in each worker, epoch
    and rank (if `torch.distributed` runs several processes, the rank is the last number of the key), persistent workers
    included. But which ones they are depends on the number of workers and on PyTorch's global seed: unlike everywhere
    else, the same `seed` does not give the same mixes. A run that is resumed with the same global seed draws what the
    first one drew from its start: give it another `seed`, such as the epoch that it starts with. The epoch of a call is
    not known, so `ma.schedule` is refused. Evaluation must not use it: give that loader another collate function.

    Args:
        recipe: what to mix by.
        seed: any int, the same on every rank.
        collate_fn: makes a batch of samples, before they are mixed.
        smoothing: label smoothing of the mixed labels, 0 to below 1, as `ma.losses.smooth`; towards 1/2 for labels that
            are binary or mixed by a rule whose rows do not sum to 1.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size, as for `ma.mix_batch`.

    `enabled` is public: set it to False between epochs, and samples pass unmixed from the next one on, once each, with
    labels of the same form, smoothed all the same. It lies in shared memory, so workers that have started see it,
    persistent ones too.

    Raises:
        TypeError: if `recipe` is no recipe.
        ValueError: if `recipe` has a `ma.schedule`, `smoothing` is not in [0, 1), or there are no labels to smooth;
            when called, if there are no samples.

    Example:
        >>> import mixaug as ma, torch
        >>> pairs = torch.utils.data.TensorDataset(torch.zeros(6, 1, 8, 8), torch.arange(6))
        >>> mixing = ma.torch.MixingCollate(ma.MixUp(alpha=0.2), num_classes=6)
        >>> [labels.shape[0] for _, labels in torch.utils.data.DataLoader(pairs, batch_size=4, collate_fn=mixing)]
        [4, 2]
    """

    @known_options(Options)
    def __init__(
        self,
        recipe: Recipe | str,
        *,
        seed: int = 0,
        collate_fn: Collate = data.default_collate,
        smoothing: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        recipe = check_recipe("recipe", recipe)
        self.recipe = check_no_schedule("MixingCollate", recipe, "mix with ma.torch.loader, which knows the epoch")
        self.seed, self.collate_fn, self.options = seed, collate_fn, options
        self.smoothing = check_smoothing(smoothing)
        self.calls = 0  #: in the main process
        self._calls = Calls()
        self._enabled = torch.ones((), dtype=torch.bool).share_memory_()
        say_loss(options.get("num_classes"))

    @property
    def enabled(self) -> bool:
        """Whether samples are mixed."""
        return bool(self._enabled)

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled.fill_(bool(enabled))

    def __call__(self, samples: Sequence[Any]) -> Batch:
        """The mixed batch of these samples."""
        check_samples(samples)
        at = self._calls.in_worker() or (0, self._counted())
        batch = collate(samples, self.options.get("fields"), self.collate_fn)
        recipe, options = self.recipe, self.options
        if not self.enabled:
            recipe, options = identity(), options | {"include_clean": False, "copies": 1}
        mixed = mix_rows(recipe, Rows(batch), self._calls.key(self.seed, *at), advises=False, **options)
        if not self.smoothing:
            return mixed
        return _smoothed(mixed, resolve(batch, options.get("fields"), options.get("num_classes")), self.smoothing)

    def _counted(self) -> int:
        self.calls += 1
        return self.calls - 1


def _smoothed(mixed: Batch, kinds: Mapping[str, Field], smoothing: float) -> Batch:
    """A mixed batch with its labels smoothed."""
    labels = {name: kind for name, kind in kinds.items() if isinstance(kind, Labels)}
    if not labels:
        raise ValueError(
            f"smoothing: expected a field of labels, got {', '.join(map(repr, kinds))}; leave smoothing out, or name "
            "the labels in fields="
        )
    rows = tree.several(mixed, labels)
    towards_half = {name: kind.binary or label_rule(kind.rule).greatest for name, kind in labels.items()}
    return tree.replaced(mixed, {name: smooth(rows[name], smoothing, towards_half[name]) for name in labels})
