"""``sdann assemble``."""

from pathlib import Path
from typing import Any

import click

from sdann.atomic import atomic

from .options import IN_FILE, out_option
from .outcome import Outcome, command
from .tables import map_rows, map_text

__all__ = ["assemble_command"]


@command("assemble")
@click.argument("program_file", metavar="FILE", type=IN_FILE)
@out_option("build/image.safetensors", "the program image")
@click.option(
    "--check/--no-check", default=True, show_default=True, help="Refuse a program that the chip could misunderstand."
)
def assemble_command(program_file: Path, out: Path, check: bool) -> Outcome:
    """Make a program image from the TOML file FILE: layers, cores, edges, routes and weights, written by hand."""
    from sdann.assembler import assemble_file
    from sdann.mapper import mesh_text

    image = assemble_file(program_file, checked=check)
    with atomic(out) as temporary:
        image.save(temporary)
    data: dict[str, Any] = {
        "network": image.manifest.network, "preset": image.config.name, "config_id": image.config.fingerprint,
        "cores": {"used": len(image.cores), "available": len(image.config.cores)}, "layers": map_rows(image),
        "mesh": mesh_text(image), "out": str(out),
    }  # fmt: skip
    return Outcome(data=data, text=[*map_text(image), f"wrote {out}"])
