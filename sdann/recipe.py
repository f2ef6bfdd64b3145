"""Small decisions that the commands and the demo share."""

from typing import Any

import numpy as np

from hdl.config import ChipConfig

from .datasets import load_digits
from .errors import SdannError
from .graph import INPUT, IntArray, QuantizedNetwork
from .mapper import ProgramImage, network_hash
from .quantization import QuantizeOptions, quantize_input
from .random_networks import random_input

__all__ = ["check_chip", "check_same_network", "is_digits", "options_for", "samples_for"]


def options_for(
    config: ChipConfig, *, weight_bits: int | None = None, out_bits: int = 8, **options: Any
) -> QuantizeOptions:
    """Quantization for a chip: the chip decides all widths but T and those given, ``options`` the rest.

    ``weight_bits``: None takes the chip's. Raises SdannError for more bits than the chip has.
    """
    weight_bits = config.weight_bits if weight_bits is None else weight_bits
    for name, bits, most in (("weight", weight_bits, config.weight_bits), ("output", out_bits, config.out_bits)):
        if bits > most:
            raise SdannError(f"{bits} bits per {name}, but chip {config.name!r} has {most}: use fewer, or another chip")
    return QuantizeOptions(
        weight_bits=weight_bits, out_bits=out_bits, bias_bits=config.bias_bits, mult_bits=config.mult_bits,
        max_shift=config.max_shift, max_edge_shift=config.max_edge_shift, isum_bits=config.isum_bits,
        membrane_bits=config.membrane_bits, **options,
    )  # fmt: skip


def is_digits(network: QuantizedNetwork) -> bool:
    """Whether ``network`` takes the digits: images of 8 x 8 with a known scale, ten outputs."""
    return network.input_shape == (1, 8, 8) and INPUT in network.scales and network.layers[-1].shape == (10, 1, 1)


def samples_for(network: QuantizedNetwork, samples: int, seed: int) -> tuple[IntArray, IntArray | None]:
    """(integers [N, C, H, W], labels [N] or None): test digits (at most all of them), or random input."""
    if not is_digits(network):
        return random_input(network, np.random.default_rng(seed), samples), None
    digits = load_digits()
    return quantize_input(network, digits.test_images[:samples]), digits.test_labels[:samples]


def check_same_network(network: QuantizedNetwork, image: ProgramImage) -> None:
    """Raises SdannError unless ``image`` was mapped from ``network``."""
    if image.manifest.network_hash != network_hash(network):
        raise SdannError(
            f"the image was mapped from another network ({image.manifest.network!r}) than this one ({network.name!r}): "
            "map it again"
        )


def check_chip(image: ProgramImage, config: ChipConfig) -> None:
    """Raises SdannError that names the fields in which the image's chip and ``config`` differ, if there are any."""
    if image.config.fingerprint == config.fingerprint:
        return
    wanted, given = image.config.as_dict(), config.as_dict()
    fields = ", ".join(f"{k} {wanted[k]} / {given[k]}" for k in wanted if wanted[k] != given[k] and k != "name")
    raise SdannError(
        f"the image is for another chip configuration ({image.config.name}, {image.config.fingerprint:#010x}) than "
        f"this one ({config.name}, {config.fingerprint:#010x}), image / this: {fields}; "
        "map the network again for this chip"
    )
