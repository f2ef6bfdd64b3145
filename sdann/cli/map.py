"""``sdann map``."""

from pathlib import Path
from typing import Any

import click

from sdann.atomic import atomic

from .options import IN_FILE, chip_from, chip_options, out_option, split_option
from .outcome import Outcome, command
from .tables import map_rows, map_text

__all__ = ["map_command"]


@command("map")
@click.argument("network_file", metavar="NETWORK", type=IN_FILE)
@chip_options(default="demo")
@split_option()
@out_option("build/image.safetensors", "the program image")
def map_command(
    network_file: Path,
    preset_name: str,
    fields: tuple[tuple[str, int], ...],
    splits: tuple[tuple[str, tuple[int, int]], ...],
    out: Path,
) -> Outcome:
    """Map the integer network NETWORK on a chip's cores."""
    config = chip_from(preset_name, fields)
    from sdann.mapper import map_network, mesh_text
    from sdann.network_file import load_network

    network = load_network(network_file)
    image = map_network(network, config, dict(splits))
    with atomic(out) as temporary:
        image.save(temporary)
    data: dict[str, Any] = {
        "network": network.name, "preset": config.name, "config_id": config.fingerprint,
        "cores": {"used": len(image.cores), "available": len(config.cores)}, "layers": map_rows(image),
        "mesh": mesh_text(image), "out": str(out),
    }  # fmt: skip
    return Outcome(data=data, text=[*map_text(image), f"wrote {out}"])
