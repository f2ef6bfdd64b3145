"""How many flits a program's spikes take as bundles of neighbouring channels, and as flits of one spike each."""

import argparse
from pathlib import Path

import numpy as np

from hdl.pack import unpack
from hdl.program import Memory, memory_layouts
from sdann.mapper import ProgramImage, load_image
from sdann.network_file import load_network
from sdann.recipe import check_same_network, samples_for
from sdann.tile_model import TileModel, TileResult


def layer_statistics(image: ProgramImage, result: TileResult, layer: str) -> tuple[int, ...]:
    """(spikes, bundle flits, flits of one spike each) that the cores of a layer inject, over all samples."""
    spikes = bundles = singles = 0
    layout = memory_layouts(image.config)[Memory.ROUTE]
    planes = np.arange(image.time_steps)[:, None, None, None, None, None]
    for entry in image.holders(layer):
        core, r, lanes = (entry.y, entry.x), entry.outputs, image.config.lanes
        acts = result.words[core].reshape(-1, r.height, r.width, -(-r.channels // lanes), lanes)
        trains = (acts >> planes) & 1  # [t, sample, y, x, group, lane]
        spikes += int(trains.sum())
        ys, xs = r.y0 + np.arange(r.height), r.x0 + np.arange(r.width)
        groups = r.channel0 // lanes + np.arange(acts.shape[3])
        for word in image.words(core, Memory.ROUTE):
            route = unpack(layout, word)
            places = np.ix_(
                (route["y0"] <= ys) & (ys <= route["y1"]),
                (route["x0"] <= xs) & (xs <= route["x1"]),
                (route["group0"] <= groups) & (groups <= route["group1"]),
            )
            sent = trains[:, :, *places]
            bundles += int(sent.any(axis=-1).sum())
            singles += int(sent.sum())
    return spikes, bundles, singles


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", type=Path, help="integer network, as `sdann quantize` writes it")
    parser.add_argument("image", type=Path, help="program image, as `sdann map` writes it")
    parser.add_argument("--samples", type=int, default=24)
    arguments = parser.parse_args()
    network, image = load_network(arguments.network), load_image(arguments.image)
    check_same_network(network, image)
    result = TileModel(image).run(samples_for(network, arguments.samples, 0)[0])
    rows = {e.name: layer_statistics(image, result, e.name) for e in image.manifest.layers[:-1]}
    rows["all"] = tuple(map(sum, zip(*rows.values(), strict=True)))
    print(f"{'layer':<8}{'spikes':>12}{'bundle flits':>14}{'single flits':>14}{'ratio':>8}")
    for name, (spikes, bundles, singles) in rows.items():
        print(f"{name:<8}{spikes:>12,}{bundles:>14,}{singles:>14,}{singles / max(1, bundles):>8.2f}")


if __name__ == "__main__":
    main()
