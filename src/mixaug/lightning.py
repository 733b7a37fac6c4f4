"""Lightning: a callback that mixes the batches of training, and no others."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Unpack

from lightning.pytorch import Callback, LightningModule, Trainer

from .batch import Batch, Options, mix_batch
from .core.hints import known_options
from .recipes import Recipe, check_recipe


class MixCallback(Callback):  # type: ignore[misc]
    """Mix each batch of training, on the device, before `training_step` sees it.

        batch = mix_batch(recipe, batch, key=(seed, current_epoch, batch_idx))

    Args:
        recipe: what to mix by.
        seed: any int, the same on every rank.
        options: num_classes, fields, pairing, bank, include_clean, copies, class_weights, size, as for `ma.mix_batch`.
            With class weights a batch has sample weights, which `training_step` has to multiply its losses by.

    Where there are several ranks the key is (seed, current_epoch, batch_idx, rank): their mixes differ. Batches are
    numbered within their epoch, so neither the accumulation of gradients nor validation in between changes a mix, and
    a run that goes on from a checkpoint draws what the first would have drawn. (Where in an epoch the data go on is the
    loader's affair: one with `state_dict` goes on where it was.) Validation, test and prediction see plain batches.

    Labels reach `training_step` as rows of weights, which `torch.nn.functional.cross_entropy` takes. Lightning does not
    take a batch back from a callback, so the mixed fields are put into the container that it hands to `training_step`,
    a list or a dict of its own making (a `transfer_batch_to_device` of yours has to make a new one too); no tensor is
    written to. The Trainer of the package `pytorch_lightning` takes this callback as well.

    Raises:
        TypeError: what is no recipe; while training, a batch that nothing can be put into, such as a tuple.

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
        """Lightning calls this when a batch is on the device, before `training_step`."""
        _check_container(batch)
        key = (self.seed, trainer.current_epoch, batch_idx, *_ranks(trainer))
        mixed = mix_batch(self.recipe, batch, key=key, **self.options)
        if isinstance(batch, list):
            batch[:] = mixed
        else:
            batch.update(mixed)


def _check_container(batch: Any) -> None:
    """Refuse what nothing can be put into."""
    if not isinstance(batch, (list, MutableMapping)):
        raise TypeError(
            f"batch: expected a list or a dict, which the mixed fields are put into, got {type(batch).__name__}; "
            "return one from collate_fn or on_after_batch_transfer, or call ma.mix_batch in training_step"
        )


def _ranks(trainer: Trainer) -> tuple[int, ...]:
    """Which part of the data this process has, where there are several."""
    shares = trainer.distributed_sampler_kwargs or {"num_replicas": 1}
    return (shares["rank"],) if shares["num_replicas"] > 1 else ()
