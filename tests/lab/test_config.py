"""The configuration: the same again from its JSON, and refused in one sentence where it is wrong."""

import dataclasses
import json

import pytest

from mixaug.lab.config import Arm, Config, read_arm
from mixaug.lab.errors import LabError
from mixaug.lab.presets import PRESETS

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
    partners="dataset",
    model="small",
    weights="imagenet",
    head_epochs=1,
    fine_tune_rate=0.01,
    optimizer="sgd",
    momentum=0.5,
    learning_rate=0.05,
    weight_decay=5e-4,
    schedule="constant",
    warmup=0.5,
    augment=("crop", "flip"),
    threads=Config().threads + 1,
    measures=(),
    seeds=(3, 1),
    epochs=2,
    batch_size=7,
)


def test_other_differs_from_the_defaults_in_every_field():
    ours, theirs = dataclasses.asdict(OTHER), dataclasses.asdict(Config())
    assert [name for name in ours if ours[name] == theirs[name]] == ["measures"]  # which its task has none of


@pytest.mark.parametrize("config", [Config(), OTHER, *(preset.config for preset in PRESETS.values())])
def test_json_both_ways(config):
    again = Config.from_json(config.to_json())
    assert again == config
    assert again.to_json() == config.to_json()
    assert again.difference(config) is None


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Config)])
def test_difference_names_the_field(name):
    needs = {"momentum": {"optimizer": "sgd"}, "fine_tune_rate": {"head_epochs": 1}}.get(name, {})
    config = dataclasses.replace(Config(), **needs)
    other = ("brier",) if name == "measures" else getattr(OTHER, name)
    assert config.difference(dataclasses.replace(config, **{name: other})) == name


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
        ("partners", "batches"),
        ("weights", ""),
        ("head_epochs", 15),
        ("head_epochs", -1),
        ("fine_tune_rate", 0.1),
        ("momentum", 0.9),
        ("threads", 0),
        ("measures", ("bries",)),
        ("measures", ("brier", "brier")),
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
        ("arms", ("flip: cutmix", "flip: CutMix(alpha=1.0)")),
        ("arms", ("none", "none:")),
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
    text = json.dumps({**json.loads(Config().to_json()), "beta": 0.9})
    with pytest.raises(LabError, match=r"beta$"):
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


@pytest.mark.parametrize(
    ("text", "augment", "recipe"),
    [
        ("none", ("crop",), "identity()"),
        ("cutmix", ("crop",), "CutMix(alpha=1.0)"),
        ("flip:", ("flip",), "identity()"),
        ("none: mixup(alpha=0.2)", (), "MixUp(alpha=0.2, sources=2)"),
        ("flip + brightness-added : cutmix(alpha=0.5)", ("flip", "brightness-added"), "CutMix(alpha=0.5)"),
        ("crop+flip: none", ("crop", "flip"), "identity()"),
    ],
)
def test_an_arm_carries_its_augmentation(text, augment, recipe):
    arm = read_arm(text, ("crop",))
    assert (arm.name, arm.augment, repr(arm.recipe)) == (text, augment, recipe)
    assert Config(arms=(text,), augment=("crop",)).read_arms() == (Arm(text, augment, arm.recipe),)


def test_arms_of_one_recipe_differ_by_their_augmentation():
    arms = Config(arms=("cutmix", "flip: cutmix", "flip+crop: cutmix", "crop+flip: cutmix")).read_arms()
    assert len({arm.augment for arm in arms}) == 4


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("flipp: cutmix", "got 'flipp': did you mean 'flip'?"),
        ("flip+flip: cutmix", "to name each augmentation once, got flip+flip: leave one out"),
        ("flip+: cutmix", "got '': did you mean"),
        ("flip: cutmx", "did you mean cutmix"),
        ("flip: cutmix: mixup", 'expected "none" or a recipe'),
    ],
)
def test_wrong_augmentation_of_an_arm(arm, said):
    with pytest.raises(LabError) as caught:
        Config(arms=(arm,))
    assert said in str(caught.value)


def test_rates_of_the_phases():
    assert Config(head_epochs=2).tuned_rate == pytest.approx(1e-4)
    assert Config(head_epochs=2, fine_tune_rate=3e-5).tuned_rate == 3e-5
    assert Config(learning_rate=0.5).tuned_rate == 0.5


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"warmup": 2, "epochs": 3, "head_epochs": 2},
            "expected --warmup to be a number of epochs, at most --epochs less",
        ),
        ({"schedule": "steps"}, "expected --warmup to be 0 with --schedule steps, got 1.0"),
    ],
)
def test_warmup_fits_the_epochs_of_its_phase_and_its_schedule(given, said):
    with pytest.raises(LabError) as caught:
        Config(**given)
    assert said in str(caught.value)
    Config(**{**given, "warmup": 0})
