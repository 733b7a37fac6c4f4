"""What several processes or devices draw together is what one draws: streams, ranks, devices, tf.data's service."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

import mixaug as ma
import ways

N, SIZE = 32, (5, 6)
X, Y = ways.own_class_everywhere(N, SIZE), np.arange(N)


def rows(batches) -> dict[int, bytes]:
    """Each mixed label by the row that it is of, which weighs most where nothing weighs more than half."""
    return {
        int(i): label.tobytes() for ids, labels in batches for i, label in zip(ids, np.asarray(labels), strict=True)
    }


# --- streams without random access

SHARDS, LENGTH = 6, 5  # of a stream: each has its samples in an order of its own


class Shards(IterableDataset):
    """Shards that workers share out among them, each cut into batches that are mixed under a key of their place."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self):
        worker = get_worker_info()
        mine = range(SHARDS) if worker is None else range(worker.id, SHARDS, worker.num_workers)
        for shard in mine:
            samples = np.arange(shard * LENGTH, (shard + 1) * LENGTH)
            for first in range(0, LENGTH, 2):
                ids = samples[first : first + 2]
                key = (0, self.epoch, shard, first)
                _, labels = ma.mix_batch(ma.MixUp(), (X[ids], Y[ids]), key=key, num_classes=N)
                yield ids, labels


def test_a_stream_of_shards_is_mixed_the_same_by_any_workers():
    drawn = [rows(DataLoader(Shards(0), batch_size=None, num_workers=workers)) for workers in (0, 2, 3)]
    assert len(drawn[0]) == SHARDS * LENGTH
    assert drawn[0] == drawn[1] == drawn[2]
    assert len({*drawn[0].values()}) == SHARDS * LENGTH
    assert drawn[0] != rows(DataLoader(Shards(1), batch_size=None))


# --- ranks of torch.distributed


RANK = """
import sys, numpy as np, torch, mixaug as ma
rank, folder, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
x = torch.eye(32)[:, :, None, None].repeat(1, 1, 5, 6)
pairs = torch.utils.data.TensorDataset(x, torch.arange(32))
if count > 1:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=count)
loader = ma.torch.loader(ma.CutMix(), pairs, 16 // count, num_classes=32, seed=3)
drawn = {f"step{i}": labels.numpy() for i, (_, labels) in enumerate([*loader, *loader])}
items = ma.torch.MixedDataset(ma.CutMix(), pairs, seed=3, num_classes=32)
sampler = torch.utils.data.DistributedSampler(items, count, rank, shuffle=False)
np.savez(f"{folder}/{count}-{rank}.npz", **drawn, **{f"item{row}": items[row][1].numpy() for row in sampler})
"""


@pytest.mark.full
def test_four_ranks_draw_together_what_one_process_draws(tmp_path):
    """Processes that load PyTorch alone, and soon have started."""
    places = [(0, 1), *((rank, 4) for rank in range(4))]
    ranks = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", RANK, str(rank), str(tmp_path), str(count)])
        for rank, count in places
    ]
    assert [rank.wait() for rank in ranks] == [0] * 5
    alone, *drawn = [np.load(tmp_path / f"{count}-{rank}.npz") for rank, count in places]
    steps = [name for name in alone if name.startswith("step")]
    assert len(steps) == 4
    for name in steps:
        np.testing.assert_array_equal(np.concatenate([one[name] for one in drawn]), alone[name])
    for row in range(N):
        (label,) = [one[f"item{row}"] for one in drawn if f"item{row}" in one]
        np.testing.assert_array_equal(label, alone[f"item{row}"])


# --- devices of JAX


@pytest.mark.full
def test_a_batch_over_four_devices_is_mixed_as_on_one():
    code = """
import jax, numpy as np, mixaug as ma
from jax.sharding import Mesh, NamedSharding, PartitionSpec
x, y = np.eye(8, dtype="float32")[:, None, None].repeat(5, 1).repeat(6, 2), np.arange(8)
mesh = Mesh(np.array(jax.devices()), ("rows",))
spread = NamedSharding(mesh, PartitionSpec("rows"))
step = jax.jit(lambda x, y: ma.mix_batch(ma.CutMix(), (x, y), key=(0, 0), num_classes=8), out_shardings=spread)
mixed = step(jax.device_put(x, spread), jax.device_put(y, spread))
alone = ma.mix_batch(ma.CutMix(), (x, y), key=(0, 0), num_classes=8)
same = all(np.array_equal(np.asarray(a), b) for a, b in zip(mixed, alone))
print(len(mixed[0].sharding.device_set), same)
"""
    env = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout.strip() == "4 True", done.stderr[-800:]


# --- the service of tf.data


@pytest.fixture
def service():
    """A dispatcher and two workers, in this process."""
    made = tf.data.experimental.service
    dispatcher = made.DispatchServer()
    address = dispatcher.target.split("://")[1]
    workers = [made.WorkerServer(made.WorkerConfig(dispatcher_address=address)) for _ in range(2)]
    yield dispatcher.target
    for server in (*workers, dispatcher):
        server._stop()


@pytest.mark.full
def test_the_workers_of_tf_data_draw_together_what_one_process_draws(service):
    def batch(first):
        ids = tf.range(first, first + 8)
        fields = {"id": ids, "images": tf.gather(tf.constant(X), ids), "labels": tf.gather(tf.constant(Y), ids)}
        options = {"num_classes": N, "fields": {"id": "keep", "images": "images", "labels": "labels"}}
        return ma.mix_batch(ma.CutMix(), fields, key=(3, 0, first), **options)

    ds = tf.data.Dataset.range(0, N, 8).map(batch)
    distribute = tf.data.experimental.service.distribute
    shared = ds.apply(distribute(tf.data.experimental.service.ShardingPolicy.DYNAMIC, service))
    alone = rows((one["id"].numpy(), one["labels"]) for one in ds)
    assert len(alone) == N
    assert rows((one["id"].numpy(), one["labels"]) for one in shared) == alone


@pytest.mark.full
def test_a_graph_of_mixed_batches_is_run_by_a_worker_of_tf_data(service):
    ds = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    mixed = ds.apply(ma.tf.mixed(ma.CutMix(), seed=3, epoch=0, graph=True, num_classes=N))
    distribute = tf.data.experimental.service.distribute
    twice = mixed.apply(distribute(tf.data.experimental.service.ShardingPolicy.OFF, service))
    alone = sorted(labels.numpy().tobytes() for _, labels in mixed)
    drawn = [labels.numpy().tobytes() for _, labels in twice]
    assert sorted({*drawn}) == alone  # each worker draws all of it
