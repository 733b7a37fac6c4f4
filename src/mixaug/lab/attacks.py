"""White-box adversarial attacks: small changes to images that increase the loss of a network."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from .beyond import PGD_STEPS
from .dataset import generator

Floats: TypeAlias = NDArray[np.float32]
Ids: TypeAlias = NDArray[np.integer]
Gradient: TypeAlias = Callable[[Floats, Ids], Floats]

REACH = 8.0  #: the maximum change of a pixel value, in grey levels of 0..255
STEP = 2.0  #: the size of a step of `pgd`, in grey levels


def fgsm(gradient: Gradient, images: Floats, labels: Ids) -> Floats:
    """Take one step up the loss: clip(x + REACH * sign(gradient(x, labels)), 0, 255).

    Goodfellow et al. 2015, "Explaining and Harnessing Adversarial Examples".
    """
    return np.clip(images + REACH * np.sign(gradient(images, labels)), 0, 255)


def pgd(gradient: Gradient, images: Floats, labels: Ids) -> Floats:
    """Take many small steps up the loss from a random start, each clipped to x +- REACH and to 0..255.

    Madry et al. 2018, "Towards Deep Learning Models Resistant to Adversarial Attacks".
    """
    lowest, highest = np.clip(images - REACH, 0, 255), np.clip(images + REACH, 0, 255)
    start = generator(0).uniform(-REACH, REACH, images.shape)
    attacked: Floats = np.clip(images + start, 0, 255).astype(np.float32)
    for _ in range(PGD_STEPS):
        attacked = np.clip(attacked + np.float32(STEP) * np.sign(gradient(attacked, labels)), lowest, highest)
    return attacked


def loss_gradient(model: keras.Model) -> Gradient:
    """Return the gradient of the summed cross-entropy with respect to the pixels of images.

    Args:
        model: a model from pixels (n, h, w, c) to logits, run in inference mode.

    Returns:
        A function of images, float32 (n, h, w, c), and class ids (n,).
    """
    return {"tensorflow": _by_tensorflow, "torch": _by_torch, "jax": _by_jax}[keras.backend.backend()](model)


def _loss(logits: Any, labels: Any) -> Any:
    return ops.sum(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))


def _by_tensorflow(model: keras.Model) -> Gradient:
    tensorflow = import_module("tensorflow")

    @tensorflow.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def gradient(pixels: Any, labels: Any) -> Any:
        with tensorflow.GradientTape() as tape:
            tape.watch(pixels)
            value = _loss(model(pixels, training=False), labels)
        return tape.gradient(value, pixels)

    return lambda images, labels: np.asarray(gradient(tensorflow.constant(images), tensorflow.constant(labels)))


def _by_torch(model: keras.Model) -> Gradient:
    torch = import_module("torch")

    def gradient(images: Floats, labels: Ids) -> Floats:
        pixels = ops.convert_to_tensor(images).requires_grad_()
        (found,) = torch.autograd.grad(_loss(model(pixels, training=False), ops.convert_to_tensor(labels)), pixels)
        return np.asarray(ops.convert_to_numpy(found))

    return gradient


def _by_jax(model: keras.Model) -> Gradient:
    weights = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]

    def loss(pixels: Any, labels: Any) -> Any:
        return _loss(model.stateless_call(weights, others, pixels, training=False)[0], labels)

    jax = import_module("jax")
    gradient = jax.jit(jax.grad(loss))
    return lambda images, labels: np.asarray(gradient(images, labels))
