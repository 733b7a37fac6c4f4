"""Networks by name, and that the weights of a file arrive in each layer or are refused."""

import sys

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from mixaug.lab import models, networks  # noqa: E402
from mixaug.lab.errors import LabError  # noqa: E402
from mixaug.lab.networks import build, find_application, freeze  # noqa: E402

APPLICATION = "MobileNetV3Small"  # the smallest, and it has Dropout, whose seeds are in a file of weights
OWN = """
import keras

def network(shape, outputs):
    pixels = keras.Input(shape)
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, keras.layers.Dense(outputs)(x))

def one_size(shape, outputs):
    return network((8, 8, 3), outputs)

def ten(shape, outputs):
    return network(shape, 10)

def text(shape, outputs):
    return "a model"

constant = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module `mine_of_the_user` in the current folder."""
    (tmp_path / "mine_of_the_user.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield "mine_of_the_user"
    sys.modules.pop("mine_of_the_user", None)


@pytest.fixture(scope="module")
def trained():
    """An application whose every weight is another number, as after training."""
    keras.utils.set_random_seed(1)
    model = build(APPLICATION, (64, 64, 3), 5)
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.5, 1.5, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def backbone(model):
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def same(one, other):
    return [np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True)]


@pytest.mark.parametrize("name", ["MobileNetV3Small", "ResNet50", pytest.param("VGG16", marks=pytest.mark.full)])
def test_an_application_has_its_own_preprocessing_and_takes_grey_images(name):
    """Its logits are those of its backbone on what its module's `preprocess_input` makes of the pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    model = build(name.lower(), (32, 32, 3), 4)
    kind = getattr(keras.applications, name)
    prepared = sys.modules[kind.__module__].preprocess_input(pixels.astype(np.float32))
    features = backbone(model)(prepared, training=False)
    expected = np.asarray(features) @ model.get_layer("logits").kernel.numpy()
    assert np.allclose(model(pixels, training=False), expected, atol=1e-4, rtol=1e-4)

    grey = build(name, (32, 32, 1), 4)
    grey.set_weights(model.get_weights())
    repeated = np.repeat(pixels[..., :1], 3, axis=-1)
    assert np.allclose(grey(pixels[..., :1], training=False), model(repeated, training=False), atol=1e-5)


def test_a_saved_application_loads_without_mixaug(tmp_path):
    model = build(APPLICATION, (32, 32, 3), 4)
    model.save(tmp_path / "model.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert np.array_equal(model(pixels, training=False), loaded(pixels, training=False))


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_weights_of_the_same_network_arrive_in_every_layer(tmp_path, trained, suffix):
    path = tmp_path / f"trained{suffix}"
    trained.save(path) if suffix == ".keras" else trained.save_weights(path)
    assert all(same(build(APPLICATION, (64, 64, 3), 5, weights=str(path)), trained))


def test_the_head_of_another_number_of_classes_stays_as_it_was(tmp_path, trained):
    trained.save_weights(tmp_path / "five.weights.h5")
    keras.utils.set_random_seed(7)
    fresh = build(APPLICATION, (32, 32, 3), 3)
    keras.utils.set_random_seed(7)
    model = build(APPLICATION, (32, 32, 3), 3, weights=str(tmp_path / "five.weights.h5"))
    assert all(same(backbone(model), backbone(trained)))
    assert all(same(model.get_layer("logits"), fresh.get_layer("logits")))


@pytest.mark.parametrize("top", [False, True])
def test_weights_of_the_application_itself_with_and_without_its_classifier(tmp_path, top):
    kind = find_application(APPLICATION)
    whole = kind(weights=None, include_top=top, input_shape=None if top else (64, 64, 3))
    whole.set_weights([np.full(w.shape, 0.5 + i / 1000, w.dtype) for i, w in enumerate(whole.get_weights())])
    whole.save_weights(tmp_path / "application.weights.h5")
    loaded = backbone(build(APPLICATION, (64, 64, 3), 3, weights=str(tmp_path / "application.weights.h5")))
    by_layer = {layer.name: layer.get_weights() for layer in whole.layers}
    weighted = [layer for layer in loaded.layers if layer.get_weights()]
    assert len(weighted) > 50
    for layer in weighted:
        assert all(map(np.array_equal, layer.get_weights(), by_layer[layer.name])), layer.name


@pytest.mark.full
def test_a_new_head_of_a_thousand_classes_is_not_that_of_imagenet(tmp_path):
    keras.applications.ResNet50(weights=None).save_weights(tmp_path / "classifier.weights.h5")
    keras.utils.set_random_seed(7)
    fresh = build("ResNet50", (32, 32, 3), 1000)
    keras.utils.set_random_seed(7)
    model = build("ResNet50", (32, 32, 3), 1000, weights=str(tmp_path / "classifier.weights.h5"))
    assert all(same(model.get_layer("logits"), fresh.get_layer("logits")))
    assert not all(same(backbone(model), backbone(fresh)))


def test_weights_of_mixaugs_own_networks(tmp_path):
    model = build("small", (16, 16, 3), 4)
    model.save_weights(tmp_path / "small.weights.h5")
    assert all(same(build("small", (16, 16, 3), 4, weights=str(tmp_path / "small.weights.h5")), model))
    other = build("small", (16, 16, 3), 9, weights=str(tmp_path / "small.weights.h5"))
    assert all(same(other.layers[2], model.layers[2]))


def test_weights_of_another_network_are_refused(tmp_path):
    small = build("resnet20", (16, 16, 3), 4)
    small.save_weights(tmp_path / "small.weights.h5")
    for name in ("resnet32", "small"):
        said = rf"expected the weights of {name}, got .*small\.weights\.h5, which has others"
        with pytest.raises(LabError, match=said):
            build(name, (16, 16, 3), 4, weights=str(tmp_path / "small.weights.h5"))
    assert build("resnet20", (16, 16, 3), 4, weights=str(tmp_path / "small.weights.h5"))  # the way out


@pytest.mark.full
def test_a_file_without_all_layers_is_refused_where_keras_leaves_the_others_random(tmp_path):
    build("ResNet50", (32, 32, 3), 2).save_weights(tmp_path / "fifty.weights.h5")
    with pytest.raises(
        LabError, match=r"expected the weights of ResNet101, got .*fifty\.weights\.h5, which has others"
    ):
        build("ResNet101", (32, 32, 3), 2, weights=str(tmp_path / "fifty.weights.h5"))


def test_a_layer_more_than_a_head_in_the_file_is_refused(tmp_path):
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.Dense(4, name="first")(keras.layers.GlobalMaxPooling2D()(pixels))
    larger = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Dense(5)(x)))
    larger.save_weights(tmp_path / "larger.weights.h5")
    smaller = keras.Model(pixels, models.head(keras.layers.Dense(4)(keras.layers.GlobalMaxPooling2D()(pixels)), 2))
    with pytest.raises(LabError, match="which has others"):
        networks.load(smaller, tmp_path / "larger.weights.h5")


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("resnet5", {}, "any of keras.applications such as ResNet50, or module:function), got 'resnet5': did you mean"),
        ("ResNet5", {}, "did you mean 'ResNet50'?"),
        ("resnet20", {"weights": "imagenet"}, "expected --weights imagenet with a network of keras.applications, got"),
        ("resnet20", {"weights": "nowhere.h5"}, "got nowhere.h5: no such file; name one, or take --weights random"),
        ("resnet20", {"weights": __file__}, "which cannot be read"),
        ("ResNet50", {"shape": (16, 16, 3)}, "expected a size that ResNet50 takes, got 16x16"),
        ("unet", {}, "expected a model ("),
        ("ResNet50", {"per_pixel": True}, "expected a model that answers for every pixel (unet, module:function)"),
        ("nowhere_at_all:network", {}, "No module named 'nowhere_at_all'"),
    ],
)
def test_networks_that_cannot_be(name, given, said):
    shape = given.pop("shape", (32, 32, 3))
    with pytest.raises(LabError) as caught:
        build(name, shape, 3, **given)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_function_of_the_user(mine):
    model = build(f"{mine}:network", (9, 7, 1), 4)
    assert (model.input_shape, model.output_shape) == ((None, 9, 7, 1), (None, 4))
    assert "" not in sys.path[:1]


def test_what_can_be_known_before_data_are_read_is_checked_and_no_more(mine, tmp_path):
    """A function may fit the data alone, and weights may be of grey images."""
    networks.check(f"{mine}:one_size", 16, per_pixel=False, weights="random")
    networks.check(f"{mine}:ten", None, per_pixel=True, weights="random")
    build("small", (16, 16, 1), 4).save_weights(tmp_path / "grey.weights.h5")
    networks.check("small", 16, per_pixel=False, weights=str(tmp_path / "grey.weights.h5"))
    for name, weights, said in (
        (f"{mine}:nothing", "random", "has no attribute 'nothing'"),
        (f"{mine}:network", "imagenet", "expected --weights imagenet with a network of keras.applications"),
        (f"{mine}:network", "nowhere.h5", "got nowhere.h5: no such file"),
        ("resnet20", str(tmp_path / "grey.weights.h5"), "expected the weights of resnet20"),
        ("resnet2", "random", "did you mean"),
    ):
        with pytest.raises(LabError, match=said):
            networks.check(name, None, per_pixel=False, weights=weights)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            "one_size",
            "expected a network of input shape (None, 16, 16, 3) from mine_of_the_user:one_size, got (None, 8",
        ),
        ("ten", "expected a network of output shape (None, 4) from mine_of_the_user:ten, got (None, 10)"),
        ("text", "expected mine_of_the_user:text to return a Keras model, got str"),
        ("constant", "expected mine_of_the_user:constant to be a function, got int"),
        ("nothing", "has no attribute 'nothing'"),
    ],
)
def test_functions_of_the_user_that_do_not_fit(mine, function, said):
    with pytest.raises(LabError) as caught:
        build(f"{mine}:{function}", (16, 16, 3), 4)
    assert said in str(caught.value)


def test_only_the_head_of_a_frozen_network_learns_and_its_statistics_stay(mine):
    model = build(APPLICATION, (32, 32, 3), 3)
    freeze(model, True)
    assert {w.path for w in model.trainable_variables} == {w.path for w in model.get_layer("logits").weights}
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    before = [w.copy() for w in backbone(model).get_weights()]
    model.train_on_batch(np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)), np.eye(3)[[0, 1, 2, 0]])
    assert all(map(np.array_equal, before, backbone(model).get_weights()))
    freeze(model, False)
    assert len(model.trainable_variables) > 50

    nameless = build(f"{mine}:network", (8, 8, 3), 2)
    with pytest.raises(LabError, match='name its last layer "logits", or leave out --head-epochs'):
        freeze(nameless, True)
