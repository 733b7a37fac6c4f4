"""A process forks, as a DataLoader does, while another thread compiles."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import threading, time, os, sys
import numpy as np, mixaug as ma
x, y = np.zeros((8, 16, 16, 3), np.uint8), np.arange(8) % 4
mix = lambda: ma.mix_batch(ma.CutMix(), (x, y), key=(0, 0), num_classes=4)
thread = threading.Thread(target=mix)
thread.start()
time.sleep(float(sys.argv[1]))
if (child := os.fork()) == 0:
    mix()
    os._exit(0)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.full
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("seconds", [0.05, 0.2, 1.0])
def test_a_child_of_a_process_that_imports_or_compiles_does_not_hang(seconds, tmp_path):
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-c", CODE, str(seconds)]
    done = subprocess.run(command, env=env, timeout=300, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    assert b"Exception ignored" not in done.stderr
