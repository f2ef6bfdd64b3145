"""The spiking network in torch: spike by spike's weights, step by step, as :mod:`sdann.stem`, to the last bit.

I(t) of all steps of a layer are one matrix product, since they depend on its sources' spikes only; then V(t) is updated
step after step.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import torch

from ..check import check_network
from ..graph import INPUT, IntArray, QuantizedNetwork
from ..stem import Record
from .columns import blocks
from .counting import spike_maps
from .integrate import Integrator
from .layer_plan import LayerPlan, device_of, input_map, plan_layer
from .planes import spike_planes
from .products import Backend, backends_for
from .requantize import Requantizer
from .sparsify import finish
from .synapses import EdgeInput
from .traces import Traces

__all__ = ["SpikingNetwork", "SpikingResult"]


@dataclass(frozen=True, kw_only=True)
class SpikingResult:
    """What a network does on N samples. Step t = 0 carries the most significant bit.

    ``activations``: integers [N, C, H, W] per layer, the input's under :data:`sdann.graph.INPUT`. ``spike_counts``:
    int64 [T] per source (the input and every unsigned layer). ``sops``, ``saturations`` per layer. These three are
    sums over samples. ``spikes``: bool [T, N, C, H, W] per source. ``currents``: I(t), ``membranes``: V(t) of the
    neurons, summed over the layer's parts: integers [T, N, C, H, W] per layer. ``part_currents``,
    ``part_membranes``: the same of each part, [P, T, N, C, H, W] per layer with ``parts``. These five are empty unless
    recorded.
    """

    activations: dict[str, torch.Tensor] = field(default_factory=dict)
    sops: dict[str, int] = field(default_factory=dict)
    saturations: dict[str, int] = field(default_factory=dict)
    spike_counts: dict[str, torch.Tensor] = field(default_factory=dict)
    spikes: dict[str, torch.Tensor] = field(default_factory=dict)
    currents: dict[str, torch.Tensor] = field(default_factory=dict)
    membranes: dict[str, torch.Tensor] = field(default_factory=dict)
    part_currents: dict[str, torch.Tensor] = field(default_factory=dict)
    part_membranes: dict[str, torch.Tensor] = field(default_factory=dict)


class SpikingNetwork:
    """``network``, prepared for ``device``.

    ``backend``: as for :class:`sdann.fast.IntegerNetwork`. ``isum_bits``: width of I(t), which wraps. Raises
    SdannError for an inconsistent network, and for a backend that is not exact here.
    """

    def __init__(
        self,
        network: QuantizedNetwork,
        device: str | torch.device = "cpu",
        backend: Backend = "auto",
        *,
        isum_bits: int = 24,
    ) -> None:
        check_network(network)
        self.network, self.device = network, device_of(device)
        self.backends = backends_for(backend, self.device)
        self._layers: list[tuple[LayerPlan, Integrator, Requantizer]] = []
        for layer in network.layers:
            integrator = Integrator(layer, network, isum_bits)
            ranges = [(-1, 1) if self._signed(edge.source) else (0, 1) for edge in layer.edges]
            plan = plan_layer(
                network, layer, layer.split, ranges, self.backends, self.device, wide=integrator.wide_currents
            )
            self._layers.append((plan, integrator, Requantizer(layer, integrator.total_bound, self.device)))

    def _signed(self, source: str) -> bool:
        return source == INPUT and self.network.input_signed

    @torch.no_grad()
    def run(self, x: IntArray | torch.Tensor, *, record: Collection[Record] = ()) -> SpikingResult:
        """Run ``x`` (integers [N, C, H, W], T bits). ``record``: which traces to keep.

        Raises SdannError for an input of another shape, type or range.
        """
        steps = self.network.time_steps
        maps = {INPUT: input_map(self.network, x, self.device)}
        spikes = {INPUT: spike_maps(maps[INPUT], steps)}
        result = SpikingResult()
        for plan, integrator, requantizer in self._layers:
            layer = plan.layer
            result.sops[layer.name] = plan.sops([spikes[edge.source] for edge in layer.edges])
            traces = Traces(layer, len(maps[INPUT]), steps, record)
            sources = [(maps[edge.source], self._signed(edge.source)) for edge in layer.edges]
            a, result.saturations[layer.name] = self._neurons(plan, integrator, requantizer, sources, traces)
            maps[layer.name] = a = a if layer.raw else finish(layer, a, steps)
            if not layer.signed:
                spikes[layer.name] = spike_maps(a, steps)
            traces.store(result.currents, result.membranes, result.part_currents, result.part_membranes)
        result.spike_counts.update((name, counts.sum(dim=(1, 2))) for name, counts in spikes.items())
        for name in spikes if "spikes" in record else ():
            planes = spike_planes(maps[name], steps, negative_first=False)
            result.spikes[name] = planes.permute(1, 0, 4, 2, 3) != 0
        result.activations.update((name, a.permute(0, 3, 1, 2)) for name, a in maps.items())
        return result

    def _neurons(
        self,
        plan: LayerPlan,
        integrator: Integrator,
        requantizer: Requantizer,
        sources: Sequence[tuple[torch.Tensor, bool]],
        traces: Traces,
    ) -> tuple[torch.Tensor, int]:
        """Requantized V(T-1) (raw: itself) [N, H, W, C], and the number of saturated updates."""
        steps, layer = self.network.time_steps, plan.layer
        n, (channels, height, width) = len(sources[0][0]), layer.shape
        dtype = integrator.total_type if layer.raw else requantizer.dtype
        a = torch.empty((n, height, width, channels), dtype=dtype, device=self.device)
        saturations = 0
        for samples, bands in blocks(n, height, steps * plan.row_bytes):
            planes = [spike_planes(x[samples], steps, negative_first=signed) for x, signed in sources]
            inputs = [EdgeInput(plane.flatten(0, 1)) for plane in planes]
            for rows in bands:
                total: torch.Tensor | None = None
                for p in range(len(plan.parts)):
                    sums = plan.sums(inputs, p, rows)
                    currents = integrator.wrap(sums.view(-1, steps, *sums.shape[1:]))
                    v, saturated = integrator.run(currents, traces.keeper(p, samples, rows))
                    saturations += saturated
                    total = v if total is None else total + v
                assert total is not None
                a[samples, rows] = total if layer.raw else requantizer(total)
        return a, saturations
