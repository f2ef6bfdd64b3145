"""The host bridge alone: words in, flits out and back, with stalls on every stream."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.bridge import HostBridge
from hdl.config import PRESETS
from hdl.flit import Flit, FlitKind
from hdl.host import HostIn, HostOp, HostOut, HostTag, Register, RunState
from hdl.pack import pack, unpack
from hdl.program import Memory, chunks_of

CONFIG = PRESETS["test"]
FLIT = "payload.flit."


def flit_word(op: HostOp, kind: FlitKind, mem: Memory, addr: int, *, x1: int = 1, y1: int = 0) -> int:
    return pack(
        HostIn(CONFIG),
        {
            "op": op, FLIT + "kind": kind, FLIT + "dst.x0": 1, FLIT + "dst.x1": x1, FLIT + "dst.y1": y1,
            FLIT + "payload.memory.mem": mem, FLIT + "payload.memory.addr": addr,
        },
    )  # fmt: skip


def register_word(op: HostOp, register: Register, value: int = 0) -> int:
    return pack(HostIn(CONFIG), {"op": op, "payload.register.address": register, "payload.register.value": value})


class Bench:
    """Drives all streams of a bridge with stalls. ``answer``: the network answers READ flits."""

    def __init__(self, words, *, state=RunState.STOPPED, stall=0.3, seed=0, cycles=600, answer=True, sink=True) -> None:
        self.flits: list[dict[str, int]] = []
        self.sets: list[tuple[int, int]] = []
        self.out: list[dict[str, int]] = []
        self.stray = self.missing = self.free = 0
        self.outstanding = 0
        self.unsent = 0
        dut = HostBridge(CONFIG)
        rng = random.Random(seed)
        words = list(words)

        async def testbench(ctx):
            answers: list[int] = []
            offered, flit_offered, shown = False, False, None
            ctx.set(dut.state, state)
            ctx.set(dut.sample_open, state in (RunState.WAITING, RunState.RUNNING, RunState.PAUSED))
            for _ in range(cycles):
                offered = bool(words) and (offered or rng.random() >= stall)
                ctx.set(dut.i.valid, offered)
                if offered:
                    ctx.set(dut.i.payload, words[0])
                flit_offered = bool(answers) and (flit_offered or rng.random() >= stall)
                ctx.set(dut.flit_i.valid, flit_offered)
                if flit_offered:
                    ctx.set(dut.flit_i.payload, Flit(CONFIG).from_bits(answers[0]))
                ctx.set(dut.flit_o.ready, rng.random() >= stall)
                ctx.set(dut.o.ready, sink and rng.random() >= stall)
                ctx.set(dut.value, ctx.get(dut.get.as_value()) * 1000)
                if ctx.get(dut.set_valid):
                    self.sets.append((ctx.get(dut.set.address).value, ctx.get(dut.set.value)))
                if ctx.get(dut.o.valid):  # an offered word must not change
                    word = ctx.get(dut.o.payload)
                    assert shown in (None, word)
                    shown = None if ctx.get(dut.o.ready) else word
                    if ctx.get(dut.o.ready):
                        self.out.append(unpack(HostOut(CONFIG), word))
                assert ctx.get(dut.flit_i.ready) == 1, "ejection must never wait"
                if flit_offered:
                    answers.pop(0)
                    flit_offered = False
                if ctx.get(dut.flit_o.valid):
                    assert not ctx.get(dut.idle)
                    if ctx.get(dut.flit_o.ready):
                        flit = unpack(Flit(CONFIG), ctx.get(dut.flit_o.payload.as_value()))
                        self.flits.append(flit)
                        if flit["kind"] == FlitKind.READ.value and answer:
                            assert self.outstanding == 0, "a READ must wait for the answers to the one before"
                            count = chunks_of(CONFIG, Memory(flit["payload.memory.mem"]))
                            self.outstanding = count
                            for chunk in range(count):
                                answers.append(
                                    pack(
                                        Flit(CONFIG),
                                        {
                                            "kind": FlitKind.READOUT,
                                            "payload.readout.addr": flit["payload.memory.addr"],
                                            "payload.readout.chunk": chunk,
                                        },
                                    )
                                )
                self.outstanding = len(answers)
                if offered and ctx.get(dut.i.ready):
                    words.pop(0)
                    offered = False
                await ctx.tick()
            self.stray, self.missing, self.free = (
                ctx.get(s) for s in (dut.stray, dut.readout_missing, dut.readout_free)
            )
            self.unsent = len(words)

        simulator = Simulator(dut)
        simulator.add_clock(1e-6)
        simulator.add_testbench(testbench)
        simulator.run()


@pytest.mark.parametrize("seed", range(4))
def test_writes_sets_and_reads_pass_in_order(seed):
    words = [flit_word(HostOp.FLIT, FlitKind.WRITE, Memory.WEIGHT, a, x1=2, y1=1) for a in range(8)]
    words += [register_word(HostOp.SET, Register.STEPS, 7)]
    words += [flit_word(HostOp.FLIT, FlitKind.READ, Memory.COUNTER, a, x1=2, y1=1) for a in range(3)]
    words += [register_word(HostOp.GET, Register.CYCLES)]
    bench = Bench(words, seed=seed)
    assert [(f["payload.memory.addr"], f["dst.x1"]) for f in bench.flits] == [(a, 2) for a in range(8)] + [
        (a, 1) for a in range(3)
    ]
    assert bench.flits[-1]["dst.y1"] == 0  # a READ goes to one tile only
    assert bench.sets == [(Register.STEPS.value, 7)]
    chunks = [
        (w["payload.readout.addr"], w["payload.readout.chunk"]) for w in bench.out if w["tag"] == HostTag.READOUT.value
    ]
    assert chunks == [(a, c) for a in range(3) for c in range(chunks_of(CONFIG, Memory.COUNTER))]
    values = [w["payload.register.value"] for w in bench.out if w["tag"] == HostTag.REGISTER.value]
    assert values == [Register.CYCLES.value * 1000]
    assert (bench.stray, bench.missing, bench.free, bench.unsent) == (0, 0, CONFIG.readout_depth, 0)


def test_flits_wait_while_a_run_is_in_progress_and_registers_before_them_do_not():
    words = [register_word(HostOp.GET, Register.STATUS), flit_word(HostOp.FLIT, FlitKind.WRITE, Memory.WEIGHT, 1)]
    bench = Bench(words, state=RunState.RUNNING)
    assert bench.flits == []
    assert len(bench.out) == 1


def test_one_sample_is_let_in_and_the_next_one_waits():
    sample = [flit_word(HostOp.SAMPLE, FlitKind.WRITE, Memory.ACT, a) for a in range(3)] + [
        pack(HostIn(CONFIG), {"op": HostOp.SAMPLE_END})
    ]
    bench = Bench(sample * 2, state=RunState.RUNNING)
    assert [f["payload.memory.addr"] for f in bench.flits] == [0, 1, 2]
    assert bench.unsent == 3  # one more word is held inside


def test_samples_without_a_run_are_dropped_and_counted():
    sample = [flit_word(HostOp.SAMPLE, FlitKind.WRITE, Memory.ACT, a) for a in range(3)] + [
        pack(HostIn(CONFIG), {"op": HostOp.SAMPLE_END})
    ]
    bench = Bench(sample, state=RunState.STOPPED)
    assert bench.flits == []
    assert bench.stray == 4


def test_reads_wait_when_the_host_takes_nothing():
    words = [flit_word(HostOp.FLIT, FlitKind.READ, Memory.MEMBRANE, a) for a in range(40)]
    bench = Bench(words, sink=False, cycles=2000)
    # The queue fills, then reads wait at the bridge; no answer was lost or refused.
    assert bench.free < chunks_of(CONFIG, Memory.MEMBRANE)
    assert (bench.stray, bench.missing) == (0, 0)
    assert bench.unsent > 0


def test_a_word_of_no_known_kind_is_counted():
    bench = Bench([7 << 0], state=RunState.WAITING)  # op 7
    assert bench.stray == 1
