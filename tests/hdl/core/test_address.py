"""Kernel windows of random descriptors, extreme offsets included, against the formula tried at every place."""

import random

import pytest
from amaranth.sim import Simulator

from hdl.config import preset
from hdl.core.address import AddressSetup

CONFIG = preset("test").replace(weight_words=4096, neuron_words=256)


def draw(rng: random.Random) -> tuple[dict, dict, dict]:
    """Core and edge descriptors, and a bundle."""
    groups = rng.randint(1, 3)
    core = {
        "enable": 1, "height": rng.randint(1, 8), "width": rng.randint(1, 8), "groups": groups, "last_lanes": 4,
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


def visited(job) -> list[tuple[int, int]]:
    """The same, from a job: the walk that its steps describe."""
    places, block, neuron = [], job.block, job.neuron
    for _ in range(job.rows + 1):
        for c in range(job.columns + 1):
            for g in range(job.groups + 1):
                places.append(((job.base + (block << job.row_shift)) % 4096, neuron % 256))
                if g < job.groups:
                    step = (1, 1)
                elif c < job.columns:
                    step = (job.block_column, job.neuron_column)
                else:
                    step = (job.block_row, job.neuron_row)
                block, neuron = (block + step[0]) % 4096, neuron + step[1]
    return places


@pytest.mark.parametrize("seed", range(3))
def test_windows_match_the_formula(seed: int) -> None:
    rng = random.Random(seed)
    dut = AddressSetup(CONFIG)
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
            jobs = []
            for _ in range(8):
                *_, valid, job = await ctx.tick().sample(dut.o.valid, dut.o.payload)
                jobs += [job] if valid else []
            assert not ctx.get(dut.busy)
            expected = reached(core, edge, spike)
            found = [place for job in jobs for place in visited(job)]
            assert sorted(found) == sorted(expected), f"{core} {edge} {spike}"
            assert all(job.mask == spike["mask"] for job in jobs)
            hits += bool(expected)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert 40 < hits < 390
