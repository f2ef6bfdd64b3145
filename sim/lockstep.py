"""Who waits for whom: when each core works in each phase between two barriers, seen on the RTL.

A probe is written into the core's Verilog, for simulation only. It tells in the run's log when a core begins and ends
to be busy, and when commands arrive; it changes nothing else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hdl.chip import TILE_MODULE, chip_verilog
from hdl.config import ChipConfig
from hdl.host import Command, CommandWord
from hdl.pack import fields
from sdann.errors import SdannError
from sdann.graph import IntArray
from sdann.mapper import ProgramImage
from sdann.mapper.image import Coordinate

from .cosim import run_workload

__all__ = ["LayerWait", "Phase", "Waiting", "measure_waiting", "phases_of", "probed", "summarize"]

CORE_MODULE = f"\\{TILE_MODULE}.neurons "
_LINE = re.compile(r"PROBE (\d+) (\d+) (\d+) (\d+) (\d+)")  # y, x, cycle, command, idle


def probed(config: ChipConfig) -> str:
    """The chip's Verilog with a probe in every core."""
    command = fields(CommandWord(config))
    op, first = command["op"], command["first"]
    probe = f"""
  integer probe_cycle = 0;
  reg probe_idle = 1;
  wire [31:0] probe_command = command[{op.offset + op.width - 1}:{op.offset}] * 2 + command[{first.offset}];
  always @(posedge clk) begin
    probe_cycle <= probe_cycle + 1;
    probe_idle <= idle;
    if (idle != probe_idle || probe_command > 1)
      $display("PROBE %0d %0d %0d %0d %0d", y, x, probe_cycle, probe_command, idle);
  end
endmodule"""
    before, head, rest = chip_verilog(config).partition(f"module {CORE_MODULE}")
    body, _, after = rest.partition("\nendmodule")
    if not head or "$display" in body:
        raise SdannError("the core's module is not where the probe expects it")
    return f"{before}{head}{body}{probe}{after}"


@dataclass(frozen=True, kw_only=True)
class Phase:
    """From one command to the next: ``length`` in cycles, and how many of them each core was busy."""

    command: Command
    first: bool
    length: int
    busy: Mapping[Coordinate, int]


def phases_of(log: str) -> list[Phase]:
    """All phases that a probed chip's log tells of, but the last one, which has no end."""
    busy_since: dict[Coordinate, int] = {}
    seen: list[tuple[int, Command, bool]] = []  # commands, each once
    spans: list[tuple[Coordinate, int, int]] = []
    for y, x, cycle, code, idle in (map(int, line.groups()) for line in _LINE.finditer(log)):
        core = y, x
        if code > 1 and (not seen or seen[-1][0] != cycle):
            seen.append((cycle, Command(code >> 1), bool(code & 1)))
        if not idle:
            busy_since.setdefault(core, cycle)
        elif core in busy_since:
            spans.append((core, busy_since.pop(core), cycle))
    found = [dict[Coordinate, int]() for _ in seen]
    at = 0
    for core, begin, end in sorted(spans, key=lambda span: span[1]):
        while at + 1 < len(seen) and seen[at + 1][0] <= begin:
            at += 1
        if seen and begin >= seen[at][0]:  # no work crosses a barrier
            found[at][core] = found[at].get(core, 0) + end - begin
    return [
        Phase(command=command, first=first, length=after[0] - cycle, busy=busy)
        for (cycle, command, first), after, busy in zip(seen, seen[1:], found, strict=False)
    ]


@dataclass(frozen=True, kw_only=True)
class LayerWait:
    """Cycles per window. ``busiest``: in which the layer's busiest core works. ``waits``: all the others, in which it
    has no work and waits, be it for a core of its own layer or of another one.
    """

    layer: str
    cores: int
    busiest: float
    waits: float


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Cycles per window, in the mean of ``windows`` in which every layer holds a sample.

    ``window``: its length. ``steps``: what the phases' busiest cores work, one core or another in each phase.
    ``busiest``: what the busiest core works; no pipeline of these cores could be faster. So ``steps - busiest`` is lost
    because all cores begin each step together, and ``window - steps`` to commands and the quiescence tree.
    """

    windows: int
    window: float
    steps: float
    busiest: float
    layers: tuple[LayerWait, ...]

    @property
    def share(self) -> float:
        """Part of a window that lockstep costs."""
        return 1 - self.busiest / self.window


def measure_waiting(image: ProgramImage, samples: IntArray, *, build_dir: Path, timeout: float = 1800.0) -> Waiting:
    """Streams samples [K, C, H, W] through the probed chip on Verilator; K must exceed the number of layers."""
    stages = image.manifest.registers.STAGES
    if len(samples) <= stages:
        raise SdannError(f"with {len(samples)} samples no window is full; take more than the network's {stages} layers")
    _, bench = run_workload(
        image, samples, simulator="verilator", mode="stream", build_dir=build_dir, verilog=probed(image.config),
        timeout=timeout,
    )  # fmt: skip
    windows: list[list[Phase]] = []
    for phase in phases_of(bench.log.read_text(errors="replace")):
        if phase.command is Command.STEP and phase.first:
            windows.append([])
        if windows:
            windows[-1].append(phase)
    return summarize(image, windows[stages : len(samples)])


def summarize(image: ProgramImage, windows: list[list[Phase]]) -> Waiting:
    """Means over ``windows``, of which each is its phases."""
    count = len(windows)
    busy = {
        core: sum(phase.busy.get(core, 0) for window in windows for phase in window) / count for core in image.cores
    }
    length = sum(phase.length for window in windows for phase in window) / count
    steps = sum(max(phase.busy.values(), default=0) for window in windows for phase in window) / count
    top = max(busy.values())
    layers = []
    for name in [layer.name for layer in image.manifest.layers]:
        own = [busy[entry.y, entry.x] for entry in image.cores_of(name)]
        layers.append(LayerWait(layer=name, cores=len(own), busiest=max(own), waits=length - max(own)))
    return Waiting(windows=count, window=length, steps=steps, busiest=top, layers=tuple(layers))
