"""Draws under many keys follow the distributions of their papers, and the tests' p-values are uniform.

python tests/recipes/long_distributions.py --seeds 400

`test_distributions.py` draws under one key. Here each hypothesis is tested under many, with a p-value each. If the
draws are right these are uniform, which is tested last. One such test fails by chance in one of 10,000 runs of this
program with other seeds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import stats

import mixaug as ma
from mixaug.core import keys
from mixaug.epoch import Epoch

N = 20_000
SURE = 1e-4  # the smallest p-value, corrected for the number of hypotheses


def beta(alpha: float) -> Callable[[int], float]:
    """Weights of MixUp are Beta(alpha, alpha), rounded to 1/65536: each is any of the quantiles that round to it."""

    def p_value(seed: int) -> float:
        lam, law = (
            ma.MixUp(alpha=alpha).draw(N, (1,), key=(seed, 0)).lam[0].astype(np.float64),
            stats.beta(alpha, alpha),
        )
        low, high = law.cdf(lam - 0.5 / 65536), law.cdf(lam + 0.5 / 65536)
        return float(stats.kstest(np.random.default_rng(seed).uniform(low, high), "uniform").pvalue)

    return p_value


def partners(seed: int) -> float:
    """Every other row of a batch is equally likely as the partner of a row."""
    partner = [ma.MixUp().draw(7, (1,), key=(seed, step)).index[1, 3] for step in range(600)]
    return float(stats.chisquare(np.delete(np.bincount(partner, minlength=7), 3)).pvalue)


def centres(seed: int) -> float:
    """All positions of a box inside the image are equally likely."""
    box = ma.CutMix(lam=0.75, placement="inside").draw(N, (40, 40), key=(seed, 0)).region.box[1]
    return float(stats.chisquare(np.bincount(box[:, 0, 0] * 21 + box[:, 1, 0], minlength=441)).pvalue)


def choices(seed: int) -> float:
    """one_of chooses recipes with the given weights."""
    mixed = ma.one_of(ma.identity(), ma.MixUp(lam=0.5), weights=(3, 1)).draw(N, (1,), key=(seed, 0)).lam[1] > 0
    return float(stats.chisquare([(~mixed).sum(), mixed.sum()], [0.75 * N, 0.25 * N]).pvalue)


def bits(seed: int) -> float:
    """Bytes of the random bits are uniform."""
    words = keys.random_bits(ma.backends.common(), keys.make((seed, 0)), np.arange(N, dtype=np.uint32), 4)
    return float(stats.chisquare(np.bincount(np.ravel(words).view(np.uint8), minlength=256)).pvalue)


def rows_and_keys(seed: int) -> float:
    """Draws under adjacent keys are independent."""
    one, other = (ma.MixUp(alpha=1.0).draw(N, (1,), key=(seed, step)).lam[0] for step in (0, 1))
    return float(stats.spearmanr(one, other).pvalue)


def order(seed: int) -> float:
    """Every row is equally likely to be the first of an epoch."""
    first = [Epoch(20, seed, epoch).order(np.array([0]))[0] for epoch in range(400)]
    return float(stats.chisquare(np.bincount(first, minlength=20)).pvalue)


HYPOTHESES: dict[str, Callable[[int], float]] = {
    "MixUp(alpha=0.2) is Beta(0.2, 0.2)": beta(0.2),
    "MixUp(alpha=1) is uniform": beta(1.0),
    "MixUp(alpha=4) is Beta(4, 4)": beta(4.0),
    "partners are equally likely": partners,
    "boxes begin anywhere alike": centres,
    "one_of chooses by weight": choices,
    "bytes of random bits are uniform": bits,
    "neighbouring keys are independent": rows_and_keys,
    "an epoch begins with any row": order,
}


def main() -> None:
    """Test every hypothesis with this number of seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    asked = parser.parse_args()
    failed, begun = [], time.time()
    for name, p_value in HYPOTHESES.items():
        values = [p_value(seed) for seed in range(asked.seed, asked.seed + asked.seeds)]
        uniform = float(stats.kstest(values, "uniform").pvalue)
        failed += [name] if uniform < SURE / len(HYPOTHESES) else []
        print(f"{name}: p-values of {asked.seeds} seeds are uniform with p = {uniform:.3f}", flush=True)
    right = len(HYPOTHESES) - len(failed)
    print(f"{right} of {len(HYPOTHESES)} hypotheses hold, in {time.time() - begun:.0f} s")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
