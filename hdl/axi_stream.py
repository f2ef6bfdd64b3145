"""Host words on AXI4-Stream (ARM IHI 0051): any width of a power of two bytes, little-endian, lowest beat first."""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from .config import ChipConfig, ConfigError
from .host import HostIn, HostOp, host_in_bits, host_out_bits

__all__ = ["AxiStream", "WordsIn", "WordsOut", "beats_of", "data_bytes_for"]


def data_bytes_for(bits: int, data_bytes: int | None) -> int:
    """Bytes of TDATA for words of ``bits``: ``data_bytes``, or as many as take a word in one beat.

    Raises :class:`hdl.config.ConfigError` unless it is a power of two.
    """
    if data_bytes is None:
        data_bytes = 1 << (-(-bits // 8) - 1).bit_length()
    if data_bytes < 1 or data_bytes > 128 or data_bytes & (data_bytes - 1):
        raise ConfigError(f"TDATA must have a power of two of bytes, up to 128, not {data_bytes}")
    return data_bytes


def beats_of(bits: int, data_bytes: int) -> int:
    """Beats that a word of ``bits`` takes."""
    return -(-bits // (data_bytes * 8))


class AxiStream(wiring.Signature):
    """The signals of a stream, as its source drives them. ``keep``: with TKEEP."""

    def __init__(self, data_bytes: int, *, keep: bool) -> None:
        members = {
            "tdata": Out(data_bytes * 8), "tlast": Out(1), "tvalid": Out(1), "tready": In(1),
        }  # fmt: skip
        super().__init__(members | ({"tkeep": Out(data_bytes)} if keep else {}))


class WordsIn(wiring.Component):
    """Beats become host words.

    A word begins with a beat of its own; what its last beat holds beyond it is ignored. TLAST ends a program or a
    sample: after a SAMPLE word it stands for SAMPLE_END. A word that TLAST cuts short, or of which TKEEP leaves out a
    byte, becomes HostOp.BROKEN.

    Members
    -------
    axis : AxiStream
    o : stream of host words
    """

    def __init__(self, config: ChipConfig, *, data_bytes: int | None = None) -> None:
        self.config = config
        self.bits = host_in_bits(config)
        self.data_bytes = data_bytes_for(self.bits, data_bytes)
        super().__init__(
            {
                "axis": In(AxiStream(self.data_bytes, keep=True)),
                "o": Out(stream.Signature(self.bits)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        axis, width = self.axis, self.data_bytes * 8
        beats = beats_of(self.bits, self.data_bytes)
        m.submodules.words = words = SyncFIFO(width=self.bits + 1, depth=4)
        beat = Signal(range(beats))
        so_far, bad = Signal(width * (beats - 1)), Signal()
        m.d.comb += axis.tready.eq(words.w_rdy)

        # Bytes of the last beat beyond the word may be missing.
        spare = beats * self.data_bytes - self.bits // 8
        final, broken, whole = Signal(), Signal(), Signal(self.bits)
        m.d.comb += final.eq(beat == beats - 1)
        needed = Mux(final, (1 << (self.data_bytes - spare)) - 1, (1 << self.data_bytes) - 1)
        m.d.comb += [
            broken.eq(bad | ((needed & ~axis.tkeep) != 0) | (axis.tlast & ~final)),
            whole.eq(Cat(so_far, axis.tdata)),
        ]
        layout = HostIn(self.config)
        operation = layout(whole[: layout.size]).op
        with m.If(axis.tvalid & axis.tready):
            with m.If(final | axis.tlast):
                m.d.sync += [beat.eq(0), bad.eq(0)]
                m.d.comb += words.w_en.eq(1)
            with m.Else():
                m.d.sync += [beat.eq(beat + 1), bad.eq(broken)]
                for index in range(beats - 1):
                    with m.If(beat == index):
                        m.d.sync += so_far[index * width : (index + 1) * width].eq(axis.tdata)
        m.d.comb += words.w_data.eq(Cat(whole, axis.tlast & (operation == HostOp.SAMPLE)))
        with m.If(broken):
            m.d.comb += words.w_data.eq(HostOp.BROKEN.value)

        ending = Signal()  # the word was passed on, its SAMPLE_END was not
        closes = words.r_data[-1]
        m.d.comb += [
            self.o.valid.eq(words.r_rdy),
            self.o.payload.eq(Mux(ending, HostOp.SAMPLE_END.value, words.r_data[: self.bits])),
            words.r_en.eq(self.o.ready & (~closes | ending)),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += ending.eq(closes & ~ending)
        return m


class WordsOut(wiring.Component):
    """Host words become beats, zeros above a word's last bit. TLAST ends a sample's read-out, and an answer.

    Members
    -------
    i, i_last : stream of host words, bit
    axis : AxiStream
    """

    def __init__(self, config: ChipConfig, *, data_bytes: int | None = None) -> None:
        self.config = config
        self.bits = host_out_bits(config)
        self.data_bytes = data_bytes_for(self.bits, data_bytes)
        super().__init__(
            {
                "i": In(stream.Signature(self.bits)),
                "i_last": In(1),
                "axis": Out(AxiStream(self.data_bytes, keep=False)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        axis, width = self.axis, self.data_bytes * 8
        beats = beats_of(self.bits, self.data_bytes)
        beat = Signal(range(beats))
        padded = Signal(beats * width)
        final = Signal()
        m.d.comb += [
            padded.eq(self.i.payload), final.eq(beat == beats - 1),
            axis.tvalid.eq(self.i.valid), axis.tdata.eq(padded.word_select(beat, width)),
            axis.tlast.eq(self.i_last & final), self.i.ready.eq(axis.tready & final),
        ]  # fmt: skip
        with m.If(axis.tvalid & axis.tready):
            m.d.sync += beat.eq(Mux(final, 0, beat + 1))
        return m
