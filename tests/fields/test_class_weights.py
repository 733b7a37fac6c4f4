"""Class weights and sample weights: the weight of each output, in every library and adapter."""

from __future__ import annotations

import json
import os

import grain
import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch.utils import data

import mixaug as ma
import ways

N, C, SIZE, KEY = 6, 3, (6, 6), (0, 0)
IDS = np.array([0, 1, 2, 1, 0, 2])
TABLE = [0.5, 1.0, 4.0]
RECIPE = ma.one_of(ma.CutMix(alpha=1.0), ma.MixUp(alpha=1.0, sources=3))
IMAGES = ways.own_class_everywhere(N, SIZE)
LAST = ma.Images("nhwc")
PAIR = {"images": LAST}


def seen(images) -> np.ndarray:
    """How much of each image is in each output, from its pixels: (n, N)."""
    images = ways.values(images).astype(np.float64)
    return images.reshape(len(images), -1, N).mean(axis=1)


def weights_of(images, ids=IDS) -> np.ndarray:
    """sum_k lam[k] * w[class of source k], as the pixels say it."""
    return seen(images) @ np.array(TABLE)[ids]


@pytest.mark.slow_ways
@pytest.mark.parametrize("way", ways.WAYS)
@pytest.mark.parametrize("rule", ["area", "maximum", "heaviest"])
def test_an_output_weighs_what_its_pixels_are_made_of_in_every_library(rule, way):
    fields = {"images": LAST, "labels": ma.Labels(C, rule=rule)}

    def mixed(images, ids):
        return ma.mix_batch(RECIPE, (images, ids), key=KEY, fields=fields, class_weights=TABLE)

    images, _, weights = way(mixed, IMAGES, IDS)
    assert isinstance(weights, ways.array_of(way))
    assert (ways.values(weights).dtype, ways.values(weights).shape) == (np.float32, (N,))
    np.testing.assert_allclose(ways.values(weights), weights_of(images), atol=1e-5)


FORMS = {
    "ids": IDS, "ids (n, 1)": IDS[:, None], "float ids": IDS.astype(np.float32),
    "one-hot": np.eye(C, dtype=np.float32)[IDS], "one-hot int": np.eye(C, dtype=int)[IDS],
}  # fmt: skip


@pytest.mark.parametrize("given", [TABLE, tuple(TABLE), np.array(TABLE), torch.tensor(TABLE), dict(enumerate(TABLE))])
@pytest.mark.parametrize("form", FORMS)
def test_class_weights_of_any_form_for_labels_of_any_form(form, given):
    images, _, weights = ma.mix_batch(RECIPE, (IMAGES, FORMS[form]), key=KEY, num_classes=C, class_weights=given)
    np.testing.assert_allclose(weights, weights_of(images), atol=1e-5)


def test_soft_rows_weigh_the_sum_over_their_classes():
    soft = np.random.default_rng(0).dirichlet(np.ones(C), N)
    images, labels, weights = ma.mix_batch(RECIPE, (IMAGES, soft), key=KEY, class_weights=TABLE)
    np.testing.assert_allclose(weights, seen(images) @ (soft @ TABLE), atol=1e-5)
    np.testing.assert_allclose(weights, labels @ TABLE, atol=1e-5)


def test_binary_labels_have_two_weights():
    bits = IDS == 1
    fields = {"labels": ma.Labels(binary=True)}
    images, _, weights = ma.mix_batch(RECIPE, (IMAGES, bits), key=KEY, fields=fields, class_weights=[1, 5])
    np.testing.assert_allclose(weights, seen(images) @ np.where(bits, 5, 1), atol=1e-5)


@pytest.mark.parametrize("given", [[1.0], [1.0, 2.0, 3.0], {0: 1.0}])
def test_binary_labels_with_another_number_of_weights_are_refused(given):
    fields = {"labels": ma.Labels(binary=True)}
    with pytest.raises(ValueError, match=r"class_weights: expected (2 weights|a weight for each class 0\.\.1)"):
        ma.mix_batch(RECIPE, (IMAGES, IDS == 1), key=KEY, fields=fields, class_weights=given)


def test_labels_per_source_have_weights_too():
    fields = {"labels": ma.PerSource()}
    images, (_, lam), weights = ma.mix_batch(RECIPE, (IMAGES, IDS), key=KEY, fields=fields, class_weights=TABLE)
    np.testing.assert_allclose(weights, weights_of(images), atol=1e-5)
    assert lam.shape == (3, N)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("column", [False, True], ids=["(n,)", "(n, 1)"])
def test_they_multiply_the_mixed_sample_weight(column, dtype):
    own = np.array([1, 0, 2, 3, 1, 4]).astype(dtype)
    batch = {"images": IMAGES, "labels": IDS, "sample_weight": own[:, None] if column else own}
    mixed = ma.mix_batch(RECIPE, batch, key=KEY, num_classes=C, class_weights=TABLE)
    assert list(mixed) == list(batch)
    assert mixed["sample_weight"].shape == batch["sample_weight"].shape
    assert mixed["sample_weight"].dtype == ("float32" if dtype == "int64" else dtype)
    want = (seen(mixed["images"]) @ own) * weights_of(mixed["images"])
    np.testing.assert_allclose(mixed["sample_weight"].reshape(-1), want, atol=1e-4)
    if dtype != "int64":
        triple = ma.mix_batch(RECIPE, tuple(batch.values()), key=KEY, num_classes=C, class_weights=TABLE)
        np.testing.assert_array_equal(triple[2], mixed["sample_weight"])


def test_a_batch_without_sample_weights_gains_them_in_its_own_form():
    options = {"key": KEY, "num_classes": C, "class_weights": TABLE}
    pair, listed = ma.mix_batch(RECIPE, (IMAGES, IDS), **options), ma.mix_batch(RECIPE, [IMAGES, IDS], **options)
    named = ma.mix_batch(RECIPE, {"images": IMAGES, "labels": IDS}, **options)
    nested = ma.mix_batch(RECIPE, {"x": {"image": IMAGES}, "y": {"label": IDS}}, **options)
    three = ma.mix_batch(RECIPE, (IMAGES, IDS, IMAGES), fields=("images", "labels", "images"), **options)
    assert (type(pair), len(pair), type(listed), len(listed), len(three)) == (tuple, 3, list, 3, 4)
    assert (list(named), list(nested)) == (["images", "labels", "sample_weight"], ["x", "y", "sample_weight"])
    for weights in (listed[2], named["sample_weight"], nested["sample_weight"], three[3]):
        np.testing.assert_array_equal(weights, pair[2])


def test_clean_rows_copies_and_a_bank_have_weights():
    bank = (IMAGES[:2], IDS[:2])
    images, _, weights = ma.mix_batch(
        RECIPE, (IMAGES, IDS), key=KEY, num_classes=C, class_weights=TABLE, include_clean=True, copies=2
    )
    assert weights.shape == (3 * N,)
    np.testing.assert_array_equal(weights[:N], np.float32(TABLE)[IDS])
    np.testing.assert_allclose(weights, weights_of(images), atol=1e-5)
    images, _, weights = ma.mix_batch(RECIPE, (IMAGES, IDS), key=KEY, num_classes=C, class_weights=TABLE, bank=bank)
    np.testing.assert_allclose(weights, weights_of(images), atol=1e-5)


# --- refused, and the ways out ---


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([1, 2], ValueError, "expected 3 weights, one a class, got 2; give each class one, 1.0 changes nothing"),
        ([1, 2, -1], ValueError, "expected finite numbers >= 0, got -1.0 for class 2"),
        ([1, np.inf, 1], ValueError, "expected finite numbers >= 0, got inf for class 1"),
        ([1, np.nan, 1], ValueError, "expected finite numbers >= 0, got nan for class 1"),
        (
            {0: 1, 2: 1},
            ValueError,
            r"expected a weight for each class 0\.\.2, got no weight for class 1; 1.0 leaves a class",
        ),
        ({0: 1, 1: 1, 2: 1, 3: 1}, ValueError, r"expected a weight for each class 0\.\.2, got one for 3"),
        (np.ones((3, 1)), TypeError, r"expected \{class: weight\}, or one number a class, got array"),
        (["a", "b", "c"], TypeError, r"expected \{class: weight\}, or one number a class"),
        (2.0, TypeError, r"expected \{class: weight\}, or one number a class, got 2.0"),
        ("balanced", TypeError, r"expected \{class: weight\}, or one number a class, got 'balanced'"),
        (
            {"cat": 1, "dog": 2},
            ValueError,
            "expected classes as numbers, or the name of one field of labels, got 'cat'",
        ),
    ],
)
def test_what_are_no_class_weights_is_refused(given, error, message):
    with pytest.raises(error, match=f"class_weights: {message}"):
        ma.mix_batch(RECIPE, (IMAGES, IDS), key=KEY, num_classes=C, class_weights=given)


def test_of_several_labels_one_has_to_be_named_and_the_way_out_works():
    batch = {"images": IMAGES, "kind": IDS, "place": IDS[::-1].copy()}
    options = {"key": KEY, "num_classes": C, "fields": {"kind": "labels", "place": "labels"}}
    message = "expected one field of labels, got 'kind', 'place'; say which, as in class_weights={'kind': ...}"
    with pytest.raises(ValueError, match=message):
        ma.mix_batch(RECIPE, batch, class_weights=TABLE, **options)
    mixed = ma.mix_batch(RECIPE, batch, class_weights={"kind": TABLE}, **options)
    np.testing.assert_allclose(mixed["sample_weight"], weights_of(mixed["images"]), atol=1e-5)
    mixed = ma.mix_batch(RECIPE, batch, class_weights={"place": dict(enumerate(TABLE))}, **options)
    np.testing.assert_allclose(mixed["sample_weight"], weights_of(mixed["images"], IDS[::-1]), atol=1e-5)
    with pytest.raises(ValueError, match="expected labels called 'colour' in the batch, got 'images', 'kind', 'place'"):
        ma.mix_batch(RECIPE, batch, class_weights={"colour": TABLE}, **options)


def test_a_batch_without_labels_has_no_class_weights():
    masks = np.zeros((N, *SIZE), np.uint8)
    with pytest.raises(
        ValueError, match="class_weights: expected labels in the batch, got 'images', 'labels'; name them"
    ):
        ma.mix_batch(RECIPE, (IMAGES, masks), key=KEY, fields=("images", "masks"), class_weights=TABLE)


def test_two_fields_of_sample_weights_are_refused():
    one = np.ones(N, np.float32)
    batch = {"images": IMAGES, "labels": IDS, "a": {"sample_weight": one}, "b": {"sample_weight": one}}
    with pytest.raises(
        ValueError, match="one field of sample weights or none, got 'a/sample_weight', 'b/sample_weight'"
    ):
        ma.mix_batch(RECIPE, batch, key=KEY, num_classes=C, class_weights=TABLE)
    batch = {"images": IMAGES, "labels": IDS, "sample_weight": one}
    options = {"num_classes": C, "fields": {"sample_weight": "keep"}, "class_weights": TABLE}
    with pytest.raises(ValueError, match="expected 'sample_weight' to be 'values', which they multiply"):
        ma.mix_batch(RECIPE, batch, key=KEY, **options)


# --- every adapter ---


def check(batches, n: int) -> None:
    """Triples of images, labels and weights that their pixels agree with, of n rows in all."""
    rows = 0
    for images, _, weights in batches:
        np.testing.assert_allclose(ways.values(weights), weights_of(images), atol=1e-5)
        rows += len(images)
    assert rows == n


OPTIONS = {"num_classes": C, "class_weights": TABLE}


def test_batches_of_arrays():
    check(ma.batches(RECIPE, IMAGES, IDS, 4, epochs=2, **OPTIONS), 2 * N)


def test_any_iterable():
    check(ma.mixed(RECIPE, [(IMAGES, IDS), (IMAGES[:3], IDS[:3])], epoch=0, **OPTIONS), 9)


def pairs() -> data.TensorDataset:
    return data.TensorDataset(torch.tensor(IMAGES), torch.tensor(IDS))


def test_the_module_of_pytorch():
    check([ma.torch.Mixed(RECIPE, fields=PAIR, **OPTIONS)(torch.tensor(IMAGES), torch.tensor(IDS))], N)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loaders_of_pytorch(workers):
    options = {"fields": PAIR, **OPTIONS}
    check(ma.torch.loader(RECIPE, pairs(), 4, num_workers=workers, **options), N)
    check(data.DataLoader(ma.torch.MixedDataset(RECIPE, pairs(), **options), 4, num_workers=workers), N)
    mixing = ma.torch.MixingCollate(RECIPE, **options)
    check(data.DataLoader(pairs(), 4, collate_fn=mixing, num_workers=workers), N)


@pytest.mark.parametrize("graph", [False, True])
def test_datasets_of_tensorflow(graph):
    ds = tf.data.Dataset.from_tensor_slices((IMAGES, IDS))
    check(ds.batch(4).apply(ma.tf.mixed(RECIPE, graph=graph, **OPTIONS)), N)
    two = ma.CutMix(alpha=1.0)
    check(ma.tf.mixed_zip(two, ds.batch(4), ds.shuffle(N, seed=1).batch(4), graph=graph, **OPTIONS), N)
    check(ma.tf.mixed_zip(two, ds, ds.shuffle(N, seed=1), graph=graph, **OPTIONS).batch(4), N)


def test_grain():
    ds = grain.MapDataset.source([(IMAGES[i], IDS[i]) for i in range(N)])
    mixed = ma.grain.mixed(RECIPE, ds, **OPTIONS).batch(4)
    check([mixed[i] for i in range(len(mixed))], N)


class Generator(keras.utils.PyDataset):
    """Two batches, with sample weights or without."""

    def __init__(self, weights: np.ndarray | None = None) -> None:
        super().__init__()
        self.parts = (IMAGES, IDS) if weights is None else (IMAGES, IDS, weights)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return tuple(part[3 * index : 3 * index + 3] for part in self.parts)


def test_datasets_of_keras():
    ds = ma.keras.MixedDataset(RECIPE, IMAGES, IDS, 4, **OPTIONS)
    check([ds[i] for i in range(len(ds))], N)
    ds = ma.keras.MixedDataset(RECIPE, Generator(), **OPTIONS)
    check([ds[i] for i in range(len(ds))], N)


def test_the_layer_of_keras_and_its_configuration():
    layer = ma.keras.MixLayer(RECIPE, C, class_weights={0: 0.5, 1: 1, 2: 4})
    again = ma.keras.MixLayer.from_config(json.loads(json.dumps(layer.get_config())))
    for one in (layer, again):
        out = one({"images": IMAGES, "labels": IDS})
        check([(out["images"], out["labels"], out["sample_weight"])], N)
    clean = layer({"images": IMAGES, "labels": IDS}, training=False)
    np.testing.assert_array_equal(clean["sample_weight"], np.float32(TABLE)[IDS])


def test_the_callback_of_lightning():
    from types import SimpleNamespace

    callback = ma.lightning.MixCallback(RECIPE, fields=PAIR, **OPTIONS)
    trainer = SimpleNamespace(current_epoch=0, distributed_sampler_kwargs=None)
    listed, named = (
        [torch.tensor(IMAGES), torch.tensor(IDS)],
        {"images": torch.tensor(IMAGES), "labels": torch.tensor(IDS)},
    )
    callback.on_train_batch_start(trainer, None, listed, 0)
    callback.on_train_batch_start(trainer, None, named, 0)
    check([listed, (named["images"], named["labels"], named["sample_weight"])], 2 * N)


# --- sample weights of their own ---

OWN = np.float32([1, 0, 2, 3, 1, 4])


def check_own(batches, n: int) -> None:
    """Triples whose weights are those of the samples that their pixels are of."""
    rows = 0
    for images, _, weights in batches:
        np.testing.assert_allclose(ways.values(weights).reshape(-1), seen(images) @ OWN, atol=1e-5)
        rows += len(images)
    assert rows == n


@pytest.mark.parametrize("column", [False, True], ids=["(n,)", "(n, 1)"])
def test_sample_weights_beside_arrays(column):
    own = OWN[:, None] if column else OWN
    check_own(ma.batches(RECIPE, IMAGES, IDS, 4, epochs=2, num_classes=C, sample_weight=own), 2 * N)


def test_sample_weights_beside_fields_that_are_said_by_place():
    fields = ("images", ma.Labels(C))
    check_own(ma.batches(RECIPE, IMAGES, IDS, 4, epochs=1, fields=fields, sample_weight=OWN), N)
    mixed = ma.batches(RECIPE, IMAGES, IDS, 4, epochs=1, fields=fields, sample_weight=OWN, class_weights=TABLE)
    for images, _, weights in mixed:
        np.testing.assert_allclose(weights, (seen(images) @ OWN) * weights_of(images), atol=1e-4)


def test_sample_weights_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"rows in x, y and sample_weight, .* got 6 and 6 and 5"):
        ma.batches(RECIPE, IMAGES, IDS, 4, num_classes=C, sample_weight=OWN[:5])
    with pytest.raises(TypeError, match="sample_weight: expected a NumPy array with rows, got list"):
        ma.batches(RECIPE, IMAGES, IDS, 4, num_classes=C, sample_weight=OWN.tolist())


def test_sample_weights_through_generators_tf_data_and_pytorch():
    ds = ma.keras.MixedDataset(RECIPE, Generator(OWN), num_classes=C)
    check_own([ds[i] for i in range(len(ds))], N)
    check_own(ma.mixed(RECIPE, iter([(IMAGES, IDS, OWN)]), epoch=0, num_classes=C), N)
    slices = tf.data.Dataset.from_tensor_slices((IMAGES, IDS, OWN))
    for graph in (False, True):
        check_own(slices.batch(4).apply(ma.tf.mixed(RECIPE, num_classes=C, graph=graph)), N)
    triples = data.TensorDataset(*map(torch.tensor, (IMAGES, IDS, OWN)))
    options = {"fields": PAIR, "num_classes": C}
    check_own([ma.torch.Mixed(RECIPE, **options)(*triples.tensors)], N)
    check_own(ma.torch.loader(RECIPE, triples, 4, num_workers=2, **options), N)
    check_own(data.DataLoader(ma.torch.MixedDataset(RECIPE, triples, **options), 4), N)
    check_own(data.DataLoader(triples, 4, collate_fn=ma.torch.MixingCollate(RECIPE, **options)), N)


# --- what others mean by it: the table of docs/labels.md ---

X = np.random.default_rng(0).random((N, *SIZE, 3)).astype(np.float32)
LOGITS = np.random.default_rng(1).normal(size=(N, C)).astype(np.float32)


def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.Input((*SIZE, 3)), keras.layers.Flatten(), keras.layers.Dense(C)]
    made = keras.Sequential(layers)
    made.compile(keras.optimizers.SGD(0.0), keras.losses.CategoricalCrossentropy(from_logits=True))
    return made


def test_unmixed_they_are_the_class_weight_of_keras_fit():
    rows = keras.utils.to_categorical(IDS, C)
    theirs = model().fit(X, rows, N, verbose=0, shuffle=False, class_weight=dict(enumerate(TABLE))).history["loss"]
    batch = ma.mix_batch(ma.identity(), (X, IDS), key=KEY, **OPTIONS)
    ours = model().fit(*batch[:2], sample_weight=batch[2], batch_size=N, verbose=0, shuffle=False).history["loss"]
    dataset = ma.keras.MixedDataset(ma.identity(), X, IDS, N, **OPTIONS)
    fitted = model().fit(dataset, verbose=0, shuffle=False).history["loss"]
    np.testing.assert_allclose([ours, fitted], [theirs, theirs], rtol=1e-5)
    assert abs(model().fit(X, rows, N, verbose=0).history["loss"][0] - theirs[0]) > 1e-3


def test_keras_class_weight_of_mixed_rows_is_that_of_the_heaviest_class():
    images, labels, weights = ma.mix_batch(ma.MixUp(alpha=1.0), (X, IDS), key=KEY, **OPTIONS)
    theirs = model().fit(images, labels, N, verbose=0, class_weight=dict(enumerate(TABLE))).history["loss"]
    heaviest = np.float32(TABLE)[labels.argmax(axis=1)]
    same = model().fit(images, labels, N, verbose=0, sample_weight=heaviest).history["loss"]
    ours = model().fit(images, labels, N, verbose=0, sample_weight=weights).history["loss"]
    np.testing.assert_allclose(theirs, same, rtol=1e-5)
    assert abs(ours[0] - theirs[0]) > 1e-3


def test_unmixed_they_are_the_weight_of_pytorchs_cross_entropy_for_each_row():
    _, labels, weights = ma.mix_batch(ma.identity(), (X, IDS), key=KEY, **OPTIONS)
    logits, ids = torch.tensor(LOGITS), torch.tensor(IDS)
    rows = ma.losses.cross_entropy(logits, torch.tensor(labels)) * torch.tensor(weights)
    theirs = torch.nn.CrossEntropyLoss(weight=torch.tensor(TABLE), reduction="none")(logits, ids)
    torch.testing.assert_close(rows, theirs)
    mean = torch.nn.CrossEntropyLoss(weight=torch.tensor(TABLE))(logits, ids)
    torch.testing.assert_close(rows.sum() / torch.tensor(weights).sum(), mean)  # its mean divides by the weights


def test_mixed_pytorch_weighs_each_class_of_a_row_and_not_the_row():
    _, labels, weights = ma.mix_batch(ma.MixUp(alpha=1.0), (X, IDS), key=KEY, **OPTIONS)
    logits, rows = torch.tensor(LOGITS), torch.tensor(labels)
    theirs = torch.nn.CrossEntropyLoss(weight=torch.tensor(TABLE), reduction="none")(logits, rows)
    torch.testing.assert_close(theirs, -(rows * torch.tensor(TABLE) * logits.log_softmax(-1)).sum(-1))
    ours = torch.nn.CrossEntropyLoss(reduction="none")(logits, rows) * torch.tensor(weights)
    assert (theirs - ours).abs().max() > 1e-3


# --- Hugging Face: the loss of MixTrainer is weighed ---


@pytest.fixture
def trainer_of(tmp_path):
    transformers = pytest.importorskip("transformers")
    os.environ["HF_HUB_OFFLINE"] = "1"

    def make(kind=None, samples=None, **options):
        small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        config = transformers.ViTConfig(
            image_size=SIZE[0],
            patch_size=3,
            num_labels=C,
            hidden_dropout_prob=0,
            attention_probs_dropout_prob=0,
            **small,
        )
        torch.manual_seed(0)
        args = transformers.TrainingArguments(
            str(tmp_path), max_steps=1, per_device_train_batch_size=N, report_to="none", save_strategy="no",
            use_cpu=True,
            logging_steps=1, remove_unused_columns=False, dataloader_drop_last=False,
        )  # fmt: skip
        samples = samples or [
            {"pixel_values": torch.tensor(X[i]).movedim(-1, 0), "labels": int(IDS[i])} for i in range(N)
        ]
        model = transformers.ViTForImageClassification(config)
        return (kind or ma.huggingface.MixTrainer)(model, args, train_dataset=samples, recipe=ma.identity(), **options)

    return make


def loss_by_hand(trainer, weights) -> float:
    """The mean over the rows of weight times cross-entropy, of unmixed samples."""
    images = torch.stack([sample["pixel_values"] for sample in trainer.train_dataset])
    trainer.model.train()
    with torch.no_grad():
        logits = trainer.model(pixel_values=images).logits
    return float((torch.nn.functional.cross_entropy(logits, torch.tensor(IDS), reduction="none") * weights).mean())


def test_the_trainers_loss_weighs_rows(trainer_of):
    trainer, plain = trainer_of(class_weights=TABLE), trainer_of()
    weights = torch.tensor(TABLE)[torch.tensor(IDS)]
    want, unweighed = loss_by_hand(trainer, weights), loss_by_hand(plain, torch.ones(N))
    assert abs(want - unweighed) > 1e-3
    assert trainer.train().training_loss == pytest.approx(want, rel=1e-4)
    assert plain.train().training_loss == pytest.approx(unweighed, rel=1e-4)


def test_the_trainers_loss_weighs_rows_by_sample_weights_of_the_dataset(trainer_of):
    samples = [
        {"pixel_values": torch.tensor(X[i]).movedim(-1, 0), "labels": int(IDS[i]), "sample_weight": float(OWN[i])}
        for i in range(N)
    ]
    trainer = trainer_of(samples=samples, class_weights=TABLE)
    want = loss_by_hand(trainer, torch.tensor(OWN) * torch.tensor(TABLE)[torch.tensor(IDS)])
    assert trainer.train().training_loss == pytest.approx(want, rel=1e-4)


def test_a_compute_loss_of_a_subclass_finds_the_weights_in_its_inputs(trainer_of):
    class Own(ma.huggingface.MixTrainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            weights, labels = inputs.pop("sample_weight"), inputs.pop("labels")
            return 2 * (ma.losses.cross_entropy(model(**inputs).logits, labels) * weights).mean()

    trainer = trainer_of(Own, class_weights=TABLE)
    want = 2 * loss_by_hand(trainer, torch.tensor(TABLE)[torch.tensor(IDS)])
    assert trainer.train().training_loss == pytest.approx(want, rel=1e-4)


def test_a_compute_loss_func_beside_class_weights_is_refused(trainer_of):
    sentence = r"class_weights: expected no compute_loss_func, .*, got one; leave it out, or override compute_loss"
    with pytest.raises(ValueError, match=sentence):
        trainer_of(class_weights=TABLE, compute_loss_func=lambda outputs, labels, num_items_in_batch=None: 0)


@pytest.mark.parametrize("weights", [{0: 1, 1: "a"}, {0: 1, 1: "2"}, [1, "2"], {0: 1, 1: None}])
def test_weights_that_are_not_numbers_are_refused(weights):
    images, labels = np.zeros((2, 4, 4, 3), np.float32), np.array([0, 1])
    with pytest.raises(
        TypeError, match=r"class_weights: expected .*, or one number a class, got .*; pass a list of floats"
    ):
        ma.mix_batch(ma.CutMix(), (images, labels), key=0, num_classes=2, class_weights=weights)
    ma.mix_batch(ma.CutMix(), (images, labels), key=0, num_classes=2, class_weights=[1.0, 2.0])
