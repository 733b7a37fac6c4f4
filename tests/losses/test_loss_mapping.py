"""The losses in docs/labels.md exist and agree on one-hot labels, and mixaug warns once which loss to use."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings

import keras
import numpy as np
import optax
import pytest
import tensorflow as tf
import torch
from torch.utils import data

import mixaug as ma
import ways
from mixaug import loss_advice
from test_structure import ROOT

N, C = 5, 4
LOGITS = np.random.default_rng(0).normal(size=(N, C)).astype(np.float32)
IDS = np.array([0, 3, 1, 2, 3])
ROWS = np.eye(C, dtype=np.float32)[IDS]
PAGE = (ROOT.parent.parent / "docs" / "labels.md").read_text()
LIBRARIES = {"keras": keras, "tf": tf, "torch": torch, "optax": optax, "ma": ma}


def table(head: str) -> list[list[str]]:
    """The code in each cell of the table with this header."""
    lines = PAGE[PAGE.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [re.findall(r"`([^`]+)`", line) for line in lines]


PAIRS = [row for row in table("| loss of class ids") if "mixed_criterion" not in row[0] and "Accuracy" not in row[0]]


def value(code: str, labels: np.ndarray) -> np.ndarray:
    """The value of a loss for the logits and labels, as the mean over the rows."""
    loss = eval(code, LIBRARIES)  # noqa: S307 - our own page
    if code.startswith("keras"):
        return np.asarray(loss(labels, LOGITS))
    if code.startswith("tf"):
        return np.asarray(tf.reduce_mean(loss(labels=labels, logits=LOGITS)))
    if code.startswith("torch"):
        logits = torch.tensor(LOGITS)
        logits = logits.log_softmax(-1) if "nll" in code.lower() else logits
        return loss(logits, torch.tensor(labels)).numpy()
    return np.asarray(loss(LOGITS, labels)).mean()


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0])
def test_both_losses_of_a_pair_agree_on_one_hot_labels(pair):
    ids, rows = pair
    np.testing.assert_allclose(value(ids, IDS), value(rows, ROWS), rtol=1e-5)
    mixed = 0.25 * ROWS + 0.75 * ROWS[::-1]
    want = 0.25 * value(rows, ROWS) + 0.75 * value(rows, ROWS[::-1].copy())
    np.testing.assert_allclose(value(rows, mixed), want, rtol=1e-5)


def test_the_table_has_the_losses_that_people_use():
    named = " ".join(code for pair in PAIRS for code in pair)
    for loss in ("SparseCategorical", "CrossEntropyLoss", "NLLLoss", "with_integer_labels", "tf.nn.sparse_softmax"):
        assert loss in named


def test_the_metrics_of_the_table_agree_on_one_hot_labels():
    (sparse, *soft) = next(row for row in table("| loss of class ids") if "Accuracy" in row[0])
    assert len(soft) == 2
    metric = eval(sparse, LIBRARIES)  # noqa: S307 - our own page
    metric.update_state(IDS, LOGITS)
    for code in soft:
        one = eval(code, LIBRARIES)  # noqa: S307 - our own page
        one.update_state(ROWS, LOGITS)
        assert float(one.result()) == pytest.approx(float(metric.result()))


@pytest.mark.parametrize("code", [row[0] for row in table("| library | loss |")])
def test_the_binary_losses_are_all_the_same_and_take_mixed_rows(code):
    rows = np.float32([[1, 0, 1, 0], [0, 0, 0, 0], [0.5, 1, 0, 0.25], [1, 1, 1, 1], [0, 0.75, 0, 0]])
    want = ma.losses.binary_cross_entropy(LOGITS, rows).mean()
    np.testing.assert_allclose(np.mean(value(code, rows)), want, rtol=1e-5)


# --- the warning ---


@pytest.fixture
def unsaid(monkeypatch):
    monkeypatch.setattr(loss_advice, "_WARNED", [])


IMAGES = np.zeros((N, 4, 4, 3), np.float32)
CASES = {
    "numpy": "keras.losses.CategoricalCrossentropy, torch.nn.CrossEntropyLoss or optax.softmax_cross_entropy",
    "tensorflow": "keras.losses.CategoricalCrossentropy, not SparseCategoricalCrossentropy",
    "torch": "torch.nn.CrossEntropyLoss as for class ids, or ma.losses.cross_entropy, not NLLLoss",
    "jax": "optax.softmax_cross_entropy, not softmax_cross_entropy_with_integer_labels",
}


@pytest.mark.parametrize("library", CASES)
def test_class_ids_that_become_rows_say_once_which_loss_fits(library, unsaid):
    make = ways.MAKE[library]
    batch = (make(IMAGES), make(IDS))
    options = {"key": (0, 0), "num_classes": C, "fields": {"images": ma.Images("nhwc")}}
    with pytest.warns(ma.MixedLabelsWarning, match=f"use a loss that accepts them, {CASES[library]};") as caught:
        ma.mix_batch(ma.MixUp(), batch, **options)
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ma.mix_batch(ma.MixUp(), batch, **options)


def test_a_rule_whose_rows_do_not_sum_to_one_is_told_of_a_binary_loss(unsaid):
    with pytest.warns(ma.MixedLabelsWarning, match="use a loss that accepts them, keras.losses.BinaryCrossentropy"):
        ma.mix_batch(ma.MixUp(), (IMAGES, IDS), key=(0, 0), fields={"labels": ma.Labels(C, rule="maximum")})


def test_the_filter_in_the_warning_silences_it(unsaid):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ma.MixedLabelsWarning)
        ma.mix_batch(ma.MixUp(), (IMAGES, IDS), key=(0, 0), num_classes=C)


def quiet() -> list:
    pair = (IMAGES, IDS)
    return [
        lambda: ma.mix_batch(ma.MixUp(), (IMAGES, ROWS), key=(0, 0)),
        lambda: ma.mix_batch(ma.MixUp(), (IMAGES, IDS % 2), key=(0, 0), fields={"labels": ma.Labels(binary=True)}),
        lambda: ma.mix_batch(ma.MixUp(), pair, key=(0, 0), fields={"labels": ma.PerSource()}),
        lambda: ma.mix_batch(ma.MixUp(), pair, key=(0, 0), fields={"labels": "keep"}),
        lambda: ma.timm.Mixup(num_classes=C)(torch.rand(4, 3, 8, 8), torch.arange(4)),
        lambda: ma.timm.FastCollateMixup(num_classes=C)([(np.zeros((3, 8, 8), np.uint8), i) for i in range(C)]),
        lambda: ma.MixUp().draw(N, (4, 4), key=(0, 0)).labels(IDS, C),
    ]


@pytest.mark.parametrize("call", quiet())
def test_there_is_no_warning_if_the_loss_need_not_change(call, unsaid):
    with warnings.catch_warnings():
        warnings.simplefilter("error", ma.MixedLabelsWarning)
        call()


def test_a_loader_says_it_for_its_workers_which_say_nothing(unsaid):
    pairs = data.TensorDataset(torch.rand(6, 3, 8, 8), torch.arange(6) % C)
    with pytest.warns(ma.MixedLabelsWarning, match="torch.nn.CrossEntropyLoss as for class ids") as caught:
        list(ma.torch.loader(ma.MixUp(), pairs, 3, num_classes=C, num_workers=2))
    assert len([one for one in caught if one.category is ma.MixedLabelsWarning]) == 1


def test_it_warns_while_tracing_without_a_graph_break(unsaid):
    torch._dynamo.reset()
    mixed = torch.compile(ma.torch.Mixed(ma.MixUp(), num_classes=C), fullgraph=True, backend="aot_eager")
    with pytest.warns(ma.MixedLabelsWarning):
        mixed(torch.rand(4, 3, 8, 8), torch.arange(4))


def test_a_script_sees_one_line_that_points_at_itself(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import mixaug as ma, numpy as np\n"
        "for step in range(3):\n"
        "    ma.mix_batch(ma.MixUp(), (np.zeros((4, 8, 8, 3)), np.arange(4)), key=(0, step), num_classes=4)\n"
    )
    said = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stderr
    assert said.count("MixedLabelsWarning:") == 1
    assert f"{script}:3: MixedLabelsWarning: mixed labels are rows of weights" in said
