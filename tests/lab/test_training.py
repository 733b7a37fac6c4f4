"""Real training: the lab's ResNet-20 on the bundled images, through four frameworks that see the same mixed batches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import train_through

import mixaug as ma
from mixaug.lab import data

WAYS = {"tf_data": "tensorflow", "mixed_dataset": "jax", "torch_loop": "torch", "jax_loop": "jax"}


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS)
def test_training_through(way, tmp_path):
    environment = {**os.environ, "KERAS_BACKEND": WAYS[way]}
    script = Path(train_through.__file__)
    command = [sys.executable, str(script), way, str(tmp_path / "seen.npz")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-4000:]
    with np.load(tmp_path / "seen.npz") as file:
        seen = dict(file)
    losses = seen.pop("losses")
    assert losses.shape == (train_through.EPOCHS * train_through.STEPS,)
    assert losses[-40:].mean() < losses[:10].mean() - 0.2  # it learns
    images = data.load("fashion-mnist-sample", train_size=train_through.BATCH * train_through.STEPS).train
    wanted = {(epoch, step): (x, y) for epoch, step, x, y in train_through.batches(images.images, images.targets)}
    assert len(seen) == 2 * len(train_through.KEPT)
    for epoch, step in train_through.KEPT:
        key = (train_through.SEED, epoch, step)
        want = ma.mix_batch(train_through.RECIPE, wanted[epoch, step], key=key, num_classes=train_through.CLASSES)
        np.testing.assert_array_equal(seen[f"images_{epoch}_{step}"], want[0])
        np.testing.assert_allclose(seen[f"labels_{epoch}_{step}"], want[1], atol=1e-7)
