"""mixaug mixes training samples: CutMix, n-way MixUp and their relatives.

One draw serves the image, its label and everything else a sample carries, in every array library, for any number of
workers. `import mixaug as ma` loads no framework; `ma.tf` and `ma.keras` load theirs when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import guides, hidden, label_rules, losses, metrics, pairing, testing
from .batch import mix_batch
from .core.hints import unknown_name
from .core.keys import draw_version
from .core.regions import Dense, Paste
from .epoch import batches, mixed
from .fields import Boxes, Guide, Images, Keep, Keypoints, Labels, Masks, PerSource, Values
from .loss_advice import MixedLabelsWarning
from .mix import Mix
from .recipes import (
    RICAP,
    AttentiveCutMix,
    BoxMix,
    ClassMix,
    CopyPaste,
    CowMix,
    CutMix,
    CutMixMinMax,
    Cutout,
    FMix,
    GMix,
    GridMix,
    HMix,
    MergeMix,
    MixUp,
    Mosaic,
    NWayCutMix,
    RandomErasing,
    Recipe,
    ResizeMix,
    SaliencyMix,
    SmoothMix,
    SnapMix,
    TokenMix,
    identity,
    one_of,
    per_batch,
    ramp,
    recipe,
    recipes,
    schedule,
    sometimes,
)

if TYPE_CHECKING:
    from . import grain as grain
    from . import huggingface as huggingface
    from . import keras as keras
    from . import lightning as lightning
    from . import tf as tf
    from . import timm as timm
    from . import torch as torch
    from .sheets import show as show

__version__ = "0.1.0"

__all__ = [
    "RICAP",
    "AttentiveCutMix",
    "BoxMix",
    "Boxes",
    "ClassMix",
    "CopyPaste",
    "CowMix",
    "CutMix",
    "CutMixMinMax",
    "Cutout",
    "Dense",
    "FMix",
    "GMix",
    "GridMix",
    "Guide",
    "HMix",
    "Images",
    "Keep",
    "Keypoints",
    "Labels",
    "Masks",
    "MergeMix",
    "Mix",
    "MixUp",
    "MixedLabelsWarning",
    "Mosaic",
    "NWayCutMix",
    "Paste",
    "PerSource",
    "RandomErasing",
    "Recipe",
    "ResizeMix",
    "SaliencyMix",
    "SmoothMix",
    "SnapMix",
    "TokenMix",
    "Values",
    "batches",
    "draw_version",
    "guides",
    "hidden",
    "identity",
    "label_rules",
    "losses",
    "metrics",
    "mix_batch",
    "mixed",
    "one_of",
    "pairing",
    "per_batch",
    "ramp",
    "recipe",
    "recipes",
    "schedule",
    "show",
    "sometimes",
    "testing",
]

_ADAPTERS = ("grain", "huggingface", "keras", "lightning", "tf", "timm", "torch")


def __getattr__(name: str) -> Any:
    if name in _ADAPTERS:
        return import_module(f".{name}", __name__)
    if name == "show":
        return _show()
    raise AttributeError(unknown_name(name, (*__all__, *_ADAPTERS)))


def _show() -> Any:
    """`ma.show`, which needs Pillow."""
    try:
        return import_module(".sheets", __name__).show
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        raise ModuleNotFoundError(
            "show: expected Pillow to draw with, got none; pip install 'mixaug[lab]'", name="PIL"
        ) from error
