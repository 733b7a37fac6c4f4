"""A comparison as jobs: `--only` and `--engine ray` train what the whole comparison trains."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mixaug.cli import main
from mixaug.lab import jobs
from mixaug.lab.config import Config

MIXAUG = [sys.executable, "-c", "from mixaug.cli import main; main()"]
QUICK = "--model small --train-size 200 --epochs 3 --warmup 0 --arm none --arm cutmix"


def lines(out: Path) -> dict[tuple, dict]:
    """The lines of all epochs below a folder, without times and the hashes of files."""
    found = [json.loads(line) for path in out.rglob("epochs.jsonl") for line in path.read_text().splitlines()]
    of_the_folder = ("seconds", "step_ms", "network", "run", "line")
    timeless = [{name: x for name, x in line.items() if name not in of_the_folder} for line in found]
    return {(line["arm"], line["seed"], line["epoch"]): line for line in timeless}


def run(text: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*MIXAUG, *shlex.split(text)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_jobs_are_all_arms_and_seeds_in_folders_of_their_own():
    config = Config(arms=("none", "mixup(alpha=0.2)"), seeds=(0, 7))
    made = jobs.split(config, Path("out"))
    assert [(job.config.arms, job.config.seeds) for job in made] == [
        (("none",), (0,)), (("mixup(alpha=0.2)",), (0,)), (("none",), (7,)), (("mixup(alpha=0.2)",), (7,)),
    ]  # fmt: skip
    assert [job.out.name for job in made] == ["0-none-s0", "1-mixup-alpha-0.2-s0", "0-none-s7", "1-mixup-alpha-0.2-s7"]
    assert {job.config.epochs for job in made} == {config.epochs}


@pytest.mark.parametrize(("arguments", "sentence"), [
    ("--only cutmx", "expected one of the arms (none, cutmix), got 'cutmx': did you mean 'cutmix'?"),
    ("--only none --resume x", "expected no --only beside --resume, got one: x knows its arms, leave --only out"),
    ("--engine ray --resume x", "expected no --resume beside --engine ray, got one: give the command that began"),
    ("--engine spark", "expected --engine to be local or ray, got 'spark'"),
])  # fmt: skip
def test_what_is_wrong_is_one_sentence(arguments, sentence, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mixaug", "compare", *shlex.split(f"{QUICK} {arguments}")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert sentence in str(ended.value.code)
    assert not [*tmp_path.iterdir()]


@pytest.mark.full
def test_one_arm_alone_has_the_numbers_of_the_comparison(tmp_path):
    made = [run(f"compare {QUICK} --out {tmp_path / 'whole'}")]
    made.append(run(f"compare {QUICK} --only cutmix --out {tmp_path / 'one'}"))
    for process in made:
        assert process.wait() == 0, process.communicate()[1]
    whole, one = lines(tmp_path / "whole"), lines(tmp_path / "one")
    assert one == {place: line for place, line in whole.items() if place[0] == "cutmix"}
    assert len(one) == 3


def training(command: str) -> list[int]:
    """The processes of Ray that train, below this user's folder of that name."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if re.match(rb"ray::train", path.read_bytes()) and command in (path.parent / "environ").read_text():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.full
def test_tasks_of_ray_go_on_when_a_worker_is_killed_and_have_the_numbers_of_one_machine(tmp_path, monkeypatch):
    local = run(f"compare {QUICK} --out {tmp_path / 'local'}")
    assert local.wait() == 0, local.communicate()[1]
    monkeypatch.setenv("MIXAUG_TEST", str(tmp_path))  # by which the workers of this test are known
    on_ray = run(f"compare {QUICK} --engine ray --workers 2 --out {tmp_path / 'ray'}")
    killed: list[int] = []
    while on_ray.poll() is None and not killed:
        if len(lines(tmp_path / "ray")) >= 1:
            killed = training(str(tmp_path))[:1]
            for process in killed:
                os.kill(process, signal.SIGKILL)
        time.sleep(0.05)
    out, error = on_ray.communicate()
    assert on_ray.returncode == 0, error
    assert killed
    assert f"wrote 2 runs into {tmp_path / 'ray'}; join them: mixaug report" in out
    assert lines(tmp_path / "ray") == lines(tmp_path / "local")
