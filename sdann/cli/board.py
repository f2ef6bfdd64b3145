"""``sdann board``."""

from pathlib import Path

import click

from .options import IN_FILE, sample_options
from .outcome import Outcome, command, progress

__all__ = ["board_command"]


@command("board")
@click.argument("network", type=IN_FILE)
@click.argument("image", type=IN_FILE)
@click.option("--port", required=True, help="Serial port of the board, such as /dev/ttyUSB0.")
@click.option("--baud", type=click.IntRange(1200), default=3_000_000, show_default=True, help="Bits per second.")
@click.option(
    "--quiet", type=click.FloatRange(0, min_open=True), default=5.0, show_default=True,
    help="Seconds of silence after which an answer counts as missing.",
)  # fmt: skip
@sample_options(8)
def board_command(network: Path, image: Path, port: str, baud: int, quiet: float, samples: int, seed: int) -> Outcome:
    """Run a program image on a chip at a serial port, and compare its outputs and counters with the golden model.

    The board is one that `sdann fpga` made a bitstream for. NETWORK and IMAGE are files of `sdann quantize` and `sdann
    map`. Samples are random.
    """
    from sdann.boards import run_on_board
    from sdann.mapper import load_image
    from sdann.network_file import load_network

    found_network, found_image = load_network(network), load_image(image)
    with progress() as steps:
        result = run_on_board(
            found_network, found_image, port=port, baud=baud, quiet=quiet, samples=samples, seed=seed,
            progress=steps.bar("samples"),
        )  # fmt: skip
    return Outcome(
        data={
            "samples": samples, "compared": result.compared, "mismatches": result.mismatches, "sops": result.sops,
            "expected_sops": result.expected_sops, "cycles": result.cycles, "seconds": result.seconds,
        },
        text=[
            f"{samples} samples: {result.mismatches} of {result.compared:,} outputs differ; {result.sops:,} SOPs, the "
            f"golden model counts {result.expected_sops:,}; {result.cycles:,} cycles; {result.seconds:.2f} s"
        ],
        failures=result.failures,
    )  # fmt: skip
