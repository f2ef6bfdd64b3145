"""The accumulator is a plain memory: no visit's sum is lost, however closely the visits of one word follow.

One word of I(t) is watched, whichever the solver likes. The memory behind the accumulator keeps that word only; what
it answers for other words, and for the watched one while it is being written, is whatever the solver likes.
"""

from functools import partial

from amaranth.hdl import Array, Assume, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.sim import Simulator

from hdl.config import ChipConfig
from hdl.core.accumulate import Accumulator
from hdl.core.address import Job, neuron_bits, weight_bits

from .engine import Harness, Proof

__all__ = ["CONFIG", "PROOFS", "PlainMemory"]

CONFIG = ChipConfig(
    name="proof", rows=1, cols=2, lanes=2, weight_bits=2, weight_words=4, neuron_words=4, group_words=2, edges=1,
    routes=1, requant_lanes=1, isum_bits=8, membrane_bits=8, map_side=2, map_groups=1, stages=1, max_edge_shift=1,
    readout_depth=32, data_bits=8,
)  # fmt: skip
"""Narrow numbers and small memories; what is proved has to do with time and addresses."""


def latency_of(accumulator: Accumulator) -> int:
    """Cycles from a visit to the write of its sum: how deep the accumulator's pipeline is."""
    seen: list[int] = []

    async def bench(ctx) -> None:
        ctx.set(accumulator.i.payload.mask, 1)
        ctx.set(accumulator.i.payload.single, 1)
        ctx.set(accumulator.i.valid, 1)
        await ctx.tick()
        ctx.set(accumulator.i.valid, 0)
        for cycle in range(100):
            if ctx.get(accumulator.write_en):
                seen.append(cycle)
            await ctx.tick()

    simulator = Simulator(accumulator)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    (latency,) = seen
    return latency


class PlainMemory(Harness):
    """Jobs with any gaps between them, weights of any value. Each visit's sum is written on time: what the watched word
    held at first, and all visits up to this one.

    ``single``: jobs of one visit only. The reference walks through each job as :func:`hdl.core.address.Job` describes
    it. It looks at the accumulator's ports only.
    """

    def __init__(
        self, *, config: ChipConfig = CONFIG, accumulator: type[Accumulator] = Accumulator, single: bool
    ) -> None:
        self.config, self.accumulator, self.single = config, accumulator(config), single
        self.latency = latency_of(accumulator(config))
        self.word_bits = config.lanes * config.isum_bits
        self.weights_bits = config.lanes * config.weight_bits  # of one word of weights
        super().__init__({
            "job_valid": 1, "job": Job(config).size, "first": 1, "table": config.weight_words * self.weights_bits,
            "watched": neuron_bits(config), "initial": self.word_bits, "noise": self.word_bits,
        })  # fmt: skip

    def statements(self, m: Module) -> None:
        """See :class:`PlainMemory`."""
        m.submodules.accumulator = dut = self.accumulator
        config, new = self.config, data.View(Job(self.config), self.job)
        # What the solver chooses once, in the first cycle.
        started, first = Signal(), Signal()
        self.table_kept, self.watched_kept = Signal.like(self.table), Signal.like(self.watched)
        stored, plain = Signal(self.word_bits), Signal(self.word_bits)
        m.d.sync += [started.eq(1), first.eq(self.first)]
        m.d.comb += [
            dut.i.valid.eq(self.job_valid & started), Value.cast(dut.i.payload).eq(self.job), dut.first.eq(self.first),
            Assume(~dut.busy | (self.first == first)), Assume(self.sound(new)),
        ]  # fmt: skip
        # The memories.
        self.words = Array(self.table_kept.word_select(n, self.weights_bits) for n in range(config.weight_words))
        for port in range(config.weight_ports):
            m.d.sync += Value.cast(dut.weight[port]).eq(self.words[dut.weight_address[port]])
        reads = dut.read_address == self.watched_kept
        writes, write = dut.write_en & (dut.write_address == self.watched_kept), Value.cast(dut.write)
        m.d.sync += Value.cast(dut.read).eq(Mux(reads & ~writes, stored, self.noise))
        with m.If(writes):
            m.d.sync += stored.eq(write)
        # Sums on their way to be written, by age.
        visits, after = self._walk(m, plain, dut.i.valid & dut.i.ready)
        ages = range(self.latency)
        due = [Signal(name=f"due_{age}") for age in ages]
        sums = [Signal(self.word_bits, name=f"sum_{age}") for age in ages]
        m.d.sync += [Cat(due).eq(Cat(visits, due)), Cat(sums).eq(Cat(after, sums))]
        with m.If(visits):
            m.d.sync += plain.eq(after)
        with m.If(~started):
            m.d.sync += [
                self.table_kept.eq(self.table), self.watched_kept.eq(self.watched),
                stored.eq(self.initial), plain.eq(self.initial),
            ]  # fmt: skip
        self.claim(m, "writes_when_due", writes == due[-1])
        self.claim(m, "writes_the_sum_of_all_visits", ~writes | (write == sums[-1]))
        self.claim(m, "holds_the_sum_of_all_visits", Cat(due).any() | (stored == plain))
        self.claim(m, "busy_until_all_is_written", dut.busy | ~Cat(due).any())
        self.claim(m, "offers_zero_when_it_has_nothing_to_write", dut.busy | (write == 0) | ~started)
        # Visits of the same word in three cycles on end, and again with one cycle between; then all is written.
        close, apart = Signal(), Signal()
        m.d.sync += [
            close.eq(close | Cat(due[:3]).all()), apart.eq(apart | Cat(due[0], ~due[1], due[2]).all()),
        ]  # fmt: skip
        m.d.comb += self.reached.eq(close & apart & ~Cat(due).any() & (stored != 0))

    def sound(self, job: data.View) -> Value:
        """What the address stage promises of its jobs."""
        config = self.config
        count = sum(job.mask[lane] for lane in range(config.lanes))
        visits = Mux(job.depthwise, 0, (count - 1) >> (config.weight_ports - 1))
        single = (count[0] | job.depthwise) if config.weight_ports == 2 else Const(0, 1)
        sound = job.mask.any() & (job.visits == visits) & (job.single == single)
        loops = Cat(job.rows, job.columns, job.groups, job.visits)
        return sound & (loops == 0) if self.single else sound

    def _walk(self, m: Module, plain: Signal, accepted: Value) -> tuple[Value, Value]:
        """The reference. Returns whether the watched word is visited in this cycle, and what it holds then."""
        config, job, rest = self.config, Signal(Job(self.config)), Signal(self.config.lanes)
        walking = Signal()
        loops = ("visits", "groups", "columns", "rows")
        visit, group, column, row = (Signal.like(job[name], name=f"ref_{name}") for name in loops)
        block, neuron = Signal.like(job.block, name="ref_block"), Signal.like(job.neuron, name="ref_neuron")
        ends: list[Value] = []  # whether the innermost loop ends with this visit, the innermost two, ...
        for counter, name in zip((visit, group, column, row), loops, strict=True):
            ends.append((counter == job[name]) & (ends[-1] if ends else 1))
        self.claim(m, "one_visit_in_every_cycle", self.accumulator.working == walking)
        self.claim(m, "takes_a_job_when_the_one_before_is_done", ~(accepted & walking) | ends[3])
        if self.single:
            self.claim(m, "one_visit_a_job", ~walking | ends[3])
        lowest = rest & -rest
        highest = Cat(rest[n] & ~rest[n + 1 :].any() for n in range(config.lanes))
        taken = (lowest | highest)[: config.lanes] if config.weight_ports == 2 else lowest[: config.lanes]
        with m.If(walking):
            m.d.sync += [visit.eq(visit + 1), rest.eq(rest & ~taken)]
            with m.If(ends[0]):
                m.d.sync += [
                    visit.eq(0), group.eq(group + 1), block.eq(block + 1), neuron.eq(neuron + 1), rest.eq(job.mask),
                ]  # fmt: skip
            with m.If(ends[1]):
                m.d.sync += [
                    group.eq(0), column.eq(column + 1),
                    block.eq(block + job.block_column), neuron.eq(neuron + job.neuron_column),
                ]  # fmt: skip
            with m.If(ends[2]):
                m.d.sync += [
                    column.eq(0), row.eq(row + 1),
                    block.eq(block + job.block_row), neuron.eq(neuron + job.neuron_row),
                ]  # fmt: skip
            with m.If(ends[3]):
                m.d.sync += walking.eq(0)
        with m.If(accepted):
            new = data.View(Job(config), self.job)
            m.d.sync += [
                job.eq(new), walking.eq(1), block.eq(new.block), neuron.eq(new.neuron), rest.eq(new.mask),
                *(counter.eq(0) for counter in (row, column, group, visit)),
            ]  # fmt: skip
        sums = []
        for lane in range(config.lanes):
            own = plain.word_select(lane, config.isum_bits)
            sums.append((own + self._term(job, block, taken, lane))[: config.isum_bits])
        return walking & (neuron == self.watched_kept), Cat(sums)

    def _term(self, job: data.View, block: Signal, taken: Value, lane: int) -> Value:
        """What one visit adds to the neuron in ``lane``."""
        bits = weight_bits(self.config)
        base = (job.base + (block << job.row_shift))[:bits]

        def weight(at: Value) -> Value:
            return self.words[at[:bits]].word_select(lane, self.config.weight_bits).as_signed()

        spread = sum(Mux(taken[bit], weight(base + bit), 0) for bit in range(self.config.lanes))
        total = Mux(job.depthwise, Mux(job.mask[lane], weight(base), 0), spread) << job.shift
        return Mux(job.signed & self.first, -total, total)


PROOFS = [
    Proof(
        name=f"accumulator_forwarding_{ports}",
        make=partial(PlainMemory, config=CONFIG.replace(weight_ports=ports), single=True),
        states="each visit's sum is that of all visits before and its own, however close they follow, whatever a read "
        f"gives that meets a write (weight ports: {ports}; jobs of one visit)",
        method="induction", depth=16, reach=14, long=True,
    )
    for ports in (1, 2)
] + [
    Proof(
        name=f"accumulator_walk_{ports}x{lanes}",
        make=partial(PlainMemory, config=CONFIG.replace(weight_ports=ports, lanes=lanes), single=False),
        states="the same for jobs of any number of kernel rows, columns, groups and visits "
        f"(weight ports: {ports}; lanes: {lanes})",
        method="bounded", depth=depth, reach=14, long=True,
    )
    for ports, lanes, depth in ((1, 2, 20), (2, 2, 20), (2, 4, 13))
]  # fmt: skip
