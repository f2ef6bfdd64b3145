"""``sdann fpga``."""

from pathlib import Path

import click

from .options import chip_from, chip_options, out_option
from .outcome import Outcome, command, progress

__all__ = ["fpga_command"]

GOALS = {"fpga_clock_mhz": 100.0, "fpga_core_lut4": 3000.0, "fpga_router_lut4": 1200.0}
"""What the design aims at; the figures' bounds are what it must keep."""


@command("fpga")
@chip_options(default="ecp5_85k")
@click.option("--mhz", type=click.FloatRange(10, 200), default=80.0, show_default=True, help="Clock to reach.")
@click.option(
    "--attempts",
    type=click.IntRange(1, 100),
    default=3,
    show_default=True,
    help="Placements to try until it is reached.",
)
@click.option("--seed", type=int, default=2, show_default=True, help="Of the first placement.")
@click.option(
    "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/fpga"), show_default=True,
    help="Where intermediate files go.",
)  # fmt: skip
@out_option("build/sdann.bit", "the bitstream")
def fpga_command(
    preset_name: str,
    fields: tuple[tuple[str, int], ...],
    mhz: float,
    attempts: int,
    seed: int,
    build_dir: Path,
    out: Path,
) -> Outcome:
    """Make a bitstream of a chip for the ULX3S-85F, with open tools; takes minutes.

    `sdann board` then runs programs on it.
    """
    config = chip_from(preset_name, fields)
    from hdl.board.ulx3s import ULX3S_MODULE
    from sdann.fpga.build import CORE, ROUTER, build
    from sdann.results import Figure, broken

    from .tables import table

    with progress() as steps:
        advance = steps.bar(f"{config.name} for ECP5-85F")
        done: list[str] = []

        def step(name: str) -> None:
            advance(len(done), 4)
            done.append(name)

        made = build(config, out, mhz=mhz, folder=build_dir, attempts=attempts, seed=seed, step=step)
        advance(4, 4)
    modules = {name: cells for name, cells in made.modules.items() if cells.lut4}
    figures = [
        Figure(name="fpga_clock_mhz", value=made.routed.mhz, unit="MHz", bound=80, relation=">="),
        Figure(name="fpga_core_lut4", value=modules[CORE].lut4, unit="LUT4", bound=4500, relation="<="),
        Figure(name="fpga_router_lut4", value=modules[ROUTER].lut4, unit="LUT4", bound=1800, relation="<="),
    ]
    rows = [
        [name if name != ULX3S_MODULE else "all", f"{c.lut4:,}", f"{c.ff:,}", f"{c.ram:g}", str(c.dsp)]
        for name, c in sorted(modules.items(), key=lambda item: item[1].lut4)
    ]
    used = [[site, f"{n:,}", f"{have:,}", f"{n / have:.1%}"] for site, (n, have) in made.routed.used.items() if n]
    return Outcome(
        data={
            "preset": config.name, "config": config.as_dict(), "tiles": len(config.tiles), "out": str(out),
            "clock_mhz": made.target_mhz, "goals": GOALS, "figures": [figure.as_dict() for figure in figures],
            "modules": {name: {"lut4": c.lut4, "ff": c.ff, "ram": c.ram, "dsp": c.dsp} for name, c in modules.items()},
            "used": {site: list(pair) for site, pair in made.routed.used.items()}, "seed": seed,
            "critical_path": list(made.routed.critical),
        },
        text=[
            table("Synthesis, by module", ["module", "LUT4", "FF", "block RAM", "DSP"], rows),
            table("Routed, ECP5-85F speed grade 6", ["site", "used", "available", "share"], used),
            *(f"{figure} (goal {GOALS[figure.name]:g}, bound {figure.bound:g})" for figure in figures),
            f"{config.rows} x {config.cols} tiles run at {made.target_mhz:g} MHz; wrote {out}",
        ],
        failures=broken(figures),
    )  # fmt: skip
