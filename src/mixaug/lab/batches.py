"""Training batches as pure functions of (seed, epoch, step)."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from ..batch import mix_rows
from ..core.rows import Rows
from ..epoch import Epoch
from ..fields import Guide, Images
from ..fields.class_weights import ADDED
from .augment import augment, moved
from .config import Arm, Config
from .dataset import Data, Split, balanced
from .guided import guides_for
from .tasks import TASKS


class Batch(NamedTuple):
    """The input of a mixed batch.

    given: augmented samples. key: the key of the draw. sources: the rows (k, n) of `given` that are the sources of each
    output; None to mix within the batch.
    """

    given: Split
    key: tuple[int, int, int]
    sources: NDArray[np.int64] | None


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    """The training batches of an arm: batch i of an epoch is a pure function of (seed, epoch, i).

    The rows of a batch are the same for all arms, and the draws of an augmentation do not depend on the rest of the
    arm. Partners are augmented rows of the same batch or, with `partners="dataset"`, of the whole dataset.

    Args:
        config: the configuration, for its batch size and partners.
        data: the dataset, for its training images.
        arm: the augmentation and recipe.
        seed: any int.

    `epoch` is public, and starts at 0.
    """

    def __init__(self, config: Config, data: Data, arm: Arm, seed: int) -> None:
        super().__init__(workers=0)
        self.epoch = 0
        self._config, self._data, self._arm, self._seed = config, data, arm, seed
        weighted = config.class_weights is not None
        self._class_weights = balanced(data.train, len(data.classes)) if weighted else None

    def __len__(self) -> int:
        return -(-len(self._data.train) // self._config.batch_size)

    def __getitem__(self, index: int) -> tuple[NDArray[Any], ...]:
        batch = self.unmixed(index)
        guides = guides_for(self._arm.recipe, batch.given, self._data)
        samples = {"images": batch.given.images, "targets": batch.given.targets, **guides}
        rows = Rows(samples) if batch.sources is None else Rows(None, samples, batch.sources)
        field = TASKS[self._config.task].field(self._data)
        fields = {"images": Images("nhwc"), "targets": field, **{need: Guide(need) for need in guides}}
        weights = self._class_weights
        mixed = mix_rows(self._arm.recipe, rows, batch.key, fields=fields, class_weights=weights, advises=False)
        return tuple(mixed[name] for name in ("images", "targets", ADDED) if name in mixed)

    def unmixed(self, index: int) -> Batch:
        """Return batch `index` before mixing."""
        size, names, key = self._config.batch_size, self._arm.augment, (self._seed, self.epoch, index)
        count = self._arm.recipe.sources if self._config.partners == "dataset" else 1
        this = Epoch(len(self._data.train), self._seed, self.epoch)
        rows = this.sources(index * size, (index + 1) * size, count)
        own, unknown = self._data.train.take(rows.ravel()), self._data.ignore_index or 0
        given = Split(augment(own.images, names, key), moved(own.targets, names, key, fill=unknown), names=own.names)
        return Batch(given, key, np.arange(rows.size).reshape(rows.shape) if count > 1 else None)
