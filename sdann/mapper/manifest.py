"""The manifest of a program image: everything about the program but the memory words."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sdann.graph import Shape

__all__ = ["CoreEntry", "LayerEntry", "Manifest", "RegionEntry", "Registers"]

Count = Annotated[int, Field(ge=0)]
Size = Annotated[int, Field(ge=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class RegionEntry(_Model):
    """Part of a layer's map that a core holds: rows, columns and channels, each as start and size.

    Neuron word of position (y, x) and channel c, all counted from the region's start: ``(y * width + x) * groups
    + c // lanes``, lane ``c % lanes``. Samples are written to input tiles,
    and read-outs come from the last layer's, in this order.
    """

    y0: Count
    height: Size
    x0: Count
    width: Size
    channel0: Count
    channels: Size


class CoreEntry(_Model):
    """One core: mesh coordinate, what it holds, and a CRC-32 of each of its memories' bytes by memory name."""

    y: Count
    x: Count
    layer: str
    stage: Count
    region: RegionEntry
    checksums: dict[str, int]


class LayerEntry(_Model):
    """The input or a layer: shape, pipeline stage, the rectangle of cores (corner, size) and a unit's real value."""

    name: str
    shape: Shape
    stage: Count
    signed: bool
    y: Count
    x: Count
    row_tiles: Size
    channel_tiles: Size
    scale: float | None


class Registers(_Model):
    """Sequencer registers that the program needs; names as in :class:`hdl.host.Register`."""

    STEPS: Size
    STAGES: Size
    READOUT_FLITS: Count


class Manifest(_Model):
    """``layers``: the input first, the layer that is read out last. ``chip``: :meth:`hdl.config.ChipConfig.as_dict`."""

    format: Literal["sdann-image"]
    version: Literal[1]
    chip: dict[str, Any]
    fingerprint: int
    network: str
    network_hash: str
    registers: Registers
    layers: Annotated[list[LayerEntry], Field(min_length=2)]
    cores: list[CoreEntry]
