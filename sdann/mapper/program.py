"""Builds a program image core by core. What follows from the rest is derived, unless it is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hdl.config import ChipConfig
from hdl.program import Readout
from sdann.errors import SdannError
from sdann.graph import Pool, Shape
from sdann.mapper.check import check_image
from sdann.mapper.geometry import Span, pooled_neurons, pooled_shape
from sdann.mapper.image import FORMAT, VERSION, Coordinate, ProgramImage, checksums
from sdann.mapper.manifest import CoreEntry, LayerEntry, Manifest, ReadoutName, RegionEntry, Registers
from sdann.mapper.samples import readout_flits
from sdann.mapper.words import CoreWords, Part

__all__ = ["Program"]


@dataclass
class _Layer:
    entry: LayerEntry
    pool: Pool | None
    fields: dict[str, int]


@dataclass
class _Core:
    layer: str
    words: CoreWords
    checksums: dict[str, int] = field(default_factory=dict)


class Program:
    """A program for a chip: :meth:`layer` s (the input first, the layer that is read out last), then :meth:`core` s.

    ``steps``: T. ``registers``: values of :class:`sdann.mapper.manifest.Registers` instead of derived ones.
    """

    def __init__(
        self,
        config: ChipConfig,
        *,
        steps: int | None = None,
        name: str = "assembled",
        network_hash: str = "",
        pass_number: int = 0,
        passes: int = 1,
        registers: Mapping[str, int] | None = None,
    ) -> None:
        self.config, self.name, self.network_hash = config, name, network_hash
        self.pass_number, self.passes = pass_number, passes
        self.steps = config.time_steps if steps is None else steps
        self._registers = dict(registers or {})
        self._layers: dict[str, _Layer] = {}
        self._cores: dict[Coordinate, _Core] = {}

    def layer(
        self,
        name: str,
        shape: Shape,
        *,
        stage: int | None = None,
        signed: bool = False,
        readout: ReadoutName = "none",
        pool: Pool | None = None,
        output_shape: Shape | None = None,
        scale: float | None = None,
        extent: RegionEntry | None = None,
        fields: Mapping[str, int] | None = None,
    ) -> "Program":
        """Adds the input or a layer. ``shape``: of its neurons, before pooling. ``stage``: one more than the layer's
        before.

        ``extent``: the part of its activations that the program holds (None: all).
        ``fields``: core descriptor fields of all its cores. The clamp is the range that the kind of read-out allows.
        Raises :class:`SdannError` for a name that is taken.
        """
        if name in self._layers:
            raise SdannError(f"layer {name!r} is there already")
        if stage is None:
            stage = 1 + max((layer.entry.stage for layer in self._layers.values()), default=-1)
        entry = LayerEntry(
            name=name, shape=output_shape or (pooled_shape(shape, pool) if pool else shape), neurons=shape, stage=stage,
            signed=signed, readout=readout, scale=scale, extent=extent,
        )  # fmt: skip
        self._layers[name] = _Layer(entry, pool, self._clamp(entry) | dict(fields or {}))
        return self

    def _clamp(self, entry: LayerEntry) -> dict[str, int]:
        bits = {"none": self.steps, "act": self.config.act_bits, "wide": self.config.out_bits, "raw": 0}[entry.readout]
        if bits == 0:
            return {"lo": 0, "hi": 0}
        two = (entry.signed and entry.stage > 0) or entry.readout == "wide"
        half = 1 << (bits - 1)
        return {"lo": -half, "hi": half - 1} if two else {"lo": 0, "hi": 2 * half - 1}

    def _layer(self, name: str, where: str) -> _Layer:
        if name not in self._layers:
            raise SdannError(f"{where}: unknown layer {name!r}; layers: {', '.join(self._layers)}")
        return self._layers[name]

    def core(
        self,
        tile: Coordinate,
        layer: str,
        *,
        rows: Span | None = None,
        columns: Span | None = None,
        channels: Span | None = None,
        part: Part | None = None,
        region: RegionEntry | None = None,
        checksums: Mapping[str, int] | None = None,
        fields: Mapping[str, int] | None = None,
    ) -> CoreWords:
        """Adds a core in ``tile`` (y, x); edges, routes and constants are then added to what it returns.

        ``rows, columns, channels``: (first, count) of the activations that it holds, all of them where not given; of a
        ``part``, of those to which it contributes. ``region``: its neurons, derived from those. ``checksums``: instead
        of the right ones. ``fields``: core descriptor fields. Raises :class:`SdannError` for a tile that is
        taken and an unknown layer.
        """
        where = f"core {tile} ({layer})"
        own = self._layer(layer, where)
        shape, neurons, pool = own.entry.shape, own.entry.neurons, own.pool
        c, y, x = channels or (0, shape[0]), rows or (0, shape[1]), columns or (0, shape[2])
        outputs = self._region(c, y, x, where)
        pooled = None
        if pool is not None:
            pooled = None if part else outputs
            outputs = self._region(c, pooled_neurons(y, neurons[1], pool), pooled_neurons(x, neurons[2], pool), where)
        readout = 0 if part else Readout[own.entry.readout.upper()].value
        words = CoreWords(
            self.config, region=region or outputs, stage=own.entry.stage, where=where, pool=None if part else pool,
            pooled=pooled, part=part, fields={"readout": readout} | own.fields | dict(fields or {}),
        )  # fmt: skip
        return self.place(tile, layer, words, checksums)

    @staticmethod
    def _region(channels: Span, rows: Span, columns: Span, where: str) -> RegionEntry:
        for name, span in (("channels", channels), ("rows", rows), ("columns", columns)):
            if span[0] < 0 or span[1] < 1:
                raise SdannError(f"{where}: {name} {span} must be (first, count), count at least 1")
        return RegionEntry(
            y0=rows[0], height=rows[1], x0=columns[0], width=columns[1], channel0=channels[0], channels=channels[1]
        )

    def place(
        self, tile: Coordinate, layer: str, words: CoreWords, checksums: Mapping[str, int] | None = None
    ) -> CoreWords:
        """Adds a core whose words were described elsewhere. Raises :class:`SdannError` for a tile that is taken."""
        if tile in self._cores:
            raise SdannError(f"core {tile} ({layer}): the tile holds a core of {self._cores[tile].layer!r} already")
        self._cores[tile] = _Core(layer, words, dict(checksums or {}))
        return words

    def image(self, *, checked: bool = True) -> ProgramImage:
        """The finished image; with ``checked`` a fault raises :class:`sdann.mapper.ImageError`."""
        memories = {tile: core.words.words() for tile, core in self._cores.items()}
        layers = [layer.entry for layer in self._layers.values()]
        if len(layers) < 2:
            raise SdannError("a program needs an input and a layer")
        entries = [
            CoreEntry(
                y=tile[0], x=tile[1], layer=core.layer, stage=core.words.stage, region=core.words.region,
                pooled=core.words.pooled, part=core.words.part.phase if core.words.part else 0,
                checksums=checksums(memories[tile]) | core.checksums,
            )
            for tile, core in self._cores.items()
        ]  # fmt: skip
        registers = {
            "STEPS": self.steps, "STAGES": max(layer.stage for layer in layers), "READOUT_FLITS": 0,
            "PARTS": max((entry.part for entry in entries), default=0),
        }  # fmt: skip
        manifest = Manifest(
            format=FORMAT, version=VERSION, chip=self.config.as_dict(), fingerprint=self.config.fingerprint,
            network=self.name, network_hash=self.network_hash, pass_number=self.pass_number, passes=self.passes,
            registers=Registers(**registers), layers=layers,
            cores=entries,
        )  # fmt: skip
        registers |= {"READOUT_FLITS": readout_flits(ProgramImage(manifest, memories)), **self._registers}
        image = ProgramImage(manifest.model_copy(update={"registers": Registers(**registers)}), memories)
        if checked:
            check_image(image)
        return image
