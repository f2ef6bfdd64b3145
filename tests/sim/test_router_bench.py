"""Runs the router's cocotb bench on both simulators, and shows that it notices a router with a fault."""

import json
import re
from pathlib import Path

import pytest

from hdl.config import ChipConfig
from hdl.router import Port, Router, route
from hdl.verilog import convert
from sim.toolchain import BenchError, run_bench

CONFIG = ChipConfig(rows=3, cols=3, lanes=4, map_side=8, map_groups=4, queue_depth=2)


def run(verilog, simulator, tile, folder):
    return run_bench(
        verilog=verilog,
        toplevel="router",
        module="sim.benches.router_bench",
        simulator=simulator,
        build_dir=folder,
        env={"SDANN_CONFIG": json.dumps(CONFIG.as_dict()), "SDANN_TILE": tile},
        seed=1,
        timeout=120,
    )


@pytest.fixture(scope="module")
def verilog():
    return convert(Router(CONFIG), "router")


@pytest.fixture(scope="module")
def builds(tmp_path_factory):
    return tmp_path_factory.mktemp("router")


@pytest.mark.parametrize("tile", ["1,1", "0,2"])
@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_router(verilog, builds, simulator, tile):
    assert len(run(verilog, simulator, tile, builds).tests) == 5


class LosesEast(Router):
    """Does not pass on along X what it also delivers."""

    @staticmethod
    def decide(source, dst, x, y):
        wanted = route(source, dst, x, y)
        return wanted | {Port.EAST: wanted[Port.EAST] & ~wanted[Port.LOCAL]} if source is Port.WEST else wanted


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("turn", "west to east"),
        ("served", r"\w+ to \w+"),  # a fork that waits sends its other copies again
        ("stuck", "changed before it was taken"),
    ],
)
def test_faults_are_caught(verilog, tmp_path, fault, message):
    if fault == "turn":
        text = convert(LosesEast(CONFIG), "router")
    elif fault == "served":
        text = verilog.replace("reg served_west_local = 1'h0;", "wire served_west_local = 1'h0; reg unused = 1'h0;")
        text = text.replace("served_west_local <=", "unused <=")
    else:
        text = re.sub(r"else if \([^)]*\) o_east__payload <=", "else o_east__payload <=", verilog)
    assert text != verilog
    with pytest.raises(BenchError) as caught:
        run(text, "icarus", "1,1", tmp_path)
    log = Path(str(caught.value).rpartition("full log: ")[2])
    assert re.search(rf"AssertionError: .*{message}", log.read_text())
