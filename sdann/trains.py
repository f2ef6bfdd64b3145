"""Spike trains: generation (eqs. 20-21), rounding, truncation, dropping and max pooling, spike by spike.

A train is bool [T, ...]; step t = 0 carries the most significant bit. Shares no arithmetic with the golden models,
which do the same on integers.
"""

import numpy as np
import numpy.typing as npt

from .graph import IntArray, Pool

__all__ = ["BoolArray", "decode", "drlo_train", "encode", "pool_train", "rot_train", "truncate_train"]

BoolArray = npt.NDArray[np.bool_]


def encode(a: IntArray, time_steps: int, *, signed: bool = False) -> BoolArray:
    """Spike trains [T, ...] of activations [...] (eqs. 20-21): fire where V >= theta(t) = 2^(T-1-t), subtract it.

    ``signed``: step 0 weighs -2^(T-1) (eq. 11), so it fires for negative values. Otherwise a negative
    value emits nothing, and one of 2^T or more fires in every step.
    """
    v = np.array(a, dtype=np.int64)
    train = np.zeros((time_steps, *v.shape), dtype=np.bool_)
    for t in range(time_steps):
        theta = 1 << (time_steps - 1 - t)
        if signed and t == 0:
            train[t] = v < 0
            v[train[t]] += theta
        else:
            train[t] = v >= theta
            v[train[t]] -= theta
    return train


def decode(train: BoolArray, *, signed: bool = False) -> IntArray:
    """The values [...] of spike trains [T, ...]: each step doubles what came before it."""
    value = np.zeros(train.shape[1:], dtype=np.int64)
    for t, spikes in enumerate(train):
        value = value + value + np.where(spikes, -1 if signed and t == 0 else 1, 0)
    return value


def rot_train(train: BoolArray, k: int, hi: int) -> BoolArray:
    """Rounding of trains (eq. 22) on spikes: that of weight 2^(k-1) carries upwards, the last k fall silent."""
    if k == 0:
        return train
    steps = len(train)
    rounded = np.zeros_like(train)
    carry = train[steps - k]
    for t in range(steps - k - 1, -1, -1):
        rounded[t] = train[t] != carry
        carry = train[t] & carry
    largest = encode(np.array(hi), steps)
    largest[steps - k :] = False
    over = carry | (decode(rounded) > decode(largest))
    return np.where(over, largest.reshape(steps, *[1] * (train.ndim - 1)), rounded)


def truncate_train(train: BoolArray, k: int) -> BoolArray:
    """The last ``k`` steps fall silent."""
    silent = np.arange(len(train)) >= len(train) - k
    return train & ~silent.reshape(-1, *[1] * (train.ndim - 1))


def drlo_train(train: BoolArray, n: int) -> BoolArray:
    """Drop all but the first ``n`` spikes of each train (0: keep all)."""
    return train & (np.cumsum(train, axis=0) <= n) if n else train


def pool_train(train: BoolArray, pool: Pool) -> BoolArray:
    """The largest train of each window: [T, N, C, H, W] -> [T, N, C, H_out, W_out]; padding is silent.

    A race: the window fires when any neuron still in the race does, and who is silent then leaves the race.
    """
    steps, n, channels, *sides = train.shape
    pad = pool.padding
    padded = np.zeros((steps, n, channels, *(side + 2 * pad for side in sides)), dtype=np.bool_)
    padded[..., pad : pad + sides[0], pad : pad + sides[1]] = train
    height, width = ((side + 2 * pad - pool.kernel) // pool.stride + 1 for side in sides)
    reach_y, reach_x = (height - 1) * pool.stride + 1, (width - 1) * pool.stride + 1
    rivals = [
        padded[..., y : y + reach_y : pool.stride, x : x + reach_x : pool.stride]
        for y in range(pool.kernel) for x in range(pool.kernel)
    ]  # fmt: skip
    racing = [np.ones((n, channels, height, width), dtype=np.bool_) for _ in rivals]
    winner = np.zeros((steps, n, channels, height, width), dtype=np.bool_)
    for t in range(steps):
        for rival, still in zip(rivals, racing, strict=True):
            winner[t] |= rival[t] & still
        for rival, still in zip(rivals, racing, strict=True):
            still &= rival[t] | ~winner[t]
    return winner
