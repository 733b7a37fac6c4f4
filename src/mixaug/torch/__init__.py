"""PyTorch: a module that mixes after the loader; a loader and a dataset whose mixes do not depend on the workers."""

from .calls import Calls
from .collate import MixingCollate
from .dataset import MixedDataset
from .hidden import ManifoldMixup
from .loader import Loader, loader
from .sampler import EpochSampler, IndexSampler, Request, StepSampler
from .samples import Collate, check_samples
from .transform import Mixed

__all__ = [
    "Calls",
    "Collate",
    "EpochSampler",
    "IndexSampler",
    "Loader",
    "ManifoldMixup",
    "Mixed",
    "MixedDataset",
    "MixingCollate",
    "Request",
    "StepSampler",
    "check_samples",
    "loader",
]
