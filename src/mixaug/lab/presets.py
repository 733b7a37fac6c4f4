"""Published settings as starting points for comparisons, and how each differs from its source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .config import Config
from .errors import LabError, unknown


@dataclass(frozen=True)
class Preset:
    """A published setting.

    Args:
        source: where it was published.
        config: the configuration.
        differences: sentences on how the configuration differs from the source.
        data: what the user must pass as `--data`, if mixaug does not provide the data.
    """

    source: str
    config: Config
    differences: tuple[str, ...]
    data: str | None = None

    def notes(self, name: str) -> list[str]:
        """Return sentences for the user to read before the run."""
        return [f"preset {name}: {self.source}", *(f"not as there: {difference}" for difference in self.differences)]


def start(name: str, given: dict[str, Any]) -> Config:
    """Return the configuration of a preset, apart from the options in `given`.

    Raises:
        LabError: if the name is unknown, or the preset requires data and `given` has none.

    >>> start("keras-cutmix", {}).epochs
    15
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    preset = PRESETS[name]
    if preset.data is not None and "data" not in given:
        raise LabError(f"expected --data with --preset {name}, got none: add --data {preset.data}")
    return preset.config


_TUTORIAL: dict[str, Any] = {
    **{"data": "cifar10", "model": "keras-resnet20", "partners": "dataset", "batch_size": 32},
    **{"optimizer": "adam", "learning_rate": 1e-3, "schedule": "constant", "warmup": 0.0},
}
_TUTORIAL_DIFFERENCES = (
    "all arms see the images in one shuffled order; there the plain run sees them in the order of the files, and the "
    "mixed one in that of buffers of 1,024.",
    "partners are drawn from the whole dataset, each image once an epoch and never an image with itself; there from "
    "neighbours in the shuffled buffers.",
    "boxes may have odd sides or no area; there sides are even, and at least one pixel is pasted.",
    "the test loss is the cross-entropy alone; there it has the L2 term in it.",
)

PRESETS = {
    "keras-cutmix": Preset(
        source='"CutMix data augmentation for image classification", keras.io, text of Keras 3 (2023)',
        config=Config(**_TUTORIAL, arms=("none", "cutmix(alpha=0.25)"), epochs=15),
        differences=_TUTORIAL_DIFFERENCES,
    ),
    "keras-cutmix-2021": Preset(
        source='"CutMix data augmentation for image classification", keras.io, text of Keras 2.4 (2021)',
        config=Config(**_TUTORIAL, arms=("none", "cutmix(alpha=1.0)"), epochs=10),
        differences=_TUTORIAL_DIFFERENCES,
    ),
    "nway-mixup": Preset(
        source="statsu1990, mixup_augmentation (2019): n-way MixUp by a Dirichlet distribution, ResNet-20 v2, CIFAR-10",
        config=Config(
            data="cifar10",
            arms=("none", "mixup(alpha=0.2)", "mixup(alpha=0.1, sources=3)"),
            partners="dataset",
            model="keras-resnet20-v2",
            optimizer="adam",
            learning_rate=1e-3,
            schedule="steps",
            warmup=0.0,
            augment=("flip", "crop"),
            epochs=200,
            batch_size=32,
        ),
        differences=(
            "images are flipped and cropped from a border of 4 black pixels; there they are flipped, moved by up to a "
            "tenth and rotated by up to 20 degrees, the edge repeated.",
            "the mean image of the training set is not subtracted; the network's first BatchNorm does most of that.",
            "the partners of an image are never itself; there every source has an order of its own.",
            "the number reported is that of the last epoch, as there; the best epoch is not kept.",
        ),
    ),
    "dog-breeds": Preset(
        source="the exercise Augmentation 2 on Stanford Dogs (AIFFEL Going Deeper, 2021): ResNet-50, 120 breeds at 224",
        config=Config(
            data="folder:PHOTOS",
            arms=(
                "none",
                "flip+brightness-added:",
                "flip+brightness-added: cutmix(alpha=1.0)",
                "flip+brightness-added: mixup(alpha=1.0)",
            ),
            image_size=224,
            model="ResNet50",
            weights="imagenet",
            optimizer="sgd",
            learning_rate=0.01,
            momentum=0.0,
            schedule="constant",
            warmup=0.0,
            epochs=3,
            batch_size=16,
        ),
        differences=(
            "pixels are prepared as ResNet-50's ImageNet weights expect them; there they are only divided by 255.",
            "brightened pixels are clipped to 0..255; there they are not.",
            "an epoch is all training images once; there it is 187 batches of 16, a quarter of them.",
            "partners are other images of the batch; there a sixteenth of the images is mixed with itself.",
            "mixed labels are each image's own; there the function cutmix returns the last image's label for all.",
        ),
        data="folder:PHOTOS, a folder with one sub-folder a breed",
    ),
    "segmentation-pair": Preset(
        source="a post on CutMix for pairs of an image and a target image in two folders (keras.io's function, 2022)",
        config=Config(
            task="segmentation",
            data="folders:IMAGES,TARGETS",
            arms=("none", "cutmix(alpha=0.25)"),
            partners="dataset",
            model="unet",
            learning_rate=5e-3,
            epochs=12,
            batch_size=16,
        ),
        differences=(
            "the post gives a mix and no training: network, optimizer, epochs and batch size are mixaug's own.",
            "partners are drawn from the whole dataset; there from a second shuffled copy.",
            "targets are masks of class ids; for target images, as in the post, add --task image2image.",
        ),
        data="folders:IMAGES,MASKS, two folders with files of the same stems",
    ),
}
