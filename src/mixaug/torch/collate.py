"""`MixingCollate`: a `collate_fn` that mixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import torch
from torch.utils import data

from .. import loss_advice
from ..batch import Batch, Options, mix_rows
from ..core.hints import known_options
from ..core.rows import Rows
from ..fields import Field, Labels, resolve, tree
from ..label_rules import rule as label_rule
from ..losses import check_smoothing, smooth
from ..recipes import Recipe, check_recipe, identity
from ..recipes.combine import check_no_schedule
from .call_keys import CallKeys
from .samples import CollateFn, check_samples, collate


class MixingCollate:
    """A `collate_fn` that mixes batches, for an existing DataLoader. Prefer `loader`, which is reproducible.

        batch = mix_batch(recipe, collate_fn(samples), key=(seed, worker seed, call))

    A collate function does not know which batch it makes, so it counts its calls. The mixes differ between workers,
    epochs and ranks, with persistent workers too. If `torch.distributed` runs several processes, the rank is the last
    number of the key.

    The mixes depend on the number of workers and on PyTorch's global seed: the same `seed` alone does not reproduce
    them. A resumed run with the same global seed repeats the mixes of the first run; pass it another `seed`, such as
    its first epoch. `ma.schedule` is refused, because the epoch is unknown. Evaluation needs a DataLoader with another
    collate function.

    Args:
        recipe: a recipe or its text.
        seed: any int, the same on every rank.
        collate_fn: collates the samples before they are mixed.
        smoothing: label smoothing of the mixed labels, in [0, 1), as in `ma.losses.smooth`. Binary labels, and labels
            under a rule whose rows do not sum to 1, are smoothed towards 1/2.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size, as for `ma.mix_batch`.

    Attributes:
        enabled: set it to False to turn mixing off from the next epoch on. Labels keep their form and are still
            smoothed; `include_clean` and `copies` are off. It lies in shared memory, so running workers see the change.

    Raises:
        TypeError: if `recipe` is not a recipe.
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
        collate_fn: CollateFn = data.default_collate,
        smoothing: float = 0.0,
        **options: Unpack[Options],
    ) -> None:
        recipe = check_recipe("recipe", recipe)
        self.recipe = check_no_schedule("MixingCollate", recipe, "mix with ma.torch.loader, which knows the epoch")
        self.seed, self.collate_fn, self.options = seed, collate_fn, options
        self.smoothing = check_smoothing(smoothing)
        self.calls = 0  #: in the main process
        self._call_keys = CallKeys()
        self._enabled = torch.ones((), dtype=torch.bool).share_memory_()
        loss_advice.before_workers("torch", options.get("num_classes"))

    @property
    def enabled(self) -> bool:
        """Whether samples are mixed."""
        return bool(self._enabled)

    @enabled.setter
    def enabled(self, enabled: bool) -> None:
        self._enabled.fill_(bool(enabled))

    def __call__(self, samples: Sequence[Any]) -> Batch:
        """Collate and mix the samples."""
        check_samples(samples)
        numbers = self._call_keys.worker_call() or (0, self._count_call())
        batch = collate(samples, self.options.get("fields"), self.collate_fn)
        recipe, options = self.recipe, self.options
        if not self.enabled:
            recipe, options = identity(), options | {"include_clean": False, "copies": 1}
        key = self._call_keys.key(self.seed, *numbers)
        mixed = mix_rows(recipe, Rows(batch), key, advises=False, **options)
        if not self.smoothing:
            return mixed
        return _smoothed(mixed, resolve(batch, options.get("fields"), options.get("num_classes")), self.smoothing)

    def _count_call(self) -> int:
        """Count a call in the main process and return its number."""
        self.calls += 1
        return self.calls - 1


def _smoothed(mixed: Batch, fields: Mapping[str, Field], smoothing: float) -> Batch:
    """Smooth every field of labels of a mixed batch."""
    labels = {name: field for name, field in fields.items() if isinstance(field, Labels)}
    if not labels:
        raise ValueError(
            f"smoothing: expected a field of labels, got {', '.join(map(repr, fields))}; leave smoothing out, or name "
            "the labels in fields="
        )
    values = tree.several(mixed, labels)
    towards_half = {name: field.binary or label_rule(field.rule).greatest for name, field in labels.items()}
    return tree.replaced(mixed, {name: smooth(values[name], smoothing, towards_half[name]) for name in labels})
