"""Each proof notices the faults that it is there for. Each fault is shown by an example from power-up."""

from collections.abc import Callable
from functools import partial

import pytest
from amaranth.hdl import Cat, Module, Signal

from hdl.arbiter import RoundRobin
from hdl.barrier import QuiescenceTree
from hdl.config import preset
from hdl.core.accumulate import Accumulator
from hdl.queue import Queue
from hdl.router import Port, Router, route
from hdl.sequencer import Sequencer
from hdl.sparsity import Sparsify
from sim.formal import accumulator, router
from sim.formal.accumulator import PlainMemory
from sim.formal.arbiter import Fairness
from sim.formal.barrier import TreeExact
from sim.formal.engine import Harness, Proof, prove
from sim.formal.lockstep import Lockstep
from sim.formal.mesh import InFlight
from sim.formal.numerics import Sparsity
from sim.formal.queue import QueueOrder
from sim.formal.router import Progress, RouterExact


class Overtakes(Queue):
    """Writes where it reads."""

    def elaborate(self, platform) -> Module:
        m = super().elaborate(platform)
        m.d.comb += self._write.addr.eq(self.head)
        return m


class Hasty(Queue):
    """Reads ahead what comes in, though other words are before it."""

    def elaborate(self, platform) -> Module:
        m = super().elaborate(platform)
        with m.If(self.o.ready):
            m.d.sync += self.early.eq(self.i.payload[self.width - self.ahead :])
        return m


class Unfair(RoundRobin):
    """Always begins with the same one."""

    def elaborate(self, platform) -> Module:
        m = super().elaborate(platform)
        m.d.sync += self.last.eq(0)
        return m


class Deaf(RoundRobin):
    """Does not hear the last one when it asks alone."""

    def elaborate(self, platform) -> Module:
        m = super().elaborate(platform)
        with m.If(self.request == 1 << self.count - 1):
            m.d.comb += self.choice.eq(0)
        return m


class Forgetful(QuiescenceTree):
    """Does not look at its first input."""

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.tree = tree = QuiescenceTree(inputs=len(self.i), arity=self.arity)
        m.d.comb += [tree.i.eq(self.i | 1), self.o.eq(tree.o)]
        return m


class Uneven(QuiescenceTree):
    """Sees its first input one cycle late."""

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.tree = tree = QuiescenceTree(inputs=len(self.i), arity=self.arity)
        late = Signal()
        m.d.sync += late.eq(self.i[0])
        m.d.comb += [tree.i.eq(Cat(late, self.i[1:])), self.o.eq(tree.o)]
        return m


class Unrounded(Sparsify):
    """No RoT, no DRLO."""

    def elaborate(self, platform) -> Module:
        m = super().elaborate(platform)
        late = Signal.like(self.a)
        m.d.sync += late.eq(self.a)
        m.d.comb += self.o.eq(late)
        return m


class Misroutes(Router):
    """Delivers in every row of the rectangle's columns."""

    @staticmethod
    def decide(source, dst, x, y):
        wanted = route(source, dst, x, y)
        return wanted | {Port.LOCAL: (dst.x0 <= x) & (x <= dst.x1)} if source is Port.EAST else wanted


class LosesCopy(Router):
    """Does not pass on along X what it also delivers."""

    @staticmethod
    def decide(source, dst, x, y):
        wanted = route(source, dst, x, y)
        return wanted | {Port.EAST: wanted[Port.EAST] & ~wanted[Port.LOCAL]} if source is Port.WEST else wanted


class Drops(Router):
    """Loses what comes from the south while something comes from the north."""

    def elaborate(self, platform) -> Module:
        m = super().elaborate(platform)
        with m.If(self.i_north.valid & self.i_north.ready):
            m.d.comb += self.stores[Port.SOUTH][0].i.valid.eq(0)
        return m


class SendsTwice(Router):
    """A fork forgets that it has delivered its copy while it waits for others."""

    def elaborate(self, platform) -> Module:
        m = super().elaborate(platform)
        m.d.sync += self.served[Port.WEST, Port.LOCAL].eq(0)
        return m


class CallsItselfIdle(Router):
    """Does not count the flits in its output registers."""

    def elaborate(self, platform) -> Module:
        m = super().elaborate(platform)
        m.d.comb += self.idle.eq(~Cat(queue.o.valid for queues in self.stores.values() for queue in queues).any())
        return m


class Starves(Router):
    """Serves its local port in a fixed order."""

    def __init__(self, config) -> None:
        super().__init__(config)
        self.arbiters[Port.LOCAL] = Unfair(self.arbiters[Port.LOCAL].count)


class Forgetting(Accumulator):
    """Forgets to look at one of the two visits before (see `_meets`), or at both."""

    forgotten: tuple[int, ...] = ()

    def _meets(self, visit, earlier):
        self._asked = getattr(self, "_asked", -1) + 1
        return super()._meets(visit, earlier) & (self._asked not in self.forgotten)


class ForgetsLast(Forgetting):
    forgotten = (0,)


class ForgetsSecond(Forgetting):
    forgotten = (1,)


class WritesZero(Accumulator):
    """Writes zero for one word in four."""

    def elaborate(self, platform) -> Module:
        m = super().elaborate(platform)
        with m.If(self.write_address == 3):
            m.d.comb += self.write.eq(0)
        return m


class Unblanked(Sequencer):
    """Believes the tree at once."""

    def __init__(self, config, *, round_trip: int) -> None:
        super().__init__(config, round_trip=1)


TWO_BY_TWO = router.CONFIG.replace(rows=2, cols=2)
TEST = preset("test")

Fault = tuple[Callable[[], Harness], int, int, str]
"""Harness with the fault; cycles to look at; cycle of the harness's `reached`; the claim that must be violated."""

QUICK: dict[str, Fault] = {
    "queue overtakes": (partial(QueueOrder, queue=Overtakes), 6, 6, "lies_where_it_should"),
    "queue hasty": (partial(QueueOrder, queue=Hasty), 6, 6, "early_is_the_head_s"),
    "arbiter unfair": (partial(Fairness, 4, arbiter=Unfair), 8, 8, "turn_comes_closer"),
    "arbiter deaf": (partial(Fairness, 4, arbiter=Deaf), 4, 8, "chosen_one_asked"),
    "tree forgets": (partial(TreeExact, inputs=6, tree=Forgetful), 8, 8, "true_only_when_all_were_idle"),
    "tree uneven": (partial(TreeExact, inputs=6, tree=Uneven), 8, 8, "true_"),
    "no rounding": (partial(Sparsity, part=Unrounded), 3, 3, "rot_then_drlo"),
    "forwarding": (
        partial(PlainMemory, accumulator=ForgetsLast, single=True), 10, 14, "writes_the_sum_of_all_visits",
    ),
}  # fmt: skip

LONG: dict[str, Fault] = {
    "router misroutes": (partial(RouterExact, router=Misroutes), 6, 12, "wants_what_it_should"),
    "router loses a copy": (partial(RouterExact, router=LosesCopy), 6, 12, "neither_lost_nor_doubled"),
    "router drops": (partial(RouterExact, router=Drops), 6, 12, "neither_lost_nor_doubled"),
    "fork sends twice": (partial(RouterExact, router=SendsTwice), 8, 12, "neither_lost_nor_doubled"),
    "router idle too early": (partial(RouterExact, router=CallsItselfIdle), 6, 12, "idle_only_without_it"),
    "router starves": (partial(Progress, router=Starves, most=9), 20, 12, "has_left_in_time"),
    "mesh misroutes": (partial(InFlight, router=Misroutes, config=TWO_BY_TWO), 12, 14, "delivered_where_it_should"),
    "mesh sends twice": (partial(InFlight, router=SendsTwice, config=TWO_BY_TWO), 12, 14, "delivered_once"),
    "mesh idle too early": (partial(InFlight, router=CallsItselfIdle, config=TWO_BY_TWO), 10, 14, "quiescent_only"),
    "forwarding over two": (
        partial(PlainMemory, accumulator=ForgetsSecond, single=True), 13, 14, "writes_the_sum_of_all_visits",
    ),
    "forwarding, two ports": (
        partial(
            PlainMemory, config=accumulator.CONFIG.replace(weight_ports=2), accumulator=ForgetsSecond, single=False
        ), 11, 14, "writes_the_sum_of_all_visits",
    ),
    "a word is not summed": (
        partial(PlainMemory, accumulator=WritesZero, single=True), 13, 14, "writes_the_sum_of_all_visits",
    ),
    "no blanking": (partial(Lockstep, config=TEST, sequencer=Unblanked), 26, 30, "commands_come_when_work_is_done"),
    "blanking too short": (partial(Lockstep, config=TEST, early=3), 32, 60, "next_sample_waits_until_all_know"),
    "tree forgets, in the chip": (
        partial(Lockstep, config=TEST, tree=Forgetful), 40, 60, "commands_come_when_flits_have_arrived",
    ),
}  # fmt: skip


def check(fault: Fault) -> None:
    make, depth, reach, claim = fault
    method = "bounded" if depth else "combinational"
    result = prove(Proof(name="fault", states="", make=make, method=method, depth=depth, reach=reach))
    assert not result.holds
    assert any(name.startswith(claim) for name in result.violated), f"violated: {result.violated}"


@pytest.mark.parametrize("name", QUICK)
def test_fault_is_found(name):
    check(QUICK[name])


@pytest.mark.long
@pytest.mark.parametrize("name", LONG)
def test_fault_is_found_in_time(name):
    check(LONG[name])
