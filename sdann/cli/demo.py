"""``sdann demo``."""

from pathlib import Path
from typing import Any

import click

from sim.simulators import SimulatorName

from .options import chip_from, chip_options, cosim_options, quantize_options, sample_options, split_option
from .outcome import Outcome, command, progress
from .tables import figure_text, map_text, stage_text

__all__ = ["demo_command"]


@command("demo")
@chip_options(default="demo")
@quantize_options()
@split_option()
@sample_options(24)
@cosim_options()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/demo"), show_default=True,
    help="Folder for the report and every step's file.",
)  # fmt: skip
def demo_command(
    preset_name: str,
    fields: tuple[tuple[str, int], ...],
    membrane_bits: int | None,
    calibration: int,
    splits: tuple[tuple[str, tuple[int, int]], ...],
    samples: int,
    seed: int,
    simulator: SimulatorName,
    stall: float,
    build_dir: Path,
    out: Path,
    **options: Any,
) -> Outcome:
    """One digit network from PyTorch to Verilog and back, bit for bit.

    Trains, quantizes, maps, writes Verilog, co-simulates test images, checks all models against each other, and
    writes a report, a page for the browser.
    """
    config = chip_from(preset_name, fields, membrane_bits)
    with progress() as steps:
        with steps.step("start"):
            from sdann.demo import DemoOptions, run_demo
            from sdann.recipe import options_for
            from sdann.report import write_report
        result = run_demo(
            DemoOptions(
                config=config, quantize=options_for(config, **options), out=out, samples=samples, seed=seed,
                calibration=calibration, splits=dict(splits), simulator=simulator, stall=stall, build_dir=build_dir,
            ),
            steps.bar,
        )  # fmt: skip
        with steps.step("report"):
            page = write_report(result.report, out / "report.html")
    text = [
        *map_text(result.image), *stage_text(result.stages, result.image), figure_text(result.figures),
        f"{result.report.seconds} s; report: {page}",
    ]  # fmt: skip
    return Outcome(data=result.report.model_dump(mode="json"), text=text, failures=result.report.failures)
