"""What a tile does, as a text: tiles of the same shape make the core do the same kinds of things."""

from hdl.pack import unpack
from hdl.program import Memory, Readout, memory_layouts
from sdann.mapper import ProgramImage
from sdann.mapper.image import Coordinate

__all__ = ["tile_shape"]


def tile_shape(image: ProgramImage, core: Coordinate) -> str:
    """Read from the words of the core's descriptors: of each edge its kind, kernel, stride, padding, channel groups and
    the channels that those have, shift and signedness; of the tile its channel groups, the channels in the last of
    them, pooling, role in a split fan-in, integration and read-out.

    How many rows and columns the tile has is not part of it, nor where it lies.
    """
    layouts, entry = memory_layouts(image.config), image.cores[core]
    d = unpack(layouts[Memory.CORE], image.words(core, Memory.CORE)[0])
    edges = []
    for word in image.words(core, Memory.EDGE) if Memory.EDGE in image.memories[core] else ():
        e = unpack(layouts[Memory.EDGE], word)
        if not e["enable"]:
            continue
        stride = 1 << e["stride_log2"]
        padding = [
            e[f"{axis}_offset"] + start * stride for axis, start in (("y", entry.region.y0), ("x", entry.region.x0))
        ]
        edges.append(
            f"{'depthwise' if e['depthwise'] else 'conv'} {e['kernel_h']}x{e['kernel_w']} stride {stride} "
            f"padding {padding[0]},{padding[1]} of {e['groups']} groups, {1 << e['row_shift']} channels in use, "
            f"shift {e['shift']}{', signed' if e['signed'] else ''}"
        )
    said = [" + ".join(edges) or "input", f"to {d['groups']} groups, {d['last_lanes']} lanes in the last"]
    if d["pool"]:
        said.append(f"pool {d['pool_kernel']} stride {1 << d['pool_stride_log2']} padding {d['pool_y']},{d['pool_x']}")
    if d["part"]:
        said.append("a part")
    elif len({c.part for c in image.cores_of(entry.layer)}) > 1:
        said.append("sums parts")
    if d["scaled"]:
        said.append("scaled")
    if d["rot"] or d["drlo"]:
        said.append(f"RoT {d['rot']}, DRLO {d['drlo']}")
    if Readout(d["readout"]) is not Readout.NONE:
        said.append(f"read out {Readout(d['readout']).name}")
    return "; ".join(said)
