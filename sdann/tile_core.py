"""One core of the tile model: its program words decoded once, its ring of activations and its membranes.

Knows nothing of networks: all behaviour comes from the words, read through the layouts of :mod:`hdl.program`.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hdl.config import ChipConfig
from hdl.pack import Bytes, to_ints, unpack, unpack_array
from hdl.pack import fields as layout_fields
from hdl.program import Counter, Memory, Readout, memory_layouts
from sdann.graph import IntArray
from sdann.tile_edges import TileEdge
from sdann.tile_neurons import TileNeurons

__all__ = ["TileCore"]


def _decoded(memory: Memory, blob: Bytes, config: ChipConfig) -> list[dict[str, int]]:
    layout = memory_layouts(config)[memory]
    table = layout_fields(layout)
    return [unpack(layout, word, table) for word in to_ints(blob)]


class TileCore:
    """State and program of one core. Neurons are [height, width, groups, lanes], words in address order.

    ``v`` is what the host reads of the membranes. ``ring[slot]``: activation words [out_words, lanes] (unsigned view);
    ``front``: the slot of age 0.
    """

    def __init__(self, memories: Mapping[Memory, Bytes], config: ChipConfig, steps: int) -> None:
        self.config, self.steps = config, steps
        fields = {
            memory: _decoded(memory, memories[memory], config) for memory in memories if memory is not Memory.WEIGHT
        }
        d = fields[Memory.CORE][0]
        self.enable, self.stage, self.readout = bool(d["enable"]), d["stage"], Readout(d["readout"])
        self.pooled, self.part, self.target = bool(d["pool"]), d["part"], (d["part_y"], d["part_x"])
        self.origin = d["y0"], d["x0"], d["group0"]
        self.shape = (d["height"], d["width"], d["groups"], config.lanes)
        self.slots, self.ages = max(1, d["slots"]), d["ages"]
        self.out_words, width = d["out_words"], max(1, d["out_width"])
        rows = -(-self.out_words // (width * max(1, self.shape[2])))
        self.out_shape = (rows, width, self.shape[2], config.lanes)
        exists = np.ones((self.shape[2], config.lanes), dtype=bool)
        exists[-1:, d["last_lanes"] :] = False
        self.exists = exists.reshape(-1)
        self.routes = fields[Memory.ROUTE][: d["routes"]]
        weights = np.zeros((config.weight_words, config.lanes))
        loaded = unpack_array(memories[Memory.WEIGHT], config.weight_bits, config.lanes, signed=True)
        weights[: len(loaded)] = loaded
        self.edges = [TileEdge(e, self.shape[:3], weights, steps) for e in fields[Memory.EDGE]]
        constants = [
            (word[f"{lane}.mult"], word[f"{lane}.shift"], word[f"{lane}.bias"])
            for word in fields[Memory.REQUANT]
            for lane in range(config.requant_lanes)
        ]
        self.neurons = TileNeurons(d, constants, config)
        self.ring = np.zeros((self.slots, self.out_words, config.lanes), dtype=np.int64)
        self.front = 0
        self.v = np.zeros(self.shape, dtype=np.int64)
        self.leftover = np.zeros(self.shape, dtype=np.int64)
        self.counters = dict.fromkeys(Counter, 0)

    # -- activations ----------------------------------------------------------------------------------

    def advance(self) -> None:
        """The back slot becomes age 0."""
        self.front = (self.front + 1) % self.slots

    @property
    def back(self) -> IntArray:
        """The slot that the next window emits as age 0: words [out_words, lanes]."""
        return np.asarray(self.ring[(self.front + 1) % self.slots])

    def write(self, address: int, word: int) -> None:
        """The host writes one word of the back slot."""
        bits = self.config.act_bits
        if address < self.out_words:
            self.back[address] = [(word >> (lane * bits)) & ((1 << bits) - 1) for lane in range(self.config.lanes)]

    def activations(self, behind: int) -> IntArray:
        """The slot ``behind`` advances behind age 0, at its positions: [rows, columns, groups, lanes]."""
        words = np.zeros((np.prod(self.out_shape[:3]), self.config.lanes), dtype=np.int64)
        words[: self.out_words] = self.ring[(self.front - behind) % self.slots]
        return words.reshape(self.out_shape)

    # -- spikes -----------------------------------------------------------------------------------------

    def receive(self, number: int, y: int, x: int, group: int, spikes: npt.NDArray[Any]) -> int:
        """Takes bundles, see :meth:`sdann.tile_edges.TileEdge.receive`; returns how many it rejects."""
        edge = self.edges[number] if self.enable and number < len(self.edges) else None
        if edge is None or not edge.enable:
            return int(spikes.any(axis=4).sum())
        taken, rejected = edge.receive(y, x, group, spikes)
        self.counters[Counter.SPIKES_IN] += taken
        return rejected

    def accumulate(self, *, at_once: bool = False) -> IntArray:
        """I(t) of this window's bundles: int64 [t, height, width, groups, lanes], not yet wrapped. Counts SOPs.

        ``at_once``: one step in place of all, see :meth:`sdann.tile_edges.TileEdge.accumulate`.
        """
        steps = 1 if at_once else self.steps
        total = np.zeros((steps, *self.shape[:2], self.shape[2] * self.shape[3]))
        for edge in self.edges:
            if (found := edge.accumulate(self.exists, at_once=at_once)) is not None:
                total += found[0]
                self.counters[Counter.SOPS] += found[1]
        return total.astype(np.int64).reshape(steps, *self.shape)

    # -- membranes --------------------------------------------------------------------------------------

    def hoard(self) -> None:
        """A window without a sample to integrate: what arrives stays in I."""
        currents = self.accumulate()
        self.leftover = self.neurons.wrap(currents.sum(axis=0) + self.leftover, self.config.isum_bits)

    @cached_property
    def linear(self) -> bool:
        """Whether the order of steps cannot matter: nothing rounds, wraps or saturates, whatever spikes arrive."""
        reach = max((float(edge.reach.max(initial=0)) for edge in self.edges if edge.enable), default=0.0)
        reach *= sum(edge.enable for edge in self.edges)
        narrow = min(1 << (self.config.isum_bits - 1), 1 << 52)
        fits = reach < narrow and reach * ((1 << self.steps) - 1) < 1 << (self.config.membrane_bits - 1)
        return fits and not self.neurons.scaled

    def integrate_at_once(self) -> None:
        """All steps of a window in one: V(T-1) of a core that is :attr:`linear` and has nothing left over."""
        self.v = self.accumulate(at_once=True)[0]

    def integrate(self) -> tuple[IntArray, IntArray]:
        """All steps of a window: I(t) and V(t), int64 [t, height, width, groups, lanes]. V(T-1) stays in ``v``."""
        currents = self.accumulate()
        currents[0] += self.leftover
        self.leftover = np.zeros(self.shape, dtype=np.int64)
        currents = self.neurons.wrap(currents, self.config.isum_bits)
        membranes = np.zeros_like(currents)
        v = np.zeros(self.shape, dtype=np.int64)
        for t in range(self.steps):
            v, saturated = self.neurons.integrate(v, currents[t])
            self.counters[Counter.SATURATIONS] += saturated
            self.counters[Counter.OVERFLOW] |= int(saturated > 0)
            membranes[t] = v
        self.v = v
        return currents, membranes

    def add(self, partial: IntArray) -> None:
        """Another core's V, word by word, onto this core's: no saturation, the words have room."""
        own, words = self.v.reshape(-1), partial.reshape(-1)
        count = min(len(own), len(words))
        own[:count] = self.neurons.wrap(own[:count] + words[:count], self.config.membrane_word_bits)

    def requantize(self) -> None:
        """V(T-1) becomes activations in the back slot."""
        a = self.neurons.requantize(self.v)
        if self.pooled or self.readout is Readout.WIDE:
            self.v = a
        if self.pooled:
            a = self.neurons.pool(a, *self.out_shape[:2])
        words = a.reshape(-1, self.config.lanes)[: self.out_words]
        self.back[: len(words)] = words & ((1 << self.config.act_bits) - 1)
