"""Training: the same start and the same batches for every arm, and the same end however often it was interrupted."""

import errno
import io
import itertools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

keras = pytest.importorskip("keras")

import mixaug as ma  # noqa: E402
from mixaug.epoch import Epoch  # noqa: E402
from mixaug.lab import beyond, estimate, metrics, progress, report, train  # noqa: E402
from mixaug.lab.augment import augment, moved  # noqa: E402
from mixaug.lab.batches import Batches  # noqa: E402
from mixaug.lab.config import Config, read_arm  # noqa: E402
from mixaug.lab.data import load  # noqa: E402
from mixaug.lab.errors import LabError  # noqa: E402
from mixaug.lab.phases import learning_rate, optimizer, phases  # noqa: E402
from mixaug.lab.progress import Live, Progress  # noqa: E402
from mixaug.lab.tasks import TASKS  # noqa: E402
from mixaug.lab.train import Run, compare  # noqa: E402

CONFIG = Config(
    train_size=257,
    arms=("none", "cutmix(alpha=1.0)"),
    model="small",
    weight_decay=0.01,
    augment=("flip", "crop", "brightness"),
    seeds=(3,),
    epochs=2,
)
STEPS = 5  # four batches of 64 and one of a single row
QUICK = replace(CONFIG, train_size=20, arms=("none",), epochs=1, batch_size=10)


class Recorder(Progress):
    def __init__(self):
        self.begun = self.steps = None
        self.lines, self.notes = [], []

    def note(self, text):
        self.notes.append(text)

    def begin(self, total_steps, done_steps):
        self.begun, self.steps = (total_steps, done_steps), []

    def step(self, *args):
        self.steps.append(args)

    def epoch(self, line):
        self.lines.append(line)


class Stop(Progress):
    """Presses Ctrl-C after so many epochs."""

    def __init__(self, epochs):
        self.epochs = epochs

    def epoch(self, line):
        self.epochs -= 1
        if not self.epochs:
            raise KeyboardInterrupt


VARYING = ("seconds", "step_ms", "network", "run", "line")  # times, and hashes of files that hold them or paths


def lines(out):
    return [json.loads(line) for line in (out / "epochs.jsonl").read_text().splitlines()]


def results(out):
    """All numbers of a run but the times."""
    numbers = [{k: v for k, v in line.items() if k not in VARYING} for line in lines(out)]
    files = sorted((out / "runs").glob("*.npz"))
    return numbers, {path.name: {name: x.tobytes() for name, x in np.load(path).items()} for path in files}


def unfinished_files(out):
    return [path for path in out.rglob(".*") if path.is_file()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run without interruption, and what its progress was told."""
    out, recorder = tmp_path_factory.mktemp("whole") / "made" / "here", Recorder()
    compare(CONFIG, out, progress=recorder)
    return out, recorder


@pytest.fixture(scope="module")
def data():
    return load(CONFIG.data, train_size=CONFIG.train_size)


# --- what is trained ---


def test_arms_of_a_seed_start_with_the_same_weights(data, tmp_path):
    weights = [
        np.concatenate([w.ravel() for w in Run(CONFIG, data, tmp_path, index, seed).untrained().get_weights()])
        for index, seed in ((0, 3), (1, 3), (0, 4))
    ]
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("index", "recipe"), [(1, ma.CutMix(alpha=1.0)), pytest.param(0, ma.identity(), marks=pytest.mark.full)]
)
def test_training_is_that_of_a_plain_loop_over_the_batches(whole, data, index, recipe):
    """Every row once an epoch in the order of the seed, augmented alike for both arms, mixed under the step's key."""
    out, _ = whole
    model = Run(CONFIG, data, out, index, 3).untrained()
    for epoch in range(2):
        for step in range(STEPS):
            rows = Epoch(257, 3, epoch).rows(step * 64, step * 64 + 64)
            own = augment(data.train.images[rows], CONFIG.augment, (3, epoch, step)), data.train.targets[rows]
            model.train_on_batch(*ma.mix_batch(recipe, own, key=(3, epoch, step), num_classes=10))
    saved = np.load(out / "runs" / f"{index}-s3.npz")
    logits = model.predict(data.test.images, batch_size=256, verbose=0)
    assert np.abs(logits - saved["logits"]).max() < 1e-3  # the graph of `train_on_batch` rounds otherwise


def test_balanced_classes_weigh_alike(data, tmp_path):
    """Of 30, 20 and 10 images of three classes, each image counts by its class, and a mix by its label."""
    rows = np.concatenate([np.flatnonzero(data.train.targets == c)[:n] for c, n in ((0, 25), (1, 15), (2, 5))])
    few = replace(data, classes=("a", "b", "c"), train=data.train.take(rows))
    weights = np.array([45 / 75, 45 / 45, 45 / 15])
    for index in range(2):
        config = replace(CONFIG, class_weights="balanced")
        for batch in range(1):
            _, labels, sample_weight = Batches(config, few, config.read_arms()[index], 3)[batch]
            assert np.allclose(sample_weight, labels @ weights)
    assert len(Batches(CONFIG, few, CONFIG.read_arms()[0], 3)[0]) == 2
    of_all = [weights[label] for label in few.train.targets]
    assert np.mean(of_all) == pytest.approx(1)


def test_class_weights_count_in_the_loss(data, tmp_path):
    """The loss of a step is the mean of the losses of its images, each times the weight of its label."""
    rows = np.concatenate([np.flatnonzero(data.train.targets == c)[:n] for c, n in ((0, 25), (1, 5))])
    few = replace(data, classes=("a", "b"), train=data.train.take(rows))
    config = replace(CONFIG, class_weights="balanced", arms=("cutmix",), weight_decay=0.0)
    run = Run(config, few, tmp_path, 0, 3)
    model = run.untrained()
    images, labels, weights = run.batches[0]
    logits = model(images, training=True)  # with the statistics of the batch, as in a step
    each = keras.ops.convert_to_numpy(keras.losses.categorical_crossentropy(labels, logits, from_logits=True))
    fitted = run.untrained().fit(run.batches, epochs=1, shuffle=False, verbose=0).history["loss"][0]
    assert fitted == pytest.approx(float(np.mean(each * weights)), rel=1e-4)
    assert abs(np.mean(each) - np.mean(each * weights)) > 1e-3


def test_class_weights_belong_to_classification(folders, tmp_path):
    config = replace(of_pixels(folders, "segmentation"), class_weights="balanced")
    with pytest.raises(LabError, match=r"^expected --class-weights with classification alone, got segmentation: leave"):
        compare(config, tmp_path / "run")


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_kernels_decay_and_nothing_else_does(name):
    made = optimizer(replace(CONFIG, optimizer=name, weight_decay=0.5, warmup=0, learning_rate=0.1), STEPS)
    layers = [keras.layers.Dense(2, bias_initializer="ones"), keras.layers.BatchNormalization(beta_initializer="ones")]
    model = keras.Sequential([keras.Input((3,)), *layers])
    before = {v.path: keras.ops.convert_to_numpy(v) for v in model.trainable_variables}
    made.apply([keras.ops.zeros_like(v) for v in model.trainable_variables], model.trainable_variables)
    for v in model.trainable_variables:
        factor = 1 - 0.5 * 0.1 if v.name == "kernel" else 1.0
        assert np.allclose(v, before[v.path] * factor, atol=1e-7), v.path


def test_optimizers():
    adam, sgd = (optimizer(replace(CONFIG, optimizer=name), STEPS) for name in ("adam", "sgd"))
    assert isinstance(adam, keras.optimizers.Adam)
    assert isinstance(sgd, keras.optimizers.SGD)
    assert (sgd.momentum, sgd.nesterov) == (0.9, True)


def test_learning_rate_rises_then_follows_a_cosine():
    config = Config(learning_rate=0.2, warmup=0.5, epochs=2)
    rate = learning_rate(config, 10)
    rises = [0.04 + 0.16 * i / 5 for i in range(5)]
    falls = [0.1 * (1 + math.cos(math.pi * i / 15)) for i in range(15)]
    assert [float(rate(step)) for step in range(20)] == pytest.approx(rises + falls, abs=1e-6)


@pytest.mark.parametrize(
    ("warmup", "rates"), [(0, [0.2] * 6), (1, [0.2 / 3, 0.2 / 3 + 0.4 / 9, 0.2 / 3 + 0.8 / 9] + [0.2] * 3)]
)
def test_constant_learning_rate(warmup, rates):
    rate = learning_rate(Config(learning_rate=0.2, schedule="constant", warmup=warmup, epochs=2), 3)
    assert [float(rate(step)) for step in range(6)] == pytest.approx(rates)


def test_warmup_may_fill_all_epochs():
    rate = learning_rate(Config(learning_rate=0.2, warmup=2, epochs=2), 3)
    assert [float(rate(step)) for step in range(5)] == sorted(float(rate(step)) for step in range(5))


# --- what is written ---


def test_lines(whole):
    out, recorder = whole
    assert lines(out) == recorder.lines
    places = [(line["arm"], line["seed"], line["epoch"]) for line in lines(out)]
    assert places == [(arm, 3, epoch) for arm in CONFIG.arms for epoch in (1, 2)]
    fields = "arm seed epoch learning_rate train_loss mixed_accuracy test_loss test_accuracy test_ece seconds step_ms"
    for line in lines(out):
        result = ["result"] * (line["epoch"] == 2)
        assert list(line) == [*fields.split(), *result, "network", "run", "line"]
        assert line["learning_rate"] == pytest.approx(
            {1: 0.00084, 2: 0.5e-3 * (1 + math.cos(0.8 * math.pi))}[line["epoch"]]
        )
        assert 0 < line["mixed_accuracy"] < 1
        assert 0 < line["step_ms"] < 1000 * line["seconds"]


@pytest.mark.parametrize(("ends", "step_ms"), [([100, 103, 104, 106], 2000), ([100, 103], 3000), ([100], 100_000)])
def test_tracing_is_not_in_the_time_of_a_step(data, tmp_path, monkeypatch, ends, step_ms):
    """The first step traces, and counts only where it is alone; the clock is ours."""
    monkeypatch.setattr(train, "perf_counter", iter([0, *ends]).__next__)
    watch = train.Watch(Run(CONFIG, data, tmp_path, 0, 3), Recorder())
    watch._progress.begin(len(ends), 0)
    watch.on_epoch_begin(0)
    for batch in range(len(ends)):
        watch.on_train_batch_end(batch, {"loss": 1.0})
    assert watch.step_ms == step_ms


def test_last_line_is_of_the_logits(whole, data):
    out, _ = whole
    for index, line in enumerate(lines(out)[1::2]):
        saved = np.load(out / "runs" / f"{index}-s3.npz")
        logits, labels = saved["logits"], saved["labels"]
        assert (logits.dtype, logits.shape, labels.dtype) == (np.float32, (2000, 10), np.int64)
        assert np.array_equal(labels, data.test.targets)
        assert line["test_loss"] == metrics.log_loss(logits, labels)
        assert line["test_accuracy"] == metrics.accuracy(logits, labels) > 0.2
        assert line["test_ece"] == metrics.calibration_error(metrics.softmax(logits), labels)


def test_saved_network_gives_the_logits(whole, data):
    out, _ = whole
    model = keras.saving.load_model(out / "runs" / "1-s3.keras", compile=False)
    logits = model.predict(data.test.images, batch_size=256, verbose=0)
    assert np.array_equal(logits, np.load(out / "runs" / "1-s3.npz")["logits"])


def test_folder(whole):
    out, _ = whole
    assert Config.read(out) == CONFIG
    names = ["config.json", "data.json", "epochs.jsonl", "versions.json"]
    names += [f"runs/{i}-s3.{kind}" for i in range(2) for kind in ("keras", "npz")] + [
        f"sheets/{i}.png" for i in range(2)
    ]
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file()) == sorted(names)
    versions = json.loads((out / "versions.json").read_text())
    assert versions["keras"] == keras.__version__
    assert versions[versions["backend"]]
    assert set(versions) >= {"mixaug", "numpy", "python", "platform", "processors", "command"}


def test_progress(whole):
    _, recorder = whole
    assert recorder.begun == (2 * 2 * STEPS, 0)
    assert recorder.steps == [(arm, 3, epoch, 2) for arm in CONFIG.arms for epoch in (1, 2) for _ in range(STEPS)]


# --- the head first, partners of the whole dataset, the estimate ---

HEAD = replace(QUICK, arms=("none", "flip+brightness: cutmix"), augment=(), epochs=3, head_epochs=1, warmup=0.0)


@pytest.fixture(scope="module")
def headed(tmp_path_factory):
    """A run that trains its head first, and what its progress was told."""
    out, recorder = tmp_path_factory.mktemp("headed") / "run", Recorder()
    compare(HEAD, out, progress=recorder)
    return out, recorder


def test_phases_of_a_training():
    config = Config(epochs=5, head_epochs=2, learning_rate=0.1, fine_tune_rate=0.02, warmup=1.0)
    alone, tail = phases(config)
    assert (alone.first, alone.frozen, tail.first, tail.frozen) == (0, True, 2, False)
    assert [float(learning_rate(alone.config, 10)(step)) for step in (0, 19)] == pytest.approx([0.1, 0.1])
    rates = [float(learning_rate(tail.config, 10)(step)) for step in (0, 9, 10, 29)]
    assert rates == pytest.approx([0.002, 0.0182, 0.02, 0.01 * (1 + math.cos(math.pi * 19 / 20))], abs=1e-6)
    plain = Config(epochs=5)
    assert phases(plain) == [(0, plain, False)]


def test_only_the_head_learns_in_its_epochs_then_everything_does(data, tmp_path):
    """A plain loop: SGD on the last layer of the frozen network, then fresh SGD on all of it, at the other rate."""
    config = replace(HEAD, optimizer="sgd", momentum=0.0, learning_rate=0.01, fine_tune_rate=0.001, schedule="constant")
    config = replace(config, weight_decay=0.0)
    compare(config, tmp_path / "run")
    small = load(config.data, train_size=20)
    model = Run(config, small, tmp_path, 1, 3).untrained()
    start = [w.copy() for w in model.get_weights()]
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    for epoch in range(3):
        for layer in model.layers:
            layer.trainable = epoch > 0 or layer.name == "logits"
        if epoch < 2:
            model.compile(keras.optimizers.SGD(0.01 if epoch == 0 else 0.001), loss, jit_compile=False)
        for step in range(2):
            rows, key = Epoch(20, 3, epoch).rows(step * 10, step * 10 + 10), (3, epoch, step)
            own = augment(small.train.images[rows], ("flip", "brightness"), key), small.train.targets[rows]
            model.train_on_batch(*ma.mix_batch(ma.CutMix(), own, key=key, num_classes=10))
        if epoch == 0:
            frozen = [np.array_equal(a, b) for a, b in zip(start, model.get_weights(), strict=True)]
            assert frozen == [True] * (len(start) - 2) + [False] * 2
    trained = keras.saving.load_model(tmp_path / "run" / "runs" / "1-s3.keras", compile=False)
    for own, other in zip(trained.get_weights(), model.get_weights(), strict=True):
        assert np.allclose(own, other, atol=1e-5)


def test_rates_and_files_of_a_run_with_head_epochs(headed):
    out, _ = headed
    rates = [line["learning_rate"] for line in lines(out)]
    tail = [5e-5 * (1 + math.cos(part * math.pi)) for part in (0.25, 0.75)]
    assert rates[:3] == pytest.approx([1e-3, *tail])
    assert rates[3:] == rates[:3]
    assert sorted(path.name for path in (out / "runs").iterdir()) == [
        "0-s3.keras",
        "0-s3.npz",
        "1-s3.keras",
        "1-s3.npz",
    ]


@pytest.mark.full
@pytest.mark.parametrize("epochs", [1, 2])
def test_stopped_after_the_head_and_after_an_epoch_of_all_it_ends_with_the_same_bits(headed, tmp_path, epochs):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        compare(HEAD, out, progress=Stop(epochs))
    assert [path.name for path in (out / "runs").iterdir()] == ["0-s3.keras"]
    recorder = Recorder()
    compare(HEAD, out, resume=True, progress=recorder)
    assert recorder.begun == (2 * 3 * 2, 2 * epochs)
    assert results(out) == results(headed[0])


def test_arms_of_a_seed_are_fed_the_same_rows_augmented_each_in_its_way(data):
    plain, flipped, both = (
        Batches(CONFIG, data, read_arm(arm, ("crop",)), 3).unmixed(1).given
        for arm in ("none: cutmix", "flip:", "flip+crop: mixup")
    )
    rows = Epoch(257, 3, 0).rows(64, 128)
    assert np.array_equal(plain.images, data.train.images[rows])
    assert np.array_equal(flipped.images, augment(plain.images, ("flip",), (3, 0, 1)))
    assert np.array_equal(both.images, augment(flipped.images, ("crop",), (3, 0, 1)))
    assert np.array_equal(both.targets, plain.targets)


def test_partners_of_the_whole_dataset_are_augmented_rows_of_it(data):
    """Base samples are those of partners="batch"; the label of each mix is the pixels of its rows of the dataset."""
    config, arm = replace(CONFIG, partners="dataset"), read_arm("flip: mixup(alpha=1.0, sources=3)")
    batches = Batches(config, data, arm, 3)
    batch = batches.unmixed(1)
    index = Epoch(257, 3, 0).sources(64, 128, 3)
    assert np.array_equal(batch.sources, np.arange(3 * 64).reshape(3, 64))
    assert np.array_equal(batch.given.targets, data.train.targets[index.ravel()])
    own = Batches(CONFIG, data, arm, 3).unmixed(1)
    assert np.array_equal(batch.given.images[:64], own.given.images)
    assert own.sources is None
    images, labels = batches[1]
    mix = arm.recipe.draw(64, size=(28, 28), key=(3, 0, 1), index=batch.sources)
    assert np.array_equal(images, mix.images(own.given.images, source=batch.given.images))
    assert np.allclose(labels, np.einsum("kn,knc->nc", mix.lam, np.eye(10)[data.train.targets[index]]), atol=1e-6)


def test_the_estimate_is_of_what_is_left(headed):
    """Runs are traced once a phase, and evaluated after each epoch."""
    run = Run(HEAD, load(HEAD.data, train_size=20), headed[0], 0, 3)
    assert estimate.left_of(run, 0) == [(1, 2), (2, 2)]
    assert estimate.left_of(run, 1) == [(0, 2), (2, 2)]
    assert estimate.left_of(run, 2) == [(0, 2), (1, 2)]
    assert estimate.left_of(run, 3) == [(0, 2), (0, 2)]
    head, tail = estimate.Pace(1.0, 10.0, 100.0), estimate.Pace(2.0, 20.0, 200.0)
    assert estimate.total(estimate.left_of(run, 0), [head, tail]) == (2 + 100 + 10) + (2 * (4 + 200) + 20)
    assert estimate.total(estimate.left_of(run, 1), [head, tail]) == 2 * (4 + 200) + 20


def test_the_estimate_has_the_measures_of_each_run_in_it(data, tmp_path):
    """Of 2,000 test images 1,000 are corrupted in 25 ways, and 500 attacked by 1 and 20 steps and looked at twice."""
    config = replace(CONFIG, measures=("corruptions", "attacks"))
    run = Run(config, data, tmp_path, 0, 3)
    pace = estimate.Pace(step=0.64, first=0.0, evaluation=20.0)
    forward, backward = 25 * 1000 + 2 * 500, 21 * 500
    assert estimate.beyond_accuracy(run, pace) == pytest.approx(forward * 20 / 2000 + backward * 0.64 / 64)
    assert estimate.beyond_accuracy(replace(run, config=CONFIG), pace) == 0


def test_the_estimate_is_told_before_training_and_only_while_there_is_something_to_train(headed, whole, tmp_path):
    for _, recorder in (headed, whole):
        assert len(recorder.notes) == 1
    assert re.fullmatch(
        r"about \d:\d\d:\d\d and \d+\.\d GiB of memory at the peak, by 10 measured steps "
        r"\(\d+ ms each and \d+ ms each, \d+\.\d s to evaluate; \d+ threads\)",
        headed[1].notes[0],
    )
    recorder = Recorder()
    compare(HEAD, headed[0], resume=True, progress=recorder)
    assert recorder.notes == []


def test_measuring_leaves_the_network_and_its_optimizer_as_they_were(data, tmp_path):
    run = Run(CONFIG, data, tmp_path, 1, 3)
    model = run.untrained()
    model.optimizer.build(model.trainable_variables)
    model.fit(run.batches, epochs=1, shuffle=False, verbose=0)
    variables = [*model.variables, *model.optimizer.variables]
    before = [np.array(v) for v in variables]
    told = estimate.measured(model, [run], [1])
    assert told.seconds > 0
    assert all(np.array_equal(value, np.array(v)) for value, v in zip(before, variables, strict=True))
    assert int(model.optimizer.iterations) == STEPS


def test_measuring_a_fresh_network_leaves_no_moments_in_its_optimizer(data, tmp_path):
    run = Run(CONFIG, data, tmp_path, 1, 3)
    model = run.untrained()
    before = model.get_weights()
    estimate.measured(model, [run], [0])
    assert all(map(np.array_equal, before, model.get_weights()))
    rate, *moments = [v for v in model.optimizer.variables if "learning_rate" not in v.path]
    assert len(moments) > 10
    assert not any(np.any(v) for v in [rate, *moments])


@pytest.mark.full
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_those_of_the_configuration(tmp_path, threads):
    script = SCRIPT + "\nimport tensorflow as tf; print(tf.config.threading.get_intra_op_parallelism_threads())"
    config = replace(QUICK, threads=threads).to_json()
    command = [sys.executable, "-c", script, tmp_path / "run", config, "-1"]
    assert subprocess.run(command, capture_output=True, text=True).stdout == f"{threads}\n"


def test_threads_that_the_backend_cannot_have_any_more_are_refused(tmp_path):
    config = replace(QUICK, threads=QUICK.threads + 1)
    with pytest.raises(
        LabError, match=rf"expected --threads {QUICK.threads} of tensorflow here, got {config.threads}: le"
    ):
        compare(config, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "resnet5"}, "expected a model ("),
        ({"weights": "nowhere.h5"}, "got nowhere.h5: no such file"),
        ({"weights": "imagenet"}, "expected --weights imagenet with a network of keras.applications"),
        ({"model": "ResNet50", "image_size": 20}, "expected a size that ResNet50 takes, got 20x20"),
        ({"model": "nowhere:network"}, "No module named 'nowhere'"),
    ],
)
def test_the_network_is_checked_before_data_are_read(tmp_path, change, said):
    """The folder of the images does not exist, and is not what the sentence is about."""
    with pytest.raises(LabError) as caught:
        compare(replace(QUICK, data="folder:/nowhere/at/all", **change), tmp_path / "run")
    assert said in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_another_file_of_weights_on_resume_is_refused(tmp_path):
    for seed, name in ((1, "start"), (2, "other")):
        run = Run(replace(QUICK, seeds=(seed,)), load(QUICK.data, train_size=20), tmp_path, 0, seed)
        run.untrained().save_weights(tmp_path / f"{name}.weights.h5")
    config, out = replace(QUICK, weights=str(tmp_path / "start.weights.h5")), tmp_path / "run"
    compare(config, out)
    shutil.move(tmp_path / "start.weights.h5", tmp_path / "first.weights.h5")
    shutil.copy(tmp_path / "other.weights.h5", tmp_path / "start.weights.h5")
    with pytest.raises(
        LabError, match=r"^expected the weights that .* began with, got others: restore .*start\.weights"
    ):
        compare(config, out, resume=True)
    shutil.copy(tmp_path / "first.weights.h5", tmp_path / "start.weights.h5")
    compare(config, out, resume=True)


# --- measures beyond accuracy ---


def test_what_is_measured_beyond_accuracy_is_in_the_last_line_and_on_the_page(tmp_path):
    names = ("brier", "occlusion", "calibration")
    config = replace(QUICK, arms=("none", "cutmix"), epochs=2, seeds=(0, 1), test_size=50, measures=names)
    out = tmp_path / "run"
    compare(config, out)
    fields = [measure.field for measure in beyond.measures(names)]
    for line in lines(out):
        assert [field in line for field in fields] == [line["epoch"] == 2] * 6
    saved = np.load(out / "runs" / "1-s0.npz")
    found = next(line for line in lines(out) if (line["arm"], line["seed"], line["epoch"]) == ("cutmix", 0, 2))
    p = metrics.softmax(saved["logits"])
    assert found["brier"] == beyond.brier(p, saved["labels"])
    assert found["overconfidence"] == metrics.overconfidence(p, saved["labels"])
    page = report.write(out).read_text()
    assert "Beyond accuracy" in page
    assert all(beyond.BEYOND[name].meaning[:60] in page for name in names)
    summary = json.loads((out / "summary.json").read_text())
    arm = next(arm for arm in summary["arms"] if arm["arm"] == "cutmix")
    values = [line["brier"] for line in lines(out) if line["epoch"] == 2]
    assert arm["measures"]["brier"]["values"] == values[1::2]
    assert arm["measures"]["brier"]["difference"]["mean"] == pytest.approx(np.mean(values[1::2]) - np.mean(values[::2]))


def test_measures_are_of_classifiers():
    with pytest.raises(LabError, match="expected --measures to be left out with --task segmentation, got"):
        Config(task="segmentation", measures=("brier",))


# --- interrupted ---

SCRIPT = """
import os, signal, sys
from pathlib import Path
from mixaug.lab.config import Config
from mixaug.lab.phases import learning_rate, optimizer, phases  # noqa: E402
from mixaug.lab.progress import Progress
from mixaug.lab.train import compare

class Kill(Progress):
    left = int(sys.argv[3])
    def step(self, *args):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)

out = Path(sys.argv[1])
compare(Config.from_json(sys.argv[2]), out, resume=out.exists(), progress=Kill())
"""


def start(out, steps=-1):
    """Train in a process of its own, which kills itself after so many steps."""
    command = [sys.executable, "-c", SCRIPT, out, CONFIG.to_json(), str(steps)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


@pytest.mark.full
def test_killed_and_resumed_ends_with_the_same_bits(whole, tmp_path):
    out = tmp_path / "run"
    process = start(out)
    while not (out / "epochs.jsonl").exists() or not (out / "epochs.jsonl").stat().st_size:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert results(out) != results(whole[0])

    assert start(out, steps=STEPS + 2).wait() == -signal.SIGKILL  # in the middle of an epoch
    assert results(out) != results(whole[0])
    (out / "runs" / ".mixaug-0123456789abcdef.keras").write_bytes(b"half of")  # of a kill while it was written

    recorder = Recorder()
    compare(CONFIG, out, resume=True, progress=recorder)
    total, done = recorder.begun
    assert 0 < done == total - len(recorder.steps)
    assert results(out) == results(whole[0])
    assert not unfinished_files(out)


def interrupt(*_):
    raise KeyboardInterrupt


def interrupt_writing(monkeypatch, suffix, times):
    """Press Ctrl-C when a file of that kind is half written for the n-th time."""
    write, left = train.write, [times]

    def half(unfinished):
        unfinished.write_bytes(b"half of")
        raise KeyboardInterrupt

    def interrupted(path, fill):
        left[0] -= path.suffix == suffix
        write(path, half if path.suffix == suffix and not left[0] else fill)

    monkeypatch.setattr(train, "write", interrupted)


MOMENTS = ["before the second"]
MORE = ["before the logits", "before the first line", "before the first checkpoint", "after it"]


@pytest.mark.parametrize("moment", [*MOMENTS, *(pytest.param(moment, marks=pytest.mark.full) for moment in MORE)])
def test_interrupted_and_resumed_ends_with_the_same_bits(whole, tmp_path, moment, monkeypatch):
    config, progress = replace(CONFIG, arms=CONFIG.arms[:1]), Progress()
    with monkeypatch.context() as patch:
        match moment:
            case "before the first line":
                patch.setattr(train.Log, "append", interrupt)
            case "before the first checkpoint":
                interrupt_writing(patch, ".keras", 1)
            case "before the second":
                interrupt_writing(patch, ".keras", 2)
            case "after it":
                progress = Stop(epochs=2)
            case "before the logits":
                interrupt_writing(patch, ".npz", 1)
        with pytest.raises(KeyboardInterrupt):
            compare(config, tmp_path, progress=progress)
    compare(config, tmp_path, resume=True)
    numbers, logits = results(whole[0])
    assert results(tmp_path) == (numbers[:2], {"0-s3.npz": logits["0-s3.npz"]})
    assert not unfinished_files(tmp_path)


def test_torn_last_line(whole, tmp_path):
    out = shutil.copytree(whole[0], tmp_path / "run")
    with (out / "epochs.jsonl").open("a") as file:
        file.write('{"arm": "cutmix(alpha=1.0)", "seed"')
    compare(CONFIG, out, resume=True)
    assert (out / "epochs.jsonl").read_bytes() == (whole[0] / "epochs.jsonl").read_bytes()


def test_finished_run_stays_as_it_is(whole, tmp_path):
    out = shutil.copytree(whole[0], tmp_path / "run")
    before, recorder = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}, Recorder()
    compare(CONFIG, out, resume=True, progress=recorder)
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert recorder.begun == (4 * STEPS, 4 * STEPS)
    assert not recorder.steps


# --- masks and images ---


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of 12 noisy discs of 20x20 pixels, and their masks, of which the upper rows are ignored."""
    root = tmp_path_factory.mktemp("pairs")
    random = np.random.default_rng(0)
    for i in range(12):
        row, column = random.uniform(6, 14, 2)
        disc = np.hypot(np.arange(20)[:, None] - row, np.arange(20) - column) < 5
        image = np.where(disc, 170, 80) + random.normal(0, 10, (20, 20))
        mask = disc.astype(np.uint8)
        mask[:2] = 255
        for kind, pixels in (("images", image.astype(np.uint8)), ("masks", mask), ("clean", 200 * mask)):
            (root / kind).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(root / kind / f"{i:02}.png")
    return root


def of_pixels(folders, task):
    """A configuration of these: four batches of the 10 training images, the last of one row."""
    kind = {"segmentation": "masks", "image2image": "clean"}[task]
    return Config(
        task=task,
        data=f"folders:{folders / 'images'},{folders / kind}",
        ignore_index=255 if task == "segmentation" else None,
        image_size=20,
        arms=("none", "cutmix(alpha=1.0)"),
        model="unet",
        learning_rate=0.01,
        augment=("flip", "crop", "brightness"),
        seeds=(3,),
        epochs=2,
        batch_size=3,
    )


def loaded(config):
    return load(config.data, **config.reading)


pixelwise = pytest.mark.parametrize("task", ["segmentation", pytest.param("image2image", marks=pytest.mark.full)])


@pytest.fixture(scope="module")
def of_task(folders, tmp_path_factory):
    """The folder of a run of a task without interruption, trained when it is asked for first."""

    @cache
    def run(task):
        out = tmp_path_factory.mktemp(task) / "run"
        compare(of_pixels(folders, task), out)
        return out

    return run


@pytest.mark.full
@pixelwise
def test_pixels_are_trained_as_in_a_plain_loop(of_task, folders, task):
    """Image and target under the same flip, crop and mix; what crop adds to a mask is ignored."""
    config = of_pixels(folders, task)
    data = loaded(config)
    size, steps = len(data.train), -(-len(data.train) // 3)
    field = ma.Masks(num_classes=2, ignore_index=255, soft=True) if task == "segmentation" else ma.Images()
    for index, recipe in enumerate((ma.identity(), ma.CutMix(alpha=1.0))):
        model = Run(config, data, of_task(task), index, 3).untrained()
        for epoch in range(2):
            for step in range(steps):
                rows, key = Epoch(size, 3, epoch).rows(step * 3, step * 3 + 3), (3, epoch, step)
                x = augment(data.train.images[rows], config.augment, key)
                y = moved(data.train.targets[rows], config.augment, key, fill=255 if task == "segmentation" else 0)
                model.train_on_batch(*ma.mix_batch(recipe, (x, y), key=key, fields=("images", field)))
        saved = np.load(of_task(task) / "runs" / f"{index}-s3.npz")["predicted"]
        outputs = model.predict(data.test.images, verbose=0)
        if task == "segmentation":
            assert (outputs.argmax(-1) == saved).mean() > 0.99  # the graph of `train_on_batch` rounds otherwise
        else:
            assert np.abs(255 * outputs.clip(0, 1) - saved).max() < 1


@pixelwise
def test_lines_of_pixels(of_task, task):
    measured = {
        "segmentation": "mixed_accuracy test_loss test_iou test_pixel_accuracy test_boundary_f1",
        "image2image": "test_loss test_l1 test_psnr test_ssim",
    }[task]
    for line in lines(of_task(task)):
        result = " result" if line["epoch"] == 2 else ""
        fields = f"arm seed epoch learning_rate train_loss {measured} seconds step_ms{result} network run line"
        assert list(line) == fields.split()
        assert all(math.isfinite(value) for value in line.values() if not isinstance(value, str))


@pixelwise
def test_last_line_is_of_the_saved_network(of_task, folders, task):
    config = of_pixels(folders, task)
    data = loaded(config)
    last = lines(of_task(task))[-1]
    model = keras.saving.load_model(of_task(task) / "runs" / "1-s3.keras", compile=False)
    answers = TASKS[task].answers(model.predict(data.test.images, batch_size=32, verbose=0), data.test, data)
    assert {name: last[name] for name in last if name.startswith("test")} == TASKS[task].evaluate(answers, data)
    for name, array in TASKS[task].kept(answers, data).items():
        assert np.array_equal(np.load(of_task(task) / "runs" / "1-s3.npz")[name], array)


@pixelwise
def test_pixels_are_learned(of_task, task):
    first, last = lines(of_task(task))[:2]
    assert last["train_loss"] < first["train_loss"]


@pytest.mark.full
@pytest.mark.parametrize(
    ("task", "moment"), [("segmentation", "after an epoch"), ("image2image", "before the results")]
)
def test_interrupted_and_resumed_pixels_end_with_the_same_bits(of_task, folders, tmp_path, task, moment, monkeypatch):
    config = of_pixels(folders, task)
    with monkeypatch.context() as patch:
        if moment == "before the results":
            interrupt_writing(patch, ".npz", 2)
        progress = Stop(epochs=3) if moment == "after an epoch" else Progress()
        with pytest.raises(KeyboardInterrupt):
            compare(config, tmp_path, progress=progress)
    assert results(tmp_path) != results(of_task(task))
    compare(config, tmp_path, resume=True)
    assert results(tmp_path) == results(of_task(task))
    assert not unfinished_files(tmp_path)


def test_test_images_are_answered_by_a_part_of_them_at_a_time(of_task, folders, monkeypatch):
    config = replace(of_pixels(folders, "segmentation"), arms=("none",))
    data = loaded(config)
    run = Run(config, replace(data, test=data.test.take([0, 1] * 40)), of_task("segmentation"), 0, 3)
    model, asked = run.restored(2), []
    predict = model.predict
    monkeypatch.setattr(model, "predict", lambda x, **options: asked.append(len(x)) or predict(x, **options))
    whole = run.answers(model)
    monkeypatch.setattr(train, "MOST_OUTPUTS", 64 * 20 * 20 * 2)
    parts = run.answers(model)
    assert asked == [80, 64, 16]
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"model": "resnet20"},
            "expected a model that answers for every pixel \\(unet, module:function\\), got 'resnet20'",
        ),
        ({"task": "classification", "model": "small"}, "expected a task that folders:"),
        ({"data": "cifar10"}, "expected a task that cifar10 has \\(classification\\), got 'segmentation'"),
        ({"data": "scenes"}, "with masks of folders: alone"),
        ({"task": "image2image"}, "with masks of folders: alone"),
        ({"classes": ("disc",)}, "expected "),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(folders, tmp_path, change, said):
    config = replace(of_pixels(folders, "segmentation"), **change)
    with pytest.raises(LabError, match=said):
        compare(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


# --- refused ---


def test_occupied_folder(whole):
    before = results(whole[0])
    with pytest.raises(
        LabError, match=r"^expected an empty folder, got .*: go on with --resume .*, or choose another --out$"
    ):
        compare(CONFIG, whole[0])
    assert results(whole[0]) == before


def test_another_configuration(whole):
    match = (
        r"^expected the configuration of .*, got --batch-size 32 instead of 64: leave it as it was, or choose another"
    )
    with pytest.raises(LabError, match=match):
        compare(replace(CONFIG, batch_size=32), whole[0], resume=True)


def test_folder_without_a_run(tmp_path):
    with pytest.raises(LabError, match=r"which has no config\.json"):
        compare(CONFIG, tmp_path, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_folder_that_cannot_be(tmp_path, resume):
    (tmp_path / "file").touch()
    with pytest.raises(LabError, match=r"^expected "):
        compare(QUICK, tmp_path / "file" / "run", resume=resume)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_folder_that_cannot_be_written():
    with pytest.raises(LabError, match=r"^expected to write /proc/mixaug, got .*: make room or choose another --out"):
        compare(QUICK, Path("/proc/mixaug"))


def test_folder_in_use(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_SH)  # a process that only looks is enough
    with pytest.raises(LabError, match=r"another process trains: wait for it$"):
        compare(QUICK, tmp_path)
    os.close(folder)
    assert not list(tmp_path.iterdir())


def test_full_disk(whole, tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = shutil.copytree(whole[0], tmp_path / "run")
    (out / "runs" / "1-s3.npz").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(LabError, match=r"epochs\.jsonl, got No space left on device: make room"):
            compare(CONFIG, out, resume=True)
    compare(CONFIG, out, resume=True)
    assert results(out) == results(whole[0])


def copied(whole, tmp_path):
    return shutil.copytree(whole[0], tmp_path / "run")


def refused_as_it_is(out, sentence):
    """Resuming is refused in one sentence, by name, and changes nothing that was measured."""
    before = (out / "epochs.jsonl").read_bytes(), {p.name: p.read_bytes() for p in (out / "runs").iterdir()}
    with pytest.raises(LabError, match=sentence) as raised:
        compare(CONFIG, out, resume=True)
    assert "\n" not in str(raised.value)
    assert before == ((out / "epochs.jsonl").read_bytes(), {p.name: p.read_bytes() for p in (out / "runs").iterdir()})


@pytest.mark.parametrize("content", [b"", b"half of", None])
def test_damaged_network_costs_that_run_only(whole, tmp_path, content):
    out = copied(whole, tmp_path)
    path = out / "runs" / "1-s3.keras"
    path.with_suffix(".npz").unlink()
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    sentence = (
        r"^expected the network of arm cutmix\(alpha=1\.0\), seed 3 in .* as it was written, got one that was changed"
    )
    refused_as_it_is(out, rf"{sentence}: restore it, or delete it, and --resume makes it anew$")
    if content is None:  # the way out
        path.unlink()
        compare(CONFIG, out, resume=True)
        assert results(out) == results(whole[0])


def test_the_network_of_another_arm_is_refused_by_name(whole, tmp_path):
    out = copied(whole, tmp_path)
    shutil.copy(out / "runs" / "0-s3.keras", out / "runs" / "1-s3.keras")
    (out / "runs" / "1-s3.npz").unlink()
    came = "got that of arm none, seed 3, epoch 2: restore it, or delete it"
    refused_as_it_is(out, rf"^expected the network of arm cutmix.* in .*1-s3.keras as it was written, {came}")


def test_the_result_of_another_arm_is_refused_by_name_and_made_again(whole, tmp_path):
    out = copied(whole, tmp_path)
    shutil.copy(out / "runs" / "0-s3.npz", out / "runs" / "1-s3.npz")
    came = "got that of arm none, seed 3, epoch 2: restore it, or delete it"
    refused_as_it_is(out, rf"^expected the result of arm cutmix.* in .*1-s3.npz as it was written, {came}")
    (out / "runs" / "1-s3.npz").unlink()
    compare(CONFIG, out, resume=True)
    assert results(out) == results(whole[0])


def test_an_edited_result_is_refused_by_name(whole, tmp_path):
    out = copied(whole, tmp_path)
    kept = dict(np.load(out / "runs" / "0-s3.npz"))
    kept["logits"][0, 0] += 1e-6
    np.savez(out / "runs" / "0-s3.npz", **kept)
    refused_as_it_is(
        out, r"^expected the result of arm none, seed 3 in .*0-s3.npz as it was written, got one that was changed"
    )


@pytest.mark.parametrize("content", [None, b"", "half"])
def test_a_lost_or_truncated_result_is_made_again_from_its_network(whole, tmp_path, content):
    out, recorder = copied(whole, tmp_path), Recorder()
    path = out / "runs" / "0-s3.npz"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2] if content == "half" else content)
    log = (out / "epochs.jsonl").read_bytes()
    compare(CONFIG, out, resume=True, progress=recorder)
    assert recorder.steps == []  # no training
    assert results(out) == results(whole[0])
    assert (out / "epochs.jsonl").read_bytes() == log


def test_a_finished_run_needs_its_network_no_more_but_its_result_whole(whole, tmp_path):
    out, recorder = copied(whole, tmp_path), Recorder()
    (out / "runs" / "0-s3.keras").unlink()
    compare(CONFIG, out, resume=True, progress=recorder)
    assert recorder.steps == []
    (out / "runs" / "0-s3.npz").write_bytes(b"half of")
    refused_as_it_is(
        out, r"^expected the result of arm none, seed 3 in .*, got a damaged file: restore it, or delete it,"
    )
    (out / "runs" / "0-s3.npz").unlink()
    compare(CONFIG, out, resume=True, progress=recorder)
    assert len(recorder.steps) == 2 * STEPS
    assert sorted(map(str, results(out)[0])) == sorted(map(str, results(whole[0])[0]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"test_accuracy": 0', '"test_accuracy": 1'),
        ('"step_ms": ', '"step_ms": NaN, "x": '),
        ('"seed": 3', '"seed": 4'),
    ],
)
def test_an_edited_number_is_refused_by_name(whole, tmp_path, old, new):
    out = copied(whole, tmp_path)
    texts = (out / "epochs.jsonl").read_text().splitlines(keepends=True)
    assert old in texts[1]
    texts[1] = texts[1].replace(old, new)
    (out / "epochs.jsonl").write_text("".join(texts))
    seed = 4 if "seed" in new else 3
    name = rf"line 2 of .*epochs.jsonl \(arm none, seed {seed}, epoch 2\)"
    refused_as_it_is(out, rf"^expected {name} as it was written, got one that was changed: restore it, or start anew")


def test_a_line_of_another_run_is_refused_by_name(whole, tmp_path):
    out = copied(whole, tmp_path)
    other = train.Log(tmp_path / "epochs.jsonl")
    text = (out / "epochs.jsonl").read_text().splitlines(keepends=True)
    other.append({name: value for name, value in json.loads(text[0]).items() if name not in ("run", "line")})
    (out / "epochs.jsonl").write_text("".join([other.path.read_text(), *text[1:]]))
    refused_as_it_is(
        out, r"^expected config.json and data.json in .* as they were when line 1 .* was written, got others"
    )


def test_other_data_are_refused(whole, tmp_path):
    out = shutil.copytree(whole[0], tmp_path / "run")
    described = (out / "data.json").read_text()
    (out / "data.json").write_text(described.replace('"sha256": "', '"sha256": "0'))
    with pytest.raises(LabError, match=r"expected the data that .* began with, got others: restore them"):
        compare(CONFIG, out, resume=True)


def test_missing_line(whole, tmp_path):
    out = shutil.copytree(whole[0], tmp_path / "run")
    kept = (out / "epochs.jsonl").read_text().splitlines(keepends=True)[:3]
    (out / "epochs.jsonl").write_text("".join(kept))
    refused_as_it_is(out, r"^expected the network of arm cutmix\(alpha=1\.0\), seed 3 in .* as it was written, got one")
    lines_without_the_first = (whole[0] / "epochs.jsonl").read_text().splitlines(keepends=True)[1:]
    (out / "epochs.jsonl").write_text("".join(lines_without_the_first))
    refused_as_it_is(out, r"^expected arm none, seed 3, epoch 1 in .*, got none: restore it, or start anew")


def test_diverged(tmp_path):
    config = replace(QUICK, train_size=100, arms=("none", "mixup"), optimizer="sgd", learning_rate=1e30, warmup=0)
    recorder = Recorder()
    match = r"^expected a finite loss, got \w+ in arm none, seed 3, epoch 1: start anew with a lower --learning-rate"
    with pytest.raises(LabError, match=match):
        compare(config, tmp_path, progress=recorder)
    assert len(recorder.steps) < 10  # it does not wait for the end of the epoch
    assert lines(tmp_path) == recorder.lines == []


@pytest.mark.parametrize("change", [{"model": "resnet21"}, {"data": "cifar11"}, {"train_size": 3}, {"image_size": 7}])
def test_nothing_is_written_where_nothing_can_be_trained(tmp_path, change):
    with pytest.raises(LabError, match=r"^expected "):
        compare(replace(QUICK, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_changed_files_are_named_on_resume(tmp_path):
    for name in "ab":
        for i in range(4):
            (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (9, 9), (40 * i, 0, 0)).save(tmp_path / "photos" / name / f"{i}.png")
    config = replace(QUICK, data=f"folder:{tmp_path / 'photos'}", image_size=8, train_size=None, augment=())
    compare(config, tmp_path / "run")
    (tmp_path / "photos" / "a" / "0.png").rename(tmp_path / "photos" / "a" / "9.png")
    sentence = r"^expected the (train|test) images that .*run began with, got 1 new \(a/.*\).*: restore the folder"
    with pytest.raises(LabError, match=sentence):
        compare(config, tmp_path / "run", resume=True)
    (tmp_path / "photos" / "a" / "9.png").rename(tmp_path / "photos" / "a" / "0.png")
    compare(config, tmp_path / "run", resume=True)
    Image.new("RGB", (9, 9), (1, 2, 3)).save(tmp_path / "photos" / "a" / "0.png")  # of the same name
    with pytest.raises(LabError, match=r"^expected the data that .* began with, got others: restore them"):
        compare(config, tmp_path / "run", resume=True)


def test_the_sheet_of_what_an_arm_is_fed_names_files(folders):
    config = of_pixels(folders, "segmentation")
    data = loaded(config)
    given = Batches(config, data, config.read_arms()[0], 3).unmixed(0).given
    assert given.names == tuple(data.train.names[row] for row in Epoch(len(data.train), 3, 0).rows(0, 3))


# --- the display ---


def test_live_display_says_where_it_is_and_how_long_it_takes(monkeypatch):
    """By a fake clock, on which a step takes 45 s."""
    monkeypatch.setattr(progress, "perf_counter", itertools.count(1000, 45).__next__)
    screen = io.StringIO()
    with Live(Console(file=screen, force_terminal=True, width=120)) as live:
        live.begin(total_steps=10, done_steps=6)
        for _ in range(2):
            live.step("one_of(cutmix, mixup, weights=[1, 2])", 3, 2, 15)
    shown = screen.getvalue()
    assert "one_of(cutmix, mixup, weights=[1, 2]), seed 3, epoch 2/15" in shown
    assert "8/10" in shown
    assert "0:01:30 left" in shown


def test_ctrl_c_is_heeded_where_python_drops_it():
    class Dying:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)  # what is raised here is printed, and goes no further

    found = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored in the background
    before = signal.getsignal(signal.SIGINT)
    with Live(Console(file=io.StringIO())) as live:
        live.begin(total_steps=10, done_steps=0)
        live.step("none", 0, 1, 1)
        Dying()
        with pytest.raises(KeyboardInterrupt):
            live.step("none", 0, 1, 1)
        with pytest.raises(KeyboardInterrupt):  # pressed again
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    signal.signal(signal.SIGINT, found)
