"""A report of a small network on the chip `demo`, by the tile and cycle models."""

import numpy as np
import pytest

from hdl.config import preset
from sdann.mapper import map_network
from sdann.network_source import NetworkSource
from sdann.random_networks import random_network
from sdann.report import ReportData, run_report

SAMPLES = 4


def small_network():
    kinds = ("conv", "linear")
    return random_network(np.random.default_rng(5), layers=4, channels=20, max_side=6, sparsity=False, edge_kinds=kinds)


@pytest.fixture(scope="session")
def source() -> NetworkSource:
    network = small_network()
    low, high = (-128, 128) if network.input_signed else (0, 256)
    x = np.random.default_rng(0).integers(low, high, size=(SAMPLES, *network.input_shape))
    labels = np.zeros(SAMPLES, dtype=np.int64)
    return NetworkSource(network=network, x=x, labels=labels, about="a test: <b> & random inputs")


@pytest.fixture(scope="session")
def report(source, tmp_path_factory) -> ReportData:
    image = map_network(source.network, preset("demo"))
    return run_report(
        source, image, simulator="tiles", build_dir=tmp_path_factory.mktemp("sim"),
        progress=lambda what: lambda done, total: None,
    )  # fmt: skip
