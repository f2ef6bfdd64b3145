"""Kernel windows of random descriptors, extreme offsets included, against the formula tried at every place."""

import random
import sys
from pathlib import Path

import pytest
from amaranth.sim import Simulator

sys.path.insert(0, str(Path(__file__).parent))

from jobs import walk

from hdl.config import preset
from hdl.core.address import AddressSetup

CONFIG = preset("test").replace(weight_words=4096, neuron_words=256)


def draw(rng: random.Random) -> tuple[dict, dict, dict]:
    """Core and edge descriptors, and a bundle."""
    groups = rng.randint(1, 3)
    core = {
        "enable": 1, "height": rng.randint(1, 8), "width": rng.randint(1, 8), "groups": groups,
        "last_lanes": rng.randint(1, 4),
    }  # fmt: skip
    kernel_h, kernel_w = rng.randint(1, 8), rng.randint(1, 8)
    edge = {
        "enable": 1, "depthwise": rng.random() < 0.3, "stride_log2": rng.randint(0, 3),
        "kernel_h": kernel_h, "kernel_w": kernel_w, "groups": 3, "row_shift": rng.randint(0, 2),
        "y_offset": rng.choice((rng.randint(-64, 63), rng.randint(-8, 8))), "x_offset": rng.randint(-8, 12),
        "stride_y": kernel_w * groups, "stride_g": kernel_h * kernel_w * groups, "weight_base": rng.randrange(4096),
    }  # fmt: skip
    spike = {"y": rng.randrange(8), "x": rng.randrange(8), "group": rng.randrange(groups), "mask": rng.randrange(1, 16)}
    return core, edge, spike


def reached(core: dict, edge: dict, spike: dict) -> set[tuple[int, int]]:
    """(weight address of mask bit 0, neuron word) of every place that the bundle reaches."""
    found, stride = set(), 1 << edge["stride_log2"]
    for row in range(core["height"]):
        for column in range(core["width"]):
            ky = spike["y"] + edge["y_offset"] - row * stride
            kx = spike["x"] + edge["x_offset"] - column * stride
            if not (0 <= ky < edge["kernel_h"] and 0 <= kx < edge["kernel_w"]):
                continue
            neuron = (row * core["width"] + column) * core["groups"]
            word = ky * edge["stride_y"] + kx * core["groups"]
            g = spike["group"]
            if edge["depthwise"]:
                found.add(((edge["weight_base"] + word + g) % 4096, (neuron + g) % 256))
            else:
                for og in range(core["groups"]):
                    block = (g * edge["stride_g"] + word + og) << edge["row_shift"]
                    found.add(((edge["weight_base"] + block) % 4096, (neuron + og) % 256))
    return found


def taken_bits(job, ports: int) -> int:
    """Set bits that the job's visits of one word take, or existing neurons that its only visit reaches."""
    if job.depthwise:
        assert job.visits == 0
        return job.reach
    return (job.visits + 1) * ports - job.single


def expected_bits(core: dict, edge: dict, spike: dict) -> int:
    mask = spike["mask"]
    if edge["depthwise"] and spike["group"] == core["groups"] - 1:
        mask &= (1 << core["last_lanes"]) - 1
    return mask.bit_count()


@pytest.mark.parametrize(("seed", "ports"), [(0, 1), (1, 2), (2, 2)])
def test_windows_match_the_formula(seed: int, ports: int) -> None:
    rng = random.Random(seed)
    config = CONFIG.replace(weight_ports=ports)
    dut = AddressSetup(config)
    hits = 0

    async def bench(ctx) -> None:
        nonlocal hits
        ctx.set(dut.o.ready, 1)
        for _ in range(400):
            core, edge, spike = draw(rng)
            ctx.set(dut.core, core)
            ctx.set(dut.edge, edge)
            ctx.set(dut.i.payload, spike)
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            jobs, spikes = [], 0
            for _ in range(8):
                *_, valid, job, count = await ctx.tick().sample(dut.o.valid, dut.o.payload, dut.spikes)
                jobs += [job] if valid else []
                spikes += count
            assert not ctx.get(dut.busy)
            expected = reached(core, edge, spike)
            found = [place[:2] for job in jobs for place in walk(job, 4096, 256)]
            assert sorted(found) == sorted(expected), f"{core} {edge} {spike}"
            assert all(job.mask == spike["mask"] for job in jobs)
            assert all(taken_bits(job, config.weight_ports) == expected_bits(core, edge, spike) for job in jobs)
            assert spikes == spike["mask"].bit_count()
            hits += bool(expected)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert 40 < hits < 390
