"""The tests of Keras on the backends that this process does not have: a process can have one alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.full
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_keras_on(backend):
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", "no:cacheprovider", str(HERE / "test_keras.py")]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    environment.pop("PYTEST_XDIST_WORKER", None)
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=HERE.parents[1])
    assert ran.returncode == 0, ran.stdout[-8000:]
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout
