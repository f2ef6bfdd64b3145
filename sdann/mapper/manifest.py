"""The manifest of a program image: everything about the program but the memory words."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sdann.graph import Shape

__all__ = ["CoreEntry", "LayerEntry", "Manifest", "ReadoutName", "RegionEntry", "Registers"]

Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]

ReadoutName = Literal["none", "act", "wide", "raw"]
"""Names of :class:`hdl.program.Readout` in lower case."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RegionEntry(_Model):
    """Part of a map that a core holds: rows, columns and channels, each as start and size.

    Word of position (y, x) and channel c, all counted from the region's start: ``(y * width + x) * groups + c //
    lanes``, lane ``c % lanes``. Samples are written to input tiles, and read-outs come from the last layer's, in this
    order.
    """

    y0: Count
    height: Size
    x0: Count
    width: Size
    channel0: Count
    channels: Size

    @property
    def size(self) -> int:
        """Positions times channels."""
        return self.height * self.width * self.channels

    def overlaps(self, other: "RegionEntry") -> bool:
        """Whether some position and channel is in both."""
        return (
            self.y0 < other.y0 + other.height and other.y0 < self.y0 + self.height
            and self.x0 < other.x0 + other.width and other.x0 < self.x0 + self.width
            and self.channel0 < other.channel0 + other.channels and other.channel0 < self.channel0 + self.channels
        )  # fmt: skip

    def within(self, other: "RegionEntry") -> bool:
        """Whether all of it is in ``other``."""
        return (
            other.y0 <= self.y0 and self.y0 + self.height <= other.y0 + other.height
            and other.x0 <= self.x0 and self.x0 + self.width <= other.x0 + other.width
            and other.channel0 <= self.channel0
            and self.channel0 + self.channels <= other.channel0 + other.channels
        )  # fmt: skip

    def inside(self, shape: Shape) -> bool:
        """Whether it is part of a map of that shape."""
        ends = self.channel0 + self.channels, self.y0 + self.height, self.x0 + self.width
        return all(end <= size for end, size in zip(ends, shape, strict=True))


class CoreEntry(_Model):
    """One core: mesh coordinate, what it holds, and a CRC-32 of each of its memories' bytes by memory name.

    ``region``: its neurons, in the layer's map before pooling. ``pooled``: the activations that it makes of them, in
    the layer's output map, where the layer is pooled. ``part``: 0, or the phase in which it sends its partial sums
    to another core of the same region; it has no activations then. It sums the part of that index of the layer's parts.
    """

    y: Count
    x: Count
    layer: str
    stage: Count
    region: RegionEntry
    pooled: RegionEntry | None = None
    part: Count = 0
    checksums: dict[str, int]

    @property
    def outputs(self) -> RegionEntry:
        """Where its activations are in the layer's output map (of a core with ``part`` 0)."""
        return self.pooled or self.region


class LayerEntry(_Model):
    """The input or a layer: shape of its activations and of its neurons (before pooling), pipeline stage, read-out, and
    a unit's real value. What is in stage 0 comes from the host: the network's input, or in a later pass the activations
    of layers that an earlier pass has computed. ``extent``: the part of its activations that this program holds, None
    for all.
    """

    name: str
    shape: Shape
    neurons: Shape
    stage: Count
    signed: bool
    readout: ReadoutName = "none"
    scale: float | None = None
    extent: RegionEntry | None = None

    @property
    def held(self) -> RegionEntry:
        """The part of its activations that the program's cores hold."""
        channels, height, width = self.shape
        return self.extent or RegionEntry(y0=0, height=height, x0=0, width=width, channel0=0, channels=channels)


class Registers(_Model):
    """Sequencer registers that the program needs; names as in :class:`hdl.host.Register`."""

    STEPS: Size
    STAGES: Size
    READOUT_FLITS: Count
    PARTS: Count = 0


class Manifest(_Model):
    """``layers``: those of stage 0 first; the one that is read out, if any is, last. ``chip``:
    :meth:`hdl.config.ChipConfig.as_dict`. ``pass_number``, of ``passes``: which program it is of those that run a
    network larger than the chip, one after the other.
    """

    format: Literal["sdann-image"]
    version: Literal[3]
    chip: dict[str, Any]
    fingerprint: int
    network: str
    network_hash: str
    pass_number: Count = 0
    passes: Size = 1
    registers: Registers
    layers: Annotated[list[LayerEntry], Field(min_length=2)]
    cores: list[CoreEntry]
