"""Max pooling: the largest of each window of requantized values, which the requantization pass left in V."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..config import ChipConfig, bits_for
from ..products import registered_product
from ..program import MAX_POOL_KERNEL, CoreDescriptor, Partials
from .ring import act_bits
from .storage import membrane_address_bits, sub_bits

__all__ = ["PoolPass"]


class _Axis:
    """A window's place on one axis: ``origin`` of the window and ``here`` in it, in neurons, may lie outside."""

    def __init__(self, m: Module, config: ChipConfig, name: str, size: Signal) -> None:
        shape = signed(bits_for(config.map_side) + 3)
        self.origin, self.here = Signal(shape, name=f"{name}_origin"), Signal(shape, name=f"{name}_here")
        self.offset = Signal(range(MAX_POOL_KERNEL), name=f"{name}_offset")
        self.inside = Signal(name=f"{name}_inside")
        m.d.comb += self.inside.eq((self.here >= 0) & (self.here < size))

    def go(self, origin) -> list:
        """The window begins at ``origin``."""
        return [self.origin.eq(origin), self.here.eq(origin), self.offset.eq(0)]

    def step(self) -> list:
        """One neuron on in the window."""
        return [self.here.eq(self.here + 1), self.offset.eq(self.offset + 1)]

    def back(self) -> list:
        """To the window's begin."""
        return [self.here.eq(self.origin), self.offset.eq(0)]


class PoolPass(wiring.Component):
    """Walks the windows, one sub-word of V per cycle: ``pool_kernel``^2 cycles for a sub-word of the result.

    The order is kernel column, kernel row, sub-word (of all groups), window column, window row.

    Members
    -------
    core : CoreDescriptor
        With ``pool``; constant since several cycles.
    start : bit
        Starts a pass while not ``busy``. V belongs to the pass until it is over.
    back : address
        First word of the slot that results go to.
    address, membrane : memory port
        Reads sub-words of V, one cycle of latency.
    act_en, act_sub, act_address, act_write : memory port
        Writes activations of a sub-word.
    busy : bit
    """

    def __init__(self, config: ChipConfig) -> None:
        self.config = config
        super().__init__({
            "core": In(CoreDescriptor(config)),
            "start": In(1),
            "back": In(act_bits(config)),
            "address": Out(membrane_address_bits(config)),
            "membrane": In(Partials(config)),
            "act_en": Out(1),
            "act_sub": Out(max(1, sub_bits(config))),
            "act_address": Out(act_bits(config)),
            "act_write": Out(data.ArrayLayout(config.act_bits, config.requant_lanes)),
            "busy": Out(1),
        })  # fmt: skip

    def elaborate(self, platform) -> Module:
        m = Module()
        config, core = self.config, self.core
        vb, sb = membrane_address_bits(config), sub_bits(config)
        y, x = _Axis(m, config, "y", core.height), _Axis(m, config, "x", core.width)
        # Constant since several cycles. One row or column on is that many sub-words.
        kernel_end, stride = Signal(range(MAX_POOL_KERNEL)), Signal(1 << len(core.pool_stride_log2))
        column, row, last_of_column = Signal(vb), Signal(vb, name="row"), Signal(vb)
        m.d.sync += [
            kernel_end.eq(core.pool_kernel - 1), stride.eq(1 << core.pool_stride_log2), column.eq(core.groups << sb),
            last_of_column.eq(column - 1),
        ]  # fmt: skip

        # Where the walk stands: a neuron, of its sub-words one.
        walking = Signal()
        sub, left, columns = Signal(vb), Signal.like(core.out_words), Signal.like(core.out_width)
        word = Signal(act_bits(config))
        last_x, last_y, last_sub, last_group = (Signal(name=f"last_{n}") for n in ("x", "y", "sub", "group"))
        m.d.comb += [
            last_x.eq(x.offset == kernel_end), last_y.eq(last_x & (y.offset == kernel_end)),
            last_sub.eq(last_y & (sub[:sb] == config.requant_subwords - 1)),
            last_group.eq(last_y & (sub == last_of_column)),
        ]  # fmt: skip
        with m.If(self.start & ~self.busy):
            m.d.sync += [
                walking.eq(core.out_words != 0), sub.eq(0), left.eq(core.out_words), columns.eq(core.out_width),
                word.eq(self.back), *y.go(-core.pool_y), *x.go(-core.pool_x),
            ]  # fmt: skip
        with m.Elif(walking):
            m.d.sync += x.step()
            with m.If(last_x):
                m.d.sync += [*x.back(), *y.step()]
            with m.If(last_y):
                m.d.sync += [sub.eq(sub + 1), *y.back()]
            with m.If(last_sub):
                m.d.sync += [word.eq(word + 1), left.eq(left - 1), walking.eq(left != 1)]
            with m.If(last_group):
                m.d.sync += [sub.eq(0), columns.eq(columns - 1), *x.go(x.origin + stride)]
                with m.If(columns == 1):
                    m.d.sync += [
                        columns.eq(core.out_width), *y.go(y.origin + stride), *x.go(-core.pool_x),
                    ]  # fmt: skip

        # 1: products. 2: the address, which may wrap where the neuron is outside; such a one is not looked at.
        rows_down, columns_right, sub_later = (Signal(vb, name=n) for n in ("rows_down", "columns_right", "sub_later"))
        registered_product(m, platform, row, core.width, column)
        registered_product(m, platform, rows_down, y.here, row)
        registered_product(m, platform, columns_right, x.here, column)
        m.d.sync += [sub_later.eq(sub), self.address.eq(rows_down + columns_right + sub_later)]

        # 3: memory. 4: the value, 0 outside. 5: the largest so far.
        place = data.StructLayout(
            {"valid": 1, "first": 1, "last": 1, "inside": 1, "word": act_bits(config), "sub": max(1, sb)}
        )
        stage = [Signal(place, name=f"stage_{n}") for n in range(6)]
        m.d.comb += [
            stage[0].valid.eq(walking), stage[0].first.eq((x.offset == 0) & (y.offset == 0)), stage[0].last.eq(last_y),
            stage[0].inside.eq(x.inside & y.inside), stage[0].word.eq(word), stage[0].sub.eq(sub[:sb]),
        ]  # fmt: skip
        for n in range(1, 6):
            m.d.sync += stage[n].eq(stage[n - 1])
        for n in range(config.requant_lanes):
            value, best = (Signal(config.act_bits, name=f"{s}_{n}") for s in ("value", "best"))
            m.d.sync += value.eq(Mux(stage[3].inside, self.membrane[n][: config.act_bits], 0))
            with m.If(stage[4].first | (value > best)):
                m.d.sync += best.eq(value)
            m.d.comb += self.act_write[n].eq(best)
        m.d.comb += [
            self.act_en.eq(stage[5].valid & stage[5].last), self.act_sub.eq(stage[5].sub),
            self.act_address.eq(stage[5].word),
            self.busy.eq(Cat(s.valid for s in stage).any()),
        ]  # fmt: skip
        return m
