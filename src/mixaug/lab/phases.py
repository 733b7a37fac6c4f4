"""The phases of training, with the optimizer and learning rate of each."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import keras

from .config import Config

STEP_ENDS = (0.4, 0.6, 0.8, 0.9)  #: fractions of the epochs at which the schedule "steps" lowers the rate
STEP_FACTORS = (1.0, 1e-1, 1e-2, 1e-3, 0.5e-3)


class Phase(NamedTuple):
    """A range of epochs that train the same part of a network with one optimizer.

    first: the first epoch, counted from 0. config: the configuration of the comparison, with the epochs and learning
    rates of this phase. frozen: whether only the head is trained.
    """

    first: int
    config: Config
    frozen: bool


def phases(config: Config) -> list[Phase]:
    """Return the phases of training: the head only, if there are head epochs, then the whole network."""
    head = config.head_epochs
    if not head:
        return [Phase(0, config, False)]
    whole = replace(config, head_epochs=0, fine_tune_rate=None)
    alone = replace(whole, epochs=head, schedule="constant", warmup=0.0)
    tail = replace(whole, epochs=config.epochs - head, learning_rate=config.tuned_rate)
    return [Phase(0, alone, True), Phase(head, tail, False)]


def optimizer(config: Config, steps: int) -> keras.optimizers.Optimizer:
    """Return the optimizer, for `steps` per epoch; only kernels have weight decay, not biases and BatchNorm."""
    rate, decay = learning_rate(config, steps), config.weight_decay or None
    if config.optimizer == "adam":
        made = keras.optimizers.Adam(rate, weight_decay=decay)
    else:
        momentum = 0.9 if config.momentum is None else config.momentum
        made = keras.optimizers.SGD(rate, momentum=momentum, nesterov=momentum > 0, weight_decay=decay)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made


def learning_rate(config: Config, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return the learning rate at each step: linear warm-up, then the schedule."""
    highest, warmup = config.highest_rate, int(config.warmup * steps)
    if config.schedule == "steps":
        ends = [steps * (math.floor(part * config.epochs + 1e-9) + 1) - 1 for part in STEP_ENDS]
        return keras.optimizers.schedules.PiecewiseConstantDecay(ends, [highest * factor for factor in STEP_FACTORS])
    rest = max(1, config.epochs * steps - warmup)
    lowest = {"cosine": 0.0, "constant": 1.0}[config.schedule]
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(highest, rest, lowest)
    return keras.optimizers.schedules.CosineDecay(
        highest / warmup, rest, lowest, warmup_target=highest, warmup_steps=warmup
    )
