"""Grain's epochs: every one of a row is mixed anew, whatever repeats the dataset and however many workers read it."""

from __future__ import annotations

import grain
import numpy as np
import pytest
import tensorflow as tf
from absl import flags

import mixaug as ma
import ways

N, EPOCHS = 11, 3
X = ways.own_class_everywhere(N, (5, 6))
SAMPLES = [(X[i], i) for i in range(N)]  # plain data, so that worker processes need not import this module


@pytest.fixture(autouse=True, scope="module")
def parsed_flags():
    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()  # Grain reads its flags in the workers


def loader(source, sampler, operations=(), workers=0, shard=None):
    return grain.DataLoader(
        data_source=source,
        sampler=sampler,
        operations=operations,
        worker_count=workers,
        shard_options=shard or grain.sharding.NoSharding(),
    )


def elements(stream) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(np.array(image), np.array(label)) for image, label in stream]


def by_row(stream) -> dict[int, list[bytes]]:
    """The images of each base sample, which has more than half of each label, in the order that they came in."""
    images: dict[int, list[bytes]] = {}
    for image, label in stream:
        images.setdefault(int(label.argmax()), []).append(image.tobytes())
    return images


def sequence(length):
    return grain.samplers.SequentialSampler(length, seed=0)


def shuffled(length):
    return grain.samplers.IndexSampler(length, shuffle=True, num_epochs=1, seed=0)


@pytest.mark.parametrize(
    ("sampler", "before", "workers"),
    [
        (sequence, False, 0),
        (sequence, False, 1),
        pytest.param(sequence, False, 3, marks=pytest.mark.full),
        (sequence, True, 0),
        (shuffled, False, 0),
        (shuffled, True, 2),
    ],
)
def test_each_epoch_of_a_row_has_another_mix_for_any_number_of_workers(sampler, before, workers):
    source = grain.MapDataset.source(SAMPLES)
    source = source.shuffle(seed=2) if before else source
    mixed = ma.grain.mixed(ma.MixUp(lam=(0.6, 0.9)), source, num_classes=N).repeat(EPOCHS)
    order = [sampler(len(mixed))[i].record_key for i in range(len(mixed))]
    want = [mixed[i] for i in order]
    got = elements(loader(mixed, sampler(len(mixed)), workers=workers))
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])
    rows = by_row(got)
    assert sorted(rows) == list(range(N))
    assert all(len(images) == len(set(images)) == EPOCHS for images in rows.values())


def batches(workers: int = 0, shard=None, **options):
    operations = [grain.transforms.Batch(4), ma.grain.MixBatches(ma.per_batch(ma.MixUp()), num_classes=N, **options)]
    sampler = grain.samplers.IndexSampler(N, shuffle=False, num_epochs=EPOCHS, seed=0)
    return loader(SAMPLES, sampler, operations, workers, shard)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.full)])
def test_batches_draw_anew_in_each_epoch_worker_and_shard(workers):
    shards = [grain.sharding.ShardOptions(shard, 2) for shard in (0, 1)]
    drawn = [elements(batches(workers, shard)) for shard in shards]
    lams = [round(float(labels[0].max()), 6) for shard in drawn for _, labels in shard]
    assert len(set(lams)) == len(lams) >= 8
    for images, labels in drawn[0] + drawn[1]:
        np.testing.assert_allclose(images.mean(axis=(1, 2)), labels, atol=1e-6)
    again = elements(batches(workers, shards[0]))
    for one, other in zip(again, drawn[0], strict=True):
        np.testing.assert_array_equal(one[1], other[1])
    other_seed = elements(batches(workers, shards[0], seed=1))
    assert not any(np.array_equal(one[1], other[1]) for one, other in zip(other_seed, drawn[0], strict=True))


def test_a_restored_loader_goes_on_as_the_first_would_have():
    whole = elements(batches())
    first = iter(batches())
    for _ in range(3):
        next(first)
    restored = iter(batches())
    restored.set_state(first.get_state())
    for one, other in zip(elements(restored), whole[3:], strict=True):
        np.testing.assert_array_equal(one[1], other[1])


def test_batches_without_a_seed_or_with_a_schedule_are_refused_and_the_ways_out_work():
    mixing = ma.grain.MixBatches(ma.MixUp(), num_classes=N)
    with pytest.raises(ValueError, match="MixBatches: expected a sampler with a seed, got one without; pass it seed=0"):
        elements(loader(SAMPLES, grain.samplers.SequentialSampler(N), [grain.transforms.Batch(4), mixing]))
    assert len(elements(loader(SAMPLES, sequence(N), [grain.transforms.Batch(4), mixing]))) == 3
    recipe = ma.schedule({0: ma.MixUp(), 2: ma.identity()})
    with pytest.raises(ValueError, match=r"without schedule, .*; call ma.mix_batch in map_with_index, with key=\(s"):
        ma.grain.MixBatches(recipe)
    ds = grain.MapDataset.source(SAMPLES).batch(4).repeat(EPOCHS)

    def mix(step, batch):
        return ma.mix_batch(recipe, batch, key=(0, step // 3, step), num_classes=N)

    epochs = [labels.max() for _, labels in ds.map_with_index(mix)]
    assert min(epochs[6:]) == 1 > max(epochs[:2])


@pytest.mark.parametrize("recipe", [
    ma.per_batch(ma.MixUp()), ma.one_of(ma.CutMix(), ma.per_batch(ma.MixUp())),
    ma.schedule({0: ma.CutMix(), 5: ma.sometimes(0.5, ma.per_batch(ma.MixUp()))}),
], ids=repr)  # fmt: skip
def test_single_samples_have_no_batch_to_draw_once_for_and_the_ways_out_work(recipe):
    ds = tf.data.Dataset.from_tensor_slices((X, np.arange(N)))
    with pytest.raises(ValueError, match=r"mixed_zip: .* leave per_batch out, or batch\(\) both datasets before they"):
        ma.tf.mixed_zip(recipe, ds, ds, num_classes=N)
    assert len(list(ma.tf.mixed_zip(recipe, ds.batch(4), ds.batch(4), num_classes=N))) == 3
    samples = grain.MapDataset.source(SAMPLES)
    with pytest.raises(ValueError, match=r"mixed: .* or mix batches with ds.batch\(32\).random_map\(ma.grain.MixBatc"):
        ma.grain.mixed(recipe, samples, num_classes=N)
    if not isinstance(recipe, type(ma.schedule({0: "mixup"}))):
        mixed = samples.batch(4).random_map(ma.grain.MixBatches(recipe, num_classes=N), seed=0)
        assert mixed[1][1].shape == (4, N)
