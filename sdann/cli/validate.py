"""``sdann validate``."""

from pathlib import Path

import click

from .options import IN_FILE, sample_options
from .outcome import Outcome, command, progress
from .tables import stage_text

__all__ = ["validate_command"]


@command("validate")
@click.argument("network_file", metavar="NETWORK", type=IN_FILE)
@click.argument("image_file", metavar="IMAGE", type=IN_FILE)
@sample_options(60)
@click.option(
    "--cycles", metavar="WINDOWS", type=click.IntRange(0, 1000), default=0,
    help="Predict the chip's cycles, too: the mean of so many windows in which every layer holds a sample.",
)  # fmt: skip
def validate_command(network_file: Path, image_file: Path, samples: int, seed: int, cycles: int) -> Outcome:
    """Check a program image without RTL, every neuron of every layer.

    Runs the golden model of NETWORK, the spiking model, and IMAGE core by core, and compares all activations, SOPs and
    saturations. Samples are test digits for a network that takes them, else random.
    """
    from sdann.mapper import load_image
    from sdann.network_file import load_network
    from sdann.recipe import check_same_network, samples_for
    from sdann.results import stage_data
    from sdann.stages import Stages, failures

    network, image = load_network(network_file), load_image(image_file)
    check_same_network(network, image)
    x, labels = samples_for(network, samples, seed)
    with progress() as steps:
        with steps.step("golden"):
            stages = Stages(network, x, labels)
            results = [stages.golden_model()]
        with steps.step("stem"):
            results.append(stages.spiking_model(isum_bits=image.config.isum_bits))
        with steps.step("tiles"):
            results.append(stages.tile_model(image))
    data = {"network": network.name, "seed": seed, **stage_data(results, image)}
    text = stage_text(results, image)
    if cycles:
        from sdann.cycles import predict

        from .tables import cycle_table

        x, _ = samples_for(network, image.manifest.registers.STAGES + cycles, seed)
        with progress() as steps, steps.step("cycles"):
            report, _ = predict(image, x)
        data["cycles"] = report.as_dict()
        text.append(cycle_table(report))
    return Outcome(data=data, text=text, failures=failures(results))
