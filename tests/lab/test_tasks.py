"""Tasks: metrics of outputs, saved results, and what the report shows of them."""

import io
import string

import numpy as np
import pytest
from PIL import Image

import mixaug as ma
from mixaug.lab import dataset, metrics
from mixaug.lab.config import Config
from mixaug.lab.data import tasks as tasks_of
from mixaug.lab.dataset import Data, Split
from mixaug.lab.errors import LabError
from mixaug.lab.tasks import KEPT, SHOWN, TASKS, Named

RNG = np.random.default_rng(0)
CLASSES = ("wall", "cell", "void", "none")
IMAGES = RNG.integers(0, 256, (20, 16, 24, 3), np.uint8)
LABELS = RNG.integers(0, 4, 20)
MASKS = RNG.choice(np.uint8([0, 1, 2, 255]), (20, 16, 24))
TARGETS = RNG.integers(0, 256, (20, 16, 24, 1), np.uint8)
OUTPUTS = {
    "classification": RNG.normal(0, 2, (20, 4)).astype(np.float32),
    "segmentation": RNG.normal(0, 2, (20, 16, 24, 4)).astype(np.float32),
    "image2image": RNG.normal(0.5, 0.3, (20, 16, 24, 1)).astype(np.float32),
}


def data(task, **options):
    targets = {"classification": LABELS, "segmentation": MASKS, "image2image": TARGETS}[task]
    options = {"ignore_index": 255} | options if task == "segmentation" else options
    split = Split(IMAGES, options.pop("targets", targets))
    return Data("some", options.pop("classes", CLASSES), split, split, task, **options)


def answers(task, given):
    return TASKS[task].answers(OUTPUTS[task], given.test, given)


def kept(task):
    """The results, saved and loaded."""
    given, file = data(task), io.BytesIO()
    np.savez_compressed(file, **TASKS[task].kept(answers(task, given), given))
    file.seek(0)
    return dict(np.load(file))


def named(task):
    return Named(CLASSES, 255 if task == "segmentation" else None)


every = pytest.mark.parametrize("name", TASKS)


def test_every_task_of_the_datasets_exists():
    assert tuple(TASKS) == dataset.TASKS
    assert all(task.name == name for name, task in TASKS.items())


@every
def test_defaults_use_data_with_the_task(name):
    config = Config(task=name, **TASKS[name].defaults)
    assert name in tasks_of(config.data)


@every
def test_the_number_of_outputs_matches_the_targets(name):
    assert TASKS[name].outputs(data(name)) == OUTPUTS[name].shape[-1]


@every
def test_every_displayed_metric_is_measured(name):
    task = TASKS[name]
    trained = {"train_loss": 1.0, "mixed_accuracy": 0.5, "seconds": 1.0, "step_ms": 1.0}
    measured = task.evaluate(answers(name, data(name)), data(name))
    assert all(type(value) is float for value in measured.values())
    assert "test_loss" in measured
    fields = {field for _, field, _, _ in string.Formatter().parse(task.line) if field}
    fields |= {measure.field for measure in (*task.table, *task.curves)}
    assert fields <= {*trained, *measured}
    assert set(measured) <= fields | {"test_ece", "test_loss"}
    assert task.judged in task.table
    assert task.judged.better in (1, -1)


@every
def test_results_of_parts_combine_to_those_of_the_whole(name):
    task, given = TASKS[name], data(name)
    whole = answers(name, given)
    parts = [
        task.answers(OUTPUTS[name][rows.start : rows.stop], given.test.take(rows), given)
        for rows in (range(7), range(7, 20))
    ]
    assert set(whole) == set(parts[0])
    for array in whole:
        assert np.allclose(whole[array], np.concatenate([part[array] for part in parts]), rtol=1e-6)


# --- metrics ---


def test_metrics_of_classification():
    found = TASKS["classification"].evaluate(answers("classification", data("classification")), data("classification"))
    logits = OUTPUTS["classification"]
    assert list(found) == ["test_loss", "test_accuracy", "test_ece"]
    assert found["test_loss"] == metrics.log_loss(logits, LABELS)
    assert found["test_accuracy"] == metrics.accuracy(logits, LABELS)
    assert found["test_ece"] == metrics.calibration_error(metrics.softmax(logits), LABELS)


def test_metrics_of_segmentation_exclude_ignored_pixels():
    given = data("segmentation")
    found = TASKS["segmentation"].evaluate(answers("segmentation", given), given)
    said, logits = MASKS != 255, OUTPUTS["segmentation"]
    predicted = logits.argmax(-1)
    assert found["test_loss"] == pytest.approx(metrics.log_loss(logits[said], MASKS[said]), rel=1e-5)
    assert found["test_pixel_accuracy"] == pytest.approx((predicted == MASKS)[said].mean())
    sets = [(said & (c == MASKS), said & (predicted == c)) for c in range(4)]  # class 3 is only predicted
    assert found["test_iou"] == pytest.approx(np.mean([(a & b).sum() / (a | b).sum() for a, b in sets]))
    assert found["test_boundary_f1"] == metrics.boundary_f1(MASKS, predicted, 4, 255)
    otherwise = data("segmentation", targets=np.where(said, MASKS, 0).astype(np.uint8))
    assert TASKS["segmentation"].evaluate(answers("segmentation", otherwise), otherwise) != found


def test_a_perfect_segmentation():
    given = data("segmentation")
    right = {"predicted": np.where(MASKS == 255, 3, MASKS), "loss": np.zeros(20)}
    found = TASKS["segmentation"].evaluate(right, given)
    assert found == {"test_loss": 0, "test_iou": 1, "test_pixel_accuracy": 1, "test_boundary_f1": 1}


def test_metrics_of_images_are_in_gray_levels():
    given = data("image2image")
    found = TASKS["image2image"].evaluate(answers("image2image", given), given)
    outputs = OUTPUTS["image2image"]
    seen = np.rint(255 * outputs.clip(0, 1)).astype(np.uint8)
    assert found["test_l1"] == pytest.approx(np.abs(seen - TARGETS.astype(float)).mean())
    assert found["test_psnr"] == metrics.psnr(TARGETS, seen)
    assert found["test_ssim"] == metrics.ssim(TARGETS, seen)
    assert found["test_loss"] == pytest.approx(np.abs(outputs - TARGETS / 255).mean(), rel=1e-5)  # not clipped


# --- mixed targets ---


def mixed(name, recipe):
    batch = (IMAGES, data(name).train.targets)
    return ma.mix_batch(recipe, batch, key=(0, 0), fields=("images", TASKS[name].field(data(name))))


@pytest.mark.parametrize("recipe", [ma.identity(), ma.MixUp(), ma.CutMix()])
def test_mixed_targets_fit_the_losses(recipe):
    assert mixed("classification", recipe)[1].shape == (20, 4)
    shares = mixed("segmentation", recipe)[1]
    assert (shares.shape, shares.dtype) == ((20, 16, 24, 4), np.float32)
    total = shares.sum(-1)
    assert np.allclose(total[total > 0], 1, atol=1e-6)
    assert (total == 0).any()
    images = mixed("image2image", recipe)[1]
    assert (images.shape, images.dtype) == (TARGETS.shape, np.uint8)


def test_without_a_mix_targets_are_unchanged():
    shares = mixed("segmentation", ma.identity())[1]
    assert np.array_equal(shares.sum(-1) == 0, MASKS == 255)
    assert np.array_equal(shares.argmax(-1)[MASKS != 255], MASKS[MASKS != 255])
    assert np.array_equal(mixed("image2image", ma.identity())[1], TARGETS)


def test_image_and_target_are_mixed_alike():
    """If the target equals the image, the mixed target equals the mixed image."""
    given = ma.mix_batch(ma.CutMix(), (IMAGES, IMAGES), key=(0, 1), fields=("images", TASKS["image2image"].field(None)))
    assert np.array_equal(*given)
    assert not np.array_equal(given[0], IMAGES)


# --- saved results ---


def test_saved_results_are_small():
    assert {name: x.shape for name, x in kept("classification").items()} == {"logits": (20, 4), "labels": (20,)}
    assert {name: (x.shape, x.dtype) for name, x in kept("segmentation").items()} == {
        "predicted": ((20, 16, 24), np.uint8),
        "targets": ((20, 16, 24), np.uint8),
        "images": ((KEPT, 16, 24, 3), np.uint8),
    }
    assert {name: (x.shape, x.dtype) for name, x in kept("image2image").items()} == {
        "predicted": ((KEPT, 16, 24, 1), np.uint8),
        "targets": ((KEPT, 16, 24, 1), np.uint8),
        "images": ((KEPT, 16, 24, 3), np.uint8),
    }


WRONG = {
    "classification": [
        {"logits": OUTPUTS["classification"][:, :2]},
        {"labels": LABELS[:3]},
        {"labels": LABELS.astype(np.uint8)},
    ],
    "segmentation": [
        {"predicted": MASKS[:3]},
        {"predicted": MASKS.astype(np.int64)},
        {"predicted": MASKS},  # 255 is not a class
        {"targets": np.full_like(MASKS, 4)},
        {"images": IMAGES[:3]},
        {"images": IMAGES[:KEPT, :8]},
    ],
    "image2image": [
        {"predicted": TARGETS[:3]},
        {"predicted": TARGETS[:KEPT].astype(np.float32)},
        {"images": IMAGES[:3]},
    ],
}


@pytest.mark.parametrize(("name", "other"), [(name, other) for name, others in WRONG.items() for other in others])
def test_other_files_raise(name, other):
    with pytest.raises(ValueError, match=r"\(|a class id beyond 3"):
        TASKS[name].read(kept(name) | other, named(name))


@pytest.mark.parametrize(("name", "array"), [(name, array) for name in TASKS for array in kept(name)])
def test_incomplete_results_raise(name, array):
    with pytest.raises(KeyError, match=array):
        TASKS[name].read({one: x for one, x in kept(name).items() if one != array}, named(name))


def detail(name, *runs):
    return TASKS[name].detail([TASKS[name].read(run, named(name)) for run in runs], named(name))


def test_iou_of_each_class_is_the_mean_over_the_seeds_that_have_it():
    masks = np.zeros((1, 4, 4), np.uint8)
    masks[:, :2] = 1
    images = np.zeros((1, 4, 4, 1), np.uint8)
    right = {"targets": masks, "predicted": masks, "images": images}
    wrong = right | {"predicted": np.where(masks == 1, 2, 0).astype(np.uint8)}
    assert detail("segmentation", right).rows == [("wall", "100.0"), ("cell", "100.0"), ("void", "–"), ("none", "–")]
    # void is only predicted with the second seed, wrongly
    assert detail("segmentation", right, wrong).rows == [
        ("wall", "100.0"), ("cell", "50.0"), ("void", "0.0"), ("none", "–"),
    ]  # fmt: skip


def pixels(picture):
    return np.asarray(picture.convert("RGB")).reshape(-1, 3)


@pytest.mark.parametrize("name", ["segmentation", "image2image"])
def test_picture_shows_the_first_images_of_the_first_seed(name):
    run = kept(name)
    picture = detail(name, run).picture
    assert isinstance(picture, Image.Image)
    assert picture.width > SHOWN * 24 * 6
    assert picture.height > 3 * 16 * 6
    assert detail(name, run, {**run, "predicted": run["targets"] * 0}).picture.tobytes() == picture.tobytes()
    later = {**run, "images": run["images"].copy()}
    later["images"][SHOWN:] = 0
    assert detail(name, later).picture.tobytes() == picture.tobytes()
    later["images"][SHOWN - 1] = 0
    assert detail(name, later).picture.tobytes() != picture.tobytes()


def test_the_legend_lists_classes_and_ignored_pixels():
    run = kept("segmentation")
    with_ignored = detail("segmentation", run).picture
    without = detail("segmentation", {**run, "targets": np.where(run["targets"] == 255, 0, run["targets"])}).picture
    assert with_ignored.size == without.size
    strip = (0, with_ignored.height - 30, *with_ignored.size)
    assert with_ignored.crop(strip).tobytes() != without.crop(strip).tobytes()


def test_picture_of_fewer_images_than_are_shown():
    run = {name: array[:2] for name, array in kept("image2image").items()}
    assert detail("image2image", run).picture.width < detail("image2image", kept("image2image")).picture.width


# --- data that cannot be learned ---


@pytest.mark.parametrize("name", ["classification", "segmentation"])
def test_too_few_classes(name):
    with pytest.raises(LabError, match=r"^expected two or more classes, got 1: there is nothing to tell apart$"):
        TASKS[name].outputs(data(name, classes=("all",)))


def test_masks_with_only_ignored_pixels_raise():
    with pytest.raises(
        LabError, match=r"^expected test masks that name classes, got only pixels of 255, which are ign"
    ):
        TASKS["segmentation"].outputs(data("segmentation", targets=np.full_like(MASKS, 255)))
