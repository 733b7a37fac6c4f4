"""The command line: `mixaug recipes`, `mixaug preview`, `mixaug compare` and `mixaug report`."""

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

try:
    import typer
except ModuleNotFoundError:
    sys.exit("mixaug: the command line needs packages that are not installed; pip install 'mixaug[lab,tensorflow]'")

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
TASK = "classification, segmentation or image2image; the first that the data have, if not said."
CLASSES = "The names of mask ids 0, 1, ... in folders:, with commas between."
IGNORE = "The id of mask pixels in folders: that say nothing."
OUT = Path("mixaug-compare")
RECIPE = 'Such as "cutmix(alpha=1.0)" or "one_of(mixup(alpha=0.2), cutmix)"; `mixaug recipes` lists them.'


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own notes are not for this reader
    # TensorFlow leaves oneDNN off on processors without AVX-512 VNNI, where its own convolutions take 2.5 times as long
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    _open_streams()
    with _one_sentence():
        try:
            app()
        finally:
            _flush()


def _open_streams() -> None:
    """Give standard output and error somewhere to go where the shell closed them (>&-)."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, "r+")  # noqa: PTH123, SIM115 - for as long as the program runs
            if stream.fileno() != number:
                os.dup2(stream.fileno(), number)
            setattr(sys, name, stream)


def _flush() -> None:
    """Write out what was printed; what a reader such as `head` no longer wants is dropped."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())  # else Python would try again at its end
            os.close(nowhere)


@contextmanager
def _one_sentence() -> Iterator[None]:
    """Every error that a person can mend is one sentence; what is left over is a bug and shows its traceback."""
    try:
        yield
    except (LabError, OSError) as error:
        sys.exit(f"mixaug: {error}")


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep the notes that TensorFlow's C++ prints at its start from the reader; exceptions come through."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def recipes() -> None:
    """List the recipes: their options as they are unless said otherwise, what they do, where they were published."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from .lab.config import listed

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("recipe", "options", "what it does", "paper"):
        table.add_column(head, no_wrap=head == "recipe", overflow="fold")
    for one in listed():
        name = one.name if one.distribution == "mixaug" else f"{one.name} ({one.distribution})"
        paper = f"{one.paper.authors} {one.paper.year}" if one.paper else ""
        table.add_row(*map(Text, (name, one.options, one.summary, paper)))
    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=10_000, highlight=False)
    console.print(table)


@app.command()
def preview(
    data: Annotated[str, typer.Option(help=f"photos (four, come with mixaug), {DATA}")] = "fashion-mnist-sample",
    recipe: Annotated[
        str, typer.Option(help=f'{RECIPE} "all" draws one row for each that the data have guides for.')
    ] = "one_of(mixup(alpha=1.0), cutmix(alpha=1.0))",
    seed: Annotated[int, typer.Option(help="Another seed shows other mixes of other images.")] = 0,
    rows: Annotated[int | None, typer.Option(help="How many mixed images to show: 6, or 4 of each of all.")] = None,
    columns: Annotated[int | None, typer.Option(help="How many side by side: 1, or with all every one.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Resize images to a square of so many pixels.")] = None,
    task: Annotated[str | None, typer.Option(help=TASK)] = None,
    classes: Annotated[str | None, typer.Option(help=CLASSES)] = None,
    ignore_index: Annotated[int | None, typer.Option(help=IGNORE)] = None,
    out: Annotated[
        Path, typer.Option(help="The picture to write, .png, .jpg, .webp, .tif, .bmp or .pdf; it is replaced.")
    ] = Path("mixaug-preview.png"),
) -> None:
    """Draw a sheet of mixed images: what each is made of, its sources, and where each pixel came from.

    With masks, target images or boxes, these are mixed and shown too.
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
) -> None:
    """Train the same network with and without mixing, from the same weights on the same batches, and report.

    The folder gets config.json, versions.json, a line of epochs.jsonl for each epoch, the weights of each run,
    summary.json, summary.csv and report.html, one file that opens without a network. By default: fashion-mnist-sample,
    resnet20, the arms none, mixup(alpha=0.2) and cutmix(alpha=1.0), one seed, 15 epochs, adam. With --task segmentation
    or image2image: scenes, unet, flip, 12 epochs of batches of 16, a learning rate of 0.005.
    """
    from .lab.config import Config
    from .lab.presets import PRESETS, start

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
    _train(replace(begin, **{"warmup": max(0, min(begin.warmup, rest)), **said}), out or OUT, resume=False)


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


def _defaults(task: str | None, data: str | None) -> Any:
    """The configuration of a task of which nothing else is said: without a task, of the first that the data have."""
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
        typer.echo(f"stopped; nothing finished is lost: mixaug compare --resume {shlex.quote(str(out))}", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"wrote {report.write(out)}")


def _training(threads: int) -> Callable[..., None]:
    """What trains, with Keras' backend started: the one of KERAS_BACKEND, else one that is installed."""
    installed = [name for name in ("tensorflow", "jax", "torch") if find_spec(name)]
    if installed and "tensorflow" not in installed:
        os.environ.setdefault("KERAS_BACKEND", installed[0])
    try:
        with _hushed():
            from .lab.train import compare as train
            from .lab.train import start

            start(threads)
    except LabError:
        raise
    except (ImportError, ValueError) as error:  # Keras has ValueError for a backend that it does not know
        way_out = f"set KERAS_BACKEND to one of {', '.join(installed)}" if installed else "pip install tensorflow-cpu"
        raise LabError(f"expected Keras and a backend to train with, got: {error}; {way_out}") from error
    return train


def _names(text: str) -> tuple[str, ...]:
    """The names in a list with commas."""
    return tuple(name.strip() for name in text.split(","))


def _seeds(text: str) -> tuple[int, ...]:
    """The seeds 0 .. n-1 for "n", or those of a list with commas."""
    try:
        numbers = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        numbers = ()
    if not numbers or ("," not in text and numbers[0] < 1):
        raise LabError(f"--seeds: expected how many (5) or which ones (0,3,7), got {text!r}")
    return numbers if "," in text else tuple(range(numbers[0]))
