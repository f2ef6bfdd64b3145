"""The Verilog package as its user gets it: FuseSoC builds it, the example runs without Python, and can fail."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from hdl.config import preset
from hdl.register_texts import c_header
from sdann.cli import main
from sdann.errors import DoesNotFitError, SdannError
from sdann.example_bench import example
from sdann.package import write_package
from sim.toolchain import find_icarus, verilator_environment

CONFIG = preset("test")


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("package") / "deep" / "chip"
    done = CliRunner().invoke(main, ["verilog", "--preset", "test", "--package", str(folder)])
    assert done.exit_code == 0, done.output
    return folder


def fusesoc(package: Path, work: Path, target: str) -> str:
    """Output of ``fusesoc run`` in an empty folder, with an empty home, so that nothing but the package is found."""
    environment = {
        **verilator_environment(), "HOME": str(work), "XDG_CONFIG_HOME": str(work), "XDG_DATA_HOME": str(work),
        "XDG_CACHE_HOME": str(work),
    }  # fmt: skip
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    done = subprocess.run(
        ["fusesoc", "--cores-root", str(package), "run", "--target", target, "::sdann"],
        cwd=work, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def test_fusesoc_runs_the_example(package, tmp_path):
    output = fusesoc(package, tmp_path, "sim")
    assert "PASS: " in output and "FAIL" not in output
    for lane, value in enumerate(example(CONFIG).outputs):
        assert f"neuron {lane}: {value}\n" in output
    assert any(example(CONFIG).outputs)


def test_fusesoc_lints_the_chip_with_axi_ports(package, tmp_path):
    assert "Warning" not in fusesoc(package, tmp_path, "lint")
    broken = tmp_path / "broken"
    shutil.copytree(package, broken)
    source = broken / "rtl" / "sdann_axi.v"
    source.write_text(
        source.read_text().replace("endmodule", "  reg latch; always @* if (clk) latch = rst;\nendmodule", 1)
    )
    (tmp_path / "work").mkdir()
    with pytest.raises(AssertionError, match="LATCH"):
        fusesoc(broken, tmp_path / "work", "lint")


def simulate(package: Path, folder: Path) -> str:
    """The example by the README's commands, in a copy of the package."""
    shutil.copytree(package, folder)
    sources = ["sdann_example.v", *(f"../rtl/sdann_{part}.v" for part in ("chip", "mesh", "memory"))]
    command = [
        str(find_icarus()),
        "-g2005",
        "-Wall",
        "-Wno-timescale",
        "-o",
        "example",
        "-s",
        "sdann_example",
        *sources,
    ]
    built = subprocess.run(command, cwd=folder / "example", check=True, capture_output=True, text=True)
    assert built.stderr == ""
    return subprocess.run(
        ["vvp", "example"], cwd=folder / "example", check=True, capture_output=True, text=True, timeout=300
    ).stdout


def test_the_example_fails_where_it_should(package, tmp_path):
    def copy(name: str) -> Path:
        shutil.copytree(package, tmp_path / name)
        return tmp_path / name

    other = copy("other")
    words = (other / "example" / "words_out.hex").read_text().split()
    (other / "example" / "words_out.hex").write_text("\n".join([f"{int(words[0], 16) ^ 1 << 20:x}", *words[1:]]))
    output = simulate(other, tmp_path / "a")
    assert "FAIL: 1 of" in output and "PASS" not in output
    lost = copy("lost")  # the chip refuses a program with another checksum, and drops the sample
    lines = (lost / "example" / "words_in.hex").read_text().split()
    lines[5] = f"{int(lines[5], 16) ^ 1 << 40:x}"
    (lost / "example" / "words_in.hex").write_text("\n".join(lines))
    assert "of 2 received, state 5" in simulate(lost, tmp_path / "b")


MACROS = Path(__file__).resolve().parents[2] / "examples" / "asic" / "sdann_memory.v"


def with_macros(package: Path, folder: Path, old: str = "", new: str = "") -> str:
    """The example with the memories of an ASIC flow in place of the package's."""
    shutil.copytree(package, folder)
    text = MACROS.read_text()
    assert old in text
    (folder / "rtl" / "sdann_memory.v").write_text(text.replace(old, new, 1))
    return simulate(folder, folder.with_name(f"{folder.name}-run"))


def test_memories_are_one_file_that_macros_replace(package, tmp_path):
    assert "PASS" in with_macros(package, tmp_path / "macros")
    # each of the two modules with its data pins inverted
    for name, pin in (("one", ".d("), ("two", ".d_a(")):
        output = with_macros(package, tmp_path / name, f"{pin}w_data)", f"{pin}~w_data)")
        assert "PASS" not in output and ("FAIL" in output or "state 5" in output)


def test_memory_sizes_are_those_of_the_configuration(package):
    """The list is read from the Verilog; the layouts say how many bits a core must have."""
    sizes = json.loads((package / "asic" / "memories.json").read_text())
    text = (package / "rtl" / "sdann_mesh.v").read_text()
    assert sum(use["count"] for use in sizes["memories"]) == text.count("sdann_ram") > 0
    assert "module sdann_ram" not in text and sizes["cores"] == len(CONFIG.cores)
    found = {(use["depth"], use["width"]) for use in sizes["memories"]}
    assert (CONFIG.weight_words, CONFIG.lanes * CONFIG.weight_bits) in found
    assert (CONFIG.neuron_words, CONFIG.lanes * CONFIG.isum_bits) in found
    assert (CONFIG.act_words, CONFIG.lanes * CONFIG.act_bits) in found


def test_header_and_readme(package):
    assert (package / "include" / "sdann.h").read_text() == c_header(CONFIG)
    readme = (package / "README.md").read_text()
    for path in package.rglob("*"):
        if path.is_file() and path.parent.name != "example" and path.name not in ("README.md", "chip.json"):
            assert path.name in readme or f"{path.parent.name}/*{path.suffix}" in readme
    assert "iverilog -g2005 -o example -s sdann_example sdann_example.v ../rtl/sdann_chip.v" in readme


def test_a_folder_that_is_no_package_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(SdannError, match="no package"):
        write_package(CONFIG, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_chip_too_small_for_the_example(tmp_path):
    with pytest.raises(DoesNotFitError):
        write_package(CONFIG.replace(rows=1, cols=2), tmp_path / "p")
    assert not (tmp_path / "p").exists()
