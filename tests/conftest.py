"""Settings of every test."""

import os
from importlib.metadata import version

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from hypothesis import settings

settings.register_profile("mixaug", deadline=None, max_examples=60, derandomize=True)
settings.load_profile("mixaug")

# torchvision's wheels are built for CUDA: beside a PyTorch for the CPU their operators do not load, and the package
# asks for these two while it is imported. Its transforms and tv_tensors are Python alone and need none of them.
if version("torch").endswith("+cpu"):
    TORCHVISION = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        TORCHVISION.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
