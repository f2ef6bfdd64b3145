"""sdann.trains: generation, and sparsity and pooling on trains against integers."""

from itertools import product

import numpy as np
import pytest

from sdann import golden
from sdann.graph import Pool
from sdann.trains import decode, drlo_train, encode, pool_train, rot_train, truncate_train


@pytest.mark.parametrize("steps", [1, 2, 4, 8, 10])
def test_generation_is_the_binary_expansion(steps: int) -> None:
    values = np.arange(1 << steps)
    train = encode(values, steps)
    bits = np.array([[c == "1" for c in format(v, f"0{steps}b")] for v in values]).T
    assert (train == bits).all()
    assert (decode(train) == values).all()


def test_generation_out_of_range() -> None:
    assert not encode(np.array([-1, -128, -1000]), 8).any()
    assert encode(np.array([255, 256, 100000]), 8).all()


def test_signed_generation_is_twos_complement() -> None:
    values = np.arange(-128, 128)
    train = encode(values, 8, signed=True)
    bits = np.array([[c == "1" for c in format(v & 255, "08b")] for v in values]).T
    assert (train == bits).all()
    assert (decode(train, signed=True) == values).all()


def test_worked_example_of_figure_10() -> None:
    value = np.array([83])
    assert golden.rot(value, 2, 255).item() == 84 == 0b01010100
    assert golden.drlo(np.array([84]), 2, 8).item() == 80
    rounded = rot_train(encode(value, 8), 2, 255)
    assert decode(rounded).item() == 84
    assert rounded.ravel().tolist() == [False, True, False, True, False, True, False, False]
    assert decode(drlo_train(rounded, 2)).item() == 80
    assert [int(encode(np.array([v]), 8).sum()) for v in (83, 84, 80)] == [4, 3, 2]


@pytest.mark.parametrize("hi", [255, 127, 200, 3])
def test_rot_by_exhaustion(hi: int) -> None:
    values = np.arange(hi + 1)
    for k in range(8):
        unit = 2**k
        expected = [min((v + unit // 2) // unit * unit, hi // unit * unit) for v in values.tolist()]
        assert golden.rot(values, k, hi).tolist() == expected
        assert decode(rot_train(encode(values, 8), k, hi)).tolist() == expected


@pytest.mark.parametrize("steps", [4, 8])
def test_drlo_by_exhaustion(steps: int) -> None:
    values = np.arange(1 << steps)
    for n in range(steps + 1):
        expected = []
        for v in values.tolist():
            kept = [b for b in reversed(range(steps)) if v >> b & 1]
            expected.append(sum(1 << b for b in (kept[:n] if n else kept)))
        assert golden.drlo(values, n, steps).tolist() == expected
        assert decode(drlo_train(encode(values, steps), n)).tolist() == expected


@pytest.mark.parametrize("steps", [1, 4, 8])
def test_truncation_by_exhaustion(steps: int) -> None:
    values = np.arange(1 << steps)
    for k in range(steps):
        expected = [v // 2**k * 2**k for v in values.tolist()]
        assert decode(truncate_train(encode(values, steps), k)).tolist() == expected
        assert (values >> k << k).tolist() == expected


def pooled(a: np.ndarray, pool: Pool) -> np.ndarray:
    """The definition, window by window."""
    height, width = ((side + 2 * pool.padding - pool.kernel) // pool.stride + 1 for side in a.shape[2:])
    result = np.zeros((*a.shape[:2], height, width), dtype=np.int64)
    for y, x, i, j in product(range(height), range(width), range(pool.kernel), range(pool.kernel)):
        row, col = y * pool.stride + i - pool.padding, x * pool.stride + j - pool.padding
        if 0 <= row < a.shape[2] and 0 <= col < a.shape[3]:
            result[:, :, y, x] = np.maximum(result[:, :, y, x], a[:, :, row, col])
    return result


POOLS = [Pool(kernel=k, stride=s, padding=p) for k in range(1, 5) for s in (1, 2, 4) for p in range(k)]


@pytest.mark.parametrize("pool", POOLS, ids=lambda p: f"{p.kernel}-{p.stride}-{p.padding}")
def test_pooling(pool: Pool) -> None:
    rng = np.random.default_rng(1)
    for sides in ((5, 7), (4, 4), (6, 4)):
        a = rng.integers(0, 256, (2, 3, *sides))
        a[rng.random(a.shape) < 0.5] //= 16
        expected = pooled(a, pool)
        assert (golden.max_pool(a, pool) == expected).all()
        assert (decode(pool_train(encode(a, 8), pool)) == expected).all()


def test_a_wrong_pool_differs() -> None:
    a = np.random.default_rng(2).integers(0, 256, (1, 1, 8, 8))
    for right, wrong in (((3, 2, 1), (1, 2, 0)), ((2, 2, 0), (4, 2, 1)), ((3, 1, 1), (4, 1, 1))):
        one, other = (golden.max_pool(a, Pool(kernel=k, stride=s, padding=p)) for k, s, p in (right, wrong))
        assert one.shape != other.shape or (one != other).any()


@pytest.mark.parametrize("hi", [255, 127, 200])
def test_sparsity_commutes_with_pooling(hi: int) -> None:
    # The maximum commutes with whatever never reverses the order of two values: look at all values once.
    values = np.arange(hi + 1)
    for k, n in product(range(8), range(9)):
        assert (np.diff(golden.drlo(golden.rot(values, k, hi), n, 8)) >= 0).all()
        assert (np.diff(golden.drlo(values >> k << k, n, 8)) >= 0).all()
    a, pool = np.random.default_rng(3).integers(0, hi + 1, (2, 3, 7, 6)), Pool(kernel=3, stride=2, padding=1)
    for k, n in ((2, 2), (0, 1), (3, 0)):
        before = golden.max_pool(golden.drlo(golden.rot(a, k, hi), n, 8), pool)
        assert (before == golden.drlo(golden.rot(golden.max_pool(a, pool), k, hi), n, 8)).all()
