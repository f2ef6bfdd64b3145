"""Integration and requantization in hardware against the integer formulas, in unbounded Python integers."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import ChipConfig
from hdl.neuron import ADDEND_AT, MEMBRANE_AT, VALUE_AT, NeuronLane

CONFIGS = {
    "small": ChipConfig(
        rows=1, cols=2, time_steps=4, isum_bits=8, membrane_bits=8, bias_bits=4, mult_bits=4, max_shift=7, out_bits=6
    ),
    "default": ChipConfig(rows=1, cols=2),
    "darwin3": ChipConfig(rows=1, cols=2, membrane_bits=16, parts=1),
    "wide": ChipConfig(
        rows=1, cols=2, time_steps=16, isum_bits=32, membrane_bits=40, bias_bits=32, mult_bits=24, max_shift=40,
        out_bits=32, parts=16,
    ),
    "wide_bias": ChipConfig(rows=1, cols=2, membrane_bits=8, bias_bits=32, out_bits=2),
}  # fmt: skip


def half(shift):
    return 1 << (shift - 1) if shift else 0


def integrated(c, bits):
    """The definition, literally; ``c`` holds current, membrane, from_zero, scaled, mult1, shift1."""
    current = (c["current"] * c["mult1"] + half(c["shift1"])) >> c["shift1"] if c["scaled"] else c["current"]
    total = (0 if c["from_zero"] else 2 * c["membrane"]) + current
    clipped = max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, total))
    return clipped, int(clipped != total)


def requantized(c):
    """The definition, literally; ``c`` holds membrane, mult, shift, bias, bias_in_sum, lo, hi, rot, truncate."""
    if c["bias_in_sum"]:
        raw = ((c["membrane"] + c["bias"]) * c["mult"] + half(c["shift"])) >> c["shift"]
    else:
        raw = (c["membrane"] * c["mult"] + (c["bias"] << c["shift"]) + half(c["shift"])) >> c["shift"]
    a = max(c["lo"], min(c["hi"], raw))
    if k := c["rot"]:
        a = (a >> k) << k if c["truncate"] else min(((a + half(k)) >> k) << k, (c["hi"] >> k) << k)
    return a


def simulate(config, cases, constant=()):
    """A case per cycle; returns (v, saturated, value) of each. ``constant``: of all cases, as pairs."""
    dut = NeuronLane(config)
    seen = []
    late = ("from_zero", "add", "part")

    async def bench(ctx):
        for name, value in constant:
            ctx.set(getattr(dut, name), value)
        for cycle in range(len(cases) + VALUE_AT):
            now = cases[cycle] if cycle < len(cases) else {}
            before = cases[cycle - ADDEND_AT] if 0 <= cycle - ADDEND_AT < len(cases) else {}
            for name, value in now.items():
                if name not in late and name != "membrane":
                    ctx.set(getattr(dut, name), value)
            for name in late:
                if name in before:
                    ctx.set(getattr(dut, name), before[name])
            # Integration reads V late, requantization early.
            source = before if ctx.get(dut.integrate) or before.get("add") else now
            ctx.set(dut.membrane, source.get("membrane", 0))
            if 0 <= cycle - MEMBRANE_AT < len(cases):
                seen.append([ctx.get(dut.v), ctx.get(dut.saturated)])
            if cycle >= VALUE_AT:
                seen[cycle - VALUE_AT].append(ctx.get(dut.value))
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert len(seen) == len(cases)
    return [tuple(results) for results in seen]


def corner(rng, low, high):
    """A value that is often an extreme, near zero or small."""
    kind = rng.randrange(4)
    if kind == 0:
        return rng.choice([v for v in (low, low + 1, high - 1, high, 0, 1, -1) if low <= v <= high])
    if kind == 1:
        return max(low, min(high, rng.randint(-20, 20)))
    return rng.randint(low, high)


def signed_corner(rng, bits):
    return corner(rng, -(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def integration_cases(config, rng, count):
    """V(t-1) and currents, at random and so that sums are exactly at the limits and one beyond."""
    bits, limit = config.membrane_bits, 1 << (config.membrane_bits - 1)
    cases = [
        {"current": signed_corner(rng, config.isum_bits), "membrane": signed_corner(rng, bits)} for _ in range(count)
    ]
    reach = min(limit // 2, 1 << (config.isum_bits - 2))
    for target in (limit - 1, limit, -limit, -limit - 1):
        for current in (reach - 1, -reach, 3, 0):
            v = (target - current) // 2
            if -limit <= v < limit:
                cases.append({"current": target - 2 * v, "membrane": v})
    return [case | {"from_zero": int(rng.random() < 0.1)} for case in cases]


@pytest.mark.parametrize("scaled", [0, 1])
@pytest.mark.parametrize("name", CONFIGS)
def test_integration(name, scaled):
    config, rng = CONFIGS[name], random.Random(f"integration {name} {scaled}")
    saturations = set()
    for _ in range(8 if scaled else 1):
        top = (1 << config.max_shift.bit_length()) - 1
        constant = {
            "scaled": scaled,
            "mult1": corner(rng, 0, (1 << config.mult_bits) - 1),
            "shift1": corner(rng, 0, top),
        }
        cases = integration_cases(config, rng, 250 if scaled else 1000)
        found = simulate(config, cases, (constant | {"integrate": 1}).items())
        for case, (v, saturated, _) in zip(cases, found, strict=True):
            assert (v, saturated) == integrated(case | constant, config.membrane_bits), case | constant
            saturations.add(saturated)
    assert 0 in saturations
    assert 1 in saturations


def test_every_small_current_at_every_shift():
    """Every 8-bit current at every shift of the field, with the multipliers that round on ties."""
    for shift in range(8):
        for mult in (1, 8, 15):
            cases = [{"current": i, "membrane": 0, "from_zero": 1} for i in range(-128, 128)]
            constant = {"scaled": 1, "mult1": mult, "shift1": shift}
            found = simulate(CONFIGS["small"], cases, (constant | {"integrate": 1}).items())
            for case, (v, saturated, _) in zip(cases, found, strict=True):
                assert (v, saturated) == integrated(case | constant, 8), case


@pytest.mark.parametrize("name", [name for name, config in CONFIGS.items() if config.parts > 1])
def test_sums_of_parts_do_not_saturate(name):
    config, rng = CONFIGS[name], random.Random(f"sum {name}")
    low, high = -(1 << (config.membrane_bits - 1)), (1 << (config.membrane_bits - 1)) - 1
    cases = []
    for _ in range(1500):
        add, part = int(rng.random() < 0.7), corner(rng, low, high)
        v = corner(rng, low, high) * (rng.randrange(config.parts - 1) + 1 if add else 1)
        cases.append({"current": rng.randint(-9, 9), "membrane": v, "add": add, "part": part, "from_zero": 0})
    found = simulate(config, cases, [("integrate", 1)])
    beyond = 0
    for case, (v, saturated, _) in zip(cases, found, strict=True):
        if case["add"]:
            assert (v, saturated) == (case["membrane"] + case["part"], 0), case
            beyond += not low <= v <= high
        else:
            assert (v, saturated) == integrated(case | {"scaled": 0}, config.membrane_bits), case
    assert beyond > 50


def requant_constants(config, rng):
    """Clamp, sparsity and bias mode of a row of neurons."""
    bits = config.act_bits
    kind = rng.choice(["unsigned", "unsigned", "signed", "wide"])
    if kind == "unsigned":
        lo, hi = 0, (1 << bits) - 1 >> rng.choice((0, 0, 1))
    else:
        size = bits if kind == "signed" else config.out_bits
        lo, hi = -(1 << (size - 1)), (1 << (size - 1)) - 1
    rot = rng.choice((0, rng.randrange(1, bits))) if kind == "unsigned" else 0
    return {"bias_in_sum": rng.randrange(2), "lo": lo, "hi": hi, "rot": rot, "truncate": rng.randrange(2)}


def requant_cases(config, rng, constant, count):
    cases = []
    low, high = -(1 << (config.membrane_word_bits - 1)), (1 << (config.membrane_word_bits - 1)) - 1
    for _ in range(count):
        mult, shift = corner(rng, 0, (1 << config.mult_bits) - 1), rng.randint(0, config.max_shift)
        v = corner(rng, low, high)
        if mult and rng.random() < 0.6:  # aim at results within the clamp, where rounding shows
            v = (rng.randint(constant["lo"] - 3, constant["hi"] + 3) << shift) // mult + rng.randint(-1, 1)
            v = max(low, min(high, v))
        bias = signed_corner(rng, config.bias_bits)
        cases.append({"membrane": v, "mult": mult, "shift": shift, "bias": bias})
    return cases


def run_requant(config, constant, cases):
    fields = {"integrate": 0, "drlo": 0} | constant
    return [value for _, _, value in simulate(config, cases, fields.items())]


@pytest.mark.parametrize("name", CONFIGS)
def test_requantization(name):
    config, rng = CONFIGS[name], random.Random(f"requant {name}")
    inside = 0
    for _ in range(10):
        constant = requant_constants(config, rng)
        cases = requant_cases(config, rng, constant, 250)
        for case, a in zip(cases, run_requant(config, constant, cases), strict=True):
            assert a == requantized(case | constant), case | constant
            inside += constant["lo"] < a < constant["hi"]
    assert inside > 150  # a good share is neither lo nor hi


def test_drlo_after_rounding():
    case = {"membrane": 83 << 4, "mult": 1, "shift": 4, "bias": 0}
    constant = {"bias_in_sum": 0, "lo": 0, "hi": 255, "rot": 2, "drlo": 2}
    assert run_requant(CONFIGS["default"], constant, [case]) == [80]
    assert run_requant(CONFIGS["default"], constant | {"truncate": 1, "drlo": 0}, [case]) == [80]
    assert run_requant(CONFIGS["default"], constant | {"drlo": 0}, [case]) == [84]


@pytest.mark.parametrize("mutation", ["mult", "shift", "bias", "bias_in_sum", "membrane", "hi"])
def test_requantization_comparison_can_fail(mutation):
    """One flipped bit of one operand of the expectation shows."""
    config, rng = CONFIGS["default"], random.Random("mutation")
    constant = {"bias_in_sum": 0, "lo": 0, "hi": 255, "rot": 0, "truncate": 0}
    cases = requant_cases(config, rng, constant, 600)
    found = run_requant(config, constant, cases)
    everything = [c | constant for c in cases]
    assert [requantized(c) for c in everything] == found
    assert any(a != requantized(c | {mutation: c[mutation] ^ 1}) for c, a in zip(everything, found, strict=True))
