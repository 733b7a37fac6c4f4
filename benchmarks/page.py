"""docs/benchmarks.md, from the rows of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .goals import BOTH, F32, OURS, U8, Found, Goal, goals
from .results import Results
from .timing import COPY, LIMITS, Row

NOTES = Path(__file__).parent / "notes.md"
NONE = "not measured"
TEXTS = ("remarks", "result")  #: columns of words
HOW = """\
## How it is measured

- Each library runs in a process of its own. After warm-up calls, all contenders of a case take turns in
  random order, with the garbage collector off and a pause before each turn. A call draws a mix and
  computes images and labels (or masks).
- Numbers are medians of single calls; **p90** is the 90th percentile. At most two threads are used.
- *x copy* is the time relative to `np.copyto` of the bytes that must be read and written, in the same
  process and rounds.
- A is a hot loop (turns of 30 calls). B and C have one call per turn, so that their batches are not in the cache.
- "uint8 to float32" includes scaling and shifting each channel. Libraries without this option do it
  before or after mixing, whichever is faster and correct.
"""
SHORT = "**A short run of tiny batches: it shows that everything runs, and its numbers say nothing.**\n"
WORKS = {
    "A": "A: 128 images of 32x32x3, a hot loop",
    "B": "B: 64 images of 224x224x3",
    "C": "C: 8 images of 512x512x3 with masks of int32",
}
CELLS = "Each cell contains: median in ms (relative to the copy; p90 in ms).\n"


def write(run: Results, folder: Path) -> Iterator[Path]:
    """Write the page, beside its chart, and the one for developers."""
    for name, content in (("benchmarks.md", text(run)), ("performance-notes.md", text_for_developers(run))):
        path = folder / name
        path.write_text(content)
        yield path


def text(run: Results) -> str:
    """The page for users: how fast mixaug is compared with other libraries."""
    parts = [head("Benchmarks", run), beside(run), CHART, startup(run), HOW, *(batches(run, name) for name in WORKS)]
    parts += [pipelines(run), training(run), gpu(run), failed(run)]
    return "\n".join(part for part in parts if part)


def text_for_developers(run: Results) -> str:
    """The page for developers: goals, where the time goes, and what was tried."""
    parts = [head("Performance notes", run), table_of_goals(run), parts_of_a_batch(run), NOTES.read_text()]
    return "\n".join(part for part in parts if part)


def beside(run: Results) -> str:
    """The speed of mixaug relative to each other library, by case."""
    compared = [row for name in ("A", "B") for row in run.of(name) if row.case in COMPARED]
    peers = [row for row in compared if not row.ours and row.name not in LIMITS]
    if not peers:
        return ""
    columns = [(table, case) for table in ("A", "B") for case in COMPARED]
    lines = []
    for process, name, rows in contenders(peers):
        ratios = [ratio(run, next((row for row in rows if (row.table, row.case) == at), None)) for at in columns]
        if any(ratios):
            lines.append([process, name, *ratios, remarks(rows)])
    heads = [f"{'128x32x32x3' if table == 'A' else '64x224x224x3'}, {case}" for table, case in columns]
    return f"## mixaug and other libraries\n\n{BESIDE}\n" + table(["library", "", *heads, "remarks"], lines, 2)


def ratio(run: Results, row: Row | None) -> str:
    """The speed of mixaug relative to another row."""
    ours = row and run.find(row.table, row.case, OURS[row.process], row.process)
    if row is None or row.median is None or ours is None or not ours.median:
        return ""
    times = row.median / ours.median
    return f"{times:.0f}x" if times >= 10 else f"{times:.2g}x"


COMPARED = [f"{method}, {dtypes}" for dtypes in (U8, F32) for method in BOTH]
BESIDE = """\
Time of the other library divided by that of mixaug, for one call that draws a mix and computes images
and labels: above 1, mixaug is faster. mixaug draws a box and a weight for each sample; the remarks say
which libraries draw one for the whole batch.
"""
CHART = """\
![Time relative to a copy for a batch of photos, and images per second of pipelines, for every library](benchmarks.svg)
"""


def head(title: str, run: Results) -> str:
    """The title, and the machine and versions of the run."""
    lines = [f"- {name}: {value}" for name, value in run.about.items()]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items()))
    written = "Written by `make bench`, from a single run. Compare ratios; absolute times depend on the machine."
    top = f"# {title}\n\n{written}\n"
    return "\n".join([top, *([SHORT] if run.short else []), *lines, f"- versions: {versions}\n"])


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """A Markdown table. The first columns and remarks are text, the others numbers."""
    lines = ["| " + " | ".join(columns) + " |"]
    is_text = [i < text_columns or name in TEXTS for i, name in enumerate(columns)]
    lines.append("|" + "|".join("---" if text else "---:" for text in is_text) + "|")
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def table_of_goals(run: Results) -> str:
    """The goals and what was measured."""
    rows = [goal_row(goal, goal.find(run)) for goal in goals()]
    return "## Goals\n\n" + table(["", "goal", "measured", "p90", "result"], rows)


def goal_row(goal: Goal, found: Found | None) -> list[str]:
    """The row of a goal."""
    sign = ">=" if goal.at_least else "<="
    wanted = f"{sign} {shown(goal.limit, goal.unit)}"
    if found is None:
        return [goal.text, wanted, NONE, "", ""]
    verdict = goal.verdict(found)
    beside = f"{verdict} ({found.beside})" if found.beside else verdict
    p90 = "" if found.p90 is None else shown(found.p90, goal.unit)
    return [goal.text, wanted, shown(found.value, goal.unit), p90, beside]


def shown(value: float, unit: str) -> str:
    """A number with its unit."""
    if unit == "images/s":
        return f"{value:,.0f} {unit}"
    if unit == "%":
        return f"{value:+.1f} %"
    if unit == "ms":
        return f"{number(value)} ms"
    return f"{value:.2f}{unit}" if value < 100 else f"{value:.0f}{unit}"


def number(value: float) -> str:
    """A number with three significant digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def batches(run: Results, name: str) -> str:
    """The table of a batch, with one row per contender and one column per case."""
    rows = run.of(name)
    if not rows:
        return ""
    cases = unique(row.case for row in rows)
    lines = [
        [process, bold(named, found), *(cell(of_case(found, case)) for case in cases), remarks(found)]
        for process, named, found in contenders(rows)
    ]
    columns = ["process", "", *cases, "remarks"]
    return f"## {WORKS[name]}\n\n{CELLS}\n" + table(columns, lines, 2)


def contenders(rows: Sequence[Row]) -> Iterator[tuple[str, str, list[Row]]]:
    """The rows of each contender of each process."""
    for process in unique(row.process for row in rows):
        of_process = [row for row in rows if row.process == process]
        for name in unique(row.name for row in of_process):
            yield process, name, [row for row in of_process if row.name == name]


def unique(names: Iterable[str]) -> list[str]:
    """Unique names, in their order."""
    return list(dict.fromkeys(names))


def of_case(rows: Sequence[Row], case: str) -> Row | None:
    """The row of a case."""
    return next((row for row in rows if row.case == case), None)


def bold(name: str, rows: Sequence[Row]) -> str:
    """A name, in bold for mixaug."""
    return f"**{name}**" if rows[0].ours else name


def cell(row: Row | None) -> str:
    """A measurement in a table of batches."""
    if row is None:
        return ""
    if row.median is None or row.p90 is None:
        return "fails"
    copies = "" if row.times_copy is None or row.name == COPY else f"{row.times_copy:.1f}x; "
    return f"{number(row.median)} ({copies}{number(row.p90)})"


def remarks(rows: Sequence[Row]) -> str:
    """Remarks about a contender, and its error if it failed."""
    return "; ".join(unique(text for row in rows for text in (row.remark, row.error) if text))


def parts_of_a_batch(run: Results) -> str:
    """Where the time of a small batch goes."""
    rows = run.of("per_source")
    if not rows:
        return ""
    cases = unique(row.case for row in rows)
    lines = [
        [name, *(cell(of_case(found, case)) for case in cases), remarks(found)] for _, name, found in contenders(rows)
    ]
    text = "mixaug with NumPy, 128 images of 32x32x3, uint8 to float32: median in ms (p90 in ms).\n"
    return f"## Time of a small batch\n\n{text}\n" + table(["", *cases, "remarks"], lines)


def pipelines(run: Results) -> str:
    """The table of pipelines, the fastest first."""
    rows = sorted(run.of("pipelines"), key=lambda row: row.median or 1e9)
    if not rows:
        return ""
    text = (
        "50,000 images of the size of CIFAR-10, uint8 in memory, in batches of 128, mixed and normalized, with\n"
        "soft labels. No worker processes. The first ten batches of a pass are not counted; p90 is over single\n"
        "batches.\n"
    )
    lines = [[row.process, bold(row.name, [row]), *rates(row), remarks([row])] for row in rows]
    return f"## Pipelines\n\n{text}\n" + table(
        ["process", "", "images/s", "ms per batch", "p90, ms", "remarks"], lines, 2
    )


def rates(row: Row) -> list[str]:
    """Images per second, and milliseconds per batch."""
    if row.median is None or row.p90 is None:
        return ["fails", "", ""]
    return [f"{1e3 * row.images / row.median:,.0f}", number(row.median), number(row.p90)]


def training(run: Results) -> str:
    """The table of training steps."""
    rows = run.of("training")
    if not rows:
        return ""
    text = (
        "ResNet-20 on the CPU with batches of 128; ResNet-50 on a GPU with 256 photos in GPU memory. *added* is\n"
        "the time relative to the same pipeline without mixing (for mixaug with `ma.identity()`, if measured):\n"
        "the median over blocks of steps, with a 95 % bootstrap interval. If the interval contains 0, no\n"
        "difference was measured.\n"
    )
    lines = [[row.case, bold(row.name, [row]), *steps(row), remarks([row])] for row in rows]
    columns = ["library", "pipeline", "ms per step", "p90, ms", "added", "remarks"]
    return f"## A training step\n\n{text}\n" + table(columns, lines, 2)


def steps(row: Row) -> list[str]:
    """Milliseconds per step, and the time that mixing adds."""
    if row.median is None or row.p90 is None:
        return ["fails", "", ""]
    added = ""
    if row.added is not None and row.interval is not None:
        low, high = row.interval
        added = f"{row.added:+.1f} % ({low:+.1f} to {high:+.1f})"
    return [number(row.median), number(row.p90), added]


def gpu(run: Results) -> str:
    """The table of the GPU."""
    rows = [row for name in ("gpu", "gpu wall") for row in run.of(name)]
    if not rows:
        return ""
    lines = [[row.table, row.case, bold(row.name, [row]), cell_or_none(row), remarks([row])] for row in rows]
    text = (
        "256x224x224x3, uint8 to bfloat16, channels first unless noted. *gpu*: time between two CUDA events\n"
        "around a call that is queued before the first event, with a cold cache (256 MB are written before). *gpu\n"
        "wall*: wall-clock time until the result is\n"
        "ready. " + CELLS
    )
    return f"## On a GPU\n\n{text}\n" + table(["", "", "", "ms", "remarks"], lines, 3)


def cell_or_none(row: Row) -> str:
    """A measurement, or "not measured"."""
    return NONE if row.median is None else cell(row)


def startup(run: Results) -> str:
    """The table of startup times."""
    rows = run.of("startup")
    if not rows:
        return ""
    lines = [[row.name, *(steps(row)[:2]), remarks([row])] for row in rows]
    text = (
        "Measured in new processes. Kernels are compiled at first use, once per machine, and cached on disk;\n"
        "`python -m mixaug.warmup` compiles them ahead.\n"
    )
    return f"## Startup\n\n{text}\n" + table(["", "median, ms", "p90, ms", "remarks"], lines)


def failed(run: Results) -> str:
    """The table of processes that failed."""
    rows = run.of("process")
    return "" if not rows else "## Not measured\n\n" + table(["process", "why"], [[r.name, r.error] for r in rows], 2)
