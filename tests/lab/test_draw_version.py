"""Run folders contain `ma.draw_version`, and runs with another version cannot be resumed."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

import mixaug as ma
from mixaug.lab.config import Config
from mixaug.lab.errors import LabError
from mixaug.lab.train import compare

CONFIG = Config(train_size=20, arms=("cutmix(alpha=1.0)",), model="small", epochs=1, batch_size=10)
SENTENCE = (
    "expected a run of draw version 1 in .*, got {}: go on with mixaug {}, which it began with, or start anew with "
    "another --out"
)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    compare(CONFIG, out)
    return out


def rewrite(out, **changes) -> dict:
    """The versions of a run."""
    path = out / "versions.json"
    before = json.loads(path.read_text())
    path.write_text(json.dumps({name: x for name, x in {**before, **changes}.items() if x is not None}))
    return before


def test_the_folder_has_the_version_of_its_draws(begun):
    assert json.loads((begun / "versions.json").read_text())["draw_version"] == ma.draw_version == 1


@pytest.mark.parametrize("version", [0, *(pytest.param(other, marks=pytest.mark.full) for other in (2, None))])
def test_a_run_with_another_version_raises_and_the_ways_out_work(begun, tmp_path, version, capsys, monkeypatch):
    before = rewrite(begun, draw_version=version, mixaug="9.8.7")
    files = {path: path.read_bytes() for path in begun.rglob("*") if path.is_file()}
    try:
        with pytest.raises(LabError, match=SENTENCE.format(version, "9.8.7")):
            compare(CONFIG, begun, resume=True)
        if version == 0:
            command = [sys.executable, "-c", "from mixaug.cli import main; main()", "compare", "--resume", str(begun)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert (done.returncode, done.stdout) == (1, "")
            assert re.fullmatch(f"mixaug: {SENTENCE.format(0, '9.8.7')}\n", done.stderr)
        assert files == {path: path.read_bytes() for path in begun.rglob("*") if path.is_file()}
        compare(CONFIG, tmp_path / "anew")
    finally:
        rewrite(begun, **before)
    compare(CONFIG, begun, resume=True)  # with the version that it began with


def test_damaged_versions_raise_and_missing_ones_are_written(begun, tmp_path):
    before = (begun / "versions.json").read_text()
    for damaged in ("{", "[]"):
        (begun / "versions.json").write_text(damaged)
        with pytest.raises(LabError, match=r"versions.json cannot be used .*: restore it, or start anew with another"):
            compare(CONFIG, begun, resume=True)
    (begun / "versions.json").unlink()  # as after a kill at the start of a run
    compare(CONFIG, begun, resume=True)
    assert json.loads((begun / "versions.json").read_text())["draw_version"] == 1
    (begun / "versions.json").write_text(before)
