"""Labels of class ids: the sum of lam for each class."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cache import compiled


@compiled
def labels(out: Any, own: Any, source: Any, index: Any, lam: Any) -> bool:
    """Add lam of each source to its class; return False if an id is out of range or a source is not a row."""
    for i in range(out.shape[0]):
        for j in range(index.shape[0]):
            row = np.int64(index[j, i])
            if not 0 <= row < source.shape[0]:
                return False
            label = np.int64(own[i] if j == 0 else source[row])
            if not 0 <= label < out.shape[1]:
                return False
            out[i, label] += lam[j, i]
    return True
