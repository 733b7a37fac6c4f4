"""Split a comparison into jobs of one arm and one seed, each in its own folder, for training on any machine."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .cluster import Engine, connected
from .config import Config
from .errors import LabError, unknown


@dataclass(frozen=True)
class Job:
    """The training of one arm with one seed, in its own run folder."""

    config: Config
    out: Path

    @property
    def name(self) -> str:
        """The arm and seed, as text for the user."""
        return f"{self.config.arms[0]}, seed {self.config.seeds[0]}"


def only(config: Config, arm: str) -> Config:
    """Return the configuration reduced to one arm.

    Raises:
        LabError: if there is no such arm.
    """
    if arm not in config.arms:
        raise unknown("one of the arms", arm, config.arms)
    return replace(config, arms=(arm,))


def folder_name(arm: str, seeds: Sequence[int]) -> str:
    """Return the name of the folder for an arm and seeds.

    >>> folder_name("mixup(alpha=0.2)", (0, 1))
    'mixup-alpha-0.2-s0-s1'
    """
    slug = re.sub("[^A-Za-z0-9._]+", "-", arm).strip("-")
    return "-".join([slug, *(f"s{seed}" for seed in seeds)])


def split(config: Config, out: Path) -> list[Job]:
    """Return the jobs of a comparison; each gives the same result as that run within the whole comparison."""
    return [
        Job(replace(config, arms=(arm,), seeds=(seed,)), out / f"{index}-{folder_name(arm, (seed,))}")
        for seed in config.seeds
        for index, arm in enumerate(config.arms)
    ]


def train(job: Job) -> str | None:
    """Train a job, resuming after its last finished epoch; return the error as one sentence, or None."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from .train import compare

    try:
        compare(job.config, job.out, resume=(job.out / "config.json").exists())
    except LabError as error:
        return f"{job.name}: {error}"
    return None


def on_ray(jobs: Sequence[Job], engine: Engine, done: Callable[[Job], None]) -> None:
    """Train jobs as tasks of a Ray cluster, each in its own process.

    If a worker or node dies, its task is restarted and resumes after the last finished epoch. The folders of the jobs
    must be shared by all nodes.

    Args:
        jobs: the jobs to train.
        engine: the cluster, and the number of jobs to train at a time, each with one CPU.
        done: called with each finished job.

    Raises:
        LabError: if there is no such cluster, or a job fails; the other jobs are finished first.
    """
    wrong: list[str] = []
    with connected(engine) as ray:
        task = ray.remote(num_cpus=1, max_retries=-1, max_calls=1)(train)
        left = list(jobs)
        running: dict[Any, Job] = {}
        while left or running:
            while left and len(running) < engine.workers:
                job = left.pop(0)
                running[task.remote(replace(job, out=job.out.absolute()))] = job
            finished, _ = ray.wait([*running])
            for ref in finished:
                job, sentence = running.pop(ref), ray.get(ref)
                if sentence is None:
                    done(job)
                else:
                    wrong.append(sentence)
    if wrong:
        raise LabError("; ".join(wrong))
