"""Hugging Face: real Trainers on small real models mix what they train on, and nothing else."""

from __future__ import annotations

import copy
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils import data
from transformers import (
    ResNetConfig,
    ResNetForImageClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
    default_data_collator,
)

import mixaug as ma
from mixaug.lab.data import load

HERE = Path(__file__).parent
N, BATCH, CLASSES = 22, 4, 10  # six batches an epoch, the last one of two
SPLIT = load("fashion-mnist-sample", train_size=N).train
X, Y = torch.from_numpy(SPLIT.images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(SPLIT.targets)
HOT = torch.stack([functional.one_hot(Y, CLASSES), functional.one_hot((Y * 3 + 1) % CLASSES, CLASSES)]).amax(0)
RECIPE = ma.one_of(ma.MixUp(alpha=1.0, sources=3), ma.CutMix(alpha=1.0))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Operations as small as these only wait for each other's threads where other tests run beside them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def vit(**options) -> ViTForImageClassification:
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = ViTConfig(image_size=28, patch_size=14, num_channels=1, num_labels=CLASSES, **small, **options)
    return ViTForImageClassification(config)


def resnet(**options) -> ResNetForImageClassification:
    small = {"embedding_size": 4, "hidden_sizes": [4, 8], "depths": [1, 1], "layer_type": "basic"}
    torch.manual_seed(0)
    return ResNetForImageClassification(ResNetConfig(num_channels=1, num_labels=CLASSES, **small, **options))


class Samples(data.Dataset):
    """Samples as a Trainer takes them."""

    def __init__(self, labels: torch.Tensor = Y, images: torch.Tensor = X) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"pixel_values": self.images[row], "labels": self.labels[row]}


class Record(TrainerCallback):
    """Writes down what a model is fed, what it answers, and the gradients of each optimizer step."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model, self.before = model, copy.deepcopy(model)
        self.fed: list[dict] = []
        self.evaluated: list[dict] = []
        self.gradients: list[list[torch.Tensor]] = []
        self.plain: list[dict] = []
        model.register_forward_hook(self.note, with_kwargs=True)

    def note(self, model, args, inputs, outputs) -> None:
        seen = {name: x.clone() for name, x in inputs.items() if name in ("pixel_values", "labels")}
        (self.fed if model.training else self.evaluated).append({**seen, "logits": outputs["logits"].detach().clone()})

    def collate(self, samples):
        self.plain.append(default_data_collator(samples))
        return copy.deepcopy(self.plain[-1])

    def on_pre_optimizer_step(self, args, state, control, **options) -> None:
        self.gradients.append([parameter.grad.clone() for parameter in self.model.parameters()])


class Noted(ma.huggingface.MixTrainer):
    """Keeps the labels and the losses of the training steps."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.mixed: list[torch.Tensor] = []
        self.losses: list[torch.Tensor] = []

    def compute_loss(self, model, inputs, *args, **options):
        if model.training:
            self.mixed.append(inputs["labels"])
        return super().compute_loss(model, inputs, *args, **options)

    def training_step(self, *args, **options):
        self.losses.append(super().training_step(*args, **options))
        return self.losses[-1]


def arguments(path, **options) -> TrainingArguments:
    quiet = {"report_to": "none", "disable_tqdm": True, "logging_strategy": "no", "save_strategy": "no"}
    sizes = {"per_device_train_batch_size": BATCH, "per_device_eval_batch_size": 8, "max_grad_norm": 0.0}
    return TrainingArguments(str(path), use_cpu=True, **{**quiet, **sizes, "num_train_epochs": 1, **options})


def made(model, path, kind=Noted, dataset=None, evaluation=None, mixing=None, **options):
    """A trainer, and the record of what its model sees."""
    record = Record(model)
    mixing = {"recipe": RECIPE, **(mixing or {})} if issubclass(kind, ma.huggingface.MixTrainer) else {}
    trainer = kind(
        model,
        arguments(path, **options),
        data_collator=record.collate,
        train_dataset=dataset or Samples(),
        eval_dataset=evaluation or Samples(),
        callbacks=[record],
        **mixing,
    )
    return trainer, record


def cut(items: list, accumulate: int) -> list[list]:
    """The items of each optimizer step, six batches an epoch."""
    epochs = [items[start : start + 6] for start in range(0, len(items), 6)]
    return [epoch[i : i + accumulate] for epoch in epochs for i in range(0, len(epoch), accumulate)]


def assert_mixed(trainer, record, accumulate: int, seed: int) -> None:
    """What the model was fed is that of ma.mix_batch under the documented key."""
    steps = cut(list(zip(record.plain, record.fed, trainer.mixed, strict=True)), accumulate)
    for step, batches in enumerate(steps):
        for micro, (plain, fed, labels) in enumerate(batches):
            key = (seed, step // -(-6 // accumulate), step, micro, 0)
            want = ma.mix_batch(RECIPE, plain, key=key, num_classes=CLASSES)
            assert torch.equal(fed["pixel_values"], want["pixel_values"])
            assert torch.equal(labels, want["labels"])
            assert (labels.dtype, "labels" in fed) == (torch.float32, False)
            assert not torch.equal(fed["pixel_values"], plain["pixel_values"])


def assert_gradients(record, labels, accumulate: int, loss, together: bool) -> None:
    """The first optimizer step's gradients are those of the mean over all its rows."""
    model, fed = record.before.train(), record.fed[:accumulate]
    if together:
        logits = model(pixel_values=torch.cat([batch["pixel_values"] for batch in fed])).logits
    else:  # batch norm sees one micro batch at a time
        logits = torch.cat([model(pixel_values=batch["pixel_values"]).logits for batch in fed])
    loss(logits, torch.cat(labels[:accumulate])).backward()
    for got, parameter in zip(record.gradients[0], model.parameters(), strict=True):
        torch.testing.assert_close(got, parameter.grad, rtol=1e-4, atol=1e-6)


def soft_loss(logits, labels):
    return -(labels * logits.log_softmax(dim=1)).sum(dim=1).mean()


BOTH = pytest.mark.parametrize("make", [vit, pytest.param(resnet, marks=pytest.mark.full)])


@BOTH
@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_training_sees_mixed_batches_and_the_loss_and_gradients_are_of_them(make, accumulate, tmp_path):
    model = make()
    trainer, record = made(model, tmp_path, gradient_accumulation_steps=accumulate, num_train_epochs=2, seed=5)
    trainer.train()
    assert len(record.fed) == 12
    assert_mixed(trainer, record, accumulate, seed=5)
    steps = cut(list(zip(record.fed, trainer.mixed, trainer.losses, strict=True)), accumulate)
    for batches in steps:
        rows = sum(len(labels) for _, labels, _ in batches)
        for fed, labels, loss in batches:
            want = soft_loss(fed["logits"], labels) * len(labels) / rows
            torch.testing.assert_close(loss, want, rtol=1e-5, atol=1e-6)
    assert_gradients(record, trainer.mixed, accumulate, soft_loss, make is vit)
    assert model.config.problem_type is None


def test_a_schedule_follows_the_epochs(tmp_path):
    late = ma.schedule({0: ma.identity(), 1: ma.MixUp(alpha=50.0)})
    trainer, record = made(vit(), tmp_path, mixing={"recipe": late}, num_train_epochs=2)
    trainer.train()
    same = [
        torch.equal(fed["pixel_values"], own["pixel_values"]) for fed, own in zip(record.fed, record.plain, strict=True)
    ]
    assert same == [True] * 6 + [False] * 6


def test_a_step_of_unequal_micro_batches_is_the_mean_over_its_rows(tmp_path):
    trainer, record = made(vit(), tmp_path, dataset=Samples(Y[:6], X[:6]), gradient_accumulation_steps=2)
    trainer.train()
    assert [len(labels) for labels in trainer.mixed] == [4, 2]
    assert_gradients(record, trainer.mixed, 2, soft_loss, together=True)


@BOTH
def test_evaluation_and_prediction_are_those_of_the_trainer(make, tmp_path):
    def accuracy(prediction):
        return {"accuracy": (prediction.predictions.argmax(1) == prediction.label_ids).mean()}

    got, want = made(make(), tmp_path)[0], made(make(), tmp_path, Trainer)[0]
    for trainer in (got, want):
        trainer.compute_metrics = accuracy
        trainer.model.eval()
    ours, theirs = got.evaluate(), want.evaluate()
    assert (ours["eval_loss"], ours["eval_accuracy"]) == (theirs["eval_loss"], theirs["eval_accuracy"])
    assert got.model.config.problem_type == "single_label_classification"
    ours, theirs = got.predict(Samples()), want.predict(Samples())
    np.testing.assert_array_equal(ours.predictions, theirs.predictions)
    np.testing.assert_array_equal(ours.label_ids, theirs.label_ids)


def test_evaluation_while_training_sees_plain_batches(tmp_path):
    trainer, record = made(vit(), tmp_path, eval_strategy="steps", eval_steps=2, eval_on_start=True)
    trainer.train()
    assert (len(record.fed), len(record.evaluated)) == (6, 4 * 3)
    for number, batch in enumerate(record.evaluated):
        rows = slice(number % 3 * 8, number % 3 * 8 + 8)
        assert torch.equal(batch["pixel_values"], X[rows])
        assert torch.equal(batch["labels"], Y[rows])
    assert trainer.model.config.problem_type == "single_label_classification"
    assert len({labels.numpy().tobytes() for labels in trainer.mixed}) == 6


@pytest.mark.parametrize("accumulate", [pytest.param(1, marks=pytest.mark.full), 2])
def test_a_resumed_run_sees_what_the_first_would_have_seen(accumulate, tmp_path):
    options = {"gradient_accumulation_steps": accumulate, "num_train_epochs": 2, "save_strategy": "steps"}
    options = {**options, "save_steps": 4 // accumulate, "learning_rate": 0.01}
    whole, seen = made(resnet(), tmp_path, **options)
    whole.train()
    resumed, again = made(resnet(), tmp_path, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{4 // accumulate}"))
    assert (len(seen.fed), len(again.fed)) == (12, 8)
    for got, want in zip(again.fed, seen.fed[4:], strict=True):
        assert torch.equal(got["pixel_values"], want["pixel_values"])
    for got, want in zip(resumed.mixed, whole.mixed[4:], strict=True):
        assert torch.equal(got, want)
    for got, want in zip(resumed.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-6)


@BOTH
@pytest.mark.parametrize("hot", [HOT, HOT.float()], ids=["int", "float"])
def test_multi_label_models_get_binary_cross_entropy(make, hot, tmp_path):
    model = make(problem_type="multi_label_classification")
    trainer, record = made(
        model, tmp_path, dataset=Samples(hot), evaluation=Samples(HOT.float()), gradient_accumulation_steps=4
    )
    trainer.train()
    assert_mixed(trainer, record, 4, seed=42)
    loss = functional.binary_cross_entropy_with_logits
    assert_gradients(record, trainer.mixed, 4, loss, make is vit)
    last = zip(record.fed[4:], trainer.mixed[4:], trainer.losses[4:], strict=True)  # of four rows and of two
    for fed, labels, got in last:
        torch.testing.assert_close(got, loss(fed["logits"], labels) * len(labels) / 6, rtol=1e-5, atol=1e-6)
    assert np.isfinite(trainer.evaluate()["eval_loss"])


def test_soft_labels_of_one_class_are_mixed_where_the_model_says_so(tmp_path):
    soft = torch.softmax(torch.randn(N, CLASSES, generator=torch.Generator().manual_seed(0)), dim=1)
    model = vit(problem_type="single_label_classification")
    trainer, record = made(model, tmp_path, dataset=Samples(soft), gradient_accumulation_steps=2)
    trainer.train()
    assert_mixed(trainer, record, 2, seed=42)
    assert_gradients(record, trainer.mixed, 2, soft_loss, together=True)


def test_label_smoothing_smooths_the_mixed_labels_and_leaves_evaluation_to_the_trainer(tmp_path):
    options = {"label_smoothing_factor": 0.2, "gradient_accumulation_steps": 2}
    trainer, record = made(vit(), tmp_path, **options)
    trainer.train()
    for step, pair in enumerate(cut(list(zip(record.plain, trainer.mixed, strict=True)), 2)):
        for micro, (plain, labels) in enumerate(pair):
            want = ma.mix_batch(RECIPE, plain, key=(42, step // 3, step, micro, 0), num_classes=CLASSES)["labels"]
            torch.testing.assert_close(labels, 0.8 * want + 0.2 / CLASSES, rtol=0, atol=1e-6)
    assert_gradients(record, trainer.mixed, 2, soft_loss, together=True)
    plain = made(vit(), tmp_path, Trainer, **options)[0]
    plain.model.load_state_dict(trainer.model.state_dict())
    assert trainer.evaluate()["eval_loss"] == plain.evaluate()["eval_loss"]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_loss_of_the_user_s_own_gets_the_mixed_labels(smoothing, tmp_path):
    called = []

    def loss(outputs, labels, num_items_in_batch=None):
        if labels.ndim == 2:
            called.append((labels, int(num_items_in_batch)))
            return (outputs.logits.softmax(1) - labels).square().sum() / num_items_in_batch
        return functional.cross_entropy(outputs.logits, labels)

    options = {"gradient_accumulation_steps": 2, "label_smoothing_factor": smoothing}
    trainer, record = made(vit(), tmp_path, mixing={"compute_loss_func": loss}, **options)
    trainer.train()
    assert [items for _, items in called] == [8, 8, 8, 8, 6, 6]
    want = ma.mix_batch(RECIPE, record.plain[0], key=(42, 0, 0, 0, 0), num_classes=CLASSES)["labels"]
    torch.testing.assert_close(called[0][0], (1 - smoothing) * want + smoothing / CLASSES, rtol=0, atol=1e-6)
    squared = lambda logits, labels: (logits.softmax(1) - labels).square().sum() / 8  # noqa: E731
    assert_gradients(record, trainer.mixed, 2, squared, together=True)
    assert trainer.compute_loss_func is loss


class Weighted(Trainer):
    """Somebody's Trainer: it adds to the loss of its base."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        loss = loss + 0.5 * outputs["logits"].square().mean()
        return (loss, outputs) if return_outputs else loss


class Both(Noted, Weighted):
    pass


def test_it_stands_before_a_trainer_of_the_user_s_own(tmp_path):
    trainer, record = made(vit(), tmp_path, Both)
    trainer.train()
    assert_mixed(trainer, record, 1, seed=42)
    fed, labels = record.fed[0]["logits"], trainer.mixed[0]
    torch.testing.assert_close(trainer.losses[0], soft_loss(fed, labels) + 0.5 * fed.square().mean())


def test_a_model_that_takes_no_loss_options_is_averaged_as_the_trainer_does(tmp_path):
    model = vit()
    model.accepts_loss_kwargs = False
    trainer, record = made(model, tmp_path, gradient_accumulation_steps=2)
    trainer.train()
    assert_mixed(trainer, record, 2, seed=42)
    assert_gradients(record, trainer.mixed, 2, soft_loss, together=True)


def test_mixed_precision_keeps_labels_and_loss_float32(tmp_path):
    trainer, record = made(vit(), tmp_path, bf16=True)
    trainer.train()
    assert_mixed(trainer, record, 1, seed=42)
    logits, loss = record.fed[0]["logits"], trainer.losses[0]
    assert torch.equal(logits, logits.bfloat16().float())  # the Trainer hands them on as float32
    torch.testing.assert_close(loss, soft_loss(logits, trainer.mixed[0]), rtol=0, atol=1e-6)


def test_a_seed_and_fields_of_ones_own(tmp_path):
    mixing = {"mix_seed": 9, "fields": {"labels": "labels", "pixel_values": ma.Images(layout="nchw")}}
    trainer, record = made(vit(), tmp_path, mixing=mixing)
    trainer.train()
    assert_mixed(trainer, record, 1, seed=9)


def test_training_twice_draws_the_same(tmp_path):
    trainer, _ = made(vit(), tmp_path, max_steps=1)
    trainer.train()
    trainer.train()
    assert torch.equal(*trainer.mixed)


RANKS = """
import sys
import conftest
import test_huggingface as this
trainer, record = this.made(this.vit(), sys.argv[1], max_steps=1, gradient_accumulation_steps=2, seed=3)
trainer.train()
held = {"plain": record.plain[:2], "fed": record.fed, "mixed": trainer.mixed, "gradients": record.gradients[0]}
this.torch.save(held, f"{sys.argv[1]}/{trainer.args.process_index}.pt")
"""


@pytest.mark.full
def test_processes_draw_different_mixes_and_their_gradients_are_of_all_rows(tmp_path):
    """Two processes, as torchrun starts them, two micro batches each."""
    there = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}",
        "OMP_NUM_THREADS": "1",
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        there["MASTER_PORT"] = str(free.getsockname()[1])
    command = [sys.executable, "-c", RANKS, str(tmp_path)]
    environments = [{**os.environ, **there, "RANK": rank, "LOCAL_RANK": rank} for rank in "01"]
    started = [subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL) for env in environments]
    assert [process.wait(timeout=1800) for process in started] == [0, 0]
    saved = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for rank in (0, 1):
        assert len(saved[rank]["fed"]) == 2
        for micro, (plain, fed) in enumerate(zip(saved[rank]["plain"], saved[rank]["fed"], strict=True)):
            want = ma.mix_batch(RECIPE, plain, key=(3, 0, 0, micro, rank), num_classes=CLASSES)
            assert torch.equal(fed["pixel_values"], want["pixel_values"])
    model = vit()
    logits = model(pixel_values=torch.cat([fed["pixel_values"] for rank in saved for fed in rank["fed"]])).logits
    soft_loss(logits, torch.cat([labels for rank in saved for labels in rank["mixed"]])).backward()
    for one, other, parameter in zip(saved[0]["gradients"], saved[1]["gradients"], model.parameters(), strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one, parameter.grad, rtol=1e-4, atol=1e-6)


def several_gpus(path) -> TrainingArguments:
    args = arguments(path)
    assert args.n_gpu == 0
    args._n_gpu = 2  # as the Trainer counts those that one process sees
    return args


@pytest.mark.parametrize(
    ("model", "args", "options", "error", "sentence"),
    [
        (vit, arguments, {"recipe": 3}, TypeError, "recipe: expected a recipe first, before the data, got 3"),
        (
            lambda: torch.nn.Linear(2, 2),
            arguments,
            {},
            TypeError,
            "model: expected a config with num_labels, got Linear",
        ),
        (
            lambda: vit(problem_type="regression"),
            arguments,
            {},
            ValueError,
            "model: expected a classification model, got one for regression; pass fields=",
        ),
        (
            vit,
            several_gpus,
            {},
            ValueError,
            "expected one GPU per process, got 2 .*; start one process per GPU",
        ),
        (
            lambda: vit(problem_type="multi_label_classification"),
            lambda path: arguments(path, label_smoothing_factor=0.1),
            {},
            ValueError,
            "label_smoothing_factor: expected 0 for multi-label models, .*, got 0.1; use ma.losses.smooth",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Label smoothing is not compatible")
def test_what_is_refused_when_it_is_made(model, args, options, error, sentence, tmp_path):
    with pytest.raises(error, match=sentence):
        ma.huggingface.MixTrainer(model(), args(tmp_path), **{"recipe": RECIPE, **options})


def test_a_recipe_has_to_be_said(tmp_path):
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'recipe'"):
        ma.huggingface.MixTrainer(vit(), arguments(tmp_path))


MULTI = {"problem_type": "multi_label_classification"}


@pytest.mark.parametrize(
    ("labels", "model", "mixing", "sentence"),
    [
        (
            HOT.float(),
            {},
            {},
            r"labels: expected .* one meaning, got \(4, 10\), which could be soft labels or several classes .*; set",
        ),
        (HOT, {}, {}, "set model.config.problem_type = 'single_label_classification' or 'multi_label_classification'"),
        (Y, MULTI, {}, r"labels: expected zeros and ones \(n, num_labels\) for a multi-label model, got \(4,\)"),
        (Y + CLASSES, {}, {}, r"labels: expected class ids in 0\.\.9, got 1\d\.\.1\d; raise num_classes"),
        (
            Y,
            {},
            {"fields": {"labels": ma.PerSource()}},
            r"labels: expected one weight per class \(n, 10\) for this loss, got tuple",
        ),
        (
            Y,
            {},
            {"fields": {"labels": "values"}},
            r"labels: expected one weight per class \(n, 10\) for this loss, got \(4,\)",
        ),
    ],
)
def test_labels_that_are_refused(labels, model, mixing, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        made(vit(**model), tmp_path, dataset=Samples(labels), mixing=mixing)[0].train()


def test_floats_are_refused_even_where_evaluation_has_called_them_multi_label(tmp_path):
    model, soft = vit(), torch.full((N, CLASSES), 1 / CLASSES)
    trainer, _ = made(
        model, tmp_path, dataset=Samples(soft), evaluation=Samples(soft), eval_on_start=True, eval_strategy="epoch"
    )
    with pytest.raises(ValueError, match="could be soft labels"):
        trainer.train()
    assert model.config.problem_type == "multi_label_classification"  # what the model makes of floats


def test_batches_without_labels_are_refused(tmp_path):
    trainer, _ = made(vit(), tmp_path)
    with pytest.raises(ValueError, match="expected a batch with 'labels', got 'pixel_values'; rename them, with Train"):
        trainer.training_step(trainer.model, {"pixel_values": X[:4]})


def test_clips_are_refused(tmp_path):
    trainer, _ = made(vit(), tmp_path)
    sentence = r"pass fields={'pixel_values': ma.Images\(layout='ntchw'\)} if they are videos"
    with pytest.raises(ValueError, match=sentence):
        trainer.training_step(trainer.model, {"pixel_values": X[:4, None], "labels": Y[:4]})
