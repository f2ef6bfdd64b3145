"""What a network is, as a number: two networks with the same hash compute the same integers."""

import hashlib
import json
from typing import Any

from sdann.graph import QuantizedNetwork

__all__ = ["network_hash"]


def network_hash(network: QuantizedNetwork) -> str:
    """SHA-256 (hex) of everything in the network that decides its integers (not its name or scales)."""
    digest = hashlib.sha256()
    head: list[Any] = [network.input_shape, network.input_signed, network.time_steps, network.membrane_bits]
    for layer in network.layers:
        edges = [(e.source, e.kind, e.stride, e.padding, e.shift, e.weight.shape) for e in layer.edges]
        scaled = (layer.scaled.mult1, layer.scaled.shift1) if layer.scaled else None
        fields = [layer.name, layer.shape, edges, layer.bias_mode, layer.lo, layer.hi, layer.signed]
        pool = (layer.pool.kernel, layer.pool.stride, layer.pool.padding) if layer.pool else None
        parts = [[(f.edge, f.channel0, f.channels) for f in part] for part in layer.parts]
        head.append([*fields, layer.rot, layer.drlo, layer.truncate, pool, layer.raw, parts, scaled])
        for array in (layer.mult, layer.shift, layer.bias, *(e.weight for e in layer.edges)):
            digest.update(array.astype("<i8").tobytes())
    digest.update(json.dumps(head).encode())
    return digest.hexdigest()
