"""Energy per sample: the paper's estimate (section 3.3), and an extended one with what that leaves out.

Both are counts times constants; the constants stand, with their sources, in ``energy.toml`` beside this file.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .check import edge_shape
from .errors import FileFormatError
from .graph import QuantizedNetwork

__all__ = ["Constants", "Energy", "ann_energy", "load_constants", "macs", "sdann_energy"]

DEFAULT = Path(__file__).with_name("energy.toml")
NAMES = {
    "paper": ("mac", "ac"),
    "extended": ("weight_read", "state_update", "requantization", "integration", "hop"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Constants:
    """pJ per operation by name: those of :data:`NAMES`."""

    pj: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy of one sample in nJ. ``operations``: MACs or SOPs, ``paper_nj``: they alone; ``parts_nj``: what the
    extended estimate adds, by name of the constant.
    """

    operations: float
    paper_nj: float
    parts_nj: Mapping[str, float]

    @property
    def extended_nj(self) -> float:
        """All of it."""
        return self.paper_nj + sum(self.parts_nj.values())


def load_constants(path: str | Path = DEFAULT) -> Constants:
    """The constants in ``path``; raises FileFormatError that names what is missing or no number above 0."""
    try:
        with Path(path).open("rb") as file:
            tables: dict[str, Any] = tomllib.load(file)
    except OSError as error:
        raise FileFormatError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: not a TOML file: {error}") from None
    found = {}
    for group, names in NAMES.items():
        for name in names:
            entry = tables.get(group, {}).get(name, {})
            value = entry.get("pj") if isinstance(entry, dict) else None
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
                raise FileFormatError(f"{path}: [{group}.{name}] needs pj, a number of at least 0, not {value!r}")
            found[name] = float(value)
    return Constants(pj=found)


def macs(network: QuantizedNetwork) -> int:
    """Multiply-accumulates of one sample, padding not counted: every weight times every position that it meets."""
    total = 0
    for layer in network.layers:
        for edge in layer.edges:
            source = network.shape_of(edge.source)
            assert edge_shape(edge, source) == layer.shape
            reached = 1
            for size, out, kernel in zip(source[1:], layer.shape[1:], edge.weight.shape[2:], strict=True):
                starts = [o * edge.stride - edge.padding for o in range(out)]
                reached *= sum(max(0, min(size, start + kernel) - max(0, start)) for start in starts)
            total += reached * edge.weight.shape[0] * edge.weight.shape[1]
    return total


def ann_energy(operations: int, constants: Constants) -> Energy:
    """A quantized ANN's: ``operations`` MACs. Extended by the weights' reads."""
    pj = constants.pj
    return Energy(
        operations=operations, paper_nj=operations * pj["mac"] / 1000,
        parts_nj={"weight_read": operations * pj["weight_read"] / 1000},
    )  # fmt: skip


def sdann_energy(network: QuantizedNetwork, sops: float, constants: Constants, *, hops: float | None = None) -> Energy:
    """The spiking network's: ``sops`` per sample. Extended by memory, membranes and ``hops`` (if counted)."""
    pj = constants.pj
    neurons = sum(layer.shape[0] * layer.shape[1] * layer.shape[2] for layer in network.layers)
    counts = {
        "weight_read": sops, "state_update": sops, "requantization": neurons,
        "integration": neurons * network.time_steps,
    }  # fmt: skip
    if hops is not None:
        counts["hop"] = hops
    return Energy(
        operations=sops, paper_nj=sops * pj["ac"] / 1000,
        parts_nj={name: count * pj[name] / 1000 for name, count in counts.items()},
    )  # fmt: skip
