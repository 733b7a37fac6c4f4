"""`ma.torch.loader` with samplers of others: their rows, their balance, their epochs."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import BatchSampler, RandomSampler, Sampler, TensorDataset, WeightedRandomSampler
from torch.utils.data.distributed import DistributedSampler

import mixaug as ma

Y = torch.tensor([0] * 90 + [1] * 10)
DATA = TensorDataset(torch.arange(100.0)[:, None, None, None].expand(100, 1, 4, 4).contiguous(), Y)


def balanced(count=1000):
    torch.manual_seed(0)
    return WeightedRandomSampler((1 / torch.bincount(Y).float())[Y], count)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_weighted_sampler_keeps_its_balance(workers):
    loader = ma.torch.loader(ma.MixUp(), DATA, 20, num_classes=2, sampler=balanced(), num_workers=workers)
    labels = torch.cat([label for _, label in loader])
    assert len(labels) == 1000
    assert abs(float(labels[:, 1].mean()) - 0.5) < 0.1


def test_a_row_that_is_drawn_twice_is_mixed_twice():
    loader = ma.torch.loader(ma.MixUp(), DATA, 4, num_classes=2, sampler=[5, 5, 5, 7] * 3)
    images = torch.cat([image for image, _ in loader])[:, 0, 0, 0]
    assert len(set(images.tolist())) > 4


def test_each_pass_is_another_epoch():
    loader = ma.torch.loader(ma.MixUp(), DATA, 25, num_classes=2, sampler=range(100))
    one, two = (torch.cat([image for image, _ in loader]) for _ in range(2))
    assert not torch.equal(one, two)


def test_a_batch_sampler_makes_the_batches():
    batches = [[0, 1, 2], [3, 4], [5, 6, 7, 8]]
    loader = ma.torch.loader(ma.CutMix(), DATA, batch_sampler=batches, num_classes=2)
    assert [len(label) for _, label in loader] == [3, 2, 4]
    loader = ma.torch.loader(
        ma.identity(), DATA, batch_sampler=BatchSampler(RandomSampler(DATA), 10, True), num_classes=2
    )
    assert sorted(torch.cat([image for image, _ in loader])[:, 0, 0, 0].tolist()) == list(range(100))


def test_the_epoch_is_passed_on():
    sampler = DistributedSampler(DATA, num_replicas=2, rank=0, shuffle=True)
    loader = ma.torch.loader(ma.identity(), DATA, 10, num_classes=2, sampler=sampler)
    one, two = ([image[:, 0, 0, 0].tolist() for image, _ in loader] for _ in range(2))
    assert one != two
    assert sampler.epoch == 1


@pytest.mark.parametrize(("options", "sentence"), [
    ({"sampler": range(9), "shuffle": True}, "expected no shuffle=True with sampler="),
    ({"sampler": range(9), "partners": "dataset"}, 'expected no partners="dataset" with sampler='),
    ({"sampler": range(9), "rank": 1}, "expected no rank= with sampler="),
    ({"batch_sampler": [[1]], "sampler": range(3)}, "expected no batch_size= with batch_sampler="),
])  # fmt: skip
def test_what_contradicts_a_sampler_is_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence + ".*; leave one out"):
        ma.torch.loader(ma.MixUp(), DATA, 3, num_classes=2, **options)


class Turned(Sampler):
    """Rows that follow from the epoch that it is told."""

    epoch = 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __iter__(self):
        return iter((torch.arange(100) + self.epoch).remainder(100).tolist())

    def __len__(self):
        return 100


def test_a_state_that_is_loaded_is_passed_on_to_the_sampler():
    """Its own epoch is not in the state."""
    sampler = Turned()
    loader = ma.torch.loader(ma.identity(), DATA, 10, num_classes=2, sampler=sampler)
    loader.load_state_dict({"epoch": 7, "step": 1})
    assert sampler.epoch == 7
    rows = torch.cat([image for image, _ in loader])[:, 0, 0, 0].int().tolist()
    assert rows == [(row + 7) % 100 for row in range(10, 100)]


def test_a_batch_is_mixed_as_any_batch_of_those_rows_is():
    """Rows that are drawn several times have a draw of their own each."""
    rows = [5, 95, 5, 95, 7, 5, 5, 91]
    loader = ma.torch.loader(ma.MixUp(), DATA, 8, num_classes=2, sampler=rows, seed=4)
    ((images, labels),) = loader
    want = ma.mix_batch(ma.MixUp(), DATA[rows], key=(4, 0, 0), num_classes=2)
    torch.testing.assert_close(images, want[0])
    torch.testing.assert_close(labels, want[1])
