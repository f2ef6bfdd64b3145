"""The memory words of one core: descriptors, routes, constants and weights, from what the core is to do.

What follows from the rest (sizes, strides, offsets, addresses) is derived here and nowhere else, unless it is given.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hdl.config import ChipConfig
from hdl.pack import Bytes, FieldError, FieldRangeError, pack, pack_array, to_bytes
from hdl.program import Memory, Readout, memory_layouts
from sdann.errors import DoesNotFitError, SdannError
from sdann.graph import EdgeKind, IntArray, Pool
from sdann.mapper.geometry import groups_of, row_shift_of
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.samples import words_of

__all__ = ["CoreWords", "Part", "weight_rows"]

Rectangle = tuple[int, int, int, int]
"""Tiles (y0, y1, x0, x1), inclusive."""


@dataclass(frozen=True)
class Part:
    """``phase`` (1 ..) in which a core sends its partial sums to the core in tile ``target`` (y, x)."""

    phase: int
    target: tuple[int, int]


class CoreWords:
    """The words of one core, described piece by piece.

    ``region``: its neurons. ``pool``, ``pooled``: max pooling, and the region of activations that it yields. ``part``:
    for a core that only sums. ``fields`` anywhere: values of the descriptor's fields (dotted paths), instead of derived
    or default ones. Raises :class:`DoesNotFitError` that names ``where`` and the field which a value does not
    fit, :class:`SdannError` for a field that does not exist and for weights or constants of the wrong size.
    """

    def __init__(
        self,
        config: ChipConfig,
        *,
        region: RegionEntry,
        stage: int,
        where: str,
        pool: Pool | None = None,
        pooled: RegionEntry | None = None,
        part: Part | None = None,
        fields: Mapping[str, int] | None = None,
    ) -> None:
        self.config, self.region, self.stage, self.where = config, region, stage, where
        self.pool, self.pooled, self.part = pool, pooled, part
        self.fields: dict[str, int] = dict(fields or {})
        self._edges: list[int] = []
        self._routes: list[int] = []
        self._requant: list[int] = []
        self._weights: list[IntArray] = []
        self._ages = 1

    @property
    def groups(self) -> int:
        """Channel groups of its neurons."""
        return groups_of(self.region.channels, self.config.lanes)

    def _pack(self, memory: Memory, values: Mapping[str, int], where: str) -> int:
        layout = memory_layouts(self.config)[memory]
        try:
            return pack(layout, values, complete=True)
        except FieldRangeError as error:
            raise DoesNotFitError(f"{self.where}{where}: {error}") from None
        except FieldError as error:
            raise SdannError(f"{self.where}{where}: {error}") from None

    # -- pieces ---------------------------------------------------------------------------------------

    def edge(
        self,
        weight: IntArray,
        *,
        kind: EdgeKind = "conv",
        stride: int = 1,
        padding: int = 0,
        channel0: int = 0,
        fields: Mapping[str, int] | None = None,
    ) -> "CoreWords":
        """Adds an edge.

        ``weight``: int64 [own channels, source channels, K_h, K_w], or [own channels, 1, K_h, K_w] where depthwise.
        ``channel0``: the first source channel, a multiple of ``lanes`` (not of a depthwise edge).
        """
        number, lanes, r = len(self._edges), self.config.lanes, self.region
        where = f" edge {number}"
        if weight.ndim != 4 or len(weight) != r.channels or not weight.size:
            raise SdannError(f"{self.where}{where}: weight of shape {weight.shape}, not [{r.channels}, C_in, K_h, K_w]")
        depthwise = kind == "depthwise"
        if depthwise and weight.shape[1] != 1:
            raise SdannError(f"{self.where}{where}: a depthwise weight must be [{r.channels}, 1, K_h, K_w]")
        if channel0 % lanes:
            raise SdannError(f"{self.where}{where}: channel0 {channel0} is not a multiple of the {lanes} lanes")
        if stride not in (1, 2, 4, 8):
            raise SdannError(f"{self.where}{where}: stride {stride}; the chip has 1, 2, 4 and 8")
        kernel_h, kernel_w = weight.shape[2:]
        stride_y = kernel_w * self.groups
        values = {
            "enable": 1, "depthwise": int(depthwise), "signed": 0, "shift": 0, "stride_log2": stride.bit_length() - 1,
            "kernel_h": kernel_h, "kernel_w": kernel_w,
            "y_offset": padding - r.y0 * stride, "x_offset": padding - r.x0 * stride,
            "group0": (r.channel0 if depthwise else channel0) // lanes,
            "groups": self.groups if depthwise else groups_of(weight.shape[1], lanes),
            "row_shift": 0 if depthwise else row_shift_of(weight.shape[1], lanes),
            "stride_y": stride_y, "stride_g": 0 if depthwise else kernel_h * stride_y,
            "weight_base": sum(map(len, self._weights)),
        }  # fmt: skip
        self._edges.append(self._pack(Memory.EDGE, values | dict(fields or {}), where))
        self._weights.append(weight_rows(weight, self.groups, lanes, depthwise=depthwise))
        return self

    def weights(self, words: IntArray) -> "CoreWords":
        """Adds weight words as they are, int64 [n, lanes]."""
        if words.ndim != 2 or words.shape[1] != self.config.lanes:
            raise SdannError(f"{self.where}: weight words of shape {words.shape}, not [n, {self.config.lanes}]")
        self._weights.append(words)
        return self

    def constants(self, mult: IntArray, shift: IntArray, bias: IntArray) -> "CoreWords":
        """Sets the requantization constants, int64 [own channels]."""
        step, channels = self.config.requant_lanes, self.region.channels
        if not len(mult) == len(shift) == len(bias) == channels:
            given = f"{len(mult)}, {len(shift)}, {len(bias)}"
            raise SdannError(f"{self.where}: {given} values of mult, shift, bias for {channels} channels")
        # lanes without a channel get constants that keep them at 0, so they never spike
        spare = self.groups * self.config.lanes - channels
        rows = list(zip(mult.tolist(), shift.tolist(), bias.tolist(), strict=True)) + [(0, 1, 0)] * spare
        self._requant = [
            self._pack(
                Memory.REQUANT,
                {
                    f"{lane}.{name}": value
                    for lane, row in enumerate(rows[first : first + step])
                    for name, value in zip(("mult", "shift", "bias"), row, strict=True)
                },
                f" constants of channels {self.region.channel0 + first} ..",
            )
            for first in range(0, len(rows), step)
        ]
        return self

    def route(
        self, dst: Rectangle, *, edge: int = 0, age: int = 0, fields: Mapping[str, int] | None = None
    ) -> "CoreWords":
        """Adds a route to the tiles ``dst``; without ``fields`` for every position and group of the chip's maps."""
        values = {
            "y0": 0, "y1": self.config.map_side - 1, "x0": 0, "x1": self.config.map_side - 1,
            "group0": 0, "group1": self.config.map_groups - 1, "edge": edge, "age": age,
            "phase_log2": 0, "phase_y": 0, "phase_x": 0,
            "dst.y0": dst[0], "dst.y1": dst[1], "dst.x0": dst[2], "dst.x1": dst[3],
        }  # fmt: skip
        self._routes.append(self._pack(Memory.ROUTE, values | dict(fields or {}), f" route {len(self._routes)}"))
        self._ages = max(self._ages, age + 1)
        return self

    # -- words ----------------------------------------------------------------------------------------

    def _core(self) -> dict[str, int]:
        r, lanes = self.region, self.config.lanes
        outputs, pool = self.pooled or r, self.pool
        values = {
            "enable": 1, "stage": self.stage,
            "height": r.height, "width": r.width, "groups": self.groups, "words": words_of(r, lanes),
            "y0": outputs.y0, "x0": outputs.x0, "group0": outputs.channel0 // lanes,
            "last_lanes": r.channels - (self.groups - 1) * lanes,
            "scaled": 0, "mult1": 0, "shift1": 0, "bias_in_sum": 0, "lo": 0, "hi": (1 << self.config.act_bits) - 1,
            "rot": 0, "truncate": 0, "drlo": 0,
            "pool": int(pool is not None), "pool_kernel": 0, "pool_stride_log2": 0, "pool_y": 0, "pool_x": 0,
            "out_width": outputs.width, "out_words": words_of(outputs, lanes),
            "slots": self._ages + 1, "ages": self._ages,
            "part": 0, "part_y": 0, "part_x": 0,
            "readout": Readout.NONE.value, "routes": len(self._routes),
        }  # fmt: skip
        if pool is not None:
            values |= {
                "pool_kernel": pool.kernel, "pool_stride_log2": pool.stride.bit_length() - 1,
                "pool_y": r.y0 - (outputs.y0 * pool.stride - pool.padding),
                "pool_x": r.x0 - (outputs.x0 * pool.stride - pool.padding),
            }  # fmt: skip
        if self.part is not None:
            values |= {"part": self.part.phase, "part_y": self.part.target[0], "part_x": self.part.target[1]}
        return values | self.fields

    def words(self) -> dict[Memory, Bytes]:
        """Words of every memory that a program fills, uint8 [n, bytes] from address 0."""
        ints = {
            Memory.CORE: [self._pack(Memory.CORE, self._core(), "")], Memory.EDGE: self._edges,
            Memory.ROUTE: self._routes, Memory.REQUANT: self._requant,
        }  # fmt: skip
        blobs = {memory: to_bytes(words, memory_layouts(self.config)[memory].size) for memory, words in ints.items()}
        empty = np.zeros((0, self.config.lanes), dtype=np.int64)
        blobs[Memory.WEIGHT] = pack_array(np.concatenate([*self._weights, empty]), self.config.weight_bits)
        return blobs


def weight_rows(weight: IntArray, own_groups: int, lanes: int, *, depthwise: bool) -> IntArray:
    """Weight words of one edge in address order, int64 [words, lanes]; lanes and rows without a channel hold 0.

    ``weight``: as :meth:`CoreWords.edge` takes it, for a core of ``own_groups`` channel groups.
    """
    kernel_h, kernel_w = weight.shape[2:]
    own = np.zeros((own_groups * lanes, *weight.shape[1:]), dtype=np.int64)
    own[: len(weight)] = weight
    if depthwise:  # ky, kx, group | lane
        return own.reshape(own_groups, lanes, kernel_h, kernel_w).transpose(2, 3, 0, 1).reshape(-1, lanes)
    source = weight.shape[1]
    groups, rows = groups_of(source, lanes), 1 << row_shift_of(source, lanes)
    padded = np.zeros((len(own), groups * rows, kernel_h, kernel_w), dtype=np.int64)
    padded[:, :source] = own
    # source group, ky, kx, output group, mask bit | lane
    shaped = padded.reshape(own_groups, lanes, groups, rows, kernel_h, kernel_w)
    return shaped.transpose(2, 4, 5, 0, 3, 1).reshape(-1, lanes)
