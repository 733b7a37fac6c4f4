"""The first compilation is announced, and can be done ahead."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import ways

pytestmark = [ways.of_kernels, pytest.mark.full]

CODE = """
import mixaug as ma, numpy as np
x, y = np.zeros((4, 8, 8, 3), np.uint8), np.arange(4)
for recipe in (ma.CutMix(), ma.MixUp(), ma.SmoothMix()):
    ma.mix_batch(recipe, {"image": x, "label": y}, key=0, num_classes=4)
"""
SAID = (
    "mixaug: compiling kernels for this machine, which takes some seconds and happens once; "
    "python -m mixaug.warmup does it ahead\n"
)


def run(cache, *command):
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONWARNINGS": "ignore"}
    return subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, check=True)


def test_compiling_is_announced_once_and_after_a_warmup_not_needed(tmp_path):
    assert run(tmp_path / "cold", "-c", CODE).stderr == SAID
    assert run(tmp_path / "cold", "-c", CODE).stderr == ""
    assert run(tmp_path / "warm", "-m", "mixaug.warmup").stdout.startswith("mixaug: compiled the kernels")
    assert run(tmp_path / "warm", "-c", CODE).stderr == ""


def test_no_kernel_is_compiled_for_the_batches_of_the_warmup(tmp_path):
    """Kernels are compiled for dtypes, not for recipes or numbers of rows."""
    run(tmp_path, "-m", "mixaug.warmup")
    before = sorted(path.name for path in tmp_path.rglob("*.nbc"))
    run(tmp_path, "-c", CODE.replace("ma.CutMix()", "ma.Mosaic(), ma.HMix(), ma.GridMix(), ma.CutMix()"))
    assert sorted(path.name for path in tmp_path.rglob("*.nbc")) == before
