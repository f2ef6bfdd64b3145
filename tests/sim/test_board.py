"""The host script against a simulated board: the same command that drives a real one."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from hdl.board.serial_chip import SERIAL_MODULE, SerialChip
from hdl.chip import TILE_MODULE, chip_verilog
from hdl.verilog import convert
from sdann.network_file import save_network
from sim.toolchain import run_bench

DIVISOR = 4
TIME_OUT = 600.0
QUIET = "120"  # a simulated board on a busy machine may take its time


class Board:
    """A simulated board in a thread; ``port`` is its terminal."""

    def __init__(self, config, build_dir, folder) -> None:
        self.terminal, self.stop, self.error = folder / "terminal", folder / "stop", None
        verilog = convert(SerialChip(config, divisor=DIVISOR), SERIAL_MODULE, closed=False)
        self._options = {
            "verilog": f"{verilog}\n{chip_verilog(config)}", "toplevel": SERIAL_MODULE,
            "module": "sim.benches.board_bench", "simulator": "verilator", "build_dir": build_dir,
            "hierarchical": [TILE_MODULE], "timeout": TIME_OUT, "seed": 1,
            "env": {
                "SDANN_TERMINAL": str(self.terminal), "SDANN_STOP": str(self.stop), "SDANN_DIVISOR": str(DIVISOR),
            },
        }  # fmt: skip
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            run_bench(**self._options)
        except Exception as error:
            self.error = error

    def __enter__(self) -> "Board":
        self._thread.start()
        end = time.monotonic() + TIME_OUT
        while not self.terminal.exists():
            assert self._thread.is_alive() and time.monotonic() < end, self.error
            time.sleep(0.1)
        self.port = self.terminal.read_text()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop.touch()
        self._thread.join(TIME_OUT)
        assert self.error is None, self.error


def sdann_board(*arguments) -> tuple[int, dict, str]:
    done = subprocess.run(
        [
            sys.executable, "-c", "from sdann.cli import main; main()", "board", "--json", "--quiet", QUIET,
            *map(str, arguments),
        ],
        capture_output=True, text=True, timeout=TIME_OUT, check=False, env=os.environ,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


@pytest.fixture(scope="module")
def files(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    save_network(small.network, folder / "network.safetensors")
    small.image.save(folder / "image.safetensors")
    layers = list(small.network.layers)
    layers[-1] = replace(layers[-1], bias=layers[-1].bias - 50)
    save_network(replace(small.network, layers=tuple(layers)), folder / "other.safetensors")
    return folder


@pytest.fixture(scope="module")
def board(small, build_dir, files):
    with Board(small.config, build_dir, files) as running:
        yield running


def test_host_script_runs_a_program(board, files) -> None:
    for samples in (3, 2):  # the second run resets a board that has been used
        code, data, errors = sdann_board(
            files / "network.safetensors", files / "image.safetensors", "--port", board.port, "--samples", samples
        )
        assert code == 0, errors
        assert data["mismatches"] == 0 and data["compared"] == samples * 7
        assert data["sops"] == data["expected_sops"] > 0 and data["cycles"] > 0


def test_host_script_sees_a_difference(board, files) -> None:
    code, data, errors = sdann_board(
        files / "other.safetensors", files / "image.safetensors", "--port", board.port, "--samples", 1
    )
    assert code == 1 and data["mismatches"] > 0 and "sample 0, neuron (c, y, x) = (" in errors


def test_a_board_after_garbage(board, files) -> None:
    with open(board.port, "wb", buffering=0) as line:
        line.write(bytes([0xA5, 1, 2]))  # half a word
    code, data, errors = sdann_board(
        files / "network.safetensors", files / "image.safetensors", "--port", board.port, "--samples", 1
    )
    assert code == 0 and data["mismatches"] == 0, errors


def test_no_board(files, tmp_path) -> None:
    arguments = (files / "network.safetensors", files / "image.safetensors", "--port")
    code, _, errors = sdann_board(*arguments, tmp_path / "nothing")
    assert code == 1 and "is the board connected" in errors
    ours, theirs = os.openpty()
    code, _, errors = sdann_board(*arguments, os.ttyname(theirs), "--quiet", 0.5)
    os.close(ours)
    assert code == 1 and "did not answer to a reset" in errors
