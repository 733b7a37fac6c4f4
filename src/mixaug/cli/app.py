"""The typer application, and the help texts that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .. import __version__

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


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit


def names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list of names."""
    return tuple(name.strip() for name in text.split(","))
