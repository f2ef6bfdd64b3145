"""How many cores PAIBox takes for networks: the part of compare_paibox.py that runs where PAIBox is installed.

Needs nothing but PAIBox and what it brings. Reads FOLDER/networks.json and FOLDER/weights.npz, which compare_paibox.py
writes, and prints one JSON object.

    python scripts/paibox_cores.py FOLDER
"""

import contextlib
import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

MODES = ("spikes", "activations")
"""1-bit spikes into IF neurons, and 8-bit activations into PAICORE's ANN neurons."""

LARGEST_MATRIX = 1 << 26
"""Weights of an unrolled layer that is still given as a matrix."""

MOST_PLACED = 300
"""Cores of the largest network that is placed; what PAIBox does after counting cores takes minutes for more."""


def unrolled(kernel: np.ndarray, shape: Sequence[int], stride: int, padding: int, groups: int) -> np.ndarray:
    """The matrix [inputs, outputs] of a convolution on maps of ``shape``; ``kernel``: [C_out, C_in / groups, H, W]."""
    outputs, inputs, down, across = kernel.shape
    rows = (shape[1] + 2 * padding - down) // stride + 1
    columns = (shape[2] + 2 * padding - across) // stride + 1
    found = np.zeros((*shape, outputs, rows, columns), dtype=kernel.dtype)
    own = outputs // groups
    for y, x, a, b in np.ndindex(rows, columns, down, across):
        from_y, from_x = y * stride - padding + a, x * stride - padding + b
        if not (0 <= from_y < shape[1] and 0 <= from_x < shape[2]):
            continue
        for group in range(groups):
            reads, makes = slice(group * inputs, (group + 1) * inputs), slice(group * own, (group + 1) * own)
            found[reads, from_y, from_x, makes, y, x] = kernel[makes, :, a, b].T
    return found.reshape(int(np.prod(shape)), -1)


def paibox_network(network: dict[str, Any], kernels: Sequence[np.ndarray], mode: str, matrices: bool) -> Any:
    """The chain of layers in PAIBox's terms; ``matrices``: convolutions are given unrolled, as full connections."""
    import paibox as pb

    class Chain(pb.Network):
        def __init__(self) -> None:
            super().__init__()
            spiking, shape = mode == "spikes", tuple(network["input"])
            source = self.input = pb.InputProj(None, shape_out=shape)
            self.parts = pb.NodeList()
            self.layer_of: dict[str, str] = {}
            for number, (layer, kernel) in enumerate(zip(network["layers"], kernels, strict=True), start=1):
                before, shape = shape, tuple(layer["shape"])
                options = {"tick_wait_start": number}
                if layer["kind"] == "copy":
                    neurons = (pb.BypassNeuron if spiking else pb.ANNBypassNeuron)(shape, **options)
                    synapses = pb.FullConn(source, neurons, weights=1, conn_type=pb.SynConnType.One2One)
                else:
                    neurons = pb.IF(shape, threshold=127, **options) if spiking else pb.ANNNeuron(shape, **options)
                    how = {"stride": layer["stride"], "padding": layer["padding"]}
                    groups = before[0] if layer["kind"] == "depthwise" else 1
                    if layer["kind"] == "linear":
                        synapses = pb.FullConn(source, neurons, kernel.reshape(len(kernel), -1).T)
                    elif matrices:
                        synapses = pb.FullConn(source, neurons, unrolled(kernel, before, groups=groups, **how))
                    else:
                        synapses = pb.Conv2d(source, neurons, kernel, groups=groups, **how)
                self.parts += [neurons, synapses]
                self.layer_of[neurons.name] = layer["name"]
                source = neurons

    return Chain()


def cores_of(network: dict[str, Any], kernels: Sequence[np.ndarray], mode: str, matrices: bool, place: bool) -> Any:
    """Cores of the whole chain and of its layers, or what PAIBox refused it with."""
    import paibox as pb

    found: dict[str, Any] = {"form": "matrices" if matrices else "layers"}
    chain = paibox_network(network, kernels, mode, matrices)
    mapper = pb.Mapper()
    try:
        mapper.build(chain)
        graph = mapper.compile(core_estimate_only=True, grouping_optim_target="core")
    except Exception as error:  # PAIBox raises assertions, too
        where = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())[:120] or where.line
        return found | {"refused": f"{type(error).__name__} in {where.name}: {text}"}
    counted = {layer["name"]: 0 for layer in network["layers"]}
    for block in mapper.core_blocks:
        counted[chain.layer_of[block.dest[0].target.name]] += block.n_core_required
    found |= {"cores": int(graph["n_core_required"]), "layers": counted}
    assert sum(counted.values()) == found["cores"]
    if place and found["cores"] <= MOST_PLACED:
        mapper.build(paibox_network(network, kernels, mode, matrices))
        found["occupied"] = int(mapper.compile(grouping_optim_target="core")["n_core_occupied"])
    return found


def attempts(network: dict[str, Any], kernels: Sequence[np.ndarray], mode: str, place: bool) -> Iterator[Any]:
    """As PAIBox's own layers first; where it refuses these, as matrices."""
    first = cores_of(network, kernels, mode, False, place)
    yield first
    if "refused" not in first:
        return
    shapes = [network["input"], *(layer["shape"] for layer in network["layers"])]
    if max(int(np.prod(a)) * int(np.prod(b)) for a, b in pairwise(shapes)) <= LARGEST_MATRIX:
        yield cores_of(network, kernels, mode, True, place)


def capacity() -> dict[str, int]:
    """What one of PAICORE's cores holds, of neurons with 8-bit weights."""
    from paicorelib import OffCoreCfg

    return {
        "inputs_spikes": OffCoreCfg.N_FANIN_PER_DENDRITE_SNN,
        "neurons_spikes": OffCoreCfg.N_DENDRITE_MAX_SNN >> 3,
        "inputs_activations": OffCoreCfg.N_FANIN_PER_DENDRITE_ANN,
        "neurons_activations": OffCoreCfg.FANOUT_IW8[3],
        "weight_bits": int(np.prod(OffCoreCfg.WEIGHT_RAM_SHAPE)),
    }


def main() -> int:
    folder = Path(sys.argv[1])
    try:
        with contextlib.redirect_stdout(sys.stderr):
            import paibox  # noqa: F401
    except ImportError as error:
        print(error, file=sys.stderr)
        return 3
    asked = json.loads((folder / "networks.json").read_text())
    results: dict[str, Any] = {}
    with np.load(folder / "weights.npz") as weights, contextlib.redirect_stdout(sys.stderr):
        for number, network in enumerate(asked["networks"]):
            kernels = [weights[f"{number}_{layer}"] for layer in range(len(network["layers"]))]
            results[network["name"]] = {mode: list(attempts(network, kernels, mode, asked["place"])) for mode in MODES}
    versions = {name: version(name) for name in ("paibox", "paicorelib", "numpy")}
    print(json.dumps({"versions": versions, "core": capacity(), "networks": results}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
