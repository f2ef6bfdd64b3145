"""Who has the ports of a core's memories, and when."""

from amaranth.hdl import Cat, Module, Mux, Signal

from ..config import ChipConfig
from ..program import WRITABLE, Memory
from ..select import decoded
from .respond import Task
from .storage import sub_bits

__all__ = ["connect_memories"]


def connect_memories(
    m: Module, config: ChipConfig, storage, setup, accumulator, membrane, pool, ring, emitter, loader, responder, calm
) -> None:
    """Connects every port to the block that works with the memory, by the rules of :class:`hdl.core.core.Core`.

    An answer to READ has all read ports for a cycle. A read-out has that of the activations or of V, a partial sum that
    of V, and nothing else wants it meanwhile.
    """
    _connect_reads(m, config, storage, setup, accumulator, membrane, pool, ring, emitter, responder, calm)
    _connect_writes(m, config, storage, accumulator, membrane, pool, ring, loader)


def _connect_reads(m, config, storage, setup, accumulator, membrane, pool, ring, emitter, responder, calm) -> None:
    answering = responder.task == Task.ANSWER
    # While calm nobody reads but a flit that has just come, and that one an edge. So an address may be there early.
    early = responder.active & (~answering | calm)
    asked = early & answering
    where = responder.address
    m.d.comb += [
        storage.edge_address.eq(Mux(responder.port & answering, where, setup.edge_address)),
        storage.edge_en.eq((responder.port & answering) | setup.edge_en),
        storage.route_address.eq(Mux(asked, where, emitter.route_address)),
        storage.requant_address.eq(Mux(asked, where, membrane.requant_address)),
        storage.weight_address.eq(Mux(asked, where, accumulator.weight_address[0])),
        storage.isum_address.eq(
            Mux(asked, where, Mux(membrane.busy, membrane.isum_address, accumulator.read_address))
        ),
        accumulator.select.eq(membrane.isum_select | responder.isum_select),
        storage.membrane_address.eq(Mux(pool.busy, pool.address, membrane.address)),
        storage.act_address.eq(emitter.word_address), storage.act_en.eq(emitter.word_en),
        setup.edge.eq(storage.edge_read), emitter.route.eq(storage.route_read),
        membrane.requant.eq(storage.requant_read), accumulator.weight[0].eq(storage.weight_read),
        accumulator.read.eq(storage.isum_read), membrane.current.eq(accumulator.part),
        membrane.membrane.eq(storage.membrane_read), pool.membrane.eq(storage.membrane_read),
        emitter.word.eq(storage.act_read), responder.data.core.eq(storage.core),
    ]  # fmt: skip
    if config.weight_ports == 2:
        m.d.comb += [
            storage.weight_b_address.eq(accumulator.weight_address[1]),
            accumulator.weight[1].eq(storage.weight_b_read),
        ]
    with m.If(early):
        m.d.comb += [
            storage.membrane_address.eq(Cat(responder.sub[: sub_bits(config)], where)),
            storage.act_address.eq(Mux(answering, ring.back, ring.newest) + where),
        ]
    with m.If(early | responder.bulk):
        m.d.comb += [storage.act_en.eq(~responder.hold), storage.membrane_en.eq(~responder.hold)]
    for memory in storage.MEMORIES:
        name = memory.name.lower()
        read = accumulator.part if memory is Memory.ISUM else getattr(storage, f"{name}_read")
        m.d.comb += getattr(responder.data, name).eq(read)


def _connect_writes(m, config, storage, accumulator, membrane, pool, ring, loader) -> None:
    """The loader's word, for the neurons' memories also passes and the accumulator."""
    for memory in WRITABLE:
        if memory is Memory.PARTIAL:
            continue
        name = memory.name.lower()
        m.d.comb += [
            getattr(storage, f"{name}_write_en").eq(loader.writes(memory)),
            getattr(storage, f"{name}_write").eq(loader.word(memory)),
        ]
        if memory is not Memory.CORE:
            m.d.comb += getattr(storage, f"{name}_write_address").eq(loader.address)
    if config.parts > 1:
        m.d.comb += [
            membrane.add_read.eq(loader.writes(Memory.PARTIAL)), membrane.add_address.eq(loader.address),
        ]  # fmt: skip
        m.d.sync += [membrane.add.eq(membrane.add_read), membrane.part.eq(loader.word(Memory.PARTIAL))]
    subwords = config.requant_subwords
    with m.If(loader.writes(Memory.ACT)):
        m.d.comb += [
            storage.act_write_en.eq((1 << subwords) - 1), storage.act_write_address.eq(ring.back + loader.address),
        ]  # fmt: skip
    with m.Else():
        source = Signal()  # long before the pooling pass's first result until after its last one
        m.d.sync += source.eq(pool.busy)
        part = decoded(Mux(source, pool.act_sub, membrane.act_sub), subwords)
        m.d.comb += [
            storage.act_write_en.eq(
                (part | membrane.act_all.replicate(subwords))
                & Mux(source, pool.act_en, membrane.act_en).replicate(subwords)
            ),
            storage.act_write_address.eq(Mux(source, pool.act_address, membrane.act_address)),
            storage.act_write.eq(
                Mux(source, pool.act_write.as_value(), membrane.act_write.as_value()).replicate(subwords)
            ),
        ]  # fmt: skip
    m.d.comb += [
        storage.membrane_write_en.eq(membrane.write_en), storage.membrane_write_address.eq(membrane.write_address),
        storage.membrane_write.eq(membrane.write),
        storage.isum_write_address.eq(membrane.isum_clear_address), storage.isum_write_en.eq(membrane.isum_clear),
        storage.isum_write.eq(accumulator.write),  # zero unless the accumulator writes: what a pass wants
    ]  # fmt: skip
    with m.If(accumulator.write_en):
        m.d.comb += [
            storage.isum_write_address.eq(accumulator.write_address),
            storage.isum_write_en.eq(1),
        ]  # fmt: skip
