"""Hidden states mixed in a network: beside a forward pass written by hand, in PyTorch, Keras and JAX."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from torch.utils.checkpoint import checkpoint

import mixaug as ma
import ways

N, LAYERS = 6, 3
RECIPE = ma.MixUp(alpha=2.0)


@pytest.mark.parametrize(
    "way", [ways.numpy, ways.tf_eager, ways.tf_graph, ways.torch_eager, ways.jax_eager, ways.jax_jit]
)
def test_states_and_labels_are_mixed_alike_at_one_layer(way):
    x, y = np.eye(N, dtype=np.float32), np.arange(N)
    drawn = [ma.hidden.draw(RECIPE, N, LAYERS, key=(0, step)) for step in range(12)]
    assert {one.layer for one in drawn} == set(range(LAYERS))
    for step in (0, 1, 2):

        def run(x, y, step=step):
            mixed = ma.hidden.draw(RECIPE, ways.count(x), LAYERS, key=(0, step), like=x)
            return [mixed(layer, x) for layer in range(LAYERS)], mixed.labels(y, num_classes=N)

        states, labels = way(run, x, y)
        for layer, state in enumerate(states):  # one-hot rows: the mixed state is its label
            wanted = ways.values(labels) if layer == drawn[step].layer else x
            np.testing.assert_allclose(ways.values(state), wanted, atol=1e-7)
        np.testing.assert_array_equal(ways.values(labels), drawn[step].labels(y, N))


def test_a_traced_step_draws_what_a_known_one_draws():
    x = np.random.default_rng(0).normal(size=(N, 4, 2)).astype(np.float32)

    def states(x, step):
        mixed = ma.hidden.draw(RECIPE, N, LAYERS, key=(3, step), like=x)
        return jnp.stack([mixed(layer, x) for layer in range(LAYERS)])

    jitted = jax.jit(states)
    for step in range(5):
        mixed = ma.hidden.draw(RECIPE, N, LAYERS, key=(3, step))
        wanted = np.stack([mixed(layer, x) for layer in range(LAYERS)])
        np.testing.assert_allclose(jitted(x, step), wanted, atol=1e-6)


def test_every_layer_is_drawn_as_often():
    counts = np.bincount([ma.hidden.draw(RECIPE, 2, 4, key=(0, step)).layer for step in range(2000)], minlength=4)
    assert (abs(counts - 500) < 90).all()


class Net(torch.nn.Module):
    def __init__(self, checkpointed=False):
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU())
        self.second = torch.nn.Sequential(torch.nn.Conv2d(4, 5, 3, padding=1), torch.nn.Tanh())
        self.head = torch.nn.Linear(5, N)
        self.checkpointed = checkpointed

    def forward(self, x):
        for block in (self.first, self.second):
            x = checkpoint(block, x, use_reentrant=False) if self.checkpointed else block(x)
        return self.head(x.mean((2, 3)))


def by_hand(net, x, y, step, key=None):
    """Loss and gradients of a forward pass with the mix written into it."""
    mixed = ma.hidden.draw(RECIPE, N, LAYERS, key=key or (0, step))
    index, lam = (torch.from_numpy(np.array(a)) for a in (mixed.mix.index, mixed.mix.lam))

    def mix(layer, h):
        if layer != mixed.layer:
            return h
        pad = (slice(None), *[None] * (h.ndim - 1))
        return lam[0][pad] * h + lam[1][pad] * h[index[1].long()]

    h = mix(2, net.second(mix(1, net.first(mix(0, x)))))
    rows = torch.eye(N)[y]
    labels = lam[0][:, None] * rows + lam[1][:, None] * rows[index[1].long()]
    loss = torch.nn.functional.cross_entropy(net.head(h.mean((2, 3))), labels)
    return loss, torch.autograd.grad(loss, list(net.parameters()))


@pytest.mark.parametrize("way", ["eager", "checkpointed", "compiled"])
def test_torch_hooks_give_the_loss_and_gradients_of_a_network_written_by_hand(way):
    torch._dynamo.reset()
    net, x, y = Net(way == "checkpointed"), torch.rand(N, 3, 6, 6), torch.arange(N)
    mixup = ma.torch.ManifoldMixup(RECIPE, net, ["", "first", "second"], num_classes=N)
    model = torch.compile(net, backend="eager", fullgraph=True) if way == "compiled" else net
    plain, seen = Net(), set()
    for step in range(8):
        labels = mixup(y)
        seen.add(mixup.drawn.layer)
        loss = torch.nn.functional.cross_entropy(model(x), labels)
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        wanted, of_wanted = by_hand(plain, x, y, step)
        torch.testing.assert_close(loss, wanted)
        for got, want in zip(gradients, of_wanted, strict=True):
            torch.testing.assert_close(got, want, atol=1e-6, rtol=1e-4)
    assert seen == {0, 1, 2}
    net.eval()
    torch.testing.assert_close(net(x), plain.eval()(x))
    net.train()
    mixup.remove()
    torch.testing.assert_close(net(x), plain(x))
    assert net.state_dict().keys() == plain.state_dict().keys()


def test_torch_hooks_keep_dtypes_counts_and_tuples():
    net, x, y = Net(), torch.rand(N, 3, 6, 6), torch.arange(N)
    mixup = ma.torch.ManifoldMixup(RECIPE, net, ["first", "second"], num_classes=N, seed=4)
    dtypes = []
    net.second.register_forward_pre_hook(lambda _, inputs: dtypes.append(inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        for _ in range(4):
            labels = mixup(y)
            torch.nn.functional.cross_entropy(net(x), labels).backward()
    assert set(dtypes) == {torch.bfloat16}
    again = ma.torch.ManifoldMixup(RECIPE, Net(), ["first", "second"], num_classes=N, seed=4)
    again.load_state_dict(mixup.state_dict())
    assert torch.equal(again(y), mixup(y))
    lstm = torch.nn.LSTM(4, 4, batch_first=True)
    model = torch.nn.ModuleDict({"lstm": lstm})
    ma.torch.ManifoldMixup(RECIPE, model, ["lstm"], num_classes=N)(y)
    states, _ = lstm(torch.rand(N, 5, 4))
    assert states.shape == (N, 5, 4)
    with pytest.raises(ValueError, match="hidden states: expected 6 rows, as the mix has, got 3"):
        lstm(torch.rand(3, 5, 4))


def test_ranks_and_epochs_draw_other_mixes(monkeypatch):
    y = torch.arange(N)
    rows = []
    for rank, epoch in ((0, None), (1, None), (0, 1)):
        monkeypatch.setattr(ma.backends, "ranks", lambda rank=rank: (rank,))
        mixup = ma.torch.ManifoldMixup(RECIPE, Net(), ["first"], num_classes=N)
        rows.append(mixup(y, epoch=epoch))
    assert not torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])


def keras_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(inputs)
    x = keras.layers.Conv2D(5, 3, padding="same", activation="tanh", name="second")(x)
    return keras.Model(inputs, keras.layers.Dense(N)(keras.layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("jit", [False, True])
def test_a_keras_model_trains_as_one_written_by_hand(jit):
    x, y = np.random.default_rng(0).random((N, 6, 6, 3), np.float32), np.arange(N)
    model, plain = keras_model(), keras_model()
    mixing = ma.keras.ManifoldMixup(RECIPE, model, ["", "first", "second"], num_classes=N)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    mixing.compile(keras.optimizers.SGD(0.5), loss, metrics=["mse"], jit_compile=jit)
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.build(plain.trainable_variables)
    for step in range(5):
        logs = mixing.train_on_batch(x, y, return_dict=True)
        mixed = ma.hidden.draw(RECIPE, N, LAYERS, key=(0, step))
        with tf.GradientTape() as tape:
            h = mixed(0, tf.constant(x))
            for number, layer in enumerate(plain.layers[1:3], 1):
                h = mixed(number, layer(h))
            for layer in plain.layers[3:]:
                h = layer(h)
            wanted = loss(mixed.labels(y, N), h)
        optimizer.apply_gradients(
            zip(tape.gradient(wanted, plain.trainable_variables), plain.trainable_variables, strict=True)
        )
        np.testing.assert_allclose(logs["loss"], wanted, rtol=1e-5)
    for got, want in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)
    np.testing.assert_allclose(model.predict(x[:2], verbose=0), plain.predict(x[:2], verbose=0), atol=1e-5)  # alone
    np.testing.assert_allclose(mixing.predict(x, verbose=0), plain.predict(x, verbose=0), atol=1e-5)
    clean = mixing.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(clean, loss(np.eye(N), plain(x)), rtol=1e-4)
    assert int(mixing.step) == 5


def test_a_jax_step_has_the_gradients_of_one_written_by_hand():
    rng = np.random.default_rng(0)
    weights = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((8, 7), (7, 7), (7, N))]
    x, y = jnp.asarray(rng.normal(size=(N, 8)), jnp.float32), jnp.arange(N)

    def loss(weights, step):
        mixed = ma.hidden.draw(RECIPE, N, LAYERS, key=(0, step), like=x)
        h = mixed(0, x)
        for layer, weight in enumerate(weights[:2], 1):
            h = mixed(layer, jnp.tanh(h @ weight))
        return -jnp.mean(jnp.sum(mixed.labels(y, N) * jax.nn.log_softmax(h @ weights[2]), axis=1))

    def plain(weights, step):
        mixed = ma.hidden.draw(RECIPE, N, LAYERS, key=(0, step))
        index, lam = mixed.mix.index, mixed.mix.lam

        def mix(layer, h):
            return lam[0][:, None] * h + lam[1][:, None] * h[index[1]] if layer == mixed.layer else h

        h = mix(0, x)
        for layer, weight in enumerate(weights[:2], 1):
            h = mix(layer, jnp.tanh(h @ weight))
        rows = jnp.eye(N)
        labels = lam[0][:, None] * rows + lam[1][:, None] * rows[index[1]]
        return -jnp.mean(jnp.sum(labels * jax.nn.log_softmax(h @ weights[2]), axis=1))

    step_of = jax.jit(jax.value_and_grad(loss))
    for step in range(4):
        value, gradients = step_of(weights, step)
        wanted, of_wanted = jax.value_and_grad(plain)(weights, step)
        np.testing.assert_allclose(value, wanted, rtol=1e-5)
        for got, want in zip(gradients, of_wanted, strict=True):
            np.testing.assert_allclose(got, want, atol=1e-5)


def test_what_cannot_be_mixed_is_refused():
    net = Net()
    cases = [
        (lambda: ma.hidden.draw(ma.CutMix(), 4, 2, key=0), "expected spatial axes for CutMix.*use a blend"),
        (lambda: ma.hidden.draw(RECIPE, 4, 0, key=0), "layers: expected a whole number of 1 or more"),
        (
            lambda: ma.torch.ManifoldMixup(RECIPE, net, "first"),
            r"layers: expected a list .*pass such as \['', 'first'\]",
        ),
        (
            lambda: ma.torch.ManifoldMixup(RECIPE, net, ["third"]),
            "layers: expected names of modules, got 'third'; .*'first'",
        ),
        (lambda: ma.torch.ManifoldMixup(RECIPE, net, ["first", "first"]), "expected each name once"),
        (lambda: ma.keras.ManifoldMixup(RECIPE, keras_model(), ["third"]), "expected names of layers, got 'third'"),
        (lambda: ma.hidden.draw(RECIPE, 4, 1, key=0)(0, np.arange(4)), "hidden states: expected floats, got int64"),
    ]
    for make, match in cases:
        with pytest.raises((ValueError, TypeError), match=match):
            make()
    ma.torch.ManifoldMixup(RECIPE, net, ["", "first"])


RESNET = """
import json, sys
import keras, numpy as np, mixaug as ma
from mixaug.lab.models import build

model = build("resnet20", (16, 16, 3), 10)
rng = np.random.default_rng(0)
model.set_weights([w if w.ndim < 2 else rng.normal(0, 0.1, w.shape).astype("float32") for w in model.get_weights()])
blocks = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Add)]
mixing = ma.keras.ManifoldMixup(ma.MixUp(alpha=2.0), model, ["", blocks[0], blocks[3]], num_classes=10)
mixing.compile(keras.optimizers.SGD(1e-5), keras.losses.CategoricalCrossentropy(from_logits=True))
x, y = rng.random((8, 16, 16, 3), np.float32), np.arange(8)
losses = [float(mixing.train_on_batch(x, y)) for _ in range(5)]
layers = [int(ma.hidden.draw(ma.MixUp(alpha=2.0), 8, 3, key=(0, step)).layer) for step in range(5)]
print(json.dumps({"losses": losses, "layers": layers, "backend": keras.backend.backend()}))
"""


@pytest.mark.full
def test_the_labs_resnet_trains_alike_on_every_backend_of_keras():
    runs = []
    for backend in ("tensorflow", "torch", "jax"):
        environment = {**os.environ, "KERAS_BACKEND": backend}
        done = subprocess.run(
            [sys.executable, "-c", RESNET], env=environment, capture_output=True, text=True, check=True
        )
        runs.append(json.loads(done.stdout.splitlines()[-1]))
        assert runs[-1]["backend"] == backend
    assert len(set(runs[0]["layers"])) > 1
    for run in runs[1:]:
        np.testing.assert_allclose(run["losses"], runs[0]["losses"], rtol=1e-5)
