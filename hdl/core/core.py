"""A core: everything of a tile but its router."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ..config import ChipConfig, bits_for
from ..flit import Flit, FlitKind
from ..host import Command, CommandWord
from ..program import WRITABLE, Memory, Readout
from .accumulate import Accumulator
from .address import AddressSetup
from .counters import Counters
from .emit import Emitter
from .load import Loader
from .membrane import MembranePass, Pass
from .respond import Responder
from .storage import Storage

__all__ = ["Core"]


class Core(wiring.Component):
    """Accumulates spikes that arrive, emits spikes of its activations, and on commands updates its neurons.

    Who has the memories: a pass starts when nothing else that touches I, V or the back slot is under way, and
    from the command on no flit is taken until the pass is over. It never waits for the network. Answers to READ wait
    until all of the core is idle; they hold up nothing, so ejection never waits for injection.

    Members
    -------
    i, o : streams of Flit
        From and to the router's local port.
    y, x : bits
        Coordinates, constant.
    command : CommandWord
        A pulse of one cycle.
    idle : bit
        Nothing is under way, and all flits of earlier work were handed over. Low from the cycle after a command.
    hop, dropped : numbers
        From the router: flits sent to neighbours, and discarded, in this cycle.
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "i": In(stream.Signature(Flit(config))),
            "o": Out(stream.Signature(Flit(config))),
            "y": In(bits_for(config.rows - 1)),
            "x": In(bits_for(config.cols - 1)),
            "command": In(CommandWord(config)),
            "idle": Out(1),
            "hop": In(3),
            "dropped": In(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config = self.config
        m.submodules.storage = storage = Storage(config)
        m.submodules.setup = setup = AddressSetup(config)
        m.submodules.accumulator = accumulator = Accumulator(config)
        m.submodules.membrane = membrane = MembranePass(config)
        m.submodules.emitter = emitter = Emitter(config)
        m.submodules.loader = loader = Loader(config)
        m.submodules.responder = responder = Responder(config)
        m.submodules.counters = counters = Counters(config)
        core = storage.core
        for block in (setup, accumulator, membrane, emitter):
            m.d.comb += block.core.eq(core)

        # Commands. A stage beyond the last one has no valid sample.
        front, first = Signal(), Signal()  # the slot to emit; bit-plane 0
        pass_wanted, pass_kind = Signal(), Signal(Pass)
        emit_wanted, readout_wanted, plane = Signal(), Signal(), Signal.like(self.command.plane)
        command = self.command
        emitted = (command.valid >> core.stage)[0]
        integrated = ((command.valid << 1) >> core.stage)[0]
        clear = Signal()
        m.d.sync += [emit_wanted.eq(0), readout_wanted.eq(0)]
        with m.Switch(command.op):
            with m.Case(Command.CLEAR):
                m.d.comb += clear.eq(1)
                m.d.sync += [pass_wanted.eq(1), pass_kind.eq(Pass.CLEAR), front.eq(0), first.eq(0)]
            with m.Case(Command.STEP):
                m.d.sync += [first.eq(command.first), plane.eq(command.plane), pass_kind.eq(Pass.INTEGRATE)]
                with m.If(core.enable):
                    m.d.sync += [
                        pass_wanted.eq(~command.first & integrated),
                        emit_wanted.eq(emitted & (core.readout == Readout.NONE)),
                        readout_wanted.eq(emitted & (core.readout != Readout.NONE) & command.first),
                    ]
                    with m.If(command.first & ((core.stage != 0) | command.valid[0])):
                        m.d.sync += front.eq(~front)
            with m.Case(Command.REQUANT):
                m.d.sync += [pass_wanted.eq(core.enable & integrated), pass_kind.eq(Pass.REQUANT)]

        # Flits from the network, by kind. The second register cuts the path from the accumulator to `ready`.
        held, flit, taken = Signal(), Signal(Flit(config)), Signal()
        spare_held, spare = Signal(), Signal(Flit(config))
        is_spike = flit.kind == FlitKind.SPIKE
        m.d.comb += [
            taken.eq(held & (~is_spike | setup.i.ready)),
            self.i.ready.eq(~(spare_held | pass_wanted | membrane.busy)),
            setup.i.valid.eq(held & is_spike), setup.i.payload.eq(flit.payload.spike),
            loader.i.valid.eq(held & (flit.kind == FlitKind.WRITE)), loader.i.payload.eq(flit.payload.memory),
            responder.read.eq(held & (flit.kind == FlitKind.READ)),
            responder.read_mem.eq(flit.payload.memory.mem), responder.read_address.eq(flit.payload.memory.addr),
        ]  # fmt: skip
        arrives = self.i.valid & self.i.ready
        with m.If(taken | ~held):
            m.d.sync += [
                held.eq(spare_held | arrives),
                flit.eq(Mux(spare_held, spare, self.i.payload)),
                spare_held.eq(0),
            ]
        with m.Elif(arrives):
            m.d.sync += [spare_held.eq(1), spare.eq(self.i.payload)]

        # Work.
        quiet = Signal()  # nothing but a pass, emission or an answer is under way
        m.d.comb += [
            quiet.eq(~(held | spare_held | loader.en | setup.busy | accumulator.busy)),
            membrane.start.eq(pass_wanted & quiet & ~responder.port), membrane.kind.eq(pass_kind),
            membrane.back.eq(~front),
            emitter.start.eq(emit_wanted), emitter.plane.eq(plane), responder.readout.eq(readout_wanted),
            responder.words.eq(core.words), responder.y.eq(self.y), responder.x.eq(self.x),
            responder.grant.eq(quiet & ~(pass_wanted | membrane.busy | emit_wanted | emitter.busy)),
            accumulator.first.eq(first),
        ]  # fmt: skip
        with m.If(membrane.start):
            m.d.sync += pass_wanted.eq(0)
        connect(m, setup.o, accumulator.i)
        self._connect_memories(m, storage, setup, accumulator, membrane, emitter, loader, responder, front, counters)

        # Flits to the network: one register. Answers and emission never meet, read-out cores emit no spikes.
        out_valid, out = Signal(), Signal(Flit(config))
        room = Signal()
        m.d.comb += [
            self.o.valid.eq(out_valid), self.o.payload.eq(out), room.eq(~out_valid | self.o.ready),
            responder.o.ready.eq(room), emitter.o.ready.eq(room & ~responder.o.valid),
        ]  # fmt: skip
        with m.If(room):
            m.d.sync += out_valid.eq(responder.o.valid | emitter.o.valid)
            m.d.sync += out.eq(Mux(responder.o.valid, responder.o.payload, emitter.o.payload))
        m.d.comb += self.idle.eq(
            quiet
            & ~(pass_wanted | membrane.busy | emit_wanted | readout_wanted | emitter.busy | responder.busy | out_valid)
        )

        emission_waits = out_valid & ~self.o.ready & ((out.kind == FlitKind.SPIKE) | responder.front)
        m.d.comb += [
            counters.clear.eq(clear),
            counters.sops.eq(accumulator.sops),
            counters.spikes_in.eq(setup.spikes),
            counters.spikes_out.eq(emitter.spikes),
            counters.saturations.eq(membrane.saturated), counters.overflow.eq(membrane.saturated.any()),
            counters.rejected.eq(
                setup.rejected + loader.rejected + (responder.rejected | (held & (flit.kind == FlitKind.READOUT)))
            ),
            counters.busy.eq(accumulator.working), counters.stalled.eq(emission_waits),
            counters.hops.eq(self.hop), counters.dropped.eq(self.dropped),
        ]  # fmt: skip
        return m

    def _connect_memories(
        self, m, storage, setup, accumulator, membrane, emitter, loader, responder, front, counters
    ) -> None:
        """Ports by the rules above: an answer to READ has all read ports for a cycle, a read-out that of ACT."""
        asked = responder.port & ~responder.front
        where = responder.address

        # Read ports.
        m.d.comb += [
            storage.edge_address.eq(Mux(asked, where, setup.edge_address)), storage.edge_en.eq(asked | setup.edge_en),
            storage.route_address.eq(Mux(asked, where, emitter.route_address)),
            storage.requant_address.eq(Mux(asked, where, membrane.requant_address)),
            storage.weight_address.eq(Mux(asked, where, accumulator.weight_address[0])),
            storage.isum_address.eq(Mux(asked, where, Mux(membrane.busy, membrane.address, accumulator.read_address))),
            storage.membrane_address.eq(Mux(asked, where, membrane.address)),
            storage.act_address.eq(Cat(emitter.word_address, front)),
            storage.act_en.eq(responder.port | emitter.word_en),
            setup.edge.eq(storage.edge_read), emitter.route.eq(storage.route_read),
            membrane.requant.eq(storage.requant_read), accumulator.weight[0].eq(storage.weight_read),
            accumulator.read.eq(storage.isum_read), membrane.current.eq(storage.isum_read),
            membrane.membrane.eq(storage.membrane_read), emitter.word.eq(storage.act_read),
        ]  # fmt: skip
        if self.config.weight_ports == 2:
            m.d.comb += [
                storage.weight_b_address.eq(accumulator.weight_address[1]),
                accumulator.weight[1].eq(storage.weight_b_read),
            ]
        with m.If(responder.port):
            slot = Mux(responder.front, front, ~front)
            m.d.comb += storage.act_address.eq(Cat(where[: len(emitter.word_address)], slot))
        counted = Signal(self.config.counter_bits)  # all chunks of an answer come from one moment
        m.d.comb += counters.address.eq(where)
        with m.If(responder.port & responder.fresh):
            m.d.sync += counted.eq(counters.value)
        m.d.comb += [responder.data.core.eq(storage.core), responder.data.counter.eq(counted)]
        for memory in storage.MEMORIES:
            name = memory.name.lower()
            m.d.comb += getattr(responder.data, name).eq(getattr(storage, f"{name}_read"))

        # Write ports: the loader's word, for the neurons' memories also passes and the accumulator.
        for memory in WRITABLE:
            if memory is Memory.PARTIAL:
                continue
            name = memory.name.lower()
            loads = loader.en & (loader.mem == memory)
            m.d.comb += [
                getattr(storage, f"{name}_write_en").eq(loads),
                getattr(storage, f"{name}_write").eq(loader.word),
            ]
            if memory is not Memory.CORE:
                m.d.comb += getattr(storage, f"{name}_write_address").eq(loader.address)
        parts = self.config.requant_subwords
        with m.If(loader.en & (loader.mem == Memory.ACT)):
            slot_address = Cat(loader.address[: len(emitter.word_address)], ~front)
            m.d.comb += [storage.act_write_en.eq((1 << parts) - 1), storage.act_write_address.eq(slot_address)]
        with m.Else():
            m.d.comb += [
                storage.act_write_en.eq(membrane.act_en), storage.act_write_address.eq(membrane.act_address),
                storage.act_write.eq(membrane.act_write),
            ]  # fmt: skip
        m.d.comb += [
            storage.membrane_write_en.eq(membrane.write_en), storage.membrane_write_address.eq(membrane.write_address),
            storage.membrane_write.eq(membrane.membrane_write),
            storage.isum_write_address.eq(membrane.write_address), storage.isum_write_en.eq(membrane.write_en),
            storage.isum_write.eq(accumulator.write),  # zero unless the accumulator writes: what a pass wants
        ]  # fmt: skip
        with m.If(accumulator.write_en):
            m.d.comb += [
                storage.isum_write_address.eq(accumulator.write_address),
                storage.isum_write_en.eq((1 << parts) - 1),
            ]  # fmt: skip
