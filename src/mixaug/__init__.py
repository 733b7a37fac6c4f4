"""mixaug mixes training samples: CutMix, n-way MixUp and their relatives.

One draw mixes the images, the labels and every other field of a batch, in any array library and for any number of
workers. `import mixaug as ma` imports no framework; adapters such as `ma.tf` and `ma.torch` are imported on first use.
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
from .table import replay

if TYPE_CHECKING:
    from . import grain as grain
    from . import huggingface as huggingface
    from . import keras as keras
    from . import lightning as lightning
    from . import ray as ray
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
    "replay",
    "schedule",
    "show",
    "sometimes",
    "testing",
]

_ADAPTERS = ("grain", "huggingface", "keras", "lightning", "ray", "tf", "timm", "torch")


def __getattr__(name: str) -> Any:
    if name in _ADAPTERS:
        return import_module(f".{name}", __name__)
    if name == "show":
        return _show()
    raise AttributeError(unknown_name(name, (*__all__, *_ADAPTERS)))


def _show() -> Any:
    """Import `ma.show`, which needs Pillow."""
    try:
        return import_module(".sheets", __name__).show
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        raise ModuleNotFoundError(
            "show: expected Pillow to draw with, got none; pip install 'mixaug[lab]'", name="PIL"
        ) from error
