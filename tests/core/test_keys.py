"""Keys, random bits and tables, against published values and manual calculations."""

from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ways
from mixaug import backends
from mixaug.core import keys

NUMPY = backends.common()

# Random123's known answers for Threefry-2x32, 20 rounds: key, counter, cipher
KNOWN = [
    ((0x00000000, 0x00000000), (0x00000000, 0x00000000), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize(("key", "counter", "cipher"), KNOWN)
def test_threefry_gives_the_published_answers(key, counter, cipher):
    assert keys.threefry(keys._Ints, keys.Key(*key), counter) == cipher
    words = tuple(np.array([word], np.uint32) for word in counter)
    assert tuple(int(x[0]) for x in keys.threefry(NUMPY, keys.Key(*key), words)) == cipher
    tensors = tuple(ways.tf.constant([word], ways.tf.uint32) for word in counter)
    xp = backends.of(tensors[0])
    for run in (lambda f: f, ways.tf.function, lambda f: ways.tf.function(f, jit_compile=True)):
        got = run(lambda a, b: keys.threefry(xp, keys.Key(*key), (a, b)))(*tensors)
        assert tuple(int(x[0]) for x in got) == cipher


@given(st.integers(-(2**66), 2**66), st.integers(-(2**66), 2**66))
def test_folding_is_encryption_of_the_number_mod_2_to_64(seed, number):
    key = keys.make((seed, 0))
    low, high = seed % 2**32, seed // 2**32 % 2**32
    assert key[:2] == keys.threefry(keys._Ints, keys.Key(low, high), (0, 0))
    counter = (number % 2**32, number // 2**32 % 2**32)
    assert keys.fold_in(key, number)[:2] == keys.threefry(keys._Ints, key, counter)


@pytest.mark.parametrize("number", [0, 1, -1, 2**31, 2**40 + 5, -(2**62)])
def test_traced_numbers_give_the_key_that_ints_give(number):
    expected = keys.make((3, number, 4))
    kinds = [np.int64(number), np.array(number), ways.tf.constant(number, ways.tf.int64)]
    for kind in kinds:
        assert keys.make((3, kind, 4)) == expected
    for jit in (False, True):
        traced = ways.tf.function(lambda x: tuple(keys.make((3, x, 4))), jit_compile=jit)(
            ways.tf.constant(number, ways.tf.int64)
        )
        assert tuple(map(int, traced)) == tuple(expected)


@pytest.mark.parametrize("key", [(7,), "ab", {1: 2}, 7.0])
def test_a_key_is_one_integer_or_a_tuple_of_two_or_more(key):
    with pytest.raises(
        TypeError, match=r"key: expected an integer, \(seed, step\) or \(seed, epoch, step\), got .*; write"
    ):
        keys.make(key)


@pytest.mark.parametrize("number", [1.0, True, "1", None, np.float32(1), np.array([True])])
def test_a_key_consists_of_integers(number):
    with pytest.raises(TypeError, match="key: expected integers, got"):
        keys.make((0, number))


@pytest.mark.parametrize("wrong", [ways.tf.constant(1.5), ways.tf.constant(True), ways.tf.constant([1, 2])])
def test_traced_numbers_are_checked_too(wrong):
    with pytest.raises(TypeError, match="key: expected"):
        keys.make((0, wrong))

    @ways.tf.function
    def run(number):
        with pytest.raises(TypeError, match="key: expected scalar integers, got"):
            keys.make((0, number))
        return number

    run(wrong)


def test_words_are_the_ciphers_of_row_and_block():
    key = keys.make((1, 2))
    words = keys.random_bits(NUMPY, key, np.array([0, 5], np.uint32), 3)
    for place, row in enumerate((0, 5)):
        assert tuple(words[:2, place]) == keys.threefry(keys._Ints, key, (row, 0))
        assert words[2, place] == keys.threefry(keys._Ints, key, (row, 1))[0]


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.2, 1.0, 4.0, 100.0])
def test_beta_tables_are_finite_rising_and_symmetric(alpha):
    table = keys.beta_quantiles(alpha, alpha)
    assert np.isfinite(table).all()
    assert (np.diff(table) >= 0).all()
    np.testing.assert_allclose(table + table[::-1], 1, atol=1e-12)


def test_a_table_cannot_be_written_to():
    table = keys.beta_quantiles(0.123, 0.321)  # of its own: PyTorch's compiler makes those that it meets writeable
    assert not table.flags.writeable


def test_uniform_is_the_high_24_bits():
    words = np.array([0, 255, 256, 2**32 - 1], np.uint32)
    np.testing.assert_array_equal(keys.uniform(NUMPY, words), np.float32([0, 0, 2**-24, 1 - 2**-24]))


def test_a_module_that_another_thread_still_imports_is_not_called(monkeypatch):
    half = types.ModuleType("mixaug.kernels.draw")
    half.encrypted = lambda *_: half._not_there_yet
    monkeypatch.setitem(sys.modules, "mixaug.kernels.draw", half)
    keys._folded.cache_clear()
    assert keys.fold_in(keys.make((3, 1)), 4)[:2] == keys._fold(*keys.make((3, 1))[:2], 4, 0)


FIRST = """
import os
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf, mixaug as ma
ds = tf.data.Dataset.from_tensor_slices((tf.zeros([64, 4, 4, 3]), tf.range(64) % 2)).batch(2)
print(len(list(ds.apply(ma.tf.mixed(ma.CutMix(), num_classes=2, num_parallel_calls=16)))))
"""


@pytest.mark.full
def test_the_first_batches_of_processes_are_mixed_by_many_threads_at_once():
    command = [sys.executable, "-W", "ignore", "-c", FIRST]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in processes:
        out, error = process.communicate(timeout=1800)
        assert (process.returncode, out.strip()) == (0, "32"), error[-2000:]
