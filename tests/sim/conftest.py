"""A small network with every first-version feature, mapped on the `test` preset, shared by the co-simulation tests."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hdl.chip import chip_verilog
from hdl.config import ChipConfig, preset
from sdann import reference
from sdann.graph import INPUT, Edge, IntArray, Layer, QuantizedNetwork
from sdann.mapper import ProgramImage, map_network

BUILD_DIR = Path(__file__).resolve().parents[2] / "build" / "sim"


@dataclass(frozen=True)
class Case:
    """A mapped network with samples and what the golden says of them."""

    network: QuantizedNetwork
    config: ChipConfig
    image: ProgramImage
    samples: IntArray

    @property
    def expected(self) -> dict[str, IntArray]:
        found = dict(reference.run(self.network, self.samples).activations)
        del found[INPUT]
        return found


def small_network(*, time_steps: int = 8, membrane_bits: int = 32, seed: int = 5) -> QuantizedNetwork:
    """Signed 2x5x5 input; conv 3x3 to 6 channels, average pool, conv 3x3 stride 1 to 5, linear to 7.

    Channels do not fill the lanes of 4; RoT and DRLO are on; both bias modes occur. Constants are chosen from the
    accumulators of a fixed random input, so that activations are alive.
    """
    rng = np.random.default_rng(seed)
    top = (1 << time_steps) - 1
    shapes = {"conv1": (6, 5, 5), "pool": (6, 2, 2), "conv2": (5, 2, 2), "out": (7, 1, 1)}
    edges = {
        "conv1": Edge(source=INPUT, kind="conv", weight=rng.integers(-60, 100, (6, 2, 3, 3)), padding=1),
        "pool": Edge(source="conv1", kind="depthwise", weight=np.ones((6, 1, 2, 2), dtype=np.int64), stride=2),
        "conv2": Edge(source="pool", kind="conv", weight=rng.integers(-80, 100, (5, 6, 3, 3)), padding=1),
        "out": Edge(source="conv2", kind="linear", weight=rng.integers(-120, 120, (7, 5, 2, 2))),
    }
    # M so that typical sums of 8-bit values land inside 0..top, whatever T is.
    factors = {"conv1": (41000, 21), "pool": (32768, 17), "conv2": (45000, 22), "out": (36000, 22)}
    options = {"conv1": {"rot": 1}, "conv2": {"drlo": 3}}
    layers = []
    for name, shape in shapes.items():
        mult, shift = factors[name]
        channels, last = shape[0], name == "out"
        layers.append(
            Layer(
                name=name, shape=shape, edges=(edges[name],),
                mult=np.full(channels, mult) + np.arange(channels), shift=np.full(channels, shift),
                bias=rng.integers(-20, 40, channels) * (0 if name == "pool" else 1),
                bias_mode="sum" if name == "conv2" else "scaled",
                lo=-(1 << time_steps - 1) if last else 0, hi=(1 << time_steps - 1) - 1 if last else top, signed=last,
                **options.get(name, {}),
            )
        )  # fmt: skip
    return QuantizedNetwork(
        name="small", input_shape=(2, 5, 5), input_signed=True, time_steps=time_steps, membrane_bits=membrane_bits,
        weight_bits=8, layers=tuple(layers),
    )  # fmt: skip


def small_samples(network: QuantizedNetwork, count: int, seed: int = 0) -> IntArray:
    rng = np.random.default_rng(seed)
    half = 1 << network.time_steps - 1
    return rng.integers(-half, half, (count, *network.input_shape))


def make_case(
    network: QuantizedNetwork, count: int = 3, split: dict[str, tuple[int, int]] | None = None, **changes: int
) -> Case:
    config = preset("test").replace(rows=3, cols=3, membrane_bits=network.membrane_bits, **changes)
    image = map_network(network, config, split or {"conv1": (2, 1), "conv2": (1, 2)})
    return Case(network, config, image, small_samples(network, count))


@pytest.fixture(scope="session")
def build_dir() -> Path:
    """Simulator builds, kept between test runs: each is keyed by the Verilog text."""
    return BUILD_DIR


@pytest.fixture(scope="session")
def small() -> Case:
    return make_case(small_network())


@pytest.fixture(scope="session")
def small_verilog(small: Case) -> str:
    return chip_verilog(small.config)
