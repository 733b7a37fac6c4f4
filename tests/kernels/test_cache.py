"""The cache of compiled kernels: a damaged cache costs a compilation and one warning."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from multiprocessing.pool import ThreadPool

import pytest
from test_warmup import SAID

pytest.importorskip("numba", reason="a test of the cache of Numba's kernels, without Numba")

CODE = """
import numpy as np
from mixaug.kernels.cache import compiled
import kernel
x = np.arange(3.0)
kernel.double(x)
print(x.tolist())
"""
KERNEL = """
from mixaug.kernels.cache import compiled
@compiled
def double(x):
    for i in range(x.shape[0]):
        x[i] *= 2
"""


def run(folder, cache, code=CODE):
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "kernel.py").write_text(KERNEL)
    return tmp_path


def files(cache):
    return list(cache.rglob("*.nb[ic]"))


@pytest.mark.parametrize("damage", [
    lambda data: data[:-20] + bytes(20),
    *(pytest.param(damage, marks=pytest.mark.full) for damage in (
        lambda data: data[: len(data) // 3], lambda data: b"", lambda data: bytes(len(data)),
        lambda data: b"cos\nsystem\n.",
    )),
], ids=["other bytes at the end", "cut off", "empty", "zeros", "another pickle"])  # fmt: skip
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


@pytest.mark.parametrize("stamp", [None, "of other code"])
def test_a_kernel_that_was_compiled_with_other_code_of_the_package_is_compiled_again(folder, stamp):
    """Kernels are inlined into one another, and share the layout of the tuples that they pass."""
    run(folder, folder / "cache")
    patch = "" if stamp is None else f"from mixaug.kernels import cache\ncache._stamp = lambda: {stamp!r}\n"
    done = run(folder, folder / "cache", patch + CODE + "print(sum(kernel.double.stats.cache_hits.values()))")
    assert done.stdout == f"[0.0, 2.0, 4.0]\n{int(stamp is None)}\n", done.stderr


def test_compilation_is_announced_once_and_only_where_it_is_needed(folder):
    patient = "from mixaug.kernels import cache\ncache._PATIENCE = 0.0\n"
    assert run(folder, folder / "cache", patient + CODE).stderr == SAID
    assert run(folder, folder / "cache", patient + CODE).stderr == ""


def test_a_kernel_that_threads_ask_for_at_once_is_compiled_once():
    """Machine code is freed with its compiled function, so the function must not be compiled twice."""
    kernel = import_module("mixaug.kernels.cache").Compiled(lambda run, address: None, 2)
    with ThreadPool(4) as pool:
        found = pool.map(lambda _: (kernel.address, id(kernel.kernel)), range(8))
    assert len(set(found)) == 1
