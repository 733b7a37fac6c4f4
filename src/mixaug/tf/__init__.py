"""TensorFlow: mix the batches of a `tf.data` pipeline, `ds.apply(ma.tf.mixed(...))`.

Batch i of a pass is mixed under the key (seed, epoch, i); single samples are outputs of one mix under the key
(seed, epoch). The mixes equal those of the other libraries, and do not depend on the number of parallel calls.
"""

from .batches import mixed
from .zipped import mixed_zip

__all__ = ["mixed", "mixed_zip"]
