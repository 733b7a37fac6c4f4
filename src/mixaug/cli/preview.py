"""`mixaug recipes` and `mixaug preview`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .app import CLASSES, DATA, IGNORE, RECIPE, TASK, names


def recipes() -> None:
    """List the recipes with their default options, what they do and where they were published."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ..lab.config import listed

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("recipe", "options", "what it does", "paper"):
        table.add_column(heading, no_wrap=heading == "recipe", overflow="fold")
    for entry in listed():
        name = entry.name if entry.distribution == "mixaug" else f"{entry.name} ({entry.distribution})"
        paper = f"{entry.paper.authors} {entry.paper.year}" if entry.paper else ""
        table.add_row(*map(Text, (name, entry.options, entry.summary, paper)))
    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=10_000, highlight=False)
    console.print(table)


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
    from ..lab import data as datasets
    from ..lab import preview as pictures
    from ..lab.config import listed, read_mixing
    from ..lab.guided import lacks

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
            classes=None if classes is None else names(classes),
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
