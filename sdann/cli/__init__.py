"""The command line: ``sdann`` and its commands, one file each."""

import click

from sdann.version import __version__

from .agree import agree_command
from .assemble import assemble_command
from .bench import bench_command
from .board import board_command
from .campaign import campaign_command
from .completion import completion_command
from .cosim import cosim_command
from .coverage import coverage_command
from .demo import demo_command
from .doctor import doctor_command
from .export import export_command
from .formal import formal_command
from .fpga import fpga_command
from .map import map_command
from .paper import paper_command
from .quantize import quantize_command
from .registers import registers_command
from .report import report_command
from .size import size_command
from .train import train_command
from .validate import validate_command
from .verify import verify_command
from .verilog import verilog_command
from .zoo import zoo_command

__all__ = ["main"]


class _InOrder(click.Group):
    """Lists the commands in the order in which one uses them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sdann")
def main() -> None:
    """Runs quantized networks bit for bit on a spiking many-core chip.

    `sdann demo` does everything at once; the other commands are its steps, each of which takes the files that the
    ones before it wrote. With --json a command prints one JSON object on standard output and nothing else there.

    Exit codes: 0 done and right; 1 models disagree, or the chip fails; 2 bad input, or something is missing.
    """


for _command in (
    demo_command, doctor_command, zoo_command, train_command, agree_command, quantize_command, export_command,
    size_command, map_command, assemble_command, verilog_command, registers_command, validate_command, cosim_command,
    verify_command, report_command, campaign_command,
    coverage_command, formal_command, fpga_command, board_command, paper_command, bench_command, completion_command,
):  # fmt: skip
    main.add_command(_command)
