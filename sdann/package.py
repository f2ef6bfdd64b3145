"""A chip's Verilog as a package: sources, C header, FuseSoC core file, lint waivers, and an example that simulates."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hdl.config import ChipConfig

from .errors import SdannError
from .example_bench import EXAMPLE_MODULE, example, example_bench
from .version import __version__

__all__ = ["write_package"]

CORE_FILE: Final = """\
CAPI=2:
# FuseSoC core file of an SDANN chip, configuration {config} ({fingerprint:#010x}).
name: ::sdann:{version}
description: Runs quantized neural networks bit for bit on a spiking many-core mesh

filesets:
  rtl:
    files:
      - rtl/sdann_mesh.v
      - rtl/sdann_chip.v
    file_type: verilogSource-2005
  memory:
    files: [rtl/sdann_memory.v]
    file_type: verilogSource-2005
  axi:
    files: [rtl/sdann_axi.v]
    file_type: verilogSource-2005
  header:
    files:
      - include/sdann.h: {{is_include_file: true, file_type: user}}
  waivers:
    files: [lint/sdann.vlt]
    file_type: vlt
  example:
    files:
      - example/{example}.v: {{file_type: verilogSource-2005}}
      - example/words_in.hex: {{file_type: user, copyto: words_in.hex}}
      - example/words_out.hex: {{file_type: user, copyto: words_out.hex}}

targets:
  default: &default
    filesets: [rtl, memory, axi, header]
    toplevel: [sdann_axi]
  sim:
    description: The example on Icarus Verilog
    filesets: [rtl, memory, example]
    toplevel: [{example}]
    default_tool: icarus
    tools:
      icarus: {{iverilog_options: [-g2005, -Wall, -Wno-timescale]}}
  lint:
    description: The chip with AXI ports in Verilator's lint
    filesets: [waivers, rtl, memory, axi]
    toplevel: [sdann_axi]
    default_tool: verilator
    tools:
      verilator: {{mode: lint-only, verilator_options: [-Wall]}}
"""

README: Final = """\
# SDANN chip, configuration {config!r} ({fingerprint:#010x})

Generated. `chip.json` has the whole configuration.

| file | what |
|---|---|
| `rtl/sdann_mesh.v` | tile and rows: what both tops consist of |
| `rtl/sdann_memory.v` | the memories of all cores; a flow with memory macros replaces this file |
| `rtl/sdann_chip.v` | top `sdann_chip`: two streams of host words |
| `rtl/sdann_axi.v` | top `sdann_axi`: AXI4-Lite registers, AXI4-Stream words |
| `include/sdann.h` | registers, error codes, fields of host words, for C and C++ |
| `asic/*.sdc` | timing constraints of both tops, and of a tile by itself, for {mhz:g} MHz |
| `asic/memories.json` | the sizes of a core's memories, and how many of each |
| `lint/sdann.vlt` | waivers for Verilator's lint, with reasons |
| `sdann.core` | FuseSoC core file: targets `default`, `sim`, `lint` |
| `example/` | loads a small program, runs one sample, prints the read-out and PASS or FAIL |

The example with FuseSoC: `fusesoc --cores-root . run --target sim ::sdann`. Without:

    cd example
    iverilog -g2005 -o example -s {example} {example}.v ../rtl/sdann_chip.v ../rtl/sdann_mesh.v ../rtl/sdann_memory.v
    vvp example
"""


def write_package(
    config: ChipConfig, folder: Path, progress: Callable[[str], None] | None = None, *, mhz: float = 100.0
) -> list[Path]:
    """Writes the package into ``folder``, which must be empty or hold an earlier package; returns its files.

    ``mhz``: clock of the timing constraints. Either all of it is written or nothing. Raises :class:`SdannError`, and
    :class:`hdl.config.ConfigError` for a clock that there cannot be.
    """
    from hdl.axi_top import AXI_MODULE, AxiChip
    from hdl.chip import CHIP_MODULE, Chip, assemble
    from hdl.memory_list import memories_in, without_memories
    from hdl.register_texts import c_header
    from hdl.sdc import SDC_TOPS, sdc
    from hdl.verilog import convert

    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / "sdann.core").is_file())):
        raise SdannError(f"{folder} is there and no package; name an empty folder, or one to create")
    words = example(config)
    names: dict[str, Any] = {
        "config": config.name,
        "fingerprint": config.fingerprint,
        "example": EXAMPLE_MODULE,
        "mhz": mhz,
    }
    waivers = Path(__file__).resolve().parents[1] / "hdl" / "verilator.vlt"
    texts = {
        "sdann.core": CORE_FILE.format(**names, version=__version__),
        "README.md": README.format(**names),
        "chip.json": json.dumps({**config.as_dict(), "config_id": config.fingerprint}, indent=2) + "\n",
        "include/sdann.h": c_header(config),
        "lint/sdann.vlt": waivers.read_text(),
        f"example/{EXAMPLE_MODULE}.v": example_bench(config, words),
        "example/words_in.hex": "".join(f"{word:x}\n" for word in words.sent),
        "example/words_out.hex": "".join(f"{word:x}\n" for word in words.expected),
    }
    mesh, memories = without_memories(assemble(config, {}, progress))
    sizes = {"memories": [use.as_dict() for use in memories_in(mesh)], "cores": len(config.cores)}
    texts |= {"rtl/sdann_mesh.v": mesh, "rtl/sdann_memory.v": memories}
    texts["asic/memories.json"] = json.dumps(sizes, indent=2) + "\n"
    for module, component in ((CHIP_MODULE, Chip(config)), (AXI_MODULE, AxiChip(config))):
        if progress is not None:
            progress(module)
        texts[f"rtl/{module}.v"] = convert(component, module, closed=False)
    rtl = "\n".join(text for name, text in texts.items() if name.startswith("rtl/"))
    for top in SDC_TOPS:
        texts[f"asic/{top}.sdc"] = sdc(config, rtl, top, mhz=mhz)

    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, text in texts.items():
            (temporary / name).parent.mkdir(exist_ok=True)
            (temporary / name).write_text(text)
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return [folder / name for name in sorted(texts)]
