"""`mixaug augment`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from ..lab.errors import LabError
from .app import CLASSES, DATA, IGNORE, RECIPE, TASK, names


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
    from ..lab.cluster import Engine
    from ..lab.data import tasks
    from ..lab.offline import Job
    from ..lab.offline import augment as write
    from ..lab.offline.run import read_job
    from ..lab.progress import rows_done

    given = {
        "data": data, "recipe": recipe, "copies": copies, "seed": seed, "epoch": epoch, "images": images, "task": task,
        "format": "mixes" if mixes_only else format, "image_size": image_size, "ignore_index": ignore_index,
        "classes": None if classes is None else names(classes), "shard_rows": shard_rows,
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
