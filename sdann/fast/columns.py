"""Maps [B, H, W, C] with their padding, and the windows of a kernel over them as rows of a matrix (im2col)."""

from collections.abc import Iterator

import torch

__all__ = ["blocks", "columns", "padded"]

BLOCK = 1 << 22
"""Bytes of columns, or of the sums made of them, worked on at a time: they then stay in the processor's caches."""


def padded(x: torch.Tensor, padding: int, dtype: torch.dtype, offset: int = 0) -> torch.Tensor:
    """``x`` [B, H, W, C] less ``offset``, with zeros (less ``offset`` too) on each side, as ``dtype``."""
    b, height, width, channels = x.shape
    if padding == 0 and offset == 0 and dtype == x.dtype:
        return x
    shape = (b, height + 2 * padding, width + 2 * padding, channels)
    if padding:
        out = torch.full(shape, -offset, dtype=dtype, device=x.device)
    else:
        out = torch.empty(shape, dtype=dtype, device=x.device)
    inside = out[:, padding : padding + height, padding : padding + width]
    if offset == 128 and dtype == torch.int8 and x.dtype == torch.uint8:
        torch.bitwise_xor(x, 128, out=inside.view(torch.uint8))  # as two's complement, that is x - 128
    else:
        inside.copy_(x if offset == 0 else x.to(torch.int32) - offset)
    return out


def columns(x: torch.Tensor, kernel: tuple[int, int], stride: int, rows: slice) -> torch.Tensor:
    """Windows of padded ``x`` [B, H, W, C] for the output ``rows``: [B * rows * W_out, K_h * K_w * C].

    Entries of a row are ordered by kernel row, kernel column, channel.
    """
    x = x[:, rows.start * stride : (rows.stop - 1) * stride + kernel[0]]
    words = x
    places = (x.shape[3], x.storage_offset(), *x.stride()[:3])
    if x.element_size() == 1 and x.stride(3) == 1 and not any(place % 8 for place in places):
        words = x.view(torch.int64)  # eight bytes are copied at a time
    windows = words.unfold(1, kernel[0], stride).unfold(2, kernel[1], stride).permute(0, 1, 2, 4, 5, 3)
    flat = windows.reshape(windows.shape[:3].numel(), -1)
    return flat if words is x else flat.view(x.dtype)


def blocks(samples: int, height: int, row_bytes: int) -> Iterator[tuple[slice, list[slice]]]:
    """Samples, and the output rows of them, to be worked on together.

    ``row_bytes``: what one sample's output row takes.
    """
    together = max(1, BLOCK // (row_bytes * height))
    rows = height if together > 1 else min(height, max(1, BLOCK // row_bytes))
    rows = -(-height // -(-height // rows))  # bands of equal size
    for n in range(0, samples, together):
        yield (
            slice(n, min(n + together, samples)),
            [slice(y, min(y + rows, height)) for y in range(0, height, rows)],
        )
