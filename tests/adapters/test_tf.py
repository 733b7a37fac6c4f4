"""tf.data: the stream that every other library draws, for any parallelism, with shapes kept."""

from __future__ import annotations

import numpy as np
import pytest

import mixaug as ma
import ways

tf = ways.tf
N, BATCH = 22, 4
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 8, 6, 3), np.uint8)
LABELS = np.arange(N)
RECIPE = ma.one_of(ma.MixUp(alpha=1.0), ma.CutMix())


def batched() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(BATCH)


def epoch_by_numpy(seed: int, epoch: int, recipe: ma.Recipe = RECIPE) -> list[tuple[np.ndarray, np.ndarray]]:
    loader = [(IMAGES[i : i + BATCH], LABELS[i : i + BATCH]) for i in range(0, N, BATCH)]
    return list(ma.mixed(recipe, loader, seed=seed, epoch=epoch, num_classes=N))


def assert_same(got, want) -> None:
    got = list(got)
    assert len(got) == len(want)
    for one, other in zip(got, want, strict=True):
        for a, b in zip(one, other, strict=True):
            assert a.shape == b.shape
            np.testing.assert_array_equal(np.asarray(a), b) if a.dtype == tf.uint8 else np.testing.assert_allclose(
                a, b, atol=1e-7
            )


@pytest.mark.parametrize("calls", [None, 1, 3, tf.data.AUTOTUNE])
def test_an_epoch_is_the_stream_that_numpy_draws(calls):
    ds = batched().apply(ma.tf.mixed(RECIPE, num_classes=N, seed=5, epoch=2, num_parallel_calls=calls))
    for _ in range(2):
        assert_same(ds, epoch_by_numpy(5, 2))


def test_passes_are_counted_where_no_epoch_is_said():
    """Live in others: the same random numbers each epoch, or a seed that is ignored."""
    for _ in range(2):  # the same program gives the same stream again
        ds = batched().apply(ma.tf.mixed(RECIPE, num_classes=N, seed=1))
        for epoch in range(3):
            assert_same(ds, epoch_by_numpy(1, epoch))
    assert (epoch_by_numpy(1, 0)[0][0] != epoch_by_numpy(1, 1)[0][0]).any()
    assert (epoch_by_numpy(1, 0)[0][0] != epoch_by_numpy(2, 0)[0][0]).any()


def test_a_repeated_dataset_draws_anew_each_time():
    ds = batched().apply(ma.tf.mixed(RECIPE, num_classes=N)).repeat(2)
    assert_same(ds, epoch_by_numpy(0, 0) + epoch_by_numpy(0, 1))


def test_a_variable_is_read_when_a_pass_begins():
    epoch = tf.Variable(7, dtype=tf.int64, trainable=False)
    ds = batched().apply(ma.tf.mixed(RECIPE, num_classes=N, epoch=epoch)).prefetch(2)
    assert_same(ds, epoch_by_numpy(0, 7))
    epoch.assign(2)
    pulled = iter(ds)
    first = next(pulled)
    epoch.assign(9)  # in the middle of a pass: this pass goes on as it began
    assert_same([first, *pulled], epoch_by_numpy(0, 2))
    assert_same(ds, epoch_by_numpy(0, 9))


@pytest.mark.parametrize("remainder", [False, True])
def test_static_shapes_and_length_survive(remainder):
    ds = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(BATCH, drop_remainder=remainder)
    out = ds.apply(ma.tf.mixed(RECIPE, num_classes=N))
    n = BATCH if remainder else None
    assert out.element_spec == (tf.TensorSpec((n, 8, 6, 3), tf.uint8), tf.TensorSpec((n, N), tf.float32))
    assert out.cardinality() == ds.cardinality()
    assert ds.repeat().apply(ma.tf.mixed(RECIPE, num_classes=N)).cardinality() == tf.data.INFINITE_CARDINALITY
    assert (
        ds.filter(lambda *_: True).apply(ma.tf.mixed(RECIPE, num_classes=N)).cardinality()
        == tf.data.UNKNOWN_CARDINALITY
    )


QUICK = ways.RECIPE_ROWS[::6]
SLOW = [pytest.param(recipe, marks=pytest.mark.full) for recipe in ways.RECIPE_ROWS if recipe not in QUICK]


@pytest.mark.parametrize("recipe", [*QUICK, *SLOW], ids=repr)
def test_images_of_unknown_size(recipe):
    def ragged():
        for i in range(3):
            yield np.full((2, 5 + i, 4, 1), i, np.uint8), np.arange(2)

    spec = (tf.TensorSpec((None, None, None, 1), tf.uint8), tf.TensorSpec((None,), tf.int64))
    ds = tf.data.Dataset.from_generator(ragged, output_signature=spec)
    out = ds.apply(ma.tf.mixed(recipe, num_classes=2, epoch=0))
    assert out.element_spec[0].shape.as_list() == [None, None, None, 1]
    for step, (images, labels) in enumerate(out):
        x = np.full((2, 5 + step, 4, 1), step, np.uint8)
        expected = ma.mix_batch(recipe, (x, np.arange(2)), key=(0, 0, step), num_classes=2)
        np.testing.assert_array_equal(images, expected[0])
        np.testing.assert_allclose(labels, expected[1], atol=1e-6)


def test_triples_and_dicts():
    weights = np.linspace(0, 1, N, dtype=np.float32)
    triples = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS, weights)).batch(BATCH)
    named = triples.map(lambda x, y, w: {"photo": x, "labels": y, "sample_weight": w})
    triple = next(iter(triples.apply(ma.tf.mixed(RECIPE, num_classes=N))))
    single = next(iter(named.apply(ma.tf.mixed(RECIPE, num_classes=N, fields={"photo": "images"}))))
    for a, b in zip(triple, (single["photo"], single["labels"], single["sample_weight"]), strict=True):
        np.testing.assert_array_equal(a, b)
    expected = ma.mix_batch(RECIPE, (IMAGES[:4], LABELS[:4], weights[:4]), key=(0, 0, 0), num_classes=N)
    np.testing.assert_allclose(triple[2], expected[2], atol=1e-7)


def test_a_mix_passes_through_functions_and_datasets():
    def draw(images, labels):
        return images, RECIPE.draw(tf.shape(images)[0], (8, 6), key=(0, tf.reduce_sum(labels)), like=images)

    for images, mix in batched().map(draw):
        assert isinstance(mix, ma.Mix)
        np.testing.assert_array_equal(mix.images(images), tf.function(lambda m, x: m.images(x))(mix, images))


def test_passes_are_counted_under_a_strategy():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        ds = batched().apply(ma.tf.mixed(RECIPE, num_classes=N))
    for epoch in range(2):
        assert_same(ds, epoch_by_numpy(0, epoch))


# --- two zipped datasets


def copies(seed: int = 0) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    ds = tf.data.Dataset.from_tensor_slices((ways.own_class_everywhere(N, (5, 6)), LABELS))
    return tuple(ds.shuffle(N, seed=seed + i, reshuffle_each_iteration=False) for i in range(2))


@pytest.mark.parametrize("recipe", [RECIPE, ma.GridMix(), ma.SmoothMix(), ma.identity()], ids=repr)
def test_zipped_element_i_is_made_of_element_i_of_each(recipe):
    a, b = copies()
    own, other = [int(y) for _, y in a], [int(y) for _, y in b]
    out = list(ma.tf.mixed_zip(recipe, a, b, num_classes=N, seed=3, epoch=4))
    assert len(out) == N
    for i, (images, labels) in enumerate(out):
        np.testing.assert_allclose(tf.reduce_mean(images, axis=(0, 1)), labels, atol=1e-6)
        index = np.array([[0], [1]])[: recipe.sources]
        lam = recipe.draw(1, (5, 6), key=ma.core.keys.make((3, 4)), index=index, rows=np.array([i])).lam[:, 0]
        expected = np.zeros(N)
        np.add.at(expected, [own[i], other[i]][: len(lam)], lam)
        np.testing.assert_allclose(labels, expected, atol=1e-6)


def test_zipped_samples_are_the_same_in_blocks_in_a_graph_and_one_by_one():
    """Of more of them than are mixed in one go, and of sizes that are known or not."""
    x, y = np.random.default_rng(0).integers(0, 256, (150, 6, 4, 1), np.uint8), np.arange(150) % 5
    pair = [tf.data.Dataset.from_tensor_slices((part, y)) for part in (x, x[::-1].copy())]
    unsized = [tf.data.Dataset.from_generator(lambda ds=ds: iter(ds), output_signature=(
        tf.TensorSpec([None, None, 1], tf.uint8), tf.TensorSpec([], y.dtype))) for ds in pair]  # fmt: skip
    recipe, options = ma.one_of(ma.CutMix(), ma.MixUp()), {"num_classes": 5, "seed": 2, "epoch": 1}
    blocks, graph, single = (
        ma.tf.mixed_zip(recipe, *pair, **options), ma.tf.mixed_zip(recipe, *pair, **options, graph=True),
        ma.tf.mixed_zip(recipe, *unsized, **options, batched=False),
    )  # fmt: skip
    assert len(list(blocks)) == 150
    assert [spec.shape.as_list() for spec in blocks.element_spec] == [[6, 4, 1], [5]]
    for one, two, three in zip(blocks, graph, single, strict=True):
        for got, *others in zip(one, two, three, strict=True):
            for other in others:
                np.testing.assert_array_equal(got, other)


def test_few_large_zipped_samples_are_asked_for_at_a_time():
    made = []

    def samples():
        for i in range(40):
            made.append(i)
            yield np.zeros((512, 512, 1), np.float32), 0

    signature = tf.TensorSpec([512, 512, 1], tf.float32), tf.TensorSpec([], tf.int64)
    a, b = (tf.data.Dataset.from_generator(samples, output_signature=signature) for _ in range(2))
    out = ma.tf.mixed_zip(ma.CutMix(), a, b, num_classes=1, num_parallel_calls=None)
    next(iter(out))
    assert len(made) <= 8


def test_zipped_samples_of_sizes_of_their_own():
    samples = [(np.full((3 + i, 4, 1), 40 * i, np.uint8), i) for i in range(4)]
    ds = tf.data.Dataset.from_generator(lambda: iter(samples), output_signature=(
        tf.TensorSpec([None, 4, 1], tf.uint8), tf.TensorSpec([], tf.int64)))  # fmt: skip
    out = list(ma.tf.mixed_zip(ma.CutMix(), ds, ds, num_classes=4, batched=False))
    assert [(images.shape[0], int(tf.argmax(labels))) for images, labels in out] == [(3 + i, i) for i in range(4)]


def test_zipped_batches():
    a, b = (ds.batch(BATCH) for ds in copies())
    out = ma.tf.mixed_zip(ma.CutMix(), a, b, num_classes=N)
    assert out.element_spec[1].shape.as_list() == [None, N]
    for i, (images, labels) in enumerate(out):
        np.testing.assert_allclose(tf.reduce_mean(images, axis=(1, 2)), labels, atol=1e-6)
        lam = ma.CutMix().draw(len(labels), (5, 6), key=(0, 0, i)).lam
        own = [int(y) for y in list(a)[i][1]]
        other = [int(y) for y in list(b)[i][1]]
        for row, (p, q) in enumerate(zip(own, other, strict=True)):
            if p != q:
                np.testing.assert_allclose((labels[row, p], labels[row, q]), lam[:, row], atol=1e-6)
    assert (next(iter(out))[0] != next(iter(out))[0]).numpy().any()  # each pass has other mixes


def test_zipped_batches_of_unequal_length_are_refused():
    a, b = (ds.batch(size) for ds, size in zip(copies(), (4, 3), strict=True))
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected batches with the same number of rows in both"):
        list(ma.tf.mixed_zip(ma.CutMix(), a, b, num_classes=N))


def test_zipped_shapes_that_do_not_tell_are_refused():
    ds = tf.data.Dataset.from_tensor_slices((np.zeros((4, 3, 3, 1), np.float32), np.eye(3)[[0, 1, 2, 0]]))
    with pytest.raises(
        ValueError, match=r"distinguish samples from batches, got 'images' .*; pass batched=True .*, batched=False"
    ):
        ma.tf.mixed_zip(ma.CutMix(), ds, ds)
    images, labels = next(iter(ma.tf.mixed_zip(ma.CutMix(), ds, ds, batched=False)))
    assert (images.shape, labels.shape) == ((3, 3, 1), (3,))


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (
            lambda: batched().unbatch().apply(ma.tf.mixed(RECIPE)),
            ValueError,
            r"expected a dataset of batches, got what may be single samples",
        ),
        (lambda: batched().apply(ma.tf.mixed(RECIPE)), ValueError, "expected num_classes for class ids"),
        (
            lambda: batched().apply(ma.tf.mixed(RECIPE, num_classes=N, epoch=1.5)),
            TypeError,
            "epoch: expected an int, a tf.Variable or None",
        ),
        (
            lambda: batched().map(ma.tf.mixed(RECIPE)),
            TypeError,
            r"expected a dataset, got its elements; write ds.apply\(ma.tf.mixed\(...\)\) instead of ds.map",
        ),
        (lambda: ma.tf.mixed(3), TypeError, "expected a recipe first, before the data, got 3"),
        (
            lambda: batched().map(lambda x, _: {"a": x}).apply(ma.tf.mixed(RECIPE)),
            ValueError,
            "'a': expected a known name, .*, got neither",
        ),
        (
            lambda: ma.tf.mixed_zip(ma.MixUp(sources=3), batched(), batched()),
            ValueError,
            "a recipe of two sources, one per dataset, got .*; mix more with",
        ),
        (
            lambda: ma.tf.mixed_zip(RECIPE, *copies(), fields=("images", ma.PerSource())),
            TypeError,
            "expected labels of one array for single samples, got PerSource",
        ),
        (
            lambda: ma.tf.mixed_zip(RECIPE, batched(), batched().map(lambda x, _: x)),
            TypeError,
            "elements of the same form",
        ),
    ],
)
def test_datasets_that_are_refused(make, error, sentence):
    with pytest.raises(error, match=sentence):
        make()


@pytest.mark.parametrize(
    "options",
    [{"bank": True}, {"include_clean": True}]
    + [pytest.param(more, marks=pytest.mark.full) for more in ({}, {"pairing": ma.pairing.OtherClass()})],
    ids=str,
)
def test_on_the_host_and_in_a_graph_it_is_the_same(options):
    x, y = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), np.uint8), np.arange(10) % 4
    if options.get("bank"):
        options = {"bank": (tf.constant(x[::-1]), tf.constant(y[::-1]))}
    ds = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    recipe, fields = ma.one_of(ma.CutMix(), ma.MixUp()), {"images": ma.Images(dtype="float32", scale=0.5)}
    both = [
        ds.apply(ma.tf.mixed(recipe, num_classes=4, fields=fields, graph=graph, **options)) for graph in (False, True)
    ]
    assert both[0].element_spec == both[1].element_spec
    for host, graph in zip(*both, strict=True):
        for one, other in zip(host, graph, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)


def test_on_the_host_a_class_id_out_of_range_is_refused():
    ds = tf.data.Dataset.from_tensor_slices((np.zeros((4, 8, 8, 1), np.float32), np.array([0, 1, 2, 9]))).batch(4)
    with pytest.raises(tf.errors.OpError, match=r"labels: expected class ids in 0..3, got 0..9"):
        next(iter(ds.apply(ma.tf.mixed(ma.CutMix(), num_classes=4))))


def test_what_numpy_does_not_hold_stays_in_the_graph():
    texts = tf.constant(["a", "b", "c", "d"])
    ds = tf.data.Dataset.from_tensor_slices({"images": tf.zeros([4, 8, 8, 1]), "caption": texts}).batch(2)
    mixed = ds.apply(ma.tf.mixed(ma.CutMix(), fields={"caption": "keep"}))
    assert [row for batch in mixed for row in batch["caption"].numpy().tolist()] == [b"a", b"b", b"c", b"d"]


def test_batches_of_two_lengths_are_refused_in_one_sentence_and_the_way_out_works():
    ds = tf.data.Dataset.from_tensor_slices((tf.zeros([8, 4, 4, 3]), tf.range(8)))
    with pytest.raises(ValueError, match=r"rows in both datasets, got 4 and 2; batch them alike$"):
        ma.tf.mixed_zip("mixup", ds.batch(4, True), ds.batch(2, True), num_classes=8, batched=True)
    assert len(list(ma.tf.mixed_zip("mixup", ds.batch(4, True), ds.batch(4, True), num_classes=8, batched=True))) == 2


@pytest.mark.parametrize("door", ["mixed", "mixed_zip"])
def test_elements_with_none_in_them_are_refused(door):
    def run(ds):
        if door == "mixed":
            return next(iter(ds.apply(ma.tf.mixed("mixup", num_classes=4))))
        return next(iter(ma.tf.mixed_zip("mixup", ds, ds, num_classes=4, batched=True)))

    batch = {"image": tf.zeros([4, 8, 8, 3]), "label": tf.range(4)}
    with pytest.raises(
        TypeError, match=f"{door}: expected elements of tensors, got None as 'mask'; leave it out of the"
    ):
        run(tf.data.Dataset.from_tensors(batch | {"mask": None}))
    assert run(tf.data.Dataset.from_tensors(batch))["label"].shape == (4, 4)
