"""The engine itself: what it must find, and the proofs that it must refuse."""

from dataclasses import replace

import pytest
from amaranth.hdl import Assume, Const, Module, Mux, Signal

from sdann.errors import ToolMissingError
from sim.formal.engine import Harness, Proof, ProofError, prove


class Counter(Harness):
    """Counts to ``top`` and stays there; claims that it is not ``never`` while the solver's bit is set."""

    def __init__(self, *, top: int = 9, never: int | None = None, start: int = 0, say: bool = True) -> None:
        self.top, self.never, self.start, self.say = top, never, start, say
        super().__init__({"bit": 1})

    def statements(self, m: Module) -> None:
        count = Signal(4, init=self.start)
        m.d.sync += count.eq(Mux(count == self.top, self.top, count + 1))
        if self.say:
            self.claim(
                m, "not_that", (count != self.never) | ~self.bit if self.never is not None else count <= self.top
            )
        m.d.comb += self.reached.eq(count == 3)


def proof(**changes) -> Proof:
    base = Proof(name="counter", states="", make=Counter, method="induction", depth=3, reach=4)
    return replace(base, **changes)


def test_what_holds_is_proved():
    result = prove(proof())
    assert result.holds and result.depth == 1 and not result.violated
    assert result.as_dict()["holds"] is True


def test_what_induction_cannot_show_does_not_hold():
    """12 is never reached, but two steps do not tell that 10 and 11 are not."""
    unreachable = lambda: Counter(never=12)  # noqa: E731
    assert not prove(proof(make=unreachable, depth=2)).holds
    assert prove(proof(make=unreachable, depth=3)).depth == 3
    assert prove(proof(make=unreachable, method="bounded", depth=30)).holds


@pytest.mark.parametrize("never", [0, 7])
def test_a_bounded_proof_sees_every_cycle_from_the_first_one_to_its_depth(never):
    wrong = proof(make=lambda: Counter(never=never), method="bounded")
    if never:
        assert prove(replace(wrong, depth=never)).holds
    result = prove(replace(wrong, depth=never + 1))
    assert not result.holds and result.depth == never + 1
    assert result.violated == ("not_that",)


def test_induction_sees_the_first_cycle():
    result = prove(proof(make=lambda: Counter(never=0)))
    assert not result.holds and result.violated == ("not_that",)


def test_a_proof_about_what_cannot_happen_is_refused():
    with pytest.raises(ProofError, match="counter: what it is about cannot happen"):
        prove(proof(reach=3))


def test_assumptions_that_exclude_everything_are_refused():
    class Impossible(Counter):
        def statements(self, m: Module) -> None:
            super().statements(m)
            m.d.comb += Assume(Const(0))

    with pytest.raises(ProofError, match="cannot happen"):
        prove(proof(make=Impossible))


@pytest.mark.parametrize("make", [lambda: Counter(say=False), lambda: Counter(top=15)], ids=["no claim", "always true"])
def test_a_proof_that_claims_nothing_is_refused(make):
    with pytest.raises(ProofError, match="counter: nothing is asserted"):
        prove(proof(make=make))


def test_an_edit_must_change_something():
    with pytest.raises(ProofError, match="counter: the edit changed nothing"):
        prove(proof(), edit=lambda text: text.replace("no such text", ""))


def test_an_edit_is_what_is_proved():
    """It is said never to be 12; then never 7."""
    never = proof(make=lambda: Counter(never=12), method="bounded", depth=9)
    assert prove(never).holds
    assert prove(never, edit=lambda text: text.replace("4'1100", "4'0111")).violated == ("not_that",)


def test_a_text_that_yosys_refuses_is_no_failed_proof():
    with pytest.raises(ProofError):
        prove(proof(), edit=lambda text: text + "\nnonsense\n")


def test_no_answer_is_no_failed_proof():
    with pytest.raises(ProofError, match="no answer within 0.01 s"):
        prove(proof(), timeout=0.01)


def test_without_yosys_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ToolMissingError, match=r"pip install 'sdann\[fpga\]'"):
        prove(proof())
