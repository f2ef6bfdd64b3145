"""The one place that states a width: :class:`ChipConfig` and its presets.

RTL, mapper, tile model and driver all take a ``ChipConfig``; flit, register and program layouts
(:mod:`hdl.flit`, :mod:`hdl.program`, :mod:`hdl.host`) are derived from it.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

__all__ = ["PRESETS", "ChipConfig", "ConfigError", "bits_for", "preset"]


class ConfigError(ValueError):
    """A chip configuration that cannot be built; the message names the field and its limits."""


def bits_for(maximum: int) -> int:
    """Number of bits of an unsigned field that holds ``0..maximum`` (at least one)."""
    return max(1, int(maximum).bit_length())


@dataclass(frozen=True, kw_only=True)
class ChipConfig:
    """Every parameter of one chip. Checked at construction; raises :class:`ConfigError`.

    Sizes are counts (of tiles, words, channels, ...), widths are in bits.
    """

    name: str = "custom"
    """Label for people; not part of :attr:`fingerprint`."""
    rows: int
    """Tiles along y. Tile (0, 0) is the host tile, every other one holds a core."""
    cols: int
    """Tiles along x."""
    lanes: int = 16
    """Neighbouring channels that one memory word and one spike bundle hold (power of two)."""
    time_steps: int = 8
    """Largest T; a program may run with fewer steps. Also the width of an activation in memory."""
    weight_bits: int = 8
    weight_words: int = 4096
    """Depth of a core's weight memory, words of ``lanes`` weights."""
    neuron_words: int = 256
    """Depth of a core's I and V memories, words of ``lanes`` neurons."""
    act_regions: int = 2
    """Depth of a core's activation memory, in multiples of ``neuron_words``; its history ring's slots share it."""
    slots: int = 4
    """Most slots of the history ring: a core can emit activations of up to ``slots - 2`` windows ago."""
    parts: int = 4
    """Most cores that one neuron's fan-in is split over."""
    out_bits: int = 16
    """Width of a wide read-out value (T_out)."""
    weight_ports: int = 2
    """Set bits of a bundle that the accumulator takes per cycle (1 or 2), each with a read port of the weights."""
    group_words: int = 16
    """Most output-channel groups (of ``lanes`` channels) one core serves: depth of its constants."""
    edges: int = 4
    """Edge descriptors per core."""
    routes: int = 8
    """Route entries per core."""
    requant_lanes: int = 4
    """Neurons that the membrane and requantization passes handle per cycle (divides ``lanes``)."""
    isum_bits: int = 24
    """Width of I(t), which wraps and is never saturated."""
    membrane_bits: int = 32
    """Width N of V(t), which saturates."""
    bias_bits: int = 16
    mult_bits: int = 16
    max_shift: int = 31
    max_edge_shift: int = 7
    map_side: int = 32
    """Most rows (and columns) of a feature map; also the longest kernel side."""
    map_groups: int = 64
    """Most channel groups of a feature map."""
    stages: int = 15
    """Most pipeline stages (layers after the input stage)."""
    queue_depth: int = 16
    """Depth of a router's queues, in flits (power of two); a LUT RAM of an FPGA has 16 words anyway."""
    readout_depth: int = 256
    """Depth of the host's read-out queue, in flits; bounds the read-out of one sample."""
    data_bits: int = 16
    """Payload of a memory-write or read-out flit; memory words travel in chunks of this width."""
    counter_bits: int = 40

    def __post_init__(self) -> None:
        limits: dict[str, tuple[int, int]] = {
            "rows": (1, 64), "cols": (1, 64), "lanes": (2, 64), "time_steps": (2, 16),
            "weight_bits": (2, 8), "weight_words": (4, 1 << 20), "neuron_words": (2, 1 << 16),
            "act_regions": (2, 16), "slots": (2, 16), "parts": (1, 16), "out_bits": (2, 32), "weight_ports": (1, 2),
            "group_words": (1, 1 << 12), "edges": (1, 16), "routes": (1, 256), "requant_lanes": (1, 64),
            "isum_bits": (8, 32), "membrane_bits": (8, 40), "bias_bits": (4, 32), "mult_bits": (4, 24),
            "max_shift": (1, 40), "max_edge_shift": (0, 15), "map_side": (2, 1024),
            "map_groups": (1, 1 << 12), "stages": (1, 64), "queue_depth": (2, 64),
            "readout_depth": (32, 1 << 16), "data_bits": (8, 32), "counter_bits": (16, 64),
        }  # fmt: skip
        for field, (low, high) in limits.items():
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int):
                raise ConfigError(f"{field} must be an integer, not {value!r}")
            if not low <= value <= high:
                raise ConfigError(f"{field} must be between {low} and {high}, not {value}")
        if self.rows * self.cols < 2:
            raise ConfigError("rows x cols must be at least 2: tile (0, 0) is the host's")
        if self.lanes & (self.lanes - 1):
            raise ConfigError(f"lanes must be a power of two, not {self.lanes}")
        if self.lanes % self.requant_lanes:
            raise ConfigError(f"requant_lanes must divide lanes ({self.lanes}), not be {self.requant_lanes}")
        if self.queue_depth & (self.queue_depth - 1):
            raise ConfigError(f"queue_depth must be a power of two, not {self.queue_depth}")

    # -- derived values -------------------------------------------------------------------------

    @property
    def act_bits(self) -> int:
        """Width of one activation in memory (unsigned, or two's complement where signed)."""
        return self.time_steps

    @property
    def membrane_word_bits(self) -> int:
        """Width of V in memory: ``membrane_bits``, and room for the sum of ``parts`` partial sums."""
        return self.membrane_bits + (self.parts - 1).bit_length()

    @property
    def act_words(self) -> int:
        """Depth of a core's activation memory, words of ``lanes`` activations."""
        return self.act_regions * self.neuron_words

    @property
    def requant_subwords(self) -> int:
        """Cycles that a pass spends on one neuron word."""
        return self.lanes // self.requant_lanes

    @property
    def tiles(self) -> list[tuple[int, int]]:
        """All (y, x) coordinates, row-major; (0, 0) is the host tile."""
        return [(y, x) for y in range(self.rows) for x in range(self.cols)]

    @property
    def cores(self) -> list[tuple[int, int]]:
        """(y, x) of every tile that holds a core."""
        return self.tiles[1:]

    def as_dict(self) -> dict[str, Any]:
        """Field names and values, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "ChipConfig":
        """Inverse of :meth:`as_dict`; an unknown or missing field raises :class:`ConfigError`."""
        known = {f.name for f in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - known):
            raise ConfigError(f"unknown chip configuration field(s): {', '.join(unknown)}")
        if missing := sorted({"rows", "cols"} - set(fields)):
            raise ConfigError(f"chip configuration lacks: {', '.join(missing)}")
        return cls(**fields)

    def replace(self, **changes: Any) -> "ChipConfig":
        """A copy with some fields changed (and checked again)."""
        return self.from_dict(self.as_dict() | changes)

    @property
    def fingerprint(self) -> int:
        """32-bit identity of everything but the name; the chip answers it in CONFIG_ID."""
        fields = {k: v for k, v in self.as_dict().items() if k != "name"}
        return int.from_bytes(hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).digest()[:4], "big")


PRESETS: dict[str, ChipConfig] = {
    c.name: c
    for c in (
        ChipConfig(
            name="test", rows=2, cols=3, lanes=4, weight_words=128, neuron_words=32, act_regions=4, group_words=4,
            edges=2, routes=4, requant_lanes=2, map_side=8, map_groups=8, stages=7, readout_depth=64,
        ),
        ChipConfig(
            name="demo", rows=4, cols=4, lanes=8, weight_words=512, neuron_words=64, group_words=8,
            edges=2, routes=8, requant_lanes=4, map_side=8, map_groups=64, stages=15, readout_depth=64,
        ),
        ChipConfig(
            name="ecp5_85k", rows=2, cols=2, lanes=8, weight_words=2048, neuron_words=128, group_words=16,
            edges=4, routes=8, requant_lanes=1, map_side=32, map_groups=32, stages=15, readout_depth=64,
            isum_bits=18, membrane_bits=24, max_edge_shift=3, parts=2, counter_bits=32,
        ),
        ChipConfig(
            name="darwin", rows=24, cols=24, lanes=16, weight_words=4096, neuron_words=256, group_words=256,
            edges=4, routes=32, requant_lanes=4, map_side=512, map_groups=256, stages=63, readout_depth=4096, parts=8,
        ),
    )
}  # fmt: skip
"""Named configurations: ``test`` (small, exercises everything), ``demo`` (the digit network),
``ecp5_85k`` (fits a ULX3S-85F), ``darwin`` (24 x 24 tiles with Darwin3's limits per core)."""


def preset(name: str) -> ChipConfig:
    """The preset called ``name``; raises :class:`ConfigError` that lists the known ones."""
    try:
        return PRESETS[name]
    except KeyError:
        raise ConfigError(f"unknown preset {name!r}; known presets: {', '.join(PRESETS)}") from None
