"""The accumulator: one or two weight words onto one word of I(t) in every cycle."""

from functools import reduce
from operator import and_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..adders import and_add
from ..config import ChipConfig, bits_for
from ..products import pair_sum, registered_product
from ..program import CoreDescriptor, ISums, Weights
from .address import Job, neuron_bits, weight_bits
from .mask import index_of, lowest_and_highest, popcount

__all__ = ["Accumulator", "popcount"]


class Accumulator(wiring.Component):
    """Carries out jobs: loops kernel row, kernel column, output group, and innermost the mask's bits.

    A visit takes the lowest set bit, and with two weight ports the highest one as well: their weight words belong to
    the same word of I. Jobs follow each other without a gap. A word of I is read one cycle before it is registered, and
    written two cycles after that; visits of it that follow too soon to read it are given it directly. What the memory
    returns for a word that is being written is not used.

    Members
    -------
    core : CoreDescriptor
        For ``last_lanes``.
    first : bit
        Bit-plane 0: jobs of signed edges are negated.
    i : stream of Job
        Taken in the cycle of the previous job's last visit.
    weight_address[p], weight[p] : memory ports
        Read, one cycle of latency; ``weight_ports`` of them.
    read_address, read : memory port
        Word of I, one cycle of latency.
    write_en, write_address, write : memory port
        Word of I. ``write`` is zero while not ``busy``.
    select, part : bits, array of requant_lanes numbers
        While not ``busy``: sub-words of the word that ``read`` shows now; in the next cycle ``part`` is the
        and of them (-1 where there is none).
    busy : bit
        A job, a read or a write is under way, or was two cycles ago.
    working : bit
        One visit is issued in this cycle.
    sops : number
        Synaptic operations of the visit issued in the cycle before.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        wb, nb = weight_bits(config), neuron_bits(config)
        super().__init__({
            "core": In(CoreDescriptor(config)),
            "first": In(1),
            "i": In(stream.Signature(Job(config))),
            "weight_address": Out(wb).array(config.weight_ports),
            "weight": In(Weights(config)).array(config.weight_ports),
            "read_address": Out(nb),
            "read": In(ISums(config)),
            "write_en": Out(1),
            "write_address": Out(nb),
            "write": Out(ISums(config)),
            "select": In(config.requant_subwords),
            "part": Out(data.ArrayLayout(signed(config.isum_bits), config.requant_lanes)),
            "busy": Out(1),
            "working": Out(1),
            "sops": Out(bits_for(config.lanes * config.weight_ports)),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config = self.config
        lanes, two = config.lanes, config.weight_ports == 2

        # Stage 0, the visit to issue: its block of weights, its word of I, and the mask bits still to visit there.
        job, active = Signal(Job(config)), Signal()
        block, neuron, rest = Signal.like(job.block), Signal.like(job.neuron), Signal(lanes)
        visits, groups, columns, rows = (
            Signal.like(job[name], name=f"{name}_left") for name in ("visits", "groups", "columns", "rows")
        )
        last_visit, last_group, last_column = (Signal(name=f"last_{name}") for name in ("visit", "group", "column"))
        no_group, no_column, no_row = Signal(), Signal(), Signal()
        flags = last_visit, no_group, no_column, no_row
        # All four, or no job: known a cycle before it counts, for the whole pipeline before this block waits for it.
        done = Signal(init=1)
        block_step, neuron_step = Signal.like(block), Signal.like(neuron)
        lowest, highest, between = lowest_and_highest(m, rest)
        m.d.comb += [
            last_group.eq(last_visit & no_group),
            last_column.eq(last_visit & no_group & no_column),
            self.i.ready.eq(done),
            self.working.eq(active),
        ]
        with m.If(last_column):
            m.d.comb += [block_step.eq(job.block_row), neuron_step.eq(job.neuron_row)]
        with m.Elif(last_group):
            m.d.comb += [block_step.eq(job.block_column), neuron_step.eq(job.neuron_column)]
        with m.Else():
            m.d.comb += [block_step.eq(last_visit), neuron_step.eq(last_visit)]
        m.d.sync += [
            block.eq(block + block_step), neuron.eq(neuron + neuron_step),
            rest.eq(Mux(last_visit, job.mask, between if two else rest & ~lowest)), rows.eq(rows - last_column),
        ]  # fmt: skip
        after = [Signal.like(flag, name=f"{flag.name}_after") for flag in flags]  # of the job under way
        m.d.comb += [
            *(following.eq(flag) for following, flag in zip(after, flags, strict=True)),
            after[3].eq(no_row | (last_column & (rows == 1))),
        ]
        # The counters of the loops, and whether they are zero, which is known a cycle before it counts.
        for left, none, counts, last, again in (
            (visits, after[0], 1, last_visit, job.visits), (groups, after[1], last_visit, last_group, job.groups),
            (columns, after[2], last_group, last_column, job.columns),
        ):  # fmt: skip
            with m.If(last):
                m.d.sync += left.eq(again)
                m.d.comb += none.eq(again == 0)
            with m.Elif(counts):
                m.d.sync += left.eq(left - 1)
                m.d.comb += none.eq(left == 1)
        m.d.sync += [
            *(flag.eq(following) for following, flag in zip(after, flags, strict=True)),
            done.eq(Cat(after).all()),
        ]
        with m.If(done):
            new = self.i.payload
            single = [new[name] == 0 for name in ("visits", "groups", "columns", "rows")]
            m.d.sync += [
                active.eq(self.i.valid), job.eq(new), block.eq(new.block), neuron.eq(new.neuron), rest.eq(new.mask),
                visits.eq(new.visits), groups.eq(new.groups), columns.eq(new.columns), rows.eq(new.rows),
                *(flag.eq(one) for one, flag in zip(single, flags, strict=True)),
                done.eq(~self.i.valid | Cat(single).all()),
            ]  # fmt: skip

        # What of a visit travels to the addition. Stage 1: weight word of bit 0, bits. Stage 2: weight addresses.
        # Stage 3: the memory's output. Stage 4: weights. Stage 5 (two ports): their sum. Last stage: term and word.
        last = 6 if two else 5
        visit = data.StructLayout({
            "valid": 1, "neuron": len(neuron), "negate": 1, "shift": job.shift.shape(), "enable": lanes, "pair": 1,
        })  # fmt: skip
        pair = ~(last_visit & job.single) if two else 0
        stage = [Signal(visit, name=f"stage_{n}") for n in range(last + 3)]
        m.d.comb += [
            stage[0].valid.eq(active), stage[0].neuron.eq(neuron), stage[0].negate.eq(active & job.signed & self.first),
            stage[0].shift.eq(Mux(active, job.shift, 0)), stage[0].pair.eq(active & pair),
            stage[0].enable.eq(Mux(job.depthwise, job.mask, (1 << lanes) - 1) & active.replicate(lanes)),
        ]  # fmt: skip
        m.d.sync += [stage[n + 1].eq(stage[n]) for n in range(last + 2)]
        word = Signal.like(block)
        m.d.sync += word.eq(job.base + (block << job.row_shift))
        for port, chosen in enumerate((lowest, highest)[: config.weight_ports]):
            bit = Signal(range(lanes), name=f"bit_{port}")
            m.d.sync += [bit.eq(Mux(job.depthwise, 0, index_of(chosen))), self.weight_address[port].eq(word + bit)]

        # SOPs count existing neurons only.
        reach = Mux(no_group, self.core.last_lanes, lanes)
        sops = Mux(job.depthwise, job.reach, Mux(pair, reach << 1, reach))
        m.d.sync += self.sops.eq(Mux(active, sops, 0))

        # The word of I comes from the memory, from the visit before (`again`), or from the one before that (`soon`).
        # Each has a register; all but one of them have all bits set, and the sum takes the and of them.
        before = stage[last - 2]
        again, soon, fresh = Signal(), Signal(), Signal()
        m.d.sync += [
            again.eq(self._meets(before, stage[last - 1])), soon.eq(self._meets(before, stage[last])),
            fresh.eq(before.valid),
        ]  # fmt: skip
        # No reset: they follow from `stage`, which has one, three cycles later, long before a visit comes here. As they
        # are set and cleared by their reset input, the chip's would cost a gate on a long wire.
        ones = {"init": [-1] * lanes, "reset_less": True}
        read, kept, older = (Signal(ISums(config), name=name, **ones) for name in ("word", "kept", "older"))
        written = Signal(ISums(config), reset_less=True)
        m.d.comb += self.read_address.eq(before.neuron)
        own = fresh & ~again & ~soon
        for lane in range(lanes):
            m.d.sync += read[lane].eq(Mux(own | self.select[lane // config.requant_lanes], self.read[lane], -1))
        m.d.sync += [
            kept.eq(Mux(again, self.write.as_value(), -1)),
            written.eq(Mux(stage[last].valid, self.write.as_value(), 0)),
            older.eq(Mux(~again & (soon | ~fresh), written.as_value(), -1)),  # without a visit: 0 at last
        ]  # fmt: skip

        shift = stage[last - 2].shift
        factor = Signal(signed(config.max_edge_shift + 2))  # of the weights: shifted, and perhaps negated
        power = Const(1) << shift
        m.d.sync += factor.eq(Mux(stage[last - 2].negate, -power, power))
        for lane in range(lanes):
            term = self._term(m, platform, lane, stage, factor)
            m.d.comb += self.write[lane].eq(
                and_add(m, platform, f"sum_{lane}", term, read[lane], kept[lane], older[lane])
            )  # fmt: skip
        width = config.requant_lanes
        m.d.comb += [
            self.part[n].eq(reduce(and_, (read[first + n] for first in range(0, lanes, width)))) for n in range(width)
        ]  # fmt: skip
        m.d.comb += [
            self.write_en.eq(stage[last].valid), self.write_address.eq(stage[last].neuron),
        ]  # fmt: skip
        m.d.sync += self.busy.eq(Mux(done, self.i.valid, active) | Cat(s.valid for s in stage[:-1]).any())
        return m

    def _meets(self, visit, earlier):
        """Whether ``visit`` needs the sum of an ``earlier`` one that the memory does not return yet."""
        return visit.valid & earlier.valid & (visit.neuron == earlier.neuron)

    def _term(self, m: Module, platform: object, lane: int, stage: list, factor: Signal) -> Signal:
        """What a visit adds to one lane."""
        config = self.config
        weights = []
        for port in range(config.weight_ports):
            weight = Signal(signed(config.weight_bits), name=f"weight_{port}_{lane}")
            with m.If(stage[3].pair if port else stage[3].enable[lane]):
                m.d.sync += weight.eq(self.weight[port][lane])
            with m.Else():
                m.d.sync += weight.eq(0)
            weights.append(weight)
        if len(weights) == 2:
            weights = [pair_sum(m, platform, f"pair_{lane}", *weights)]
        term = Signal(signed(min(len(weights[0]) + len(factor), config.isum_bits)), name=f"term_{lane}")
        registered_product(m, platform, term, weights[0], factor)
        return term
