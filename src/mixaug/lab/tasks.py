"""The tasks of the lab, each with everything that differs between tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..drawing import FAINT, GAP, QUIET, below, beside, class_colour, font, framed, legend, line, plain, shown, veiled
from ..fields import Field, Images, Labels, Masks
from . import metrics
from .dataset import Data, Split
from .errors import LabError
from .measures import Measure

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Outputs: TypeAlias = NDArray[np.float32]
Pixels: TypeAlias = NDArray[np.uint8]

SHOWN = 4  #: the number of test images that the report shows
KEPT = 16  #: the number of test images stored with a run


@dataclass(frozen=True)
class Named:
    """The properties of the data that the report needs.

    Args:
        classes: the names of the class ids.
        ignore_index: the id of mask pixels to ignore.
    """

    classes: tuple[str, ...]
    ignore_index: int | None = None


@dataclass(frozen=True)
class Detail:
    """The details of an arm in the report, in addition to its measures.

    Args:
        items: sentences, in order.
        rows: names, each with a number.
        note: a sentence below the rows.
        picture: the network's outputs for the first test images.
    """

    items: Sequence[str] = ()
    rows: Sequence[tuple[str, str]] = ()
    note: str = ""
    picture: Image.Image | None = None


@dataclass(frozen=True)
class Task:
    """Everything that differs between tasks.

    Args:
        name: the name, as in `Data.task`.
        per_pixel: whether the network has outputs per pixel.
        outputs: returns the number of outputs, per image or per pixel.
        field: returns the field that mixes the targets.
        learning: returns Keras' loss and metrics.
        answers: reduces the outputs for some test images to answers, one row per image.
        evaluate: computes the measures from the answers for all test images, by field, including "test_loss".
        kept: returns the arrays to store for a finished run, from the same answers.
        read: checks the stored arrays and returns what `detail` needs; raises KeyError or ValueError if they are wrong.
        detail: returns the details of an arm from what `read` returned for its finished runs.
        line: the format of the line printed for an epoch, with its fields.
        table: the measures of the last epoch.
        curves: the measures of every epoch.
        judged: the measure that decides the verdict.
        verdicts: the words for "better than none", "worse than none" and "as good as none".
        under_mixing: a note for readers of the curves.
        detailed: the heading of the sentences and rows of `detail`, and a description; None if there are none.
        defaults: the default configuration fields that differ from those of `Config`.
        tested: test images per batch.
    """

    name: str
    per_pixel: bool
    outputs: Callable[[Data], int]
    field: Callable[[Data], Field]
    learning: Callable[[], tuple[Any, list[Any]]]
    answers: Callable[[Outputs, Split, Data], Arrays]
    evaluate: Callable[[Arrays, Data], dict[str, float]]
    kept: Callable[[Arrays, Data], Arrays]
    read: Callable[[Arrays, Named], Any]
    detail: Callable[[Sequence[Any], Named], Detail]
    line: str
    table: tuple[Measure, ...]
    curves: tuple[Measure, ...]
    judged: Measure
    verdicts: tuple[str, str, str]
    under_mixing: str
    detailed: tuple[str, str] | None
    defaults: Mapping[str, Any]
    tested: int


TIME = Measure("Time per step", "ms", "step_ms", 1, 1, timed=True)
LOSS = Measure("Test loss", "", "test_loss", 1, 3, better=-1)


# --- classification: one class id per image ---

ACCURACY = Measure("Test accuracy", "%", "test_accuracy", 100, 2, better=1)
CALIBRATION = Measure("Calibration error", "%", "test_ece", 100, 2, better=-1)
MIXED_LABEL = Measure("Training accuracy against the mixed label", "%", "mixed_accuracy", 100, 2)


class Tested(NamedTuple):
    """Logits (n, classes) and labels (n,) of the test images."""

    logits: Outputs
    labels: NDArray[np.int64]


def _classes(data: Data) -> int:
    if len(data.classes) < 2:
        raise LabError(f"expected two or more classes, got {len(data.classes)}: there is nothing to tell apart")
    return len(data.classes)


def _labels(data: Data) -> Field:
    return Labels(num_classes=len(data.classes))


def _label_learning() -> tuple[Any, list[Any]]:
    import keras  # imported late: it takes seconds to load, and the report does not need it

    from ..keras import MixedAccuracy

    return keras.losses.CategoricalCrossentropy(from_logits=True), [MixedAccuracy()]


def _logits(outputs: Outputs, part: Split, data: Data) -> Arrays:  # noqa: ARG001 - of every task
    return {"logits": outputs}


def _label_measures(answers: Arrays, data: Data) -> dict[str, float]:
    logits, labels = answers["logits"], data.test.targets
    return {
        "test_loss": metrics.log_loss(logits, labels),
        "test_accuracy": metrics.accuracy(logits, labels),
        "test_ece": metrics.calibration_error(metrics.softmax(logits), labels),
    }


def _with_labels(answers: Arrays, data: Data) -> Arrays:
    return {**answers, "labels": data.test.targets}


def _tested(kept: Arrays, named: Named) -> Tested:
    logits, labels = kept["logits"], kept["labels"]
    if logits.shape != (len(labels), len(named.classes)) or labels.dtype != np.int64:
        raise ValueError(f"{logits.dtype} {logits.shape} and {labels.dtype} {labels.shape}")
    return Tested(logits, labels)


def _confused(runs: Sequence[Tested], named: Named) -> Detail:
    """Return the five most frequent mistakes over all seeds, and how well confidence matches accuracy."""
    logits, labels = map(np.concatenate, zip(*runs, strict=True))
    matrix = metrics.confusion(labels, logits.argmax(-1), len(named.classes))
    mistakes = metrics.most_confused(matrix, named.classes, top=5)
    items = [
        f"{name} taken for {other}, {_percent(count / matrix[named.classes.index(name)].sum())}"
        for name, other, count in mistakes
    ]
    points = 100 * metrics.overconfidence(metrics.softmax(logits), labels)
    note = f"Confidence is on average {abs(points):.1f} points {'above' if points > 0 else 'below'} the accuracy."
    return Detail(items or ["No mistakes."], note=note)


def _percent(share: float) -> str:
    """Return a percentage, with an additional digit if it would otherwise show none."""
    return f"{100 * share:.{0 if share >= 0.01 else 1}f}\N{NO-BREAK SPACE}%"


# --- segmentation: one class id per pixel ---

IOU = Measure("Mean IoU", "%", "test_iou", 100, 2, better=1)
PIXEL_ACCURACY = Measure("Pixel accuracy", "%", "test_pixel_accuracy", 100, 2, better=1)
BOUNDARY = Measure("Boundary F1", "%", "test_boundary_f1", 100, 2, better=1)
MIXED_MASK = Measure("Training accuracy against the mixed mask", "%", "mixed_accuracy", 100, 2)


class Segmented(NamedTuple):
    """The confusion matrix of pixels over all test images, and the first images, masks and predicted masks."""

    matrix: NDArray[np.int64]
    images: Pixels
    masks: Pixels
    predicted: Pixels


def _mask_classes(data: Data) -> int:
    if not metrics.known(data.test.targets, data.ignore_index).any():
        raise LabError(
            f"expected test masks that name classes, got only pixels of {data.ignore_index}, which are ignored"
        )
    return _classes(data)


def _masks(data: Data) -> Field:
    return Masks(num_classes=len(data.classes), ignore_index=data.ignore_index, soft=True)


def _mask_learning() -> tuple[Any, list[Any]]:
    from . import models

    return models.pixel_cross_entropy, [models.PixelAccuracy()]


def _segments(outputs: Outputs, part: Split, data: Data) -> Arrays:
    loss = metrics.pixel_log_loss(outputs, part.targets, data.ignore_index)
    return {"predicted": outputs.argmax(-1).astype(np.uint8), "loss": loss}


def _mask_measures(answers: Arrays, data: Data) -> dict[str, float]:
    masks, predicted, classes, ignored = data.test.targets, answers["predicted"], len(data.classes), data.ignore_index
    matrix = metrics.pixel_confusion(masks, predicted, classes, ignored)
    return {
        "test_loss": float(answers["loss"].sum() / matrix.sum()),
        "test_iou": metrics.mean_iou(matrix),
        "test_pixel_accuracy": metrics.pixel_accuracy(matrix),
        "test_boundary_f1": metrics.boundary_f1(masks, predicted, classes, ignored),
    }


def _with_masks(answers: Arrays, data: Data) -> Arrays:
    return {"predicted": answers["predicted"], "targets": data.test.targets, "images": data.test.images[:KEPT]}


def _segmented(kept: Arrays, named: Named) -> Segmented:
    images, masks, predicted = (kept[name] for name in ("images", "targets", "predicted"))
    if not masks.shape == predicted.shape or not masks.dtype == predicted.dtype == images.dtype == np.uint8:
        raise ValueError(f"{predicted.dtype} {predicted.shape} and {masks.dtype} {masks.shape}")
    if images.shape[:3] != masks[:KEPT].shape:
        raise ValueError(f"{images.dtype} {images.shape} and {masks.dtype} {masks.shape}")
    said = metrics.known(masks, named.ignore_index)
    if max(masks[said].max(initial=0), predicted.max(initial=0)) >= len(named.classes):
        raise ValueError(f"a class id beyond {len(named.classes) - 1}")
    matrix = metrics.pixel_confusion(masks, predicted, len(named.classes), named.ignore_index)
    return Segmented(matrix, images[:SHOWN], masks[:SHOWN], predicted[:SHOWN])


def _ious(runs: Sequence[Segmented], named: Named) -> Detail:
    """Return the IoU of each class, averaged over the seeds in which it occurs, and the masks of the first seed."""
    each = np.array([metrics.iou(run.matrix) for run in runs])
    means = np.nanmean(np.where(np.isnan(each).all(axis=0), -1, each), axis=0)
    rows = [(name, "–" if mean < 0 else f"{100 * mean:.1f}") for name, mean in zip(named.classes, means, strict=True)]
    return Detail(rows=rows, picture=_mask_panel(runs[0], named))


def _mask_panel(run: Segmented, named: Named) -> Image.Image:
    veils = [
        [shown(veiled(image, mask, named.ignore_index)) for image, mask in zip(run.images, masks, strict=True)]
        for masks in (run.masks, run.predicted)
    ]
    ids = np.unique([run.masks, run.predicted]).tolist()
    colours = [(class_colour(i), plain(named.classes[i])) for i in ids if i != named.ignore_index]
    colours += [(FAINT, "ignored")] * (named.ignore_index in run.masks)
    return _panel([list(map(shown, run.images)), *veils], colours)


# --- image2image: one image per image ---

L1 = Measure("L1", "grey levels", "test_l1", 1, 2, better=-1)
PSNR = Measure("PSNR", "dB", "test_psnr", 1, 2, better=1)
SSIM = Measure("SSIM", "", "test_ssim", 1, 4, better=1)
MIXED_IMAGE = Measure("Training L1 against the mixed target", "grey levels", "train_loss", 255, 2)


class Pictures(NamedTuple):
    """The first test images: inputs, targets and outputs, uint8 (n, h, w, c) each."""

    images: Pixels
    targets: Pixels
    predicted: Pixels


def _channels(data: Data) -> int:
    return int(data.train.targets.shape[-1])


def _images(data: Data) -> Field:  # noqa: ARG001 - of every task
    return Images()


def _image_learning() -> tuple[Any, list[Any]]:
    from . import models

    return models.pixel_error, []


def _pictures(outputs: Outputs, part: Split, data: Data) -> Arrays:  # noqa: ARG001 - of every task
    error = np.abs(outputs - part.targets / np.float32(255)).mean(axis=(1, 2, 3), dtype=np.float64)
    return {"predicted": np.rint(255 * outputs.clip(0, 1)).astype(np.uint8), "loss": error}


def _image_measures(answers: Arrays, data: Data) -> dict[str, float]:
    targets, predicted = data.test.targets, answers["predicted"]
    return {
        "test_loss": float(answers["loss"].mean()),
        "test_l1": metrics.grey_error(targets, predicted),
        "test_psnr": metrics.psnr(targets, predicted),
        "test_ssim": metrics.ssim(targets, predicted),
    }


def _with_images(answers: Arrays, data: Data) -> Arrays:
    return {
        "predicted": answers["predicted"][:KEPT],
        "targets": data.test.targets[:KEPT],
        "images": data.test.images[:KEPT],
    }


def _seen(kept: Arrays, named: Named) -> Pictures:  # noqa: ARG001 - of every task
    images, targets, predicted = (kept[name] for name in ("images", "targets", "predicted"))
    if targets.shape != predicted.shape or not targets.dtype == predicted.dtype == images.dtype == np.uint8:
        raise ValueError(f"{predicted.dtype} {predicted.shape} and {targets.dtype} {targets.shape}")
    if images.shape[:3] != targets.shape[:3]:
        raise ValueError(f"{images.dtype} {images.shape} and {targets.dtype} {targets.shape}")
    return Pictures(images[:SHOWN], targets[:SHOWN], predicted[:SHOWN])


def _beside_targets(runs: Sequence[Pictures], named: Named) -> Detail:  # noqa: ARG001 - of every task
    """Return the images of the first seed."""
    return Detail(picture=_panel([list(map(shown, row)) for row in runs[0]]))


def _panel(rows: Sequence[Sequence[Image.Image]], colours: Sequence[tuple[Any, str]] = ()) -> Image.Image:
    """Return test images in columns (input, target, output), with a legend."""
    cell = rows[0][0].width
    pictures = [beside(row, cell) for row in rows]
    width = pictures[0].width
    named = [
        below([line(name, font(12), QUIET, width), row], 4)
        for name, row in zip(("input", "truth", "prediction"), pictures, strict=True)
    ]
    return framed(below([*named, *([legend(colours, width)] if colours else [])], GAP), GAP)


# --- the tasks ---

OF_PIXELS: Mapping[str, Any] = {
    **{"data": "scenes", "model": "unet", "augment": ("flip",)},
    **{"learning_rate": 5e-3, "epochs": 12, "batch_size": 16},
}  #: sized for a few minutes on two cores

TASKS = {
    task.name: task
    for task in (
        Task(
            name="classification",
            per_pixel=False,
            outputs=_classes,
            field=_labels,
            learning=_label_learning,
            answers=_logits,
            evaluate=_label_measures,
            kept=_with_labels,
            read=_tested,
            detail=_confused,
            line="test accuracy {test_accuracy:.4f}, test loss {test_loss:.4f} "
            "(train loss {train_loss:.4f}, mixed accuracy {mixed_accuracy:.4f})",
            table=(ACCURACY, LOSS, CALIBRATION, TIME),
            curves=(ACCURACY, LOSS, MIXED_LABEL),
            judged=ACCURACY,
            verdicts=(
                "percentage points more accurate than none",
                "percentage points less accurate than none",
                "as accurate as none",
            ),
            under_mixing="Under mixing, the training accuracy is counted against the mixed label: the share that the "
            "predicted class has in it, so it stays low by design and says nothing about the test.",
            detailed=(
                "Most confused classes",
                "On the test images, after the last epoch, summed over the finished seeds; in percent of the images of "
                "the first class.",
            ),
            defaults={},
            tested=256,
        ),
        Task(
            name="segmentation",
            per_pixel=True,
            outputs=_mask_classes,
            field=_masks,
            learning=_mask_learning,
            answers=_segments,
            evaluate=_mask_measures,
            kept=_with_masks,
            read=_segmented,
            detail=_ious,
            line="mean IoU {test_iou:.4f}, pixel accuracy {test_pixel_accuracy:.4f}, boundary F1 "
            "{test_boundary_f1:.4f}, test loss {test_loss:.4f} "
            "(train loss {train_loss:.4f}, mixed accuracy {mixed_accuracy:.4f})",
            table=(IOU, PIXEL_ACCURACY, BOUNDARY, LOSS, TIME),
            curves=(IOU, LOSS, MIXED_MASK),
            judged=IOU,
            verdicts=(
                "percentage points better in mean IoU than none",
                "percentage points worse in mean IoU than none",
                "as good in mean IoU as none",
            ),
            under_mixing="Under mixing, the training accuracy is counted against the mixed mask: the share that the "
            "predicted class has in a pixel, so where pixels are blended it stays low by design and says nothing about "
            "the test.",
            detailed=(
                "Intersection over union of each class",
                "On all test images, after the last epoch, in percent: the mean over the finished seeds. A dash where "
                "a class is neither there nor predicted.",
            ),
            defaults=OF_PIXELS,
            tested=32,
        ),
        Task(
            name="image2image",
            per_pixel=True,
            outputs=_channels,
            field=_images,
            learning=_image_learning,
            answers=_pictures,
            evaluate=_image_measures,
            kept=_with_images,
            read=_seen,
            detail=_beside_targets,
            line="L1 {test_l1:.2f} grey levels, PSNR {test_psnr:.2f} dB, SSIM {test_ssim:.4f} "
            "(train loss {train_loss:.4f}, test loss {test_loss:.4f})",
            table=(L1, PSNR, SSIM, TIME),
            curves=(L1, PSNR, MIXED_IMAGE),
            judged=L1,
            verdicts=(
                "grey levels nearer to the truth than none",
                "grey levels farther from the truth than none",
                "as near to the truth as none",
            ),
            under_mixing="Under mixing, the training error is counted against the mixed target: a blend of images is "
            "softer than an image, so it may be lower than the error of the test.",
            detailed=None,
            defaults=OF_PIXELS,
            tested=32,
        ),
    )
}  #: all tasks, by name
