"""``sdann verify``."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import click

from sdann.simulations import ALONE, Simulation, simulations

from .options import IN_FILE, chip_from, chip_options, source_options
from .outcome import Outcome, command, progress
from .tables import layer_table, stages_table

__all__ = ["verify_command"]


@command("verify")
@click.argument("what", metavar="NETWORK")
@click.argument("images", metavar="[IMAGE]...", type=IN_FILE, nargs=-1)
@source_options(samples=2, what="Number of inputs.", least=1)
@chip_options(default="darwin")
@click.option(
    "--sim", "simulation", type=click.Choice(simulations()), default="compiled", show_default=True,
    help=f"What runs the RTL: a simulator of the whole chip; '{ALONE}': each tile alone, for networks too large for "
    "that; 'tiles': no RTL.",
)  # fmt: skip
@click.option("--layer", metavar="LAYER", help=f"With --sim {ALONE}: only the tiles of this layer.")
@click.option(
    "--stall", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
    help="Probability that the host stalls, per cycle and stream.",
)  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="Tiles to run at a time.")
@click.option(
    "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/sim"), show_default=True,
    help="Where simulator builds are kept.",
)  # fmt: skip
def verify_command(
    what: str, images: tuple[Path, ...], samples: int, data: str | None, calibration: int, seed: int,
    preset_name: str, fields: tuple[tuple[str, int], ...], simulation: str, layer: str | None, stall: float, jobs: int,
    build_dir: Path,
) -> Outcome:  # fmt: skip
    """Check a network in every stage, from the outside judges down to the RTL.

    The golden model is held against torch and onnxruntime; the spiking model, the tile model and the RTL are held
    against the golden: every neuron of every layer, on the same inputs. The first difference is named. NETWORK is a
    file of `sdann quantize`, weights of `sdann train`, or a name of `sdann zoo`. Without IMAGE the network is mapped on
    the chip of --preset first, in passes if it is large.
    """
    from sdann.api import Network
    from sdann.mapper import load_image
    from sdann.network_source import open_source
    from sdann.recipe import check_same_network

    with progress() as steps:
        with steps.step("network"):
            source = open_source(what, samples=samples, data=data, calibration=calibration, seed=seed)
        network = source.network
        config = chip_from(preset_name, fields).replace(membrane_bits=network.membrane_bits)
        whole = Network(graph=network, x=source.x, labels=source.labels, chip=config)
        if images:
            programs = [load_image(path) for path in images]
            for image in programs:
                check_same_network(network, image)
        else:  # one sample's spikes are enough to go by
            programs = list(replace(whole, x=source.x[:1], labels=None).map(progress=steps.bar).images())
        found = whole.verify(
            program=programs, simulation=cast(Simulation, simulation), layer=layer, stall=stall, seed=seed, jobs=jobs,
            build_dir=build_dir, check=False, progress=steps.bar,
        )  # fmt: skip
    stages = list(found.stages)
    first = next((stage.first for stage in stages if stage.first is not None), None)
    return Outcome(
        data={
            "network": network.name, "source": source.about, "simulation": simulation, "samples": len(source.x),
            "passes": found.passes, "cores": list(found.cores), "tiles": found.tiles, "tile_cycles": found.tile_cycles,
            "stages": [stage.as_dict() for stage in stages],
            "layers": [
                {"stage": row.stage, "layer": row.layer, "compared": row.compared, "mismatches": row.mismatches}
                for stage in stages
                for row in stage.layers
            ],
            "first_difference": None if first is None else str(first),
        },
        text=[stages_table(stages, sum(found.cores)), layer_table(stages), source.about],
        failures=found.failures,
    )  # fmt: skip
