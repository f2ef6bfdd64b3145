"""Whether golden and spiking models agree on a network, activation by activation, and how alive its layers are."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from . import reference, stem
from .errors import MismatchError
from .fast import SpikingNetwork
from .graph import IntArray, QuantizedNetwork
from .liveness import LEAST_ALIVE

__all__ = ["SPIKING", "Agreement", "LayerAgreement", "compare"]

Spiking = Callable[[QuantizedNetwork, IntArray], tuple[Mapping[str, Any], Mapping[str, int]]]
"""(activations, SOPs) by layer."""


def _fast(network: QuantizedNetwork, x: IntArray) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    result = SpikingNetwork(network).run(x)
    return result.activations, result.sops


def _stem(network: QuantizedNetwork, x: IntArray) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    result = stem.run(network, x, record=())
    return result.activations, result.sops


SPIKING: dict[str, Spiking] = {"fast": _fast, "stem": _stem}
"""The spiking models: that of :mod:`sdann.fast`, and the reference, :mod:`sdann.stem`."""


@dataclass(frozen=True, kw_only=True)
class LayerAgreement:
    """``compared``: activations of the golden model. ``different``: of each spiking model, those that are not the same.
    ``first``: a line on the first of them. ``alive``: share of the golden's that are not zero. ``sops``: the golden's,
    in all samples; ``other_sops``: of the models that count others.
    """

    layer: str
    compared: int
    different: dict[str, int]
    first: str | None
    alive: float
    sops: int
    other_sops: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """``layers``: in graph order. ``seconds``: of the golden and of each spiking model, its making included."""

    network: str
    samples: int
    layers: tuple[LayerAgreement, ...]
    seconds: dict[str, float]

    @property
    def compared(self) -> int:
        """Activations of all layers."""
        return sum(layer.compared for layer in self.layers)

    @property
    def different(self) -> dict[str, int]:
        """By spiking model: activations that differ from the golden's."""
        models = [model for model in self.seconds if model != "golden"]
        return {model: sum(layer.different[model] for layer in self.layers) for model in models}

    @property
    def sops(self) -> int:
        """Synaptic operations of all layers and samples."""
        return sum(layer.sops for layer in self.layers)

    @property
    def least_alive(self) -> LayerAgreement:
        """The hidden layer (all but the last are) with the most zeros; of a single layer, that one."""
        return min(self.layers[:-1] or self.layers, key=lambda layer: layer.alive)

    def problems(self, least_alive: float = LEAST_ALIVE) -> list[str]:
        """A line for every layer in which a model differs, and for every hidden layer that is nearly dead."""
        found = []
        for layer in self.layers:
            where = f"{self.network}, layer {layer.layer!r}"
            for model, count in layer.different.items():
                if count:
                    found.append(
                        f"{where}: {count:,} of {layer.compared:,} activations of {model} differ; {layer.first}"
                    )
            found += [f"{where}: {n:,} SOPs in {m}, {layer.sops:,} in the golden" for m, n in layer.other_sops.items()]
        for layer in self.layers[:-1]:
            if layer.alive < least_alive:
                share = f"{layer.alive:.1%} of its activations are not zero, less than {least_alive:.1%}"
                found.append(f"{self.network}, layer {layer.layer!r}: {share}; a check on it says little")
        return found


def _first(golden: IntArray, found: IntArray, model: str) -> str:
    place = tuple(int(i) for i in np.argwhere(golden != found)[0])
    return f"first: golden {golden[place]}, {model} {found[place]} at sample, channel, row, column {place}"


def compare(
    network: QuantizedNetwork, x: IntArray, *, models: Mapping[str, Spiking] = SPIKING,
    done: Callable[[str], None] = lambda model: None,
) -> Agreement:  # fmt: skip
    """Runs ``x`` (integers [N, C, H, W]) through the golden model that defines ``network`` and through ``models``.

    ``done``: called with each model's name once it has run. Every activation of every layer is compared, and each
    layer's SOPs. Raises SdannError for an inconsistent network or input, and MismatchError for maps of other shapes.
    """
    seconds: dict[str, float] = {}

    def timed(name: str, run: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = run()
        seconds[name] = time.perf_counter() - started
        done(name)
        return result

    golden = timed("golden", partial(reference.run, network, x))
    different: dict[str, dict[str, int]] = {layer.name: {} for layer in network.layers}
    first: dict[str, str] = {}
    other_sops: dict[str, dict[str, int]] = {layer.name: {} for layer in network.layers}
    for model, run in models.items():
        activations, sops = timed(model, partial(run, network, x))
        for name in different:
            expected, found = golden.activations[name], np.asarray(activations[name])
            if found.shape != expected.shape:
                raise MismatchError(f"{model} gives layer {name!r} the shape {found.shape}, not {expected.shape}")
            different[name][model] = count = int(np.count_nonzero(found != expected))
            if count:
                first.setdefault(name, _first(expected, found, model))
            if sops[name] != golden.sops[name]:
                other_sops[name][model] = sops[name]
        del activations  # before the next model needs the memory
    layers = tuple(
        LayerAgreement(
            layer=name, compared=golden.activations[name].size, different=counts, first=first.get(name),
            alive=np.count_nonzero(golden.activations[name]) / golden.activations[name].size, sops=golden.sops[name],
            other_sops=other_sops[name],
        )
        for name, counts in different.items()
    )  # fmt: skip
    return Agreement(network=network.name, samples=len(x), layers=layers, seconds=seconds)
