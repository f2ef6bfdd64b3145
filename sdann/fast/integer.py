"""The integer network in torch: whole layers, exact in every bit, as fast as 8-bit matrix products are."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import torch

from ..check import check_network, membrane_bound, membrane_fits
from ..errors import SdannError
from ..graph import INPUT, FanIn, IntArray, QuantizedNetwork
from .columns import blocks
from .counting import spike_maps
from .layer_plan import LayerPlan, device_of, input_map, plan_layer, source_range, sum_bound
from .products import Backend, backends_for
from .requantize import Requantizer
from .sparsify import finish
from .synapses import EdgeInput

__all__ = ["IntegerNetwork", "IntegerRecord", "IntegerResult"]

IntegerRecord = Literal["accumulators", "sops"]

SOPS: tuple[IntegerRecord, ...] = ("sops",)


@dataclass(frozen=True, kw_only=True)
class IntegerResult:
    """What a network does on N samples, by layer in graph order; tensors of integers of several widths.

    ``activations``: [N, C, H, W] (after pooling), the input's under :data:`sdann.graph.INPUT`. ``accumulators``: sums
    over w x of the neurons, [N, C, H, W]. ``sops``: synaptic operations that reach each layer. The last two are empty
    unless recorded.
    """

    activations: dict[str, torch.Tensor]
    accumulators: dict[str, torch.Tensor]
    sops: dict[str, int]


class IntegerNetwork:
    """``network``, prepared for ``device``.

    ``backend``: of the matrix products: "int8", "float32", "float64", or "auto" for the fastest that passes its
    self-test, layer by layer. The self-test runs here: settings of torch changed afterwards are not seen. Raises
    SdannError for an inconsistent network, for a layer that rounds or saturates at every step (which
    :class:`sdann.fast.SpikingNetwork` takes), and for a backend that is not exact here or cannot hold a layer.
    """

    def __init__(
        self, network: QuantizedNetwork, device: str | torch.device = "cpu", backend: Backend = "auto"
    ) -> None:
        check_network(network)
        self.network, self.device = network, device_of(device)
        self.backends = backends_for(backend, self.device)
        self._layers: list[tuple[LayerPlan, Requantizer]] = []
        for layer in network.layers:
            if layer.scaled is not None or not membrane_fits(layer, network):
                reach = (
                    f"|V| may reach {membrane_bound(layer, network.time_steps)}, beyond {network.membrane_bits} bits"
                )
                raise SdannError(f"layer {layer.name!r} is scaled, or {reach}: use the spiking network")
            ranges = [source_range(network, edge.source) for edge in layer.edges]
            bound = sum_bound(layer, [max(-low, high) for low, high in ranges])
            whole = [FanIn(edge=i, channel0=0, channels=edge.channels) for i, edge in enumerate(layer.edges)]
            plan = plan_layer(network, layer, [whole], ranges, self.backends, self.device, wide=bound >= 1 << 31)
            self._layers.append((plan, Requantizer(layer, bound, self.device)))

    @torch.no_grad()
    def run(self, x: IntArray | torch.Tensor, *, record: Collection[IntegerRecord] = SOPS) -> IntegerResult:
        """Run ``x`` (integers [N, C, H, W], T bits); raises SdannError for another shape, type or range."""
        maps = {INPUT: input_map(self.network, x, self.device)}
        spikes: dict[str, torch.Tensor] = {}
        result = IntegerResult(activations={}, accumulators={}, sops={})
        for plan, requantizer in self._layers:
            layer = plan.layer
            sources = [edge.source for edge in layer.edges]
            if "sops" in record:
                for source in sources:
                    if source not in spikes:
                        spikes[source] = spike_maps(maps[source], self.network.time_steps)
                result.sops[layer.name] = plan.sops([spikes[source] for source in sources])
            keep = "accumulators" in record or layer.raw
            v, a = self._neurons(plan, requantizer, [maps[source] for source in sources], keep=keep)
            if v is not None and "accumulators" in record:
                result.accumulators[layer.name] = v.permute(0, 3, 1, 2)
            maps[layer.name] = v if layer.raw and v is not None else finish(layer, a, self.network.time_steps)
        result.activations.update((name, a.permute(0, 3, 1, 2)) for name, a in maps.items())
        return result

    def _neurons(
        self, plan: LayerPlan, requantizer: Requantizer, sources: list[torch.Tensor], *, keep: bool
    ) -> tuple[torch.Tensor | None, torch.Tensor]:
        """Sums if ``keep``, and their requantized values, [N, H, W, C]."""
        n, (channels, height, width) = len(sources[0]), plan.layer.shape
        a = torch.empty((n, height, width, channels), dtype=requantizer.dtype, device=self.device)
        v: torch.Tensor | None = None
        for samples, bands in blocks(n, height, plan.row_bytes):
            inputs = [EdgeInput(source[samples]) for source in sources]
            for rows in bands:
                sums = plan.sums(inputs, 0, rows)
                if not plan.layer.raw:
                    a[samples, rows] = requantizer(sums)
                if keep:
                    v = torch.empty(a.shape, dtype=sums.dtype, device=self.device) if v is None else v
                    v[samples, rows] = sums
        return v, a
