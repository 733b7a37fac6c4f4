"""return_mix: in every adapter, the returned mix reproduces the pixels and labels of the batch."""

from __future__ import annotations

import grain
import lightning
import numpy as np
import pytest
import tensorflow as tf
import torch

import mixaug as ma
from mixaug.mix import joined
from mixaug.recipes import RECIPES
from ways import WAYS, array_of, assert_same, own_class_everywhere, values

N, SIZE = 6, (8, 8)
X, Y = own_class_everywhere(N, SIZE), np.arange(N)  # image i is one-hot i
FIRST = np.ascontiguousarray(np.moveaxis(X, -1, 1))
T_X, T_Y = torch.from_numpy(FIRST), torch.from_numpy(Y)
OPTIONS = {"num_classes": N, "return_mix": True}

RECIPE_ROWS = {
    "boxes or blends": ma.one_of(ma.CutMix(alpha=1.0), ma.MixUp(alpha=1.0, sources=3)),
    "a dense region": ma.FMix(),
    "source boxes and soft weights": ma.one_of(ma.RICAP(), ma.SmoothMix()),
    "holes": ma.one_of(ma.Cutout(), ma.CutMix()),
}
RECIPE = RECIPE_ROWS["boxes or blends"]


def named(batch):
    """An (images, labels) pair as a dict."""
    return dict(zip(("images", "labels"), batch, strict=True))


class Samples(torch.utils.data.Dataset):
    """A dataset whose samples are read one by one."""

    def __init__(self, form):
        self.form = form

    def __len__(self):
        return N

    def __getitem__(self, row):
        return self.form((T_X[row], int(T_Y[row])))


def dataset(form):
    return tf.data.Dataset.from_tensor_slices(form((X, Y)))


def elements(form):
    return grain.MapDataset.source([form((X[i], i)) for i in range(N)])


def first(batches):
    return next(iter(batches))


def torch_items(recipe, form, **options):
    return torch.utils.data.DataLoader(ma.torch.MixedDataset(recipe, Samples(form), **OPTIONS), N, **options)


def in_training(recipe, form):
    """The batches that the training step of a Lightning Trainer receives."""
    seen = []

    class Model(lightning.LightningModule):
        def training_step(self, batch):
            seen.append(batch)

        def configure_optimizers(self):
            pass

    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = lightning.Trainer(
        max_epochs=1, enable_model_summary=False, callbacks=[ma.lightning.MixCallback(recipe, **OPTIONS)], **options
    )
    trainer.fit(Model(), torch.utils.data.DataLoader(Samples(form), N))
    return seen[0]


def in_map(layer):
    """A layer as a function of the elements of a dataset."""
    return lambda *parts: layer(parts if len(parts) > 1 else parts[0])


def tuple_of(pair):
    return tuple(pair)


#: For each adapter: a function of a recipe and of a function that turns a pair into the adapter's form of batch.
DOORS = {
    "a call": lambda r, form: r(form((X, Y)), **OPTIONS),
    "mix_batch": lambda r, form: ma.mix_batch(r, form((X, Y)), **OPTIONS),
    "a clean copy and two mixed ones": lambda r, form: r(form((X, Y)), include_clean=True, copies=2, **OPTIONS),
    "mixed": lambda r, form: first(ma.mixed(r, [form((X, Y))], epoch=0, **OPTIONS)),
    "tf.mixed": lambda r, form: first(dataset(form).batch(N).apply(ma.tf.mixed(r, **OPTIONS))),
    "tf.mixed with copies": lambda r, form: first(
        dataset(form).batch(N).apply(ma.tf.mixed(r, include_clean=True, copies=2, **OPTIONS))
    ),
    "tf.mixed in a graph": lambda r, form: first(dataset(form).batch(N).apply(ma.tf.mixed(r, graph=True, **OPTIONS))),
    "keras.MixLayer": lambda r, form: ma.keras.MixLayer(r, **OPTIONS)(tf.nest.map_structure(tf.constant, form((X, Y)))),
    "keras.MixLayer in a map": lambda r, form: first(
        dataset(form).batch(N).map(in_map(ma.keras.MixLayer(r, **OPTIONS)))
    ),
    "keras.MixLayer outside of training": lambda r, form: ma.keras.MixLayer(r, **OPTIONS)(
        tf.nest.map_structure(tf.constant, form((X, Y))), training=False
    ),
    "torch.Mixed": lambda r, form: ma.torch.Mixed(r, **OPTIONS)(form((T_X, T_Y))),
    "torch.loader": lambda r, form: first(ma.torch.loader(r, Samples(form), 3, **OPTIONS)),
    "torch.loader, partners of the dataset": lambda r, form: first(
        ma.torch.loader(r, Samples(form), 2, partners="dataset", seed=1, **OPTIONS)
    ),
    "torch.loader with workers": lambda r, form: first(ma.torch.loader(r, Samples(form), 3, num_workers=2, **OPTIONS)),
    "torch.MixingCollate": lambda r, form: ma.torch.MixingCollate(r, **OPTIONS)([Samples(form)[i] for i in range(N)]),
    "torch.MixedDataset": lambda r, form: first(torch_items(r, form)),
    "torch.MixedDataset with workers": lambda r, form: first(torch_items(r, form, num_workers=2)),
    "grain": lambda r, form: (
        ma.grain.mixed(r, elements(form), **OPTIONS).shuffle(seed=1).batch(4, batch_fn=ma.grain.stacked)[0]
    ),
}
OF_PAIRS = {
    "images and labels": lambda r: r(X, Y, **OPTIONS),
    "batches": lambda r: first(ma.batches(r, X, Y, 4, **OPTIONS)),
    "keras.MixedDataset": lambda r: ma.keras.MixedDataset(r, X, Y, 4, **OPTIONS)[0],
    "torch.Mixed": lambda r: ma.torch.Mixed(r, **OPTIONS)(T_X, T_Y),
    "torch.loader of a dataset in memory": lambda r: first(
        ma.torch.loader(r, torch.utils.data.TensorDataset(T_X, T_Y), 4, **OPTIONS)
    ),
}


def assert_mix_makes_the_batch(images, labels, mix):
    """Pixels and labels of the outputs, recomputed by the mix from the rows in its index."""
    assert isinstance(mix, ma.Mix)
    images = values(images)
    channels_first = images.shape[1:] == FIRST.shape[1:] and images.shape[1:] != X.shape[1:]
    source, layout = (FIRST, "nchw") if channels_first else (X, "nhwc")
    mix = joined([ma.Mix.unflatten(mix.flatten()[0], tuple(map(values, mix.flatten()[1])))])  # in NumPy
    assert mix.lam.shape[1] == mix.index.shape[1] == len(images)
    np.testing.assert_allclose(mix.images(None, layout, source=source), images, atol=2e-6)
    np.testing.assert_allclose(mix.labels(Y[mix.index[0]], N, source=Y), values(labels), atol=2e-6)
    np.testing.assert_allclose(mix.lam.sum(axis=0), 1, atol=2e-6)


def parts_of(batch, form):
    if form is named:
        assert list(batch) == ["images", "labels", "mix"]
        return batch.values()
    assert isinstance(batch, (tuple, list))
    return batch


@pytest.mark.pairs
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("recipe", RECIPE_ROWS)
@pytest.mark.parametrize("form", [tuple_of, named], ids=["pairs", "dicts"])
@pytest.mark.parametrize("door", DOORS)
def test_the_returned_mix_reproduces_the_batch(door, form, recipe):
    images, labels, mix = parts_of(DOORS[door](RECIPE_ROWS[recipe], form), form)
    assert_mix_makes_the_batch(images, labels, mix)


@pytest.mark.parametrize("recipe", RECIPE_ROWS)
@pytest.mark.parametrize("door", OF_PAIRS)
def test_the_returned_mix_reproduces_the_pair(door, recipe):
    assert_mix_makes_the_batch(*OF_PAIRS[door](RECIPE_ROWS[recipe]))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", [tuple_of, named], ids=["pairs", "dicts"])
def test_the_training_step_of_lightning_sees_the_mix(form):
    assert_mix_makes_the_batch(*parts_of(in_training(RECIPE, form), form))


def test_the_mix_of_timm_equals_that_of_its_recipe():
    mixup = ma.timm.Mixup(cutmix_alpha=1.0, label_smoothing=0.0, **OPTIONS)
    for enabled in (True, False):
        mixup.mixup_enabled = enabled
        assert_mix_makes_the_batch(*mixup(T_X, T_Y))


@pytest.mark.slow_ways
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("recipe", RECIPE_ROWS)
def test_the_mix_equals_draw_in_the_library_of_the_batch(way, recipe):
    recipe = RECIPE_ROWS[recipe]
    x = FIRST if array_of(way) is torch.Tensor else X
    want = recipe.draw(N, SIZE, key=(3, 4))
    arrays = {"index": want.index, "lam": want.lam, **want.region.arrays()}

    def arrays_of_the_mix(images, labels):
        mix = recipe(images, labels, key=(3, 4), **OPTIONS)[2]
        return {"index": mix.index, "lam": mix.lam, **mix.region.arrays()}

    got = way(arrays_of_the_mix, x, Y)
    assert set(got) == set(arrays)
    for name, array in arrays.items():
        assert_same(got[name], array, array_of(way), atol=1e-6 if array.dtype == np.float32 else 0)


@pytest.mark.parametrize("kind", RECIPES, ids=lambda kind: kind.__name__)
def test_clean_and_mixed_copies_have_one_mix(kind):
    images, labels, mix = kind()(X, Y, key=5, include_clean=True, copies=2, **OPTIONS)
    assert_mix_makes_the_batch(images, labels, mix)
    np.testing.assert_array_equal(mix.index[:, :N], np.broadcast_to(Y, (len(mix.index), N)))  # not mixed


def test_mixes_of_several_regions_are_joined():
    mixes = [recipe.draw(N, SIZE, key=i) for i, recipe in enumerate([*RECIPE_ROWS.values(), *(k() for k in RECIPES)])]
    both = joined(mixes)
    sources = len(both.index)
    weights = np.concatenate(
        [
            np.pad(mix.pixel_weights().astype(np.float32), [(0, sources - len(mix.index)), *[(0, 0)] * 3])
            for mix in mixes
        ],
        axis=1,
    )
    np.testing.assert_allclose(both.pixel_weights(), weights, atol=1e-7)
    images = np.concatenate([mix.images(X) for mix in mixes])
    np.testing.assert_allclose(both.images(None, source=X), images, atol=2e-6)


def test_mixes_of_several_sizes_are_not_joined():
    with pytest.raises(ValueError, match=r"expected mixes of one size, got \(4, 4\), \(8, 8\)"):
        joined([RECIPE.draw(2, (8, 8), key=0), RECIPE.draw(2, (4, 4), key=0)])


def test_rows_of_a_bank_come_after_those_of_the_batch():
    images, labels, mix = RECIPE(X[:2], Y[:2], bank=(X[2:], Y[2:]), key=3, **OPTIONS)
    assert_mix_makes_the_batch(images, labels, mix)
    assert (mix.index[1:][mix.lam[1:] > 0] >= 2).all()


def test_a_pairing_is_seen_in_the_mix():
    _, _, mix = ma.CutMix()(X, Y, pairing=ma.pairing.Roll(), key=3, **OPTIONS)
    np.testing.assert_array_equal(mix.index[1], (Y - 1) % N)


ZIPS = [
    {"batched": False},
    {"batched": False, "graph": True},
    {"batched": True},
    {"batched": True, "graph": True},
]


@pytest.mark.pairs
@pytest.mark.parametrize("options", ZIPS, ids=str)
@pytest.mark.parametrize("form", [tuple_of, named], ids=["pairs", "dicts"])
@pytest.mark.parametrize("recipe", ["holes", "a dense region"])
def test_mixed_zip_says_which_dataset_each_source_is_of(options, form, recipe):
    a = tf.data.Dataset.from_tensor_slices(form((X[:3], Y[:3])))
    b = tf.data.Dataset.from_tensor_slices(form((X[3:], Y[3:])))
    recipe = RECIPE_ROWS[recipe]
    if options["batched"]:
        images, labels, mix = parts_of(
            first(ma.tf.mixed_zip(recipe, a.batch(3), b.batch(3), **options, **OPTIONS)), form
        )
        assert_mix_makes_the_batch(images, labels, mix)
        return
    samples = list(ma.tf.mixed_zip(recipe, a, b, **options, **OPTIONS))
    assert len(samples) == 3
    for row, sample in enumerate(samples):
        image, label, mix = parts_of(sample, form)
        assert set(values(mix.index)[:, 0]) <= {0, 1}
        assert_mix_makes_the_batch(image[None], label[None], mix.of_rows(np.array([row, row + 3])))


def test_images_of_unknown_size_have_the_mix_of_known_ones():
    def batches(size, **options):
        signature = (tf.TensorSpec([None, size, size, N]), tf.TensorSpec([None], tf.int64))
        ds = tf.data.Dataset.from_generator(lambda: iter([(X, Y)]), output_signature=signature)
        return first(ds.apply(ma.tf.mixed(RECIPE_ROWS["a dense region"], **options, **OPTIONS)))

    for size in (8, None):
        for graph in (False, True):
            images, labels, mix = batches(size, graph=graph)
            assert tuple(mix.size) == SIZE
            assert_mix_makes_the_batch(images, labels, mix)


@pytest.mark.parametrize("graph", [False, True])
def test_a_schedule_of_other_regions_has_the_mix_of_each_epoch(graph):
    recipe = ma.schedule({0: ma.CutMix(), 1: ma.FMix(), 2: ma.Cutout(), 3: ma.MixUp(sources=3)})
    ds = dataset(tuple_of).batch(N).apply(ma.tf.mixed(recipe, graph=graph, **OPTIONS))
    lams = []
    for _ in range(4):
        images, labels, mix = first(ds)
        assert_mix_makes_the_batch(images, labels, mix)
        lams.append(values(mix.lam))
    assert (lams[2][1:] == 0).all()
    assert (lams[3][2] > 0).any()


def test_single_samples_have_the_mix_of_one_output():
    image, label, mix = ma.torch.MixedDataset(RECIPE, Samples(tuple_of), **OPTIONS)[4]
    assert_mix_makes_the_batch(image[None], label[None], mix)
    assert int(mix.index[0, 0]) == 4
    image, label, mix = ma.grain.mixed(RECIPE, elements(tuple_of), **OPTIONS)[4]
    assert_mix_makes_the_batch(image[None], label[None], mix)
    assert int(mix.index[0, 0]) == 4


def test_after_eval_batches_are_unmixed_with_an_identity_mix():
    mixed = ma.torch.Mixed(RECIPE, **OPTIONS).eval()
    for form in (tuple_of, named):
        images, labels, mix = parts_of(mixed(form((T_X, T_Y))), form)
        assert images is T_X
        assert labels is T_Y
        assert_mix_makes_the_batch(images, torch.eye(N), mix)
    assert mixed(T_X, T_Y)[2].lam.tolist() == [[1.0] * N]


def test_a_layer_says_in_its_configuration_whether_it_returns_the_mix():
    layer = ma.keras.MixLayer.from_config(ma.keras.MixLayer(RECIPE, **OPTIONS).get_config())
    assert len(layer((tf.constant(X), tf.constant(Y)))) == 3


def test_sample_weights_come_before_the_mix():
    images, labels, weights, mix = RECIPE(X, Y, class_weights=[1.0, 2, 3, 4, 5, 6], key=1, **OPTIONS)
    assert_mix_makes_the_batch(images, labels, mix)
    np.testing.assert_allclose(weights, labels @ np.arange(1.0, 7), rtol=1e-6)


def test_the_mix_is_not_returned_by_default():
    assert len(RECIPE(X, Y, num_classes=N)) == 2
    assert set(RECIPE({"images": X, "labels": Y}, num_classes=N)) == {"images", "labels"}


def test_a_field_named_mix_is_refused_and_can_be_renamed():
    with pytest.raises(ValueError, match="without a field 'mix', got one; rename the field"):
        RECIPE({"images": X, "labels": Y, "mix": Y}, fields={"mix": "keep"}, **OPTIONS)
    assert set(RECIPE({"images": X, "labels": Y, "kept": Y}, fields={"kept": "keep"}, **OPTIONS)) == {
        "images", "labels", "kept", "mix",
    }  # fmt: skip
