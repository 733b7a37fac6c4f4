"""The report: numbers match the run folder, warnings appear when they apply, and names are escaped."""

import base64
import csv
import io
import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mixaug
from mixaug.lab import preview, report, results
from mixaug.lab.config import Config
from mixaug.lab.data import load
from mixaug.lab.errors import LabError
from mixaug.lab.log import Log, arrays_of, of_arrays

ARMS = ("none", "mixup(alpha=0.2)", "cutmix(alpha=1.0)")
CLASSES = ("coat", "bag", "boot")
# test accuracy by arm, seed and epoch: the best epoch is never the last
ACCURACY = {
    "none": {0: (0.70, 0.99, 0.80), 1: (0.71, 0.98, 0.82), 2: (0.72, 0.97, 0.84)},
    "mixup(alpha=0.2)": {0: (0.60, 0.96, 0.81), 1: (0.61, 0.95, 0.80), 2: (0.62, 0.94, 0.86)},
    "cutmix(alpha=1.0)": {0: (0.50, 0.93, 0.85), 1: (0.51, 0.92, 0.88), 2: (0.52, 0.91, 0.89)},
}
LOGITS = np.array([[4, 0, 0], [0, 4, 0], [4, 0, 0], [4, 0, 0], [0, 0, 4], [0, 0, 4]], np.float32)
LABELS = np.array([0, 0, 1, 1, 1, 2])  # coat predicted as bag: 1 of 2; bag as coat: 2 of 3, as boot: 1 of 3


def line(arm, seed, epoch):
    accuracy = ACCURACY[arm][seed][epoch - 1]
    return {
        "arm": arm, "seed": seed, "epoch": epoch, "learning_rate": 0.001, "train_loss": 1.0,
        "mixed_accuracy": accuracy / 2, "test_loss": 2 - accuracy, "test_accuracy": accuracy,
        "test_ece": accuracy / 10, "seconds": 1.0, "step_ms": 100 * accuracy,
    }  # fmt: skip


def sign(folder, lines=None):
    """Write the log as training does: with hashes of the results and of the lines."""
    path, config = folder / "epochs.jsonl", Config.read(folder)
    lines = lines or [json.loads(text) for text in path.read_text().splitlines()]
    path.unlink(missing_ok=True)
    log = Log(path)
    for each in lines:
        own = {name: value for name, value in each.items() if name not in ("result", "network", "run", "line")}
        if each["epoch"] == config.epochs:
            result = folder / "runs" / f"{config.arms.index(each['arm'])}-s{each['seed']}.npz"
            own["result"] = of_arrays(arrays_of(result))
        log.append({**own, "network": "0"})
    return folder


def make(folder, classes=CLASSES, **options):
    """A run folder of 130 training images, 3 steps per epoch."""
    config = Config(**{"arms": ARMS, "seeds": (0, 1, 2), "epochs": 3, "batch_size": 64} | options)
    for name in ("runs", "sheets"):
        (folder / name).mkdir(parents=True)
    (folder / "config.json").write_text(config.to_json())
    (folder / "data.json").write_text(json.dumps({"classes": classes, "train": 130}))
    versions = {"mixaug": "9.8.7", "keras": "3.0", "command": "mixaug compare --out 'my run'"}
    (folder / "versions.json").write_text(json.dumps(versions))
    runs = [(i, arm, seed) for i, arm in enumerate(config.arms) for seed in config.seeds]
    lines = [line(arm, seed, epoch + 1) for epoch in range(config.epochs) for _, arm, seed in runs]
    for i, _, seed in runs:
        preview.save(Image.new("RGB", (40, 20), (i, 0, 0)), folder / "sheets" / f"{i}.png")
        np.savez(folder / "runs" / f"{i}-s{seed}.npz", logits=LOGITS, labels=LABELS)
    return sign(folder, lines)


MASKS = np.zeros((5, 12, 16), np.uint8)
MASKS[:, :6] = 1
MASKS[:, :, 12:] = 255
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 12, 16, 1), np.uint8)
BETTER = {"none": 0.0, "mixup(alpha=0.2)": -0.02, "cutmix(alpha=1.0)": 0.05}  # than none, by arm


def make_pixels(folder, task, classes=("soil", "leaf", "stem"), **options):
    """A run folder of a task with an output per pixel: three seeds, three epochs."""
    segmentation = task == "segmentation"
    if segmentation:
        options = {"data": "folders:a,b", "ignore_index": 255} | options
    make(folder, classes, **{"task": task, "data": "scenes", "model": "unet"} | options)
    config = Config.read(folder)
    lines = []
    for arm in config.arms:
        for seed in config.seeds:
            for epoch in range(1, config.epochs + 1):
                good = 0.1 * epoch + BETTER[arm] * (1 + 0.1 * seed) + 0.01 * seed
                measured = {"test_iou": good, "test_pixel_accuracy": 0.5 + good, "test_boundary_f1": good / 2}
                if not segmentation:
                    measured = {"test_l1": 20 - 10 * good, "test_psnr": 20 + 10 * good, "test_ssim": good}
                of_run = {"arm": arm, "seed": seed, "epoch": epoch, "train_loss": 1 - good, "test_loss": 1 - good}
                lines.append({**of_run, "mixed_accuracy": good, "seconds": 1.0, "step_ms": 10.0, **measured})
    for i in range(len(config.arms)):
        for seed in config.seeds:
            predicted = np.where(MASKS == 1, 2 if i == 1 and seed == 0 else 1, 0).astype(np.uint8)
            targets = MASKS if segmentation else IMAGES
            answers = predicted if segmentation else IMAGES // (i + 1)
            kept = {"predicted": answers, "targets": targets, "images": IMAGES}
            np.savez_compressed(folder / "runs" / f"{i}-s{seed}.npz", **kept)
    return sign(folder, lines)


def written(folder):
    """The HTML of the report, and its visible text."""
    html = report.write(folder).read_text(encoding="utf-8")
    body = re.sub(r"(?s)<style>.*?</style>", "", html)
    return html, " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def table(html):
    """The cells of the table of numbers, by arm."""
    body = re.search(r"(?s)<tbody>(.*?)</tbody>", html).group(1)
    rows = [re.findall(r"(?s)<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"(?s)<tr.*?</tr>", body)]
    cells = [[" ".join(unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in row] for row in rows]
    return {row[0]: row[1:] for row in cells}


def keep(folder, wanted):
    """Keep only the given lines in epochs.jsonl."""
    path = folder / "epochs.jsonl"
    lines = [each for each in path.read_text().splitlines(keepends=True) if wanted(json.loads(each))]
    path.write_text("".join(lines))


# --- the numbers ---


def test_numbers_are_those_of_the_last_epoch(tmp_path):
    html, text = written(make(tmp_path))
    rows = table(html)
    assert list(rows) == list(ARMS)
    # 95 % by Student's t with 2 degrees of freedom: 4.302653 s / sqrt(3); for none s = 0.02
    assert rows["none"] == ["82.00 ± 4.97", "1.180 ± 0.050", "8.20 ± 0.50", "82.0 (70.0 to 99.0)", "3"]
    # cutmix - none, seed by seed: 0.05, 0.06, 0.05
    assert rows["cutmix(alpha=1.0)"][:4] == [
        "87.33 ± 5.17 +5.33 ± 1.43",
        "1.127 ± 0.052 −0.053 ± 0.014",
        "8.73 ± 0.52 +0.53 ± 0.14",
        "88.0 (50.0 to 93.0) +6.0",
    ]
    assert "After the last epoch, epoch 3" in text


def test_verdict_states_the_difference_and_its_significance(tmp_path):
    _, text = written(make(tmp_path))
    assert (
        "cutmix(alpha=1.0) was 5.33 percentage points more accurate than none: 95 % interval +3.90 to +6.77 over 3 "
        "seeds, which excludes 0." in text
    )
    # mixup - none: 0.01, -0.02, 0.02
    assert (
        "mixup(alpha=0.2) was 0.33 percentage points more accurate than none: 95 % interval −4.84 to +5.50 over 3 "
        "seeds, which includes 0: no difference is shown." in text
    )


def test_the_best_epoch_is_never_reported(tmp_path):
    _, text = written(make(tmp_path))
    best = [f"{100 * max(seeds[seed]):.2f}" for seeds in ACCURACY.values() for seed in seeds]
    means = [f"{100 * np.mean([max(epochs) for epochs in seeds.values()]):.2f}" for seeds in ACCURACY.values()]
    assert not [number for number in best + means if number in text]
    assert "best" not in text


def test_a_worse_arm_is_called_worse(tmp_path, monkeypatch):
    monkeypatch.setitem(ACCURACY, "cutmix(alpha=1.0)", {seed: (0.9, 0.9, 0.7 + 0.01 * seed) for seed in range(3)})
    html, text = written(make(tmp_path))
    assert (
        "cutmix(alpha=1.0) was 11.00 percentage points less accurate than none: 95 % interval −13.48 to −8.52" in text
    )
    assert "which excludes 0." in text
    assert table(html)["cutmix(alpha=1.0)"][0].endswith("−11.00 ± 2.48")


def test_equal_arms_are_called_equal(tmp_path, monkeypatch):
    monkeypatch.setitem(ACCURACY, "cutmix(alpha=1.0)", ACCURACY["none"])
    assert (
        "cutmix(alpha=1.0) was as accurate as none with each of 3 seeds: too coarse a test for an interval"
        in written(make(tmp_path))[1]
    )


def test_training_accuracy_is_labeled_as_mixed(tmp_path):
    html, text = written(make(tmp_path))
    assert "Training accuracy against the mixed label, %" in text
    words = re.findall(r'aria-label="(Training accuracy against the mixed label[^"]*)"', html)
    assert words == [
        "Training accuracy against the mixed label % by epoch: none from 35.5 to 41; "
        "mixup(alpha=0.2) from 30.5 to 41.17; cutmix(alpha=1.0) from 25.5 to 43.67."
    ]
    assert not re.search(
        r"(?i)training accuracy(?! against the mixed label|\s+is counted against the mixed label)", text
    )


def test_curves_are_the_means_of_the_epochs(tmp_path):
    html, _ = written(make(tmp_path))
    chart = re.search(r'(?s)<svg[^>]*aria-label="Test accuracy.*?</svg>', html).group()
    marks = re.findall(r'y="([\d.]+)" text-anchor="end">(\d+)<', chart)
    (y0, v0), (y1, v1) = ((float(y), float(v)) for y, v in (marks[0], marks[-1]))
    for points, seeds in zip(
        re.findall(r'<polyline class="curve" points="([^"]+)"', chart), ACCURACY.values(), strict=True
    ):
        drawn = [float(point.split(",")[1]) for point in points.split()]
        values = [v0 + (y + 4 - y0) * (v1 - v0) / (y1 - y0) for y in drawn]
        assert values == pytest.approx(100 * np.mean(list(seeds.values()), axis=0), abs=0.2)


def test_confusions_are_in_percent_of_the_class_over_all_seeds(tmp_path):
    _, text = written(make(tmp_path))
    assert text.count("bag taken for coat, 67 % coat taken for bag, 50 % bag taken for boot, 33 %") == 3
    # confidence e^4 / (e^4 + 2) = 0.9647, right in 2 of 6
    assert text.count("Confidence is on average 63.1 points above the accuracy.") == 3


def test_rare_confusions_keep_a_digit_and_perfect_arms_are_mentioned(tmp_path):
    folder = make(tmp_path)
    labels = np.zeros(500, np.int64)
    for seed in range(3):
        logits = np.tile(np.float32([1, 0, 0]), (500, 1))
        np.savez(folder / "runs" / f"0-s{seed}.npz", logits=logits, labels=labels)
        logits[0] = (0, 1, 0)
        np.savez(folder / "runs" / f"1-s{seed}.npz", logits=logits, labels=labels)
    _, text = written(sign(folder))
    assert "No mistakes." in text
    assert "coat taken for bag, 0.2 %" in text


# --- the warnings ---


def test_one_seed_proves_nothing(tmp_path):
    html, text = written(make(tmp_path, seeds=(1,)))
    assert "One seed proves nothing" in text
    assert (
        "was 6.00 percentage points more accurate than none with seed 1, the only one that both have finished." in text
    )
    assert table(html)["cutmix(alpha=1.0)"][0] == "88.00 +6.00"
    assert "nan" not in text.lower()


def test_several_seeds_give_no_warning(tmp_path):
    assert "One seed" not in written(make(tmp_path))[1]


def test_a_short_run_is_too_short(tmp_path):
    _, text = written(make(tmp_path))
    assert "Too short to judge mixing, which pays late: a run is 9 optimizer steps long, fewer than 20,000." in text


@pytest.mark.parametrize(("threshold", "short"), [(9, False), (10, True)])
def test_the_threshold_is_in_steps(tmp_path, monkeypatch, threshold, short):
    assert results.STEPS_TO_JUDGE == 20_000
    monkeypatch.setattr(results, "STEPS_TO_JUDGE", threshold)
    assert ("Too short" in written(make(tmp_path))[1]) == short


def test_unfinished_runs_are_named_and_left_out(tmp_path):
    folder = make(tmp_path)
    keep(folder, lambda each: (each["arm"], each["seed"]) != (ARMS[2], 1) or each["epoch"] < 3)
    (folder / "runs" / "0-s2.npz").unlink()
    html, text = written(folder)
    assert (
        "Not finished, and left out of the table and of every interval: none, seed 2 (3 of 3 epochs); "
        "cutmix(alpha=1.0), seed 1 (2 of 3 epochs)." in text
    )
    rows = table(html)
    assert [row[-1] for row in rows.values()] == ["2", "3", "2"]
    assert rows["none"][0].startswith("81.00 ±")
    assert rows["cutmix(alpha=1.0)"][0].endswith("+5.00")
    assert "One seed proves nothing" in text


def test_an_arm_without_a_finished_run_is_mentioned(tmp_path):
    folder = make(tmp_path)
    keep(folder, lambda each: each["arm"] != ARMS[1] or each["epoch"] == 1)
    html, text = written(folder)
    assert table(html)[ARMS[1]] == ["–"] * 4 + ["0"]
    assert "mixup(alpha=0.2) cannot be compared with none yet: no seed is finished in both." in text
    assert "No run is finished." in text


def test_a_run_without_finished_arms_has_a_report(tmp_path):
    folder = make(tmp_path)
    keep(folder, lambda each: each["epoch"] == 1 and each["arm"] == "none" and each["seed"] == 2)
    html, text = written(folder)
    assert [row[-1] for row in table(html).values()] == ["0", "0", "0"]
    assert "seed 2 (1 of 3 epochs)" in text


@pytest.mark.parametrize(("arms", "said"), [(ARMS[1:], "None of the arms is none"), (ARMS[:1], "The only arm is none")])
def test_without_two_arms_there_is_no_verdict(tmp_path, arms, said):
    _, text = written(make(tmp_path, arms=arms))
    assert said in text
    assert "accurate than" not in text


# --- tasks with an output per pixel ---


def test_segmentation_is_judged_by_mean_iou(tmp_path):
    html, text = written(make_pixels(tmp_path, "segmentation"))
    assert "were compared: segmentation by unet on folders:a,b, 3 epochs" in text
    # cutmix - none: 5, 5.5, 6 points; mixup - none: -2, -2.2, -2.4
    assert (
        "cutmix(alpha=1.0) was 5.50 percentage points better in mean IoU than none: 95 % interval +4.26 to +6.74 over "
        "3 seeds, which excludes 0." in text
    )
    assert (
        "mixup(alpha=0.2) was 2.20 percentage points worse in mean IoU than none: 95 % interval −2.70 to −1.70" in text
    )
    heads = re.findall(r'(?s)<th scope="col">(.*?)</th>', html)
    assert [" ".join(unescape(re.sub("<[^>]+>", " ", head)).split()) for head in heads] == [
        "Arm", "Mean IoU, % more is better", "Pixel accuracy, % more is better", "Boundary F1, % more is better",
        "Test loss less is better", "Time per step, ms", "Seeds",
    ]  # fmt: skip
    assert table(html)["cutmix(alpha=1.0)"][:4] == [
        "36.50 ± 3.73 +5.50 ± 1.24",
        "86.50 ± 3.73 +5.50 ± 1.24",
        "18.25 ± 1.86 +2.75 ± 0.62",
        "0.635 ± 0.037 −0.055 ± 0.012",
    ]
    assert "counted against the mixed mask" in text
    assert len(re.findall("<svg[^>]*role=.img.", html)) == 3


def test_a_lower_error_is_better(tmp_path):
    html, text = written(make_pixels(tmp_path, "image2image"))
    # L1 of cutmix - none: -0.5, -0.55, -0.6; of mixup - none: 0.2, 0.22, 0.24
    assert (
        "cutmix(alpha=1.0) was 0.55 grey levels nearer to the truth than none: 95 % interval +0.43 to +0.67 over 3 "
        "seeds, which excludes 0." in text
    )
    assert "mixup(alpha=0.2) was 0.22 grey levels farther from the truth than none: 95 % interval −0.27" in text
    assert table(html)["cutmix(alpha=1.0)"][0] == "16.35 ± 0.37 −0.55 ± 0.12"
    verdict = re.search(r'(?s)<code>cutmix\(alpha=1.0\)</code> was.*?cx="([\d.]+)"', html)
    assert float(verdict.group(1)) > 120  # on the side that is called better


def test_equal_errors_are_called_equal(tmp_path, monkeypatch):
    monkeypatch.setitem(BETTER, "cutmix(alpha=1.0)", 0.0)
    assert (
        "cutmix(alpha=1.0) was as near to the truth as none with each of 3"
        in written(make_pixels(tmp_path, "image2image"))[1]
    )


def test_iou_of_each_class_by_arm(tmp_path):
    html, _ = written(make_pixels(tmp_path, "segmentation"))
    tables = re.findall(r'(?s)<table class="rows" aria-label="([^"]*)">(.*?)</table>', html)
    assert [label for label, _ in tables] == [f"Intersection over union of each class, {arm}" for arm in ARMS]
    rows = [re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', body) for _, body in tables]
    assert rows[0] == rows[2] == [("soil", "100.0"), ("leaf", "100.0"), ("stem", "–")]
    assert rows[1] == [
        ("soil", "100.0"),
        ("leaf", "66.7"),
        ("stem", "0.0"),
    ]  # stem predicted as leaf with one of three seeds


def pictures(html, arm):
    """The title and the PNG of each picture of an arm."""
    found = re.findall(r'src="data:image/png;base64,([^"]+)"[^>]* alt="([^"]*)"', html)
    return {alt: base64.b64decode(content) for content, alt in found if arm in alt}


@pytest.mark.parametrize("task", ["segmentation", "image2image"])
def test_pictures_of_predictions(tmp_path, task):
    html, text = written(make_pixels(tmp_path, task))
    assert "What each arm predicts" in text
    assert text.count(", seed 0 ") == 3
    for arm in ARMS:
        fed, predicted = pictures(html, arm)
        assert fed == f"Training images as {arm} mixes them, each with what it is made of and the shares of that."
        assert predicted == f"Test images in columns: what goes in, the truth, and what {arm} predicts."
    shown = [
        pictures(html, arm)[f"Test images in columns: what goes in, the truth, and what {arm} predicts."]
        for arm in ARMS
    ]
    assert shown[0] != shown[1]
    with Image.open(io.BytesIO(shown[0])) as picture:
        assert f'width="{picture.width}" height="{picture.height}" alt="Test images' in html


def test_image_tasks_have_no_class_table(tmp_path):
    html, _ = written(make_pixels(tmp_path, "image2image"))
    assert 'id="details"' not in html
    assert 'id="details"' in written(make_pixels(tmp_path / "other", "segmentation"))[0]


def test_classification_has_no_pictures_of_predictions(tmp_path):
    assert "What each arm predicts" not in written(make(tmp_path))[1]


def test_pictures_are_of_the_first_finished_seed(tmp_path):
    folder = make_pixels(tmp_path, "segmentation")
    (folder / "runs" / "1-s0.npz").unlink()
    keep(folder, lambda each: each["arm"] != "none" or each["epoch"] == 1)
    html, text = written(folder)
    assert "mixup(alpha=0.2) , seed 1" in text
    assert not [alt for alt in pictures(html, "none") if alt.startswith("Test images")]
    assert "No run is finished." in text


def test_names_of_pixel_classes_are_escaped(tmp_path):
    html, _ = written(make_pixels(tmp_path, "segmentation", ("<script>alert(1)</script>", '"onload="x', "\0\n")))
    assert "<script" not in html
    assert '"onload="x' not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


@pytest.mark.parametrize(
    ("task", "other", "said"),
    [
        ("segmentation", {"predicted": MASKS[:2]}, r"got uint8 \(2, 12, 16\) and uint8 \(5, 12, 16\)"),
        ("segmentation", {"predicted": MASKS}, "got a class id beyond 2"),
        ("image2image", {"targets": MASKS}, r"got uint8 \(5, 12, 16, 1\) and uint8 \(5, 12, 16\)"),
    ],
)
def test_damaged_results_of_pixels(tmp_path, task, other, said):
    folder = make_pixels(tmp_path, task)
    path = folder / "runs" / "1-s1.npz"
    np.savez(path, **dict(np.load(path)) | other)
    sign(folder)
    with pytest.raises(LabError, match=f"expected the results of a finished run in .*{said}: restore it"):
        report.write(folder)


def test_a_line_of_another_task_is_damage(tmp_path):
    folder = make_pixels(tmp_path, "segmentation")
    sign(folder, [line("none", 0, 1)])
    with pytest.raises(LabError, match=r"expected a line for each finished epoch .* got no 'test_iou'"):
        report.write(folder)


# --- numbers for programs, several folders ---


def test_the_summary_has_the_numbers_of_the_page(tmp_path):
    folder = make(tmp_path / "a run")
    _, text = written(folder)
    found = json.loads((folder / "summary.json").read_text())
    assert (found["name"], found["judged"], found["steps"]) == ("a run", "test_accuracy", 9)
    assert found["config"] == json.loads((folder / "config.json").read_text())
    none, _, cutmix = found["arms"]
    accuracy = cutmix["measures"]["test_accuracy"]
    assert accuracy["values"] == pytest.approx([85, 88, 89])
    assert (accuracy["mean"], accuracy["half_interval"]) == pytest.approx((87.3333, 5.1716), abs=1e-3)
    assert accuracy["difference"]["seeds"] == [0, 1, 2]
    assert accuracy["difference"]["mean"] == pytest.approx(16 / 3)
    assert none["measures"]["test_accuracy"]["difference"] is None
    assert cutmix["measures"]["step_ms"].items() >= {"median": 88.0, "smallest": 50.0, "largest": 93.0}.items()
    assert cutmix["verdict"] in text
    assert found["warnings"][0] in text


def test_the_table_has_a_line_for_each_run_and_measure(tmp_path):
    folder = make(tmp_path / "a run", seeds=(1,))
    written(folder)
    rows = list(csv.DictReader((folder / "summary.csv").read_text().splitlines()))
    assert len(rows) == 3 * 4
    assert rows[0] == {
        "run": "a run", "arm": "none", "seed": "1", "epoch": "3",
        "measure": "test_accuracy", "unit": "%", "value": "82.0",
    }  # fmt: skip
    assert (
        json.loads((folder / "summary.json").read_text())["arms"][0]["measures"]["test_loss"]["half_interval"] is None
    )


def test_times_have_no_interval(tmp_path):
    html, text = written(make(tmp_path, seeds=(0, 1)))
    assert table(html)["none"][3] == "81.0 (70.0 to 99.0)"
    assert "Times are the median over all epochs and seeds, with the smallest and the largest." in text


def test_several_folders_make_one_report(tmp_path):
    folders = [
        make(tmp_path / "first"),
        make_pixels(tmp_path / "second", "segmentation"),
        make(tmp_path / "third", seeds=(1,)),
    ]
    path = report.write(*folders, out=tmp_path / "all")
    html = path.read_text(encoding="utf-8")
    assert path == tmp_path / "all" / "report.html"
    overview = re.search(r'(?s)<table aria-label="All comparisons">.*?</table>', html).group()
    assert re.findall(r'href="#run-(\d)">(\w+)<', overview) == [
        (number, name) for number, name in (("1", "first"), ("2", "second"), ("3", "third")) for _ in range(3)
    ]
    assert "87.33 ± 5.17" in overview
    assert "Mean IoU" in overview
    names = re.findall(r'id="([^"]+)"', html)
    assert len(names) == len(set(names))
    referred = re.findall(r'(?:aria-labelledby="|href="#)([^"]+)"', html)
    assert set(referred) <= set(names)
    for folder in folders:
        assert not (folder / "report.html").exists()
        single = report.write(folder).read_text(encoding="utf-8")
        for cell in re.findall(r"<td>([^<]*±[^<]*)", single):
            assert cell in html
    summary = json.loads((tmp_path / "all" / "summary.json").read_text())
    assert [each["name"] for each in summary] == ["first", "second", "third"]
    rows = list(csv.DictReader((tmp_path / "all" / "summary.csv").read_text().splitlines()))
    assert {row["run"] for row in rows} == {"first", "second", "third"}


@pytest.mark.parametrize(
    ("count", "out", "sentence"),
    [
        (0, None, "^expected one run folder, or several and a folder for the report, got 0: name --out$"),
        (2, None, "^expected one run folder, or several and a folder for the report, got 2: name --out$"),
        (2, "all", "^expected different run folders, got .*: name each once$"),
    ],
)
def test_folders_that_make_no_report(tmp_path, count, out, sentence):
    folder = make(tmp_path / "run")
    with pytest.raises(LabError, match=sentence):
        report.write(*[folder] * count, out=out and tmp_path / out)


def test_files_that_were_left_out_are_named(tmp_path):
    folder = make(tmp_path)
    left_out = [f"photos/<b>{i}.jpg" for i in range(12)]
    (folder / "data.json").write_text(json.dumps({"classes": CLASSES, "train": 130, "left_out": left_out}))
    html, text = written(sign(folder))
    assert "Files that could not be read were left out, 12 in all: photos/<b>0.jpg, photos/<b>1.jpg" in text
    assert "<b>9.jpg and others, which data.json lists." in unescape(html)
    assert "<b>" not in html


# --- the page ---


def test_names_are_escaped(tmp_path):
    classes = ("<script>alert(1)</script>", '"onload="x', "&amp;{{ 7 * 7 }}")
    folder = make(tmp_path, classes, arms=ARMS[:2], data="<b>&data", model="</style>")
    (folder / "versions.json").write_text(
        json.dumps({"<i>": "<img src=x>", "command": "</pre><script>alert(3)</script>"})
    )
    html, _ = written(folder)
    for markup in ("<script", "<b>", "<i>", "<img src=x", '"onload="x', "</code><script"):
        assert markup not in html
    assert html.count("</style>") == 1
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 0
    for shown in ("<script>alert(1)</script>", "&amp;{{ 7 * 7 }}", "<b>&data", "alert(3)", "<img src=x>"):
        assert shown in unescape(html)


def test_it_needs_no_network(tmp_path):
    html, _ = written(make(tmp_path))
    assert not re.search(r"""(?i)(https?:|//[a-z]|@import|<script|<link|<iframe|url\()""", html)
    assert set(re.findall(r'src="(.{22})', html)) == {"data:image/png;base64,"}


def test_sheets_are_embedded_unchanged(tmp_path):
    folder = make(tmp_path)
    html, _ = written(folder)
    embedded = [base64.b64decode(data) for data in re.findall(r'src="data:image/png;base64,([^"]+)"', html)]
    assert embedded == [(folder / "sheets" / f"{i}.png").read_bytes() for i in range(3)]
    assert html.count('width="40" height="20"') == 3


def test_the_report_has_the_configuration_and_versions(tmp_path):
    folder = make(tmp_path)
    _, text = written(folder)
    assert "mixaug compare --out 'my run'" in text
    assert " ".join((folder / "config.json").read_text().split()) in text
    assert "mixaug 9.8.7 keras 3.0" in text
    assert text.endswith(f"Written by mixaug {mixaug.__version__}.")


def test_it_replaces_an_older_report_completely(tmp_path):
    folder = make(tmp_path)
    (folder / "report.html").write_text("old")
    assert report.write(folder) == folder / "report.html"
    assert (folder / "report.html").read_text(encoding="utf-8").endswith("</html>\n")
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "data.json", "versions.json", "epochs.jsonl", "runs", "sheets", "report.html"),
        *("summary.json", "summary.csv"),
    }


def test_bundled_data_is_described_with_names_and_steps(tmp_path):
    folder = make(tmp_path, train_size=100)
    (folder / "data.json").write_text(load("fashion-mnist-sample", train_size=100).to_json())
    for path in (folder / "runs").iterdir():
        np.savez(path, logits=np.eye(10, dtype=np.float32)[[6, 0]], labels=np.array([0, 0]))
    _, text = written(sign(folder))
    assert "T-shirt/top taken for Shirt, 50 %" in text
    assert "(6 optimizer steps)" in text


# --- errors ---


def damage(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def lines(change):
    """The log with one line, of which training would have written something else."""
    return lambda folder: sign(folder, [line("none", 0, 1) | change])


def other_arm(folder):
    """A line of an arm that is not one of these."""
    (folder / "epochs.jsonl").unlink()
    Log(folder / "epochs.jsonl").append(line("none", 0, 1) | {"arm": "nine"})


def edited(old, new):
    """The log as it is after a person has edited it."""

    def edit(folder):
        text = (folder / "epochs.jsonl").read_text()
        assert old in text
        (folder / "epochs.jsonl").write_text(text.replace(old, new, 1))

    return edit


GOOD = json.dumps(line("none", 0, 1)).encode()
WRITTEN = "expected line 1 of .*epochs.jsonl .*as it was written, got "
DAMAGE = {
    "no folder": (lambda folder: (folder / "config.json").unlink(), "expected a run folder"),
    "config": (damage("config.json", b"{"), "config.json cannot be used"),
    "no epoch": (damage("epochs.jsonl", b""), "expected a finished epoch in .*, got none yet"),
    "no epochs": (lambda folder: (folder / "epochs.jsonl").unlink(), "expected a finished epoch"),
    "no whole line": (damage("epochs.jsonl", GOOD), "expected a finished epoch"),
    "no JSON": (damage("epochs.jsonl", b"x\n"), f"{WRITTEN}text that is something else"),
    "no object": (damage("epochs.jsonl", b"[1]\n"), f"{WRITTEN}text that is something else"),
    "no hash": (damage("epochs.jsonl", GOOD + b"\n"), f"{WRITTEN}text that is something else"),
    "no text": (damage("epochs.jsonl", b"\xff\xfe\n"), f"{WRITTEN}text that is something else"),
    "number": (edited('"test_accuracy": 0.7,', '"test_accuracy": 0.71,'), f"{WRITTEN}one that was changed"),
    "NaN": (edited('"test_accuracy": 0.7,', '"test_accuracy": NaN,'), f"{WRITTEN}one that was changed"),
    "other configuration": (
        lambda folder: (folder / "config.json").write_text(
            (folder / "config.json").read_text().replace('"batch_size": 64', '"batch_size": 65')
        ),
        "expected config.json and data.json in .* as they were when line 1 .* was written, got others",
    ),
    "other data": (
        damage("data.json", json.dumps({"classes": CLASSES, "train": 131}).encode()),
        "expected config.json and data.json in .* as they were when line 1 .* was written, got others",
    ),
    "other arm": (other_arm, "got no .*nine"),
    "no field": (lines({"step_ms": None}), "expected a line for each finished epoch"),
    "not finite": (lines({"test_accuracy": float("nan")}), "got test_accuracy nan"),
    "epoch 9": (lines({"epoch": 9}), "got epoch 9"),
    "gap": (lines({"epoch": 2}), "got epochs 2"),
    "versions": (damage("versions.json", b"[]"), "expected the versions of a run in .*, got a list"),
    "data": (
        lambda folder: ((folder / "data.json").write_bytes(b'{"train": 130}'), sign(folder)),
        "expected the description of the data in .*, got no 'classes'",
    ),
    "no versions": (lambda folder: (folder / "versions.json").unlink(), "got No such file"),
    "sheet": (damage("sheets/1.png", b"no picture"), "expected a PNG of what the arm was fed"),
    "no sheet": (lambda folder: (folder / "sheets/1.png").unlink(), "expected a PNG .*got No such file"),
    "logits": (damage("runs/1-s1.npz", b"PK\x03\x04"), "expected the results of a finished run"),
    "empty logits": (damage("runs/1-s1.npz", b""), "expected the results of a finished run"),
    "other logits": (
        lambda folder: (np.savez(folder / "runs/1-s1.npz", logits=LOGITS[:, :2], labels=LABELS), sign(folder)),
        r"got float32 \(6, 2\)",
    ),
    "one array": (
        lambda folder: (np.savez(folder / "runs/1-s1.npz", logits=LOGITS), sign(folder)),
        "got no .*labels",
    ),
    "exchanged logits": (
        lambda folder: np.savez(folder / "runs/1-s1.npz", logits=LOGITS[::-1], labels=LABELS),
        r"expected the results of a finished run as they were written in .*1-s1.npz, got others: restore it",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_folder_raises_one_sentence_and_writes_no_report(tmp_path, case):
    folder = make(tmp_path)
    harm, sentence = DAMAGE[case]
    harm(folder)
    with pytest.raises(LabError, match=sentence) as caught:
        report.write(folder)
    assert "\n" not in str(caught.value)
    assert not (folder / "report.html").exists()


def test_an_incomplete_line_is_not_an_epoch(tmp_path):
    folder = make(tmp_path)
    _, before = written(folder)
    with (folder / "epochs.jsonl").open("a") as file:
        file.write('{"arm": "no')
    assert written(folder)[1] == before


def test_the_last_run_of_an_epoch_counts(tmp_path):
    folder = make(tmp_path)
    again = line("none", 0, 3) | {"test_accuracy": 0.86}
    Log(folder / "epochs.jsonl").append(again | {"result": of_arrays(arrays_of(folder / "runs" / "0-s0.npz"))})
    assert table(written(folder)[0])["none"][0].startswith("84.00")


def test_a_read_only_folder_raises_one_sentence(tmp_path):
    folder = make(tmp_path)
    (folder / "report.html").mkdir()
    with pytest.raises(LabError, match=r"expected to write .*report\.html"):
        report.write(folder)


def test_the_template_is_in_the_package():
    assert (Path(report.__file__).parent / "report.html.jinja").is_file()
