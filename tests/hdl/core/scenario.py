"""One random layer on one core: its program, its spikes, and what the core must answer."""

# ruff: noqa: C408 - fields of words read better as keywords

import random

import numpy as np
from harness import Bench
from reference import Edge, Layer, Pool, random_edge

from hdl.config import preset
from hdl.flit import FlitKind
from hdl.host import Command
from hdl.program import Counter, Memory, Readout, chunks_of, memory_layouts

__all__ = ["CONFIG", "Scenario"]

CONFIG = preset("test").replace(weight_words=512, neuron_words=64)
LANES = CONFIG.lanes
STAGE = 3
INTEGRATED, EMITTED = 1 << STAGE - 1, 1 << STAGE  # bits of `valid`
EVERYWHERE = {"y": (0, 7), "x": (0, 7), "g": (0, 7), "edge": 1, "dst": {"x0": 1, "x1": 2, "y0": 0, "y1": 1}}


class Scenario:
    """One random layer on one core, with its program and the flits it must send."""

    def __init__(self, seed: int, *, config=CONFIG, kernel=None, size=None, stride=1, groups=None, edges=1, **options):
        self.rng = rng = random.Random(seed)
        self.config, self.seed = config, seed
        self.steps = options.pop("steps", 8)
        self.readout = options.pop("readout", Readout.NONE)
        self.ages, self.slots = options.pop("ages", 1), options.pop("slots", 2)
        self.part = options.pop("part", (0, 0, 0))  # phase, y, x
        kernel = kernel or rng.randint(1, 3)
        height, width = size or (rng.randint(1, 3), rng.randint(1, 3))
        groups = groups or rng.randint(1, 2)
        padded = groups * LANES
        channels = padded - rng.randrange(LANES)
        source = options.pop("source", None)
        depthwise = options.pop("depthwise", False)
        signed = options.pop("signed", False)
        made = []
        for number in range(edges):
            own = padded if depthwise else source or rng.choice((1, 2, 3, 4, 7))
            extra = {"depthwise": depthwise, "signed": signed, "group0": rng.randrange(3)}
            extra |= {"shift": rng.randint(0, 3) if number or edges == 1 else 0}
            made.append(random_edge(rng, (height, width), padded, own, kernel, stride=stride, **extra))
        constants = (np.array([draw() for _ in range(padded)]) for draw in (
            lambda: rng.randint(1, 65535), lambda: rng.randint(16, 24), lambda: rng.randint(-60, 120),
        ))  # fmt: skip
        self.layer = Layer(
            height, width, channels, padded, made, *constants,
            isum_bits=config.isum_bits, membrane_bits=config.membrane_bits,
            wide=self.readout is Readout.WIDE, **options,
        )  # fmt: skip
        self.out_size = self.layer.pool.size if self.layer.pool else (height, width)
        self.origin = tuple(rng.randrange(3) for _ in range(3))  # y0, x0, group0
        box = lambda limit: sorted((rng.randrange(limit), rng.randrange(limit)))  # noqa: E731
        self.routes = [
            EVERYWHERE,
            {"y": box(6), "x": box(6), "g": box(5), "edge": 0, "dst": {"x0": 0, "x1": 0, "y0": 1, "y1": 1}},
            {"y": box(6), "x": box(6), "g": box(5), "edge": 1, "dst": {"x0": 2, "x1": 2, "y0": 0, "y1": 0}},
        ][rng.choice((0, 0, 1)) :]  # fmt: skip
        if self.ages > 1:
            self.routes = [EVERYWHERE | {"age": a, "edge": a % 2} for a in rng.sample(range(self.ages), self.ages)]
            for route in self.routes:
                route["phase"] = rng.choice(((0, 0, 0), (1, rng.randrange(2), rng.randrange(2)), (2, 1, 2)))
        self.back: np.ndarray | None = None
        self.ring: list[np.ndarray | None] = []  # newest first
        self.spikes_in = self.spikes_out = 0

    # -- program ----------------------------------------------------------------------------------

    def load(self, bench: Bench) -> None:
        layer, lanes = self.layer, LANES
        groups = layer.padded // lanes
        y0, x0, group0 = self.origin
        bench.write(Memory.CORE, 0, dict(
            enable=1, stage=STAGE, height=layer.height, width=layer.width, groups=groups,
            words=layer.height * layer.width * groups, y0=y0, x0=x0, group0=group0,
            last_lanes=layer.channels - (groups - 1) * lanes, scaled=layer.scaled, mult1=layer.mult1,
            shift1=layer.shift1, bias_in_sum=layer.bias_in_sum, lo=layer.lo, hi=layer.hi, rot=layer.rot,
            truncate=layer.truncate, drlo=layer.drlo, out_width=self.out_size[1],
            out_words=self.out_size[0] * self.out_size[1] * groups, slots=self.slots, ages=self.ages,
            part=self.part[0], part_y=self.part[1], part_x=self.part[2],
            readout=self.readout, routes=len(self.routes), **self._pool_fields(layer.pool),
        ))  # fmt: skip
        for number, r in enumerate(self.routes):
            bench.write(Memory.ROUTE, number, dict(
                y0=r["y"][0], y1=r["y"][1], x0=r["x"][0], x1=r["x"][1], group0=r["g"][0], group1=r["g"][1],
                edge=r["edge"], dst=r["dst"], age=r.get("age", 0),
                **dict(zip(("phase_log2", "phase_y", "phase_x"), r.get("phase", (0, 0, 0)), strict=True)),
            ))  # fmt: skip
        part = self.config.requant_lanes
        for address in range(layer.padded // part):
            own = range(address * part, (address + 1) * part)
            bench.write(Memory.REQUANT, address, [
                dict(mult=int(layer.mult[c]), shift=int(layer.shift[c]), bias=int(layer.bias[c])) for c in own
            ])  # fmt: skip
        base = 0
        for number, edge in enumerate(layer.edges):
            base = self._load_edge(bench, number, edge, base)

    @staticmethod
    def _pool_fields(pool: Pool | None) -> dict:
        if pool is None:
            return {}
        stride = pool.stride.bit_length() - 1
        return dict(pool=1, pool_kernel=pool.kernel, pool_stride_log2=stride, pool_y=pool.y, pool_x=pool.x)

    def _load_edge(self, bench: Bench, number: int, edge: Edge, base: int) -> int:
        lanes, groups = LANES, self.layer.padded // LANES
        kernel_h, kernel_w = edge.weights.shape[1:3]
        source = edge.source[2]
        row_shift = (min(source, lanes) - 1).bit_length()
        stride_y = kernel_w * groups
        bench.write(Memory.EDGE, number, dict(
            enable=1, depthwise=edge.depthwise, signed=edge.signed, shift=edge.shift,
            stride_log2=edge.stride.bit_length() - 1, kernel_h=kernel_h, kernel_w=kernel_w,
            y_offset=edge.y_offset, x_offset=edge.x_offset, group0=edge.group0, groups=-(-source // lanes),
            row_shift=0 if edge.depthwise else row_shift, stride_y=stride_y, stride_g=kernel_h * stride_y,
            weight_base=base,
        ))  # fmt: skip
        end = base
        for channel, ky, kx, og in np.ndindex(1 if edge.depthwise else source, kernel_h, kernel_w, groups):
            out = slice(og * lanes, (og + 1) * lanes)
            if edge.depthwise:
                address, values = base + ky * stride_y + kx * groups + og, edge.weights[out, ky, kx]
            else:
                g, bit = divmod(channel, lanes)
                block = g * kernel_h * stride_y + ky * stride_y + kx * groups + og
                address, values = base + (block << row_shift) + bit, edge.weights[out, ky, kx, channel]
            assert address < self.config.weight_words
            bench.write(Memory.WEIGHT, address, [int(v) for v in values])
            end = max(end, address + 1)
        return end

    # -- windows ----------------------------------------------------------------------------------

    def bundles(self, number: int, edge: Edge, spikes: np.ndarray) -> list[dict]:
        """Spike payloads of one step, in random order."""
        found = []
        for y, x, c in np.ndindex(spikes.shape[0], spikes.shape[1], -(-spikes.shape[2] // LANES)):
            mask = sum(int(s) << n for n, s in enumerate(spikes[y, x, c * LANES : (c + 1) * LANES]))
            if mask:
                found.append(dict(edge=number, y=y, x=x, group=edge.group0 + c, mask=mask))
        self.rng.shuffle(found)
        return found

    def emitted(self, age: int, activations: np.ndarray, plane: int) -> list[tuple]:
        """(edge, y, x, group, mask, destination) of every bundle of one step, in order."""
        flits = []
        y0, x0, group0 = self.origin
        for yy, xx, gg in np.ndindex(activations.shape[0], activations.shape[1], activations.shape[2] // LANES):
            word = activations[yy, xx, gg * LANES : (gg + 1) * LANES]
            mask = sum((int(a) >> plane & 1) << n for n, a in enumerate(word))
            y, x, group = y0 + yy, x0 + xx, group0 + gg
            self.spikes_out += mask.bit_count()
            for r in self.routes if mask else ():
                log2, phase_y, phase_x = r.get("phase", (0, 0, 0))
                if r.get("age", 0) != age or (y % 2**log2, x % 2**log2) != (phase_y, phase_x):
                    continue
                if all(low <= v <= high for v, (low, high) in ((y, r["y"]), (x, r["x"]), (group, r["g"]))):
                    flits.append((r["edge"], y, x, group, mask, tuple(r["dst"].values())))
        return flits

    def read_out(self) -> list[tuple]:
        """(memory, address, chunk, data) of the flits of one read-out."""
        memory, values = (
            (Memory.ACT, self.ring[0]) if self.readout is Readout.ACT else (Memory.MEMBRANE, self.layer.membrane)
        )
        flits = []
        for address, word in enumerate(values.reshape(-1, LANES)):
            numbers = [int(v) & 255 if memory is Memory.ACT else int(v) for v in word]
            bits = memory_layouts(self.config)[memory].const(dict(enumerate(numbers))).as_bits()
            for chunk in range(chunks_of(self.config, memory)):
                flits.append((memory, address, chunk, bits >> (16 * chunk) & 0xFFFF))
        return flits

    async def step(self, bench: Bench, t: int, values: list[np.ndarray], *, valid: int) -> None:
        """One step: its command, its spikes, and what the core emits."""
        layer, plane = self.layer, self.steps - 1 - t
        del bench.o_flits[:]
        if t == 0:
            self.ring.insert(0, self.back)
            self.back = None
        expected = self.expected(plane, t == 0, valid)
        await bench.command(Command.STEP, first=t == 0, plane=plane, valid=valid)
        if t and valid & INTEGRATED:
            layer.integrate(t == 1)
        for number, edge in enumerate(layer.edges) if valid & INTEGRATED else ():
            spikes = values[number] >> plane & 1
            self.spikes_in += int(spikes.sum())
            layer.accumulate(edge, spikes, t == 0, LANES, self.config.weight_ports)
            for bundle in self.bundles(number, edge, spikes):
                bench.spike(**bundle)
        await bench.settle()
        self.check_flits(bench, expected)

    async def all_steps(self, bench: Bench, *, valid: int, probes: int) -> None:
        """The steps of a window; I and V are read after ``probes`` of them."""
        layer, rng = self.layer, self.rng
        values = [np.array([rng.choice((0, rng.randrange(256), 255)) for _ in range(int(np.prod(e.source)))]).reshape(
            e.source) for e in layer.edges]  # fmt: skip
        probed = rng.sample(range(self.steps), probes)
        for t in range(self.steps):
            await self.step(bench, t, values, valid=valid)
            if t in probed:
                await self.check_words(bench, Memory.ISUM, layer.wrapped(), f"I({t})")
                await self.check_words(bench, Memory.MEMBRANE, layer.membrane, f"V({t - 1})")

    async def requantize(self, bench: Bench, *, first: bool, valid: int) -> None:
        """The window's end, with the last step's integration if ``first``."""
        layer = self.layer
        await bench.command(Command.REQUANT, first=first, valid=valid)
        if valid & INTEGRATED:
            if first:
                layer.integrate()
            self.back = layer.requantize()
        await bench.settle()
        if valid & INTEGRATED:
            await self.check_words(bench, Memory.ACT, self.back % 256, "activations")
            await self.check_words(bench, Memory.MEMBRANE, layer.membrane, "V after the window")

    async def window(self, bench: Bench, *, valid: int = INTEGRATED | EMITTED, probes: int = 1) -> None:
        """T steps and a requantization, everything checked."""
        await self.all_steps(bench, valid=valid, probes=probes)
        await self.requantize(bench, first=True, valid=valid)

    def expected(self, plane: int, first: bool, valid: int) -> list[tuple]:
        """What the core sends in a step."""
        if self.readout is not Readout.NONE:
            return self.read_out() if first and valid & EMITTED else []
        ages = [age for age in range(self.ages) if valid >> (STAGE + age) & 1]
        return [flit for age in ages for flit in self.emitted(age, self.ring[age], plane)]

    def check_flits(self, bench: Bench, expected: list[tuple]) -> None:
        got = []
        for f in bench.o_flits:
            if f.kind == FlitKind.READOUT:
                r = f.payload.readout
                assert (r.src_y, r.src_x, f.dst.as_bits()) == (1, 2, 0)
                got.append((r.mem, r.addr, r.chunk, r.data))
            else:
                assert f.kind == FlitKind.SPIKE
                s, d = f.payload.spike, f.dst
                got.append((s.edge, s.y, s.x, s.group, s.mask, (d.x0, d.x1, d.y0, d.y1)))
        assert got == expected, f"seed {self.seed}"

    async def check_words(self, bench: Bench, memory: Memory, expected: np.ndarray, what: str) -> None:
        for address, word in enumerate(expected.reshape(-1, LANES)):
            found = await bench.read(memory, address)
            assert found == [int(v) for v in word], f"{what}, word {address}, seed {self.seed}"

    async def check_counters(self, bench: Bench) -> None:
        layer = self.layer
        expected = {
            Counter.SOPS: layer.sops, Counter.SPIKES_IN: self.spikes_in, Counter.SPIKES_OUT: self.spikes_out,
            Counter.SATURATIONS: layer.saturations, Counter.OVERFLOW: int(layer.saturations > 0),
            Counter.REJECTED: 0, Counter.BUSY: layer.visits, Counter.HOPS: 0, Counter.DROPPED: 0,
        }  # fmt: skip
        found = {c: await bench.read_bits(Memory.COUNTER.value, c.value) for c in expected}
        assert found == expected

    async def start(self, bench: Bench) -> None:
        """Load and clear."""
        self.load(bench)
        await bench.settle(20_000)
        await bench.command(Command.CLEAR)
        await bench.settle()

    async def everything(self, bench: Bench) -> None:
        """One window without a sample to emit, one with."""
        await self.start(bench)
        await self.window(bench, valid=INTEGRATED, probes=2)
        await self.window(bench)
        await self.check_counters(bench)

    def run(self, stall: float = 0.3, body=None) -> None:
        bench = Bench(self.config, self.seed, i_stall=stall, o_stall=stall)
        bench.run(body or self.everything)
