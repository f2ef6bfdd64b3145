"""How many cores the mapper and PAIBox, the toolchain of the PAICORE chip, take for the same networks.

Only what a mapping takes is compared: PAIBox's neurons are of other kinds, and what they compute is another thing.
docs/compare.md says what may be concluded. PAIBox is not needed to run the rest of the project; install it with
pip install 'sdann[compare]', or name the interpreter of another environment that has it.

    python scripts/compare_paibox.py [--python PYTHON] [--only NAME ...] [--place] [--json]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from torch import nn

from hdl.config import ChipConfig, preset
from sdann.cli.tables import table
from sdann.graph import INPUT, Edge, IntArray, Layer, QuantizedNetwork, Shape
from sdann.mapper import NetworkMap, plan_network
from sdann.mapper.plan import Planner
from sdann.mapper.work import assumed_spikes
from sdann.zoo.digits import digit_cnn

CHILD = Path(__file__).with_name("paibox_cores.py")

# The read-out queue bounds which maps may be a last layer's, not how many cores hold them.
CONFIG = preset("darwin").replace(readout_depth=1 << 14)


class Chain:
    """Puts layers behind each other, with random weights of all 8 bits: what a mapping takes depends on shapes only."""

    def __init__(self, name: str, shape: Shape) -> None:
        self.name, self.input, self.shape = name, shape, shape
        self.rng = np.random.default_rng(0)
        self.layers: list[Layer] = []

    def add(self, name: str, edge: Edge, channels: int) -> "Chain":
        down, across = edge.weight.shape[2:]
        rows, columns = (
            (side + 2 * edge.padding - kernel) // edge.stride + 1
            for side, kernel in zip(self.shape[1:], (down, across), strict=True)
        )
        self.shape = channels, rows, columns
        self.layers.append(Layer(
            name=name, shape=self.shape, edges=(edge,), mult=np.full(channels, 1), shift=np.full(channels, 8),
            bias=np.zeros(channels, dtype=np.int64), bias_mode="sum", lo=0, hi=255,
        ))  # fmt: skip
        return self

    @property
    def source(self) -> str:
        return self.layers[-1].name if self.layers else INPUT

    def weight(self, *shape: int) -> IntArray:
        weight = self.rng.integers(-128, 128, shape)
        weight.flat[:2] = -128, 127
        return weight

    def conv(self, channels: int, kernel: int = 3, stride: int = 1, padding: int = 1, name: str = "conv") -> "Chain":
        weight = self.weight(channels, self.shape[0], kernel, kernel)
        edge = Edge(source=self.source, kind="conv", weight=weight, stride=stride, padding=padding)
        return self.add(name, edge, channels)

    def sums(self, side: int, name: str) -> "Chain":
        """Sums over windows of ``side`` x ``side``, as average pooling takes them; side 1 copies."""
        channels = self.shape[0]
        weight = np.ones((channels, 1, side, side), dtype=np.int64)
        return self.add(name, Edge(source=self.source, kind="depthwise", weight=weight, stride=side), channels)

    def linear(self, outputs: int, name: str = "linear") -> "Chain":
        return self.add(
            name, Edge(source=self.source, kind="linear", weight=self.weight(outputs, *self.shape)), outputs
        )

    def network(self) -> QuantizedNetwork:
        return QuantizedNetwork(
            name=self.name, input_shape=self.input, input_signed=False, time_steps=8, membrane_bits=32, weight_bits=8,
            layers=tuple(self.layers),
        )  # fmt: skip


def digits() -> QuantizedNetwork:
    """The zoo's digit network, in its shapes."""
    chain = Chain("digits", (1, 8, 8))
    for name, module in digit_cnn().named_children():
        if isinstance(module, nn.Conv2d):
            chain.conv(module.out_channels, module.kernel_size[0], module.stride[0], int(module.padding[0]), name)
        elif isinstance(module, nn.AvgPool2d):
            chain.sums(int(module.kernel_size), name)  # type: ignore[arg-type]
        elif isinstance(module, nn.Linear):
            chain.linear(module.out_features, name)
    return chain.network()


def networks() -> dict[str, QuantizedNetwork]:
    """All that are compared, by name. A convolution stands there twice: alone, and behind a layer that copies."""
    found = [Chain(f"linear-{a}-{b}", (a, 1, 1)).linear(b).network() for a, b in ((512, 10), (1024, 256))]
    for side, channels in ((8, 16), (16, 16), (16, 32), (32, 16)):
        name, shape = f"{side}x{side}x{channels}", (channels, side, side)
        found.append(Chain(f"conv-{name}", shape).conv(channels).network())
        found.append(Chain(f"copy-conv-{name}", shape).sums(1, "copy").conv(channels).network())
    return {network.name: network for network in [*found, digits()]}


# -- ours -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Ours:
    """Cores of a layer by name, the input's first: the fewest, and spread over the chip (None: not tried)."""

    fewest: dict[str, int]
    spread: dict[str, int] | None


def _used(made: NetworkMap) -> dict[str, int]:
    (one,) = made.passes
    return {name: grid.cores for name, grid in one.grids.items()}


def ours(network: QuantizedNetwork, config: ChipConfig, spread: bool = True) -> Ours:
    """What the mapper takes for a network that fits the chip at once; both mappings are placed, with their routes."""
    planner = Planner(network, config, assumed_spikes(network, config.lanes), {}, len(config.cores))
    fewest = sum(grids[0].cores for grids in planner.grids(planner.frame(network.layers)).values())
    return Ours(
        fewest=_used(plan_network(network, config, cores=fewest, one_pass=True)),
        spread=_used(plan_network(network, config, one_pass=True)) if spread else None,
    )


# -- PAIBox ---------------------------------------------------------------------------------------------


def kind_of(edge: Edge) -> str:
    """The kind that paibox_cores.py knows."""
    copies = edge.kind == "depthwise" and edge.weight.shape[1:] == (1, 1, 1) and bool((edge.weight == 1).all())
    return "copy" if copies and edge.stride == 1 and not edge.padding else edge.kind


def write_networks(folder: Path, found: Sequence[QuantizedNetwork], place: bool) -> None:
    """What paibox_cores.py reads; raises ValueError for a network that is no chain."""
    asked, weights = [], {}
    for number, network in enumerate(found):
        layers, before = [], INPUT
        for index, layer in enumerate(network.layers):
            if len(layer.edges) != 1 or layer.edges[0].source != before or layer.pool is not None:
                raise ValueError(f"{network.name!r} is not a chain of layers at {layer.name!r}")
            (edge,), before = layer.edges, layer.name
            weights[f"{number}_{index}"] = edge.weight.astype(np.int8)
            layers.append({
                "name": layer.name, "kind": kind_of(edge), "shape": layer.shape, "stride": edge.stride,
                "padding": edge.padding,
            })  # fmt: skip
        asked.append({"name": network.name, "input": network.input_shape, "layers": layers})
    (folder / "networks.json").write_text(json.dumps({"networks": asked, "place": place}))
    np.savez(folder / "weights.npz", **weights)


def paibox(found: Sequence[QuantizedNetwork], python: str, place: bool = False) -> dict[str, Any]:
    """What paibox_cores.py prints; ends the program with a message where ``python`` has no PAIBox."""
    with tempfile.TemporaryDirectory() as name:
        write_networks(Path(name), found, place)
        try:
            done = subprocess.run([python, str(CHILD), name], cwd=name, capture_output=True, text=True, check=False)
        except OSError as error:
            raise SystemExit(f"{python} cannot be run: {error.strerror}") from None
    if done.returncode == 3:
        raise SystemExit(
            f"{python} has no PAIBox ({done.stderr.strip()}): pip install 'sdann[compare]', or name an interpreter "
            "that has it with --python"
        )
    if done.returncode:
        raise SystemExit(f"{CHILD.name} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


# -- table ----------------------------------------------------------------------------------------------


def sum_text(cores: dict[str, int] | None) -> str:
    """``12 = 1 + 3 + 8``."""
    if cores is None:
        return "-"
    terms = " + ".join(map(str, cores.values()))
    return f"{sum(cores.values()):,} = {terms}" if len(cores) > 1 else f"{sum(cores.values()):,}"


def paibox_text(tried: Sequence[dict[str, Any]]) -> str:
    """The last form that was tried: cores, cores that the placing occupies where it is known, and the form's mark."""
    last = tried[-1]
    if "refused" in last:
        return "refused"
    text = sum_text(last["layers"]) + ("*" if last["form"] == "matrices" else "")
    return text if "occupied" not in last else f"{text} ({last['occupied']:,})"


def capacity_rows(core: dict[str, int], config: ChipConfig) -> list[list[str]]:
    """What one core holds."""
    spikes, activations = core["inputs_spikes"], core["inputs_activations"]
    return [
        ["weights of 8 bits", f"{config.weight_words * config.lanes:,}", *[f"{core['weight_bits'] // 8:,}"] * 2],
        ["a weight is for", "all positions of a map", "one synapse", "one synapse"],
        [
            "neurons at most", f"{config.neuron_words * config.lanes:,}", f"{core['neurons_spikes']:,}",
            f"{core['neurons_activations']:,}",
        ],
        ["inputs of a neuron at that", "any", f"{spikes:,}", f"{activations:,}"],
    ]  # fmt: skip


def refusals(answer: dict[str, Any]) -> list[str]:
    """What PAIBox refused, and with which error."""
    return [
        f"{name}, {mode}, as {one['form']}: {one['refused']}"
        for name, modes in answer["networks"].items() for mode, tried in modes.items() for one in tried
        if "refused" in one
    ]  # fmt: skip


def show(found: dict[str, Ours], answer: dict[str, Any], console: Console) -> None:
    """The tables."""
    versions = ", ".join(f"{name} {number}" for name, number in answer["versions"].items())
    columns = ["network", "fewest", "spread", "PAIBox, spikes", "PAIBox, activations"]
    rows = [
        [name, sum_text(own.fewest), sum_text(own.spread),
         *(paibox_text(answer["networks"][name][mode]) for mode in ("spikes", "activations"))]
        for name, own in found.items()
    ]  # fmt: skip
    console.print(table(f"Cores: all = the input's (ours only) + each layer's; {versions}", columns, rows))
    console.print("*: convolutions given as matrices, since PAIBox refused its own. (n): occupied once placed.")
    titles = ["a core", "SDANN darwin", "PAICORE, spikes", "PAICORE, activations"]
    console.print(table("What one core holds", titles, capacity_rows(answer["core"], CONFIG)))
    for line in refusals(answer):
        console.print(line, highlight=False, markup=False)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter that has PAIBox (default: this one)")
    parser.add_argument("--only", nargs="+", choices=list(networks()), metavar="NAME", help=", ".join(networks()))
    parser.add_argument("--place", action="store_true", help="PAIBox also places networks of up to 300 cores; minutes")
    parser.add_argument("--no-spread", action="store_true", help="the fewest cores only; the rest takes a minute")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    options = parser.parse_args(arguments)
    chosen = {name: network for name, network in networks().items() if not options.only or name in options.only}
    began = time.monotonic()
    answer = paibox(list(chosen.values()), options.python, options.place)
    found = {name: ours(network, CONFIG, not options.no_spread) for name, network in chosen.items()}
    if options.json:
        own = {name: {"fewest": one.fewest, "spread": one.spread} for name, one in found.items()}
        print(json.dumps({"chip": CONFIG.name, "sdann": own, "paibox": answer}))
        return
    show(found, answer, Console(width=None if sys.stdout.isatty() else 140))
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
