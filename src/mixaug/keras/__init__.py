"""Keras 3: a dataset for `fit`, a preprocessing layer, a callback that sets the epoch, metrics, and hidden layers."""

from .callbacks import SetEpoch
from .dataset import MixedDataset
from .hidden import ManifoldMixup
from .layer import MixLayer
from .metrics import HeaviestAccuracy, MixedAccuracy

__all__ = ["HeaviestAccuracy", "ManifoldMixup", "MixLayer", "MixedAccuracy", "MixedDataset", "SetEpoch"]
