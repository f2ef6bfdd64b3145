"""``sdann map``."""

from pathlib import Path
from typing import Any

import click

from sdann.atomic import atomic

from .options import PICTURE_FILE, chip_from, chip_options, out_option, source_options, split_option, tune_option
from .outcome import Outcome, command, progress
from .tables import fit_rows, fit_text, map_rows, map_text

__all__ = ["map_command"]


@command("map")
@click.argument("what", metavar="NETWORK")
@chip_options(default="demo")
@split_option()
@click.option("--cores", type=click.IntRange(1), help="Use so many cores at most. [default: all]")
@tune_option()
@source_options(
    samples=4, what="Inputs whose spikes the choice of tiles goes by; 0: all sources count as equally busy."
)
@click.option("--picture", type=PICTURE_FILE, help="Draw the mapped chip into this SVG or PNG file.")
@out_option("build/image.safetensors", "the program image (with -0, -1 ... in its name where there are several passes)")
def map_command(
    what: str, preset_name: str, fields: tuple[tuple[str, int], ...], splits: tuple[tuple[str, tuple[int, int]], ...],
    cores: int | None, tune: bool, samples: int, data: str | None, calibration: int, seed: int, picture: Path | None,
    out: Path,
) -> Outcome:  # fmt: skip
    """Map NETWORK on a chip's cores.

    NETWORK is a file of `sdann quantize`, weights of `sdann train`, or a name of `sdann zoo`. A network larger than the
    chip becomes several programs, which run one after the other.
    """
    config = chip_from(preset_name, fields)
    from sdann.api import Network
    from sdann.api.program import pass_path
    from sdann.mapper import mesh_text
    from sdann.mapper.assessment import assess
    from sdann.network_source import open_source

    with progress() as steps:
        advance = steps.bar("network")
        advance(0, 1)
        source = open_source(what, samples=max(samples, 1), data=data, calibration=calibration, seed=seed)
        advance(1, 1)
        network = source.network
        mapped = (
            Network(graph=network, x=source.x, chip=config)
            .map(splits=dict(splits), cores=cores, tune=tune, measured=samples > 0, progress=steps.bar)
            .mapped
        )
        fits, files, rows, text = [], [], [], []
        write = steps.bar("programs")
        count = len(mapped.passes)
        for number in range(count):
            write(number, count)
            image = mapped.image(number)
            path = pass_path(out, number, count)
            with atomic(path) as temporary:
                image.save(temporary)
            files.append(str(path))
            fits.append(assess(mapped, number))
            rows += [{"pass": number, **row} for row in map_rows(image)]
            if count == 1:
                mesh = mesh_text(image)
                text = map_text(image)
        write(count, count)
        if picture is not None:
            from sdann.chip_picture import chip_picture

            with atomic(picture) as temporary:
                temporary.write_bytes(chip_picture(mapped, fits, picture.suffix.lstrip(".")))
            files.append(str(picture))
    data_out: dict[str, Any] = {
        "network": network.name, "source": source.about, "preset": config.name, "config_id": config.fingerprint,
        "passes": count, "cores": {"used": max(fit.cores for fit in fits), "available": len(config.cores)},
        "calibration_samples": samples, "layers": rows, "fit": fit_rows(fits), "out": files,
    }  # fmt: skip
    if count == 1:
        data_out |= {"mesh": mesh}
    return Outcome(data=data_out, text=[*text, *fit_text(fits), *(f"wrote {path}" for path in files)])
