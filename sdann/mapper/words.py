"""The memory words of one core: descriptors, routes, constants and weights of the region it holds."""

from collections.abc import Sequence

import numpy as np

from hdl.config import ChipConfig
from hdl.program import Memory, Readout, memory_layouts
from sdann.graph import Edge, IntArray, Layer, QuantizedNetwork
from sdann.mapper.packing import Bytes, pack, pack_array, to_bytes
from sdann.mapper.routing import RouteEntry
from sdann.mapper.tiling import Region, groups_of, row_shift_of, weight_words_of

__all__ = ["core_words", "weight_rows"]


def core_words(
    network: QuantizedNetwork, layer: Layer | None, region: Region, stage: int, routes: Sequence[RouteEntry],
    config: ChipConfig,
) -> dict[Memory, Bytes]:  # fmt: skip
    """Words of every memory that the program fills, uint8 [n, bytes] from address 0; ``layer`` None: an input tile."""
    name = "input" if layer is None else layer.name
    words = {
        Memory.CORE: [_core(network, layer, region, stage, len(routes), config)],
        Memory.EDGE: _edges(network, layer, region, config),
        Memory.ROUTE: [
            pack(memory_layouts(config)[Memory.ROUTE], {
                "y0": r.y[0], "y1": r.y[1], "x0": r.x[0], "x1": r.x[1], "group0": r.group[0], "group1": r.group[1],
                "edge": r.edge, "age": 0, "phase_log2": 0, "phase_y": 0, "phase_x": 0,
                "dst": {"x0": r.mesh_x[0], "x1": r.mesh_x[1], "y0": r.mesh_y[0], "y1": r.mesh_y[1]},
            }, f"{name}: route")
            for r in routes
        ],
        Memory.REQUANT: [] if layer is None else _requant(layer, region, config),
    }  # fmt: skip
    blobs = {memory: to_bytes(ints, memory_layouts(config)[memory].size) for memory, ints in words.items()}
    rows = (
        [weight_rows(edge, network.shape_of(edge.source)[0], region, config.lanes) for edge in layer.edges]
        if layer
        else []
    )
    weights = np.concatenate([*rows, np.zeros((0, config.lanes), dtype=np.int64)])
    blobs[Memory.WEIGHT] = pack_array(weights, config.weight_bits)
    return blobs


def _core(
    network: QuantizedNetwork, layer: Layer | None, region: Region, stage: int, routes: int, config: ChipConfig
) -> int:
    scaled = layer.scaled if layer is not None else None
    if scaled is not None and scaled.shift1 == 0 and scaled.mult1 == 1:
        scaled = None  # s_1 = 1 is the exact mode
    fields = {
        "enable": 1, "stage": stage,
        "height": region.height, "width": region.width, "groups": region.groups, "words": region.words,
        "y0": region.y0, "x0": 0, "group0": region.group0,
        "last_lanes": region.channels - (region.groups - 1) * config.lanes,
        "scaled": int(scaled is not None),
        "mult1": scaled.mult1 if scaled else 0, "shift1": scaled.shift1 if scaled else 0,
        "bias_in_sum": int(layer is not None and layer.bias_mode == "sum"),
        "lo": layer.lo if layer else 0, "hi": layer.hi if layer else (1 << network.time_steps) - 1,
        "rot": layer.rot if layer else 0, "truncate": 0, "drlo": layer.drlo if layer else 0,
        "pool": 0, "pool_kernel": 0, "pool_stride_log2": 0, "pool_y": 0, "pool_x": 0,
        "out_width": region.width, "out_words": region.words, "slots": 2, "ages": 1,
        "part": 0, "part_y": 0, "part_x": 0,
        "readout": Readout.ACT.value if layer is network.layers[-1] else Readout.NONE.value, "routes": routes,
    }  # fmt: skip
    return pack(memory_layouts(config)[Memory.CORE], fields, "input" if layer is None else layer.name)


def _edges(network: QuantizedNetwork, layer: Layer | None, region: Region, config: ChipConfig) -> list[int]:
    words, base = [], 0
    for edge in layer.edges if layer is not None else ():
        source = network.shape_of(edge.source)
        kernel_h, kernel_w = edge.weight.shape[2:]
        depthwise = edge.kind == "depthwise"
        stride_y = kernel_w * region.groups
        words.append(pack(memory_layouts(config)[Memory.EDGE], {
            "enable": 1, "depthwise": int(depthwise),
            "signed": int(edge.source == "input" and network.input_signed), "shift": edge.shift,
            "stride_log2": edge.stride.bit_length() - 1, "kernel_h": kernel_h, "kernel_w": kernel_w,
            "y_offset": edge.padding - region.y0 * edge.stride, "x_offset": edge.padding,
            "group0": region.group0 if depthwise else 0,
            "groups": region.groups if depthwise else groups_of(source[0], config.lanes),
            "row_shift": 0 if depthwise else row_shift_of(source[0], config.lanes),
            "stride_y": stride_y, "stride_g": 0 if depthwise else kernel_h * stride_y, "weight_base": base,
        }, f"{layer.name}: edge from {edge.source}" if layer else ""))  # fmt: skip
        base += weight_words_of(edge, source, region.groups, config.lanes)
    return words


def _requant(layer: Layer, region: Region, config: ChipConfig) -> list[int]:
    layout, step = memory_layouts(config)[Memory.REQUANT], config.requant_lanes
    first = region.group0 * config.lanes
    # lanes without a channel get constants that keep them at 0, so they never spike
    entries = [
        {"mult": int(layer.mult[c]), "shift": int(layer.shift[c]), "bias": int(layer.bias[c])}
        if c < first + region.channels else {"mult": 0, "shift": 1, "bias": 0}
        for c in range(first, first + region.groups * config.lanes)
    ]  # fmt: skip
    return [pack(layout, entries[i : i + step], f"{layer.name}: constants") for i in range(0, len(entries), step)]


def weight_rows(edge: Edge, source_channels: int, region: Region, lanes: int) -> IntArray:
    """Weight words of one edge in address order, int64 [words, lanes]; lanes and rows without a channel hold 0."""
    kernel_h, kernel_w = edge.weight.shape[2:]
    first, count = region.group0 * lanes, region.groups * lanes
    own = np.zeros((count, *edge.weight.shape[1:]), dtype=np.int64)
    own[: region.channels] = edge.weight[first : first + region.channels]
    if edge.kind == "depthwise":  # ky, kx, group | lane
        return own.reshape(region.groups, lanes, kernel_h, kernel_w).transpose(2, 3, 0, 1).reshape(-1, lanes)
    groups, rows = groups_of(source_channels, lanes), 1 << row_shift_of(source_channels, lanes)
    padded = np.zeros((count, groups * rows, kernel_h, kernel_w), dtype=np.int64)
    padded[:, :source_channels] = own
    # source group, ky, kx, output group, mask bit | lane
    shaped = padded.reshape(region.groups, lanes, groups, rows, kernel_h, kernel_w)
    return shaped.transpose(2, 4, 5, 0, 3, 1).reshape(-1, lanes)
