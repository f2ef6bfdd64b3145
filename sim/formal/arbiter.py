"""Round robin: the chosen one asked, and nobody waits for more than one transfer of each other one."""

from functools import partial

from amaranth.hdl import Assume, Module, Signal

from hdl.arbiter import RoundRobin

from .engine import Harness, Proof

__all__ = ["PROOFS", "Fairness"]


class Fairness(Harness):
    """One requester, whichever, keeps asking until it is served; transfers of others meanwhile are counted."""

    def __init__(self, count: int = 5, *, arbiter: type[RoundRobin] = RoundRobin) -> None:
        self.arbiter = arbiter(count)
        super().__init__({"request": count, "advance": 1, "who": range(count)})

    def statements(self, m: Module) -> None:
        """See :class:`Fairness`."""
        m.submodules.arbiter = arbiter = self.arbiter
        count = arbiter.count
        m.d.comb += [arbiter.request.eq(self.request), arbiter.advance.eq(self.advance)]
        who, started = Signal.like(self.who), Signal()
        m.d.sync += [who.eq(self.who), started.eq(1)]
        m.d.comb += Assume(self.who < count)
        asks, served, others = Signal(), Signal(), Signal()
        transfer = self.advance & self.request.any()
        m.d.comb += [
            asks.eq(self.request.bit_select(self.who, 1)),
            served.eq(transfer & asks & (arbiter.choice == self.who)),
            others.eq(transfer & asks & (arbiter.choice != self.who)),
        ]  # fmt: skip
        waits, overtaken = Signal(), Signal(range(count + 1))
        m.d.sync += waits.eq(asks & ~served)
        with m.If(others):
            m.d.sync += overtaken.eq(overtaken + 1)
        with m.If(served | ~asks):
            m.d.sync += overtaken.eq(0)
        with m.If(started):
            m.d.comb += Assume(self.who == who)
            m.d.comb += Assume(~waits | asks)
        with m.If(self.request.any()):
            self.claim(m, "chosen_one_asked", self.request.bit_select(arbiter.choice, 1) & (arbiter.choice < count))
        self.claim(m, "nobody_waits_longer", overtaken + others <= count - 1)
        self.claim(m, "last_exists", arbiter.last < count)
        # Invariant: each transfer brought the turn closer.
        distance = Signal(range(count))
        with m.Switch(arbiter.last):
            for last in range(count):
                with m.Case(last):
                    with m.Switch(who):
                        for one in range(count):
                            with m.Case(one):
                                m.d.comb += distance.eq((one - last - 1) % count)
        with m.If(waits & (overtaken != 0)):
            self.claim(m, "turn_comes_closer", overtaken + distance <= count - 1)
        self.claim(m, "only_who_waits_is_overtaken", (overtaken == 0) | waits)
        m.d.comb += self.reached.eq(served & (overtaken == count - 1))


PROOFS = [
    Proof(
        name=f"arbiter_{count}", make=partial(Fairness, count), method="induction", depth=4, reach=8,
        states=f"of {count}, the one that asks is served after at most {count - 1} others",
    )
    for count in (2, 4, 5)
]  # fmt: skip
