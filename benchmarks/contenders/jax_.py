"""JAX on the CPU: mixaug eager and jitted, and Keras' layers under the JAX backend."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import jax
import jax.numpy as jnp

import mixaug as ma

from .. import child
from ..timing import Call, Contender, Row
from ..workloads import Case, Work
from . import keras_, ours


def rows(short: bool) -> Iterator[Row]:
    """All that is measured here."""
    yield from child.batches(contenders, short, few=short)


def contenders(work: Work, case: Case) -> list[Contender]:
    """Those that mix a batch."""
    eager = Contender("mixaug mix_batch, eager", lambda: waiting(ours.by_batch(work, case, jnp.asarray)), ours=True)
    compiled = Contender("mixaug mix_batch, jitted", lambda: jitted(work, case), ours=True)
    return [compiled, eager, *keras_.eager(work, case, jnp.asarray, jax.block_until_ready, "JAX")]


def waiting(call: Call) -> Call:
    """A call that is over when its arrays are there."""
    return lambda: jax.block_until_ready(call())


def jitted(work: Work, case: Case) -> Call:
    """`ma.mix_batch` in a jitted function of the batch and the step."""
    fields, classes = {"images": ma.Images(**ours.as_float(case))}, None if work.with_masks else work.classes

    @jax.jit
    def mix(batch: Any, step: Any) -> Any:
        return ma.mix_batch(case.recipe, batch, key=(0, 0, step), num_classes=classes, fields=fields)

    beside = {"masks": jnp.asarray(work.masks)} if work.with_masks else {"labels": jnp.asarray(work.labels)}
    batch, steps = {"images": jnp.asarray(work.images(case)), **beside}, count()
    return lambda: jax.block_until_ready(mix(batch, next(steps)))


if __name__ == "__main__":
    child.main("jax", rows, ["jax", "keras"])
