"""Integer networks as files: safetensors with a JSON manifest in the metadata (format "sdann-network", version 1).

The arrays are the tensors ``layers.<i>.mult`` (shift, bias) and ``layers.<i>.edges.<j>.weight``; the rest is the
manifest.
"""

from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from .check import check_network
from .errors import FileFormatError, SdannError
from .graph import BiasMode, Edge, EdgeKind, IntArray, Layer, QuantizedNetwork, Scaled

__all__ = ["FORMAT", "VERSION", "load_network", "read_tensors", "save_network"]

FORMAT: Final = "sdann-network"
VERSION: Final = 1


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


class _LayerEntry(_Model):
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


class _Manifest(_Model):
    format: Literal["sdann-network"]
    version: Literal[1]
    name: str
    input_shape: tuple[int, int, int]
    input_signed: bool
    time_steps: int
    membrane_bits: int
    weight_bits: int
    layers: list[_LayerEntry]
    scales: dict[str, float]


def save_network(network: QuantizedNetwork, path: str | Path) -> None:
    """Write ``network`` to ``path``; raises SdannError for an inconsistent network."""
    check_network(network)
    tensors: dict[str, IntArray] = {}
    layers = []
    for i, layer in enumerate(network.layers):
        for j, edge in enumerate(layer.edges):
            tensors[f"layers.{i}.edges.{j}.weight"] = np.ascontiguousarray(edge.weight)
        for name in ("mult", "shift", "bias"):
            tensors[f"layers.{i}.{name}"] = np.ascontiguousarray(getattr(layer, name))
        s = layer.scaled
        layers.append(
            _LayerEntry(
                name=layer.name, shape=layer.shape, bias_mode=layer.bias_mode, lo=layer.lo, hi=layer.hi,
                signed=layer.signed, rot=layer.rot, drlo=layer.drlo,
                edges=[
                    _EdgeEntry(source=e.source, kind=e.kind, stride=e.stride, padding=e.padding, shift=e.shift)
                    for e in layer.edges
                ],
                scaled=None if s is None else _ScaledEntry(mult1=s.mult1, shift1=s.shift1),
            )
        )  # fmt: skip
    manifest = _Manifest(
        format=FORMAT, version=VERSION, name=network.name, input_shape=network.input_shape,
        input_signed=network.input_signed, time_steps=network.time_steps, membrane_bits=network.membrane_bits,
        weight_bits=network.weight_bits, layers=layers, scales=network.scales,
    )  # fmt: skip
    metadata = {"format": FORMAT, "version": str(VERSION), "manifest": manifest.model_dump_json()}
    save_file(tensors, str(path), metadata=metadata)


def read_tensors(
    path: str | Path, file_format: str, version: int, remedy: str
) -> tuple[dict[str, str], dict[str, IntArray]]:
    """(metadata, tensors) of a safetensors file whose metadata says ``file_format`` and ``version``.

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
    if metadata.get("version") != str(version):
        found = metadata.get("version")
        raise FileFormatError(f"{path}: version {found!r} of {file_format!r}, this program reads {version}; {remedy}")
    return metadata, tensors


def load_network(path: str | Path) -> QuantizedNetwork:
    """Read what :func:`save_network` wrote, exactly.

    Raises FileFormatError that names the file and the fault: missing, damaged, another format or version, or an
    inconsistent network.
    """
    metadata, tensors = read_tensors(path, FORMAT, VERSION, "write one with `sdann quantize`")
    try:
        manifest = _Manifest.model_validate_json(metadata.get("manifest", ""))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise FileFormatError(f"{path}: damaged manifest: {place}: {first['msg']}") from None

    def take(name: str) -> IntArray:
        if name not in tensors:
            raise FileFormatError(f"{path}: tensor {name!r} is missing")
        if tensors[name].dtype != np.int64:
            raise FileFormatError(f"{path}: tensor {name!r} must be int64, not {tensors[name].dtype}")
        return tensors.pop(name)

    layers = []
    for i, entry in enumerate(manifest.layers):
        edges = tuple(
            Edge(weight=take(f"layers.{i}.edges.{j}.weight"), **edge.model_dump()) for j, edge in enumerate(entry.edges)
        )
        fields = entry.model_dump(exclude={"edges", "scaled"})
        layers.append(
            Layer(
                **fields, edges=edges, scaled=Scaled(**entry.scaled.model_dump()) if entry.scaled else None,
                mult=take(f"layers.{i}.mult"), shift=take(f"layers.{i}.shift"), bias=take(f"layers.{i}.bias"),
            )
        )  # fmt: skip
    if tensors:
        raise FileFormatError(f"{path}: unexpected tensor {min(tensors)!r}")
    fields = manifest.model_dump(exclude={"format", "version", "layers"})
    network = QuantizedNetwork(**fields, layers=tuple(layers))
    try:
        check_network(network)
    except SdannError as error:
        raise FileFormatError(f"{path}: {error}") from None
    return network
