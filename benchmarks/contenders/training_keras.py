"""A training step of ResNet-20 by Keras on TensorFlow, fed by pipelines that mix and by the same ones that do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import keras
import tensorflow as tf

import mixaug as ma
from mixaug.lab import models

from .. import child, workloads
from ..timing import Call, Contender, Row
from ..workloads import RECIPES, Pipelines
from . import by_hand_tf, keras_, tensorflow_, training

FUSED, DATASET = "mixaug in tf.data, fused, CutMix", "mixaug MixedDataset, CutMix"
IDENTITY = "mixaug MixedDataset, ma.identity()"
LAYER, HAND = "keras.layers.CutMix in tf.data", "tf.data by hand, CutMix a sample"
UNMIXED = {**dict.fromkeys((FUSED, LAYER, HAND), tensorflow_.UNMIXED), DATASET: IDENTITY}


def rows(short: bool) -> Iterator[Row]:
    """All that is measured here."""
    data = workloads.pipelines(short)
    yield from training.measure("Keras", contenders(data), UNMIXED, training.pace(short), data.batch_size)


def contenders(data: Pipelines) -> list[Contender]:
    """The pipelines that feed the same network."""
    step = trainer()

    def fed(name: str, passes: Callable[[], Callable[[], Iterable[Any]]], ours: bool = False) -> Contender:
        return Contender(name, lambda: stepped(step, passes()), ours=ours)

    recipe = RECIPES["CutMix"]
    return [
        fed(tensorflow_.UNMIXED, lambda: tensorflow_.unmixed(data)),
        fed(FUSED, lambda: tensorflow_.our_pipeline(data, recipe, False), ours=True),
        fed(LAYER, lambda: tensorflow_.mapped(data, keras_.mixer(keras_.layer("CutMix"), True))),
        fed(HAND, lambda: by_hand_tf.zipped_samples(data)),
        fed(IDENTITY, lambda: tensorflow_.indexed(data, ma.identity())),
        fed(DATASET, lambda: tensorflow_.indexed(data, recipe), ours=True),
    ]


def trainer() -> Callable[[Any, Any], Any]:
    """A step of a new ResNet-20."""
    keras.utils.set_random_seed(0)
    model = models.build("resnet20", (32, 32, 3), 10)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), keras.losses.CategoricalCrossentropy(from_logits=True))
    step: Callable[[Any, Any], Any] = model.train_on_batch
    return step


def stepped(step: Callable[[Any, Any], Any], passes: Callable[[], Iterable[Any]]) -> Call:
    """A call that takes a batch and trains on it, pass after pass."""
    source = (batch for _ in count() for batch in passes())
    return lambda: step(*next(source))


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    child.main("training_keras", rows, ["keras", "tensorflow-cpu", "tensorflow"])
