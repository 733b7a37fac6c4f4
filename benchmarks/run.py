"""Run the benchmarks, one process after another; write docs/benchmarks.md, its chart and docs/performance-notes.md.

python -m benchmarks.run [--short] [--only numpy,torch] [--page] [--out docs] [--results out/bench/results.json]

--page writes the pages from the results of the last run, for example after a change of benchmarks/notes.md. --gpu FILE
adds the results of `python -m benchmarks.contenders.gpu --out FILE`, measured on a machine with a GPU.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import chart, child, page, results
from .results import Results
from .timing import Row, reason

ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".venv" / "peers"
THREADS = 2
PROCESSES: dict[str, tuple[str, dict[str, str]]] = {
    "numpy": ("numpy_", {}),
    "torch": ("torch_", {}),
    "tensorflow": ("tensorflow_", {"KERAS_BACKEND": "tensorflow"}),
    "jax": ("jax_", {"KERAS_BACKEND": "jax"}),
    "training_keras": ("training_keras", {"KERAS_BACKEND": "tensorflow"}),
    "training_torch": ("training_torch", {}),
    "gpu": ("gpu", {}),
    "startup": ("startup", {}),
}  #: the module and the environment variables of each process


def main() -> None:
    """Measure, keep the rows, write the page."""
    asked = arguments()
    if not asked.page:
        use_few_cores()
        measured(asked).save(asked.results)
    run = results.load(asked.results)
    if asked.gpu:
        run = results.with_process(run, "gpu", asked.gpu)
        run.save(asked.results)
    asked.out.mkdir(parents=True, exist_ok=True)
    print(chart.write(run, asked.out))
    print(*page.write(run, asked.out), sep="\n")


def arguments() -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="tiny batches and few rounds, to see that it runs")
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=list(PROCESSES), help="the processes to run"
    )
    parser.add_argument("--page", action="store_true", help="only write the page of the last run")
    parser.add_argument("--gpu", type=Path, help="results of a GPU from another machine")
    parser.add_argument("--out", type=Path, help="folder for the page")
    parser.add_argument("--results", type=Path, help="file for the results")
    asked = parser.parse_args()
    folder = ROOT / "out" / ("bench-short" if asked.short else "bench")
    asked.out = asked.out or (folder if asked.short else ROOT / "docs")
    asked.results = asked.results or folder / "results.json"
    return asked


def use_few_cores() -> None:
    """Restrict this process and its children to two cores, if the system supports it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])


def measured(asked: argparse.Namespace) -> Results:
    """The rows of all processes."""
    rows: list[Row] = []
    versions = {"python": platform.python_version(), **child.versions(["mixaug"])}
    begun = time.monotonic()
    for name in asked.only:
        found = outcome(name, asked.short)
        rows += map(results.from_json, found["rows"])
        versions.update(found["versions"])
    about = {**dict(machine()), "took": f"{time.monotonic() - begun:.0f} s", "command": command(asked)}
    return Results(rows, about, versions, asked.short)


def outcome(name: str, short: bool) -> dict[str, Any]:
    """The results of a process. If it fails, a row contains the error."""
    begun = time.monotonic()
    print(f"{name} ...", end=" ", flush=True)
    try:
        found = started(name, short)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        why = last_line(error)
        found = {"rows": [vars(Row("process", "", name, error=why))], "versions": {}}
        print(why, end=", ")
    print(f"{time.monotonic() - begun:.0f} s")
    return found


def started(name: str, short: bool) -> dict[str, Any]:
    """Run a process and return its results."""
    module, settings = PROCESSES[name]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "rows.json"
        words = [sys.executable, "-m", f"benchmarks.contenders.{module}", "--out", str(out)]
        words += ["--short"] if short else []
        subprocess.run(  # noqa: S603 - our own modules
            words, cwd=ROOT, env=environment(settings), check=True, capture_output=True, text=True, timeout=900
        )
        found: dict[str, Any] = json.loads(out.read_text())
    return found


def environment(settings: dict[str, str]) -> dict[str, str]:
    """Environment variables: two threads, little output, and the path of the other libraries."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(THREADS))
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "HF_HUB_OFFLINE": "1", "JAX_PLATFORMS": "cpu"}
    return {**os.environ, **threads, **quiet, **settings, "PYTHONPATH": str(PEERS)}


def last_line(error: Exception) -> str:
    """The last line of the output of a process that failed."""
    lines = (getattr(error, "stderr", None) or "").strip().splitlines()
    return lines[-1].replace("|", "/")[:200] if lines else reason(error)


def machine() -> Iterator[tuple[str, str]]:
    """The machine that the benchmarks run on."""
    yield "date", datetime.date.today().isoformat()
    yield "processor", processor()
    yield "cores", f"{os.cpu_count()}, of which {min(THREADS, os.cpu_count() or 1)} are used"
    yield "system", f"{platform.system()} {platform.machine()}, {memory()}"


def processor() -> str:
    """The name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    name = fields.get("model name", platform.machine())
    numbers = [f"{key.removeprefix('cpu ')} {fields[key]}" for key in ("cpu family", "model") if key in fields]
    return f"{name} ({', '.join(numbers)})" if numbers else name


def memory() -> str:
    """The amount of memory."""
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError, OSError):
        return "memory unknown"


def command(asked: argparse.Namespace) -> str:
    """The command that repeats this run."""
    words = ["--short"] if asked.short else []
    if asked.only != list(PROCESSES):
        words.append(f"--only {','.join(asked.only)}")
    return f'`make bench BENCH_ARGS="{" ".join(words)}"`' if words else "`make bench`"


if __name__ == "__main__":
    main()
