"""Relay layers: a skip that is longer than the cores' history is handed on by cores that do nothing else."""

from dataclasses import replace

import numpy as np

from sdann.errors import UnsupportedError
from sdann.graph import INPUT, Edge, Layer, QuantizedNetwork
from sdann.mapper.feeds import stages_in

__all__ = ["with_relays"]


def _relay(network: QuantizedNetwork, name: str, source: str) -> Layer:
    """A layer that repeats the activations of ``source``: one depthwise weight of 1."""
    channels = network.shape_of(source)[0]
    ones = np.ones(channels, dtype=np.int64)
    # (V * 2 + 1) >> 1 is V
    edge = Edge(source=source, kind="depthwise", weight=np.ones((channels, 1, 1, 1), dtype=np.int64))
    return Layer(
        name=name, shape=network.shape_of(source), edges=(edge,), mult=2 * ones, shift=ones, bias=0 * ones,
        bias_mode="scaled", lo=0, hi=(1 << network.time_steps) - 1,
    )  # fmt: skip


def with_relays(network: QuantizedNetwork, reach: int) -> QuantizedNetwork:
    """``network`` with relay layers, so that no edge leads over more than ``reach`` stages.

    The activations of its own layers stay what they are; a relay has the name of what it repeats and the stage in which
    it does. Raises :class:`UnsupportedError` for a long skip that no layer can repeat: from a signed input, or with a
    membrane that does not hold an activation.
    """
    while True:
        stages = stages_in(network, [INPUT, *(layer.name for layer in network.layers)], {INPUT})
        for layer in network.layers:
            far = next((e.source for e in layer.edges if stages[layer.name] - stages[e.source] > reach), None)
            if far is not None:
                break
        else:
            return network
        if far == INPUT and network.input_signed:
            raise UnsupportedError(
                f"layer {layer.name!r} reads the signed input over {stages[layer.name]} stages, the chip's history "
                f"reaches {reach}: use a chip with more slots, or an unsigned input"
            )
        if network.membrane_bits <= network.time_steps:
            raise UnsupportedError(
                f"layer {layer.name!r} reads {far!r} over {stages[layer.name] - stages[far]} stages, the chip's "
                f"history reaches {reach}, and membrane_bits {network.membrane_bits} hold no activation of "
                f"{network.time_steps} bits that a relay could repeat: use a chip with more slots or wider membranes"
            )
        name = f"{far.split('@')[0]}@{stages[far] + 1}"
        while name in stages:
            name += "'"
        number = network.layers.index(layer)
        relay = _relay(network, name, far)
        # every edge that leads too far from there takes the relay
        layers = [
            replace(
                other,
                edges=tuple(
                    replace(edge, source=name)
                    if edge.source == far and stages[other.name] - stages[far] > reach
                    else edge
                    for edge in other.edges
                ),
            )
            for other in network.layers[number:]
        ]
        network = replace(network, layers=(*network.layers[:number], relay, *layers))
