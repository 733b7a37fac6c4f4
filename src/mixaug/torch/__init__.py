"""PyTorch: a module and a collate function that mix batches, and a loader and a dataset of mixed samples."""

from .call_keys import CallKeys
from .collate import MixingCollate
from .dataset import MixedDataset
from .hidden import ManifoldMixup
from .loader import Loader, loader
from .samples import check_samples
from .transform import Mixed

__all__ = ["CallKeys", "Loader", "ManifoldMixup", "Mixed", "MixedDataset", "MixingCollate", "check_samples", "loader"]
