"""The assembled chip's Verilog: one tile module, accepted by three front ends, the same text every time."""

import functools
import re
import subprocess

import pyslang
import pytest

from hdl.chip import CHIP_MODULE, TILE_MODULE, chip_verilog
from hdl.config import ChipConfig, preset
from sim.toolchain import REPOSITORY, find_icarus, verilator_environment

SHAPES = {
    "test": preset("test"),
    "row": preset("test").replace(rows=1),
    "column": preset("test").replace(cols=1, rows=3),
}


@functools.cache
def text_of(name: str) -> str:
    return chip_verilog(SHAPES[name])


@pytest.fixture(scope="module", params=list(SHAPES))
def design(request, tmp_path_factory) -> tuple[ChipConfig, str, str]:
    config = SHAPES[request.param]
    text = text_of(request.param)
    path = tmp_path_factory.mktemp("verilog") / "chip.v"
    path.write_text(text)
    return config, text, str(path)


def test_the_tile_is_one_module_and_every_core_an_instance_of_it(design):
    config, text, _ = design
    assert len(re.findall(rf"^module {TILE_MODULE}\(", text, re.MULTILINE)) == 1
    per_module = {
        module: len(re.findall(rf"^\s*{TILE_MODULE} ", body, re.MULTILINE))
        for module, body in re.findall(r"^module (\S+?)\(.*?$(.*?)^endmodule", text, re.MULTILINE | re.DOTALL)
    }
    # The loop over the rows is the stack module's, which the co-simulations show to be what it should.
    assert per_module.get("sdann_first_row", 0) == config.cols - 1
    assert per_module.get("sdann_row", 0) == (config.cols if config.rows > 1 else 0)
    stacks = re.findall(r"\.ROWS\(32'd(\d+)\)", text)
    assert [int(rows) for rows in stacks] == ([config.rows - 1] if config.rows > 1 else [])


def test_lint(design):
    _, text, path = design
    waivers = str(REPOSITORY / "hdl" / "verilator.vlt")
    lint = ["verilator", "--lint-only", "-Wall", "--top-module", CHIP_MODULE, waivers, path]
    done = subprocess.run(lint, env=verilator_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        [find_icarus(), "-g2012", "-Wall", "-o", "/dev/null", "-s", CHIP_MODULE, path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "timescale" not in line]) == (0, [])
    compilation = pyslang.ast.Compilation()
    compilation.addSyntaxTree(pyslang.syntax.SyntaxTree.fromText(text))
    assert [str(d.code) for d in compilation.getAllDiagnostics() if d.isError()] == []


def test_reproducible():
    assert chip_verilog(SHAPES["test"]) == text_of("test")


def test_the_text_names_no_path_of_the_machine(design):
    assert str(REPOSITORY) not in design[1]
    assert "site-packages" not in design[1]


def test_text_does_not_grow_with_the_tiles():
    """However many rows there are, every module is there once; only the trees' roots and some widths grow."""
    small, large = text_of("test"), chip_verilog(preset("test").replace(rows=12))
    assert len(re.findall(r"^module ", large, re.MULTILINE)) == len(re.findall(r"^module ", small, re.MULTILINE))
    assert len(large) < 1.1 * len(small)
