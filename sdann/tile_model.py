"""The tile model: runs the very program image that is loaded into the chip, core by core, window by window.

Follows the chip's lockstep schedule literally (stages, valid samples, activation rings, partial phases), but counts no
cycles (:mod:`sdann.cycles` does). It sees only the image: neither the network nor another model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hdl.program import Counter, Memory, Readout, chunks_of
from sdann.errors import SdannError
from sdann.graph import IntArray
from sdann.mapper.image import Coordinate, ProgramImage
from sdann.mapper.samples import Inputs, inputs_by_name
from sdann.mesh_model import Delivery, Rectangle, deliver
from sdann.tile_core import TileCore
from sdann.tile_observer import TileObserver

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

    ``activations``: int64 [N, C, H, W] by layer, the input included (of a layer with wide or raw read-out, what it
    reads out). By core, after requantization: ``words``, values of ACT words [N, words, lanes] (unsigned view), and
    ``membranes``, those of MEMBRANE words. ``readout``: int64 [N, C, H, W], what the host receives (None where the
    program reads nothing out). ``counters``: by core, those of :data:`COUNTED`, as the chip's. ``stray``: spike bundles
    and partial sums that reached the host tile. ``traces``: by core, where asked for.
    """

    activations: dict[str, IntArray]
    words: dict[Coordinate, IntArray]
    membranes: dict[Coordinate, IntArray]
    readout: IntArray | None
    counters: dict[Coordinate, dict[Counter, int]]
    stray: int
    traces: dict[Coordinate, Trace]

    def sops(self, image: ProgramImage, layer: str) -> int:
        """Synaptic operations of all cores of ``layer``, neurons that several cores compute included."""
        return sum(self.counters[c.y, c.x][Counter.SOPS] for c in image.cores_of(layer))


class TileModel:
    """A chip with ``image`` loaded. Every :meth:`run` starts from the cleared state."""

    def __init__(self, image: ProgramImage) -> None:
        self.image = image
        self.config = image.config

    def run(self, x: Inputs, *, trace: bool = False, observer: TileObserver | None = None) -> TileResult:
        """Runs samples ``x`` through the pipeline: integers [N, C, H, W], whole maps, of every source of the program.

        Raises SdannError for a wrong input.
        """
        sources = inputs_by_name(self.image, x)
        for name, values in sources.items():
            if values.ndim != 4 or not len(values):
                raise SdannError(f"{name!r} must be [N, C, H, W] with N > 0, not {values.shape}")
        counts = {len(values) for values in sources.values()}
        if len(counts) > 1:
            raise SdannError(f"the sources have different numbers of samples: {sorted(counts)}")
        run = _Run(self, sources, counts.pop(), trace, observer)
        for window in range(run.samples + self.image.manifest.registers.STAGES):
            run.window(window)
        return run.result()


class _Run:
    """State of one run."""

    def __init__(
        self, model: TileModel, x: Mapping[str, IntArray], samples: int, trace: bool, observer: TileObserver | None
    ) -> None:
        self.image, self.config, self.observer = model.image, model.config, observer
        self.steps, self.parts = self.image.time_steps, self.image.manifest.registers.PARTS
        self.x, self.samples, self.trace = x, samples, trace
        self.cores = {c: TileCore(self.image.memories[c], self.config, self.steps) for c in self.image.cores}
        self.counters = {c: dict.fromkeys(COUNTED, 0) for c in self.config.tiles}
        n, lanes = samples, self.config.lanes
        self.words = {c: np.zeros((n, core.out_words, lanes), dtype=np.int64) for c, core in self.cores.items()}
        self.membranes = {c: np.zeros((n, *core.shape), dtype=np.int64) for c, core in self.cores.items()}
        senders = {c: core for c, core in self.cores.items() if core.readout is not Readout.NONE}
        self.sent = {c: np.zeros_like(self._results(c)) for c in senders}
        self.arrived = {c: np.zeros(n, dtype=bool) for c in senders}
        self.isum: dict[Coordinate, IntArray] = {}
        self.traced: dict[Coordinate, IntArray] = {}
        for c, core in self.cores.items() if trace else ():
            self.isum[c] = np.zeros((n, self.steps, *core.shape), dtype=np.int64)
            self.traced[c] = np.zeros_like(self.isum[c])
        self.stray = 0
        self.now = 0

    def _results(self, at: Coordinate) -> IntArray:
        """All samples' words of the memory that a core's results are in."""
        raw = self.cores[at].readout in (Readout.WIDE, Readout.RAW)
        return self.membranes[at].reshape(self.samples, -1, self.config.lanes) if raw else self.words[at]

    def sample(self, window: int, stage: int) -> int | None:
        """The sample that ``stage`` emits as age 0 in ``window``, None where that stage holds no valid one."""
        n = window - stage
        return n if 0 <= n < self.samples else None

    def send(self, source: Coordinate, rectangle: Rectangle, flits: int) -> Delivery | None:
        """Counts ``flits`` bundles from ``source`` on their way."""
        way = deliver(self.config.rows, self.config.cols, source, rectangle)
        if way is None:
            self.counters[source][Counter.DROPPED] += flits
            return None
        for tile, copies in way.hops:
            self.counters[tile][Counter.HOPS] += copies * flits
        if self.observer is not None:
            self.observer.sends(self.now, way, flits)
        return way

    def count(self) -> None:
        """Brings what cores count themselves into :attr:`counters`."""
        for at, core in self.cores.items():
            for counter in (Counter.SOPS, Counter.SPIKES_IN, Counter.SATURATIONS, Counter.OVERFLOW):
                self.counters[at][counter] = core.counters[counter]

    def window(self, window: int) -> None:
        """T steps, the partial phases and one requantization, or what the valid flags leave of them."""
        self.now = window
        loaded = self.sample(window, 0)
        if loaded is not None:
            self.load(loaded)
        for core in self.cores.values():
            if core.enable and (core.stage > 0 or loaded is not None):
                core.advance()
        for at, core in self.cores.items():
            if core.enable and core.readout is not Readout.NONE:
                if (n := self.sample(window, core.stage)) is not None:
                    words = core.ring[core.front] if core.readout is Readout.ACT else core.v
                    self.sent[at][n], self.arrived[at][n] = words.reshape(self.sent[at][n].shape), True
                    if self.observer is not None:
                        self.observer.reads_out(window, at, n)
            elif core.enable:
                self.emit(at, core, window)
        integrating = {
            at: n
            for at, core in self.cores.items()
            if core.enable and core.stage > 0 and (n := self.sample(window, core.stage - 1)) is not None
        }
        for at, core in self.cores.items():
            if at in integrating and core.linear and not self.trace and not core.leftover.any():
                core.integrate_at_once()
            elif at in integrating:
                currents, membranes = core.integrate()
                if self.trace:
                    self.isum[at][integrating[at]], self.traced[at][integrating[at]] = currents, membranes
            elif core.enable and core.stage > 0:
                core.hoard()
        for phase in range(1, self.parts + 1):
            for at in integrating:
                if self.cores[at].part == phase:
                    self.hand_over(at)
        for at, n in integrating.items():
            core = self.cores[at]
            if core.part == 0:
                core.requantize()
            self.words[at][n], self.membranes[at][n] = core.back, core.v
        if self.observer is not None:
            for at, n in integrating.items():
                self.observer.integrates(window, at, n)
            self.count()
            self.observer.ends(window, self.counters)

    def load(self, n: int) -> None:
        """The host writes sample ``n`` to the input tiles' back slots."""
        for at, writes in self.image.encode_sample({name: x[n] for name, x in self.x.items()}).items():
            core = self.cores[at]
            for address, word in writes:
                core.write(address, word)
            self.words[at][n] = core.back

    def emit(self, at: Coordinate, core: TileCore, window: int) -> None:
        """All bit-planes of every age that holds a valid sample, most significant first, over the routes."""
        planes = np.arange(self.steps - 1, -1, -1).reshape(-1, 1, 1, 1, 1)
        for age in range(core.ages):
            if self.sample(window, core.stage + age) is None:
                continue
            # an input tile's ring advances only with a sample
            behind = age if core.stage else sum(self.sample(window, k) is not None for k in range(age))
            spikes = ((core.activations(behind)[None] >> planes) & 1).astype(np.uint8)  # [t, y, x, group, lane]
            self.counters[at][Counter.SPIKES_OUT] += int(spikes.sum())
            if self.observer is not None:
                self.observer.emits(window, at, age, spikes)
            for route in core.routes:
                if route["age"] == age:
                    self.follow(at, core, route, spikes)

    def follow(self, at: Coordinate, core: TileCore, route: Mapping[str, int], spikes: npt.NDArray[Any]) -> None:
        """Delivers what a route takes of ``spikes`` [t, y, x, group, lane]."""
        y0, x0, group0 = core.origin
        ys, xs, gs = (
            self._within(first, last, start, size)
            for first, last, start, size in zip(
                (route["y0"], route["x0"], route["group0"]), (route["y1"], route["x1"], route["group1"]), core.origin,
                core.out_shape[:3], strict=True,
            )
        )  # fmt: skip
        part = spikes[:, ys, xs, gs]
        if route["phase_log2"]:
            mask = (1 << route["phase_log2"]) - 1
            rows = ((y0 + np.arange(ys.start, ys.stop)) & mask) == route["phase_y"]
            columns = ((x0 + np.arange(xs.start, xs.stop)) & mask) == route["phase_x"]
            part = part * np.outer(rows, columns)[None, :, :, None, None]
        flits = int(part.any(axis=4).sum())
        rectangle = (route["dst.y0"], route["dst.y1"], route["dst.x0"], route["dst.x1"])
        way = self.send(at, rectangle, flits) if flits else None
        for tile in way.tiles if way else ():
            if tile == HOST:
                self.stray += flits
            elif tile not in self.cores:
                self.counters[tile][Counter.REJECTED] += flits
            else:
                first = y0 + ys.start, x0 + xs.start, group0 + gs.start
                self.counters[tile][Counter.REJECTED] += self.cores[tile].receive(route["edge"], *first, part)

    @staticmethod
    def _within(first: int, last: int, start: int, size: int) -> slice:
        """The part of first..last (inclusive) in a region of ``size`` from ``start`` on, relative to it."""
        low, high = max(first - start, 0), min(last - start + 1, size)
        return slice(low, max(low, high))

    def hand_over(self, at: Coordinate) -> None:
        """A core of a part sends its membranes to the core that adds them."""
        target = self.cores[at].target
        flits = self.membranes[at][0].size // self.config.requant_lanes * chunks_of(self.config, Memory.PARTIAL)
        if target == HOST:
            self.stray += flits
        elif target not in self.cores:
            self.counters[target][Counter.REJECTED] += flits
        else:
            self.cores[target].add(self.cores[at].v)

    def assemble(self, layer: str, words: Mapping[Coordinate, IntArray]) -> IntArray:
        """int64 [N, C, H, W] of ``layer`` from its cores' words, placed by their own descriptors."""
        entry, lanes = self.image.layer(layer), self.config.lanes
        groups = -(-entry.shape[0] // lanes)
        result = np.zeros((self.samples, *entry.shape[1:], groups, lanes), dtype=np.int64)
        for c in self.image.cores_of(layer):
            core = self.cores[c.y, c.x]
            if core.part:
                continue
            place = tuple(slice(o, o + n) for o, n in zip(core.origin, core.out_shape[:3], strict=True))
            result[(slice(None), *place)] = words[c.y, c.x].reshape(self.samples, *core.out_shape)
        values = result.reshape(*result.shape[:3], -1)[..., : entry.shape[0]].transpose(0, 3, 1, 2)
        if entry.signed and entry.readout not in ("wide", "raw"):
            bits = self.steps if entry.stage == 0 else self.config.act_bits
            values = np.where(values >> (bits - 1), values - (1 << bits), values)
        return np.ascontiguousarray(values)

    def result(self) -> TileResult:
        """Collects what the run has left."""
        for c, arrived in self.arrived.items():
            if not arrived.all():
                raise SdannError(f"core {c} sent no read-out for sample {int(np.argmin(arrived))}")
        self.count()
        n, lanes = self.samples, self.config.lanes
        output = self.image.output_layer
        del self.counters[HOST]
        results = {c: self._results(c) for c in self.cores}
        return TileResult(
            activations={e.name: self.assemble(e.name, results) for e in self.image.manifest.layers},
            words=self.words,
            membranes={c: v.reshape(n, -1, lanes) for c, v in self.membranes.items()},
            readout=None if output is None else self.assemble(output.name, self.sent),
            counters=self.counters, stray=self.stray,
            traces={
                c: Trace(
                    isum=i.reshape(n, self.steps, -1, lanes), membrane=self.traced[c].reshape(n, self.steps, -1, lanes)
                )
                for c, i in self.isum.items()
            },
        )  # fmt: skip
