"""The accumulator: one weight word onto one word of I(t) in every cycle."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..program import CoreDescriptor, ISums, Weights
from .address import Job, neuron_bits, weight_bits

__all__ = ["Accumulator", "popcount"]


def popcount(mask):
    """Number of set bits, as a balanced sum."""
    terms = [mask[n] for n in range(len(mask))]
    while len(terms) > 1:
        terms = [sum(terms[n + 1 : n + 2], terms[n]) for n in range(0, len(terms), 2)]
    return terms[0]


class Accumulator(wiring.Component):
    """Carries out jobs: loops kernel row, kernel column, output group, and innermost the mask bits (lowest first).

    Jobs follow each other without a gap. Three stages: address, memory, addition and write. Neighbouring visits
    of one word are forwarded: the memory may return the word before its last two writes.

    Members
    -------
    core : CoreDescriptor
        For ``groups`` and ``last_lanes``.
    first : bit
        Bit-plane 0: jobs of signed edges are negated.
    i : stream of Job
        Taken in the cycle of the previous job's last visit.
    weight_address, weight : memory port
        Read, one cycle of latency.
    read_address, read : memory port
        Word of I, one cycle of latency.
    write_en, write_address, write : memory port
        Word of I.
    busy : bit
        A job, a read or a write is under way.
    working : bit
        One visit is issued in this cycle.
    sops : number
        Synaptic operations of the visit issued in this cycle.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        wb, nb = weight_bits(config), neuron_bits(config)
        super().__init__({
            "core": In(CoreDescriptor(config)),
            "first": In(1),
            "i": In(stream.Signature(Job(config))),
            "weight_address": Out(wb),
            "weight": In(Weights(config)),
            "read_address": Out(nb),
            "read": In(ISums(config)),
            "write_en": Out(1),
            "write_address": Out(nb),
            "write": Out(ISums(config)),
            "busy": Out(1),
            "working": Out(1),
            "sops": Out(bits_for(config.lanes)),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config = self.config
        lanes = config.lanes
        wb, nb = weight_bits(config), neuron_bits(config)

        # The visit to issue. `row`, `column` hold the addresses of the offset where the kernel row or column began.
        job = Signal(Job(config))
        active = Signal()
        w_row, w_column, w_group = (Signal(wb, name=f"w_{n}") for n in ("row", "column", "group"))
        n_row, n_column, n_group = (Signal(nb, name=f"n_{n}") for n in ("row", "column", "group"))
        rows, columns, groups = Signal.like(job.rows), Signal.like(job.columns), Signal.like(job.groups)
        rest = Signal(lanes)  # mask bits still to visit at this offset and group
        lowest, bit = Signal(lanes), Signal(range(lanes))
        last_bit, last_group, last_column, last_row = (
            Signal(name=f"last_{n}") for n in ("bit", "group", "column", "row")
        )
        m.d.comb += [
            lowest.eq(rest & (~rest + 1)),
            bit.eq(Cat(Cat(lowest[n] for n in range(lanes) if n >> b & 1).any() for b in range(len(bit)))),
            last_bit.eq(job.depthwise | (rest == lowest)),
            last_group.eq(last_bit & (groups == 1)),
            last_column.eq(last_group & (columns == 0)),
            last_row.eq(last_column & (rows == 0)),
            self.i.ready.eq(~active | last_row),
            self.working.eq(active),
        ]
        w_next_row, n_next_row = Signal(wb), Signal(nb)
        w_next_column, n_next_column = Signal(wb), Signal(nb)
        m.d.comb += [
            w_next_row.eq(w_row + job.weight_row), n_next_row.eq(n_row - job.neuron_row),
            w_next_column.eq(w_column + job.weight_column), n_next_column.eq(n_column - job.neuron_column),
        ]  # fmt: skip
        with m.If(active):
            m.d.sync += rest.eq(Mux(last_bit, job.mask, rest & ~lowest))
            with m.If(last_column):
                m.d.sync += [
                    rows.eq(rows - 1), columns.eq(job.columns), groups.eq(job.groups),
                    Cat(w_row, w_column, w_group).eq(Cat(w_next_row, w_next_row, w_next_row)),
                    Cat(n_row, n_column, n_group).eq(Cat(n_next_row, n_next_row, n_next_row)),
                ]  # fmt: skip
            with m.Elif(last_group):
                m.d.sync += [
                    columns.eq(columns - 1),
                    groups.eq(job.groups),
                    Cat(w_column, w_group).eq(Cat(w_next_column, w_next_column)),
                    Cat(n_column, n_group).eq(Cat(n_next_column, n_next_column)),
                ]
            with m.Elif(last_bit):
                m.d.sync += [
                    groups.eq(groups - 1), w_group.eq(w_group + (1 << job.row_shift)), n_group.eq(n_group + 1),
                ]  # fmt: skip
        with m.If(self.i.ready):
            new = self.i.payload
            m.d.sync += [
                active.eq(self.i.valid), job.eq(new), rest.eq(new.mask),
                rows.eq(new.rows), columns.eq(new.columns), groups.eq(new.groups),
                Cat(w_row, w_column, w_group).eq(Cat(new.weight, new.weight, new.weight)),
                Cat(n_row, n_column, n_group).eq(Cat(new.neuron, new.neuron, new.neuron)),
            ]  # fmt: skip

        # SOPs count existing neurons only.
        exist = Signal(lanes)
        last = Mux(job.depthwise, job.last, groups == 1)
        m.d.comb += exist.eq(Mux(last, (1 << self.core.last_lanes) - 1, (1 << lanes) - 1))
        m.d.comb += self.sops.eq(
            Mux(active, Mux(job.depthwise, popcount(job.mask & exist), Mux(last, self.core.last_lanes, lanes)), 0)
        )

        # Stage 0: addresses are registered. Stage 1: both memories read.
        valid = [Signal(name=f"valid_{n}") for n in range(4)]
        address = [Signal(nb, name=f"address_{n}") for n in range(4)]
        enable = [Signal(lanes, name=f"enable_{n}") for n in range(3)]
        negate = [Signal(name=f"negate_{n}") for n in range(3)]
        shift = [Signal.like(job.shift, name=f"shift_{n}") for n in range(3)]
        w_address = Signal(wb)
        m.d.sync += [
            valid[0].eq(active), w_address.eq(w_group + Mux(job.depthwise, 0, bit)), address[0].eq(n_group),
            enable[0].eq(Mux(job.depthwise, job.mask, (1 << lanes) - 1)),
            negate[0].eq(job.signed & self.first), shift[0].eq(job.shift),
        ]  # fmt: skip
        m.d.comb += [self.weight_address.eq(w_address), self.read_address.eq(address[0])]
        for n in (1, 2):
            for pipe in (valid, address, enable, negate, shift):
                m.d.sync += pipe[n].eq(pipe[n - 1])

        # Stage 2: the words are registered, with what the memory does not hold yet. Stage 3: the sum is written.
        weight, word, written = Signal(Weights(config)), Signal(ISums(config)), Signal(ISums(config))
        total = Signal(ISums(config))
        m.d.sync += [weight.eq(self.weight), valid[3].eq(valid[2]), address[3].eq(address[2]), written.eq(total)]
        with m.If(valid[2] & (address[2] == address[1])):
            m.d.sync += word.eq(total)
        with m.Elif(valid[3] & (address[3] == address[1])):
            m.d.sync += word.eq(written)
        with m.Else():
            m.d.sync += word.eq(self.read)
        for lane in range(lanes):
            term = Signal(signed(config.isum_bits), name=f"term_{lane}")
            gated = Signal(signed(config.weight_bits), name=f"gated_{lane}")
            m.d.comb += [
                gated.eq(Mux(enable[2][lane], weight[lane], 0)),
                term.eq(gated << shift[2]),
                total[lane].eq(Mux(negate[2], word[lane] - term, word[lane] + term)),
            ]
        m.d.comb += [
            self.write_en.eq(valid[2]), self.write_address.eq(address[2]), self.write.eq(total),
            self.busy.eq(active | valid[0] | valid[1] | valid[2]),
        ]  # fmt: skip
        return m
