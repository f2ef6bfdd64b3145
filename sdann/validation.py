"""A network's programs on the tile model, pass by pass, against the golden model: every neuron, and the SOPs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from hdl.program import Counter

from .errors import MismatchError
from .golden import GoldenResult
from .graph import IntArray, QuantizedNetwork
from .liveness import LEAST_ALIVE
from .mapper.geometry import groups_of
from .mapper.image import ProgramImage
from .mapper.work import Floats, count_spikes, layer_work
from .passes import run_passes
from .tile_model import TileModel

__all__ = ["LayerValidation", "Validation", "validate_programs"]


@dataclass(frozen=True, kw_only=True)
class LayerValidation:
    """``compared``: the golden's activations, all samples. ``first``: a line on the first of those that are different.

    ``alive``: share of the golden's that are not zero. ``sops``: counted by the cores; ``expected_sops``: the golden's
    of every neuron, as often as cores compute it (pooling windows that overlap a cut are computed on both sides).
    ``computed_once``: whether each neuron is computed by one core.
    """

    layer: str
    compared: int
    different: int
    first: str | None
    alive: float
    sops: int
    expected_sops: int
    computed_once: bool


@dataclass(frozen=True, kw_only=True)
class Validation:
    """``layers``: in graph order. ``saturations``, ``rejected``, ``dropped``, ``stray``: over all cores and passes."""

    network: str
    samples: int
    passes: int
    cores: tuple[int, ...]
    layers: tuple[LayerValidation, ...]
    saturations: int
    expected_saturations: int
    rejected: int
    dropped: int
    stray: int

    @property
    def different(self) -> int:
        """Activations of all layers that differ."""
        return sum(layer.different for layer in self.layers)

    def problems(self, least_alive: float = LEAST_ALIVE) -> list[str]:
        """A line for everything that is not as it must be; empty: all is well."""
        found = []
        for layer in self.layers:
            where = f"{self.network}, layer {layer.layer!r}"
            if layer.different:
                found.append(f"{where}: {layer.different:,} of {layer.compared:,} activations differ; {layer.first}")
            if layer.sops != layer.expected_sops:
                found.append(f"{where}: {layer.sops:,} SOPs, the golden model's neurons cause {layer.expected_sops:,}")
        for layer in self.layers[:-1]:
            if layer.alive < least_alive:
                share = f"{layer.alive:.1%} of its activations are not zero, less than {least_alive:.1%}"
                found.append(f"{self.network}, layer {layer.layer!r}: {share}; a check on it says little")
        for what, count in (("rejected", self.rejected), ("dropped", self.dropped), ("stray", self.stray)):
            if count:
                found.append(f"{self.network}: {count:,} spike bundles {what}")
        once = all(layer.computed_once for layer in self.layers)  # else neurons saturate in several cores
        wrong = self.saturations != self.expected_saturations if once else self.saturations < self.expected_saturations
        if wrong:
            found.append(
                f"{self.network}: {self.saturations:,} saturations, the golden counts {self.expected_saturations:,}"
            )
        return found


@dataclass
class _Tally:
    sops: dict[str, int] = field(default_factory=dict)
    computed: dict[str, Floats] = field(default_factory=dict)  # how often, [groups, H, W]
    cores: list[int] = field(default_factory=list)
    saturations: int = 0
    rejected: int = 0
    dropped: int = 0
    stray: int = 0
    lanes: int = 0


def validate_programs(
    network: QuantizedNetwork, images: Iterable[ProgramImage], golden: GoldenResult, x: IntArray, *,
    done: Callable[[ProgramImage], None] = lambda image: None,
) -> Validation:  # fmt: skip
    """Runs the programs of ``network`` on inputs ``x`` [N, C, H, W]; ``golden``: its result. ``done``: after each pass.

    Layers that the programs have and the network has not (relays) are not compared; the SOPs that they cause are not
    counted. Raises SdannError for programs that do not belong together.
    """
    tally = _Tally()

    def run(image: ProgramImage, sources: Mapping[str, IntArray]) -> Mapping[str, IntArray]:
        found = TileModel(image).run(sources)
        lanes = tally.lanes = image.config.lanes
        for layer in image.computed:
            tally.sops[layer.name] = tally.sops.get(layer.name, 0) + found.sops(image, layer.name)
            channels, height, width = layer.neurons
            times = tally.computed.setdefault(layer.name, np.zeros((groups_of(channels, lanes), height, width)))
            for core in image.holders(layer.name):
                r = core.region
                first, last = r.channel0 // lanes, groups_of(r.channel0 + r.channels, lanes)
                times[first:last, r.y0 : r.y0 + r.height, r.x0 : r.x0 + r.width] += 1
        for values in found.counters.values():
            tally.saturations += values[Counter.SATURATIONS]
            tally.rejected += values[Counter.REJECTED]
            tally.dropped += values[Counter.DROPPED]
        tally.stray += found.stray
        tally.cores.append(len(image.cores))
        done(image)
        return found.activations

    values = run_passes(images, x, run)
    spikes = count_spikes(network, golden.activations, tally.lanes)
    rows = []
    for layer in network.layers:
        expected, found = golden.activations[layer.name], values[layer.name]
        if found.shape != expected.shape:
            raise MismatchError(f"the programs give layer {layer.name!r} the shape {found.shape}, not {expected.shape}")
        different = int(np.count_nonzero(found != expected))
        first = None
        if different:
            place = tuple(int(i) for i in np.argwhere(found != expected)[0])
            first = f"first: golden {expected[place]}, tiles {found[place]} at sample, channel, row, column {place}"
        once = bool((tally.computed[layer.name] == 1).all())
        if once:  # then the golden's own count is what the cores must have
            expected_sops = golden.sops[layer.name]
        else:
            per_neuron = layer_work(network, layer, spikes, [some for part in layer.split for some in part])
            expected_sops = round(float((per_neuron * tally.computed[layer.name]).sum()) * len(x))
        rows.append(LayerValidation(
            layer=layer.name, compared=expected.size, different=different, first=first,
            alive=np.count_nonzero(expected) / expected.size, sops=tally.sops[layer.name],
            computed_once=once, expected_sops=expected_sops,
        ))  # fmt: skip
    return Validation(
        network=network.name,
        samples=len(x),
        passes=len(tally.cores),
        cores=tuple(tally.cores),
        layers=tuple(rows),
        saturations=tally.saturations,
        expected_saturations=sum(golden.saturations.values()),
        rejected=tally.rejected,
        dropped=tally.dropped,
        stray=tally.stray,
    )
