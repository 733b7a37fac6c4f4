"""Lightning: a real Trainer feeds mixed batches to training, plain ones to all else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.utils import data

import mixaug as ma
from mixaug.lab.data import load

HERE = Path(__file__).parent
N, BATCH, CLASSES = 22, 4, 10  # six batches an epoch, the last one short
SPLIT = load("fashion-mnist-sample", train_size=N).train
X, Y = torch.from_numpy(SPLIT.images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(SPLIT.targets)
RECIPE = ma.one_of(ma.MixUp(alpha=1.0, sources=3), ma.CutMix(alpha=1.0))

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's, about runs as small as these


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Operations as small as these only wait for each other's threads where other tests run beside them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Named(data.Dataset):
    """Samples that are dicts."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, row: int) -> dict[str, torch.Tensor]:
        return {"images": X[row], "labels": Y[row]}


class Resumable(data.DataLoader):
    """A loader that goes on where it was, as those with `state_dict` do."""

    at = 0

    def __iter__(self) -> Iterator[list[torch.Tensor]]:
        start = self.at % len(self)
        for number, batch in enumerate(super().__iter__()):
            if number >= start:
                self.at = number + 1
                yield batch

    def state_dict(self) -> dict[str, int]:
        return {"at": self.at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.at = state["at"]


def recorder(pl):
    """A tiny network that writes down what it is fed: (epoch, batch_idx, plain batch, batch as fed)."""

    class Net(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer = torch.nn.Linear(28 * 28, CLASSES)
            self.plain: list = []
            self.fed: list[tuple[int, int, list, list]] = []
            self.others: list[list] = []

        def forward(self, images):
            return self.layer(images.flatten(1))

        def on_before_batch_transfer(self, batch, dataloader_idx):
            self.plain.append(batch)  # the loader's own container
            return batch

        def training_step(self, batch, batch_idx):
            images, labels = batch.values() if isinstance(batch, dict) else batch
            plain = self.plain[-1]
            plain = list(plain.values()) if isinstance(plain, dict) else list(plain)
            self.fed.append((self.current_epoch, batch_idx, plain, [images.clone(), labels.clone()]))
            return functional.cross_entropy(self(images), labels)

        def validation_step(self, batch, batch_idx):
            self.others.append(list(batch))
            return functional.cross_entropy(self(batch[0]), batch[1])

        test_step = predict_step = validation_step

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    return Net()


def trainer(*callbacks, pl=lightning, **options):
    silent = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    options = {"max_epochs": 1, **silent, "enable_model_summary": False, **options}
    return pl.Trainer(accelerator="cpu", callbacks=list(callbacks), num_sanity_val_steps=2, **options)


def mix(**options) -> ma.lightning.MixCallback:
    return ma.lightning.MixCallback(RECIPE, num_classes=CLASSES, **options)


def pairs(**options) -> data.DataLoader:
    return data.DataLoader(data.TensorDataset(X, Y), batch_size=BATCH, **options)


def assert_mixed(fed, seed: int = 0, *rank: int) -> None:
    """Every batch is that of ma.mix_batch under the documented key, made of the loader's batch, which is untouched."""
    for epoch, index, plain, batch in fed:
        assert plain[1].dtype == torch.int64
        want = ma.mix_batch(RECIPE, plain, key=(seed, epoch, index, *rank), num_classes=CLASSES)
        assert all(map(torch.equal, batch, want))
    assert len({batch[1].numpy().tobytes() for *_, batch in fed}) == len(fed)


@pytest.mark.parametrize("dataset", [data.TensorDataset(X, Y), Named()], ids=["list", "dict"])
@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 4}, {"val_check_interval": 2}], ids=str)
def test_training_sees_mixed_batches_and_no_tensor_is_written_to(dataset, options):
    net, before = recorder(lightning), (X.clone(), Y.clone())
    loader = data.DataLoader(dataset, BATCH, shuffle=True, generator=torch.Generator().manual_seed(0))
    trainer(mix(seed=3), max_epochs=3, **options).fit(net, loader, pairs())
    assert [(epoch, index) for epoch, index, *_ in net.fed] == [(e, i) for e in range(3) for i in range(6)]
    assert_mixed(net.fed, 3)
    assert torch.equal(X, before[0])
    assert torch.equal(Y, before[1])


def test_batches_made_beforehand_are_not_changed_from_epoch_to_epoch():
    net, batches = recorder(lightning), [[X[:4], Y[:4]], [X[4:8], Y[4:8]]]
    trainer(mix(), max_epochs=2).fit(net, data.DataLoader(batches, batch_size=None, collate_fn=lambda batch: batch))
    assert all(fed is cached for fed, cached in zip(net.plain, batches * 2, strict=True))
    assert_mixed(net.fed)
    assert [labels.tolist() for _, labels in batches] == [Y[:4].tolist(), Y[4:8].tolist()]


def test_validation_test_and_prediction_see_plain_batches():
    net, fit = recorder(lightning), trainer(mix(), max_epochs=2)
    fit.fit(net, pairs(), pairs())
    assert len(net.others) == 2 + 2 * 6  # two of the sanity check
    fit.validate(net, pairs(), verbose=False)
    fit.test(net, pairs(), verbose=False)
    fit.predict(net, pairs())
    assert len(net.others) == 14 + 3 * 6
    for number, (images, labels) in enumerate(net.others[2:]):
        rows = slice(number % 6 * BATCH, number % 6 * BATCH + BATCH)
        assert torch.equal(images, X[rows])
        assert torch.equal(labels, Y[rows])


class SaveAt(lightning.Callback):
    """Writes a checkpoint after a step."""

    def __init__(self, step: int, path) -> None:
        self.step, self.path = step, path

    def on_train_batch_end(self, trainer, *args):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


@pytest.mark.parametrize("step", [6, 9], ids=["between epochs", "within an epoch"])
def test_a_resumed_run_sees_what_the_first_would_have_seen(step, tmp_path):
    path, loader = tmp_path / "it.ckpt", lambda: Resumable(data.TensorDataset(X, Y), BATCH)
    whole = recorder(lightning)
    trainer(mix(), SaveAt(step, path), max_epochs=3).fit(whole, loader())
    resumed = recorder(lightning)
    trainer(mix(), max_epochs=3).fit(resumed, loader(), ckpt_path=path)
    assert len(resumed.fed) == 18 - step
    for got, want in zip(resumed.fed, whole.fed[step:], strict=True):
        assert got[:2] == want[:2]
        assert all(map(torch.equal, got[3], want[3]))
    assert torch.equal(resumed.layer.weight, whole.layer.weight)


def test_bfloat16_images_have_float32_labels():
    net = recorder(lightning)
    trainer(mix(), precision="bf16-true").fit(net, pairs())
    images, labels = net.fed[0][3]
    assert (images.dtype, labels.dtype) == (torch.bfloat16, torch.float32)


def test_the_trainer_of_pytorch_lightning_takes_the_callback():
    import pytorch_lightning

    net = recorder(pytorch_lightning)
    trainer(mix(), pl=pytorch_lightning).fit(net, pairs())
    assert_mixed(net.fed)


class TakesTheIterator(lightning.LightningModule):
    def training_step(self, dataloader_iter):
        raise AssertionError("refused before")

    def configure_optimizers(self):
        return None


@pytest.mark.parametrize(
    ("collate", "came"),
    [
        (lambda samples: tuple(data.default_collate(samples)), "tuple"),
        (lambda samples: namedtuple("Pair", "images labels")(*data.default_collate(samples)), "Pair"),
        (lambda samples: data.default_collate(samples)[0], "Tensor"),
    ],
)
def test_a_batch_that_is_neither_a_list_nor_a_dict_is_refused(collate, came):
    sentence = f"batch: expected a list or a dict, whose fields can be replaced, got {came}; return one from"
    with pytest.raises(TypeError, match=sentence):
        trainer(mix()).fit(recorder(lightning), pairs(collate_fn=collate))


def test_a_training_step_that_takes_the_iterator_is_refused():
    with pytest.raises(TypeError, match=r"got NoneType; return one from .* or call ma.mix_batch in training_step"):
        trainer(mix()).fit(TakesTheIterator(), pairs())


def test_what_is_no_recipe_is_refused():
    with pytest.raises(TypeError, match="recipe: expected a recipe first, before the data, got 3"):
        ma.lightning.MixCallback(3)


RANKS = """
import sys
import conftest
import test_lightning as this
net = this.recorder(this.lightning)
fit = this.trainer(this.mix(), devices=2, strategy="ddp")
fit.fit(net, this.pairs())
this.torch.save(net.fed, f"{sys.argv[1]}/{fit.global_rank}.pt")
"""


@pytest.mark.full
def test_ranks_draw_different_mixes(tmp_path):
    """Two processes, as the Trainer launches them."""
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    command = [sys.executable, str(script), str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent}", "OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, timeout=1800, capture_output=True, env=env)
    fed = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for rank in (0, 1):
        assert len(fed[rank]) == 3
        assert_mixed(fed[rank], 0, rank)
    assert not np.array_equal(fed[0][0][3][1], fed[1][0][3][1])


def test_a_schedule_follows_the_epochs():
    net, late = recorder(lightning), ma.schedule({0: ma.identity(), 1: ma.MixUp(alpha=50.0)})
    trainer(ma.lightning.MixCallback(late, num_classes=CLASSES), max_epochs=2).fit(net, pairs())
    for epoch, _, (images, _), (fed, _) in net.fed:
        assert torch.equal(images, fed) == (epoch == 0)
    assert len(net.fed) == 12
