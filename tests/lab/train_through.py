"""Train the lab's ResNet-20 on the bundled images in one of four ways, and record the network's input.

KERAS_BACKEND=jax python tests/lab/train_through.py jax_loop seen.npz

Every way is handed the same batches in the same order under the same keys: the order is that of `Epoch`, batch `step`
of epoch `epoch` is mixed under (SEED, epoch, step).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import keras
import numpy as np

import mixaug as ma
from mixaug.epoch import Epoch
from mixaug.lab import data, models

SEED, BATCH, STEPS, EPOCHS, CLASSES, RATE = 5, 8, 101, 2, 10, 0.02
RECIPE = ma.one_of(ma.MixUp(alpha=1.0, sources=3), ma.CutMix(alpha=1.0))
KEPT = ((0, 0), (1, 100))  #: epochs and steps whose mixed batch is recorded


class Seen:
    """The recorded batches, and the loss of each step."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.arrays: dict[str, np.ndarray] = {}

    def batch(self, epoch: int, step: int, images, labels) -> None:
        if (epoch, step) in KEPT:
            arrays = {"images": np.asarray(images), "labels": np.asarray(labels)}
            self.arrays |= {f"{name}_{epoch}_{step}": array for name, array in arrays.items()}


def tf_data(x, y, model, seen: Seen) -> None:
    """tf.data and `fit`, on the TensorFlow backend."""
    import tensorflow as tf

    compile_for_fit(model)
    for epoch in range(EPOCHS):
        rows = Epoch(len(x), SEED, epoch).rows(0, len(x))
        ds = tf.data.Dataset.from_tensor_slices((x[rows], y[rows])).batch(BATCH)
        ds = ds.apply(ma.tf.mixed(RECIPE, num_classes=CLASSES, seed=SEED, epoch=epoch))
        ds = ds.enumerate().map(lambda step, batch, epoch=epoch: noted(seen, epoch, step, *batch))
        model.fit(ds, initial_epoch=epoch, epochs=epoch + 1, verbose=0, callbacks=[losses_of(seen)])


def noted(seen: Seen, epoch: int, step, images, labels):
    import tensorflow as tf

    def note(step, images, labels):
        seen.batch(epoch, int(step), images, labels)
        return step

    with tf.control_dependencies([tf.numpy_function(note, [step, images, labels], tf.int64)]):
        return tf.identity(images), tf.identity(labels)


def mixed_dataset(x, y, model, seen: Seen) -> None:
    """A `MixedDataset` around an image generator and `fit`, on any backend."""

    class Batches(keras.utils.PyDataset):
        epoch = 0

        def __len__(self) -> int:
            return STEPS

        def __getitem__(self, step: int):
            rows = Epoch(len(x), SEED, self.epoch).rows(step * BATCH, (step + 1) * BATCH)
            return x[rows], y[rows]

    class Noted(ma.keras.MixedDataset):
        def __getitem__(self, step: int):
            batch = super().__getitem__(step)
            seen.batch(self.epoch, step, *batch)
            return batch

    batches = Batches()
    mixed = Noted(RECIPE, batches, seed=SEED, num_classes=CLASSES)
    compile_for_fit(model)
    told = [ma.keras.SetEpoch(batches, mixed), losses_of(seen)]
    model.fit(mixed, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=told)


def torch_loop(x, y, model, seen: Seen) -> None:
    """A plain PyTorch loop over a loader with workers; on that backend the network is an nn.Module."""
    import torch
    from torch.utils.data import TensorDataset

    pairs = TensorDataset(torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(y))
    loader = ma.torch.loader(RECIPE, pairs, BATCH, seed=SEED, num_classes=CLASSES, num_workers=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    model.train()
    for epoch in range(EPOCHS):
        for step, (images, labels) in enumerate(loader):
            images = images.permute(0, 2, 3, 1)  # as the lab's networks take them
            seen.batch(epoch, step, images, labels)
            loss = torch.nn.functional.cross_entropy(model(images, training=True), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.losses.append(float(loss.detach()))


def jax_loop(x, y, model, seen: Seen) -> None:
    """A plain JAX and optax loop, the mixing inside the jitted step."""
    import jax
    import optax

    optimizer = optax.sgd(RATE, momentum=0.9)

    @jax.jit
    def train(weights, others, state, images, labels, epoch, step):
        images, labels = ma.mix_batch(RECIPE, (images, labels), key=(SEED, epoch, step), num_classes=CLASSES)

        def loss_of(weights):
            logits, after = model.stateless_call(weights, others, images, training=True)
            return optax.softmax_cross_entropy(logits, labels).mean(), after

        (loss, others), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights)
        change, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, change), others, state, loss, images, labels

    weights, others = ([v.value for v in vs] for vs in (model.trainable_variables, model.non_trainable_variables))
    state = optimizer.init(weights)
    for epoch, step, images, labels in batches(x, y):
        weights, others, state, loss, *mixed = train(weights, others, state, images, labels, epoch, step)
        seen.batch(epoch, step, *mixed)
        seen.losses.append(float(loss))
    assert train._cache_size() == 1


def batches(x, y) -> Iterator[tuple]:
    for epoch in range(EPOCHS):
        for step in range(STEPS):
            rows = Epoch(len(x), SEED, epoch).rows(step * BATCH, (step + 1) * BATCH)
            yield epoch, step, x[rows], y[rows]


def compile_for_fit(model) -> None:
    model.compile(keras.optimizers.SGD(RATE, momentum=0.9), keras.losses.CategoricalCrossentropy(from_logits=True))


def losses_of(seen: Seen) -> keras.callbacks.Callback:
    """A callback that records the loss of each step, because Keras reports running means."""

    class Losses(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs):
            before = sum(seen.losses[len(seen.losses) - batch :]) if batch else 0.0
            seen.losses.append(logs["loss"] * (batch + 1) - before)

    return Losses()


def main(way: str, out: str) -> None:
    keras.utils.set_random_seed(SEED)
    images = data.load("fashion-mnist-sample", train_size=BATCH * STEPS).train
    model, seen = models.build("resnet20", images.images.shape[1:], CLASSES), Seen()
    WAYS[way](images.images, images.targets, model, seen)
    np.savez(out, losses=np.array(seen.losses), **seen.arrays)


WAYS = {function.__name__: function for function in (tf_data, mixed_dataset, torch_loop, jax_loop)}

if __name__ == "__main__":
    main(*sys.argv[1:])
