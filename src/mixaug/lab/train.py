"""Training of every arm from the same weights on the same batches, into a run folder that can be resumed."""

from __future__ import annotations

import gc
import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any, cast

import keras
import numpy as np
from keras import ops

import mixaug

from .. import files
from ..keras import SetEpoch
from . import beyond, networks, preview
from .batches import Batches
from .config import Config, usable_threads
from .data import load
from .dataset import Data
from .errors import LabError
from .estimate import measured
from .folder import admit, check_files, locked, write, write_text, writing
from .log import Line, Log, Place, arrays_of, of_arrays, of_file
from .phases import Phase, learning_rate, optimizer, phases
from .progress import Progress
from .tasks import TASKS, Arrays, Task

MOST_OUTPUTS = 2**24  #: the maximum number of network outputs in memory at a time
SIZES = {"fashion-mnist-sample": 28, "fashion-mnist": 28, "cifar10": 32, "scenes": 64, "folder": 64, "folders": 128}


def compare(config: Config, out: Path, *, resume: bool = False, progress: Progress | None = None) -> None:
    """Train the network once per arm and seed, into a run folder.

    The runs of a seed start with the same weights and see the same images in the same order; only augmentation and
    mixing differ. After each epoch the folder is complete enough to resume: after an interruption at any moment,
    `resume=True` gives the same numbers except times (TensorFlow backend, same machine, same versions).

    Args:
        config: the configuration.
        out: the run folder, created if it is missing: config.json, data.json, versions.json, epochs.jsonl (one line per
            epoch), runs/I-sS.keras (arm I, seed S: the network after its last epoch, for
            `keras.saving.load_model(path, compile=False)`), runs/I-sS.npz (its outputs for the test images: logits and
            labels; predicted and true masks, and the first images; or the first outputs, targets and inputs),
            sheets/I.png (the first training images of arm I).
        resume: whether to continue the run in `out`. A finished run is not changed.
        progress: receives the progress.

    Raises:
        LabError: if `out` cannot be written, is not empty (without `resume`), contains a run with another configuration
            or `ma.draw_version`, is damaged or in use; if the data or the model do not exist; or if the loss is not
            finite.
    """
    admit(config, out, resume)
    progress = progress or Progress()
    if config.class_weights is not None and config.task != "classification":
        raise LabError(f"expected --class-weights with classification alone, got {config.task}: leave that out")
    start(config.threads)
    size, pixel = config.image_size or SIZES.get(config.data.partition(":")[0]), TASKS[config.task].per_pixel
    networks.check(config.model, size, per_pixel=pixel, weights=config.weights)
    data = load(config.data, progress, **config.reading)
    for note in data.notes:
        progress.note(note)
    runs = [Run(config, data, out, index, seed) for seed in config.seeds for index in range(len(config.arms))]
    runs[0].untrained()  # raises an error for an impossible network before anything is written
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        files.remove_unfinished(out)
        _describe(config, data, out)
        _train(runs, Log(out / "epochs.jsonl"), progress)


def start(threads: int | None = None) -> None:
    """Start Keras' backend, with deterministic operations if the backend offers them.

    Args:
        threads: the number of threads of its operations; None: the default of the backend.

    Raises:
        LabError: if the backend cannot use that many threads.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        tensorflow = import_module("tensorflow")
        tensorflow.config.experimental.enable_op_determinism()
        tensorflow.get_logger().setLevel("ERROR")  # no warnings about retracing: each run has its own network
    if threads is not None and not _use_threads(backend, threads) and threads != usable_threads():
        way_out = "leave it out, or set KERAS_BACKEND to tensorflow or torch"
        raise LabError(f"expected --threads {usable_threads()} of {backend} here, got {threads}: {way_out}")
    ops.zeros(1)


def _use_threads(backend: str, threads: int) -> bool:
    """Set the number of threads; return False if the backend has no such setting or has already started."""
    try:
        if backend == "tensorflow":
            import_module("tensorflow").config.threading.set_intra_op_parallelism_threads(threads)
        elif backend == "torch":
            import_module("torch").set_num_threads(threads)
    except RuntimeError:
        return False
    return backend != "jax"


def _describe(config: Config, data: Data, out: Path) -> None:
    """Write the files that describe the run and the sheets of its arms, unless they exist."""
    check_files(data.files(), out / "files.json")
    described = data.to_json()
    for name, text in (("config.json", config.to_json()), ("data.json", described), ("versions.json", _versions())):
        if not (out / name).exists():
            write_text(out / name, text)
    if (out / "data.json").read_text(encoding="utf-8") != described:
        raise LabError(f"expected the data that {out} began with, got others: restore them, or choose another --out")
    if data.files() and not (out / "files.json").exists():
        write_text(out / "files.json", json.dumps(data.files(), indent=0) + "\n")
    _check_weights(config, out / "weights.json")
    for index, arm in enumerate(config.read_arms()):
        path = out / "sheets" / f"{index}.png"
        if not path.exists():
            batch = Batches(config, data, arm, config.seeds[0]).unmixed(0)
            preview.save(preview.fed(batch.given, data, arm.recipe, batch.key, batch.sources), path)


def _check_weights(config: Config, path: Path) -> None:
    """Write the hash of the initial weights' file; raise a LabError if it differs from that of the first run."""
    if config.weights in networks.NAMED_WEIGHTS:
        return
    described = json.dumps({"sha256": of_file(Path(config.weights).expanduser())}) + "\n"
    if not path.exists():
        write_text(path, described)
    if path.read_text(encoding="utf-8") != described:
        raise LabError(f"expected the weights that {path.parent} began with, got others: restore {config.weights}")


def _versions() -> str:
    backend = keras.backend.backend()
    versions = {
        "mixaug": mixaug.__version__,
        "draw_version": mixaug.draw_version,
        "keras": keras.__version__,
        "backend": backend,
        backend: import_module(backend).__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        **({"onednn": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "as it likes")} if backend == "tensorflow" else {}),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    return json.dumps(versions, indent=2) + "\n"


def _train(runs: list[Run], log: Log, progress: Progress) -> None:
    """Train what is left of each run."""
    lines = log.lines()
    finished = [run.finished(lines) for run in runs]
    whole = [epochs == run.config.epochs and run.is_whole(lines) for run, epochs in zip(runs, finished, strict=True)]
    log.keep({(run.arm, run.seed): epochs for run, epochs in zip(runs, finished, strict=True)})
    first, model = _measured(runs, finished, progress)
    progress.begin(sum(run.steps * run.config.epochs for run in runs), runs[0].steps * sum(finished))
    for run, epochs, done in zip(runs, finished, whole, strict=True):
        if not done:
            run.train(epochs, log, progress, model if run is first else None)
            model = None  # free it, as it may be large


def _measured(runs: list[Run], finished: list[int], progress: Progress) -> tuple[Run | None, keras.Model | None]:
    """Report an estimate of the remaining time; return the first unfinished run, and its network if unchanged."""
    left = [(run, done) for run, done in zip(runs, finished, strict=True) if done < run.config.epochs]
    if not left:
        return None, None
    first, done = left[0]
    model = first.restored(done)
    progress.note(str(measured(model, runs, finished)))
    return first, model if len(first.phases) == 1 else None


@dataclass(frozen=True)
class Run:
    """The training of one arm with one seed, in a run folder."""

    config: Config
    data: Data
    out: Path
    index: int  #: the number of the arm
    seed: int

    def train(self, finished: int, log: Log, progress: Progress, model: keras.Model | None = None) -> None:
        """Train the remaining epochs, then write the outputs for the test images.

        `model` is the result of `restored`, if already available.
        """
        model = model or self.restored(finished)
        for epoch in range(finished, self.config.epochs):
            if 0 < epoch == self.phases[-1].first:
                self.compile(model, self.phases[-1])
            line = self.epoch(model, epoch, progress)
            write(self.network, partial(self._save, model, line, log))
            progress.epoch(line)
        kept = self.task.kept(self.answers(model), self.data)
        if finished == self.config.epochs:
            self._check_remade(kept, log)
        write(self.result, partial(np.savez_compressed, **cast(Mapping[str, Any], kept)))

    def _save(self, model: keras.Model, line: Line, log: Log, unfinished: Path) -> None:
        """Save the network and append its line; the epoch is finished once the file is renamed."""
        model.save(unfinished)
        line.update(log.append({**line, "network": of_file(unfinished)}))

    def epoch(self, model: keras.Model, epoch: int, progress: Progress) -> Line:
        """Train for an epoch, counted from 0, and evaluate on the test images."""
        batches, watch = self.batches, Watch(self, progress)
        begun = perf_counter()
        history = model.fit(
            batches,
            initial_epoch=epoch,
            epochs=epoch + 1,
            shuffle=False,
            verbose=0,
            callbacks=[SetEpoch(batches), watch],
        ).history
        seconds = perf_counter() - begun
        answers = self.answers(model)
        measures = self.task.evaluate(answers, self.data)
        self.check_finite(measures["test_loss"], epoch)
        last = epoch + 1 == self.config.epochs
        return {
            "arm": self.arm,
            "seed": self.seed,
            "epoch": epoch + 1,
            "learning_rate": self._rate_after(epoch),
            "train_loss": history.pop("loss")[0],
            **{name: value[0] for name, value in history.items()},
            **measures,
            "seconds": seconds,
            "step_ms": watch.step_ms,
            **(self._beyond(model, answers) if last else {}),
            **({"result": of_arrays(self.task.kept(answers, self.data))} if last else {}),
        }

    def _beyond(self, model: keras.Model, answers: Arrays) -> dict[str, float]:
        """Return the additional measures after the last epoch."""
        if not self.config.measures:
            return {}
        return beyond.measured(self.config.measures, beyond.Trained(model, self.data, answers["logits"]))

    def _rate_after(self, epoch: int) -> float:
        """Return the learning rate of the last step of an epoch."""
        phase = self.phase(epoch)
        return float(learning_rate(phase.config, self.steps)((epoch + 1 - phase.first) * self.steps - 1))

    def finished(self, lines: Mapping[Place, Line]) -> int:
        """Return the number of finished epochs.

        Raises:
            LabError: if the network, or the result of a run without a network, does not match a line of this run.
        """
        if self.network.exists():
            digest = of_file(self.network)
            of = {line["network"]: place for place, line in lines.items()}
            if digest in of and of[digest][:2] == (self.arm, self.seed):
                return of[digest].epoch
            raise self._exchanged("network", self.network, of.get(digest))
        if self._last not in lines or not self.result.exists():
            return 0
        if not self.is_whole(lines):
            way_out = "restore it, or delete it, and --resume trains that run anew"
            raise LabError(f"expected the result of {self.name} in {self.result}, got a damaged file: {way_out}")
        return self.config.epochs

    def is_whole(self, lines: Mapping[Place, Line]) -> bool:
        """Return whether the result exists; a truncated result does not count, and is recomputed from the network.

        Raises:
            LabError: if it does not match the last line of this run.
        """
        arrays = arrays_of(self.result)
        if arrays is None:
            return False
        digest = of_arrays(arrays)
        if digest != lines[self._last]["result"]:
            of = {line["result"]: place for place, line in lines.items() if "result" in line}
            raise self._exchanged("result", self.result, of.get(digest))
        return True

    def _exchanged(self, what: str, path: Path, place: Place | None) -> LabError:
        came = "one that was changed" if place is None else f"that of {place}"
        way_out = "restore it, or delete it, and --resume makes it anew"
        return LabError(f"expected the {what} of {self.name} in {path} as it was written, got {came}: {way_out}")

    def _check_remade(self, kept: Arrays, log: Log) -> None:
        """Raise a LabError if a recomputed result differs from the first one."""
        if of_arrays(kept) != log.lines()[self._last]["result"]:
            way_out = f"go on where it was trained, or delete {self.network} to train that run anew"
            raise LabError(
                f"expected the result of {self.name} to be the same when it is made again, got other numbers, as of "
                f"another machine or other versions: {way_out}"
            )

    @property
    def _last(self) -> Place:
        return Place(self.arm, self.seed, self.config.epochs)

    def restored(self, finished: int) -> keras.Model:
        """Return the network and its optimizer as after the last finished epoch."""
        model = self.untrained()
        if not finished:
            return model
        self.compile(model, self.phase(finished - 1))
        try:
            model.optimizer.build(model.trainable_variables)  # otherwise its state would not be loaded
            model.load_weights(self.network)
        except Exception as error:  # errors of zipfile, h5py and Keras
            way_out = "go on with the versions in versions.json, or delete it, and --resume trains that run anew"
            raise LabError(
                f"expected the network of {self.name} in {self.network}, got one that cannot be read ({error}): "
                f"{way_out}"
            ) from error
        return model

    def untrained(self) -> keras.Model:
        """Return the network before its first step, the same for every arm."""
        gc.collect()  # networks have reference cycles, so those of earlier runs would stay in memory
        keras.utils.set_random_seed(self.seed)
        outputs, shape = self.task.outputs(self.data), self.data.train.images.shape[1:]
        pixel, weights = self.task.per_pixel, self.config.weights
        model = networks.build(self.config.model, shape, outputs, per_pixel=pixel, weights=weights)
        self.compile(model, self.phases[0])
        return model

    def compile(self, model: keras.Model, phase: Phase) -> None:
        """Compile the network with a new optimizer for a phase, and freeze what the phase does not train."""
        if self.config.head_epochs:
            networks.freeze(model, phase.frozen)
        loss, measured = self.task.learning()
        model.compile(
            optimizer(phase.config, self.steps),
            loss,
            metrics=measured,
            # TensorFlow guarantees determinism for its own operations, not for XLA's
            jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
        )

    def check_finite(self, loss: float, epoch: int) -> None:
        """Check that training has not diverged.

        Raises:
            LabError: if the loss is infinite or NaN.
        """
        if not math.isfinite(loss):
            way_out = "start anew with a lower --learning-rate and another --out; what was finished stays"
            raise LabError(f"expected a finite loss, got {loss} in {self.name}, epoch {epoch + 1}: {way_out}")

    def answers(self, model: keras.Model) -> Arrays:
        """Return the network's answers for the test images, computed in parts to limit memory."""
        test, batch = self.data.test, self.task.tested
        several = batch * max(1, MOST_OUTPUTS // (batch * math.prod(model.output_shape[1:])))
        parts = [test.take(range(i, min(i + several, len(test)))) for i in range(0, len(test), several)]
        answers = [
            self.task.answers(model.predict(part.images, batch_size=batch, verbose=0), part, self.data)
            for part in parts
        ]
        return {name: np.concatenate([part[name] for part in answers]) for name in answers[0]}

    @property
    def task(self) -> Task:
        """The task."""
        return TASKS[self.config.task]

    @property
    def arm(self) -> str:
        """The text of the arm."""
        return self.config.arms[self.index]

    @property
    def name(self) -> str:
        """The name of the run in errors."""
        return f"arm {self.arm}, seed {self.seed}"

    @property
    def phases(self) -> list[Phase]:
        """The phases of training, in order."""
        return phases(self.config)

    def phase(self, epoch: int) -> Phase:
        """Return the phase of an epoch, counted from 0."""
        return next(phase for phase in reversed(self.phases) if epoch >= phase.first)

    @property
    def network(self) -> Path:
        """The file of the network and its optimizer after the last finished epoch."""
        return self.out / "runs" / f"{self.index}-s{self.seed}.keras"

    @property
    def result(self) -> Path:
        """The file of the outputs for the test images, which marks the run as finished."""
        return self.network.with_suffix(".npz")

    @property
    def batches(self) -> Batches:
        """The training batches."""
        return Batches(self.config, self.data, self.config.read_arms()[self.index], self.seed)

    @property
    def steps(self) -> int:
        """The number of steps per epoch."""
        return len(self.batches)


class Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Times the steps of an epoch, reports each to the progress, and stops if the loss is not finite."""

    def __init__(self, run: Run, progress: Progress) -> None:
        super().__init__()
        self._run, self._progress = run, progress
        self._epoch = 0
        self._times: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Called by Keras at the beginning of an epoch."""
        self._epoch, self._times = epoch, [perf_counter()]

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float]) -> None:  # noqa: ARG002 - Keras' signature
        """Called by Keras after each step."""
        self._times.append(perf_counter())
        self._run.check_finite(logs["loss"], self._epoch)
        self._progress.step(self._run.arm, self._run.seed, self._epoch + 1, self._run.config.epochs)

    @property
    def step_ms(self) -> float:
        """Return the median time of a step in milliseconds, without the first step (tracing) if there are others."""
        steps = np.diff(self._times)
        return 1000 * float(np.median(steps[1:] if len(steps) > 1 else steps))
