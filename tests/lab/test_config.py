"""The configuration: the same again from its JSON, and refused in one sentence where it is wrong."""

import dataclasses
import json

import pytest

from mixaug.lab.config import PRESETS, Config
from mixaug.lab.errors import LabError

OTHER = Config(
    task="segmentation",
    data="cifar10",
    classes=("wall", "cell"),
    ignore_index=255,
    train_size=500,
    test_size=100,
    test_data="folder:tests",
    split_seed=7,
    skip_damaged=True,
    class_weights="balanced",
    image_size=16,
    arms=("none", "one_of(mixup(alpha=0.2), cutmix)"),
    model="small",
    optimizer="sgd",
    learning_rate=0.05,
    weight_decay=5e-4,
    schedule="constant",
    warmup=0.5,
    augment=("crop", "flip"),
    seeds=(3, 1),
    epochs=2,
    batch_size=7,
)


def test_other_differs_from_the_defaults_in_every_field():
    ours, theirs = dataclasses.asdict(OTHER), dataclasses.asdict(Config())
    assert [name for name in ours if ours[name] == theirs[name]] == []


@pytest.mark.parametrize("config", [Config(), OTHER, *PRESETS.values()])
def test_json_both_ways(config):
    again = Config.from_json(config.to_json())
    assert again == config
    assert again.to_json() == config.to_json()
    assert again.difference(config) is None


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Config)])
def test_difference_names_the_field(name):
    other = dataclasses.replace(Config(), **{name: getattr(OTHER, name)})
    assert Config().difference(other) == name


def test_highest_rate_is_the_optimizers_own_where_none_is_given():
    assert [Config(optimizer=o).highest_rate for o in ("adam", "sgd")] == [1e-3, 0.1]
    assert Config(learning_rate=0.3).highest_rate == 0.3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task", "detection"),
        ("task", ["segmentation"]),
        ("data", ""),
        ("classes", ()),
        ("classes", "cell"),
        ("classes", ("cell", "cell")),
        ("classes", ("cell", "")),
        ("classes", (1, 2)),
        ("ignore_index", -1),
        ("ignore_index", 256),
        ("ignore_index", True),
        ("model", 3),
        ("train_size", 0),
        ("train_size", 10.0),
        ("test_size", 0),
        ("test_data", ""),
        ("split_seed", -1),
        ("skip_damaged", 1),
        ("class_weights", "heavy"),
        ("class_weights", (1.0, 2.0)),
        ("image_size", True),
        ("epochs", 0),
        ("batch_size", "64"),
        ("optimizer", "adamw"),
        ("optimizer", []),
        ("schedule", "linear"),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", -0.1),
        ("weight_decay", -1e-4),
        ("weight_decay", float("inf")),
        ("warmup", -1),
        ("warmup", 15.5),
        ("augment", ("flip", "rotate")),
        ("augment", ("flip", "flip")),
        ("augment", "flip"),
        ("augment", (["flip"],)),
        ("seeds", ()),
        ("seeds", (0, 0)),
        ("seeds", (-1,)),
        ("seeds", (2**32,)),
        ("seeds", (False,)),
        ("arms", ()),
        ("arms", "none"),
        ("arms", ("cutmix", "cutmix")),
        ("arms", ("cutmix", "CutMix(alpha=1.0)")),
        ("arms", ("none", "identity()")),
    ],
)
def test_wrong_field(name, value):
    with pytest.raises(LabError) as caught:
        Config(**{name: value})
    assert str(caught.value).startswith(f"expected --{name.replace('_', '-')} to be ")
    assert str(caught.value).endswith(f", got {value!r}")


@pytest.mark.parametrize(
    "arm", ["cutmx", "cutmix(alpha=0)", "__import__('os')", 3, "one_of(1)", "sometimes(2, cutmix)"]
)
def test_wrong_arm(arm):
    with pytest.raises(LabError, match=r'^expected "none" or a recipe, got '):
        Config(arms=(arm,))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"data": "cifar10"}'])
def test_text_that_is_no_configuration(text):
    with pytest.raises(LabError, match=r"^expected a configuration"):
        Config.from_json(text)


def test_unknown_field():
    text = json.dumps({**json.loads(Config().to_json()), "momentum": 0.9})
    with pytest.raises(LabError, match=r"momentum$"):
        Config.from_json(text)


def test_read(tmp_path):
    (tmp_path / "config.json").write_text(OTHER.to_json())
    assert Config.read(tmp_path) == OTHER


def test_read_where_there_is_none(tmp_path):
    with pytest.raises(LabError, match=r"^expected a run folder, got .*, which has no config\.json: name one that"):
        Config.read(tmp_path / "missing")


@pytest.mark.parametrize("content", [b'{"data"', b"\xff\xfe"])
def test_read_where_it_is_damaged(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(LabError, match=r"config\.json cannot be used \(.*\): restore it, or start anew"):
        Config.read(tmp_path)
