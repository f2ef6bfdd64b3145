"""The work that cuts go by: exactly the operations that the golden model counts, and each core's as the chip's."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hdl.config import preset
from hdl.program import Counter
from sdann import reference
from sdann.cycles import predict
from sdann.errors import DoesNotFitError
from sdann.golden import GoldenResult
from sdann.graph import INPUT, QuantizedNetwork
from sdann.mapper import plan_network
from sdann.mapper.feeds import held
from sdann.mapper.geometry import groups_of
from sdann.mapper.relays import with_relays
from sdann.mapper.work import Spikes, assumed_spikes, count_spikes, layer_visits, layer_work, with_repeated
from sdann.passes import run_passes
from sdann.random_networks import FEATURES, random_input, random_network
from sdann.random_places import with_chip_parts

SAMPLES = 4  # a power of two: means per sample are exact
CHIP = preset("test").replace(
    rows=5, cols=5, weight_words=512, routes=128, edges=8, slots=6, act_regions=6, map_side=8, readout_depth=2048
)


def case(seed: int, lanes: int, signed: bool | None = None) -> tuple[QuantizedNetwork, np.ndarray, GoldenResult]:
    rng = np.random.default_rng(seed)
    network = random_network(
        rng, layers=3, channels=9, max_side=7, max_edges=3, features=FEATURES, signed_input=signed
    )  # fmt: skip
    network = with_chip_parts(network, rng, CHIP.replace(lanes=lanes))
    x = random_input(network, rng, SAMPLES)
    return network, x, reference.run(network, x)


def sops_of(network: QuantizedNetwork, spikes: Spikes) -> dict[str, float]:
    return {
        layer.name: SAMPLES * sum(float(layer_work(network, layer, spikes, part).sum()) for part in layer.split)
        for layer in network.layers
    }  # fmt: skip


@given(seed=st.integers(0, 2**32 - 1), lanes=st.sampled_from([2, 4, 8]), signed=st.booleans())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_work_adds_up_to_the_goldens_operations(seed: int, lanes: int, signed: bool) -> None:
    network, _, golden = case(seed, lanes, signed)
    assert sops_of(network, count_spikes(network, golden.activations, lanes)) == golden.sops


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_every_core_does_its_share(seed: int) -> None:
    """Neuron by neuron: what a core's region and part add up to is what its counters of SOPs and visits say."""
    network, x, golden = case(seed, CHIP.lanes)
    spikes = count_spikes(network, golden.activations, CHIP.lanes)
    try:
        mapped = plan_network(network, CHIP, spikes=spikes)
    except DoesNotFitError:
        assume(False)
    found = []

    def run(image, sources):  # type: ignore[no-untyped-def]
        report, result = predict(image, sources, queues=False)
        found.append((result, dict(zip(report.cores, report.total("busy").tolist(), strict=True))))
        return result.activations

    run_passes(mapped.images(), x, run)
    for one, (result, busy) in zip(mapped.passes, found, strict=True):
        for name in one.frame.layers:
            layer = one.network.layer(name)
            work = [layer_work(one.network, layer, mapped.spikes, part) for part in layer.split]
            visits = [layer_visits(one.network, layer, mapped.spikes, part, CHIP.weight_ports) for part in layer.split]
            for place in one.places[name]:
                region, _ = held(one.network, name, layer, place)
                first = region.channel0 // CHIP.lanes
                own = (
                    slice(first, first + groups_of(region.channels, CHIP.lanes)),
                    slice(region.y0, region.y0 + region.height), slice(region.x0, region.x0 + region.width),
                )  # fmt: skip
                assert SAMPLES * work[place.part][own].sum() == result.counters[place.tile][Counter.SOPS], (name, place)
                assert SAMPLES * visits[place.part][own].sum() == busy[place.tile], (name, place)


def test_a_spike_more_is_noticed() -> None:
    network, _, golden = case(1, 4)
    spikes = count_spikes(network, golden.activations, 4)
    counts = spikes.spikes[INPUT].copy()
    counts[0, 0, 0] += 1 / SAMPLES
    more = replace(spikes, spikes={**spikes.spikes, INPUT: counts})
    assert sops_of(network, spikes) == golden.sops != sops_of(network, more)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_bundles_are_steps_in_which_a_group_spikes(lanes: int) -> None:
    network, _, golden = case(7, lanes, True)
    spikes = count_spikes(network, golden.activations, lanes)
    assert list(spikes.spikes) == list(spikes.bundles) == [INPUT, *(layer.name for layer in network.layers[:-1])]
    for name, bundles in spikes.bundles.items():
        channels, height, width = network.shape_of(name)
        for group, y, x in np.ndindex(groups_of(channels, lanes), height, width):
            values = golden.activations[name][:, group * lanes : (group + 1) * lanes, y, x]
            bits = (values[:, :, None] >> np.arange(network.time_steps)) & 1
            assert bundles[group, y, x] * SAMPLES == bits.any(axis=1).sum()
            assert spikes.spikes[name][group, y, x] * SAMPLES == bits.sum()
            assert spikes.pairs[name][group, y, x] * SAMPLES == ((bits.sum(axis=1) + 1) // 2).sum()


def test_assumed_spikes_are_the_same_everywhere(digits: QuantizedNetwork) -> None:
    spikes = assumed_spikes(digits, 4)
    assert spikes.samples == 0
    for name in (INPUT, *(layer.name for layer in digits.layers[:-1])):
        channels, height, width = digits.shape_of(name)
        shape = groups_of(channels, 4), height, width
        assert spikes.spikes[name].shape == spikes.bundles[name].shape == shape
        assert len(np.unique(spikes.spikes[name])) == 1
        assert (spikes.bundles[name] <= digits.time_steps).all()
        assert (spikes.bundles[name] <= spikes.pairs[name]).all()
        assert (spikes.pairs[name] <= spikes.spikes[name]).all()
        count = min(channels, 4)  # the mean over all masks, one by one
        odds = [(mask.bit_count(), 0.25 ** mask.bit_count() * 0.75 ** (count - mask.bit_count()))
                for mask in range(1 << count)]  # fmt: skip
        mean = digits.time_steps * sum(-(-bits // 2) * odd for bits, odd in odds)
        assert spikes.pairs[name][0, 0, 0] == pytest.approx(mean)
    assert spikes.spikes["input"][0, 0, 0] == spikes.spikes["conv1"][0, 0, 0] / 4  # it has one channel of four


def test_relays_repeat_their_sources_spikes() -> None:
    network = random_network(
        np.random.default_rng(3), layers=5, max_edges=3, features=["skips"], signed_input=False, signed_output=True
    )  # fmt: skip
    relayed = with_relays(network, 1)
    assert len(relayed.layers) > len(network.layers)
    x = random_input(network, np.random.default_rng(4), SAMPLES)
    known = with_repeated(count_spikes(network, reference.run(network, x).activations, 4), relayed)
    counted = count_spikes(relayed, reference.run(relayed, x).activations, 4)
    assert set(known.spikes) == set(counted.spikes)
    for name in counted.spikes:
        np.testing.assert_array_equal(known.spikes[name], counted.spikes[name])
        np.testing.assert_array_equal(known.pairs[name], counted.pairs[name])
        np.testing.assert_array_equal(known.bundles[name], counted.bundles[name])
