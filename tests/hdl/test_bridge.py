"""The host bridge alone: words in, flits out and back, with stalls on every stream."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.bridge import HostBridge
from hdl.config import PRESETS
from hdl.flit import Flit, FlitKind
from hdl.host import ErrorCode, HostIn, HostOp, HostOut, HostTag, Register, RunState
from hdl.pack import pack, unpack
from hdl.program import Memory, chunks_of

CONFIG = PRESETS["test"]
SAMPLE_FLITS = 3
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
    """Drives all streams of a bridge with stalls. ``answer``: the network answers READ flits. ``window``: the cycle in
    which the read window asks for word 5 of COUNTER in tile (1, 2). ``reset_at``: that of a RESET from the bus.
    """

    def __init__(
        self,
        words,
        *,
        state=RunState.STOPPED,
        stall=0.3,
        seed=0,
        cycles=600,
        answer=True,
        sink=True,
        window=None,
        reset_at=None,
    ) -> None:
        self.flits: list[dict[str, int]] = []
        self.sets: list[tuple[int, int]] = []
        self.out: list[dict[str, int]] = []
        self.stray = self.missing = self.free = 0
        self.outstanding = 0
        self.unsent = 0
        self.complaints: list[ErrorCode] = []
        self.window_chunks: list[tuple[int, int]] = []
        self.lasts: list[int] = []
        dut = HostBridge(CONFIG)
        rng = random.Random(seed)
        words = list(words)

        async def testbench(ctx):
            answers: list[int] = []
            offered, flit_offered, shown = False, False, None
            ctx.set(dut.state, state)
            ctx.set(dut.sample_open, state in (RunState.WAITING, RunState.RUNNING, RunState.PAUSED))
            ctx.set(dut.sample_flits, SAMPLE_FLITS)
            for name, value in {"y": 1, "x": 2, "mem": Memory.COUNTER, "address": 5}.items():
                ctx.set(getattr(dut, f"window_{name}"), value)
            for cycle in range(cycles):
                if window == cycle:
                    ctx.set(dut.window_request, 1)
                for pulse in (dut.reset, dut.fresh):
                    ctx.set(pulse, reset_at == cycle)
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
                        self.lasts.append(ctx.get(dut.o_last))
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
                if (complaint := ctx.get(dut.complaint)) is not ErrorCode.NONE:
                    self.complaints.append(complaint)
                if ctx.get(dut.chunk_valid):
                    self.window_chunks.append((ctx.get(dut.chunk.chunk), ctx.get(dut.chunk_last)))
                taken = ctx.get(dut.window_taken)
                await ctx.tick()
                if taken:
                    ctx.set(dut.window_request, 0)
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


SAMPLE_END = pack(HostIn(CONFIG), {"op": HostOp.SAMPLE_END})


def sample_words(flits: int) -> list[int]:
    return [flit_word(HostOp.SAMPLE, FlitKind.WRITE, Memory.ACT, a) for a in range(flits)] + [SAMPLE_END]


BAD_WORDS = {
    "operation 5": (5, ErrorCode.PROTOCOL),
    "operation 6": (6, ErrorCode.PROTOCOL),
    "a word cut short": (HostOp.BROKEN.value, ErrorCode.FRAMING),
    "a spike": (flit_word(HostOp.FLIT, FlitKind.SPIKE, Memory.CORE, 0), ErrorCode.PROTOCOL),
    "a read-out": (flit_word(HostOp.FLIT, FlitKind.READOUT, Memory.CORE, 0), ErrorCode.PROTOCOL),
    "an empty rectangle": (flit_word(HostOp.FLIT, FlitKind.WRITE, Memory.CORE, 0, x1=0), ErrorCode.PROTOCOL),
    "outside the mesh": (flit_word(HostOp.FLIT, FlitKind.WRITE, Memory.CORE, 0, x1=3), ErrorCode.PROTOCOL),
    "the host's tile": (
        pack(HostIn(CONFIG), {"op": HostOp.FLIT, FLIT + "kind": FlitKind.WRITE}), ErrorCode.PROTOCOL,
    ),
    "a READ of the host's tile": (
        pack(HostIn(CONFIG), {"op": HostOp.FLIT, FLIT + "kind": FlitKind.READ, FLIT + "dst.x1": 1}), ErrorCode.PROTOCOL,
    ),
    "a sample that writes a weight": (flit_word(HostOp.SAMPLE, FlitKind.WRITE, Memory.WEIGHT, 0), ErrorCode.PROTOCOL),
    "a sample that reads": (flit_word(HostOp.SAMPLE, FlitKind.READ, Memory.ACT, 0), ErrorCode.PROTOCOL),
    "a read-only register": (register_word(HostOp.SET, Register.CYCLES), ErrorCode.PROTOCOL),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_WORDS)
def test_a_word_that_no_host_may_send_is_dropped_and_reported(name):
    word, error = BAD_WORDS[name]
    bench = Bench([word, register_word(HostOp.GET, Register.STATUS)], state=RunState.WAITING, cycles=60)
    assert bench.complaints == [error]
    assert (bench.stray, bench.flits, bench.sets, len(bench.out)) == (1, [], [], 1)


@pytest.mark.parametrize("name", ["operation 5", "a spike", "a sample that reads", "a read-only register"])
def test_a_bad_word_waits_while_the_chip_clears(name):
    """A chip that is being cleared cannot fail: the error would be lost."""
    bench = Bench([BAD_WORDS[name][0], 5, 5], state=RunState.CLEARING, cycles=60)
    assert (bench.complaints, bench.stray, bench.unsent) == ([], 0, 2)


def test_an_unknown_register_number_is_not_written():
    word = register_word(HostOp.SET, Register.STEPS) | 63 << 3  # the number follows the operation
    bench = Bench([word], cycles=40)
    assert (bench.sets, bench.complaints) == ([], [ErrorCode.PROTOCOL])


@pytest.mark.parametrize("flits", [0, 2, 4])
def test_a_sample_of_another_length_is_refused(flits):
    bench = Bench(sample_words(SAMPLE_FLITS) + sample_words(flits), state=RunState.WAITING, cycles=200)
    assert bench.complaints == []  # the first one waits to be taken
    bench = Bench(sample_words(flits), state=RunState.WAITING, cycles=200)
    assert bench.complaints == [ErrorCode.SAMPLE]


@pytest.mark.parametrize("seed", range(4))
def test_read_window_among_words(seed):
    """Its answer goes to the window, all others to the host, and no READ overtakes the answer to another."""
    words = [flit_word(HostOp.FLIT, FlitKind.READ, Memory.MEMBRANE, a) for a in range(3)]
    bench = Bench(words, seed=seed, window=20 + 7 * seed)
    reads = [(f["dst.x0"], f["dst.y0"], f["payload.memory.mem"], f["payload.memory.addr"]) for f in bench.flits]
    assert (2, 1, Memory.COUNTER.value, 5) in reads and len(reads) == 4
    last = chunks_of(CONFIG, Memory.COUNTER) - 1
    assert bench.window_chunks == [(chunk, int(chunk == last)) for chunk in range(last + 1)]
    count = chunks_of(CONFIG, Memory.MEMBRANE)
    assert [w["payload.readout.chunk"] for w in bench.out] == list(range(count)) * 3
    assert bench.lasts == ([0] * (count - 1) + [1]) * 3
    assert (bench.stray, bench.missing, bench.complaints) == (0, 0, [])


def test_read_window_passes_words_that_wait():
    """The second sample cannot go in; a READ flit behind it could not either."""
    bench = Bench(sample_words(3) * 2, state=RunState.PAUSED, window=100)
    assert bench.unsent > 0
    assert len(bench.window_chunks) == chunks_of(CONFIG, Memory.COUNTER)


def test_reset_from_the_bus_drops_the_word_that_waits():
    words = [flit_word(HostOp.FLIT, FlitKind.WRITE, Memory.WEIGHT, 1), register_word(HostOp.GET, Register.STATUS)]
    assert Bench(words, state=RunState.RUNNING, cycles=100).out == []
    bench = Bench(words, state=RunState.RUNNING, cycles=100, reset_at=50)
    assert len(bench.out) == 1 and bench.flits == []


def test_reset_forgets_what_is_due():
    words = [flit_word(HostOp.FLIT, FlitKind.READ, Memory.MEMBRANE, 0)]
    bench = Bench(words, answer=False, reset_at=100, cycles=200)
    assert (bench.missing, bench.free) == (0, CONFIG.readout_depth)
    assert Bench(words, answer=False, cycles=200).missing > 0
