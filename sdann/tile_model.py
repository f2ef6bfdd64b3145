"""The tile model: runs the very program image that is loaded into the chip, core by core, window by window.

Follows the chip's lockstep schedule literally (stages, valid samples, activation slots), but counts no cycles. It sees
only the image: neither the network nor another model.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hdl.program import Counter
from sdann.errors import SdannError
from sdann.graph import INPUT, IntArray
from sdann.mapper.image import PROGRAM_MEMORIES, Coordinate, ProgramImage
from sdann.mesh_model import Delivery, Rectangle, deliver
from sdann.tile_core import TileCore

__all__ = ["COUNTED", "TileModel", "TileResult", "Trace"]

COUNTED = (
    Counter.SOPS, Counter.SPIKES_IN, Counter.SPIKES_OUT, Counter.SATURATIONS, Counter.OVERFLOW, Counter.REJECTED,
    Counter.HOPS, Counter.DROPPED,
)  # fmt: skip
"""Counters that this model predicts."""

HOST: Coordinate = (0, 0)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """I(t) as integrated and V(t) after it, of one core: int64 [N, T, neuron words, lanes]."""

    isum: IntArray
    membrane: IntArray


@dataclass(frozen=True, kw_only=True)
class TileResult:
    """What a program does with N samples sent back to back.

    ``activations``: int64 [N, C, H, W] by layer, the input included; ``words``: the same as ACT words' values
    [N, words, lanes] by core (unsigned view). ``readout``: int64 [N, C, H, W], what the host receives. ``counters``:
    by core, those of :data:`COUNTED`, as the chip's. ``stray``: spikes that reached the host tile. ``traces``: by
    core, where asked for.
    """

    activations: dict[str, IntArray]
    words: dict[Coordinate, IntArray]
    readout: IntArray
    counters: dict[Coordinate, dict[Counter, int]]
    stray: int
    traces: dict[Coordinate, Trace]

    def sops(self, image: ProgramImage, layer: str) -> int:
        """Synaptic operations of all cores of ``layer``."""
        return sum(self.counters[c.y, c.x][Counter.SOPS] for c in image.cores_of(layer))


class TileModel:
    """A chip with ``image`` loaded. Every :meth:`run` starts from the cleared state."""

    def __init__(self, image: ProgramImage) -> None:
        self.image = image
        self.config = image.config
        self._program = {c: {m: image.words(c, m) for m in PROGRAM_MEMORIES} for c in image.cores}

    def run(self, x: IntArray, *, trace: bool = False) -> TileResult:
        """Runs samples ``x`` (integers [N, C, H, W]) through the pipeline. Raises SdannError for a wrong input."""
        if x.ndim != 4 or not len(x):
            raise SdannError(f"the input must be [N, C, H, W] with N > 0, not {x.shape}")
        run = _Run(self, x, trace)
        for window in range(len(x) + self.image.manifest.registers.STAGES):
            run.window(window)
        return run.result()


class _Run:
    """State of one run."""

    def __init__(self, model: TileModel, x: IntArray, trace: bool) -> None:
        self.image, self.config = model.image, model.config
        self.steps = self.image.time_steps
        self.x, self.trace = x, trace
        self.cores = {c: TileCore(words, self.config, self.steps) for c, words in model._program.items()}
        self.counters = {c: dict.fromkeys(COUNTED, 0) for c in self.config.tiles}
        self.words = {c: np.zeros((len(x), *core.shape), dtype=np.int64) for c, core in self.cores.items()}
        self.sent = {
            c: np.zeros((len(x), *core.shape), dtype=np.int64) for c, core in self.cores.items() if core.readout
        }
        self.arrived = {c: np.zeros(len(x), dtype=bool) for c in self.sent}
        self.isum: dict[Coordinate, IntArray] = {}
        self.membrane: dict[Coordinate, IntArray] = {}
        for c, core in self.cores.items() if trace else ():
            self.isum[c] = np.zeros((len(x), self.steps, *core.shape), dtype=np.int64)
            self.membrane[c] = np.zeros_like(self.isum[c])
        self.stray = 0

    def sample(self, window: int, stage: int) -> int | None:
        """The sample that ``stage`` emits in ``window``, None where that stage holds no valid one."""
        n = window - stage
        return n if 0 <= n < len(self.x) else None

    def send(self, source: Coordinate, rectangle: Rectangle, flits: int) -> Delivery | None:
        """Counts ``flits`` bundles from ``source`` on their way."""
        way = deliver(self.config.rows, self.config.cols, source, rectangle)
        if way is None:
            self.counters[source][Counter.DROPPED] += flits
            return None
        for tile, copies in way.hops:
            self.counters[tile][Counter.HOPS] += copies * flits
        return way

    def window(self, window: int) -> None:
        """T steps and one requantization, or what the valid flags leave of them."""
        loaded = self.sample(window, 0)
        if loaded is not None:
            self.load(loaded)
        for core in self.cores.values():
            if core.enable and (core.stage > 0 or loaded is not None):
                core.front ^= 1
        for at, core in self.cores.items():
            n = self.sample(window, core.stage)
            if not core.enable or n is None:
                continue
            if core.readout:
                self.sent[at][n], self.arrived[at][n] = core.act, True
            else:
                self.emit(at, core)
        for at, core in self.cores.items():
            if core.enable and core.stage > 0:
                self.integrate(at, core, self.sample(window, core.stage - 1))

    def load(self, n: int) -> None:
        """The host writes sample ``n`` to the input tiles' back slots."""
        bits, lanes = self.config.act_bits, self.config.lanes
        for at, writes in self.image.encode_sample(self.x[n]).items():
            core = self.cores[at]
            back = core.slots[1 - core.front].reshape(-1, lanes)
            for address, word in writes:
                back[address] = [(word >> (lane * bits)) & ((1 << bits) - 1) for lane in range(lanes)]
            self.words[at][n] = core.slots[1 - core.front]

    def emit(self, at: Coordinate, core: TileCore) -> None:
        """All bit-planes of the front slot, most significant first, over the routes."""
        planes = np.arange(self.steps - 1, -1, -1).reshape(-1, 1, 1, 1, 1)
        spikes = (core.act[None] >> planes) & 1  # [t, y, x, group, lane]
        self.counters[at][Counter.SPIKES_OUT] += int(spikes.sum())
        for route in core.routes:
            ys = self._within(route.y0, route.y1, core.y0, core.shape[0])
            xs = self._within(route.x0, route.x1, core.x0, core.shape[1])
            gs = self._within(route.group0, route.group1, core.group0, core.shape[2])
            part: npt.NDArray[Any] = spikes[:, ys, xs, gs]
            flits = int(part.any(axis=4).sum())
            way = self.send(at, (route.dst.y0, route.dst.y1, route.dst.x0, route.dst.x1), flits) if flits else None
            for tile in way.tiles if way else ():
                if tile == HOST:
                    self.stray += flits
                elif tile not in self.cores:
                    self.counters[tile][Counter.REJECTED] += flits
                else:
                    first = core.y0 + ys.start, core.x0 + xs.start, core.group0 + gs.start
                    self.counters[tile][Counter.REJECTED] += self.cores[tile].receive(route.edge, *first, part)

    @staticmethod
    def _within(first: int, last: int, start: int, size: int) -> slice:
        """The part of first..last (inclusive) in a region of ``size`` from ``start`` on, relative to it."""
        low, high = max(first - start, 0), min(last - start + 1, size)
        return slice(low, max(low, high))

    def integrate(self, at: Coordinate, core: TileCore, n: int | None) -> None:
        """The steps' membrane passes and the requantization of sample ``n``; without one, I only piles up."""
        currents = core.accumulate()
        currents[0] += core.leftover
        if n is None:
            core.leftover = core.wrap(currents.sum(axis=0))
            return
        core.leftover = np.zeros(core.shape, dtype=np.int64)
        v = np.zeros(core.shape, dtype=np.int64)
        for t in range(self.steps):
            i = core.wrap(currents[t])
            v = core.integrate(v, i)
            if self.trace:
                self.isum[at][n, t], self.membrane[at][n, t] = i, v
        core.slots[1 - core.front] = core.requantize(v)
        self.words[at][n] = core.slots[1 - core.front]

    def assemble(self, layer: str, words: dict[Coordinate, IntArray]) -> IntArray:
        """int64 [N, C, H, W] of ``layer`` from its cores' activations, placed by their own descriptors."""
        entry, lanes = self.image.layer(layer), self.config.lanes
        groups = -(-entry.shape[0] // lanes)
        result = np.zeros((len(self.x), *entry.shape[1:], groups, lanes), dtype=np.int64)
        for c in self.image.cores_of(layer):
            core = self.cores[c.y, c.x]
            height, width, own, _ = core.shape
            place = (
                slice(core.y0, core.y0 + height),
                slice(core.x0, core.x0 + width),
                slice(core.group0, core.group0 + own),
            )
            result[(slice(None), *place)] = words[c.y, c.x]
        values = result.reshape(*result.shape[:3], -1)[..., : entry.shape[0]].transpose(0, 3, 1, 2)
        if entry.signed:
            bits = self.steps if layer == INPUT else self.config.act_bits
            values = np.where(values >> (bits - 1), values - (1 << bits), values)
        return np.ascontiguousarray(values)

    def result(self) -> TileResult:
        """Collects what the run has left."""
        for c, arrived in self.arrived.items():
            if not arrived.all():
                raise SdannError(f"core {c} sent no read-out for sample {int(np.argmin(arrived))}")
        for c, core in self.cores.items():
            for counter in (Counter.SOPS, Counter.SPIKES_IN, Counter.SATURATIONS, Counter.OVERFLOW):
                self.counters[c][counter] = core.counters[counter]
        lanes = self.config.lanes
        del self.counters[HOST]
        return TileResult(
            activations={e.name: self.assemble(e.name, self.words) for e in self.image.manifest.layers},
            words={c: w.reshape(len(self.x), -1, lanes) for c, w in self.words.items()},
            readout=self.assemble(self.image.output_layer.name, self.sent),
            counters=self.counters, stray=self.stray,
            traces={
                c: Trace(
                    isum=i.reshape(len(self.x), self.steps, -1, lanes),
                    membrane=self.membrane[c].reshape(len(self.x), self.steps, -1, lanes),
                )
                for c, i in self.isum.items()
            },
        )  # fmt: skip
