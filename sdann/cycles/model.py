"""The cycle model: from a program image and samples to the cycles of every phase, without RTL.

The tile model runs the image and tells which words spike. Barriers make the phases independent of each other: each
one's cycles follow from what its cores have to do, and from the network between them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hdl.host import Command
from hdl.program import Readout
from sdann.graph import IntArray
from sdann.mapper.image import Coordinate, ProgramImage
from sdann.mapper.samples import Inputs, inputs_by_name
from sdann.tile_model import TileModel, TileResult
from sdann.tile_observer import TileObserver

from .core import Inlet, Spiking, chunks, emission, sample_words
from .free import run_free
from .mesh import Flit, Kind, Mesh
from .program import CoreProgram, Load, Program
from .report import CycleReport, PhaseCycles
from .timing import EMIT_LEAST, HOST_ENDS, PASS_STARTS, WINDOW_START, Barrier, drain_of
from .traffic import Arrivals, Sender, run_traffic

__all__ = ["predict"]

HOST: Coordinate = (0, 0)

Counts = Mapping[int, npt.NDArray[np.uint8]]
"""By age, the set bits of every word: [t, words]."""


class _Recorder(TileObserver):
    """``counts``: what is emitted, by window and core."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.counts: dict[int, dict[Coordinate, dict[int, npt.NDArray[np.uint8]]]] = {}

    def emits(self, window: int, core: Coordinate, age: int, spikes: npt.NDArray[Any]) -> None:
        """See :class:`sdann.tile_observer.TileObserver`."""
        counts = spikes.sum(axis=4, dtype=np.uint8).reshape(len(spikes), -1)
        words = self._program.cores[core].out_words
        self.counts.setdefault(window, {}).setdefault(core, {})[age] = counts[:, :words]

    def of(self, window: int, core: Coordinate) -> Counts:
        """What ``core`` emits in ``window``."""
        return self.counts.get(window, {}).get(core, {})


def predict(image: ProgramImage, samples: Inputs, *, queues: bool = True) -> tuple[CycleReport, TileResult]:
    """Cycles of ``image`` with samples [N, C, H, W] sent back to back, and what the tile model says of them.

    ``samples``: by name where the program has several sources.

    For a host that never stalls, and a chip that was reset before the program was loaded. ``queues=False`` leaves out
    that flits wait for each other in the network, which is several times faster on a large mesh; BUSY is exact all the
    same, STALLED is 0, and cycles are too few, see docs/models.md. Raises :class:`sdann.errors.SdannError` for a wrong
    input, as the tile model does.
    """
    program = Program(image)
    recorder = _Recorder(program)
    sources = inputs_by_name(image, samples)
    result = TileModel(image).run(sources, observer=recorder)
    count = len(next(iter(sources.values())))
    run = _Run(program, recorder, count, run_traffic if queues else run_free)
    phases = [phase for window in range(count + run.stages) for phase in run.window(window)]
    report = CycleReport(
        cores=tuple(program.cores), layers=tuple(image.cores[at].layer for at in program.cores), samples=count,
        stages=run.stages, sops_per_cycle=image.config.lanes * image.config.weight_ports, window_start=WINDOW_START,
        phases=tuple(phases), late=run.late,
    )  # fmt: skip
    return report, result


class _Run:
    """``host_begins``: when the host's next sample may begin, in cycles of the phase; None: there is none to send.
    ``late``: windows in which it was not complete before the last step.
    """

    def __init__(self, program: Program, recorder: _Recorder, samples: int, traffic: Callable[..., Arrivals]) -> None:
        self.traffic = traffic
        self.program, self.config, self.recorder, self.samples = program, program.config, recorder, samples
        registers = program.image.manifest.registers
        self.steps, self.parts, self.stages = registers.STEPS, registers.PARTS, registers.STAGES
        self.barrier, self.drain = Barrier.of(self.config), drain_of(self.config)
        self.mesh = Mesh(self.config)
        for core in self.config.cores:  # the program came from the host
            self.mesh.serve(HOST, core)
        self.loads = {at: Load(core, self.config) for at, core in program.cores.items()}
        self.index = {at: n for n, at in enumerate(program.cores)}
        self.sample = [(Flit(rectangle, Kind.SAMPLE), count) for rectangle, count in program.sample_flits]
        self.host_begins: int | None = None
        self.late = 0

    def valid(self, window: int, stage: int) -> bool:
        """Whether ``stage`` emits a valid sample in ``window``."""
        return 0 <= window - stage < self.samples

    def window(self, window: int) -> list[PhaseCycles]:
        """All phases of a window."""
        commands = [(Command.STEP, step) for step in range(self.steps)]
        commands += [(Command.PARTIAL, part) for part in range(1, self.parts + 1)]
        commands.append((Command.REQUANT, 0))
        if window + 1 < self.samples:  # the host sends the next sample when this one is taken: at the blanking's end
            self.host_begins = self.barrier.round_trip - self.barrier.down
        phases = []
        for command, number in commands:
            if command is Command.STEP and number == self.steps - 1 and self.host_begins is not None:
                complete = self.host_begins + sum(count for _, count in self.sample) + HOST_ENDS
                self.late += complete > -1 - self.barrier.down  # later than the sequencer looks, who gives this step
            phases.append(self.phase(window, command, number))
        return phases

    def phase(self, window: int, command: Command, number: int) -> PhaseCycles:
        """From one command to the next."""
        cores = self.program.cores
        passes = {at: self._passes(core, window, command, number) for at, core in cores.items()}
        ends = {at: sum(passes[at]) and PASS_STARTS + sum(passes[at]) for at in cores}
        begins = self.host_begins
        if begins is not None and begins > 0 and not self._surely_longer(window, command, ends, begins):
            last = list(self.mesh.last)
            self.host_begins = None
            without = self._traffic(window, command, number, ends)
            if self.barrier.sampled(_quiet(*without, ends)) < begins:  # the step is over before the host begins
                self.host_begins = begins - self.barrier.phase(_quiet(*without, ends))
                return self._result(window, command, number, passes, ends, *without)
            self.mesh.last, self.host_begins = last, begins
        found = self._traffic(window, command, number, ends)
        self.host_begins = None
        return self._result(window, command, number, passes, ends, *found)

    def _surely_longer(self, window: int, command: Command, ends: Mapping[Coordinate, int], cycle: int) -> bool:
        """Whether a pass or an emission lasts beyond ``cycle`` for certain."""
        emitting = self.recorder.counts.get(window, {}) if command is Command.STEP else {}
        emitted = max((self.program.cores[at].out_words for at in emitting), default=0)
        return max(emitted + EMIT_LEAST, *ends.values()) > cycle

    def _traffic(
        self, window: int, command: Command, number: int, ends: Mapping[Coordinate, int]
    ) -> tuple[Arrivals, dict[Coordinate, Inlet]]:
        inlets = {
            at: Inlet(at, passes=ends.get(at, 0), drain=self.drain, ports=self.config.weight_ports)
            for at in self.config.cores
        }
        senders: dict[Coordinate, Sender] = {}
        for at, core in self.program.cores.items():
            if (sender := self._sender(core, window, command, number, max(1, ends[at]))) is not None:
                senders[at] = sender
        if self.host_begins is not None:
            senders[HOST] = sample_words(self.sample, self.host_begins)
        return self.traffic(self.mesh, senders, inlets), inlets

    def _result(
        self, window: int, command: Command, number: int, passes: Mapping[Coordinate, tuple[int, int]],
        ends: Mapping[Coordinate, int], arrivals: Arrivals, inlets: Mapping[Coordinate, Inlet],
    ) -> PhaseCycles:  # fmt: skip
        busy, sops = self._loads(window, number) if command is Command.STEP else self._zeros(2)
        emit, stalled, membrane, pool, quiet = self._zeros(5)
        for at, n in self.index.items():
            ended = arrivals.ended.get(at, 0)
            emit[n], stalled[n] = max(0, ended - 1), arrivals.stalled.get(at, 0)
            membrane[n], pool[n] = passes[at]
            quiet[n] = max(ends[at], ended, inlets[at].quiet)
        return PhaseCycles(
            window=window, command=command.name, number=number, network=arrivals.empty,
            cycles=self.barrier.phase(_quiet(arrivals, inlets, ends)), busy=busy, sops=sops, emit=emit,
            stalled=stalled, passes=membrane, pool=pool, quiet=quiet,
        )  # fmt: skip

    def _zeros(self, count: int) -> list[IntArray]:
        return [np.zeros(len(self.index), dtype=np.int64) for _ in range(count)]

    def _loads(self, window: int, step: int) -> list[IntArray]:
        busy, sops = self._zeros(2)
        for at, load in self.loads.items():
            rows = [self.index[receiver] for receiver in load.receivers]
            for age, counts in self.recorder.of(window, at).items():
                visits, operations = load.of(age, counts[step].astype(np.int64))
                busy[rows] += visits
                sops[rows] += operations
        return [busy, sops]

    def _passes(self, core: CoreProgram, window: int, command: Command, number: int) -> tuple[int, int]:
        """Cycles of membrane passes and of pooling."""
        if core.stage == 0 or not self.valid(window, core.stage - 1):
            return 0, 0
        integrates = {
            Command.STEP: number > 0, Command.PARTIAL: number == 1, Command.REQUANT: self.parts == 0,
        }[command]  # fmt: skip
        requantizes = command is Command.REQUANT and core.part == 0
        return (integrates + requantizes) * core.membrane_pass, core.pool_pass if requantizes else 0

    def _sender(self, core: CoreProgram, window: int, command: Command, number: int, ends: int) -> Sender | None:
        if command is Command.STEP and core.readout is not Readout.NONE:
            if number == 0 and self.valid(window, core.stage):
                return chunks(Flit((0, 0, 0, 0), Kind.READOUT), core.sends, 1)
        elif command is Command.STEP:
            # A valid sample of any age makes the core look for one, of ages that it does not emit as well.
            if any(self.valid(window, core.stage + age) for age in range(self.config.slots - 1)):
                return emission(core, self._spiking(core, window, number))
        elif command is Command.PARTIAL and core.part == number and self.valid(window, core.stage - 1):
            y, x = core.target
            return chunks(Flit((y, y, x, x), Kind.PARTIAL), core.sends, ends)
        return None

    def _spiking(self, core: CoreProgram, window: int, step: int) -> Sequence[Spiking | None]:
        ages: list[Spiking | None] = [None] * core.ages
        for age, counts in self.recorder.of(window, core.at).items():
            if core.out_words:
                words = np.flatnonzero(counts[step])
                ages[age] = Spiking(words.tolist(), counts[step][words].tolist())
        return ages


def _quiet(arrivals: Arrivals, inlets: Mapping[Coordinate, Inlet], ends: Mapping[Coordinate, int]) -> int:
    """The first cycle in which every tile is idle."""
    return max(arrivals.empty, *ends.values(), *(inlet.quiet for inlet in inlets.values()), *arrivals.ended.values(), 0)
