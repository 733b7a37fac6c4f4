"""How a network learns: the phases of its training, the optimizer and the learning rate of each."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import keras

from .config import Config

STEP_ENDS = (0.4, 0.6, 0.8, 0.9)  #: of all epochs, where the schedule "steps" lowers the rate
STEP_FACTORS = (1.0, 1e-1, 1e-2, 1e-3, 0.5e-3)


class Phase(NamedTuple):
    """Epochs in which the same part of a network learns, by one optimizer.

    first: the first of them, counted from 0. config: that of the comparison, with the epochs and the learning rates of
    this phase. frozen: whether only the head learns.
    """

    first: int
    config: Config
    frozen: bool


def phases(config: Config) -> list[Phase]:
    """The parts of a training: the head alone, if there are epochs for it, then all of the network."""
    head = config.head_epochs
    if not head:
        return [Phase(0, config, False)]
    whole = replace(config, head_epochs=0, fine_tune_rate=None)
    alone = replace(whole, epochs=head, schedule="constant", warmup=0.0)
    tail = replace(whole, epochs=config.epochs - head, learning_rate=config.tuned_rate)
    return [Phase(0, alone, True), Phase(head, tail, False)]


def optimizer(config: Config, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer for epochs of so many steps; kernels decay, biases and BatchNorm do not."""
    rate, decay = learning_rate(config, steps), config.weight_decay or None
    if config.optimizer == "adam":
        made = keras.optimizers.Adam(rate, weight_decay=decay)
    else:
        momentum = 0.9 if config.momentum is None else config.momentum
        made = keras.optimizers.SGD(rate, momentum=momentum, nesterov=momentum > 0, weight_decay=decay)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made


def learning_rate(config: Config, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate at each step: up in a line to the highest, then as the schedule has it."""
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
