"""Max pooling: every window whole, in one core, and the same for all cores of a layer."""

from hdl.program import MAX_POOL_KERNEL
from sdann.mapper.check.decoded import Decoded, need

__all__ = ["check_pooling"]


def check_pooling(decoded: Decoded) -> None:
    """Windows against the regions of neurons and of activations."""
    image = decoded.image
    for layer in image.manifest.layers:
        holders = image.holders(layer.name)
        if holders[0].pooled is None:
            continue
        shared: tuple[int, int, int] | None = None
        for entry in holders:
            core, out, r = (entry.y, entry.x), entry.outputs, entry.region
            d, where = decoded.core[core], decoded.where(core)
            kernel, stride = d["pool_kernel"], 1 << d["pool_stride_log2"]
            need(1 <= kernel <= MAX_POOL_KERNEL, f"{where}: pool_kernel {kernel} not in 1..{MAX_POOL_KERNEL}")
            need(stride <= 4, f"{where}: pool_stride_log2 {d['pool_stride_log2']}: the stride is 1, 2 or 4")
            need(
                (out.channel0, out.channels) == (r.channel0, r.channels),
                f"{where}: pooled channels differ from the neurons' channels",
            )
            for axis, start, size, out_start, out_size, whole, out_whole in (
                ("y", r.y0, r.height, out.y0, out.height, layer.neurons[1], layer.shape[1]),
                ("x", r.x0, r.width, out.x0, out.width, layer.neurons[2], layer.shape[2]),
            ):
                skip = d[f"pool_{axis}"]
                padding = skip - start + out_start * stride
                need(0 <= padding < kernel, f"{where}: pool_{axis} {skip} makes a padding of {padding}")
                shared = shared or (kernel, stride, padding)
                need(
                    (kernel, stride, padding) == shared,
                    f"{where}: pool window (kernel, stride, padding) {kernel, stride, padding} along {axis}, "
                    f"others of the layer have {shared}",
                )
                wanted = (whole + 2 * padding - kernel) // stride + 1
                need(
                    out_whole == wanted,
                    f"{where}: the layer's map has {out_whole} positions along {axis}, windows make {wanted}",
                )
                first = max(0, out_start * stride - padding)
                last = min(whole, (out_start + out_size - 1) * stride - padding + kernel)
                need(
                    (start, start + size) == (first, last),
                    f"{where}: windows along {axis} need neurons {first}..{last - 1}, "
                    f"the region has {start}..{start + size - 1}",
                )
