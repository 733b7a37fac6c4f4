"""Hugging Face: a Trainer that mixes training batches and computes the loss of mixed labels.

Mixing in a data collator would be wrong: the Trainer uses it for evaluation too, and a model that receives float labels
(n, num_labels) silently treats them as multi-label and computes the binary cross-entropy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer

from .batch import Options, mix_rows
from .core.rows import Rows
from .fields import Fields, Guide, resolve
from .fields.class_weights import ADDED, ClassWeights
from .losses import binary_cross_entropy, cross_entropy, smooth
from .recipes import Recipe, check_recipe

_MULTI = "multi_label_classification"


class MixTrainer(Trainer):  # type: ignore[misc]
    """A Trainer that mixes training batches; evaluation and prediction are unchanged.

        inputs = mix_batch(recipe, inputs, key=(mix_seed, epoch, global_step, micro step, process index))
        loss = mean over the rows of sample_weight * cross_entropy(logits, labels)

    Args:
        args: as for `Trainer`.
        recipe: a recipe or its text.
        mix_seed: any int; None uses `args.seed`.
        fields: as for `ma.mix_batch`; pixel_values and labels are recognized, other names must be declared.
        class_weights: as for `ma.mix_batch`; the loss of each row is multiplied by its weight, and by a "sample_weight"
            (n,) of the batch.
        options: as for `Trainer`.

    The micro step counts the batches of an optimizer step from 0. A run resumed from a checkpoint draws the mixes of an
    uninterrupted one. Processes draw different mixes, except those that share a batch.

    The model does not receive the labels, because it would misinterpret them. The loss is the mean over all rows of an
    optimizer step, however they are split into micro steps and processes (as in `Trainer`, it is the mean of the micro
    steps' means if the model's `forward` takes no loss options). It is the binary cross-entropy if
    `model.config.problem_type` was "multi_label_classification" when the Trainer was created; labels are then zeros and
    ones (n, num_labels). A `compute_loss_func` receives the mixed labels instead. A subclass that overrides
    `compute_loss` receives them too, with the "sample_weight" among its inputs. `args.label_smoothing_factor` smooths
    the mixed labels in training.

    To combine it with another Trainer: `class MyTrainer(ma.huggingface.MixTrainer, OtherTrainer)`.

    Raises:
        TypeError: if `recipe` is not a recipe, or the model has no `config.num_labels`.
        ValueError: if the model is for regression, multi-hot labels would be smoothed, or one process has several GPUs;
            in training, if a batch has no labels, or labels that could mean two things.

    Example:
        >>> import mixaug as ma, torch
        >>> from transformers import TrainingArguments, ViTConfig, ViTForImageClassification
        >>> small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        >>> model = ViTForImageClassification(ViTConfig(image_size=8, patch_size=4, num_labels=3, **small))
        >>> samples = [{"pixel_values": torch.rand(3, 8, 8), "labels": i % 3} for i in range(6)]
        >>> args = TrainingArguments("out/example", max_steps=2, report_to="none", save_strategy="no", use_cpu=True)
        >>> trainer = ma.huggingface.MixTrainer(model, args, train_dataset=samples, recipe=ma.CutMix(alpha=1.0))
    """

    compute_loss_func: Any  #: as in `Trainer`

    def __init__(
        self,
        *args: Any,
        recipe: Recipe | str,
        mix_seed: int | None = None,
        fields: Fields | None = None,
        class_weights: ClassWeights | None = None,
        **options: Any,
    ) -> None:
        self.recipe, self.fields, self.class_weights = check_recipe("recipe", recipe), fields, class_weights
        self._row_weights: list[Tensor] = []  # of the batch in the current training step
        super().__init__(*args, **options)
        self.mix_seed = self.args.seed if mix_seed is None else mix_seed
        self._problem = getattr(self._config, "problem_type", None)  # evaluation may set it later
        self._micro_step = 0
        self._labels_per_row: int | None = None  # None outside of a training step
        self._check()

    def get_batch_samples(self, *args: Any, **options: Any) -> Any:
        """Fetch the batches of one optimizer step."""
        self._micro_step = 0
        return super().get_batch_samples(*args, **options)

    def training_step(self, model: Any, inputs: Mapping[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Mix the batch on its device, then run the training step."""
        inputs = self._prepare_inputs(inputs)
        mixed = self._mixed(inputs)
        self._micro_step += 1
        self._labels_per_row = inputs["labels"][0].numel() if "labels" in inputs else 1
        try:
            return super().training_step(model, mixed, num_items_in_batch)
        finally:
            self._labels_per_row, self._row_weights = None, []

    def compute_loss(self, model: Any, inputs: Mapping[str, Any], *args: Any, **options: Any) -> Any:
        """Compute the loss of mixed labels in a training step, the Trainer's loss otherwise."""
        if self._labels_per_row is None or self.compute_loss_func is not None:
            return super().compute_loss(model, inputs, *args, **options)
        weights = {name: x for name, x in inputs.items() if name.startswith(ADDED)}
        self._row_weights = list(weights.values())
        inputs = {name: x for name, x in inputs.items() if name not in weights}
        self.compute_loss_func = self._loss  # with one, the Trainer withholds the labels and scales the loss
        try:
            return super().compute_loss(model, inputs, *args, **options)
        finally:
            self.compute_loss_func = None

    def _loss(self, outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        """Sum over the rows, divided by the rows of the optimizer step (num_items_in_batch counts labels)."""
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        loss = binary_cross_entropy if self._problem == _MULTI else cross_entropy
        losses = loss(logits, labels.to(logits.device))
        for weight in self._row_weights:
            losses = losses * weight.reshape(-1).to(losses.device)
        if num_items_in_batch is None:
            return losses.mean()
        return losses.sum() * self._labels_per_row / torch.as_tensor(num_items_in_batch, device=losses.device)

    def _mixed(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        if self.compute_loss_func is None:
            _check_labels(inputs, self._problem)
        key = (self.mix_seed, int(self.state.epoch or 0), self.state.global_step, self._micro_step, self._data_rank())
        num_classes = self._config.num_labels
        options = Options(num_classes=num_classes, fields=self.fields, class_weights=self.class_weights)
        mixed: dict[str, Any] = mix_rows(self.recipe, Rows(inputs), key, advises=False, **options)
        kinds = resolve(inputs, self.fields, num_classes)
        mixed = {name: x for name, x in mixed.items() if not isinstance(kinds.get(name), Guide)}
        if self.compute_loss_func is None or self.args.label_smoothing_factor:
            mixed["labels"] = smooth(_checked_weights(mixed["labels"], num_classes), self.args.label_smoothing_factor)
        return mixed

    def _data_rank(self) -> int:
        """The rank among data-parallel groups; processes of one group share a batch and its mix."""
        return int(self.args.process_index // (self.get_tp_size() * self.get_cp_size() * self.get_sp_size()))

    @property
    def _config(self) -> Any:
        return getattr(self.model, "config", None)

    def _check(self) -> None:
        if getattr(self._config, "num_labels", None) is None:
            raise TypeError(
                f"model: expected a config with num_labels, got {type(self.model).__name__}; "
                "set model.config = transformers.PretrainedConfig(num_labels=...)"
            )
        if self.args.n_gpu > 1:
            raise ValueError(
                f"expected one GPU per process, got {self.args.n_gpu} under DataParallel; "
                "start one process per GPU with torchrun, or set CUDA_VISIBLE_DEVICES"
            )
        if self.args.label_smoothing_factor and self._problem == _MULTI:
            raise ValueError(
                "label_smoothing_factor: expected 0 for multi-label models, whose labels the Trainer does not smooth, "
                f"got {self.args.label_smoothing_factor}; use ma.losses.smooth in a compute_loss_func"
            )
        if self.compute_loss_func is not None and self.class_weights is not None:
            raise ValueError(
                "class_weights: expected no compute_loss_func, because it does not receive the weights, got one; leave "
                "it out, or override compute_loss, whose inputs contain 'sample_weight'"
            )
        if self.compute_loss_func is None and (self._problem == "regression" or self._config.num_labels == 1):
            raise ValueError(
                "model: expected a classification model, got one for regression; "
                "pass fields={'labels': 'values'} and a compute_loss_func"
            )


def _check_labels(inputs: Mapping[str, Any], problem: str | None) -> None:
    """Raise a ValueError if there are no labels, or if they could mean two things."""
    if "labels" not in inputs:
        raise ValueError(
            f"expected a batch with 'labels', got {', '.join(map(repr, inputs))}; "
            "rename them, with TrainingArguments(remove_unused_columns=False) if forward takes no labels, or pass a "
            "compute_loss_func"
        )
    shape = tuple(inputs["labels"].shape)
    has_columns = len(shape) == 2 and shape[1] > 1
    if has_columns and problem is None:
        raise ValueError(
            f"labels: expected labels with one meaning, got {shape}, which could be soft labels or several classes per "
            f"sample; set model.config.problem_type = 'single_label_classification' or {_MULTI!r} before the Trainer "
            "is created"
        )
    if problem == _MULTI and not has_columns:
        raise ValueError(
            f"labels: expected zeros and ones (n, num_labels) for a multi-label model, got {shape}; one-hot encode "
            "them, or set model.config.problem_type = 'single_label_classification' before the Trainer is created"
        )


def _checked_weights(labels: Any, num_labels: int) -> Tensor:
    """Return mixed labels that are one weight per class; raise a ValueError for others."""
    if not isinstance(labels, Tensor) or tuple(labels.shape[1:]) != (num_labels,):
        came = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise ValueError(
            f"labels: expected one weight per class (n, {num_labels}) for this loss, got {came}; "
            "leave them out of fields, or pass a compute_loss_func and no label_smoothing_factor"
        )
    return labels
