"""``sdann size``."""

from pathlib import Path
from typing import Any

import click

from sdann.atomic import atomic

from .options import PICTURE_FILE, chip_from, chip_options, source_options
from .outcome import Outcome, command, progress
from .tables import table

__all__ = ["size_command"]


@command("size")
@click.argument("what", metavar="NETWORK")
@chip_options(default="darwin")
@click.option(
    "--lanes", "lanes", type=click.INT, multiple=True, default=(8, 16, 32), show_default=True,
    help="Lanes to try. May be repeated.",
)  # fmt: skip
@click.option("--most", type=click.IntRange(1, 4095), default=1024, show_default=True, help="Cores at most.")
@source_options(samples=2, what="Inputs whose spikes the sizes go by; 0: all sources count as equally busy.")
@click.option("--plot", type=PICTURE_FILE, help="Draw cycles over cores into this SVG or PNG file.")
def size_command(
    what: str, preset_name: str, fields: tuple[tuple[str, int], ...], lanes: tuple[int, ...], most: int, samples: int,
    data: str | None, calibration: int, seed: int, plot: Path | None,
) -> Outcome:  # fmt: skip
    """Say which chip NETWORK wants: cores against cycles, for cores of several sizes.

    The cores are those of --preset, with other lanes, and with a quarter to twice of its weights and neurons. The
    network runs in one pass. Cycles are estimates of the busiest core's in a window: one sample in steady state. Listed
    is what no other chip beats in both memory and cycles.
    """
    config = chip_from(preset_name, fields)
    from sdann import reference
    from sdann.mapper.sizing import best_sizes, sizes
    from sdann.mapper.work import Spikes, assumed_spikes, count_spikes
    from sdann.network_source import open_source

    with progress() as steps:
        advance = steps.bar("network")
        advance(0, 1)
        source = open_source(what, samples=max(1, samples), data=data, calibration=calibration, seed=seed)
        network = source.network
        golden = reference.run(network, source.x).activations if samples else None
        advance(1, 1)

        def spikes(count: int) -> Spikes:
            if golden is None:
                return assumed_spikes(network, count)
            return count_spikes(network, golden, count)

        found = sizes(
            network, config.replace(membrane_bits=network.membrane_bits), spikes, lanes=lanes, most=most,
            progress=steps.bar("chips"),
        )  # fmt: skip
    best = best_sizes(found)
    rows = [
        {
            "lanes": size.config.lanes, "weight_words": size.config.weight_words,
            "neuron_words": size.config.neuron_words, "cores": size.cores, "rows": size.mesh[0], "cols": size.mesh[1],
            "memory_bits": size.memory, "window_cycles": size.window,
        }
        for size in best
    ]  # fmt: skip
    written = []
    if plot is not None:
        from sdann.chip_picture import size_plot

        with atomic(plot) as temporary:
            temporary.write_bytes(size_plot(network.name, found, best, plot.suffix.lstrip(".")))
        written.append(f"wrote {plot}")
    text = table(
        f"{network.name}: chips that no other beats in both memory and cycles ({len(found)} looked at)",
        ("lanes", "weight words", "neuron words", "cores", "mesh", "memory, Mbit", "cycles a sample"),
        [
            [
                str(row["lanes"]), f"{row['weight_words']:,}", f"{row['neuron_words']:,}", str(row["cores"]),
                f"{row['rows']} x {row['cols']}", f"{row['memory_bits'] / 1e6:,.2f}", f"{row['window_cycles']:,.0f}",
            ]
            for row in rows
        ],
    )  # fmt: skip
    result: dict[str, Any] = {
        "network": network.name,
        "source": source.about,
        "preset": config.name,
        "looked_at": len(found),
        "sizes": rows,
    }
    return Outcome(data=result, text=[text, *written])
