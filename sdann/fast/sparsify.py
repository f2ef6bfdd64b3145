"""What happens to activations after requantization, on maps [N, H, W, C] of unsigned values."""

import torch
from torch.nn import functional

from ..graph import Layer, Pool

__all__ = ["drlo", "finish", "max_pool", "rot", "truncate"]


def rot(a: torch.Tensor, k: int, hi: int) -> torch.Tensor:
    """Rounding of trains (eq. 22): to the nearest multiple of 2^k, at most the largest one that ``hi`` holds."""
    if k == 0:
        return a
    mask = ~((1 << k) - 1)
    return ((a.to(torch.int32) + (1 << k - 1)) & mask).clamp_(max=hi & mask).to(a.dtype)


def truncate(a: torch.Tensor, k: int) -> torch.Tensor:
    """The lowest ``k`` bits cleared."""
    return a if k == 0 else (a >> k) << k


def drlo(a: torch.Tensor, n: int, time_steps: int) -> torch.Tensor:
    """The ``n`` most significant set bits of each value (0: all)."""
    if n == 0 or n >= time_steps:
        return a
    kept = torch.zeros_like(a)
    for _ in range(n):
        below = a  # becomes ones from the highest set bit down
        for by in (1, 2, 4, 8):
            if by < time_steps:
                below = below | below >> by
        top = below ^ below >> 1
        kept, a = kept | top, a ^ top
    return kept


def max_pool(a: torch.Tensor, pool: Pool) -> torch.Tensor:
    """The largest value of each window, padding 0."""
    p, stride = pool.padding, pool.stride
    a = functional.pad(a, (0, 0, p, p, p, p)) if p else a
    height, width = ((side - pool.kernel) // stride + 1 for side in a.shape[1:3])
    best: torch.Tensor | None = None
    for y in range(pool.kernel):
        for x in range(pool.kernel):
            rival = a[:, y : y + (height - 1) * stride + 1 : stride, x : x + (width - 1) * stride + 1 : stride]
            best = rival if best is None else torch.maximum(best, rival)
    assert best is not None
    return best.contiguous()


def finish(layer: Layer, a: torch.Tensor, time_steps: int) -> torch.Tensor:
    """RoT or truncation, DRLO, pooling, as ``layer`` has them. It is not signed, or has none of them."""
    a = drlo(rot(truncate(a, layer.truncate), layer.rot, layer.hi), layer.drlo, time_steps)
    return a if layer.pool is None else max_pool(a, layer.pool)
