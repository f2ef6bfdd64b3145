"""``sdann verilog``."""

import hashlib
from pathlib import Path

import click

from hdl.config import ChipConfig
from sdann.atomic import atomic
from sdann.errors import SdannError

from .options import OUT_FILE, chip_from, chip_options, out_option
from .outcome import Outcome, command, progress

__all__ = ["verilog_command"]


@command("verilog")
@chip_options(default="demo")
@out_option("build/chip.v", "the Verilog")
@click.option(
    "--package", type=click.Path(path_type=Path, file_okay=False), default=None, metavar="DIR",
    help="Write a package instead: sources with and without AXI ports, C header, FuseSoC core file, an example.",
)  # fmt: skip
@click.option("--sdc", "sdc_file", type=OUT_FILE, metavar="FILE", help="Write timing constraints, too.")
@click.option(
    "--mhz", type=click.FloatRange(0, min_open=True), default=100.0, show_default=True, help="Clock of those."
)  # fmt: skip
def verilog_command(
    preset_name: str, fields: tuple[tuple[str, int], ...], out: Path, package: Path | None, sdc_file: Path | None,
    mhz: float,
) -> Outcome:  # fmt: skip
    """Write the Verilog of a chip, and its timing constraints (SDC). A package has both."""
    config = chip_from(preset_name, fields)
    if package is not None:
        if sdc_file is not None:
            raise SdannError("a package has its timing constraints in asic/: leave out --sdc")
        return _package(config, package, mhz)
    from hdl.chip import CHIP_MODULE, TILE_MODULE, chip_verilog
    from sdann.chip_file import save_chip

    with progress() as steps, steps.step("verilog"):
        text = chip_verilog(config)
        save_chip(config, text, out)
        if sdc_file is not None:
            from hdl.sdc import sdc

            with atomic(sdc_file) as temporary:
                temporary.write_text(sdc(config, text, mhz=mhz))
    digest = hashlib.sha256(text.encode()).hexdigest()
    lines = text.count("\n")
    return Outcome(
        data={
            "preset": config.name, "config_id": config.fingerprint, "config": config.as_dict(), "top": CHIP_MODULE,
            "tile": TILE_MODULE, "tiles": len(config.tiles), "lines": lines, "sha256": digest, "out": str(out),
            "sdc": None if sdc_file is None else str(sdc_file),
        },
        text=[
            f"chip {config.name!r}, configuration {config.fingerprint:#010x}: {config.rows} x {config.cols} tiles, top "
            f"module {CHIP_MODULE}, {lines} lines; wrote {out}{'' if sdc_file is None else f' and {sdc_file}'}"
        ],
    )  # fmt: skip


def _package(config: ChipConfig, folder: Path, mhz: float) -> Outcome:
    from sdann.package import write_package

    with progress() as steps, steps.step("package"):
        files = write_package(config, folder, mhz=mhz)
    return Outcome(
        data={
            "preset": config.name, "config_id": config.fingerprint, "config": config.as_dict(),
            "package": str(folder), "files": [str(path.relative_to(folder)) for path in files],
        },
        text=[
            f"chip {config.name!r}, configuration {config.fingerprint:#010x}: wrote {len(files)} files to {folder}; "
            f"{folder / 'README.md'} says what they are"
        ],
    )  # fmt: skip
