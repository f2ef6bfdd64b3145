"""``sdann campaign``: a campaign from the command line, and what is said where it cannot run or has found something."""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hdl.program import Counter
from sdann.mapper.build import NetworkMap
from sdann.network_file import save_network
from sim.campaign import cluster

from ...sim.campaign.conftest import campaign_network, wrong_weights
from .conftest import BUILD_DIR

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

CHIP = ["--preset", "test", "--set", "rows=3", "--set", "cols=3"]


@pytest.fixture(scope="module")
def network_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("campaign") / "net.safetensors"
    save_network(campaign_network(), path)
    return str(path)


@pytest.fixture
def arguments(network_file):
    return ["campaign", "run", "results", network_file, *CHIP, "--build-dir", str(BUILD_DIR)]


@pytest.fixture(scope="module")
def scheduler():
    """A cluster that runs already."""
    with cluster.connect(workers=1) as client:
        yield client.scheduler.address


def count(path="results"):
    with sqlite3.connect(path) as db:
        (found,) = db.execute("SELECT COUNT(*) FROM tiles").fetchone()
    db.close()
    return found


def test_run_and_show(sdann, arguments, tmp_path):
    result = sdann(*arguments, "--workers", "1", "--json")
    assert result.exit_code == 0 and result.data["ok"]
    (run,) = result.data["runs"]
    assert run["complete"] and run["mismatches"] == run["wrong_tiles"] == run["given_up"] == 0
    assert run["passes"]["made"] == run["passes"]["all"] > 1
    assert run["tiles"]["done"] == run["tiles"]["all"] == count() and run["compared"] > 100
    assert sum(layer["tile_cycles"] for layer in run["layers"]) == run["tile_cycles"] > 0
    assert sdann("campaign", "show", "results", "--json").data["runs"] == [run]
    shown = sdann("campaign", "show", "results").stdout
    assert "depthwise1" in shown and f"{run['tile_cycles']:,}" in shown


@pytest.mark.long
def test_a_scheduler_that_is_there(sdann, arguments, scheduler):
    result = sdann(*arguments, "--scheduler", scheduler, "--shapes", "--json")
    (run,) = result.data["runs"]
    assert result.exit_code == 0 and not run["complete"]
    assert 0 < run["tiles"]["done"] == run["tiles"]["wanted"] < run["tiles"]["all"]


def test_wrong_activations_are_a_failure(sdann, arguments, scheduler, monkeypatch):
    right = NetworkMap.image
    monkeypatch.setattr(NetworkMap, "image", lambda self, number: wrong_weights(right(self, number)))
    for command in ([*arguments, "--scheduler", scheduler], ["campaign", "show", "results"]):
        result = sdann(*command)
        assert result.exit_code == 1
        assert "activations differ; RTL tile: layer" in result.stderr and "expected" in result.stderr


def test_no_scheduler(refused, arguments, monkeypatch):
    monkeypatch.setattr(cluster, "WAIT", 1)
    message = refused(*arguments, "--scheduler", "tcp://127.0.0.1:9")
    assert "no scheduler answers at 'tcp://127.0.0.1:9'" in message and "`dask scheduler`" in message


def test_files_that_are_no_results(refused, arguments, tmp_path):
    assert "make one with `sdann campaign run`" in refused("campaign", "show", "results")
    (tmp_path / "results").write_text("a text, longer than the header of a database " * 5)
    assert "damaged, or not the results of a campaign" in refused("campaign", "show", "results")
    assert "damaged, or not the results of a campaign" in refused(*arguments)
    assert (tmp_path / "results").read_text().startswith("a text")
    with sqlite3.connect(tmp_path / "other") as db:
        db.execute("CREATE TABLE tiles (y, x)")
    db.close()
    assert "a database, but not the results of a campaign" in refused("campaign", "show", "other")


@pytest.fixture
def results(sdann, arguments, scheduler):
    """A file of results with one layer done."""
    assert sdann(*arguments, "--scheduler", scheduler, "--layer", "depthwise1").exit_code == 0
    return "results"


def test_results_of_other_hardware_and_versions(refused, arguments, results):
    for change, message in (
        ("UPDATE facts SET value = 'older'", "made with another version of the hardware"),
        ("PRAGMA user_version = 7", "results of version 7, this program writes version 1"),
    ):
        with sqlite3.connect(results) as db:
            db.execute(change)
        db.close()
        assert message in refused(*arguments)


def test_a_half_of_a_file(refused, arguments, results, tmp_path):
    content = (tmp_path / results).read_bytes()
    (tmp_path / results).write_bytes(content[: len(content) // 2])
    assert "damaged, or not the results of a campaign" in refused("campaign", "show", results)


def test_two_campaigns_do_not_share_a_file(refused, arguments, results):
    with open(f"{results}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another campaign writes to it" in refused(*arguments)


def test_an_unknown_layer(refused, arguments, results, scheduler):
    message = refused(*arguments, "--scheduler", scheduler, "--layer", "conv7")
    assert "no network has a layer 'conv7'; there are: depthwise1" in message


def test_the_table_has_every_counter(results):
    with sqlite3.connect(results) as db:
        columns = {row[1] for row in db.execute("PRAGMA table_info(tiles)")}
    db.close()
    assert {counter.name.lower() for counter in Counter} <= columns


@pytest.mark.long
def test_a_command_that_is_killed_goes_on(sdann, arguments, tmp_path):
    """SIGKILL of the command itself, again and again; nothing of what it had is lost."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    code = "from sdann.cli import main; main()"
    done = 0
    for _ in range(20):
        command = [sys.executable, "-c", code, *arguments, "--workers", "2", "--json"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE)
        limit = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < limit:
            if (tmp_path / "results").exists() and (found := count(tmp_path / "results")) > done:
                done = found
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.01)
        out, _ = process.communicate(timeout=60)
        if process.returncode == 0:
            break
    (run,) = json.loads(out)["runs"]
    assert run["complete"] and run["mismatches"] == 0 and run["tiles"]["done"] >= done > 0
