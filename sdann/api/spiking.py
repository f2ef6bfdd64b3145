"""What the spiking model of a network does, step by step."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..fast import SpikingNetwork
from ..float_model import FloatArray
from ..graph import IntArray, QuantizedNetwork
from ..html_table import html_table
from ..quantization import dequantize_output
from ..stem import Record
from .arguments import integers_of

__all__ = ["Spiking", "run_spiking"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Spiking:
    """A run of N samples, T time steps each; step 0 carries the most significant bit.

    ``activations``: int64 [N, C, H, W] by layer, the input's under "input". ``spikes``: bool [T, N, C, H, W] of the
    input and of every unsigned layer. ``currents``: I(t), ``membranes``: V(t), int64 [T, N, C, H, W] by layer; these
    hold what was recorded. ``sops``, ``saturations``: by layer, summed over samples. ``spike_counts``: int64 [T] by
    source, summed over samples. ``outputs``: the last layer's real values, float64 [N, C, H, W].
    """

    network: QuantizedNetwork
    activations: Mapping[str, IntArray]
    spikes: Mapping[str, npt.NDArray[np.bool_]]
    currents: Mapping[str, IntArray]
    membranes: Mapping[str, IntArray]
    sops: Mapping[str, int]
    saturations: Mapping[str, int]
    spike_counts: Mapping[str, IntArray]
    outputs: FloatArray

    @property
    def samples(self) -> int:
        """N."""
        return len(self.outputs)

    def __repr__(self) -> str:
        return (
            f"Spiking({self.network.name!r}, {self.samples} samples, {self.network.time_steps} steps, "
            f"{sum(int(n.sum()) for n in self.spike_counts.values()):,} spikes, {sum(self.sops.values()):,} SOPs)"
        )

    def _repr_html_(self) -> str:
        steps = range(self.network.time_steps)
        rows = []
        for name in self.activations:
            counts = (
                [f"{int(n):,}" for n in self.spike_counts[name]] if name in self.spike_counts else [""] * len(steps)
            )
            sums = [f"{by_layer[name]:,}" if name in by_layer else "" for by_layer in (self.sops, self.saturations)]
            rows.append((name, *counts, *sums))
        return html_table(
            f"{self.network.name}: {self.samples} samples, {len(steps)} steps",
            ("layer", *(f"spikes, step {t}" for t in steps), "SOPs", "saturations"), rows,
        )  # fmt: skip


def run_spiking(network: QuantizedNetwork, x: IntArray, record: tuple[Record, ...], isum_bits: int) -> Spiking:
    """``x``: integers [N, C, H, W] of T bits. ``isum_bits``: width of I(t)."""
    found = SpikingNetwork(network, isum_bits=isum_bits).run(x, record=record)
    activations = {name: integers_of(a) for name, a in found.activations.items()}
    return Spiking(
        network=network, activations=activations,
        spikes={name: np.asarray(a.cpu().numpy()) for name, a in found.spikes.items()},
        currents={name: integers_of(a) for name, a in found.currents.items()},
        membranes={name: integers_of(a) for name, a in found.membranes.items()},
        sops=found.sops, saturations=found.saturations,
        spike_counts={name: integers_of(a) for name, a in found.spike_counts.items()},
        outputs=dequantize_output(network, activations[network.layers[-1].name]),
    )  # fmt: skip
