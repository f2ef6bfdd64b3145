"""Whole windows of one core against :mod:`reference`: every descriptor feature, stalls on both streams."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Bench
from reference import Pool
from scenario import CONFIG, Scenario

from hdl.program import Readout

ONE_PORT = CONFIG.replace(weight_ports=1)
NARROW = CONFIG.replace(membrane_bits=12)
CASES = {
    "plain": {},
    "kernel_5": {"kernel": 5, "size": (3, 4), "groups": 1},
    "kernel_4_groups": {"kernel": 4, "size": (2, 2), "groups": 3, "source": 2},
    "stride_2": {"stride": 2, "kernel": 3, "size": (3, 2), "groups": 2},
    "stride_4": {"config": ONE_PORT, "stride": 4, "kernel": 2, "size": (2, 2)},
    "many_sources": {"kernel": 2, "source": 11, "groups": 2, "size": (2, 3)},
    "one_port": {"config": ONE_PORT, "kernel": 2, "source": 7, "groups": 2, "size": (2, 2)},
    "two_edges": {"edges": 2, "kernel": 2, "groups": 2, "source": 6},
    "linear": {"kernel": 4, "size": (1, 1), "groups": 3, "source": 4},
    "depthwise": {"depthwise": True, "kernel": 3, "groups": 3},
    "depthwise_stride": {"config": ONE_PORT, "depthwise": True, "kernel": 2, "stride": 2, "groups": 2, "edges": 2},
    "signed_edge": {"signed": True, "edges": 2, "source": 3, "kernel": 2},
    "signed_output": {"lo": -128, "hi": 127, "bias_in_sum": True},
    "scaled": {"scaled": True, "mult1": 40000, "shift1": 20},
    "narrow": {"config": NARROW, "scaled": True, "mult1": 40000, "shift1": 17, "kernel": 3, "size": (2, 2)},
    "narrow_wraps": {"config": CONFIG.replace(membrane_bits=14, isum_bits=12), "kernel": 3},
    "rot": {"rot": 3, "bias_in_sum": True},
    "drlo": {"rot": 1, "drlo": 2},
    "steps_5": {"steps": 5, "hi": 31},
    "one_part": {"config": CONFIG.replace(requant_lanes=4, neuron_words=50)},
    "four_parts": {"config": CONFIG.replace(requant_lanes=1), "size": (2, 2)},
    "truncate": {"rot": 3, "truncate": True, "drlo": 3},
    "readout": {"readout": Readout.ACT, "lo": -128, "hi": 127},
    "readout_wide": {"readout": Readout.WIDE, "lo": -30000, "hi": 32767, "groups": 2},
    "readout_raw": {"readout": Readout.RAW, "groups": 2},
    "pool_2": {"pool": Pool(2, 2, 0, 0, (2, 2)), "size": (4, 4), "groups": 2, "kernel": 2},
    "pool_3": {"pool": Pool(3, 2, 1, 1, (2, 2)), "size": (4, 3), "groups": 2, "rot": 2},
    "pool_overlap": {"pool": Pool(3, 1, 0, 2, (2, 4)), "size": (4, 4), "groups": 1},
    "pool_4": {"pool": Pool(4, 4, 3, 1, (2, 1)), "size": (4, 3), "config": CONFIG.replace(requant_lanes=1)},
    "pool_1": {"pool": Pool(1, 2, 0, 0, (2, 1)), "size": (3, 2), "config": CONFIG.replace(requant_lanes=4)},
}


LONG = {
    "kernel_4_groups", "stride_4", "one_port", "depthwise_stride", "narrow", "one_part", "four_parts", "pool_overlap",
    "pool_1",
}  # fmt: skip
"""Combinations of features that other cases have one by one."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.long) if n in LONG else n for n in CASES])
def test_windows(name: str) -> None:
    scenario = Scenario(sum(map(ord, name)), **CASES[name])
    scenario.run()
    assert scenario.layer.sops > 0 and scenario.spikes_in > 0
    if name.startswith("narrow"):
        assert scenario.layer.saturations > 0
    if "readout" not in name:
        assert scenario.spikes_out > 0


@pytest.mark.parametrize("seed", range(4))
def test_random_layers_without_stalls(seed: int) -> None:
    rng = random.Random(seed)
    config = CONFIG.replace(weight_ports=1 + seed % 2)
    options = {"kernel": rng.randint(1, 4), "stride": rng.choice((1, 2)), "edges": rng.randint(1, 2), "groups": 1}
    Scenario(100 + seed, config=config, **options).run(0.0)


@pytest.mark.parametrize("fault", ["weight", "bias", "spike"])
def test_a_mutation_is_caught(fault: str) -> None:
    scenario = Scenario(7, kernel=2, source=3, size=(2, 2))
    edge = scenario.layer.edges[0]
    load = scenario.load

    def faulty(bench: Bench) -> None:
        load(bench)  # the chip gets the right program, the model a wrong one
        if fault == "weight":
            edge.weights[0, 0, 0, 0] ^= 1
        elif fault == "bias":
            scenario.layer.bias[0] += 1
        else:
            bundles = scenario.bundles
            scenario.bundles = lambda *of: bundles(*of)[1:]

    scenario.load = faulty
    with pytest.raises(AssertionError, match="seed 7"):
        scenario.run(0.0)
