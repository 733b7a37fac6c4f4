"""The command line: `mixaug recipes`, `preview`, `compare`, `report` and `augment`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from . import __version__
from .lab.errors import LabError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Mix training samples (CutMix, MixUp and their relatives): look at the mixes, and see whether they help.",
)

DATA = (
    "fashion-mnist-sample (comes with mixaug), cifar10, fashion-mnist, folder:PATH with one sub-folder a class, "
    "npz:FILE, or hf:NAME (Hugging Face's datasets, or a folder that save_to_disk wrote); "
    "scenes (comes with mixaug) or folders:IMAGES,TARGETS with masks or target images of the same stems."
)
TASK = "classification, segmentation or image2image; by default the first that the data support."
CLASSES = "Names of the mask ids 0, 1, ... in folders:, separated by commas."
IGNORE = "Id of the mask pixels in folders: that are ignored."
OUT = Path("mixaug-compare")
RECIPE = 'Such as "cutmix(alpha=1.0)" or "one_of(mixup(alpha=0.2), cutmix)"; `mixaug recipes` lists them.'


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own notes are not for this reader
    # TensorFlow leaves oneDNN off on processors without AVX-512 VNNI, where its own convolutions take 2.5 times as long
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    _open_streams()
    with _errors_as_sentences():
        try:
            app()
        finally:
            _flush()


def _open_streams() -> None:
    """Reopen, on the null device, standard streams that the shell closed (>&-)."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "r+")  # noqa: PTH123, SIM115 - for as long as the program runs
            if stream.fileno() != number:
                os.dup2(stream.fileno(), number)
            setattr(sys, name, stream)


def _flush() -> None:
    """Flush the standard streams; discard output that a reader such as `head` no longer accepts."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())  # otherwise Python tries again at exit
            os.close(null)


@contextmanager
def _errors_as_sentences() -> Iterator[None]:
    """Exit with one sentence for errors that the user can fix; any other error is a bug and shows its traceback."""
    try:
        yield
    except (LabError, OSError) as error:
        sys.exit(f"mixaug: {error}")


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Hide the messages that TensorFlow's C++ code prints at startup; exceptions still propagate."""
    sys.stderr.flush()
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def recipes() -> None:
    """List the recipes with their default options, what they do and where they were published."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from .lab.config import listed

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("recipe", "options", "what it does", "paper"):
        table.add_column(heading, no_wrap=heading == "recipe", overflow="fold")
    for entry in listed():
        name = entry.name if entry.distribution == "mixaug" else f"{entry.name} ({entry.distribution})"
        paper = f"{entry.paper.authors} {entry.paper.year}" if entry.paper else ""
        table.add_row(*map(Text, (name, entry.options, entry.summary, paper)))
    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=10_000, highlight=False)
    console.print(table)


@app.command()
def preview(
    data: Annotated[str, typer.Option(help=f"photos (four, come with mixaug), {DATA}")] = "fashion-mnist-sample",
    recipe: Annotated[
        str, typer.Option(help=f'{RECIPE} "all" draws one row for each that the data have guides for.')
    ] = "one_of(mixup(alpha=1.0), cutmix(alpha=1.0))",
    seed: Annotated[int, typer.Option(help="Seed of the images that are chosen, and of their mixes.")] = 0,
    rows: Annotated[int | None, typer.Option(help="Number of mixed images: 6, or 4 per recipe with all.")] = None,
    columns: Annotated[int | None, typer.Option(help="Number of columns: 1; with all, every image in one row.")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Resize images to squares with this many pixels a side.")
    ] = None,
    task: Annotated[str | None, typer.Option(help=TASK)] = None,
    classes: Annotated[str | None, typer.Option(help=CLASSES)] = None,
    ignore_index: Annotated[int | None, typer.Option(help=IGNORE)] = None,
    out: Annotated[
        Path,
        typer.Option(help="The picture to write: .png, .jpg, .webp, .tif, .bmp or .pdf. An existing file is replaced."),
    ] = Path("mixaug-preview.png"),
) -> None:
    """Draw a sheet of mixed images with their sources, their labels and a map of where each pixel came from.

    Masks, target images and boxes are mixed and drawn too.
    """
    from .lab import data as datasets
    from .lab import preview as pictures
    from .lab.config import listed, read_mixing
    from .lab.guided import lacks

    pictures.check_out(out)
    made = [entry.kind() for entry in listed()] if recipe == "all" else [read_mixing(recipe)]
    rows = (4 if recipe == "all" else 6) if rows is None else rows
    across = 1 if columns is None else columns
    if recipe == "all":
        pictures.check_family(rows, columns)
    else:
        pictures.check_count(rows, across)
    chosen_task = task or datasets.tasks(data)[0]
    found = datasets.find(
        datasets.Wanted(
            data,
            task=chosen_task,
            image_size=image_size,
            classes=None if classes is None else _names(classes),
            ignore_index=ignore_index,
            seed=seed,
        )
    )
    if recipe == "all":
        made = [one for one in made if not lacks(one, chosen_task)]
    sources = max(pictures.check_sources(one) for one in made)
    chosen = pictures.choose(found.count, sources, seed=seed, count=rows)
    loaded = found.look(chosen.rows)
    for note in loaded.notes:
        typer.echo(f"note: {note}", err=True)
    options: dict[str, Any] = {"key": (seed, 0), "index": chosen.sources}
    if recipe == "all":
        picture = pictures.family(loaded.train, loaded, made, count=rows, columns=columns, **options)
    else:
        picture = pictures.sheet(loaded.train, loaded, made[0], rows=rows, columns=across, **options)
    pictures.save(picture, out)
    typer.echo(f"wrote {out}")


@app.command()
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
    from .lab import jobs
    from .lab.cluster import Engine
    from .lab.config import Config
    from .lab.presets import PRESETS, start

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
        "classes": None if classes is None else _names(classes),
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


@app.command("report")
def report_of(
    folders: Annotated[list[Path], typer.Argument(help="Run folders that compare wrote.", metavar="DIR...")],
    out: Annotated[
        Path | None, typer.Option(help="The folder to write: the run folder, or mixaug-report where there are several.")
    ] = None,
) -> None:
    """Write report.html, summary.json and summary.csv again, or one report of several comparisons.

    Files of a run that were exchanged, edited or damaged since it was trained are refused.
    """
    from .lab import report

    several = len(folders) > 1
    typer.echo(f"wrote {report.write(*folders, out=out or (Path('mixaug-report') if several else None))}")


@app.command()
def augment(
    data: Annotated[str | None, typer.Option(help=f"{DATA} Of folder:PATH all images are taken.")] = None,
    recipe: Annotated[str | None, typer.Option(help=RECIPE)] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to write, new or empty.")] = None,
    copies: Annotated[int | None, typer.Option(help="How many mixed copies of the dataset: 1.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed gives other mixes: 0.")] = None,
    epoch: Annotated[int | None, typer.Option(help="Which epoch, for recipes with a schedule: 0.")] = None,
    format: Annotated[  # noqa: A002 - the name of the option
        str | None, typer.Option("--format", help="folder (images and labels as files), npz or parquet.")
    ] = None,
    images: Annotated[str | None, typer.Option(help="png or jpeg, in folders and Parquet.")] = None,
    mixes_only: Annotated[
        bool, typer.Option("--mixes-only", help="Write what each sample is made of, and no pixels: for ma.replay.")
    ] = False,
    task: Annotated[str | None, typer.Option(help=TASK)] = None,
    image_size: Annotated[int | None, typer.Option(help="Resize images to a square of so many pixels.")] = None,
    classes: Annotated[str | None, typer.Option(help=CLASSES)] = None,
    ignore_index: Annotated[int | None, typer.Option(help=IGNORE)] = None,
    shard_rows: Annotated[int | None, typer.Option(help="Samples a shard; so many that they take about 32 MB.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray for the processes of a cluster.")] = "local",
    workers: Annotated[int, typer.Option(help="How many processes work at a time.")] = 1,
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; else RAY_ADDRESS, or this machine.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with an interrupted run of this folder.")] = None,
) -> None:
    """Write an augmented dataset: mixed images, their labels, and manifest.json, which says how they were made.

    The files are the same for any engine, any number of workers, and any number of interruptions.
    """
    from .lab.cluster import Engine
    from .lab.data import tasks
    from .lab.offline import Job
    from .lab.offline import augment as write
    from .lab.offline.run import read_job
    from .lab.progress import rows_done

    given = {
        "data": data, "recipe": recipe, "copies": copies, "seed": seed, "epoch": epoch, "images": images, "task": task,
        "format": "mixes" if mixes_only else format, "image_size": image_size, "ignore_index": ignore_index,
        "classes": None if classes is None else _names(classes), "shard_rows": shard_rows,
    }  # fmt: skip
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if mixes_only and format is not None:
        raise LabError("expected --mixes-only or --format, got both: leave one of them out")
    if resume is not None and (said or out is not None):
        raise LabError(
            f"expected nothing beside --resume that says what to write, got more: mixaug augment --resume {resume}"
        )
    if resume is None and (data is None or recipe is None or out is None):
        raise LabError("expected --data, --recipe and --out, got not all of them: give the three, or --resume DIR")
    if resume is None and "task" not in said:
        said["task"] = tasks(str(data))[0]
    job = Job(**said) if resume is None else read_job(resume)
    folder = resume or out or Path()
    try:
        with rows_done() as told:
            write(job, folder, Engine(engine, workers, address), resume=resume is not None, told=told)
    except KeyboardInterrupt:
        typer.echo(f"stopped; nothing finished is lost: mixaug augment --resume {shlex.quote(str(folder))}", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"wrote {folder}")


def _defaults(task: str | None, data: str | None) -> Any:
    """Return the default configuration of a task, by default of the first task that the data support."""
    from .lab.config import Config
    from .lab.data import tasks
    from .lab.errors import unknown
    from .lab.tasks import TASKS

    name = task or tasks(data or Config.data)[0]
    if name not in TASKS:
        raise unknown("a task", name, TASKS)
    return Config(task=name, **TASKS[name].defaults)


def _train(config: Any, out: Path, *, resume: bool) -> None:
    from .lab import report
    from .lab.progress import Live

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
    from .lab import jobs

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
        with _quiet_stderr():
            from .lab.train import compare as train
            from .lab.train import start

            start(threads)
    except LabError:
        raise
    except (ImportError, ValueError) as error:  # Keras raises ValueError for an unknown backend
        way_out = f"set KERAS_BACKEND to one of {', '.join(installed)}" if installed else "pip install tensorflow-cpu"
        raise LabError(f"expected Keras and a backend to train with, got: {error}; {way_out}") from error
    return train


def _names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list of names."""
    return tuple(name.strip() for name in text.split(","))


def _seeds(text: str) -> tuple[int, ...]:
    """Return the seeds 0 .. n-1 for "n", or the seeds in a comma-separated list."""
    try:
        numbers = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = ()
    if not numbers or ("," not in text and numbers[0] < 1):
        raise LabError(f"--seeds: expected how many (5) or which ones (0,3,7), got {text!r}")
    return numbers if "," in text else tuple(range(numbers[0]))
