"""Runs the core's cocotb bench on both simulators, on real tiles of a mapped network, and shows that it can fail."""

import re
from pathlib import Path

import pytest
from amaranth.hdl import Const

from hdl.core import Core
from hdl.core.accumulate import Accumulator
from hdl.flit import Flit, FlitKind
from hdl.pack import fields, pack, unpack
from hdl.program import Memory, memory_layouts
from hdl.verilog import convert
from sdann import reference, stem
from sim.core_case import CoreCase, save_cases
from sim.toolchain import BenchError, run_bench

from .conftest import Case, make_case, small_network


def core_case(case: Case, layer: str, index: int) -> CoreCase:
    """Core ``index`` of ``layer`` with the first sample: its input from the spiking model, what it must do from
    golden and stem.
    """
    image, config, network = case.image, case.config, case.network
    entry = image.cores_of(layer)[index]
    core = (entry.y, entry.x)
    sample = case.samples[:1]
    spiking = stem.run(network, sample)
    golden = reference.run(network, sample)
    (edge,) = network.layer(layer).edges
    lanes, steps, region = config.lanes, network.time_steps, entry.region
    flit = Flit(config)

    def bundles(source: str, step: int) -> list[tuple[int, int, int, int]]:
        spikes = spiking.spikes[source][step, 0]  # [C, H, W]
        found = []
        for y in range(spikes.shape[1]):
            for x in range(spikes.shape[2]):
                for group in range(-(-spikes.shape[0] // lanes)):
                    part = spikes[group * lanes : (group + 1) * lanes, y, x]
                    if part.any():
                        found.append((y, x, group, sum(1 << lane for lane, spike in enumerate(part) if spike)))
        return found

    def spike_flit(edge_number: int, y: int, x: int, group: int, mask: int, dst: dict[str, int]) -> int:
        body = {"edge": edge_number, "y": y, "x": x, "group": group, "mask": mask}
        spike = {f"payload.spike.{name}": value for name, value in body.items()}
        return pack(flit, {"kind": FlitKind.SPIKE, **{f"dst.{k}": v for k, v in dst.items()}, **spike})

    def words(values, memory: Memory) -> list[int]:
        """Neuron words of this core's region of [C, H, W] values."""
        layout = memory_layouts(config)[memory]
        own = values[region.channel0 : region.channel0 + region.channels, region.y0 : region.y0 + region.height]
        result = []
        for y in range(region.height):
            for x in range(region.width):
                for group in range(-(-region.channels // lanes)):
                    part = own[group * lanes : (group + 1) * lanes, y, x]
                    numbers = {str(lane): int(v) for lane, v in enumerate(part)}
                    if memory is Memory.ACT:
                        numbers = {lane: v & ((1 << config.act_bits) - 1) for lane, v in numbers.items()}
                    result.append(pack(layout, numbers))
        return result

    # Where the source's map meets an edge of a depthwise layer, only the core's own groups are sent to it.
    groups = range(1 << 30)
    if edge.kind == "depthwise":
        groups = range(region.channel0 // lanes, -(-(region.channel0 + region.channels) // lanes))
    routes = [unpack(memory_layouts(config)[Memory.ROUTE], w) for w in image.words(core, Memory.ROUTE)]
    emitted = []
    for step in range(steps):
        flits = []
        for y, x, group, mask in bundles(layer, step):
            if not (region.y0 <= y < region.y0 + region.height and group in range(
                region.channel0 // lanes, -(-(region.channel0 + region.channels) // lanes)
            )):  # fmt: skip
                continue
            for r in routes:
                if r["y0"] <= y <= r["y1"] and r["x0"] <= x <= r["x1"] and r["group0"] <= group <= r["group1"]:
                    dst = {k.removeprefix("dst."): v for k, v in r.items() if k.startswith("dst.")}
                    flits.append(spike_flit(r["edge"], y, x, group, mask, dst))
        emitted.append(flits)
    currents = spiking.currents[layer][:, 0]
    only = {layer: words(golden.activations[layer][0], Memory.ACT)}
    return CoreCase(
        config=config.as_dict(), core=list(core), stage=entry.stage,
        program=[[m.value, a, w] for m in image.memories[core] for a, w in enumerate(image.words(core, m))],
        spikes=[
            [spike_flit(0, y, x, g, mask, {}) for y, x, g, mask in bundles(edge.source, t) if g in groups]
            for t in range(steps)
        ],
        isums={t: words(currents[t], Memory.ISUM) for t in range(steps)},
        activations=only[layer], emitted=emitted,
        counters={"SOPS": _sops(case, layer, index, golden), "SATURATIONS": 0},
    )  # fmt: skip


def _sops(case: Case, layer: str, index: int, golden) -> int:
    """SOPs of one core: those of its region as a network of its own, counted by brute force over its neurons."""
    (edge,) = case.network.layer(layer).edges
    region = case.image.cores_of(layer)[index].region
    x = golden.activations[edge.source][0]
    bits = sum((x >> b) & 1 for b in range(case.network.time_steps))
    total = 0
    kernel_h, kernel_w = edge.weight.shape[2:]
    for oy in range(region.y0, region.y0 + region.height):
        for ox in range(region.width):
            for ky in range(kernel_h):
                for kx in range(kernel_w):
                    y, xx = oy * edge.stride - edge.padding + ky, ox * edge.stride - edge.padding + kx
                    if 0 <= y < x.shape[1] and 0 <= xx < x.shape[2]:
                        if edge.kind == "depthwise":
                            total += int(bits[region.channel0 : region.channel0 + region.channels, y, xx].sum())
                        else:
                            total += int(bits[:, y, xx].sum()) * region.channels
    return total


@pytest.fixture(scope="module")
def verilog(small) -> str:
    return convert(Core(small.config), "sdann_core")


def run(case: CoreCase, verilog: str, simulator, build_dir: Path, tmp_path: Path):
    path = tmp_path / "case.json"
    save_cases([case], path)
    return run_bench(
        verilog=verilog, toplevel="sdann_core", module="sim.benches.core_bench", simulator=simulator,
        build_dir=build_dir, env={"SDANN_CASES": str(path)}, seed=3, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
@pytest.mark.parametrize(("layer", "index"), [("conv1", 1), ("pool", 0), ("conv2", 1)])
def test_core(small, verilog, build_dir, tmp_path, simulator, layer, index):
    case = core_case(small, layer, index)
    assert case.counters["SOPS"] > 0 and any(case.emitted)
    assert len(run(case, verilog, simulator, build_dir, tmp_path).tests) == 2


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_core_with_one_weight_port(build_dir, tmp_path, simulator):
    one = make_case(small_network(), count=1, weight_ports=1)
    case = core_case(one, "conv1", 1)
    assert len(run(case, convert(Core(one.config), "sdann_core"), simulator, build_dir, tmp_path).tests) == 2


def test_forwarding_that_misses_visits_is_noticed(small, build_dir, tmp_path, monkeypatch):
    meets = iter([lambda *_: Const(0), Accumulator._meets])  # of the visit just before, of the one before that
    monkeypatch.setattr(Accumulator, "_meets", lambda *visits: next(meets)(*visits))
    verilog = convert(Core(small.config), "sdann_core")
    with pytest.raises(BenchError) as caught:
        run(core_case(small, "conv2", 0), verilog, "icarus", build_dir, tmp_path)
    log = Path(str(caught.value).rpartition("full log: ")[2])
    assert re.search(r"AssertionError: .*I\(\d\) differs", log.read_text())


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("isums", r".*: I\(2\) differs"),
        ("activations", ".*: ACT differs after requantization"),
        ("emitted", ".*: flits of step 0 differ"),
        ("counters", ".*: counters differ"),
        ("weight", r".*: I\(\d\) differs"),
    ],
)
def test_differences_are_noticed(small, verilog, build_dir, tmp_path, fault, message):
    case = core_case(small, "conv1", 0)
    if fault == "isums":
        case.isums[2][4] ^= 1
    elif fault == "activations":
        case.activations[3] ^= 1 << 7
    elif fault == "emitted":
        case.emitted[0].pop()
    elif fault == "counters":
        case.counters["SOPS"] += 1
    else:
        bit = fields(memory_layouts(small.config)[Memory.WEIGHT])["0"].offset + 4
        row = next(row for row in case.program if row[0] == Memory.WEIGHT.value)
        row[2] ^= 1 << bit
    with pytest.raises(BenchError) as caught:
        run(case, verilog, "verilator", build_dir, tmp_path)
    log = Path(str(caught.value).rpartition("full log: ")[2])
    assert re.search(f"AssertionError: {message}", log.read_text())
