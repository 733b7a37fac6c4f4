"""Settings for all tests. `make test` skips tests marked `full`; `make test-all` runs them."""

from __future__ import annotations

import os
from collections import defaultdict
from importlib.metadata import version

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import pytest
import torch
from hypothesis import settings

from variants import one_a_way, pairwise

settings.register_profile("mixaug", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("mixaug")

# torchvision's wheels are built for CUDA: beside a PyTorch for the CPU their operators do not load, and the package
# asks for these two while it is imported. Its transforms and tv_tensors are Python alone and need none of them.
if version("torch").endswith("+cpu"):
    TORCHVISION = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        TORCHVISION.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


LIBRARIES = ("torch", "", "jax", "tf")  # in the order in which workers meet their tests; "" is NumPy and the others


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark variants as `full`, and sort tests by library, so that each worker imports few libraries."""
    mark_variants(items)
    if hasattr(config, "workerinput"):  # of pytest-xdist
        items.sort(key=library)


def library(item: pytest.Item) -> int:
    """The position of the library of a test, judging by the test's name."""
    name = item.name.replace("tensorflow", "tf")
    return next((place for place, library in enumerate(LIBRARIES) if library and library in name), LIBRARIES.index(""))


def mark_variants(items: list[pytest.Item]) -> None:
    """Mark the variants of tests with the marks `pairs` and `slow_ways` that `make test` skips as `full`."""
    for marker, needed in (("pairs", pairwise), ("slow_ways", one_a_way)):
        tests: dict[str, list[pytest.Item]] = defaultdict(list)
        for item in items:
            if item.get_closest_marker(marker):
                tests[item.nodeid.partition("[")[0]].append(item)
        for variants in tests.values():
            chosen = needed([item.callspec for item in variants])
            for number, item in enumerate(variants):
                if number not in chosen:
                    item.add_marker("full")
