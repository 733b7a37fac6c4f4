"""Replicas, tasks, custom samplers and arbitrary rows: what draws different mixes, and what the same."""

from __future__ import annotations

import os
import subprocess
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch.utils.data import DataLoader, Sampler, TensorDataset, WeightedRandomSampler, default_collate

import mixaug as ma
import ways
from mixaug.core import keys
from mixaug.epoch import Epoch

N = 24
X, Y = ways.own_class_everywhere(N, (5, 6)), np.arange(N)


# --- replicas and tasks of TensorFlow


def test_the_step_of_a_layer_advances_only_in_training():
    layer = ma.keras.MixLayer(ma.Cutout())

    class Mixing(keras.Model):
        def __init__(self):
            super().__init__()
            self.mix, self.flat, self.out = layer, keras.layers.Flatten(), keras.layers.Dense(N)

        def call(self, x, training=False):
            return self.out(self.flat(self.mix(x, training=training)))

    made = Mixing()
    made.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    made.fit(X, Y, batch_size=4, epochs=2, verbose=0, validation_data=(X, Y))
    assert int(layer.step) == 12
    made.evaluate(X, Y, verbose=0)
    made.predict(X, verbose=0)
    assert int(layer.step) == 12


@pytest.mark.full
def test_replicas_of_a_strategy_draw_different_mixes():
    code = """
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
import mixaug as ma
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    layer = ma.keras.MixLayer(ma.MixUp(), num_classes=6)
batch = {"images": tf.zeros([6, 5, 6, 3]), "labels": tf.range(6)}

@tf.function
def run():
    return strategy.run(lambda: layer(batch, training=True)["labels"])

drawn = [x.numpy().tobytes() for step in range(2) for x in strategy.experimental_local_results(run())]
print(len(set(drawn)), *{int(x) for x in strategy.experimental_local_results(layer.step.value)})
"""
    env = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout.strip() == "4 2", done.stderr[-800:]


def mixed_labels() -> np.ndarray:
    ds = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).apply(ma.tf.mixed(ma.MixUp(), num_classes=N))
    return np.concatenate([labels for _, labels in ds])


def test_tasks_that_train_together_draw_different_mixes(monkeypatch):
    drawn = []
    for kind, number in (("chief", 0), ("worker", 0), ("worker", 1), ("evaluator", 0)):
        cluster, task = '{"chief": ["a:1"], "worker": ["b:1", "c:1"]}', f'{{"type": "{kind}", "index": {number}}}'
        monkeypatch.setenv("TF_CONFIG", f'{{"cluster": {cluster}, "task": {task}}}')
        drawn.append(mixed_labels())
    assert len({labels.tobytes() for labels in drawn}) == 4
    monkeypatch.delenv("TF_CONFIG")
    np.testing.assert_array_equal(mixed_labels(), drawn[3])


# --- PyTorch

PAIRS = TensorDataset(torch.from_numpy(X).movedim(-1, 1), torch.from_numpy(Y))


class Unsized(Sampler):
    """A sampler without a length, whose indices depend on its epoch."""

    def __init__(self):
        self.epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        yield from (np.arange(N) + self.epoch) % N


def rows_of(loader) -> list[list[int]]:
    return [labels.argmax(1).tolist() for _, labels in loader]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sampler_without_a_length_resumes_where_it_stopped(workers):
    def make(sampler):
        return ma.torch.loader(ma.identity(), PAIRS, 5, num_classes=N, sampler=sampler, num_workers=workers)

    loader = make(Unsized())
    whole = [rows_of(loader), rows_of(loader)]
    assert [epoch[0][0] for epoch in whole] == [0, 1]
    assert loader.state_dict() == {"epoch": 2, "step": 0}
    stopped = make(Unsized())
    rows_of(stopped)
    for step, _ in enumerate(stopped):
        if step == 1:
            break
    resumed = make(Unsized())
    resumed.load_state_dict(stopped.state_dict())
    assert rows_of(resumed) == whole[1][2:]
    with pytest.raises(ValueError, match="expected an epoch and a step of 0 or more, got"):
        resumed.load_state_dict({"epoch": 0, "step": -1})


def test_an_epoch_that_is_set_at_the_sampler_is_taken_over():
    sampler = Unsized()
    loader = ma.torch.loader(ma.identity(), PAIRS, 5, num_classes=N, sampler=sampler)
    sampler.set_epoch(7)  # as a restarted script does
    assert rows_of(loader)[0][0] == 7
    assert rows_of(loader)[0][0] == 8
    loader.sampler.set_epoch(3)
    assert sampler.epoch == 3
    assert rows_of(loader)[0][0] == 3


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_of_a_sampler_do_not_depend_on_the_workers(workers):
    def labels(**options):
        weights = WeightedRandomSampler(torch.ones(N), 30, generator=torch.Generator().manual_seed(3))
        loader = ma.torch.loader(ma.MixUp(), PAIRS, 4, num_classes=N, sampler=weights, **options)
        return [labels for _ in range(2) for _, labels in loader]

    for one, other in zip(labels(), labels(num_workers=workers), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("sampler", "error", "sentence"), [
    ([0, 24], IndexError, r"sampler: expected row numbers in 0\.\.23, got 0\.\.24; make it for this dataset"),
    ([0, -1], IndexError, r"got -1\.\.0"),
    ([[0, 1], [2, 3]], TypeError, "sampler: expected row numbers, got .*; pass batches of them as batch_sampler="),
    ([0.5], TypeError, "sampler: expected row numbers"),
])  # fmt: skip
def test_rows_that_are_not_in_the_dataset_are_refused(sampler, error, sentence):
    with pytest.raises(error, match=sentence):
        list(ma.torch.loader(ma.MixUp(), PAIRS, 2, num_classes=N, sampler=sampler))
    if isinstance(sampler[0], list):
        assert len(list(ma.torch.loader(ma.MixUp(), PAIRS, num_classes=N, batch_sampler=sampler))) == 2


class Collate:
    """At module level, so that it can be pickled for spawned workers."""

    def __init__(self, transform):
        self.transform = transform

    def __call__(self, rows):
        return self.transform(*default_collate(rows))


def as_a_rank(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    made = {
        "Mixed": Collate(ma.torch.Mixed(ma.MixUp(), num_classes=N)),
        "timm": Collate(ma.timm.Mixup(num_classes=N)),
        "collate": ma.torch.MixingCollate(ma.MixUp(), num_classes=N),
    }
    drawn = {}
    for context, name in [("fork", "Mixed"), ("fork", "timm"), ("fork", "collate"), ("spawn", "Mixed")]:
        torch.manual_seed(0)  # the same on every rank, as training scripts do
        loader = DataLoader(PAIRS, 6, collate_fn=made[name], num_workers=1, multiprocessing_context=context)
        drawn[context, name] = [labels for _, labels in loader]
    stream = ma.torch.loader(ma.MixUp(), PAIRS, 6, num_classes=N, sampler=range(N))
    drawn["loader"] = [labels for _, labels in stream]
    drawn["mixed"] = [labels for _, labels in ma.mixed(ma.MixUp(), DataLoader(PAIRS, 6), epoch=0, num_classes=N)]
    torch.save(drawn, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.full
def test_workers_of_ranks_of_one_seed_draw_different_mixes(tmp_path):
    """Spawned workers are not in the process group, so the rank is passed to them."""
    one, two = ways.on_two_ranks("spawn", as_a_rank, tmp_path)
    for name, drawn in one.items():
        assert all(not torch.equal(a, b) for a, b in zip(drawn, two[name], strict=True)), name


def test_a_schedule_needs_to_know_the_epoch_and_the_way_out_works():
    recipe = ma.schedule({0: ma.MixUp(), 2: ma.identity()})
    with pytest.raises(ValueError, match=r"MixingCollate: .* without schedule, .*; mix with ma.torch.loader"):
        ma.torch.MixingCollate(recipe, num_classes=N)
    assert len(list(ma.torch.loader(recipe, PAIRS, 6, num_classes=N))) == 4


def test_a_key_holds_the_epoch_that_is_given():
    call_keys = ma.torch.CallKeys()
    assert call_keys.key(3, 5, epoch=2) == keys.make((3, 2, 5))
    assert call_keys.key(3, 5) == keys.make((3, 5))


# --- any rows


@pytest.mark.slow_ways
@pytest.mark.parametrize("recipe", [ma.CutMix(), ma.MixUp(sources=3), ma.GridMix(), ma.per_batch(ma.RICAP())], ids=repr)
@pytest.mark.parametrize("way", [way for way in ways.WAYS if way is not ways.numpy_read_only], ids=lambda w: w.__name__)
def test_arbitrary_rows_draw_the_same_as_the_whole_batch(recipe, way):
    index = (np.arange(9, dtype=np.int32)[None] + np.arange(recipe.sources, dtype=np.int32)[:, None]) % 9
    whole, ids = recipe.draw(9, (6, 6), key=(1, 2), index=index), np.int32([8, 0, 5, 5])

    def part(rows):
        return recipe.draw(4, (6, 6), key=(1, 2), index=index[:, ids], rows=rows, like=rows).lam

    ways.assert_same(way(part, ids), whole.lam[:, ids], ways.array_of(way))


@pytest.mark.parametrize(("rows", "error", "sentence"), [
    (np.array([0, -1]), ValueError, "rows: expected row numbers of 0 or more, got -1; count rows from the start"),
    (np.array([0.0, 1.0]), ValueError, r"rows: expected integers of shape \(2,\), one an output, got float64"),
    (np.arange(3), ValueError, r"rows: expected integers of shape \(2,\), one an output, got int64 of shape \(3,\)"),
    ([0, 1], TypeError, "rows: expected an array of NumPy, .* got list; convert it first"),
])  # fmt: skip
def test_invalid_rows_raise(rows, error, sentence):
    with pytest.raises(error, match=sentence):
        ma.CutMix().draw(2, (4, 4), key=(0, 0), index=np.zeros((2, 2), np.int32), rows=rows)


@pytest.mark.parametrize("n", [1, 7, 20_000])
def test_order_and_partners_of_arbitrary_rows_equal_those_of_the_epoch(n):
    this = Epoch(n, seed=3, epoch=1)
    whole = this.sources(0, n, 3)
    positions = np.random.default_rng(0).integers(0, n, 50)
    np.testing.assert_array_equal(this.order(positions), whole[0, positions])
    np.testing.assert_array_equal(this.partners(whole[0, positions], 3), whole[:, positions])
    for ids, error in (([n], IndexError), ([-1], IndexError), ([0.5], TypeError)):
        with pytest.raises(error, match="ids: expected"):
            this.partners(ids, 2)
