"""Keras 3: a dataset for `fit`, a preprocessing layer, a callback that sets the epoch, and metrics."""

from .callbacks import SetEpoch
from .dataset import MixedDataset
from .layer import MixLayer
from .metrics import HeaviestAccuracy, MixedAccuracy

__all__ = ["HeaviestAccuracy", "MixLayer", "MixedAccuracy", "MixedDataset", "SetEpoch"]
