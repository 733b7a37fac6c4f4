"""CONTRIBUTING.md: the functions that it names exist, and its diffs apply to the tree and do what it says."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from test_structure import ROOT

PROJECT = ROOT.parent.parent
PAGE = (PROJECT / "CONTRIBUTING.md").read_text()
DIFFS = dict(re.findall(r"^### Add an? (\w+)\n.*?```diff\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL))
TABLE = PAGE[PAGE.index("| where is ...") :].partition("\n\n")[0].splitlines()[2:]

#: Code that works after each diff; it runs in a new process.
CHECKS = {
    "recipe": """
import mixaug as ma
ma.testing.check(ma.VerticalConcat(), libraries=["numpy"])
assert "VerticalConcat" in [entry.name for entry in ma.recipes()]
assert ma.recipe("one_of(verticalconcat, mixup)").sources == 2
lam = ma.VerticalConcat().draw(500, (10, 4), key=0).lam
assert {round(10 * base) for base in lam[0].tolist()} == set(range(10))  # every row of the image is drawn
""",
    "field": """
import mixaug as ma, numpy as np
flags = np.arange(6) < 2
images = np.eye(6, dtype="float32").reshape(6, 1, 1, 6) * np.ones((6, 8, 8, 1), "float32")
for field in ("flags", ma.Flags()):
    mixed, any_flag = ma.mix_batch("cutmix", (images, flags), key=0, fields=("images", field))
    assert any_flag.dtype == bool and (any_flag == (mixed[..., :2] > 0).any(axis=(1, 2, 3))).all()
    assert (any_flag & ~flags).any() and not any_flag.all()
""",
    "adapter": """
import torch
from accelerate import Accelerator
import mixaug as ma
data = torch.utils.data.TensorDataset(torch.eye(6)[:, :, None, None] * torch.ones(8, 8), torch.arange(6))
loader = Accelerator(cpu=True).prepare(torch.utils.data.DataLoader(data, 3))
mixed = ma.accelerate.Mixed("cutmix", loader, num_classes=6)
first, second = list(mixed), list(mixed)
for images, labels in first + second:
    assert torch.allclose(images.mean(dim=(2, 3)), labels, atol=1e-6)
assert all((one[1] != other[1]).any() for one, other in zip(first, second))  # epochs differ
again = list(ma.accelerate.Mixed("cutmix", loader, num_classes=6))
assert all((one[0] == other[0]).all() for one, other in zip(first, again))  # the same key, the same mix
""",
    "backend": """
import cupy, numpy as np, mixaug as ma
labels = np.arange(6)
images = np.eye(6, dtype="float32").reshape(6, 1, 1, 6) * np.ones((6, 8, 8, 1), "float32")
for entry in ma.recipes():
    recipe = ma.recipe(entry.name)
    if recipe.needs:
        continue
    want = ma.mix_batch(recipe, (images, labels), key=0, num_classes=6)
    mixed = ma.mix_batch(recipe, (cupy.array(images), cupy.array(labels)), key=0, num_classes=6)
    for got, expected in zip(mixed, want):
        assert isinstance(got, cupy.ndarray), type(got)
        np.testing.assert_allclose(got.get(), expected, atol=1e-6, err_msg=entry.name)
""",
}

#: An array library that NumPy's functions dispatch to and that, like CuPy, refuses arrays of NumPy: CuPy needs a GPU.
CUPY = """
import numpy as np

class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    def __init__(self, memory):
        self.memory = memory

    def __array_function__(self, function, types, args, kwargs):
        return _run(function, args, kwargs)

    def __array_ufunc__(self, ufunc, method, *args, **kwargs):
        return _run(getattr(ufunc, method), args, kwargs)

    def __array__(self, *args, **kwargs):
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __getattr__(self, name):
        value = getattr(self.memory, name)
        return (lambda *args, **kwargs: _run(value, args, kwargs)) if name in ("astype", "reshape") else _wrap(value)

    def __getitem__(self, index):
        return _wrap(self.memory[_unwrap(index)])

    def __len__(self):
        return len(self.memory)

    def get(self):
        return self.memory

def _wrap(x):
    return ndarray(np.asarray(x)) if isinstance(x, (np.ndarray, np.generic)) else x

def _unwrap(x):
    if isinstance(x, np.ndarray) and x.ndim:
        raise TypeError("unsupported type numpy.ndarray")
    return type(x)(map(_unwrap, x)) if isinstance(x, (tuple, list)) else getattr(x, "memory", x)

def _run(function, args, kwargs):
    return _wrap(function(*_unwrap(args), **{name: _unwrap(x) for name, x in kwargs.items()}))

def array(x, dtype=None):
    return ndarray(np.array(getattr(x, "memory", x), dtype))

def arange(n, dtype):
    return array(np.arange(n, dtype=dtype))

def full(shape, value, dtype):
    return array(np.full(shape, value, dtype))

def zeros(shape, dtype):
    return array(np.zeros(shape, dtype))
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of the sources with all diffs applied, one after another."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT, folder / "src" / "mixaug", ignore=shutil.ignore_patterns("__pycache__", "*.nbc", "*.nbi"))
    (folder / "tests").mkdir()
    shutil.copy(PROJECT / "tests" / "test_structure.py", folder / "tests")
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    for text in DIFFS.values():
        applied = subprocess.run(
            ["git", "apply", "-"], cwd=folder, env=environment, input=text, capture_output=True, text=True
        )
        assert applied.returncode == 0, applied.stderr
    (folder / "cupy").mkdir()
    (folder / "cupy" / "__init__.py").write_text(CUPY)
    return folder


def run(tree: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{tree / 'src'}:{tree}", "NUMBA_CACHE_DIR": str(tree / "cache")}
    done = subprocess.run([sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_each_diff_has_a_check():
    assert set(DIFFS) == set(CHECKS) == {"recipe", "field", "adapter", "backend"}


@pytest.mark.parametrize("name", CHECKS)
def test_a_diff_does_what_the_page_says(name, tree):
    assert Path(run(tree, "-c", "import mixaug; print(mixaug.__file__)").strip()).is_relative_to(tree)
    run(tree, "-c", CHECKS[name])


def test_the_tree_with_the_diffs_keeps_its_structure(tree):
    quick = "flow_down or stay_in_their_modules or stands_in_the_order"
    run(tree, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", "tests/test_structure.py", "-k", quick)


@pytest.mark.parametrize("line", TABLE)
def test_the_functions_that_the_page_names_exist(line):
    paths, names = (re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|")[-2:])
    assert len(paths) == len(names) >= 1
    for path, name in zip(paths, names, strict=True):
        node: ast.AST = ast.parse((ROOT / path).read_text())
        for part in name.split("."):
            node = next(child for child in node.body if getattr(child, "name", None) == part)


def test_the_map_names_every_module():
    listed = PAGE[PAGE.index("    src/mixaug/") : PAGE.index("    tests/")]
    words = set(re.findall(r"[a-z_]+", listed))
    modules = {path.stem for path in ROOT.iterdir() if path.name != "__pycache__" and not path.name.startswith("_")}
    assert modules - {"py", "files", "loss_advice", "timm_collate"} <= words
