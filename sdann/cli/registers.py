"""``sdann registers``."""

import json
from pathlib import Path

import click

from .options import OUT_FILE, chip_from, chip_options
from .outcome import Outcome, command

__all__ = ["registers_command"]


@command("registers")
@chip_options(default="demo")
@click.option(
    "--format", "form", type=click.Choice(["markdown", "c-header", "json"]), default="markdown", show_default=True
)
@click.option("--out", type=OUT_FILE, default=None, help="Write there instead of printing.")
def registers_command(preset_name: str, fields: tuple[tuple[str, int], ...], form: str, out: Path | None) -> Outcome:
    """Print the registers of a chip: addresses, access, reset values, fields."""
    config = chip_from(preset_name, fields)
    from hdl.register_texts import c_header, describe, markdown_table
    from sdann.atomic import atomic

    if form == "c-header":
        text = c_header(config)
    elif form == "json":
        text = json.dumps(describe(config), indent=2) + "\n"
    else:
        text = markdown_table(config)
    if out is not None:
        with atomic(out) as temporary:
            temporary.write_text(text)
    return Outcome(
        data={**describe(config), "out": None if out is None else str(out)},
        text=[text.rstrip("\n") if out is None else f"registers of chip {config.name!r}; wrote {out}"],
    )
