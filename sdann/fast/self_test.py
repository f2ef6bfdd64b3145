"""Self-test of matrix products: is this product exact here, on this processor and with these settings?

`torch._int_mm` is silently wrong on processors without VNNI (pairs of products saturate at 16 bits), and float32
products may be rounded to bfloat16 or TF32 by a setting of torch. So no product is trusted unseen.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
import torch

__all__ = ["Multiply", "is_exact"]

Multiply = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""[M, K] x [K, N] -> [M, N]"""

_SHAPES = ((1, 1, 1), (45, 1, 5), (33, 9, 5), (64, 288, 32))
"""M, K, N: libraries take other ways for small and for ragged matrices."""

_RANGES = {
    torch.int8: [((-128, 127), (-128, 127))],
    torch.float32: [((0, 4095), (-14, 14)), ((-14, 14), (-4095, 4095))],
    torch.float64: [((-(1 << 26), (1 << 26) - 1), (-(1 << 16), 1 << 16)), ((0, 1 << 16), (0, (1 << 26) - 1))],
}
"""Of the left and the right operand: sums of 288 products just fit, and 4095 fits neither bfloat16 nor TF32."""


def is_exact(multiply: Multiply, dtype: torch.dtype, device: torch.device) -> bool:
    """True if ``multiply`` of integers as ``dtype`` equals NumPy's integer product, extremes included.

    A product that raises RuntimeError (not implemented on this device) is not exact either.
    """
    rng = np.random.default_rng(0)
    for (left, right), (m, k, n) in product(_RANGES[dtype], _SHAPES):
        drawn = rng.integers(left[0], left[1] + 1, (m, k)), rng.integers(right[0], right[1] + 1, (k, n))
        extremes = rng.choice(left, (m, k)), rng.choice(right, (k, n))
        for a, b in (drawn, extremes, (np.full((m, k), left[1]), np.full((k, n), right[1]))):
            try:
                found = multiply(*(torch.from_numpy(array).to(device, dtype) for array in (a, b)))
            except RuntimeError:
                return False
            if not np.array_equal(found.cpu().numpy().astype(np.int64), a.astype(np.int64) @ b.astype(np.int64)):
                return False
    return True
