"""A program image on a real chip (or a simulated board) at a serial port, held against the golden model."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sim.driver import ChipDriver
from sim.serial_port import SerialPort, open_serial
from sim.session import stream

from . import reference
from .errors import SdannError
from .graph import QuantizedNetwork
from .mapper import ProgramImage

__all__ = ["BoardResult", "random_samples", "run_on_board"]


@dataclass(frozen=True, kw_only=True)
class BoardResult:
    """``compared``, ``mismatches``: output values. ``cycles``: the chip's. ``seconds``: with loading."""

    compared: int
    mismatches: int
    sops: int
    expected_sops: int
    cycles: int
    seconds: float
    failures: list[str]


def random_samples(network: QuantizedNetwork, count: int, seed: int) -> "np.typing.NDArray[np.int64]":
    """Random inputs in the whole range of the network's: int64 [count, C, H, W]."""
    steps = network.time_steps
    low, high = (-(1 << steps - 1), 1 << steps - 1) if network.input_signed else (0, 1 << steps)
    return np.random.default_rng(seed).integers(low, high, (count, *network.input_shape))


def run_on_board(
    network: QuantizedNetwork,
    image: ProgramImage,
    *,
    port: str,
    baud: int,
    quiet: float,
    samples: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> BoardResult:
    """Resets the board, loads ``image``, runs random samples back to back; outputs and SOPs against the golden model.

    Raises ChipError for a board that is silent, is another chip, or refuses the program.
    """
    if image.layer("input").shape != network.input_shape:
        raise SdannError("the image was made from another network: their inputs differ in shape")
    x = random_samples(network, samples, seed)
    golden = reference.run(network, x)
    started = time.perf_counter()
    serial = SerialPort(open_serial(port, baud), image.config, quiet=quiet)
    serial.reset()
    result = asyncio.run(stream(ChipDriver(serial, image), x, progress))
    seconds = time.perf_counter() - started
    wanted = golden.activations[network.layers[-1].name]
    mismatches = int((result.outputs != wanted).sum())
    sops = sum(counters["SOPS"] for counters in result.counters.values())
    expected = sum(golden.sops.values())
    failures = []
    if mismatches:
        at = tuple(int(n) for n in np.argwhere(result.outputs != wanted)[0])
        failures.append(
            f"{mismatches} of {wanted.size} outputs differ; the first: sample {at[0]}, neuron (c, y, x) = {at[1:]}: "
            f"expected {wanted[at]}, found {result.outputs[at]}"
        )
    if sops != expected:
        failures.append(f"the chip counts {sops} SOPs, the golden model {expected}")
    return BoardResult(
        compared=int(wanted.size), mismatches=mismatches, sops=sops, expected_sops=expected, cycles=result.cycles,
        seconds=seconds, failures=failures,
    )  # fmt: skip
