"""An integer network, and everything that can be done with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hdl.config import ChipConfig, preset

from .. import reference
from ..atomic import atomic
from ..errors import MismatchError
from ..float_model import FloatArray
from ..graph import IntArray, QuantizedNetwork
from ..html_table import html_table
from ..mapper import ProgramImage, plan_network
from ..mapper.work import count_spikes
from ..mapping_cost import judge_cycles
from ..network_file import load_network, save_network
from ..network_source import NetworkSource
from ..quantization import QuantizeReport, dequantize_output, quantize_input
from ..recipe import samples_for
from ..stem import Record
from ..verification import Simulation, Verification, verify
from .arguments import Progress, chip_of, images_of, labels_of, silent
from .program import Program
from .spiking import Spiking, run_spiking

if TYPE_CHECKING:
    from sim.simulators import SimulatorName

    from ..report import ReportData

__all__ = ["KEPT", "Network", "load"]

KEPT = 4
"""Samples that stay with a network, for all that needs some and is given none."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Network:
    """An integer network; :func:`sdann.quantize` and :func:`sdann.load` make them.

    ``graph``: its layers, in integers. ``x``: samples for what is given none, integers [N, C, H, W] of T bits;
    ``labels``: their classes [N], if known. ``chip``: what it is for, where nothing else is named. ``choices``: what
    quantization chose for each layer; None for a network from a file. ``host``: what the module does to the output
    after its last layer, which neither this network nor the chip does.
    """

    graph: QuantizedNetwork
    x: IntArray
    chip: ChipConfig
    labels: IntArray | None = None
    choices: QuantizeReport | None = None
    host: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the network."""
        return self.graph.name

    def inputs(self, images: Any) -> IntArray:
        """The integers [N, C, H, W] that stand for real ``images``, as the host sends them to the chip.

        Raises SdannError for another shape, or where they are not finite.
        """
        return quantize_input(self.graph, images_of(images, self.graph.input_shape))

    def run(self, images: Any) -> FloatArray:
        """The network's real outputs [N, C, H, W] for real ``images``, computed by the golden model.

        Raises SdannError for another shape, or where they are not finite.
        """
        result = reference.run(self.graph, self.inputs(images))
        return dequantize_output(self.graph, result.activations[self.graph.layers[-1].name])

    def spiking(
        self, images: Any = None, *, record: tuple[Record, ...] = ("spikes", "currents", "membranes")
    ) -> Spiking:
        """What the spiking model does in every time step; exactly what the chip does.

        ``images``: real, [N, C, H, W]; default :attr:`x`. ``record``: traces to keep, 1 to 8 bytes per neuron, step and
        sample each.
        """
        x = self.x if images is None else self.inputs(images)
        return run_spiking(self.graph, x, tuple(record), self.chip.isum_bits)

    def map(
        self, chip: ChipConfig | str | None = None, *, splits: Mapping[str, tuple[int, int]] | None = None,
        cores: int | None = None, tune: bool = False, measured: bool = True, progress: Progress = silent,
    ) -> Program:  # fmt: skip
        """Puts the network on ``chip``: a configuration, or a preset's name; default :attr:`chip`.

        ``splits``: (row tiles, channel tiles) by layer, where they are not to be chosen. ``cores``: use that many at
        most. ``tune``: choose by predicted cycles, which takes longer. ``measured``: go by the spikes of :attr:`x`;
        else all sources count as equally busy. Raises DoesNotFitError that names the limit, and ConfigError.
        """
        config = self.chip if chip is None else chip_of(chip)
        spikes, judge = None, None
        if measured or tune:
            activations = reference.run(self.graph, self.x).activations
            spikes = count_spikes(self.graph, activations, config.lanes) if measured else None
            judge = judge_cycles(self.graph, config, activations) if tune else None
        return Program(
            plan_network(
                self.graph, config, spikes=spikes, overrides=splits, cores=cores, judge=judge,
                progress=progress("places"),
            )
        )  # fmt: skip

    def verify(
        self, images: Any = None, labels: Any = None, *, chip: ChipConfig | str | None = None,
        program: Program | list[ProgramImage] | None = None, simulation: Simulation = "compiled",
        layer: str | None = None, stall: float = 0.0, seed: int = 0, jobs: int = 2,
        build_dir: str | Path = "build/sim", check: bool = True, progress: Progress = silent,
    ) -> Verification:  # fmt: skip
        """Runs every stage, from torch and onnxruntime down to the RTL, and compares every neuron of every layer.

        ``images``, ``labels``: real [N, C, H, W], classes [N]; default :attr:`x`. ``program``: of :meth:`map`;
        default a map on ``chip``. ``simulation``: what runs the RTL: "compiled", "verilator", "icarus", "amaranth";
        "tile": each tile alone, for networks too large for that; "tiles": no RTL. ``layer``: only this layer's tiles,
        with "tile".
        ``stall``: probability that the host stalls, per cycle and stream. ``jobs``: tiles at a time. ``build_dir``:
        where compiled chips are kept.

        Raises MismatchError that names the first difference, unless ``check`` is False: then see
        :attr:`Verification.failures`. Raises SdannError where a stage cannot run: none is left out.
        """
        x = self.x if images is None else self.inputs(images)
        given = self.labels if images is None and labels is None else labels
        classes = None if given is None else labels_of(given, len(x))
        if program is None:
            program = self.map(chip, progress=progress)
        programs = list(program.images()) if isinstance(program, Program) else program
        found = verify(
            self.graph, x, classes, programs, simulation=simulation, layer=layer, stall=stall, seed=seed, jobs=jobs,
            build_dir=Path(build_dir), progress=progress,
        )  # fmt: skip
        if check and found.failures:
            raise MismatchError("\n".join(found.failures))
        return found

    def report(
        self, path: str | Path, images: Any = None, labels: Any = None, *, chip: ChipConfig | str | None = None,
        program: Program | list[ProgramImage] | None = None, simulation: "SimulatorName" = "compiled",
        stall: float = 0.0, seed: int = 0, build_dir: str | Path = "build/sim", check: bool = True,
        progress: Progress = silent,
    ) -> "ReportData":  # fmt: skip
        """Runs as :meth:`verify` does, watched window by window, and writes the page ``path`` (HTML).

        Returns what the page shows. Raises DoesNotFitError for a network that takes several passes, and
        MismatchError after the page is written, unless ``check`` is False: then see ``failures``.
        """
        from ..report import check_one_pass, run_report, write_report  # templates and simulators

        x = self.x if images is None else self.inputs(images)
        given = self.labels if images is None and labels is None else labels
        if program is None:
            program = self.map(chip, progress=progress)
        programs = list(program.images()) if isinstance(program, Program) else program
        check_one_pass(self.name, programs[0].config.name, len(programs))
        source = NetworkSource(
            network=self.graph, x=x, labels=None if given is None else labels_of(given, len(x)), about=self.name
        )
        found = run_report(
            source, programs[0], simulator=simulation, stall=stall, seed=seed, build_dir=Path(build_dir),
            progress=progress,
        )  # fmt: skip
        write_report(found, Path(path))
        if check and found.failures:
            raise MismatchError("\n".join(found.failures))
        return found

    def save(self, path: str | Path) -> Path:
        """Writes the integers to one safetensors file, as `sdann quantize` does; :func:`sdann.load` reads it."""
        with atomic(Path(path)) as temporary:
            save_network(self.graph, temporary)
        return Path(path)

    def __repr__(self) -> str:
        graph = self.graph
        weights = sum(edge.weight.size for layer in graph.layers for edge in layer.edges)
        return (
            f"Network({graph.name!r}, input {' x '.join(map(str, graph.input_shape))}, {len(graph.layers)} layers, "
            f"{weights:,} weights of {graph.weight_bits} bits, T = {graph.time_steps})"
        )

    def _repr_html_(self) -> str:
        chosen = {} if self.choices is None else {one.name: one for one in self.choices.layers}
        return html_table(
            repr(self),
            ("layer", "reads", "shape", "weights", "scale", "overflow of V"),
            (
                (
                    layer.name, ", ".join(f"{edge.kind} {edge.source}" for edge in layer.edges),
                    " x ".join(map(str, layer.shape)), f"{sum(edge.weight.size for edge in layer.edges):,}",
                    f"{self.graph.scales[layer.name]:.4g}" if layer.name in self.graph.scales else "",
                    chosen[layer.name].overflow if layer.name in chosen else "",
                )
                for layer in self.graph.layers
            ),
        )  # fmt: skip


def load(path: str | Path, *, chip: ChipConfig | str | None = None, seed: int = 0) -> Network:
    """The network of a file that :meth:`Network.save` or `sdann quantize` wrote.

    ``chip``: what it is for, where nothing else is named; default the preset "darwin" with membranes of the network's
    width. Its samples are test digits if it takes them, else random inputs by ``seed``. Raises FileFormatError that
    names the file and the fault.
    """
    graph = load_network(path)
    x, labels = samples_for(graph, KEPT, seed)
    config = preset("darwin").replace(membrane_bits=graph.membrane_bits) if chip is None else chip_of(chip)
    return Network(graph=graph, x=x, labels=labels, chip=config)
