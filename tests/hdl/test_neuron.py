"""Membrane update and requantization in hardware against the integer formulas, in unbounded Python integers."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import ChipConfig
from hdl.neuron import MembraneUpdate, RequantMultiply, RequantRound, ScaleCurrent

CONFIGS = {
    "small": ChipConfig(
        rows=1, cols=2, time_steps=4, isum_bits=8, membrane_bits=8, bias_bits=4, mult_bits=4, max_shift=7
    ),
    "default": ChipConfig(rows=1, cols=2),
    "darwin3": ChipConfig(rows=1, cols=2, membrane_bits=16),
    "wide": ChipConfig(
        rows=1, cols=2, time_steps=16, isum_bits=32, membrane_bits=40, bias_bits=32, mult_bits=24, max_shift=40
    ),
    "wide_bias": ChipConfig(rows=1, cols=2, membrane_bits=8, bias_bits=32),
}  # fmt: skip


def half(shift):
    return 1 << (shift - 1) if shift else 0


def scaled_current(i, scaled, mult, shift):
    return (i * mult + half(shift)) >> shift if scaled else i


def saturated_sum(v, current, bits):
    total = 2 * v + current
    clipped = max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, total))
    return clipped, int(clipped != total)


def requantized(v, c):
    """The definition, literally; ``c`` holds mult, shift, bias, bias_in_sum, lo, hi, rot."""
    if c["bias_in_sum"]:
        raw = ((v + c["bias"]) * c["mult"] + half(c["shift"])) >> c["shift"]
    else:
        raw = (v * c["mult"] + (c["bias"] << c["shift"]) + half(c["shift"])) >> c["shift"]
    a = max(c["lo"], min(c["hi"], raw))
    if k := c["rot"]:
        a = min(((a + half(k)) >> k) << k, (c["hi"] >> k) << k)
    return a


def simulate(dut, inputs, outputs):
    """Applies each dict of ``inputs`` to a combinational component; returns the outputs as tuples."""
    seen = []

    async def bench(ctx):
        for values in inputs:
            for name, value in values.items():
                ctx.set(getattr(dut, name), value)
            await ctx.delay(1e-6)
            seen.append(tuple(ctx.get(getattr(dut, name)) for name in outputs))

    sim = Simulator(dut)
    sim.add_testbench(bench)
    sim.run()
    assert len(seen) == len(inputs)
    return seen


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


def current_cases(config, rng, count):
    top = (1 << config.max_shift.bit_length()) - 1
    return [
        {
            "i": signed_corner(rng, config.isum_bits), "scaled": rng.randrange(2),
            "mult1": corner(rng, 0, (1 << config.mult_bits) - 1), "shift1": corner(rng, 0, top),
        }
        for _ in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("name", CONFIGS)
def test_scale_current(name):
    cases = current_cases(CONFIGS[name], random.Random(f"current {name}"), 3000)
    found = simulate(ScaleCurrent(CONFIGS[name]), cases, ["current"])
    for case, (current,) in zip(cases, found, strict=True):
        assert current == scaled_current(case["i"], case["scaled"], case["mult1"], case["shift1"]), case


def test_scale_current_exhaustive_currents():
    """Every 8-bit current at every shift of the field, with the multipliers that round on ties."""
    cases = [
        {"i": i, "scaled": 1, "mult1": mult, "shift1": shift}
        for i in range(-128, 128)
        for mult in (1, 8, 15)
        for shift in range(8)
    ]
    found = simulate(ScaleCurrent(CONFIGS["small"]), cases, ["current"])
    for case, (current,) in zip(cases, found, strict=True):
        assert current == scaled_current(case["i"], 1, case["mult1"], case["shift1"]), case


@pytest.mark.parametrize("name", CONFIGS)
def test_membrane_update(name):
    config, rng = CONFIGS[name], random.Random(f"membrane {name}")
    bits = config.membrane_bits
    cases = [{"v": signed_corner(rng, bits), "current": signed_corner(rng, config.isum_bits)} for _ in range(2000)]
    wide = config.isum_bits + config.mult_bits
    cases += [{"v": signed_corner(rng, bits), "current": signed_corner(rng, wide)} for _ in range(1000)]
    limit = 1 << (bits - 1)  # sums of exactly the limits and one beyond
    for target in (limit - 1, limit, -limit, -limit - 1):
        cases += [{"v": v, "current": target - 2 * v} for v in (limit // 2, -limit // 2, limit // 2 - 3)]
    found = simulate(MembraneUpdate(config), cases, ["v_next", "saturated"])
    for case, result in zip(cases, found, strict=True):
        assert result == saturated_sum(case["v"], case["current"], bits), case
    assert {flag for _, flag in found} == {0, 1}


def requant_cases(config, rng, count):
    bits = config.act_bits
    cases = []
    for _ in range(count):
        is_signed = rng.random() < 0.3
        lo, hi = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if is_signed else (0, (1 << bits) - 1)
        if rng.random() < 0.2:
            hi >>= 1
        mult, shift = corner(rng, 0, (1 << config.mult_bits) - 1), rng.randint(0, config.max_shift)
        v = signed_corner(rng, config.membrane_bits)
        if mult and rng.random() < 0.6:  # aim at results within the clamp, where rounding shows
            v = (rng.randint(lo - 3, hi + 3) << shift) // mult + rng.randint(-1, 1)
            v = max(-(1 << (config.membrane_bits - 1)), min((1 << (config.membrane_bits - 1)) - 1, v))
        cases.append({
            "v": v, "mult": mult, "shift": shift, "bias": signed_corner(rng, config.bias_bits),
            "bias_in_sum": rng.randrange(2), "lo": lo, "hi": hi,
            "rot": 0 if is_signed or rng.random() < 0.6 else rng.randrange(1, bits),
        })  # fmt: skip
    return cases


def run_requant(config, cases):
    first = [{k: c[k] for k in ("v", "mult", "bias", "bias_in_sum")} for c in cases]
    products = simulate(RequantMultiply(config), first, ["product"])
    second = [
        {k: c[k] for k in ("shift", "bias", "bias_in_sum", "lo", "hi", "rot")} | {"drlo": 0, "product": p}
        for c, (p,) in zip(cases, products, strict=True)
    ]
    return [a for (a,) in simulate(RequantRound(config), second, ["a"])]


@pytest.mark.parametrize("name", CONFIGS)
def test_requantization(name):
    config = CONFIGS[name]
    cases = requant_cases(config, random.Random(f"requant {name}"), 3000)
    mask = (1 << config.act_bits) - 1
    for case, a in zip(cases, run_requant(config, cases), strict=True):
        assert a == requantized(case["v"], case) & mask, case


def test_requantization_hits_the_inside_of_the_clamp():
    """The random cases above mean something: a good share of them is neither lo nor hi."""
    cases = requant_cases(CONFIGS["default"], random.Random("requant default"), 3000)
    inside = sum(c["lo"] < requantized(c["v"], c) < c["hi"] for c in cases)
    assert inside > 300


def test_drlo_after_rounding():
    case = {"product": 83 << 4, "shift": 4, "bias": 0, "bias_in_sum": 0, "lo": 0, "hi": 255, "rot": 2, "drlo": 2}
    assert simulate(RequantRound(CONFIGS["default"]), [case], ["a"]) == [(80,)]


@pytest.mark.parametrize("mutation", ["mult", "shift", "bias", "bias_in_sum", "v", "hi"])
def test_requantization_comparison_can_fail(mutation):
    """One flipped bit of one operand of the expectation shows."""
    config = CONFIGS["default"]
    cases = requant_cases(config, random.Random("mutation"), 600)
    mutated = [c | {mutation: c[mutation] ^ 1} for c in cases]
    found = run_requant(config, cases)
    assert any(a != requantized(c["v"], c) & 255 for c, a in zip(mutated, found, strict=True))


def test_membrane_comparison_can_fail():
    cases = [{"v": 127, "current": 1}, {"v": 3, "current": 1}]
    found = simulate(MembraneUpdate(CONFIGS["small"]), cases, ["v_next", "saturated"])
    assert found == [(127, 1), (7, 0)]
    assert found[0] != saturated_sum(127, 1, 9)
