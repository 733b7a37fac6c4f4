"""Write docs/results.md and its pictures from results/NAME/, or publish a run there.

python tools/make_results.py                        write the page
python tools/make_results.py publish DIR NAME       copy the published files of the run folder DIR to results/NAME/

A published run has no weights. It consists of config.json, data.json, versions.json, epochs.jsonl and summary.json as
`mixaug compare` wrote them, and of question.md, written by hand: a title, a blank line, the question and what was left
out.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from mixaug.lab.log import Log

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
DOCS = ROOT / "docs"
COPIED = ("config.json", "data.json", "versions.json", "epochs.jsonl", "summary.json")

HEAD = """\
# Results

`make results` writes this page from the files in `results/`, which contain the configuration, the versions, every epoch
and the summary of each run. All numbers are from the last epoch. ± is half the width of the 95 % confidence interval
over seeds (Student's t). A difference is the mean over seeds of the difference from `none` with the same seed; if its
interval includes 0, the run shows no difference. To repeat a run, use the command below it; `mixaug compare --resume`
continues an interrupted run.
"""


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["publish"] and len(arguments) == 3:
        publish(Path(arguments[1]), arguments[2])
    elif arguments:
        sys.exit(__doc__)
    for path, content in files().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def publish(folder: Path, name: str) -> None:
    """Copy the published files of a run folder, with a template for question.md."""
    for file in ("config.json", "versions.json", "data.json"):
        if any(f'"{start}' in (folder / file).read_text() for start in ("/", "folder:/", "folders:/", "npz:/", "hf:/")):
            sys.exit(
                f"expected relative paths in {folder / file}, got an absolute one: train in the folder of the data"
            )
    place = RESULTS / name
    place.mkdir(parents=True)
    for file in COPIED:
        shutil.copyfile(folder / file, place / file)
    (place / "question.md").write_text(f"{name}\n\nThe question, and what was left out.\n", encoding="utf-8")


def files() -> dict[Path, str]:
    """The content of the page and of its pictures, by their paths."""
    runs = {path.parent.name: read(path.parent) for path in sorted(RESULTS.glob("*/summary.json"))}
    page = "\n".join([HEAD, *("\n".join(section(name, run)) for name, run in runs.items())])
    pictures = {DOCS / "results" / f"{name}.svg": picture(run["summary"]) for name, run in runs.items()}
    return {DOCS / "results.md": page, **pictures}


def read(place: Path) -> dict[str, Any]:
    """Read a published run: its question, its summary and its epochs, whose hashes are checked."""
    title, _, question = (place / "question.md").read_text(encoding="utf-8").partition("\n\n")
    lines = Log(place / "epochs.jsonl").lines()
    summary = json.loads((place / "summary.json").read_text(encoding="utf-8"))
    return {"title": title.strip(), "question": question.strip(), "lines": lines, "summary": summary}


def section(name: str, run: dict[str, Any]) -> Iterator[str]:
    """The part of the page on one run."""
    summary = run["summary"]
    config, versions, judged = summary["config"], summary["versions"], summary["judged"]
    measured = next(arm["measures"][judged] for arm in summary["arms"] if arm["measures"])
    yield f"\n## {run['title']}\n\n{run['question']}\n"
    yield f"| arm | {label(measured)} | difference from `none` | seeds | time per step, ms |"
    yield "|---|---|---|---|---|"
    for arm in summary["arms"]:
        yield row(arm, judged)
    yield f"\n![{measured['name']} of each arm and seed](results/{name}.svg)\n"
    for arm in summary["arms"]:
        if arm["verdict"]:
            yield f"- {arm['verdict']}"
    for warning in summary["warnings"]:
        yield f"- {warning}"
    seconds = sum(line["seconds"] for line in run["lines"].values())
    backend = versions["backend"]
    yield (
        f"\n{config['task'].capitalize()} by {config['model']} on {config['data']}: {summary['data']['train']:,} "
        f"training images, {summary['data']['test']:,} test images, {config['epochs']} epochs, {summary['steps']:,} "
        f"optimizer steps per run. Cost: {seconds / 60:.0f} minutes of training in total on {versions['processors']} "
        f"processors ({versions['platform']}; mixaug {versions['mixaug']}, Keras {versions['keras']}, {backend} "
        f"{versions[backend]}, Python {versions['python']}).\n"
    )
    yield f"    {versions['command']}\n"


def row(arm: dict[str, Any], judged: str) -> str:
    """The row of an arm."""
    if not arm["measures"]:
        return f"| `{arm['arm']}` | – | | 0 | |"
    measure, time = arm["measures"][judged], arm["measures"]["step_ms"]
    pair = measure["difference"]
    difference = plus_minus(pair["mean"], pair["half_interval"], "+") if pair else ""
    value = plus_minus(measure["mean"], measure["half_interval"])
    spread = f"{time['median']:.1f} ({time['smallest']:.1f} to {time['largest']:.1f})"
    return f"| `{arm['arm']}` | {value} | {difference} | {len(arm['seeds'])} | {spread} |"


def label(measure: dict[str, Any]) -> str:
    """A measure's name and unit."""
    return f"{measure['name']}, {measure['unit']}" if measure["unit"] else measure["name"]


def plus_minus(mean: float, half: float | None, sign: str = "") -> str:
    """A mean and half the width of its interval, if it has one."""
    shown = f"{mean:{sign}.2f}".replace("-", "−")
    return shown if half is None else f"{shown} ± {half:.2f}"


WIDTH, LEFT, RIGHT, ROW = 640, 220, 20, 34


def picture(summary: dict[str, Any]) -> str:
    """Each seed of each arm as a dot, and the mean with its interval as a line."""
    arms = [(arm["arm"], arm["measures"][summary["judged"]]) for arm in summary["arms"] if arm["measures"]]
    about = arms[0][1]
    ends = [
        end for _, m in arms for end in (*m["values"], *(m["mean"] + s * (m["half_interval"] or 0) for s in (1, -1)))
    ]
    low, high = min(ends), max(ends)
    scale = (WIDTH - LEFT - RIGHT) / ((high - low) or 1)
    height = ROW * len(arms) + 50

    def x(value: float) -> str:
        return f"{LEFT + (value - low) * scale:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-size="13" '
        'font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for number, (name, measure) in enumerate(arms):
        y, half = 24 + ROW * number, measure["half_interval"] or 0
        colour = "#5f646c" if name == "none" else "#0067ad"
        first, last = x(measure["mean"] - half), x(measure["mean"] + half)
        parts.append(f'<text x="10" y="{y + 4}" fill="#1c1e22">{escape(name)}</text>')
        parts.append(f'<line x1="{first}" x2="{last}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>')
        mean = x(measure["mean"])
        parts.append(f'<line x1="{mean}" x2="{mean}" y1="{y - 8}" y2="{y + 8}" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(v)}" cy="{y}" r="4" fill="{colour}" fill-opacity="0.5"/>' for v in measure["values"]]
    bottom = height - 14
    parts.append(f'<text x="{LEFT}" y="{bottom}" fill="#5a5e66">{low:.2f}</text>')
    parts.append(f'<text x="{WIDTH - RIGHT}" y="{bottom}" fill="#5a5e66" text-anchor="end">{high:.2f}</text>')
    middle = (LEFT + WIDTH - RIGHT) // 2
    parts.append(f'<text x="{middle}" y="{bottom}" fill="#5a5e66" text-anchor="middle">{escape(label(about))}</text>')
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    main(sys.argv[1:])
