"""The presets beside a plain transcription of their write-ups: the same network, losses, first steps; mixes alike."""

from dataclasses import replace

import numpy as np
import pytest

keras = pytest.importorskip("keras")
from keras import layers  # noqa: E402

from mixaug.lab import networks  # noqa: E402
from mixaug.lab.batches import Batches  # noqa: E402
from mixaug.lab.config import read_arm  # noqa: E402
from mixaug.lab.dataset import Data, Split  # noqa: E402
from mixaug.lab.errors import LabError  # noqa: E402
from mixaug.lab.phases import learning_rate, optimizer  # noqa: E402
from mixaug.lab.presets import PRESETS, start  # noqa: E402

N = 320  # images: ten batches of 32


def told(size, task="classification"):
    """Images that tell which they are: image i is grey level i and has the label, the mask or the target image i."""
    levels = np.arange(250)
    images = np.repeat(levels.astype(np.uint8), size * size).reshape(250, size, size, 1)
    targets = {"classification": levels, "segmentation": images[..., 0], "image2image": images}[task]
    split = Split(images, targets)
    return Data("told", tuple(map(str, levels)) if task != "image2image" else (), split, split, task)


def epoch_of(preset, arm, epoch=0, size=32, **change):
    """The batches of an epoch: for each the base samples, the rows that are its sources, and the mixed batch."""
    config = replace(preset.config, **change)
    batches = Batches(config, told(size, config.task), read_arm(config.arms[arm], ()), 0)
    batches.epoch = epoch
    for index in range(len(batches)):
        given, _, sources = batches.unmixed(index)
        rows = given.images[:, 0, 0, 0].astype(int)
        yield rows[: config.batch_size] if sources is None else rows[sources[0]], rows, batches[index]


def base_weights(preset, arm, epochs, **change):
    """The weight of the base sample in each label of some epochs."""
    weights = []
    for epoch in range(epochs):
        for base, _, (_, labels) in epoch_of(preset, arm, epoch, size=32, **change):
            weights += labels[np.arange(len(labels)), base].tolist()
    return np.array(weights)


def alike(ours, theirs):
    """Whether two samples of 2,000 weights and more are of distributions that differ by little."""
    return abs(ours.mean() - theirs.mean()) < 0.03 and all(
        abs((ours < at).mean() - (theirs < at).mean()) < 0.06 for at in (0.1, 0.25, 0.5, 0.75, 0.9)
    )


# --- the write-ups, as their code has them ---


def tutorial_layer(x, filters, size=3, stride=1, activation=True, normalised=True):
    x = layers.Conv2D(
        filters, size, stride, "same", kernel_initializer="he_normal", kernel_regularizer=keras.regularizers.L2(1e-4)
    )(x)
    x = layers.BatchNormalization()(x) if normalised else x
    return layers.Activation("relu")(x) if activation else x


def tutorial_network():
    """ResNet-20 v1 of the tutorial, with softmax."""
    inputs = keras.Input((32, 32, 3))
    x, filters = tutorial_layer(inputs, 16), 16
    for stack in range(3):
        for block in range(3):
            down = stack > 0 and block == 0
            y = tutorial_layer(x, filters, stride=2 if down else 1)
            y = tutorial_layer(y, filters, activation=False)
            if down:
                x = tutorial_layer(x, filters, 1, 2, activation=False, normalised=False)
            x = layers.Activation("relu")(layers.add([x, y]))
        filters *= 2
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax", kernel_initializer="he_normal")(x))


def tutorial_weights(rng, alpha, count, size=32):
    """The weight of the first image in the tutorial's cutmix."""
    weights = []
    for _ in range(count):
        half = int(size * np.sqrt(1 - rng.beta(alpha, alpha))) // 2
        x, y = rng.integers(0, size, 2)
        x1, y1, x2, y2 = (int(np.clip(v, 0, size)) for v in (x - half, y - half, x + half, y + half))
        weights.append(1 - max(1, x2 - x1) * max(1, y2 - y1) / size**2)
    return np.array(weights)


def exercise_weights(rng, count, size=224):
    """The weight of the first image in the exercise's cutmix, whose box has its width as height."""
    weights = []
    for _ in range(count):
        x, y, half = int(rng.uniform(0, size)), int(rng.uniform(0, size)), int(size * np.sqrt(1 - rng.uniform())) // 2
        x1, y1, x2, y2 = max(0, x - half), max(0, y - half), min(size, x + half), min(size, y + half)
        weights.append(1 - (x2 - x1) * (y2 - y1) / size**2)
    return np.array(weights)


def nway_rate(epoch):
    """The learning rate of the n-way write-up in an epoch, counted from 0."""
    factors = ((180, 0.5e-3), (160, 1e-3), (120, 1e-2), (80, 1e-1))
    return 1e-3 * next((factor for last, factor in factors if epoch > last), 1.0)


def nway_layer(x, filters, size=3, stride=1, activation=True, normalised=True, first=True):
    conv = layers.Conv2D(
        filters, size, stride, "same", kernel_initializer="he_normal", kernel_regularizer=keras.regularizers.L2(1e-4)
    )
    x = conv(x) if first else x
    x = layers.BatchNormalization()(x) if normalised else x
    x = layers.Activation("relu")(x) if activation else x
    return x if first else conv(x)


def nway_network():
    """ResNet-20 v2 of the n-way write-up, with softmax."""
    inputs = keras.Input((32, 32, 3))
    x, filters = nway_layer(inputs, 16), 16
    for stage in range(3):
        for block in range(2):
            first = stage == 0 and block == 0
            wide, stride = (4 * filters if stage == 0 else 2 * filters), 2 if stage > 0 and block == 0 else 1
            y = nway_layer(x, filters, 1, stride, activation=not first, normalised=not first, first=False)
            y = nway_layer(y, filters, first=False)
            y = nway_layer(y, wide, 1, first=False)
            if block == 0:
                x = nway_layer(x, wide, 1, stride, activation=False, normalised=False)
            x = layers.add([x, y])
        filters = wide
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Flatten()(layers.AveragePooling2D(8)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax", kernel_initializer="he_normal")(x))


def in_order(model):
    """The layers with weights, kind by kind, in the order in which they were made."""
    kinds = (layers.Conv2D, layers.BatchNormalization, layers.Dense)

    def number(layer):
        digits = layer.name.rpartition("_")[2]
        return int(digits) if digits.isdigit() else -1

    return [sorted((lay for lay in model.layers if isinstance(lay, kind)), key=number) for kind in kinds]


@pytest.mark.full  # they trace two networks each
@pytest.mark.parametrize(
    ("name", "transcribed", "count"),
    [("keras-cutmix", tutorial_network, 274_442), ("nway-mixup", nway_network, 574_090)],
)
def test_the_first_steps_are_those_of_the_write_up(name, transcribed, count):
    """The same count of weights and, with the same weights, the same losses over three steps of its optimizer."""
    config, steps = PRESETS[name].config, N // 32
    ours, theirs = networks.build(config.model, (32, 32, 3), 10), transcribed()
    assert ours.count_params() == theirs.count_params() == count
    for own, other in zip(in_order(ours), in_order(theirs), strict=True):
        for a, b in zip(own, other, strict=True):
            b.set_weights(a.get_weights())
    ours.compile(optimizer(config, steps), keras.losses.CategoricalCrossentropy(from_logits=True), jit_compile=False)
    theirs.compile("adam", "categorical_crossentropy", jit_compile=False)
    pixels = np.random.default_rng(0).integers(0, 256, (N, 32, 32, 3), np.uint8)
    labels = np.eye(10, dtype=np.float32)[np.arange(N) % 10]
    for step in range(3):
        batch = slice(32 * step, 32 * step + 32)
        loss = float(theirs.train_on_batch(pixels[batch].astype(np.float32) / 255, labels[batch]))
        assert float(ours.train_on_batch(pixels[batch], labels[batch])) == pytest.approx(loss, rel=2e-3)


def test_the_loss_of_the_tutorials_network_is_that_of_the_tutorial():
    """With its L2 term, before any step: of softmax there and of logits here."""
    ours, theirs = networks.build("keras-resnet20", (32, 32, 3), 10), tutorial_network()
    for own, other in zip(in_order(ours), in_order(theirs), strict=True):
        for a, b in zip(own, other, strict=True):
            b.set_weights(a.get_weights())
    pixels, labels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8), np.eye(10)[:8]
    crossentropy = keras.losses.CategoricalCrossentropy
    mine = crossentropy(from_logits=True)(labels, ours(pixels)) + sum(ours.losses)
    loss = crossentropy()(labels, theirs(pixels.astype(np.float32) / 255)) + sum(theirs.losses)
    assert float(sum(ours.losses)) > 0.1
    assert float(mine) == pytest.approx(float(loss), rel=1e-4)
    momenta = {lay.momentum for lay in ours.layers if isinstance(lay, layers.BatchNormalization)}
    assert momenta == {0.99}


@pytest.mark.parametrize(("name", "alpha", "epochs"), [("keras-cutmix", 0.25, 15), ("keras-cutmix-2021", 1.0, 10)])
def test_the_tutorials_settings_and_mixes(name, alpha, epochs):
    preset = PRESETS[name]
    config = preset.config
    assert (config.batch_size, config.epochs, config.augment, config.schedule) == (32, epochs, (), "constant")
    adam = optimizer(config, 10)
    assert isinstance(adam, keras.optimizers.Adam)
    assert (float(adam.learning_rate), adam.epsilon, adam.weight_decay) == (pytest.approx(1e-3), 1e-7, None)
    assert alike(base_weights(preset, 1, 10), tutorial_weights(np.random.default_rng(0), alpha, 2500))


@pytest.mark.parametrize("name", ["keras-cutmix", "nway-mixup", "segmentation-pair"])
def test_partners_are_of_the_whole_dataset_and_each_image_is_the_base_sample_once_an_epoch(name):
    bases, inside, count = [], [], 0
    for base, rows, _ in epoch_of(PRESETS[name], -1, size=8):
        bases += base.tolist()
        inside += [row in base for row in rows[len(base) :]]
        count += len(rows) - len(base)
    assert sorted(bases) == list(range(250))
    assert count == 250 * (PRESETS[name].config.read_arms()[-1].recipe.sources - 1)
    assert np.mean(inside) < 0.25  # of a batch all would be


def test_the_n_way_writeup_s_settings_and_mixes():
    preset = PRESETS["nway-mixup"]
    rate = learning_rate(preset.config, 7)
    assert preset.config.epochs == 200
    for epoch in range(200):
        for step in (7 * epoch, 7 * epoch + 6):
            assert float(rate(step)) == pytest.approx(nway_rate(epoch), rel=1e-6)
    rng = np.random.default_rng(0)
    for arm, alpha, sources in ((1, 0.2, 2), (2, 0.1, 3)):
        theirs = rng.dirichlet([alpha] * sources, 5000)
        assert alike(base_weights(preset, arm, 10, augment=()), theirs[:, 0])
        labels = np.concatenate([y for epoch in range(4) for _, _, (_, y) in epoch_of(preset, arm, epoch, size=8)])
        heaviest = np.sort(labels, axis=1)[:, ::-1][:, :sources].mean(axis=0)
        assert np.allclose(heaviest, np.sort(theirs, axis=1)[:, ::-1].mean(axis=0), atol=0.03)


def test_the_exercises_network_has_resnet_50s_features_and_a_head_of_its_own():
    model = networks.build("ResNet50", (32, 32, 3), 120)
    assert model.count_params() == 23_587_712 + 2048 * 120 + 120
    theirs = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg")
    theirs.set_weights(next(lay for lay in model.layers if isinstance(lay, keras.Model)).get_weights())
    dense = layers.Dense(120, activation="softmax")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    features = theirs(keras.applications.resnet50.preprocess_input(pixels.copy()), training=False)
    dense.build(features.shape)
    dense.set_weights(model.get_layer("logits").get_weights())
    assert np.allclose(keras.ops.softmax(model(pixels, training=False)), dense(features), atol=1e-5)


def test_the_exercises_settings_and_mixes():
    preset = PRESETS["dog-breeds"]
    config = preset.config
    sgd = optimizer(config, 10)
    assert (float(sgd.learning_rate), sgd.momentum, sgd.nesterov) == (pytest.approx(0.01), 0.0, False)
    assert (config.image_size, config.batch_size, config.epochs, config.weights) == (224, 16, 3, "imagenet")
    arms = config.read_arms()
    assert [arm.augment for arm in arms] == [(), *[("flip", "brightness-added")] * 3]
    assert [repr(arm.recipe) for arm in arms[:2]] == ["identity()"] * 2
    rng, plain = np.random.default_rng(0), tuple(arm.partition(":")[2].strip() or arm for arm in config.arms)
    assert plain == ("none", "flip+brightness-added:", "cutmix(alpha=1.0)", "mixup(alpha=1.0)")
    assert alike(base_weights(preset, 2, 10, arms=plain), exercise_weights(rng, 2500))
    assert alike(base_weights(preset, 3, 10, arms=plain), 1 - rng.uniform(size=2500))
    for base, rows, _ in epoch_of(preset, 2, size=8, arms=plain):
        assert sorted(base) == sorted(rows)  # partners are of the batch


@pytest.mark.parametrize("task", ["segmentation", "image2image"])
def test_pairs_are_cut_by_one_box_of_the_tutorials_distribution(task):
    weights = []
    for epoch in range(10):
        for base, _, (images, targets) in epoch_of(PRESETS["segmentation-pair"], 1, epoch, size=16, task=task):
            shown = targets.argmax(-1) if task == "segmentation" else targets[..., 0]
            assert np.array_equal(shown, images[..., 0])
            weights += (shown == base[:, None, None]).mean(axis=(1, 2)).tolist()
    assert alike(np.array(weights), tutorial_weights(np.random.default_rng(0), 0.25, 2500, size=16))


def test_what_differs_is_told_and_data_are_asked_for():
    for name, preset in PRESETS.items():
        first, *rest = preset.notes(name)
        assert first.startswith(f"preset {name}: ")
        assert len(rest) >= 3
        assert all(note.startswith("not as there: ") and note.endswith(".") for note in rest)
    with pytest.raises(LabError, match="expected --data with --preset dog-breeds, got none: add --data folder:PHOTOS"):
        start("dog-breeds", {})
    assert start("dog-breeds", {"data": "folder:dogs"}).model == "ResNet50"
    with pytest.raises(LabError, match="got 'dog-breed': did you mean 'dog-breeds'"):
        start("dog-breed", {})
