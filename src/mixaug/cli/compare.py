"""`mixaug compare` and `mixaug report`."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ..lab.errors import LabError
from .app import CLASSES, DATA, IGNORE, OUT, RECIPE, TASK, names
from .streams import quiet_stderr


def compare(
    task: Annotated[str | None, typer.Option(help=TASK)] = None,
    data: Annotated[str | None, typer.Option(help=DATA)] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            "--arm",
            "--arms",
            help=f'What to compare, once each: "none" or a recipe, if wanted after its augmentation and a colon: '
            f'"flip+brightness: cutmix", "flip:". {RECIPE}',
        ),
    ] = None,
    partners: Annotated[
        str | None, typer.Option(help="Where partners come from: batch, or dataset (all training images).")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="small, resnet20, resnet32, resnet56, resnet18, keras-resnet20, keras-resnet20-v2; any of "
            "keras.applications, such as ResNet50; or module:function, called with the shape of an image and the "
            "number of outputs. unet for segmentation and image2image."
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="random; imagenet (keras.applications); or a file: .weights.h5, .keras or .h5 of the model."),
    ] = None,
    head_epochs: Annotated[
        int | None, typer.Option(help="In so many of the epochs, the first, only the last layer learns.")
    ] = None,
    fine_tune_rate: Annotated[
        float | None, typer.Option(help="The learning rate after the head epochs; a tenth of the one before.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="How many (5), or which (0,3,7): one training of each arm.")] = None,
    epochs: Annotated[int | None, typer.Option(help="How many passes over the training images.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a training step.")] = None,
    train_size: Annotated[int | None, typer.Option(help="Train on so many images, as many of each class.")] = None,
    test_size: Annotated[int | None, typer.Option(help="Test on so many images, as many of each class.")] = None,
    test_data: Annotated[
        str | None, typer.Option(help="Data of the same kind to test on; otherwise a fifth of each class is held out.")
    ] = None,
    split_seed: Annotated[int | None, typer.Option(help="Decides which images are kept and held out: 0.")] = None,
    skip_damaged: Annotated[
        bool | None, typer.Option("--skip-damaged", help="Leave out image files that cannot be read, and list them.")
    ] = None,
    class_weights: Annotated[
        str | None, typer.Option(help="balanced: rare classes count more in the loss, in inverse proportion.")
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="Resize images to a square of so many pixels.")] = None,
    classes: Annotated[str | None, typer.Option(help=CLASSES)] = None,
    ignore_index: Annotated[int | None, typer.Option(help=IGNORE)] = None,
    optimizer: Annotated[str | None, typer.Option(help="adam, or sgd (momentum 0.9, Nesterov).")] = None,
    momentum: Annotated[float | None, typer.Option(help="Of sgd; 0 turns it off.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest; 0.001 for adam, 0.1 for sgd.")] = None,
    weight_decay: Annotated[
        float | None, typer.Option(help="Decoupled weight decay (kernels only), scaled by the learning rate.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="cosine, constant, or steps (0.1, 0.01, ... late in training).")
    ] = None,
    warmup: Annotated[float | None, typer.Option(help="Epochs in which the learning rate rises from 0.")] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            help="Of arms that name none: flip, crop, brightness (times a factor), brightness-added, contrast, "
            "saturation; with commas between. Targets are moved as their images are."
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="How many the network's operations use; all processors by default.")
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            "--measure",
            "--measures",
            help="What to measure of classifiers beyond accuracy, once each: calibration, brier, corruptions, attacks, "
            "occlusion.",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="A published setting to start from: keras-cutmix, keras-cutmix-2021, nway-mixup, dog-breeds or "
            "segmentation-pair; what differs from the write-up is printed."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write, new or empty: mixaug-compare.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with an interrupted run of this folder.")] = None,
    only: Annotated[
        str | None, typer.Option(help="Train this one of the arms, in a folder of its own: for a job of a cluster.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="local, or ray: each arm and seed is a task of a Ray cluster, in a folder of its own.")
    ] = "local",
    workers: Annotated[int, typer.Option(help="How many tasks train at a time, with --engine ray.")] = 1,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; else RAY_ADDRESS, or this machine.")] = None,
) -> None:
    """Train the same network with and without mixing, from the same weights on the same batches, and report.

    The folder gets config.json, versions.json, a line of epochs.jsonl for each epoch, the weights of each run,
    summary.json, summary.csv and report.html, one file that opens without a network. By default: fashion-mnist-sample,
    resnet20, the arms none, mixup(alpha=0.2) and cutmix(alpha=1.0), one seed, 15 epochs, adam. With --task segmentation
    or image2image: scenes, unet, flip, 12 epochs of batches of 16, a learning rate of 0.005.
    """
    from ..lab import jobs
    from ..lab.cluster import Engine
    from ..lab.config import Config
    from ..lab.presets import PRESETS, start

    Engine(engine, workers, address)  # is refused before anything is read
    if resume is not None and engine == "ray":
        raise LabError("expected no --resume beside --engine ray, got one: give the command that began the run again")
    if resume is not None and only is not None:
        raise LabError(f"expected no --only beside --resume, got one: {resume} knows its arms, leave --only out")
    given: dict[str, Any] = {
        "task": task,
        "data": data,
        "arms": None if not arm else tuple(arm),
        "partners": partners,
        "model": model,
        "weights": weights,
        "head_epochs": head_epochs,
        "fine_tune_rate": fine_tune_rate,
        "seeds": None if seeds is None else _seeds(seeds),
        "epochs": epochs,
        "batch_size": batch_size,
        "train_size": train_size,
        "test_size": test_size,
        "test_data": test_data,
        "split_seed": split_seed,
        "skip_damaged": skip_damaged,
        "class_weights": class_weights,
        "image_size": image_size,
        "classes": None if classes is None else names(classes),
        "ignore_index": ignore_index,
        "optimizer": optimizer,
        "momentum": momentum,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "schedule": schedule,
        "warmup": warmup,
        "augment": None if augment is None else tuple(name for name in augment.split(",") if name),
        "threads": threads,
        "measures": None if not measure else tuple(measure),
    }
    said = {name: value for name, value in given.items() if value is not None}
    if resume is not None and out is not None:
        raise LabError(f"expected --resume or --out, got both: a run goes on in its own folder, {resume}")
    if preset is not None:
        begin = start(preset, said)
        for note in PRESETS[preset].notes(preset):
            typer.echo(note, err=True)
    if resume is not None:
        _train(replace(begin if preset else Config.read(resume), **said), resume, resume=True)
        return
    begin = begin if preset else _defaults(task, data)
    rest = said.get("epochs", begin.epochs) - said.get("head_epochs", begin.head_epochs)
    config = replace(begin, **{"warmup": max(0, min(begin.warmup, rest)), **said})
    if only is not None:
        config = jobs.only(config, only)
        out = out or OUT.with_name(f"{OUT.name}-{jobs.folder_name(only, config.seeds)}")
    if engine == "ray":
        _train_on_ray(config, out or OUT, Engine(engine, workers, address))
    else:
        _train(config, out or OUT, resume=False)


def report_of(
    folders: Annotated[list[Path], typer.Argument(help="Run folders that compare wrote.", metavar="DIR...")],
    out: Annotated[
        Path | None, typer.Option(help="The folder to write: the run folder, or mixaug-report where there are several.")
    ] = None,
) -> None:
    """Write report.html, summary.json and summary.csv again, or one report of several comparisons.

    Files of a run that were exchanged, edited or damaged since it was trained are refused.
    """
    from ..lab import report

    several = len(folders) > 1
    typer.echo(f"wrote {report.write(*folders, out=out or (Path('mixaug-report') if several else None))}")


def _defaults(task: str | None, data: str | None) -> Any:
    """Return the default configuration of a task, by default of the first task that the data support."""
    from ..lab.config import Config
    from ..lab.data import tasks
    from ..lab.errors import unknown
    from ..lab.tasks import TASKS

    name = task or tasks(data or Config.data)[0]
    if name not in TASKS:
        raise unknown("a task", name, TASKS)
    return Config(task=name, **TASKS[name].defaults)


def _train(config: Any, out: Path, *, resume: bool) -> None:
    from ..lab import report
    from ..lab.progress import Live

    train = _training(config.threads)
    try:
        with Live(task=config.task) as progress:
            train(config, out, resume=resume, progress=progress)
    except KeyboardInterrupt:
        typer.echo(
            f"stopped; finished epochs are kept, continue with: mixaug compare --resume {shlex.quote(str(out))}",
            err=True,
        )
        raise typer.Exit(130) from None
    typer.echo(f"wrote {report.write(out)}")


def _train_on_ray(config: Any, out: Path, engine: Any) -> None:
    from ..lab import jobs

    def done(job: jobs.Job) -> None:
        typer.echo(f"trained {job.name}: {job.out}")

    made = jobs.split(config, out)
    jobs.on_ray(made, engine, done)
    typer.echo(f"wrote {len(made)} runs into {out}; join them: mixaug report {shlex.quote(str(out))}/*")


def _training(threads: int) -> Callable[..., None]:
    """Start Keras with the backend of KERAS_BACKEND, or else an installed one, and return the training function."""
    installed = [name for name in ("tensorflow", "jax", "torch") if find_spec(name)]
    if installed and "tensorflow" not in installed:
        os.environ.setdefault("KERAS_BACKEND", installed[0])
    try:
        with quiet_stderr():
            from ..lab.train import compare as train
            from ..lab.train import start

            start(threads)
    except LabError:
        raise
    except (ImportError, ValueError) as error:  # Keras raises ValueError for an unknown backend
        way_out = f"set KERAS_BACKEND to one of {', '.join(installed)}" if installed else "pip install tensorflow-cpu"
        raise LabError(f"expected Keras and a backend to train with, got: {error}; {way_out}") from error
    return train


def _seeds(text: str) -> tuple[int, ...]:
    """Return the seeds 0 .. n-1 for "n", or the seeds in a comma-separated list."""
    try:
        numbers = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = ()
    if not numbers or ("," not in text and numbers[0] < 1):
        raise LabError(f"--seeds: expected how many (5) or which ones (0,3,7), got {text!r}")
    return numbers if "," in text else tuple(range(numbers[0]))
