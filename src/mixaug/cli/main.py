"""The command line: `mixaug recipes`, `preview`, `compare`, `report` and `augment`."""

from __future__ import annotations

import os

from .app import app
from .augment import augment
from .compare import compare, report_of
from .preview import preview, recipes
from .streams import errors_as_sentences, flush, open_streams

for _command in (recipes, preview, compare):
    app.command()(_command)
app.command("report")(report_of)
app.command()(augment)


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own notes are not for this reader
    # TensorFlow leaves oneDNN off on processors without AVX-512 VNNI, where its own convolutions take 2.5 times as long
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    open_streams()
    with errors_as_sentences():
        try:
            app()
        finally:
            flush()
