"""Layouts of a core's memories: the words that a program image consists of.

Addresses of one feature-map tile of height x width positions and G channel groups run position-major:
neuron word = (y * width + x) * G + group, all relative to the core's own region.
"""

from functools import cache
from typing import TYPE_CHECKING

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from .config import ChipConfig, bits_for

if TYPE_CHECKING:  # Amaranth has no type stubs; its enumerations look like the standard library's
    import enum
else:
    from amaranth.lib import enum

__all__ = [
    "MAX_POOL_KERNEL", "Activations", "CoreDescriptor", "Counter", "EdgeDescriptor", "ISums", "Memory", "Membranes",
    "Partials", "Readout", "Requant", "Route", "Weights", "address_bits", "chunk_bits", "chunks_of",
    "memory_depths", "memory_layouts",
    "WRITABLE",
]  # fmt: skip


MAX_POOL_KERNEL = 4
"""Longest side of a max pooling window."""


class Memory(enum.Enum, shape=4):  # type: ignore[call-arg]
    """Memories of a core, as addressed by WRITE, READ and READOUT flits."""

    CORE = 0  # one word: CoreDescriptor
    EDGE = 1  # one EdgeDescriptor per edge
    ROUTE = 2  # one Route per entry
    REQUANT = 3  # word group * requant_subwords + sub: constants of lanes sub*requant_lanes...
    WEIGHT = 4  # lanes x weight_bits
    ACT = 5  # activations: always the back slot, which the next window emits as age 0 (the host writes samples there)
    ISUM = 6  # read only: I(t)
    MEMBRANE = 7  # read only: V(t-1) while step t > 0 runs; after requantization see CoreDescriptor
    COUNTER = 8  # read only, one word per Counter
    PARTIAL = 9  # write only: adds to V; word (neuron word * requant_subwords + sub) has requant_lanes membranes;
    # in one partial phase each word once


WRITABLE = (Memory.CORE, Memory.EDGE, Memory.ROUTE, Memory.REQUANT, Memory.WEIGHT, Memory.ACT, Memory.PARTIAL)
"""Memories that WRITE flits may address; a write to another one is dropped and counted as rejected."""


class Counter(enum.IntEnum):
    """Addresses in :attr:`Memory.COUNTER`. All are cleared by the sequencer's CLEAR pass."""

    SOPS = 0  # synaptic operations: spike x reached neuron that exists
    SPIKES_IN = 1  # set mask bits of accepted bundles
    SPIKES_OUT = 2  # set mask bits of activation words emitted in a step, of every age (not times routes)
    SATURATIONS = 3  # saturated updates of V
    OVERFLOW = 4  # sticky flag: some V saturated
    REJECTED = 5  # flits this core could not accept (no such edge or channel, bad memory or address)
    BUSY = 6  # cycles in which the accumulator worked
    STALLED = 7  # cycles in which emission waited for the network
    HOPS = 8  # spike bundles this tile's router sent to a neighbour
    DROPPED = 9  # flits the router popped because their rectangle is empty or outside the mesh


class Readout(enum.Enum, shape=2):  # type: ignore[call-arg]
    """What a core sends to the host in the first step of a window in which its stage holds a valid sample."""

    NONE = 0
    ACT = 1  # activation words of age 0
    WIDE = 2  # membrane words, which hold the requantized values (up to ``out_bits`` bits, two's complement)
    RAW = 3  # membrane words, which hold V(T-1), summed over the parts


@cache
def CoreDescriptor(config: ChipConfig) -> data.StructLayout:
    """What the core is: its region of the layer's feature map and its neurons' constants.

    ``stage``: 0 for an input tile, else the layer's pipeline stage; a core integrates valid sample ``stage - 1`` and
    emits valid sample ``stage + age``, its activations of ``age`` windows ago. ``height, width, groups``: size of its
    region of neurons; ``words`` their product. ``last_lanes``: channels in the last group (1..lanes). ``scaled``:
    integrate round(I * mult1 / 2^shift1) instead of I (eq. 18 with eq. 16's s_1). ``bias_in_sum``: eq. 9's bias, added
    before the multiplication, else eq. 10's. ``lo, hi``: clamp of the requantized value. ``rot``: k of eq. 22 (0: off),
    with ``truncate`` without rounding: the bits below k are cleared. ``drlo``: spikes kept per train (0: off). Both
    change the ``act_bits`` low bits of a value only, so they need ``lo`` 0 and ``hi`` of no more bits.

    Activations, what is emitted: ``out_width`` columns of ``out_words`` words in all, at ``y0, x0, group0`` of the
    layer's output map; without pooling the region of neurons itself. ``pool``: the maximum of ``pool_kernel`` x
    ``pool_kernel`` neurons, stride 2^pool_stride_log2; the first window begins ``pool_y`` rows and ``pool_x`` columns
    before the region (padding, which counts as 0), windows end with the region. The ring has ``slots`` slots of
    ``out_words`` words; emission walks ages 0 .. ages - 1 (``ages`` at most ``slots - 1``).

    ``readout``: sent to the host. After requantization V holds V(T-1) (summed over the parts), or the requantized
    values where ``pool`` is set or ``readout`` is WIDE. Integration of step 0 takes V as 0, whatever it holds.

    ``part``: 0, or the partial phase (1..parts - 1) in which the core sends its V to the tile ``part_y, part_x``, which
    adds it to its own before it requantizes.
    """
    side, neuron = bits_for(config.map_side), bits_for(config.neuron_words)
    clamp = signed(max(config.act_bits, config.out_bits) + 1)
    return data.StructLayout({
        "enable": 1,
        "stage": bits_for(config.stages),
        "height": side, "width": side, "groups": bits_for(config.group_words), "words": neuron,
        "y0": bits_for(config.map_side - 1), "x0": bits_for(config.map_side - 1),
        "group0": bits_for(config.map_groups - 1),
        "last_lanes": bits_for(config.lanes),
        "scaled": 1, "mult1": unsigned(config.mult_bits), "shift1": bits_for(config.max_shift),
        "bias_in_sum": 1,
        "lo": clamp, "hi": clamp,
        "rot": bits_for(config.time_steps - 1), "truncate": 1, "drlo": bits_for(config.time_steps),
        "pool": 1, "pool_kernel": bits_for(MAX_POOL_KERNEL), "pool_stride_log2": 2,
        "pool_y": bits_for(MAX_POOL_KERNEL - 1), "pool_x": bits_for(MAX_POOL_KERNEL - 1),
        "out_width": side, "out_words": bits_for(config.act_words // 2),
        "slots": bits_for(config.slots), "ages": bits_for(config.slots - 1),
        "part": bits_for(config.parts - 1), "part_y": bits_for(config.rows - 1), "part_x": bits_for(config.cols - 1),
        "readout": Readout,
        "routes": bits_for(config.routes),
    })  # fmt: skip


@cache
def EdgeDescriptor(config: ChipConfig) -> data.StructLayout:
    """How spikes of one source reach this core's neurons.

    With u = y + y_offset (y_offset = padding - y0 * stride), kernel row ky hits output row (u - ky) / stride of
    the region where that division is exact and 0 <= row < height; columns alike. Kernel offsets visited
    are 0 <= ky < kernel_h, 0 <= kx < kernel_w. A linear layer is a convolution whose kernel covers the map.
    Channel groups ``group0 .. group0 + groups - 1`` are accepted, g counts from ``group0``.
    convolution: word = weight_base + ((g * stride_g + ky * stride_y + kx * G + og) << row_shift) + bit,
    for each output group og < G = the core's ``groups``; stride_y = kernel_w * G, stride_g = kernel_h * stride_y;
    row_shift =
    log2 of the mask bits in use (log2(lanes), less where the source has fewer channels).
    ``depthwise``: word = weight_base + ky * stride_y + kx * G + g, the mask enables lanes, only group og = g is
    reached.
    ``signed``: bit-plane 0 counts negatively. ``shift``: weights are shifted left by it (k_e).
    """
    side = config.map_side
    offset = signed(bits_for(side * 4) + 1)
    rows = bits_for(config.weight_words)
    return data.StructLayout({
        "enable": 1, "depthwise": 1, "signed": 1, "shift": bits_for(config.max_edge_shift),
        "stride_log2": 2,
        "kernel_h": bits_for(side), "kernel_w": bits_for(side),
        "y_offset": offset, "x_offset": offset,
        "group0": bits_for(config.map_groups - 1), "groups": bits_for(config.map_groups),
        "row_shift": bits_for((config.lanes - 1).bit_length()),
        "stride_y": rows, "stride_g": rows, "weight_base": rows,
    })  # fmt: skip


@cache
def Route(config: ChipConfig) -> data.StructLayout:
    """Bundles whose position is in y0..y1, x0..x1 and whose channel group is in group0..group1 go to ``dst`` as
    ``edge``, if they are of ``age`` and their position is ``phase_y, phase_x`` modulo 2^phase_log2.

    All ranges are inclusive and in coordinates of the layer's whole output map (not relative to the core's region).

    ``dst`` repeats the fields of :func:`hdl.flit.Rect`.
    """
    side, group = bits_for(config.map_side - 1), bits_for(config.map_groups - 1)
    xb, yb = bits_for(config.cols - 1), bits_for(config.rows - 1)
    return data.StructLayout({
        "y0": side, "y1": side, "x0": side, "x1": side,
        "group0": group, "group1": group,
        "edge": bits_for(config.edges - 1),
        "age": bits_for(config.slots - 2), "phase_log2": 2, "phase_y": 2, "phase_x": 2,
        "dst": data.StructLayout({"x0": xb, "x1": xb, "y0": yb, "y1": yb}),
    })  # fmt: skip


@cache
def Requant(config: ChipConfig) -> data.ArrayLayout:
    """Constants of ``requant_lanes`` neighbouring channels: a = clamp((v * mult + (bias << shift) + half) >> shift)."""
    return data.ArrayLayout(
        data.StructLayout({
            "mult": unsigned(config.mult_bits),
            "shift": bits_for(config.max_shift),
            "bias": signed(config.bias_bits),
        }),
        config.requant_lanes,
    )  # fmt: skip


def Weights(config: ChipConfig) -> data.ArrayLayout:
    """One weight word: ``lanes`` neighbouring output channels."""
    return data.ArrayLayout(signed(config.weight_bits), config.lanes)


def Activations(config: ChipConfig) -> data.ArrayLayout:
    """One activation word."""
    return data.ArrayLayout(unsigned(config.act_bits), config.lanes)


def ISums(config: ChipConfig) -> data.ArrayLayout:
    """One word of I(t) in a core (to the host it looks as in :func:`memory_layouts`)."""
    return data.ArrayLayout(signed(config.isum_bits), config.lanes)


def _by_parts(config: ChipConfig, width: int) -> data.FlexibleLayout:
    """A word as the host sees it: each ``requant_lanes`` neighbours, which a pass handles at a time, begin a chunk."""
    part = config.requant_lanes
    step = -(-part * width // config.data_bits) * config.data_bits
    lanes = {n: data.Field(signed(width), n // part * step + n % part * width) for n in range(config.lanes)}
    return data.FlexibleLayout(config.requant_subwords * step, lanes)


def Membranes(config: ChipConfig) -> data.FlexibleLayout:
    """One word of V(t)."""
    return _by_parts(config, config.membrane_word_bits)


def Partials(config: ChipConfig) -> data.ArrayLayout:
    """One word of partial sums: V(T-1) of ``requant_lanes`` neighbouring neurons."""
    return data.ArrayLayout(signed(config.membrane_word_bits), config.requant_lanes)


@cache
def memory_layouts(config: ChipConfig) -> dict[Memory, data.Layout]:
    """Layout of a word of each memory (a counter is a plain number)."""
    return {
        Memory.CORE: CoreDescriptor(config),
        Memory.EDGE: EdgeDescriptor(config),
        Memory.ROUTE: Route(config),
        Memory.REQUANT: Requant(config),
        Memory.WEIGHT: Weights(config),
        Memory.ACT: Activations(config),
        Memory.ISUM: _by_parts(config, config.isum_bits),
        Memory.MEMBRANE: Membranes(config),
        Memory.COUNTER: data.StructLayout({"value": config.counter_bits}),
        Memory.PARTIAL: Partials(config),
    }


@cache
def memory_depths(config: ChipConfig) -> dict[Memory, int]:
    """Number of words of each memory."""
    return {
        Memory.CORE: 1,
        Memory.EDGE: config.edges,
        Memory.ROUTE: config.routes,
        Memory.REQUANT: config.group_words * config.requant_subwords,
        Memory.WEIGHT: config.weight_words,
        Memory.ACT: config.act_words // 2,
        Memory.ISUM: config.neuron_words,
        Memory.MEMBRANE: config.neuron_words,
        Memory.COUNTER: len(Counter),
        Memory.PARTIAL: config.neuron_words * config.requant_subwords,
    }


def address_bits(config: ChipConfig) -> int:
    """Width of a memory address in a flit."""
    return bits_for(max(memory_depths(config).values()) - 1)


def chunks_of(config: ChipConfig, memory: Memory) -> int:
    """Flits that one word of ``memory`` takes; chunk 0 holds the least significant bits."""
    return -(-memory_layouts(config)[memory].size // config.data_bits)


def chunk_bits(config: ChipConfig) -> int:
    """Width of a chunk number in a flit."""
    return bits_for(max(chunks_of(config, m) for m in Memory) - 1)
