"""timm: the same form and distributions as its own Mixup, without its limits."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import timm.data.mixup as theirs
import timm.loss
import torch
from scipy import stats
from torch.testing._internal.distributed.fake_pg import FakeStore

import mixaug as ma
from mixaug.recipes.cut import below

OPTIONS = {
    "mixup": {"mixup_alpha": 0.8},
    "cutmix": {"mixup_alpha": 0.0, "cutmix_alpha": 1.0},
    "minmax": {"mixup_alpha": 0.0, "cutmix_minmax": (0.2, 0.8)},
    "both": {"mixup_alpha": 0.8, "cutmix_alpha": 1.0, "switch_prob": 0.3, "prob": 0.7},
    "both, minmax": {"mixup_alpha": 0.4, "cutmix_minmax": [0.3, 0.9]},
}
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
every_mode = pytest.mark.parametrize("mode", ["batch", "pair", "elem"])


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Operations as small as these only wait for each other's threads where other tests run beside them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def own_class_everywhere(n: int, size: int = 32) -> torch.Tensor:
    """float32 (n, n, size, size): sample i is 1 in channel i."""
    return torch.eye(n)[:, :, None, None].repeat(1, 1, size, size)


def lambdas(mixup_fn, n: int, calls: int) -> np.ndarray:
    """How much of each output is its base sample, by its label, call after call: (calls, n)."""
    samples, targets = torch.zeros(n, 1, 16, 16), torch.arange(n)
    return np.stack([mixup_fn(samples.clone(), targets)[1].diagonal().numpy() for _ in range(calls)])


@every_option
@every_mode
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_output_has_the_form_of_timm_s(options, mode, dtype):
    samples, targets = torch.rand(6, 3, 16, 16).to(dtype), torch.arange(6)
    got = ma.timm.Mixup(**options, mode=mode, num_classes=10)(samples, targets)
    want = theirs.Mixup(**options, mode=mode, num_classes=10)(samples.clone(), targets)
    assert type(got) is type(want)
    assert [(x.dtype, x.shape, x.device) for x in got] == [(x.dtype, x.shape, x.device) for x in want]


@every_option
@pytest.mark.parametrize(("mode", "n", "calls"), [("batch", 2, 1000), ("pair", 100, 60), ("elem", 100, 60)])
def test_lambda_has_the_distribution_of_timm_s(options, mode, n, calls):
    options = {**options, "mode": mode, "num_classes": n, "label_smoothing": 0.0}
    np.random.seed(0)  # what timm draws from
    want, got = lambdas(theirs.Mixup(**options), n, calls), lambdas(ma.timm.Mixup(**options), n, calls)
    rows = slice(0, 1) if mode == "batch" else slice(0, n // 2) if mode == "pair" else slice(None)  # drawn on their own
    assert stats.ks_2samp(got[:, rows].ravel(), want[:, rows].ravel()).pvalue > 0.01


@every_option
def test_batch_mode_draws_once_and_the_others_for_each_sample(options):
    options = {**options, "num_classes": 64, "label_smoothing": 0.0, "prob": 1.0}
    assert np.ptp(lambdas(ma.timm.Mixup(**options, mode="batch"), 64, 20), axis=1).max() < 1e-6
    for mode in ("pair", "elem"):
        assert np.ptp(lambdas(ma.timm.Mixup(**options, mode=mode), 64, 20), axis=1).min() > 0.1


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_the_rows_are_timm_s_for_the_same_lambda(smoothing):
    """Of two samples each is the other's partner, here and in a batch in reverse."""
    targets = torch.tensor([3, 1])
    plain = ma.timm.Mixup(num_classes=5, label_smoothing=0.0, seed=4)
    smoothed = ma.timm.Mixup(num_classes=5, label_smoothing=smoothing, seed=4)
    for _ in range(10):
        lam = float(plain(torch.zeros(2, 1, 8, 8), targets)[1][0, 3])
        rows = smoothed(torch.zeros(2, 1, 8, 8), targets)[1]
        torch.testing.assert_close(rows, theirs.mixup_target(targets, 5, lam, smoothing), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.int64, torch.float32, torch.bool], ids=str)
def test_multi_label_rows_are_timm_s_for_the_same_lambda(dtype):
    targets = torch.tensor([[1, 1, 1, 0], [0, 1, 0, 0]]).to(dtype)
    options = {"num_classes": 4, "multi_label": True, "mixup_alpha": 0.0, "cutmix_alpha": 1.0, "seed": 1}
    plain, smoothed = ma.timm.Mixup(**options, label_smoothing=0.0), ma.timm.Mixup(**options, label_smoothing=0.2)
    for _ in range(10):
        lam = float(plain(torch.zeros(2, 1, 8, 8), targets)[1][0, 0])
        rows = smoothed(torch.zeros(2, 1, 8, 8), targets)[1]
        want = theirs.mixup_target(targets, 4, lam, 0.2, multi_label=True)
        torch.testing.assert_close(rows, want, rtol=0, atol=1e-6)


@every_option
@every_mode
@pytest.mark.parametrize("n", [1, 2, 5])
def test_labels_follow_the_pixels_whatever_the_number_of_samples(options, mode, n):
    mixup_fn = ma.timm.Mixup(**options, mode=mode, num_classes=n, label_smoothing=0.0)
    for _ in range(8):
        samples, targets = mixup_fn(own_class_everywhere(n, 9), torch.arange(n))
        torch.testing.assert_close(samples.mean(dim=(2, 3)), targets, rtol=0, atol=1e-6)


@every_option
@every_mode
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_any_dtype_is_mixed_and_nothing_is_written_to(options, mode, dtype):
    samples, targets = (torch.rand(4, 3, 8, 8) * 255).to(dtype), torch.arange(4)
    before = samples.clone(), targets.clone()
    out, rows = ma.timm.Mixup(**options, mode=mode, num_classes=7)(samples, targets)
    assert (out.dtype, rows.dtype) == (dtype, torch.float32)
    torch.testing.assert_close(rows.sum(dim=1), torch.ones(4), rtol=0, atol=1e-6)
    assert torch.equal(samples, before[0])
    assert torch.equal(targets, before[1])


def test_rows_that_are_soft_already_are_mixed_and_smoothed():
    samples, soft = torch.rand(3, 1, 8, 8), torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 1, 0], [0.1, 0.2, 0.3, 0.4]])
    rows = ma.timm.Mixup(num_classes=4, seed=2)(samples, soft)[1]
    want = ma.mix_batch(ma.per_batch(ma.MixUp()), (samples, soft), key=(2, 0))[1]
    torch.testing.assert_close(rows, 0.9 * want + 0.025, rtol=0, atol=1e-6)
    assert theirs.Mixup(num_classes=4)(samples[:2].clone(), soft[:2])[1].shape == (8, 4)  # what timm makes of them


def test_the_key_is_seed_and_step_and_no_global_generator_is_drawn_from():
    samples, targets = torch.rand(5, 3, 8, 8), torch.arange(5)
    mixup_fn = ma.timm.Mixup(0.8, 1.0, switch_prob=0.25, prob=0.9, mode="elem", num_classes=5, seed=7)
    one = ma.one_of(ma.MixUp(alpha=0.8), ma.CutMix(alpha=1.0), weights=(0.75, 0.25))
    assert mixup_fn.recipe == ma.sometimes(0.9, one)
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    for step in range(3):
        got = mixup_fn(samples, targets)
        want = ma.mix_batch(mixup_fn.recipe, (samples, targets), key=(7, step), num_classes=5)
        assert torch.equal(got[0], want[0])
        torch.testing.assert_close(got[1], 0.9 * want[1] + 0.1 / 5, rtol=0, atol=1e-6)
    assert np.array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])


def test_a_run_that_is_resumed_goes_on_as_the_first_would_have():
    samples, targets = torch.rand(4, 1, 8, 8), torch.arange(4)
    first = ma.timm.Mixup(num_classes=4)
    outs = [first(samples, targets) for _ in range(5)]
    assert len({rows.numpy().tobytes() for _, rows in outs}) == 5
    assert (first.step, first.state_dict()) == (5, {"step": 5})
    resumed = ma.timm.Mixup(num_classes=4)
    resumed.load_state_dict({"step": 3})
    for want in outs[3:]:
        assert all(map(torch.equal, resumed(samples, targets), want))


def test_mixup_enabled_is_heard_at_run_time():
    samples, targets = torch.rand(4, 1, 8, 8), torch.arange(4)
    mixup_fn, other = ma.timm.Mixup(num_classes=4), theirs.Mixup(num_classes=4)
    mixup_fn.mixup_enabled = other.mixup_enabled = False
    got, want = mixup_fn(samples, targets), other(samples.clone(), targets)
    assert torch.equal(got[0], want[0])
    torch.testing.assert_close(got[1], want[1], rtol=0, atol=1e-7)
    mixup_fn.mixup_enabled = True
    assert not torch.equal(mixup_fn(samples, targets)[0], samples)
    assert mixup_fn.step == 2


@pytest.fixture
def ranks():
    """Makes this process the one of a rank, of a group that sends nothing."""

    def become(rank: int, world_size: int) -> None:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        torch.distributed.init_process_group("fake", rank=rank, world_size=world_size, store=FakeStore())

    yield become
    torch.distributed.destroy_process_group()


def test_ranks_of_one_seed_draw_different_mixes(ranks):
    samples, targets = torch.rand(4, 1, 8, 8), torch.arange(4)
    alone, outs = ma.timm.Mixup(num_classes=4)(samples, targets), []
    for rank in (0, 1):
        ranks(rank, 2)
        outs.append(ma.timm.Mixup(num_classes=4)(samples, targets))
        want = ma.mix_batch(ma.per_batch(ma.MixUp()), (samples, targets), key=(0, 0, rank), num_classes=4)
        assert torch.equal(outs[rank][0], want[0])
    assert not torch.equal(outs[0][0], outs[1][0])
    ranks(0, 1)
    assert all(map(torch.equal, ma.timm.Mixup(num_classes=4)(samples, targets), alone))


def test_timm_s_losses_take_the_rows():
    logits, targets = torch.randn(6, 10, requires_grad=True), torch.arange(6)
    rows = ma.timm.Mixup(0.8, 1.0, num_classes=10)(torch.rand(6, 3, 8, 8), targets)[1]
    want = -(rows * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(timm.loss.SoftTargetCrossEntropy()(logits, rows), want)
    timm.loss.BinaryCrossEntropy()(logits, rows).backward()
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"correct_lam": False},
            "correct_lam: expected True, got False; leave it out, because labels follow the pixels",
        ),
        ({"mixup_alpha": 0.0}, "expected mixup_alpha or cutmix_alpha above 0, or cutmix_minmax, got none"),
        ({"mixup_alpha": -1.0}, "mixup_alpha: expected a finite number of 0 or more, got -1.0"),
        ({"cutmix_alpha": float("nan")}, "cutmix_alpha: expected a finite number of 0 or more, got nan"),
        ({"cutmix_minmax": (0.2,)}, r"cutmix_minmax: expected \(low, high\), got \(0.2,\)"),
        ({"cutmix_minmax": (0.8, 0.2)}, "CutMixMinMax high: expected a finite number of 0.8 or more and at most 1"),
        ({"mode": "half"}, "mode: expected one of batch, pair, elem, got 'half'"),
        ({"prob": 1.5}, "prob: expected a finite number of 0 or more and at most 1, got 1.5"),
        ({"switch_prob": -0.5}, "switch_prob: expected a finite number of 0 or more and at most 1, got -0.5"),
        ({"label_smoothing": 1.0}, "smoothing: expected a number from 0 to below 1, got 1.0"),
        ({"num_classes": 0}, "num_classes: expected a whole number of 1 or more, got 0"),
    ],
)
def test_options_that_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ma.timm.Mixup(**options)


@pytest.mark.parametrize(
    ("options", "targets", "sentence"),
    [
        ({}, torch.zeros(4, 3), "labels: expected 10 columns, one for each class, got 3"),
        ({}, torch.tensor([0, 1, 2, 10]), r"labels: expected class ids in 0\.\.9, got 0\.\.10"),
        ({}, torch.arange(3), "expected as many rows in every field, got 3 in 'labels' and 4 in 'images'"),
        (
            {"multi_label": True},
            torch.arange(4),
            r"target: expected zeros and ones \(n, 10\) for multi_label, got \(4,\)",
        ),
        ({"multi_label": True}, torch.zeros(4, 1, dtype=torch.int64), r"for multi_label, got \(4, 1\)"),
    ],
)
def test_targets_that_are_refused(options, targets, sentence):
    mixup_fn = ma.timm.Mixup(num_classes=10, **options)
    with pytest.raises(ValueError, match=sentence):
        mixup_fn(torch.zeros(4, 1, 8, 8), targets)
    assert mixup_fn.step == 0


def test_timm_is_not_imported():
    code = "import sys, mixaug as ma; ma.timm.Mixup(); print('timm' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "False"


# --- CutMixMinMax, the recipe of cutmix_minmax


def boxes(low: float, high: float, size: tuple[int, ...], n: int = 100_000) -> np.ndarray:
    """int32 (n, axes, 2): the pasted boxes."""
    return ma.CutMixMinMax(low, high).draw(n, size, key=(0, 0)).region.box[1]


@pytest.mark.parametrize("size", [(32, 20), (11, 7), (5,), (6, 9, 4)], ids=str)
def test_sides_are_uniform_between_timm_s_bounds_and_independent(size):
    sides = np.diff(boxes(0.3, 0.9, size), axis=2)[:, :, 0]
    for axis, length in enumerate(size):
        values = np.arange(int(length * 0.3), int(length * 0.9))  # np.random.randint leaves out the upper bound
        counts = np.array([(sides[:, axis] == value).sum() for value in values])
        assert counts.sum() == len(sides)
        assert stats.chisquare(counts).pvalue > 0.001
    correlations = np.corrcoef(sides.T) if len(size) > 1 else np.eye(1)
    np.testing.assert_allclose(correlations, np.eye(len(size)), atol=0.02)


def test_a_box_lies_anywhere_inside_equally_likely():
    box = boxes(0.25, 1.0, (9, 8))
    assert (box >= 0).all()
    assert (box[:, :, 1] <= (9, 8)).all()
    for axis, length in enumerate((9, 8)):
        start, side = box[:, axis, 0], box[:, axis, 1] - box[:, axis, 0]
        for value in range(2, length):
            counts = np.bincount(start[side == value], minlength=length - value + 1)
            assert len(counts) == length - value + 1
            assert stats.chisquare(counts).pvalue > 0.001
    np.testing.assert_allclose(np.corrcoef(box[:, :, 0].T), np.eye(2), atol=0.02)


@pytest.mark.parametrize(
    ("low", "high", "side"), [(0.5, 0.5, 4), (0.0, 0.0, 0), (1.0, 1.0, 8), (0.3, 0.35, 2), (0.0, 0.125, 0)]
)
def test_bounds_without_a_side_between_them_give_the_lower_one(low, high, side):
    sides = np.diff(boxes(low, high, (8, 8), 100), axis=2)
    assert (sides == side).all()


def test_no_word_reaches_the_upper_bound():
    top, xp = np.full(4096, 2**32 - 1, np.uint32), ma.backends.common()
    counts = np.arange(1, 4097)
    np.testing.assert_array_equal(below(xp, counts, top), counts - 1)
    np.testing.assert_array_equal(below(xp, counts, top * 0), 0)


@pytest.mark.parametrize(("low", "high"), [(-0.1, 0.5), (0.5, 0.4), (0.5, 1.1), (0.5, None)])
def test_bounds_that_are_refused(low, high):
    with pytest.raises(ValueError, match=r"CutMixMinMax (low|high): expected a finite number"):
        ma.CutMixMinMax(low, high)


def test_the_text_form_is_read_back():
    assert ma.recipe(repr(ma.CutMixMinMax(0.3))) == ma.CutMixMinMax(low=0.3, high=0.8)
