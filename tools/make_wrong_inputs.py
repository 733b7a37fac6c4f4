"""Write docs/wrong-inputs.md from the rows of tools/wrong_inputs.py, by running the code of each row.

python tools/make_wrong_inputs.py
"""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import wrong_inputs
from wrong_inputs import HELPERS, SETUP, TRAINING, Row

import conftest  # noqa: F401 - settings of the frameworks
from mixaug import cli

PAGE = Path(__file__).parents[1] / "docs" / "wrong-inputs.md"
SECTIONS = wrong_inputs.SECTIONS
ROWS = [row for rows in SECTIONS.values() for row in rows]

HEAD = f"""\
# Wrong inputs

This page lists inputs that are wrong or ambiguous, with the errors that they raise and code that works instead. Rows
without code in the last column are accepted; they describe the result. `make wrong-inputs` generates the page by
running all of the code, and a test checks that it is up to date.

The rows use these names. Only the rows about trainers use those after the second import:

```python
{SETUP}
{TRAINING}```

"""
TABLE = "| | you write | what happens | what works |\n|---|---|---|---|\n"


def main() -> None:
    PAGE.write_text(page([line(row) for row in ROWS]))


def page(lines: Sequence[str]) -> str:
    """The text of the page, given the line of each row."""
    left, parts = iter(lines), [HEAD]
    for title, rows in SECTIONS.items():
        parts.append(f"## {title}\n\n{TABLE}{''.join(next(left) for _ in rows)}")
    return parts[0] + "\n".join(parts[1:])


def line(row: Row) -> str:
    """The line of a row; an error if its code does not do what it should, or if the code that should work fails."""
    happens = outcome(row.code, row.check if row.gives else "")
    if row.gives:
        if happens is not None:
            raise AssertionError(f"{row.what}: expected {row.gives} got {happens}")
        return _cells(row.what, _code(row.code), row.gives[0].upper() + row.gives[1:], "")
    if happens is None:
        raise AssertionError(f"{row.what}: expected an error, got none")
    if (failed := outcome(row.works, row.check)) is not None:
        raise AssertionError(f"{row.what}: expected the code in the last column to work, got {failed}")
    return _cells(row.what, _code(row.code), _code(happens), _code(row.works))


@lru_cache
def outcome(code: str, check: str = "") -> str | None:
    """The error that the code raises or the command prints; None if it succeeds."""
    with _in_a_folder():
        return _command(code) if code.startswith("mixaug ") else _python(code, check)


def _python(code: str, check: str) -> str | None:
    names: dict[str, Any] = {}
    exec(SETUP + HELPERS, names)  # noqa: S102 - our own rows
    if "MixTrainer" in code or "MixCallback" in code:
        exec(TRAINING, names)  # noqa: S102
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(code, names)  # noqa: S102
        except Exception as error:
            return f"{type(error).__name__}: {_sentence(error)}"
    exec(check, names)  # noqa: S102
    return None


def _sentence(error: Exception) -> str:
    """The message of an error; Keras prints it in bold among other sentences."""
    bold = re.search(r"\x1b\[1m(.*?)\x1b\[0m", str(error))
    return bold[1] if bold else str(error)


def _command(code: str) -> str | None:
    shown = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(shown), patch.object(sys, "argv", shlex.split(code)):
        try:
            cli.main()
        except SystemExit as end:
            return None if end.code in (0, None) else str(end.code) if isinstance(end.code, str) else shown.getvalue()
    return None


@contextmanager
def _in_a_folder() -> Iterator[None]:
    """A temporary working folder with images, masks, and a folder and pipes with misleading names."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for name, level in (("photos/cat", 10), ("photos/dog", 200), ("images", 90), ("masks", None)):
                Path(name).mkdir(parents=True)
                for i in range(6):
                    image = (
                        Image.new("L", (16, 16), i % 2) if level is None else Image.new("RGB", (16, 16), (level,) * 3)
                    )
                    image.save(f"{name}/{i}.png")
            Path("folder.png").mkdir()
            for name in ("pipe.png", "pipe.npz"):
                os.mkfifo(name)
            yield
        finally:
            os.chdir(before)


def _code(text: str) -> str:
    """Code as the cell of a table."""
    return "<br>".join(f"`{one}`" for one in text.replace("|", "\\|").splitlines())


def _cells(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main()
