"""Progress output during training."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from .tasks import TASKS


class Progress:
    """Receives the progress of training; this base class ignores it."""

    def note(self, text: str) -> None:
        """Report a note on the data."""

    def read(self, done: int, total: int) -> None:
        """Report the number of images read."""

    def begin(self, total_steps: int, done_steps: int) -> None:
        """Report the start of training; `done_steps` were done in a previous run."""

    def step(self, arm: str, seed: int, epoch: int, epochs: int) -> None:
        """Report a finished step in an epoch, counted from 1."""

    def epoch(self, line: dict[str, Any]) -> None:
        """Report a finished epoch with its line of the log."""


class Live(Progress):
    """A progress bar with the arm, seed, epoch and time left, and one line per finished epoch.

        time left = steps left * mean time of the steps so far, evaluation included

    If the output is not a terminal, only the lines are printed. During training, Ctrl-C stops after the current step,
    because C libraries may drop the exception within a step; pressed again, it stops at once.

    Args:
        console: the output; None: standard error.
        task: the task, which determines the content of the lines.

    Example:
        >>> import sys
        >>> with Live(Console(file=sys.stdout)) as progress:
        ...     progress.begin(total_steps=1, done_steps=0)
        ...     progress.step("cutmix", seed=0, epoch=1, epochs=1)
        ...     progress.epoch({"arm": "cutmix", "seed": 0, "epoch": 1, "test_accuracy": 0.81, "test_loss": 0.5,
        ...                     "train_loss": 1.2, "mixed_accuracy": 0.55, "seconds": 3.2})
        cutmix, seed 0, epoch 1: test accuracy 0.8100, test loss 0.5000 (train loss 1.2000, mixed accuracy 0.5500), 3 s
    """

    def __init__(self, console: Console | None = None, task: str = "classification") -> None:
        self._line = TASKS[task].line
        self._console = console or Console(stderr=True)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._bar = Bar(*columns, console=self._console, transient=True, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("preparing", total=None, left="")
        self._steps = 0
        self._steps_to_do = 0
        self._begun = 0.0
        self._interrupted = False

    def __enter__(self) -> Live:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if signal.getsignal(signal.SIGINT) == self._interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._bar.stop()

    def note(self, text: str) -> None:
        """Print a note."""
        self._print(f"note: {text}")

    def read(self, done: int, total: int) -> None:
        """Show how many images are read."""
        self._bar.update(self._task, description="reading images", total=total, completed=done)

    def begin(self, total_steps: int, done_steps: int) -> None:
        """Show the bar."""
        self._steps, self._steps_to_do, self._begun = 0, total_steps - done_steps, perf_counter()
        self._bar.update(self._task, total=total_steps, completed=done_steps)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else ignored or handled elsewhere
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, *_: object) -> None:
        if self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = True
        self._bar.update(self._task, description="stopping after this step (at once: Ctrl-C again)")

    def step(self, arm: str, seed: int, epoch: int, epochs: int) -> None:
        """Advance the bar by one step.

        Raises:
            KeyboardInterrupt: if Ctrl-C was pressed during the step.
        """
        if self._interrupted:
            raise KeyboardInterrupt
        self._steps += 1
        mean = (perf_counter() - self._begun) / self._steps
        left = timedelta(seconds=round(mean * (self._steps_to_do - self._steps)))
        description = f"{arm}, seed {seed}, epoch {epoch}/{epochs}"
        self._bar.update(self._task, advance=1, description=description, left=f"{left} left")

    def epoch(self, line: dict[str, Any]) -> None:
        """Print the line of an epoch."""
        text = f"{{arm}}, seed {{seed}}, epoch {{epoch}}: {self._line}, {{seconds:.0f}} s"
        self._print(text.format(**line))

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def rows_done(console: Console | None = None) -> Iterator[Callable[[int, int], None]]:
    """Show a bar of finished rows with the time left, if the output is a terminal."""
    console = console or Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("rows", total=None)

        def told(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield told
