"""Speed of one core on a 3 x 3 convolution, measured on its RTL: SOPs and cycles of every step."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from hdl.config import ChipConfig
from hdl.core import Core
from hdl.flit import Flit, FlitKind
from hdl.pack import pack, unpack
from hdl.program import Memory, memory_layouts
from hdl.verilog import convert
from sdann import stem
from sdann.graph import INPUT, Edge, IntArray, Layer, QuantizedNetwork
from sdann.mapper import map_network

from .core_case import CoreCase, save_cases
from .toolchain import Simulator, run_bench

__all__ = ["ProbedCore", "Rate", "StepRate", "alone", "full_layer", "measure"]


@dataclass(frozen=True, kw_only=True)
class StepRate:
    """One step. ``sops``: of the core's SOPS counter. ``visits``: cycles in which the accumulator made a visit, of its
    BUSY counter. ``span``: cycles from the first to the last visit, both included; the bundles wait at the core's
    input all that time, so a cycle of the span without a visit is a bubble. ``cycles``: from the command on until the
    core is idle; beside the span the pass at the step's begin, and the way through the pipelines.
    """

    sops: int
    visits: int
    span: int
    cycles: int


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Steps of one sample, and what the masks imply: ``sops``, and ``visits`` if no cycle were lost."""

    steps: list[StepRate]
    sops: int
    visits: int

    def per_cycle(self, of: str) -> float:
        """SOPs per cycle; ``of`` names the cycles: "visits", "span" or "cycles"."""
        return sum(step.sops for step in self.steps) / max(1, sum(int(getattr(step, of)) for step in self.steps))

    @property
    def pairing(self) -> float:
        """SOPs per cycle that the masks allow: every visit takes ``weight_ports`` set bits, the last one the rest."""
        return self.sops / max(1, self.visits)


class ProbedCore(Core):
    """A core that tells when its accumulator makes a visit (``working``)."""

    def __init__(self, config: ChipConfig) -> None:
        super().__init__(config)
        self.working = Signal()

    @property
    def signature(self) -> wiring.Signature:
        """The core's, and ``working``."""
        return wiring.Signature({**super().signature.members, "working": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = super().elaborate(platform)
        m.d.comb += self.working.eq(m.submodules.accumulator.working)
        return m


def full_layer(config: ChipConfig, *, time_steps: int, side: int = 8, seed: int = 0) -> QuantizedNetwork:
    """3 x 3 convolution, padding 1, of 2 groups of channels to 2 others, random weights, on ``side`` x ``side``."""
    channels = 2 * config.lanes
    top = (1 << config.weight_bits - 1) - 1
    weight = np.random.default_rng(seed).integers(-top, top + 1, (channels, channels, 3, 3))
    layer = Layer(
        name="conv", shape=(channels, side, side), edges=(Edge(source=INPUT, kind="conv", weight=weight, padding=1),),
        mult=np.ones(channels, dtype=np.int64), shift=np.ones(channels, dtype=np.int64),
        bias=np.zeros(channels, dtype=np.int64), bias_mode="scaled", lo=0, hi=(1 << time_steps) - 1,
    )  # fmt: skip
    return alone(layer, (channels, side, side), config, time_steps)


def alone(layer: Layer, source: tuple[int, int, int], config: ChipConfig, time_steps: int) -> QuantizedNetwork:
    """A network of ``layer`` only, whose one edge takes the unsigned input of shape ``source`` [C, H, W]."""
    (edge,) = layer.edges
    return QuantizedNetwork(
        name=layer.name, input_shape=source, input_signed=False, time_steps=time_steps,
        membrane_bits=config.membrane_bits, weight_bits=config.weight_bits,
        layers=(replace(layer, edges=(replace(edge, source=INPUT),)),),
    )  # fmt: skip


def measure(
    network: QuantizedNetwork,
    sample: IntArray,
    config: ChipConfig,
    *,
    build_dir: Path,
    simulator: Simulator = "verilator",
) -> Rate:
    """Runs ``sample`` [C, H, W] through the only layer of ``network``, a 3 x 3 convolution, on one core.

    Raises :class:`sdann.mapper.DoesNotFitError` where the layer needs more than a core, and
    :class:`sim.toolchain.BenchError` where the core's I(t) differs from the spiking model's.
    """
    config = config.replace(readout_depth=1 << 16)  # the host's queue: as its last layer, the core would read out
    case = _case(network, sample, config)
    bundles = [[_spike(config, flit) for flit in step] for step in case.spikes]
    with tempfile.TemporaryDirectory() as folder:
        case_file, result = Path(folder) / "case.json", Path(folder) / "result.json"
        save_cases([case], case_file)
        run_bench(
            verilog=convert(ProbedCore(config), "sdann_core"), toplevel="sdann_core",
            module="sim.benches.core_rate_bench", simulator=simulator, build_dir=build_dir,
            env={"SDANN_CASES": str(case_file), "SDANN_RESULT": str(result)}, seed=1, timeout=1200,
        )  # fmt: skip
        steps = [StepRate(**step) for step in json.loads(result.read_text())]
    return Rate(steps=steps, sops=case.counters["SOPS"], visits=_visits(network, bundles, config))


def _visits(network: QuantizedNetwork, steps: Sequence[Sequence[tuple[int, int, int]]], config: ChipConfig) -> int:
    """Visits of (y, x, mask) bundles: for each kernel offset inside the map and output group, pairs of set bits."""
    channels, height, width = network.layers[0].shape

    def offsets(at: int, size: int) -> int:
        return sum(0 <= at + offset < size for offset in (-1, 0, 1))

    groups = -(-channels // config.lanes)
    return sum(
        offsets(y, height) * offsets(x, width) * groups * -(-mask.bit_count() // config.weight_ports)
        for step in steps
        for y, x, mask in step
    )


def _spike(config: ChipConfig, flit: int) -> tuple[int, int, int]:
    fields = unpack(Flit(config), flit)
    return fields["payload.spike.y"], fields["payload.spike.x"], fields["payload.spike.mask"]


def _case(network: QuantizedNetwork, sample: IntArray, config: ChipConfig) -> CoreCase:
    (layer,) = network.layers
    image = map_network(network, config, {layer.name: (1, 1)})
    (entry,) = image.cores_of(layer.name)
    spiking = stem.run(network, sample[None], isum_bits=config.isum_bits, record=("spikes", "currents"))
    lanes, flit = config.lanes, Flit(config)
    spikes = []
    for plane in spiking.spikes[INPUT][:, 0]:  # [C, H, W]
        step = []
        for y, x, group in np.ndindex(*plane.shape[1:], -(-plane.shape[0] // lanes)):
            part = plane[group * lanes : (group + 1) * lanes, y, x]
            if part.any():
                mask = sum(1 << lane for lane, spike in enumerate(part) if spike)
                body = {"edge": 0, "y": y, "x": x, "group": group, "mask": mask}
                spike = {f"payload.spike.{name}": value for name, value in body.items()}
                step.append(pack(flit, {"kind": FlitKind.SPIKE, **spike}))
        spikes.append(step)
    layout = memory_layouts(config)[Memory.ISUM]
    isums = []
    for current in spiking.currents[layer.name][:, 0]:
        groups = -(-current.shape[0] // lanes)
        padded = np.zeros((groups * lanes, *current.shape[1:]), dtype=np.int64)
        padded[: current.shape[0]] = current
        words = padded.transpose(1, 2, 0).reshape(-1, lanes)
        isums.append([pack(layout, {str(lane): int(v) for lane, v in enumerate(word)}) for word in words])
    core = (entry.y, entry.x)
    return CoreCase(
        config=config.as_dict(), core=list(core), stage=entry.stage,
        program=[[m.value, a, w] for m in image.memories[core] for a, w in enumerate(image.words(core, m))],
        spikes=spikes, isums=dict(enumerate(isums)), activations=None, emitted=[],
        counters={"SOPS": spiking.sops[layer.name]},
    )  # fmt: skip
