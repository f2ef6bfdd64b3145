"""Registered trees between the sequencer and the tiles, with one latency for all tiles.

Equal latency makes the sampled "all idle" exact: every tile's flag was true in the same cycle, and every command
reaches all tiles in the same cycle.
"""

from amaranth.hdl import Cat, Module, ShapeLike, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ARITY", "BroadcastTree", "QuiescenceTree", "levels_for"]

ARITY = 4
"""Most children of a node of the trees, unless said otherwise."""


def levels_for(leaves: int, arity: int) -> int:
    """Levels of a tree whose nodes have at most ``arity`` children; at least one, so that both ends are registered."""
    if isinstance(leaves, bool) or not isinstance(leaves, int) or leaves < 1:
        raise ValueError(f"leaves must be a positive integer, not {leaves!r}")
    if isinstance(arity, bool) or not isinstance(arity, int) or arity < 2:
        raise ValueError(f"arity must be an integer of at least 2, not {arity!r}")
    levels, reach = 1, arity
    while reach < leaves:
        levels, reach = levels + 1, reach * arity
    return levels


class QuiescenceTree(wiring.Component):
    """AND of all inputs, ``latency`` cycles later. Low after reset until the first inputs have arrived.

    Parameters
    ----------
    inputs: number of flags.
    arity: most inputs of one node (fan-in of its gate).

    Members
    -------
    i: one flag per bit.
    o: ``i.all()`` of ``latency`` cycles ago.
    latency (attribute): cycles from any bit of ``i`` to ``o``.
    """

    def __init__(self, *, inputs: int, arity: int = ARITY) -> None:
        self.latency = levels_for(inputs, arity)
        self.arity = arity
        super().__init__({"i": In(inputs), "o": Out(1)})

    def elaborate(self, platform) -> Module:
        m = Module()
        level = list(self.i)
        for depth in range(self.latency):
            # A short last node is a node all the same: its inputs are registered as often as any other.
            groups = [level[start : start + self.arity] for start in range(0, len(level), self.arity)]
            nodes = Signal(len(groups), name=f"level_{depth}")
            m.d.sync += nodes.eq(Cat(Cat(group).all() for group in groups))
            level = list(nodes)
        m.d.comb += self.o.eq(level[0])
        return m


class BroadcastTree(wiring.Component):
    """Copies of one value for many receivers, ``latency`` cycles later. All-zero after reset.

    Parameters
    ----------
    shape: shape of the value.
    outputs: number of receivers.
    arity: most loads of one register.

    Members
    -------
    i: the value.
    o: ``outputs`` copies; copy k is ``o[k]``.
    latency (attribute): cycles from ``i`` to every copy.
    """

    def __init__(self, shape: ShapeLike, *, outputs: int, arity: int = ARITY) -> None:
        self.latency = levels_for(outputs, arity)
        self.arity = arity
        self.shape = shape
        self.outputs = outputs
        super().__init__({"i": In(shape), "o": Out(data.ArrayLayout(shape, outputs))})

    def elaborate(self, platform) -> Module:
        m = Module()
        widths = [self.outputs]  # registers of each level, from the leaves to the root
        for _ in range(self.latency - 1):
            widths.append(-(-widths[-1] // self.arity))
        above = [self.i]
        for depth, width in enumerate(reversed(widths)):
            nodes = [Signal(self.shape, name=f"level_{depth}_{index}") for index in range(width)]
            m.d.sync += [node.eq(above[index // self.arity]) for index, node in enumerate(nodes)]
            above = nodes
        m.d.comb += [self.o[index].eq(node) for index, node in enumerate(above)]
        return m
