"""Edge descriptors: kernels, groups, and the weights that they address."""

import numpy as np

from hdl.pack import unpack_array
from hdl.program import Memory
from sdann.mapper.check.decoded import Decoded, need
from sdann.mapper.image import Coordinate

__all__ = ["check_edges"]


def check_edges(decoded: Decoded, core: Coordinate) -> None:
    """Every field, and that I(t) cannot leave its width whatever spikes."""
    image, config, d = decoded.image, decoded.config, decoded.core[core]
    is_input = image.cores[core].stage == 0
    need(not is_input or not decoded.edges[core], f"{decoded.where(core)}: an input tile has edges")
    need(is_input or bool(decoded.edges[core]), f"{decoded.where(core)}: no edges")
    weights = unpack_array(image.memories[core][Memory.WEIGHT], config.weight_bits, config.lanes, signed=True)
    total = np.zeros((d["groups"], config.lanes), dtype=np.int64)
    for number, e in enumerate(decoded.edges[core]):
        place = f"{decoded.where(core)} edge {number}"
        need(e["enable"] == 1, f"{place}: not enabled")
        need(e["shift"] <= config.max_edge_shift, f"{place}: shift exceeds max_edge_shift {config.max_edge_shift}")
        sides = (e["kernel_h"], e["kernel_w"])
        need(min(sides) >= 1 and max(sides) <= config.map_side, f"{place}: kernel {sides}")
        need(e["groups"] >= 1 and e["group0"] + e["groups"] <= config.map_groups, f"{place}: groups out of range")
        stride_y = e["kernel_w"] * d["groups"]
        need(e["stride_y"] == stride_y, f"{place}: stride_y is {e['stride_y']}, not {stride_y}")
        own0 = image.cores[core].region.channel0 // config.lanes
        if e["depthwise"]:
            own = (e["group0"], e["groups"]) == (own0, d["groups"])
            need(own, f"{place}: depthwise edge of other groups than the core's")
            used = e["kernel_h"] * stride_y
        else:
            need(e["stride_g"] == e["kernel_h"] * stride_y, f"{place}: stride_g is {e['stride_g']}")
            need(1 << e["row_shift"] <= config.lanes, f"{place}: row_shift {e['row_shift']}")
            need(e["groups"] == 1 or 1 << e["row_shift"] == config.lanes, f"{place}: several groups, but not all rows")
            used = e["groups"] * e["stride_g"] << e["row_shift"]
        last = e["weight_base"] + used
        need(last <= len(weights), f"{place}: reads weight words up to {last}, the program has {len(weights)}")
        # the words of an edge follow each other: [group,] kernel row, kernel column, output group [, mask bit]
        own_words = np.abs(weights[e["weight_base"] : last])
        rows = 1 if e["depthwise"] else 1 << e["row_shift"]
        total += own_words.reshape(-1, d["groups"], rows, config.lanes).sum(axis=(0, 2)) << e["shift"]
    largest, limit = int(total.max(initial=0)), (1 << (config.isum_bits - 1)) - 1
    need(
        largest <= limit,
        f"{decoded.where(core)}: I(t) could reach {largest}, isum_bits {config.isum_bits} hold {limit}",
    )
