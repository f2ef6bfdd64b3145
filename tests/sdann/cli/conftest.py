"""Files for the commands: a tiny network for the `test` preset, its image, and a briefly trained float network."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner, Result

from hdl.config import preset
from hdl.program import Memory
from sdann.cli import main
from sdann.mapper import map_network
from sdann.network_file import save_network
from sdann.random_networks import random_network

BUILD_DIR = Path(__file__).resolve().parents[3] / "build" / "sim"


def tiny_network(seed: int = 4):
    """Two convolutions; with seed 4: 5 x 4 x 4 to 3 x 2 x 2 to 5 x 2 x 2."""
    kinds = ("conv", "linear")
    return random_network(
        np.random.default_rng(seed), layers=2, channels=5, max_side=4, sparsity=False, edge_kinds=kinds
    )


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> SimpleNamespace:
    """Paths: network, image, flawed (image with a weight of the last layer changed), other (another network)."""
    folder = tmp_path_factory.mktemp("files")
    network = tiny_network()
    image = map_network(network, preset("test"))
    paths = SimpleNamespace(folder=folder, net=network, program=image)
    paths.network, paths.image = str(folder / "net.safetensors"), str(folder / "image.safetensors")
    paths.flawed, paths.other = str(folder / "flawed.safetensors"), str(folder / "other.safetensors")
    save_network(network, paths.network)
    save_network(tiny_network(6), paths.other)
    image.save(paths.image)
    core = image.cores_of(network.layers[-1].name)[0]
    word = image.words((core.y, core.x), Memory.WEIGHT)[0]
    image.with_word((core.y, core.x), Memory.WEIGHT, 0, word ^ 0x40).save(paths.flawed)
    return paths


@pytest.fixture(scope="session")
def float_file(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("float") / "float.safetensors"
    result = CliRunner().invoke(main, ["train", "--epochs", "1", "--out", str(path)])
    assert result.exit_code == 0, result.output
    return str(path)


@pytest.fixture
def sdann(tmp_path, monkeypatch):
    """Runs a command in an empty folder; returns its result, with standard output parsed where it is JSON."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(main, list(arguments))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        result.data = json.loads(result.stdout) if "--json" in arguments and result.stdout else None
        return result

    return run


@pytest.fixture
def refused(sdann):
    def run(*arguments: str) -> str:
        for extra in ([], ["--json"]):
            result = sdann(*arguments, *extra)
            assert result.exit_code == 2, result.output
            assert result.stdout == ""
        return " ".join(result.stderr.replace("│", " ").split())

    return run
