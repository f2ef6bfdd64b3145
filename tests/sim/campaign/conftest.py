"""A campaign of test size: a network in several passes, on the smallest chip, with two workers."""

import cloudpickle
import numpy as np
import pytest

from hdl.config import preset
from hdl.program import Memory
from sdann.mapper import ProgramImage
from sdann.network_file import save_network
from sdann.random_networks import random_network
from sim.campaign import CampaignOptions, Request, results_file, run_campaign
from sim.campaign.cluster import connect

from . import jobs

cloudpickle.register_pickle_by_value(jobs)  # workers cannot import what is not installed


CHIP = preset("test").replace(rows=3, cols=3)
"""That of most tests of simulations, whose compiled tile it shares."""


def campaign_network():
    """Three layers in three passes, with bands of a layer, several sources of a pass, and a split fan-in."""
    return random_network(
        np.random.default_rng(44), layers=3, channels=12, max_side=8, max_edges=2, features=["skips", "pool"],
        signed_output=True,
    )  # fmt: skip


def wrong_weights(image: ProgramImage) -> ProgramImage:
    """The program with other weights in all its layers."""
    for core, entry in image.cores.items():
        if entry.stage:
            for address, word in enumerate(image.words(core, Memory.WEIGHT)):
                image = image.with_word(core, Memory.WEIGHT, address, word ^ 0x60606060)  # in every lane
    return image


@pytest.fixture(scope="session")
def network():
    return campaign_network()


@pytest.fixture(scope="session")
def request_(network, tmp_path_factory) -> Request:
    path = tmp_path_factory.mktemp("campaign") / "net.safetensors"
    save_network(network, path)
    return Request(what=str(path), config=CHIP)


@pytest.fixture(scope="module")
def client():
    with connect(workers=2) as client:
        yield client


@pytest.fixture(scope="session")
def run_at(request_, build_dir):
    """Runs a campaign (again) at a path; returns the lines on tiles that were given up."""

    def run(path, client, *, report=lambda *_: None, **options):
        options = CampaignOptions(build_dir=build_dir, **options)
        with results_file(path, write=True) as file:
            return run_campaign(file, [request_], client, options, report=report)

    return run


@pytest.fixture
def campaign(run_at, tmp_path):
    """The same, at `results.db` in the test's own folder."""
    return lambda client, **options: run_at(tmp_path / "results.db", client, **options)
