"""A core: everything of a tile but its router."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from ..config import ChipConfig, bits_for
from ..flit import Flit, FlitKind
from ..host import Command, CommandWord
from ..program import Readout
from .accumulate import Accumulator
from .address import AddressSetup
from .check import CHECKED, ProgramCheck
from .counters import Counters
from .emit import Emitter
from .load import Loader
from .membrane import MembranePass, Pass
from .pool import PoolPass
from .ports import connect_memories
from .respond import Responder, Task
from .ring import Ring
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
    fault : bit
        The program has a word that this core finds out of range or could not take, see :class:`ProgramCheck`.
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
            "fault": Out(1),
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
        m.submodules.pool = pool = PoolPass(config)
        m.submodules.ring = ring = Ring(config)
        m.submodules.emitter = emitter = Emitter(config)
        m.submodules.loader = loader = Loader(config)
        m.submodules.check = check = ProgramCheck(config)
        m.submodules.responder = responder = Responder(config)
        m.submodules.counters = counters = Counters(config)
        core = storage.core
        for block in (setup, accumulator, membrane, pool, ring, emitter):
            m.d.comb += block.core.eq(core)

        # Commands. A stage beyond the last one has no valid sample.
        first, plane = Signal(), Signal.like(self.command.plane)  # bit-plane 0; what to emit
        todo = {kind: Signal(name=f"todo_{kind}") for kind in ("clear", "integrate", "requant", "pool", "partial")}
        from_zero, emit_wanted, readout_wanted = Signal(), Signal(), Signal()
        command = self.command
        emitted, integrated = Signal.like(emitter.valid), Signal()
        m.d.comb += [
            emitted.eq(command.valid >> core.stage),
            integrated.eq(((command.valid << 1) >> core.stage)[0] & core.enable),
            ring.clear.eq(command.op == Command.CLEAR), counters.clear.eq(ring.clear),
        ]  # fmt: skip
        m.d.sync += [emit_wanted.eq(0), readout_wanted.eq(0)]
        with m.If(command.op != Command.NONE):
            m.d.sync += from_zero.eq(first)
        with m.Switch(command.op):
            with m.Case(Command.CLEAR):
                m.d.sync += [todo["clear"].eq(1), first.eq(0)]
            with m.Case(Command.STEP):
                m.d.sync += [
                    first.eq(command.first), plane.eq(command.plane), emitter.valid.eq(emitted),
                    todo["integrate"].eq(~command.first & integrated),
                ]  # fmt: skip
                with m.If(core.enable):
                    m.d.comb += ring.advance.eq(command.first & ((core.stage != 0) | command.valid[0]))
                    with m.If(core.readout == Readout.NONE):
                        m.d.sync += emit_wanted.eq(emitted.any())
                    with m.Else():
                        m.d.sync += readout_wanted.eq(emitted[0] & command.first)
            with m.Case(Command.REQUANT):
                m.d.sync += [
                    todo["integrate"].eq(command.first & integrated), todo["requant"].eq(integrated & (core.part == 0)),
                    todo["pool"].eq(integrated & (core.part == 0) & core.pool), first.eq(0),
                ]  # fmt: skip
            with m.Case(Command.PARTIAL):
                m.d.sync += [
                    todo["integrate"].eq(command.first & integrated), first.eq(0),
                    todo["partial"].eq(integrated & (core.part == command.plane) & (core.part != 0)),
                ]  # fmt: skip

        # Passes, one after the other. From the command on no flit is taken until they are over.
        held, passing, quiet = Signal(), Signal(), Signal()  # quiet: no flit or what it caused is under way
        closed, was_quiet = Signal(), Signal()  # registers: paths go on from here into the router and the passes
        m.d.sync += [closed.eq(passing | (command.op != Command.NONE)), was_quiet.eq(quiet)]
        idle_pass = ~(membrane.busy | pool.busy)
        wanted = todo["clear"] | todo["integrate"] | todo["requant"]
        m.d.comb += [
            passing.eq(wanted | todo["pool"] | ~idle_pass),
            membrane.kind.eq(Mux(todo["clear"], Pass.CLEAR, Mux(todo["integrate"], Pass.INTEGRATE, Pass.REQUANT))),
            membrane.start.eq(wanted & was_quiet & ~held & idle_pass), membrane.from_zero.eq(from_zero),
            pool.start.eq(todo["pool"] & ~wanted & idle_pass),
            membrane.back.eq(ring.back), pool.back.eq(ring.back),
            responder.partial.eq(todo["partial"] & ~passing),
        ]  # fmt: skip
        with m.If(membrane.start):
            m.d.sync += [todo["clear"].eq(0), todo["integrate"].eq(todo["clear"] & todo["integrate"])]
            with m.If(~todo["clear"] & ~todo["integrate"]):
                m.d.sync += todo["requant"].eq(0)
        with m.If(pool.start):
            m.d.sync += todo["pool"].eq(0)
        with m.If(responder.partial):
            m.d.sync += todo["partial"].eq(0)

        # Flits from the network, by kind. The second register cuts the path from the accumulator to `ready`.
        flit, taken = Signal(Flit(config)), Signal()
        spare_held, spare = Signal(), Signal(Flit(config))
        is_spike = flit.kind == FlitKind.SPIKE
        m.d.comb += [
            taken.eq(held & (~is_spike | setup.i.ready)),
            self.i.ready.eq(~(spare_held | closed)),
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
            m.d.sync += spare_held.eq(1)
        with m.If(~spare_held):
            m.d.sync += spare.eq(self.i.payload)

        # Work.
        # Nothing was under way in the cycle before; what has begun since but a flit reads no memory in this one.
        calm, counted_now = Signal(), Signal()
        m.d.sync += calm.eq(quiet & ~(passing | emit_wanted | emitter.busy))
        m.d.comb += [
            quiet.eq(~(held | spare_held | loader.en | membrane.adding | setup.busy | accumulator.busy)),
            emitter.start.eq(emit_wanted), emitter.plane.eq(plane), emitter.newest.eq(ring.newest),
            emitter.top.eq(ring.top), responder.readout.eq(readout_wanted), responder.readout_kind.eq(core.readout),
            responder.words.eq(core.words), responder.out_words.eq(core.out_words),
            responder.y.eq(self.y), responder.x.eq(self.x),
            responder.part_y.eq(core.part_y), responder.part_x.eq(core.part_x),
            responder.grant.eq(calm & ~held), responder.counted.eq(counted_now),
            accumulator.first.eq(first),
        ]  # fmt: skip
        m.d.comb += [
            check.chunk.eq(loader.i.payload), check.chunk_valid.eq(loader.i.valid), check.rejected.eq(loader.rejected),
            check.en.eq(loader.en), check.mem.eq(loader.mem), check.address.eq(loader.address),
            *(check.words[memory.name.lower()].eq(loader.word(memory)) for memory in CHECKED),
            check.clear.eq(ring.clear), check.load.eq(command.op == Command.LOAD),
            self.fault.eq(check.fault),
        ]  # fmt: skip
        connect(m, setup.o, accumulator.i)
        connect_memories(m, config, storage, setup, accumulator, membrane, pool, ring, emitter, loader, responder, calm)
        counted = Signal(config.counter_bits)  # all chunks of an answer come from one moment
        m.d.comb += [counters.address.eq(responder.address), responder.data.counter.eq(counted)]
        m.d.sync += counted_now.eq(counters.taken)
        with m.If(counters.taken & responder.fresh):
            m.d.sync += counted.eq(counters.value)

        # Flits to the network: one register. The responder and emission never meet but for answers, which may wait.
        out_valid, out, out_emitted = Signal(), Signal(Flit(config)), Signal()
        room = Signal()
        m.d.comb += [
            self.o.valid.eq(out_valid), self.o.payload.eq(out), room.eq(~out_valid | self.o.ready),
            responder.o.ready.eq(room), emitter.o.ready.eq(room & ~responder.o.valid),
        ]  # fmt: skip
        with m.If(room):
            m.d.sync += [
                out_valid.eq(responder.o.valid | emitter.o.valid),
                out.eq(Mux(responder.o.valid, responder.o.payload, emitter.o.payload)),
                out_emitted.eq(~responder.o.valid | (responder.task != Task.ANSWER)),
            ]
        m.d.comb += self.idle.eq(
            quiet
            & ~(passing | todo["partial"] | emit_wanted | readout_wanted | emitter.busy | responder.busy | out_valid)
        )

        rejected = Signal.like(counters.rejected)  # of the cycle before
        m.d.sync += rejected.eq(
            setup.rejected + loader.rejected + (responder.rejected | (held & (flit.kind == FlitKind.READOUT)))
        )
        saturated = Signal.like(membrane.saturated)  # of the cycle before, too
        m.d.sync += saturated.eq(membrane.saturated)
        m.d.comb += [
            counters.sops.eq(accumulator.sops),
            counters.spikes_in.eq(setup.spikes),
            counters.spikes_out.eq(emitter.spikes),
            counters.saturations.eq(saturated), counters.overflow.eq(saturated.any()),
            counters.rejected.eq(rejected),
            counters.busy.eq(accumulator.working), counters.stalled.eq(out_valid & ~self.o.ready & out_emitted),
            counters.hops.eq(self.hop), counters.dropped.eq(self.dropped),
        ]  # fmt: skip
        return m
