"""``sdann validate``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hdl.config import ChipConfig

from .options import IN_FILE, chip_from, chip_options, source_options
from .outcome import Outcome, Steps, command, progress
from .tables import fit_rows, stage_text, validation_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sdann.mapper import ProgramImage
    from sdann.network_source import NetworkSource

__all__ = ["validate_command"]


@command("validate")
@click.argument("what", metavar="NETWORK")
@click.argument("images", metavar="[IMAGE]...", type=IN_FILE, nargs=-1)
@source_options(samples=None, what="Number of inputs. [default: 60 with one IMAGE, else 2]", least=1)
@chip_options(default="darwin")
@click.option(
    "--cycles", metavar="WINDOWS", type=click.IntRange(0, 1000), default=0,
    help="With one IMAGE: predict the chip's cycles, too, the mean of so many windows in which every layer holds a "
    "sample.",
)  # fmt: skip
def validate_command(
    what: str, images: tuple[Path, ...], samples: int | None, data: str | None, calibration: int, seed: int,
    preset_name: str, fields: tuple[tuple[str, int], ...], cycles: int,
) -> Outcome:  # fmt: skip
    """Check programs without RTL, every neuron of every layer.

    Runs the golden model of NETWORK, and each IMAGE core by core, pass by pass, and compares all activations and SOPs.
    With one IMAGE the spiking model is compared too. Without IMAGE the network is mapped on the chip of --preset first.
    NETWORK is a file of `sdann quantize`, weights of `sdann train`, or a name of `sdann zoo`.
    """
    from sdann.mapper import load_image
    from sdann.network_source import open_source
    from sdann.recipe import check_same_network

    loaded = [load_image(path) for path in images] if len(images) == 1 else []
    alone = bool(loaded) and loaded[0].manifest.passes == 1
    if cycles and not alone:
        raise click.UsageError("--cycles needs one IMAGE, that of a network in one pass")
    samples = samples or (60 if alone else 2)
    with progress() as steps:
        advance = steps.bar("network")
        advance(0, 1)
        source = open_source(what, samples=samples, data=data, calibration=calibration, seed=seed)
        advance(1, 1)
        if alone:
            check_same_network(source.network, loaded[0])
            return _all_models(source, loaded[0], seed, cycles, steps)

        def programs() -> "Iterable[ProgramImage]":
            for path in images:
                image = load_image(path)
                check_same_network(source.network, image)
                yield image

        return _pass_by_pass(source, programs() if images else None, chip_from(preset_name, fields), steps)


def _all_models(source: "NetworkSource", image: "ProgramImage", seed: int, cycles: int, steps: Steps) -> Outcome:
    from sdann.results import stage_data
    from sdann.stages import Stages, failures

    with steps.step("golden"):
        stages = Stages(source.network, source.x, source.labels)
        results = [stages.golden_model()]
    with steps.step("stem"):
        results.append(stages.spiking_model(isum_bits=image.config.isum_bits))
    with steps.step("tiles"):
        results.append(stages.tile_model(image))
    data = {"network": source.network.name, "seed": seed, **stage_data(results, image)}
    text = stage_text(results, image)
    if cycles:
        from sdann.cycles import predict
        from sdann.recipe import samples_for

        from .tables import cycle_table

        x, _ = samples_for(source.network, image.manifest.registers.STAGES + cycles, seed)
        with steps.step("cycles"):
            report, _ = predict(image, x)
        data["cycles"] = report.as_dict()
        text.append(cycle_table(report))
    return Outcome(data=data, text=text, failures=failures(results))


def _peak() -> str:
    from sdann.memory import peak_memory

    peak = peak_memory()
    return "" if peak is None else f"peak memory {peak / 2**30:.1f} GiB"


def _pass_by_pass(
    source: "NetworkSource", programs: "Iterable[ProgramImage] | None", config: ChipConfig, steps: Steps
) -> Outcome:
    from sdann import reference
    from sdann.mapper import plan_network
    from sdann.mapper.assessment import assess
    from sdann.mapper.work import count_spikes
    from sdann.memory import peak_memory
    from sdann.validation import validate_programs

    with steps.step("golden"):
        golden = reference.run(source.network, source.x)
    seconds: dict[str, float] = {}
    fits = []
    if programs is None:
        started = time.perf_counter()
        spikes = count_spikes(source.network, golden.activations, config.lanes)
        mapped = plan_network(source.network, config, spikes=spikes, progress=steps.bar("places"))
        seconds["places"] = time.perf_counter() - started
        fits = [assess(mapped, number) for number in range(len(mapped.passes))]
        programs = mapped.images()
    advance = steps.bar("tiles")
    started = time.perf_counter()
    found = validate_programs(
        source.network, programs, golden, source.x,
        done=lambda image: advance(image.manifest.pass_number + 1, image.manifest.passes),
    )  # fmt: skip
    seconds["programs_and_tiles"] = time.perf_counter() - started
    data = {
        "network": found.network, "source": source.about, "samples": found.samples, "passes": found.passes,
        "cores": list(found.cores), "compared": sum(row.compared for row in found.layers),
        "different": found.different, "sops": sum(row.sops for row in found.layers),
        "layers": [
            {
                "layer": row.layer, "compared": row.compared, "different": row.different, "alive": row.alive,
                "sops": row.sops, "expected_sops": row.expected_sops,
            }
            for row in found.layers
        ],
        "saturations": found.saturations, "fit": fit_rows(fits), "seconds": seconds,
        "peak_memory_bytes": peak_memory(),
    }  # fmt: skip
    text = f"{source.about}; {', '.join(f'{name} {value:.0f} s' for name, value in seconds.items())}; "
    return Outcome(
        data=data, text=[validation_text(found), f"{text}{_peak()}"],
        failures=found.problems(),
    )  # fmt: skip
