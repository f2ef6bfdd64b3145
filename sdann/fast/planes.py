"""Activations as spikes: bit-planes, most significant first."""

import torch

__all__ = ["spike_planes"]


def spike_planes(a: torch.Tensor, time_steps: int, *, negative_first: bool) -> torch.Tensor:
    """Spikes of ``a`` [N, H, W, C] as int8 [N, T, H, W, C]: 0 or 1; with ``negative_first``, -1 for those of step 0.

    Of negative values, two's complement counts (eq. 11).
    """
    planes = torch.empty((len(a), time_steps, *a.shape[1:]), dtype=torch.int8, device=a.device)
    if a.element_size() == 1 and time_steps <= 8 and a.shape[3] % 8 == 0 and a.is_contiguous():
        words, out, ones = a.view(torch.int64), planes.view(torch.int64), 0x0101010101010101  # eight at a time
    else:
        words, out, ones = a.to(torch.int32), planes, 1
    for t in range(time_steps):
        out[:, t] = (words >> time_steps - 1 - t) & ones
    if negative_first:
        planes[:, 0].neg_()
    return planes
