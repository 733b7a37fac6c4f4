"""TensorFlow: mixaug, Keras' and KerasCV's layers, and the tf.data pipelines that people write by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

import mixaug as ma

from .. import child
from ..timing import Call, Contender, Row
from ..workloads import RECIPES, Case, Pipelines, Work, one_hot
from . import by_hand_tf, keras_, ours

Passes = Callable[[], Iterable[Any]]
UNMIXED = "tf.data, not mixed"
UNCLIPPED = "labels are not corrected where a box is clipped"
TWICE = "reads every image twice"


def rows(short: bool) -> Iterator[Row]:
    """All that is measured here."""
    yield from child.batches(contenders, short, few=short)
    yield from child.pipelines(pipelines, short)


def contenders(work: Work, case: Case) -> list[Contender]:
    """Those that mix a batch: called eagerly, and as functions of a `tf.data` map that runs one batch at a time."""
    found = ours.contenders(work, case, tf.constant, buffer=False)
    found += keras_.eager(work, case, tf.constant, lambda made: made, "TensorFlow")
    if work.with_masks:
        return found
    found += [
        Contender(f"mixaug in tf.data, {way}", lambda graph=graph: our_map(work, case, graph), ours=True)
        for way, graph in (("fused", False), ("graph", True))
    ]
    return found if case.method == "5-way MixUp" else found + mapped_peers(work, case)


def our_map(work: Work, case: Case, graph: bool) -> Call:
    """`ma.tf.mixed` on one batch over and over, without calls in parallel or ahead."""
    fields = {"images": ma.Images(**ours.as_float(case))}
    mixed = ma.tf.mixed(case.recipe, num_classes=work.classes, fields=fields, graph=graph, num_parallel_calls=None)
    return stepped(endless(work.images(case), work.labels).apply(mixed))


def mapped_peers(work: Work, case: Case) -> list[Contender]:
    """The layers of Keras and KerasCV in the same place."""
    cuts = case.method == "CutMix"

    def one(name: str, layer: Callable[[str], Any], remark: str) -> Contender:
        def make() -> Call:
            data = endless(work.images(case), one_hot(work.labels, work.classes))
            return stepped(data.map(keras_.mixer(layer(case.method), case.normalises)))

        return Contender(f"{name}.{case.method} in tf.data", make, remark=remark)

    return [
        one("keras.layers", keras_.layer, keras_.CLIPPED if cuts else ""),
        one("keras_cv.layers", keras_cv_layer, UNCLIPPED if cuts else ""),
    ]


def keras_cv_layer(method: str) -> Any:
    """`keras_cv.layers.CutMix` or `keras_cv.layers.MixUp`."""
    import keras_cv

    return keras_cv.layers.CutMix(alpha=1.0) if method == "CutMix" else keras_cv.layers.MixUp(alpha=1.0)


def endless(x: np.ndarray, y: np.ndarray) -> tf.data.Dataset:
    """One batch over and over."""
    return tf.data.Dataset.from_tensors((x, y)).repeat()


def stepped(data: tf.data.Dataset) -> Call:
    """A call that takes the next batch."""
    source = iter(data.with_options(in_turn()))
    return lambda: next(source)


def in_turn() -> tf.data.Options:
    """The options of a dataset that does nothing ahead of the call."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.inject_prefetch = False
    return options


def pipelines(data: Pipelines) -> list[Contender]:
    """The pipelines: mixaug's, and the same with the others' layers or by hand."""
    found = [Contender(UNMIXED, lambda: unmixed(data))]
    for method, recipe in RECIPES.items():
        found.append(
            Contender(f"mixaug MixedDataset, {method}", lambda recipe=recipe: indexed(data, recipe), ours=True)
        )
        for way, graph in (("fused", False), ("graph", True)):
            name = f"mixaug in tf.data, {way}, {method}"
            found.append(
                Contender(name, lambda recipe=recipe, graph=graph: our_pipeline(data, recipe, graph), ours=True)
            )
    for method, recipe in (("CutMix a sample", ma.CutMix()), ("MixUp a sample", ma.MixUp())):
        name = f"mixaug mixed_zip, {method}: two shuffled datasets"
        found.append(Contender(name, lambda recipe=recipe: zipped(data, recipe), ours=True, remark=TWICE))
    return found + peer_pipelines(data) + by_hand(data)


def peer_pipelines(data: Pipelines) -> list[Contender]:
    """The layers of Keras and KerasCV in a map."""
    found = []
    for method in ("CutMix", "MixUp"):
        cuts = method == "CutMix"
        for library, layer, remark in (
            ("keras.layers", keras_.layer, keras_.CLIPPED),
            ("keras_cv.layers", keras_cv_layer, UNCLIPPED),
        ):
            found.append(
                Contender(
                    f"{library}.{method} in tf.data",
                    lambda layer=layer, method=method: mapped(data, keras_.mixer(layer(method), True)),
                    remark=remark if cuts else "",
                )
            )
    return found


def by_hand(data: Pipelines) -> list[Contender]:
    """Our own writing of what tutorials and blogs show."""
    return [
        Contender(
            "tf.data by hand, CutMix a sample: two shuffled datasets, crop and pad",
            lambda: by_hand_tf.zipped_samples(data),
            remark=TWICE,
        ),
        Contender(
            "tf.data by hand, MixUp: two shuffled datasets",
            lambda: by_hand_tf.zipped_batches(data),
            remark=TWICE,
        ),
        Contender(
            "tf.data by hand, CutMix: a Python loop over the batch, tf.concat",
            lambda: mapped(data, by_hand_tf.looped(data.batch_size)),
            remark=f"{UNCLIPPED}; the graph has a branch per sample; starting a pass takes a second longer",
        ),
    ]


def shuffled(data: Pipelines, y: np.ndarray) -> tf.data.Dataset:
    """Batches of uint8, shuffled."""
    return (
        tf.data.Dataset.from_tensor_slices((data.x, y)).shuffle(data.rows).batch(data.batch_size, drop_remainder=True)
    )


def unmixed(data: Pipelines) -> Passes:
    """The pipeline without mixing: normalised, and one row a label."""

    def plain(x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return keras_.normalised(tf.cast(x, tf.float32)), tf.one_hot(y, data.classes)

    made = shuffled(data, data.y).map(plain, tf.data.AUTOTUNE).prefetch(2)
    return lambda: made


def our_pipeline(data: Pipelines, recipe: ma.Recipe, graph: bool) -> Passes:
    """The same pipeline with `ma.tf.mixed` in the place of its map."""
    mixed = ma.tf.mixed(recipe, num_classes=data.classes, fields=ours.normalised_fields(), graph=graph)
    made = shuffled(data, data.y).apply(mixed).prefetch(2)
    return lambda: made


def zipped(data: Pipelines, recipe: ma.Recipe) -> Passes:
    """`ma.tf.mixed_zip` of single samples, shuffled as those by hand are."""
    samples = tf.data.Dataset.from_tensor_slices((data.x, data.y))
    pair = (samples.shuffle(by_hand_tf.NEAR) for _ in range(2))
    made = ma.tf.mixed_zip(recipe, *pair, num_classes=data.classes, fields=ours.normalised_fields())
    made = made.batch(data.batch_size, drop_remainder=True).prefetch(2)
    return lambda: made


def indexed(data: Pipelines, recipe: ma.Recipe) -> Passes:
    """`ma.keras.MixedDataset`, batch by batch."""
    options = {"num_classes": data.classes, "fields": ours.normalised_fields()}
    made = ma.keras.MixedDataset(recipe, data.x, data.y, data.batch_size, **options)
    return lambda: (made[index] for index in range(len(made)))


def mapped(data: Pipelines, mix: Callable[[Any, Any], tuple[Any, Any]]) -> Passes:
    """A function of a batch of uint8 and label rows in the place of the map."""
    made = shuffled(data, one_hot(data.y, data.classes)).map(mix, tf.data.AUTOTUNE).prefetch(2)
    return lambda: made


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    child.main("tensorflow", rows, ["tensorflow-cpu", "tensorflow", "keras", "keras-cv"])
