"""The table "Keys and restarts" of docs/frameworks.md: every epoch has other mixes, from the documented keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import grain
import keras
import lightning
import numpy as np
import pytest
import tensorflow as tf
import torch
import transformers
from torch.utils.data import DataLoader, TensorDataset, default_collate

import mixaug as ma
from test_structure import ROOT

PAGE = ROOT.parent.parent / "docs" / "frameworks.md"
ROWS, BATCH, EPOCHS, SEED = 8, 4, 3, 5
X, Y = np.zeros((ROWS, 6, 6, 3), np.float32), np.arange(ROWS)
PAIRS = TensorDataset(torch.zeros(ROWS, 3, 6, 6), torch.arange(ROWS))
R = ma.MixUp()
OPTIONS: dict[str, Any] = {"seed": SEED, "num_classes": ROWS}


class Net(lightning.LightningModule):
    """Records its labels."""

    def __init__(self):
        super().__init__()
        self.config = transformers.PretrainedConfig(num_labels=ROWS)
        self.layer, self.seen = torch.nn.Linear(108, ROWS), []

    def forward(self, pixel_values, labels=None):
        return {"logits": self.layer(pixel_values.flatten(1))}

    def training_step(self, batch, _):
        self.seen.append(batch[1])
        return self(batch[0])["logits"].sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def of_loader(make) -> list[Any]:
    return [labels for _ in range(EPOCHS) for _, labels in make]


def after_the_loader(transform) -> list[Any]:
    return [transform(*batch)[1] for _ in range(EPOCHS) for batch in DataLoader(PAIRS, BATCH)]


def in_a_worker(transform) -> list[Any]:
    collate = lambda rows: transform(*default_collate(rows))  # noqa: E731
    return of_loader(DataLoader(PAIRS, BATCH, collate_fn=collate, num_workers=1, multiprocessing_context="fork"))


def of_dataset() -> Iterator[Any]:
    ds = ma.torch.MixedDataset(R, PAIRS, **OPTIONS)
    for epoch in range(EPOCHS):
        ds.set_epoch(epoch)
        yield torch.stack([ds[i][1] for i in range(ROWS)])


def of_keras() -> Iterator[Any]:
    ds = ma.keras.MixedDataset(R, X, Y, BATCH, **OPTIONS)
    for _ in range(EPOCHS):
        yield from (ds[i][1] for i in range(len(ds)))
        ds.on_epoch_end()


def of_layer() -> Iterator[Any]:
    layer = ma.keras.MixLayer(R, **OPTIONS)
    for step in range(EPOCHS * 2):
        rows = slice(BATCH * (step % 2), BATCH * (step % 2 + 1))
        yield layer((tf.constant(X[rows]), tf.constant(Y[rows])))[1]


def of_zip() -> list[Any]:
    a, b = (tf.data.Dataset.from_tensor_slices((X, y)).batch(BATCH) for y in (Y, Y[::-1]))
    return of_loader(ma.tf.mixed_zip(R, a, b, batched=True, **OPTIONS))


def of_grain() -> list[Any]:
    samples = grain.MapDataset.source([(X[i], i) for i in range(ROWS)])
    return [batch[1] for batch in ma.grain.mixed(R, samples, **OPTIONS).repeat(EPOCHS).batch(BATCH)]


def of_grain_loader() -> list[Any]:
    return [labels for _, labels in grain.DataLoader(
        data_source=[(X[i], i) for i in range(ROWS)],
        sampler=grain.samplers.IndexSampler(ROWS, shuffle=False, num_epochs=EPOCHS, seed=0),
        operations=[grain.transforms.Batch(BATCH), ma.grain.MixBatches(R, **OPTIONS)],
    )]  # fmt: skip


def of_lightning() -> list[Any]:
    off = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    net, mixing = Net(), ma.lightning.MixCallback(R, **OPTIONS)
    lightning.Trainer(max_epochs=EPOCHS, accelerator="cpu", callbacks=[mixing], **off).fit(
        net, DataLoader(PAIRS, BATCH)
    )
    return net.seen


def of_hugging_face(tmp_path) -> list[Any]:
    seen: list[Any] = []

    def loss(outputs, labels, **_):
        seen.append(labels)
        return outputs["logits"].sum()

    args = transformers.TrainingArguments(
        str(tmp_path), num_train_epochs=EPOCHS, per_device_train_batch_size=BATCH, report_to="none", use_cpu=True,
        save_strategy="no", disable_tqdm=True, train_sampling_strategy="sequential",
    )  # fmt: skip
    samples = [{"pixel_values": x, "labels": y} for x, y in PAIRS]
    ma.huggingface.MixTrainer(
        Net(), args, train_dataset=samples, recipe=R, mix_seed=SEED, compute_loss_func=loss
    ).train()
    return seen


def tf_mixed() -> list[Any]:
    return of_loader(tf.data.Dataset.from_tensor_slices((X, Y)).batch(BATCH).apply(ma.tf.mixed(R, **OPTIONS)))


def mixed() -> list[Any]:
    loader = DataLoader(PAIRS, BATCH)
    return [labels for epoch in range(EPOCHS) for _, labels in ma.mixed(R, loader, epoch=epoch, **OPTIONS)]


#: For each row of the table: the labels, batch by batch; and the key, if batches are mixed within themselves.
DRAWN: dict[str, tuple[Any, Any]] = {
    "ma.mixed": (mixed, lambda epoch, step: (SEED, epoch, step % 2)),
    "ma.batches": (lambda: [y for _, y in ma.batches(R, X, Y, BATCH, epochs=EPOCHS, **OPTIONS)], None),
    "ma.torch.Mixed after the loader": (
        lambda: after_the_loader(ma.torch.Mixed(R, **OPTIONS)), lambda _, step: (SEED, step)
    ),
    "ma.timm.Mixup after the loader": (
        lambda: after_the_loader(ma.timm.Mixup(mode="elem", label_smoothing=0.0, **OPTIONS)),
        lambda _, step: (SEED, step),
    ),
    "ma.torch.Mixed in a worker": (lambda: in_a_worker(ma.torch.Mixed(R, **OPTIONS)), None),
    "ma.timm.Mixup in a worker": (lambda: in_a_worker(ma.timm.Mixup(mode="elem", **OPTIONS)), None),
    "ma.torch.MixingCollate in a worker": (
        lambda: of_loader(DataLoader(PAIRS, BATCH, collate_fn=ma.torch.MixingCollate(R, **OPTIONS), num_workers=1)),
        None,
    ),
    "ma.torch.loader": (lambda: of_loader(ma.torch.loader(R, PAIRS, BATCH, **OPTIONS)), None),
    "ma.torch.loader with a sampler": (
        lambda: of_loader(ma.torch.loader(R, PAIRS, BATCH, sampler=range(ROWS), **OPTIONS)),
        lambda epoch, step: (SEED, epoch, step % 2),
    ),
    "ma.torch.MixedDataset": (of_dataset, None),
    "ma.lightning.MixCallback": (of_lightning, lambda epoch, step: (SEED, epoch, step % 2)),
    "ma.huggingface.MixTrainer": (of_hugging_face, lambda epoch, step: (SEED, epoch, step, 0, 0)),
    "ma.tf.mixed": (tf_mixed, lambda epoch, step: (SEED, epoch, step % 2)),
    "ma.tf.mixed_zip": (of_zip, None),
    "ma.keras.MixedDataset": (of_keras, None),
    "ma.keras.MixLayer": (of_layer, lambda _, step: (SEED, step)),
    "ma.grain.mixed": (of_grain, None),
    "ma.grain.MixBatches": (of_grain_loader, None),
}  # fmt: skip


def drawn(name, tmp_path) -> list[np.ndarray]:
    made = DRAWN[name][0]
    return [np.asarray(labels) for labels in (made(tmp_path) if made is of_hugging_face else made())]


@pytest.mark.parametrize("name", DRAWN)
def test_every_batch_of_every_epoch_has_another_mix(name, tmp_path):
    labels = drawn(name, tmp_path)
    assert len(labels) >= EPOCHS
    lams = [np.sort(rows.max(axis=1)).round(5).tobytes() for rows in labels]
    assert len(set(lams)) == len(lams)


@pytest.mark.parametrize("name", [name for name, (_, key) in DRAWN.items() if key])
def test_keys_consist_of_what_the_table_says(name, tmp_path):
    recipe = ma.timm.Mixup(mode="elem").recipe if "timm" in name else R
    for step, labels in enumerate(drawn(name, tmp_path)):
        rows = slice(BATCH * (step % 2), BATCH * (step % 2 + 1))
        _, want = ma.mix_batch(recipe, (X[rows], Y[rows]), key=DRAWN[name][1](step // 2, step), num_classes=ROWS)
        np.testing.assert_allclose(labels, want, atol=1e-6)


def test_the_table_has_a_row_for_each_adapter():
    table = PAGE.read_text().partition("## Keys and restarts")[2].partition("\n## ")[0]
    doors = [
        name.replace("`", "").strip() for line in re.findall(r"^\| (.*?) \|", table, re.M) for name in line.split(",")
    ]
    assert set(doors) - {"where"} == set(DRAWN)
    assert keras.backend.backend() == "tensorflow"  # this test uses its tensors for `MixLayer`
