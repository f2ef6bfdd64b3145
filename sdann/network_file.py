"""Integer networks as files: safetensors with a JSON manifest in the metadata (format "sdann-network", version 2).

The arrays are the tensors ``layers.<i>.mult`` (shift, bias), int64, and ``layers.<i>.edges.<j>.weight``, int8 (int16
where weights have more bits); the rest is the manifest. Version 1 is read as well: its layers have no truncation,
pooling, raw output or split fan-in, its weights are int64.
"""

from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .check import check_network
from .errors import FileFormatError, SdannError
from .graph import BiasMode, Edge, EdgeKind, FanIn, IntArray, Layer, Pool, QuantizedNetwork, Scaled

__all__ = ["FORMAT", "VERSION", "load_network", "read_tensors", "save_network"]

FORMAT: Final = "sdann-network"
VERSION: Final = 2


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _EdgeEntry(_Model):
    source: str
    kind: EdgeKind
    stride: int
    padding: int
    shift: int


class _ScaledEntry(_Model):
    mult1: int
    shift1: int


class _PoolEntry(_Model):
    kernel: int
    stride: int
    padding: int


class _FanInEntry(_Model):
    edge: int
    channel0: int
    channels: int


class _LayerEntryV1(_Model):
    name: str
    shape: tuple[int, int, int]
    edges: list[_EdgeEntry]
    bias_mode: BiasMode
    lo: int
    hi: int
    signed: bool
    rot: int
    drlo: int
    scaled: _ScaledEntry | None


class _LayerEntry(_LayerEntryV1):
    truncate: int
    pool: _PoolEntry | None
    raw: bool
    parts: list[list[_FanInEntry]]


class _ManifestBase(_Model):
    format: Literal["sdann-network"]
    name: str
    input_shape: tuple[int, int, int]
    input_signed: bool
    time_steps: int
    membrane_bits: int
    weight_bits: int
    scales: dict[str, float]


class _ManifestV1(_ManifestBase):
    version: Literal[1]
    layers: list[_LayerEntryV1]


class _Manifest(_ManifestBase):
    version: Literal[2]
    layers: list[_LayerEntry]


def _layer_entry(layer: Layer) -> _LayerEntry:
    edges = [
        _EdgeEntry(source=e.source, kind=e.kind, stride=e.stride, padding=e.padding, shift=e.shift) for e in layer.edges
    ]
    scaled, pool = layer.scaled, layer.pool
    return _LayerEntry(
        name=layer.name, shape=layer.shape, edges=edges, bias_mode=layer.bias_mode, lo=layer.lo, hi=layer.hi,
        signed=layer.signed, rot=layer.rot, drlo=layer.drlo, truncate=layer.truncate, raw=layer.raw,
        scaled=None if scaled is None else _ScaledEntry(mult1=scaled.mult1, shift1=scaled.shift1),
        pool=None if pool is None else _PoolEntry(kernel=pool.kernel, stride=pool.stride, padding=pool.padding),
        parts=[[_FanInEntry(edge=f.edge, channel0=f.channel0, channels=f.channels) for f in p] for p in layer.parts],
    )  # fmt: skip


def _layer_fields(entry: _LayerEntryV1) -> dict[str, Any]:
    """Arguments of :class:`Layer`, all but arrays and edges; an entry of version 1 leaves the new ones out."""
    fields = entry.model_dump(exclude={"edges", "scaled", "pool", "parts"})
    fields["scaled"] = None if entry.scaled is None else Scaled(**entry.scaled.model_dump())
    if isinstance(entry, _LayerEntry):
        fields["pool"] = None if entry.pool is None else Pool(**entry.pool.model_dump())
        fields["parts"] = tuple(tuple(FanIn(**some.model_dump()) for some in part) for part in entry.parts)
    return fields


def _weight_type(version: int, weight_bits: int) -> type[np.signedinteger[Any]]:
    """Data type of weights in a file."""
    return np.int64 if version == 1 else np.int8 if weight_bits <= 8 else np.int16


def save_network(network: QuantizedNetwork, path: str | Path) -> None:
    """Write ``network`` to ``path``; raises SdannError for an inconsistent network."""
    check_network(network)
    tensors: dict[str, npt.NDArray[Any]] = {}
    layers = []
    weight_type = _weight_type(VERSION, network.weight_bits)
    for i, layer in enumerate(network.layers):
        for j, edge in enumerate(layer.edges):
            tensors[f"layers.{i}.edges.{j}.weight"] = np.ascontiguousarray(edge.weight, dtype=weight_type)
        for name in ("mult", "shift", "bias"):
            tensors[f"layers.{i}.{name}"] = np.ascontiguousarray(getattr(layer, name))
        layers.append(_layer_entry(layer))
    manifest = _Manifest(
        format=FORMAT, version=VERSION, name=network.name, input_shape=network.input_shape,
        input_signed=network.input_signed, time_steps=network.time_steps, membrane_bits=network.membrane_bits,
        weight_bits=network.weight_bits, layers=layers, scales=network.scales,
    )  # fmt: skip
    metadata = {"format": FORMAT, "version": str(VERSION), "manifest": manifest.model_dump_json()}
    save_file(tensors, str(path), metadata=metadata)


def read_tensors(
    path: str | Path, file_format: str, version: int, remedy: str, *, oldest: int | None = None
) -> tuple[dict[str, str], dict[str, IntArray]]:
    """(metadata, tensors) of a safetensors file whose metadata says ``file_format`` and ``version``.

    With ``oldest``, any version from that one on.

    Raises FileFormatError for a missing or damaged file, or one of another format or version; ``remedy`` ends its
    message.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; {remedy}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not iterable
    except (SafetensorError, OSError) as error:
        raise FileFormatError(f"{path}: not a readable safetensors file ({error}); {remedy}") from None
    if metadata.get("format") != file_format:
        raise FileFormatError(
            f"{path}: holds {metadata.get('format', 'no format name')!r}, not {file_format!r}; {remedy}"
        )
    known = [str(v) for v in range(version if oldest is None else oldest, version + 1)]
    if metadata.get("version") not in known:
        found = metadata.get("version")
        raise FileFormatError(
            f"{path}: version {found!r} of {file_format!r}, this program reads {' and '.join(known)}; {remedy}"
        )
    return metadata, tensors


def load_network(path: str | Path) -> QuantizedNetwork:
    """Read what :func:`save_network` wrote, exactly; also files of version 1.

    Raises FileFormatError that names the file and the fault: missing, damaged, another format or version, or an
    inconsistent network.
    """
    metadata, tensors = read_tensors(path, FORMAT, VERSION, "write one with `sdann quantize`", oldest=1)
    model = _ManifestV1 if metadata["version"] == "1" else _Manifest
    try:
        manifest: _ManifestV1 | _Manifest = model.model_validate_json(metadata.get("manifest", ""))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise FileFormatError(f"{path}: damaged manifest: {place}: {first['msg']}") from None

    def take(name: str, data_type: type[np.signedinteger[Any]] = np.int64) -> IntArray:
        if name not in tensors:
            raise FileFormatError(f"{path}: tensor {name!r} is missing")
        if tensors[name].dtype != data_type:
            wanted = np.dtype(data_type).name
            raise FileFormatError(f"{path}: tensor {name!r} must be {wanted}, not {tensors[name].dtype}")
        return tensors.pop(name).astype(np.int64, copy=False)

    layers = []
    weight_type = _weight_type(manifest.version, manifest.weight_bits)
    for i, entry in enumerate(manifest.layers):
        edges = tuple(
            Edge(weight=take(f"layers.{i}.edges.{j}.weight", weight_type), **edge.model_dump())
            for j, edge in enumerate(entry.edges)
        )
        arrays: dict[str, Any] = {name: take(f"layers.{i}.{name}") for name in ("mult", "shift", "bias")}
        layers.append(Layer(**_layer_fields(entry), edges=edges, **arrays))
    if tensors:
        raise FileFormatError(f"{path}: unexpected tensor {min(tensors)!r}")
    fields = manifest.model_dump(exclude={"format", "version", "layers"})
    network = QuantizedNetwork(**fields, layers=tuple(layers))
    try:
        check_network(network)
    except SdannError as error:
        raise FileFormatError(f"{path}: {error}") from None
    return network
