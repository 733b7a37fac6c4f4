"""Lightning: a callback that mixes training batches."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Unpack

from lightning.pytorch import Callback, LightningModule, Trainer

from .batch import Batch, Options, mix_batch
from .core.hints import known_options
from .recipes import Recipe, check_recipe


class MixCallback(Callback):  # type: ignore[misc]
    """Mix each training batch, on the device, before `training_step`.

        batch = mix_batch(recipe, batch, key=(seed, current_epoch, batch_idx))

    Args:
        recipe: a recipe or its text.
        seed: any int, the same on every rank.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size, as for `ma.mix_batch`.
            With `class_weights` the batch contains sample weights; multiply the losses by them in `training_step`.

    If several ranks train, the key is (seed, current_epoch, batch_idx, rank), so their mixes differ. Batches are
    numbered within their epoch: gradient accumulation and validation do not change a mix, and a run resumed from a
    checkpoint draws the mixes of an uninterrupted one. (To resume the data mid-epoch, use a loader with `state_dict`.)
    Validation, test and prediction batches are not mixed.

    `training_step` receives labels as one weight per class, which `torch.nn.functional.cross_entropy` accepts.
    Lightning ignores what a callback returns, so the mixed fields replace those in the list or dict that it passes to
    `training_step`; no tensor is modified. If you override `transfer_batch_to_device`, return a new container from it.
    The Trainer of the package `pytorch_lightning` accepts this callback too.

    Raises:
        TypeError: if `recipe` is not a recipe; in training, if the batch is neither a list nor a dict.

    Example:
        >>> import lightning, mixaug as ma
        >>> mix = ma.lightning.MixCallback(ma.CutMix(alpha=1.0), num_classes=10)
        >>> trainer = lightning.Trainer(callbacks=[mix], accelerator="cpu", logger=False)
    """

    @known_options(Options)
    def __init__(self, recipe: Recipe | str, *, seed: int = 0, **options: Unpack[Options]) -> None:
        self.recipe = check_recipe("recipe", recipe)
        self.seed, self.options = seed, options

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Replace the fields of the batch by mixed ones; called by Lightning before `training_step`."""
        _check_container(batch)
        key = (self.seed, trainer.current_epoch, batch_idx, *_ranks(trainer))
        mixed = mix_batch(self.recipe, batch, key=key, **self.options)
        if isinstance(batch, list):
            batch[:] = mixed
        else:
            batch.update(mixed)


def _check_container(batch: Any) -> None:
    """Raise a TypeError if the fields of a batch cannot be replaced."""
    if not isinstance(batch, (list, MutableMapping)):
        raise TypeError(
            f"batch: expected a list or a dict, whose fields can be replaced, got {type(batch).__name__}; "
            "return one from collate_fn or on_after_batch_transfer, or call ma.mix_batch in training_step"
        )


def _ranks(trainer: Trainer) -> tuple[int, ...]:
    """The rank of this process among those that read different data, () if there is one."""
    sampling = trainer.distributed_sampler_kwargs or {"num_replicas": 1}
    return (sampling["rank"],) if sampling["num_replicas"] > 1 else ()
