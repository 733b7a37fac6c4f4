"""The cache of compiled kernels: what is wrong with it costs a compilation and one warning."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import numpy as np
from mixaug._xp.kernel_cache import compiled
import kernel
print(kernel.double(np.arange(3.0)).tolist())
"""
KERNEL = """
from mixaug._xp.kernel_cache import compiled
@compiled
def double(x):
    return x * 2
"""


def run(folder, cache):
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    return subprocess.run([sys.executable, "-c", CODE], env=env, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "kernel.py").write_text(KERNEL)
    return tmp_path


def files(cache):
    return list(cache.rglob("*.nb[ic]"))


@pytest.mark.parametrize("damage", [
    lambda data: data[: len(data) // 3], lambda data: b"", lambda data: bytes(len(data)),
    lambda data: b"cos\nsystem\n.",
    lambda data: data[:-20] + bytes(20),
], ids=["cut off", "empty", "zeros", "no pickle of ours", "other bytes at the end"])  # fmt: skip
def test_a_damaged_cache_costs_a_compilation_and_one_warning(folder, damage):
    cache = folder / "cache"
    assert run(folder, cache).stdout == "[0.0, 2.0, 4.0]\n"
    for path in files(cache):
        path.write_bytes(damage(path.read_bytes()))
    done = run(folder, cache)
    assert (done.returncode, done.stdout) == (0, "[0.0, 2.0, 4.0]\n")
    assert done.stderr.count("mixaug: the cache of compiled kernels") <= 1
    again = run(folder, cache)
    assert (again.stdout, again.stderr) == ("[0.0, 2.0, 4.0]\n", "")


def test_a_cache_that_cannot_be_written_costs_a_compilation_and_one_warning(folder):
    (folder / "cache").write_text("a file, no folder")
    done = run(folder, folder / "cache")
    assert (done.returncode, done.stdout) == (0, "[0.0, 2.0, 4.0]\n")
    assert done.stderr.count("RuntimeWarning: mixaug: the cache of compiled kernels") <= 1
