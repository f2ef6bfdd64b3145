import numpy as np
import pytest

from sdann.energy import ann_energy, load_constants, macs, sdann_energy
from sdann.errors import FileFormatError
from sdann.golden import edge_sops
from sdann.random_networks import random_network


def test_constants_and_the_paper_s_estimate() -> None:
    constants = load_constants()
    assert (constants.pj["mac"], constants.pj["ac"]) == (0.23, 0.03)
    assert ann_energy(1_000_000, constants).paper_nj == pytest.approx(230)


@pytest.mark.parametrize("seed", range(8))
def test_macs_are_the_synapses(seed: int) -> None:
    """With every bit set, each MAC is T SOPs."""
    network = random_network(np.random.default_rng(seed))
    steps = network.time_steps
    sops = 0
    for layer in network.layers:
        for edge in layer.edges:
            x = np.full((1, *network.shape_of(edge.source)), -1)
            sops += edge_sops(edge, x, layer.shape, steps)
    assert macs(network) * steps == sops


def test_extended_adds_what_the_paper_leaves_out() -> None:
    network, constants = random_network(np.random.default_rng(3)), load_constants()
    energy = sdann_energy(network, 1000, constants, hops=50)
    assert energy.paper_nj == pytest.approx(0.03)
    neurons = sum(int(np.prod(layer.shape)) for layer in network.layers)
    assert energy.parts_nj["hop"] == pytest.approx(0.05 * constants.pj["hop"])
    assert energy.parts_nj["integration"] == pytest.approx(
        neurons * network.time_steps * constants.pj["integration"] / 1000
    )
    assert energy.extended_nj == pytest.approx(energy.paper_nj + sum(energy.parts_nj.values()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[paper.mac]\npj = 1", r"\[paper.ac\] needs pj"),
        ("[paper.mac]\npj = -1", r"\[paper.mac\] needs pj, a number of at least 0, not -1"),
        ("[paper.mac]\npj = 'x'", "not 'x'"),
        ("nonsense", "not a TOML file"),
    ],
)
def test_bad_tables_are_refused(text: str, message: str, tmp_path) -> None:
    path = tmp_path / "energy.toml"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        load_constants(path)
    with pytest.raises(FileFormatError, match=r"none\.toml"):
        load_constants(tmp_path / "none.toml")
