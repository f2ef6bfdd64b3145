"""What no tiling changes: limits of the chip that a network or one of its layers exceeds as such."""

import numpy as np

from hdl.config import ChipConfig
from hdl.program import MAX_POOL_KERNEL, Memory, Readout, chunks_of
from sdann.check import membrane_fits
from sdann.errors import DoesNotFitError, UnsupportedError
from sdann.graph import INPUT, Layer, QuantizedNetwork, Shape
from sdann.mapper.geometry import groups_of
from sdann.mapper.layer_words import readout_of

__all__ = ["can_split", "check_limits", "need_at_most"]


def need_at_most(where: str, what: str, needed: int, available: int, remedy: str = "") -> None:
    """Raises :class:`DoesNotFitError` where more is needed than there is."""
    if needed > available:
        raise DoesNotFitError(f"{where} needs {what} {needed}, the chip has {available}{remedy}")


def can_split(layer: Layer, network: QuantizedNetwork) -> bool:
    """Whether the mapper may split the layer's fan-in over cores: no part can round or saturate."""
    unscaled = layer.scaled is None or (layer.scaled.mult1, layer.scaled.shift1) == (1, 0)
    return unscaled and not layer.parts and membrane_fits(layer, network)


def check_limits(network: QuantizedNetwork, config: ChipConfig) -> None:
    """Raises :class:`DoesNotFitError` that names layer, limit, needed and available, and :class:`UnsupportedError`."""
    if network.membrane_bits != config.membrane_bits:
        raise UnsupportedError(
            f"network {network.name!r} has membrane_bits {network.membrane_bits}, the chip has {config.membrane_bits}: "
            "quantize it for this chip"
        )
    if not 2 <= network.time_steps <= config.time_steps:
        raise DoesNotFitError(
            f"network {network.name!r} needs time_steps {network.time_steps}, the chip has 2..{config.time_steps}"
        )
    _check_map(INPUT, network.input_shape, config)
    for layer in network.layers:
        _check_layer(layer, network, config)


def _check_map(name: str, shape: Shape, config: ChipConfig) -> None:
    channels, height, width = shape
    need_at_most(f"{name!r}", "map_side", max(height, width), config.map_side)
    need_at_most(
        f"{name!r} with {channels} channels", "map_groups", groups_of(channels, config.lanes), config.map_groups
    )


def _check_layer(layer: Layer, network: QuantizedNetwork, config: ChipConfig) -> None:
    where = f"layer {layer.name!r}"
    _check_map(layer.name, layer.shape, config)
    edges = max(map(len, layer.split))
    if edges > config.edges and not can_split(layer, network):  # else the parts of a split one may have few enough
        need_at_most(where, "edges", edges, config.edges)
    need_at_most(where, "parts", len(layer.split), config.parts)
    total = np.zeros(layer.shape[0], dtype=np.int64)
    for edge in layer.edges:
        need_at_most(where, "max_edge_shift", edge.shift, config.max_edge_shift)
        need_at_most(where, "map_side (kernel side)", max(edge.weight.shape[2:]), config.map_side)
        low, high = -(1 << (config.weight_bits - 1)), (1 << (config.weight_bits - 1)) - 1
        if edge.weight.min() < low or edge.weight.max() > high:
            found = int(edge.weight.min()), int(edge.weight.max())
            raise DoesNotFitError(
                f"{where} has weights {found[0]}..{found[1]}, the chip holds {low}..{high} (weight_bits)"
            )
        if edge.stride not in (1, 2, 4, 8):
            raise UnsupportedError(f"{where} has stride {edge.stride}; the chip has 1, 2, 4 and 8")
        total += np.abs(edge.weight).reshape(len(edge.weight), -1).sum(axis=1) << edge.shift
    # a split layer's parts stay below this too
    limit = (1 << (config.isum_bits - 1)) - 1
    need_at_most(where, "sum of |w| << shift of one neuron (isum_bits)", int(total.max()), limit)
    _check_constants(where, layer, config)
    _check_clamp(where, layer, network, config)
    need_at_most(where, "rot", max(layer.rot, layer.truncate), config.time_steps - 1)
    need_at_most(where, "drlo", layer.drlo, config.time_steps)
    for number, part in enumerate(layer.parts):
        for some in part:
            if layer.edges[some.edge].kind != "depthwise" and some.channel0 % config.lanes:
                raise DoesNotFitError(
                    f"{where}: part {number} begins at channel {some.channel0}, not a multiple of the chip's lanes "
                    f"({config.lanes})"
                )
    if layer.pool is not None and layer.pool.kernel > MAX_POOL_KERNEL:
        raise UnsupportedError(
            f"{where} pools {layer.pool.kernel} x {layer.pool.kernel}; the chip at most {MAX_POOL_KERNEL}"
        )


def _check_constants(where: str, layer: Layer, config: ChipConfig) -> None:
    for what, values, low, high in (
        ("mult (mult_bits)", layer.mult, 0, (1 << config.mult_bits) - 1),
        ("shift (max_shift)", layer.shift, 1, config.max_shift),
        ("bias (bias_bits)", layer.bias, -(1 << (config.bias_bits - 1)), (1 << (config.bias_bits - 1)) - 1),
    ):
        if not layer.raw and (values.min() < low or values.max() > high):
            found = int(values.min()), int(values.max())
            raise DoesNotFitError(f"{where} has {what} {found[0]}..{found[1]}, the chip holds {low}..{high}")
    if layer.scaled is not None:
        need_at_most(where, "mult1 (mult_bits)", layer.scaled.mult1, (1 << config.mult_bits) - 1)
        need_at_most(where, "shift1 (max_shift)", layer.scaled.shift1, config.max_shift)


def _check_clamp(where: str, layer: Layer, network: QuantizedNetwork, config: ChipConfig) -> None:
    last = layer is network.layers[-1]
    if layer.signed and (not last or layer.rot or layer.drlo or layer.truncate):
        raise UnsupportedError(f"{where} is signed: only the last layer may be, without RoT, truncation and DRLO")
    kind = readout_of(network, layer, config)
    if last:
        memory = Memory.ACT if kind is Readout.ACT else Memory.MEMBRANE
        channels, height, width = layer.output_shape
        flits = height * width * groups_of(channels, config.lanes) * chunks_of(config, memory)
        need_at_most(where, "readout_depth", flits, config.readout_depth, " flits per sample")
    if layer.raw:
        return
    two, bits = layer.signed, {Readout.NONE: network.time_steps, Readout.ACT: config.act_bits}.get(kind)
    if bits is None:  # read out of V, in two's complement
        two, bits = True, min(config.out_bits, config.membrane_word_bits)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if two else (0, (1 << bits) - 1)
    if not low <= layer.lo <= 0 <= layer.hi <= high:
        raise DoesNotFitError(
            f"{where} clamps to {layer.lo}..{layer.hi}, the chip needs {low} <= lo <= 0 <= hi <= {high}"
        )
