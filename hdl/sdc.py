"""Timing constraints of a chip, or of its tile by itself, in the SDC format that all timing tools read."""

import re

from .axi_top import AXI_MODULE
from .chip import CHIP_MODULE, TILE_MODULE
from .config import ChipConfig, ConfigError

__all__ = ["SDC_TOPS", "sdc"]

SDC_TOPS = (CHIP_MODULE, AXI_MODULE, TILE_MODULE)
"""Verilog modules that there are constraints for."""

CONSTANT = {TILE_MODULE: ("y", "x")}
"""Inputs that are tied to constants outside."""

UNCERTAINTY = 0.05
"""Share of a period that is left for the clock tree until there is one."""

HEAD = """\
# Timing of {top}, SDANN chip configuration {name} ({fingerprint:#010x}): {mhz:g} MHz.
# One clock; rst is synchronous to it and timed like any other input. There are no paths of several cycles.
# What is outside takes {share:.0%} of a period on each side: change IO to what is known of it, and add what the library
# asks for (set_driving_cell, set_load).
set PERIOD {period:.4g}
set IO [expr {{{share} * $PERIOD}}]
create_clock -name clk -period $PERIOD [get_ports {{clk}}]
set_clock_uncertainty [expr {{{uncertainty} * $PERIOD}}] [get_clocks {{clk}}]
"""


def _ports(verilog: str, top: str) -> list[tuple[str, bool]]:
    """(name as `get_ports` takes it, whether it is an input) of all ports of module ``top`` but the clock."""
    body = re.search(rf"^module {top}\b.*?^endmodule", verilog, re.MULTILINE | re.DOTALL)
    if body is None:
        raise ConfigError(f"the Verilog has no module {top!r}")
    ports = re.findall(r"^\s*(input|output)\s+(\[[^]]*\]\s*)?(\w+)\s*;", body[0], re.MULTILINE)
    return [(f"{name}[*]" if bits else name, way == "input") for way, bits, name in ports if name != "clk"]


def sdc(config: ChipConfig, verilog: str, top: str = CHIP_MODULE, *, mhz: float = 100.0, io: float = 0.4) -> str:
    """The constraints of module ``top`` (one of :data:`SDC_TOPS`) of ``verilog`` for a clock of ``mhz`` MHz; in ns.

    ``io``: share of a period (0 to below 1) that is spent outside, before inputs and after outputs. Raises
    :class:`hdl.config.ConfigError` for anything else.
    """
    if top not in SDC_TOPS:
        raise ConfigError(f"there are constraints for {', '.join(SDC_TOPS)}, not for {top!r}")
    if not mhz > 0:
        raise ConfigError(f"mhz must be above 0, not {mhz}")
    if not 0 <= io < 1:
        raise ConfigError(f"io must be from 0 to below 1, not {io}")
    lines = [
        HEAD.format(
            top=top, name=config.name, fingerprint=config.fingerprint, mhz=mhz, period=1000 / mhz, share=io,
            uncertainty=UNCERTAINTY,
        )
    ]  # fmt: skip
    for name, is_input in _ports(verilog, top):
        if name.partition("[")[0] in CONSTANT.get(top, ()):
            lines.append(f"set_false_path -from [get_ports {{{name}}}]")
        else:
            lines.append(f"set_{'input' if is_input else 'output'}_delay -clock clk $IO [get_ports {{{name}}}]")
    return "\n".join(lines) + "\n"
