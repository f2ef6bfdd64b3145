"""A campaign of test size: a network in several passes, on the smallest chip, with two workers."""

import cloudpickle
import pytest

from sdann.network_file import save_network
from sim.campaign import CampaignOptions, Request, results_file, run_campaign
from sim.campaign.cluster import connect

from ..test_passes import CHIP, networks
from . import jobs

cloudpickle.register_pickle_by_value(jobs)  # workers cannot import what is not installed


@pytest.fixture(scope="session")
def network():
    """Three layers with bands, several sources of a pass, pooling and a split fan-in."""
    return next(networks())[1]


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
