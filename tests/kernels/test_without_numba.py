"""Without Numba NumPy computes the same mixes, and a line on stderr says so."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SLOW = "so mixes on the CPU take several times as long"
CODE = """
import hashlib, sys, threading
import numpy as np
{block}
import mixaug as ma

x, made = np.arange(6 * 9 * 7 * 3, dtype=np.uint8).reshape(6, 9, 7, 3), []
threads = [threading.Thread(target=ma.CutMix().draw, args=(6, (9, 7)), kwargs={{"key": 0}}) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
for step, recipe in enumerate([ma.CutMix(), ma.MixUp(sources=3), ma.HMix(), ma.RICAP(), ma.FMix(), ma.Cutout()]):
    mix = recipe.draw(6, (9, 7), key=(0, step))
    made += [mix.images(x), mix.images(x, dtype="float32", scale=0.5, offset=1.0), mix.labels(np.arange(6), 6)]
    made += [mix.index, mix.lam]
made += [labels for _, labels in ma.batches(ma.CutMix(), x, np.arange(6), 4, epochs=2, num_classes=6)]
print(hashlib.sha256(b"".join(array.tobytes() for array in made)).hexdigest(), "numba.core" in sys.modules)
"""


def run(code: str, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), **variables}
    return subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, env=env)


@pytest.fixture(scope="module")
def with_numba(tmp_path_factory):
    return run(CODE.format(block=""), tmp_path_factory.mktemp("with"), MIXAUG_NUMBA="1").stdout.split()


@pytest.mark.parametrize(("how", "said"), [
    ("switched off", f"MIXAUG_NUMBA=0 switches Numba off, {SLOW}; unset it to use Numba"),
    ("not installed", f"Numba is not installed, {SLOW}; pip install numba"),
    ("broken", "Numba cannot be imported (ImportError: Numba needs NumPy 2.2 or less. Got NumPy 2.4.), "
               f"{SLOW}; pip install --upgrade numba"),
])  # fmt: skip
def test_without_numba_mixes_are_the_same_and_one_line_says_what_to_do(how, said, with_numba, tmp_path):
    broken = tmp_path / "numba" / "__init__.py"
    broken.parent.mkdir()
    broken.write_text("raise ImportError('Numba needs NumPy 2.2 or less. Got NumPy 2.4.\\nMore of it.')\n")
    blocks = {
        "not installed": "sys.modules['numba'] = None",
        "broken": f"sys.path.insert(0, {str(broken.parents[1])!r})",
    }
    done = run(CODE.format(block=blocks.get(how, "")), tmp_path, MIXAUG_NUMBA="0" if how == "switched off" else "1")
    assert done.stderr == f"mixaug: {said}\n"
    assert done.stdout.split() == [with_numba[0], "False"]
    assert with_numba[0] != hashlib.sha256(b"").hexdigest()
    assert with_numba[1] == "True"


def test_a_switch_of_another_value_is_refused(tmp_path):
    code = "import mixaug as ma; ma.CutMix().draw(6, (9, 7), key=0)"
    said = "ValueError: MIXAUG_NUMBA: expected 0 or 1, got 'off'; set it to 0 to do without Numba, or unset it"
    assert run(code, tmp_path, MIXAUG_NUMBA="off").stderr.splitlines()[-1] == said
    assert run(code, tmp_path, MIXAUG_NUMBA="0").returncode == 0


def test_there_is_nothing_to_compile_ahead(tmp_path):
    done = run("import runpy; runpy.run_module('mixaug.warmup', run_name='__main__')", tmp_path, MIXAUG_NUMBA="0")
    assert done.returncode == 1
    assert (
        "mixaug.warmup: expected Numba, which compiles the kernels, got none; install it, see the line above"
        in done.stderr
    )


@pytest.mark.parametrize(
    "part",
    [
        ["recipes/test_invariants.py", "-k", "numpy"],
        ["recipes/test_golden.py"],
        ["adapters/test_tf.py", "-k", "on_the_host or unequal"],
    ],
    ids=lambda part: part[0],
)
def test_the_suite_holds_without_numba(part):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS / part[0]), *part[1:]]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "MIXAUG_NUMBA": "0"})
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
