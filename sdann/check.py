"""Checks of an integer network and of its input, and the bounds of its sums. Computes no activation.

The models take a network only after :func:`check_network`; what a particular chip can hold is the mapper's to say.
"""

import numpy as np

from .errors import SdannError
from .graph import INPUT, Edge, IntArray, Layer, QuantizedNetwork, Shape

__all__ = [
    "MAX_OUT_BITS", "check_input", "check_network", "edge_shape", "isum_bound", "membrane_bound", "membrane_fits",
]  # fmt: skip

MAX_OUT_BITS = 16
"""Most bits of a signed last layer's values (T_out)."""

MAX_CURRENT_BITS = 38
"""With |I(t)| below 2^38 and mult1 below 2^24, the models' 64-bit integers hold every step."""


def edge_shape(edge: Edge, source: Shape) -> Shape:
    """Output shape of ``edge`` on a source of shape ``source``; raises SdannError where the kernel does not fit."""
    channels, height, width = source
    out, fan_in, kernel_h, kernel_w = edge.weight.shape
    if edge.kind == "depthwise":
        if (out, fan_in) != (channels, 1):
            raise SdannError(f"a depthwise weight must be [{channels}, 1, K_h, K_w], not {list(edge.weight.shape)}")
    elif fan_in != channels:
        raise SdannError(f"the weight has {fan_in} input channels, its source {edge.source!r} has {channels}")
    if edge.kind == "linear" and ((kernel_h, kernel_w) != (height, width) or edge.stride != 1 or edge.padding != 0):
        raise SdannError(f"a linear weight must cover its whole source map {height} x {width}, stride 1, padding 0")
    rows = (height + 2 * edge.padding - kernel_h) // edge.stride + 1
    cols = (width + 2 * edge.padding - kernel_w) // edge.stride + 1
    if rows < 1 or cols < 1:
        raise SdannError(f"a {kernel_h} x {kernel_w} kernel does not fit a {height} x {width} map")
    return out, rows, cols


def _check_edge(edge: Edge, source: Shape, limit: int) -> Shape:
    if edge.kind not in ("conv", "depthwise", "linear"):
        raise SdannError(f"unknown kind {edge.kind!r}")
    if edge.weight.dtype != np.int64 or edge.weight.ndim != 4 or edge.weight.size == 0:
        raise SdannError("the weight must be a non-empty int64 array of 4 axes")
    if edge.stride not in (1, 2, 4) or edge.padding < 0 or edge.shift < 0:
        raise SdannError("stride must be 1, 2 or 4, padding and shift at least 0")
    if edge.weight.max() >= limit or edge.weight.min() < -limit:
        raise SdannError(f"a weight lies outside {-limit}..{limit - 1}")
    return edge_shape(edge, source)


def _check_edges(layer: Layer, network: QuantizedNetwork, sources: dict[str, Shape]) -> None:
    if not layer.edges:
        raise SdannError("a layer needs at least one edge")
    for number, edge in enumerate(layer.edges):
        where = f"edge {number} from {edge.source!r}"
        if edge.source not in sources:
            raise SdannError(
                f"{where}: the source is neither the input nor an earlier layer; there are {list(sources)}"
            )
        try:
            shape = _check_edge(edge, sources[edge.source], 1 << network.weight_bits - 1)
        except SdannError as error:
            raise SdannError(f"{where}: {error}") from None
        if shape != layer.shape:
            raise SdannError(
                f"{where} makes shape {shape}, the layer says {layer.shape}: all edges must make the layer's shape "
                "(change kernel, stride or padding)"
            )
    reach = sum(edge.weight[0].size << network.weight_bits - 1 + edge.shift for edge in layer.edges)
    if reach >= 1 << MAX_CURRENT_BITS:
        raise SdannError(f"|I(t)| may reach {reach}, beyond {MAX_CURRENT_BITS} bits: use smaller edge shifts")


def _check_parts(layer: Layer) -> None:
    covered = [np.zeros(edge.channels, dtype=np.int64) for edge in layer.edges]
    for number, part in enumerate(layer.parts):
        if not part:
            raise SdannError(f"part {number} is empty: leave it out")
        for some in part:
            if not 0 <= some.edge < len(covered):
                raise SdannError(f"part {number} has edge {some.edge}, the layer has edges 0..{len(covered) - 1}")
            last = some.channel0 + some.channels - 1
            if not 0 <= some.channel0 <= last < len(covered[some.edge]):
                raise SdannError(
                    f"part {number} has channels {some.channel0}..{last} of edge {some.edge}, "
                    f"whose source has 0..{len(covered[some.edge]) - 1}"
                )
            covered[some.edge][some.channel0 : last + 1] += 1
    for number, times in enumerate(covered):
        if layer.parts and (times != 1).any():
            channel = int(np.argmax(times != 1))
            raise SdannError(
                f"its parts hold channel {channel} of edge {number} {times[channel]} times: every source channel of "
                "every edge belongs to exactly one part"
            )


def _check_output(layer: Layer, last: bool, steps: int) -> None:
    """Clamp, sparsity and pooling: what makes activations of V(T-1)."""
    if layer.signed and not last:
        raise SdannError("only the last layer may be signed: the activations of every other are spike trains")
    if layer.raw and not (last and layer.signed):
        raise SdannError("only the last layer may be raw, and must then be signed: V(T-1) is no spike train")
    bits = (MAX_OUT_BITS if layer.signed else steps) - layer.signed
    low, high = (-(1 << bits) if layer.signed else 0), (1 << bits) - 1
    if not low <= layer.lo <= layer.hi <= high:
        raise SdannError(
            f"lo, hi must lie in {low}..{high}, not be {layer.lo}, {layer.hi} "
            f"(only a signed last layer may have more than {steps} bits)"
        )
    if not (0 <= layer.rot < steps and 0 <= layer.drlo <= steps and 0 <= layer.truncate < steps):
        raise SdannError(f"rot and truncate must be 0..{steps - 1}, drlo 0..{steps}")
    if layer.rot and layer.truncate:
        raise SdannError("rot and truncate exclude each other: set one of them to 0")
    if layer.signed and (layer.rot or layer.drlo or layer.truncate):
        raise SdannError("RoT, truncation and DRLO act on unsigned activations only: set them to 0")
    pool = layer.pool
    if pool is None:
        return
    if layer.signed:
        raise SdannError("max pooling acts on unsigned activations only: leave it out or make the layer unsigned")
    if pool.kernel not in range(1, 5) or pool.stride not in (1, 2, 4) or not 0 <= pool.padding < pool.kernel:
        raise SdannError(f"a pool has a kernel of 1..4, stride 1, 2 or 4 and a padding below the kernel, not {pool}")
    if min(layer.output_shape) < 1:
        raise SdannError(f"{pool} does not fit its {layer.shape[1]} x {layer.shape[2]} map: use a smaller kernel")


def _check_layer(layer: Layer, network: QuantizedNetwork, sources: dict[str, Shape]) -> None:
    if layer.name in sources:
        raise SdannError("the name is taken twice: rename one")
    _check_edges(layer, network, sources)
    _check_parts(layer)
    for name, low in (("mult", 0), ("shift", 1), ("bias", None)):
        values: IntArray = getattr(layer, name)
        if values.dtype != np.int64 or values.shape != (layer.shape[0],):
            raise SdannError(f"{name} must be an int64 array of {layer.shape[0]} values, one per output channel")
        if low is not None and values.min() < low:
            raise SdannError(f"{name} must be at least {low}")
    _check_output(layer, layer is network.layers[-1], network.time_steps)
    if layer.bias_mode not in ("sum", "scaled"):
        raise SdannError(f"unknown bias mode {layer.bias_mode!r}")
    if layer.scaled is not None:
        if layer.bias_mode == "sum":
            raise SdannError('scaled integration needs eq. 10\'s bias (bias_mode "scaled")')
        if not (1 <= layer.scaled.mult1 < 1 << 24 and 0 <= layer.scaled.shift1 <= 62):
            raise SdannError(f"mult1 must be 1..{(1 << 24) - 1}, shift1 0..62")


def check_network(network: QuantizedNetwork) -> None:
    """Check names, shapes, data types and ranges; raises SdannError that names the layer."""
    if not 1 <= network.time_steps <= 16 or not 2 <= network.weight_bits <= 16 or not 4 <= network.membrane_bits <= 62:
        raise SdannError("time_steps must be 1..16, weight_bits 2..16, membrane_bits 4..62")
    if len(network.input_shape) != 3 or min(network.input_shape) < 1:
        raise SdannError(f"the input shape must be (channels, height, width), not {network.input_shape}")
    if not network.layers:
        raise SdannError(f"network {network.name!r} has no layers")
    sources = {INPUT: network.input_shape}
    for layer in network.layers:
        try:
            _check_layer(layer, network, sources)
        except SdannError as error:
            raise SdannError(f"layer {layer.name!r}: {error}") from None
        sources[layer.name] = layer.output_shape


def check_input(network: QuantizedNetwork, x: IntArray) -> IntArray:
    """``x`` as int64 [N, C, H, W]; raises SdannError for another shape, type, or a value that T bits cannot hold."""
    x = np.asarray(x)
    if x.dtype.kind not in "iu":
        raise SdannError(f"the input must hold integers (quantize it first), not {x.dtype}")
    if x.ndim != 4 or x.shape[1:] != network.input_shape or len(x) == 0:
        raise SdannError(f"the input must have shape [N, {', '.join(map(str, network.input_shape))}], not {x.shape}")
    steps = network.time_steps
    low, high = (-(1 << steps - 1), (1 << steps - 1) - 1) if network.input_signed else (0, (1 << steps) - 1)
    if x.min() < low or x.max() > high:
        raise SdannError(f"input values must lie in {low}..{high}; found {x.min()}..{x.max()}")
    return x.astype(np.int64)


def isum_bound(layer: Layer) -> int:
    """Largest |I(t)| of a part that any spikes could cause: max over neurons of the sum of 2^k_e |w_e|."""
    largest = 0
    for part in layer.split:
        reach = np.zeros(layer.shape[0], dtype=np.int64)
        for some in part:
            edge, channels = layer.edges[some.edge], slice(some.channel0, some.channel0 + some.channels)
            if edge.kind == "depthwise":
                reach[channels] += np.abs(edge.weight[channels]).sum(axis=(1, 2, 3)) << edge.shift
            else:
                reach += np.abs(edge.weight[:, channels]).sum(axis=(1, 2, 3)) << edge.shift
        largest = max(largest, int(reach.max()))
    return largest


def membrane_bound(layer: Layer, time_steps: int) -> int:
    """Bound of |V(t)| of a part for any input: (2^T - 1) s_1(max |I|), rounded up per step."""
    current = isum_bound(layer)
    if layer.scaled is not None and layer.scaled.shift1:
        current = (current * layer.scaled.mult1 >> layer.scaled.shift1) + 1
    return ((1 << time_steps) - 1) * current


def membrane_fits(layer: Layer, network: QuantizedNetwork) -> bool:
    """True if no input whatsoever can saturate this layer's V."""
    return membrane_bound(layer, network.time_steps) < 1 << network.membrane_bits - 1
