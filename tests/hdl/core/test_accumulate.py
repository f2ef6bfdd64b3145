"""The accumulator is a plain memory: random jobs on few words, so that visits of one word follow closely.

The memories here answer at random where a read meets a write.
"""

import random
import sys
from pathlib import Path

import pytest
from amaranth.hdl import Const
from amaranth.sim import Simulator

sys.path.insert(0, str(Path(__file__).parent))

from jobs import walk

from hdl.config import ChipConfig, preset
from hdl.core.accumulate import Accumulator
from hdl.core.address import Job

WEIGHTS, WORDS, LAST_LANES = 64, 4, 3
BASE = preset("test").replace(weight_words=WEIGHTS, neuron_words=WORDS, isum_bits=20)
CASES = {
    "one_port": BASE.replace(weight_ports=1),
    "two_ports": BASE,
    "narrow": BASE.replace(isum_bits=12, max_edge_shift=7),
    "wide": BASE.replace(lanes=16, isum_bits=24),
}


def draw(rng: random.Random, config: ChipConfig) -> dict:
    """Fields of a job. Its walk need not be one that a bundle can cause."""
    lanes, ports = config.lanes, config.weight_ports
    depthwise = rng.random() < 0.3
    mask = rng.randrange(1, 1 << lanes) & (rng.randrange(1 << lanes) if rng.random() < 0.5 else -1) or 1
    bits = mask.bit_count()
    top = rng.choice((0, 0, 0, 1, 2))
    return {
        "rows": rng.choice((0, 0, 1)), "columns": rng.choice((0, 1, 2)), "groups": 0 if depthwise else top,
        "visits": 0 if depthwise else -(-bits // ports) - 1, "single": depthwise or bits % 2,
        "base": rng.randrange(WEIGHTS), "row_shift": 0 if depthwise else rng.randint(0, lanes.bit_length() - 1),
        **{name: rng.randrange(WEIGHTS) for name in ("block", "block_column", "block_row")},
        **{name: rng.randrange(WORDS) for name in ("neuron", "neuron_column", "neuron_row")},
        "mask": mask, "depthwise": depthwise, "reach": rng.randint(0, bits), "signed": rng.random() < 0.3,
        "shift": rng.choice((0, rng.randint(0, config.max_edge_shift))),
    }  # fmt: skip


class PlainMemory:
    """I(t) as jobs leave it, one after the other."""

    def __init__(self, config: ChipConfig, weights: list[list[int]], words: list[list[int]], first: int) -> None:
        self.config, self.weights, self.words, self.first = config, weights, [list(word) for word in words], first
        self.sops = self.visits = 0

    def do(self, job) -> None:
        lanes, half = self.config.lanes, 1 << (self.config.isum_bits - 1)
        sign = -1 if job.signed and self.first else 1
        for address, neuron, last in walk(job, WEIGHTS, WORDS):
            self.visits += job.visits + 1
            own, set_bits = self.words[neuron], [bit for bit in range(lanes) if job.mask >> bit & 1]
            if job.depthwise:
                self.sops += job.reach
                for lane in set_bits:
                    own[lane] += sign * self.weights[address][lane] << job.shift
            else:
                self.sops += len(set_bits) * (LAST_LANES if last else lanes)
                for bit in set_bits:
                    for lane in range(lanes):
                        own[lane] += sign * self.weights[(address + bit) % WEIGHTS][lane] << job.shift
            own[:] = [(value + half) % (2 * half) - half for value in own]


def run(dut: Accumulator, seed: int, *, jobs: int, gaps: float) -> None:
    """Random jobs; I(t), SOPs and visits are compared, and that there is no cycle without a visit unless a gap is."""
    config, rng, layout = dut.config, random.Random(seed), Job(dut.config)
    span = 1 << config.isum_bits
    numbers = lambda bits: [rng.randrange(1 << bits) - (1 << bits >> 1) for _ in range(config.lanes)]  # noqa: E731
    weights = [numbers(config.weight_bits) for _ in range(WEIGHTS)]
    words = [numbers(config.isum_bits) for _ in range(WORDS)]
    first = rng.randrange(2)
    expected = PlainMemory(config, weights, words, first)
    todo = [layout.const(draw(rng, config)) for _ in range(jobs)]
    for job in todo:
        expected.do(job)
    found = {"sops": 0, "visits": 0, "cycles": 0, "steps": 0}

    async def bench(ctx) -> None:
        ctx.set(dut.core.last_lanes, LAST_LANES)
        ctx.set(dut.first, first)
        offering, waiting = False, list(todo)
        for _ in range(20 * expected.visits):
            offering = bool(waiting) and (offering or rng.random() >= gaps)
            ctx.set(dut.i.valid, offering)
            if offering:
                ctx.set(dut.i.payload, layout.from_bits(waiting[0].as_bits()))
            _, _, ready, working, sops, busy, write_en, where, values, read, *ports = await ctx.tick().sample(
                dut.i.ready, dut.working, dut.sops, dut.busy, dut.write_en, dut.write_address, dut.write,
                dut.read_address, *(dut.weight_address[port] for port in range(config.weight_ports)),
            )  # fmt: skip
            word = numbers(config.isum_bits) if write_en and read == where else words[read]
            ctx.set(dut.read, [value % span for value in word])
            for port, address in enumerate(ports):
                ctx.set(dut.weight[port], weights[address])
            assert busy or found["steps"] == 0 or not values.as_bits()
            found["steps"] += 1
            if write_en:
                words[where] = [values[lane] for lane in range(config.lanes)]
            if offering and ready:
                offering = False
                waiting.pop(0)
            found["sops"] += sops
            found["visits"] += working
            found["cycles"] += bool(found["visits"]) and found["visits"] < expected.visits
            if not (waiting or busy or offering):
                break
        else:
            raise TimeoutError(f"seed {seed}: {len(waiting)} jobs are left")

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert words == expected.words, f"I(t) differs, seed {seed}"
    assert (found["sops"], found["visits"]) == (expected.sops, expected.visits)
    if not gaps:
        assert found["cycles"] == expected.visits - 1, "a cycle without a visit"


@pytest.mark.parametrize("gaps", [0.0, 0.7])
@pytest.mark.parametrize("name", CASES)
def test_it_is_a_plain_memory(name: str, gaps: float) -> None:
    run(Accumulator(CASES[name]), sum(map(ord, name)), jobs=120, gaps=gaps)


class Faulty(Accumulator):
    """Forgets to look at one of the two visits before."""

    def __init__(self, config: ChipConfig, forgotten: int) -> None:
        super().__init__(config)
        self._calls, self._forgotten = 0, forgotten

    def _meets(self, visit, earlier):
        self._calls += 1
        return Const(0) if self._calls == self._forgotten else super()._meets(visit, earlier)


@pytest.mark.parametrize("forgotten", [1, 2])
@pytest.mark.parametrize("ports", [1, 2])
def test_forwarding_that_misses_a_visit_is_caught(ports: int, forgotten: int) -> None:
    with pytest.raises(AssertionError, match="differs, seed 3"):
        run(Faulty(BASE.replace(weight_ports=ports), forgotten), 3, jobs=40, gaps=0.0)
