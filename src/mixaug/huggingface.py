"""Hugging Face: a Trainer that mixes in its training step, and takes the loss that mixed labels need.

A data collator is the wrong place: the Trainer collates evaluation with it too, and a model that is handed rows of
floats takes them for several classes a sample, binary cross-entropy, without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer

from .batch import Options, mix_rows
from .fields import Fields, Guide, resolve
from .fields.class_weights import ADDED, ClassWeights
from .losses import binary_cross_entropy, cross_entropy, smooth
from .ops.rows import Rows
from .recipes import Recipe, check_recipe

_MULTI = "multi_label_classification"


class MixTrainer(Trainer):  # type: ignore[misc]
    """A Trainer whose training batches are mixed; evaluation and prediction are those of `Trainer`.

        inputs = mix_batch(recipe, inputs, key=(mix_seed, epoch, global_step, micro step, process index))
        loss = mean over the rows of sample_weight * cross_entropy(logits, labels)

    Args:
        args: as for `Trainer`, by place or by name.
        recipe: what to mix by.
        mix_seed: any int; None: `args.seed`.
        fields: as for `ma.mix_batch`: pixel_values and labels need no saying, other names do.
        class_weights: as there: the loss of each row is multiplied by the weight of the classes that it is made of. A
            "sample_weight" (n,) of the batch multiplies it too.
        options: as for `Trainer`.

    The micro step counts the batches of an optimizer step from 0. A run resumed from a checkpoint draws what the first
    would have drawn, and processes draw different mixes (those that share a batch, the same).

    The model is not handed the labels, so that it cannot take them for what they are not. The loss is the mean over all
    rows of an optimizer step, however they are cut into micro steps and processes (for a model whose `forward` takes no
    loss options the mean of the micro steps' means, as in `Trainer`). It is the binary cross-entropy where
    `model.config.problem_type` was "multi_label_classification" when the Trainer was made; labels are then zeros and
    ones (n, num_labels). A `compute_loss_func` gets the mixed labels instead, and so does a `compute_loss` of a
    subclass, whose inputs have the "sample_weight" too. `args.label_smoothing_factor` smooths the mixed labels, in
    training.

    With a Trainer of your own: `class MyTrainer(ma.huggingface.MixTrainer, TheirTrainer)`.

    Raises:
        TypeError, ValueError: what is no recipe, a model without `config.num_labels` or for regression, smoothing of
            multi-hot labels, several GPUs in one process; while training, batches that cannot be mixed.

    Example:
        >>> import mixaug as ma, torch
        >>> from transformers import TrainingArguments, ViTConfig, ViTForImageClassification
        >>> small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        >>> model = ViTForImageClassification(ViTConfig(image_size=8, patch_size=4, num_labels=3, **small))
        >>> samples = [{"pixel_values": torch.rand(3, 8, 8), "labels": i % 3} for i in range(6)]
        >>> args = TrainingArguments("out/example", max_steps=2, report_to="none", save_strategy="no", use_cpu=True)
        >>> trainer = ma.huggingface.MixTrainer(model, args, train_dataset=samples, recipe=ma.CutMix(alpha=1.0))
    """

    compute_loss_func: Any  #: the user's own loss, as in `Trainer`

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
        self._row_weights: list[Tensor] = []  # of the mixed batch that is in its step
        super().__init__(*args, **options)
        self.mix_seed = self.args.seed if mix_seed is None else mix_seed
        self._problem = getattr(self._config, "problem_type", None)  # evaluation may set it, from the labels it sees
        self._micro_step = 0
        self._items_a_row: int | None = None  # known while a mixed batch is in its step
        self._check()

    def get_batch_samples(self, *args: Any, **options: Any) -> Any:
        """The batches of one optimizer step."""
        self._micro_step = 0
        return super().get_batch_samples(*args, **options)

    def training_step(self, model: Any, inputs: Mapping[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """Mix the batch on its device and train on it."""
        inputs = self._prepare_inputs(inputs)
        mixed = self._mixed(inputs)
        self._micro_step += 1
        self._items_a_row = inputs["labels"][0].numel() if "labels" in inputs else 1
        try:
            return super().training_step(model, mixed, num_items_in_batch)
        finally:
            self._items_a_row, self._row_weights = None, []

    def compute_loss(self, model: Any, inputs: Mapping[str, Any], *args: Any, **options: Any) -> Any:
        """The loss of mixed labels while a mixed batch is in its step, else the Trainer's."""
        if self._items_a_row is None or self.compute_loss_func is not None:
            return super().compute_loss(model, inputs, *args, **options)
        named = [name for name in inputs if name.startswith(ADDED)]
        self._row_weights = [inputs[name] for name in named]
        inputs = {name: x for name, x in inputs.items() if name not in named}
        self.compute_loss_func = self._loss  # the Trainer's own way to keep labels from the model and to scale a loss
        try:
            return super().compute_loss(model, inputs, *args, **options)
        finally:
            self.compute_loss_func = None

    def _loss(self, outputs: Any, labels: Tensor, num_items_in_batch: Any = None) -> Tensor:
        """The sum over the rows by the number of rows in the whole step; the Trainer counts each row's labels."""
        logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        loss = binary_cross_entropy if self._problem == _MULTI else cross_entropy
        rows = loss(logits, labels.to(logits.device))
        for weight in self._row_weights:
            rows = rows * weight.reshape(-1).to(rows.device)
        if num_items_in_batch is None:
            return rows.mean()
        return rows.sum() * self._items_a_row / torch.as_tensor(num_items_in_batch, device=rows.device)

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
            mixed["labels"] = smooth(_checked_rows(mixed["labels"], num_classes), self.args.label_smoothing_factor)
        return mixed

    def _data_rank(self) -> int:
        """Which part of the data this process has: processes that share a batch have to share its mix."""
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
                f"expected one GPU a process, got {self.args.n_gpu} under DataParallel; "
                "start one process a GPU with torchrun, or set CUDA_VISIBLE_DEVICES"
            )
        if self.args.label_smoothing_factor and self._problem == _MULTI:
            raise ValueError(
                "label_smoothing_factor: expected 0 for multi-label models, which the Trainer does not smooth, "
                f"got {self.args.label_smoothing_factor}; use ma.losses.smooth in a compute_loss_func"
            )
        if self.compute_loss_func is not None and self.class_weights is not None:
            raise ValueError(
                "class_weights: expected no compute_loss_func beside them, which is handed no weights, got one; leave "
                "it out, or override compute_loss, whose inputs have a 'sample_weight'"
            )
        if self.compute_loss_func is None and (self._problem == "regression" or self._config.num_labels == 1):
            raise ValueError(
                "model: expected one for classification, got one for regression; "
                "pass fields={'labels': 'values'} and a compute_loss_func"
            )


def _check_labels(inputs: Mapping[str, Any], problem: str | None) -> None:
    """Refuse labels that do not say by themselves what they are."""
    if "labels" not in inputs:
        raise ValueError(
            f"expected a batch with 'labels', got {', '.join(map(repr, inputs))}; "
            "name them so, with TrainingArguments(remove_unused_columns=False) if forward takes no labels, or pass a "
            "compute_loss_func"
        )
    shape = tuple(inputs["labels"].shape)
    rows = len(shape) == 2 and shape[1] > 1
    if rows and problem is None:
        raise ValueError(
            f"labels: {shape} may be soft labels of one class a sample, or several classes; before the Trainer is made "
            f"set model.config.problem_type = 'single_label_classification' or {_MULTI!r}"
        )
    if problem == _MULTI and not rows:
        raise ValueError(f"labels: expected zeros and ones (n, num_labels) for a multi-label model, got {shape}")


def _checked_rows(labels: Any, num_labels: int) -> Tensor:
    """Mixed labels that are a weight a class; an error for any other."""
    if not isinstance(labels, Tensor) or tuple(labels.shape[1:]) != (num_labels,):
        came = tuple(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise ValueError(
            f"labels: expected a weight a class (n, {num_labels}) for this loss, got {came}; "
            "leave them out of fields, or pass a compute_loss_func and no label_smoothing_factor"
        )
    return labels
