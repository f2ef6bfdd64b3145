"""Program images from TOML files; docs/assembler.md explains the format."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hdl.config import PRESETS, ChipConfig, ConfigError
from sdann.errors import FileFormatError, SdannError
from sdann.graph import EdgeKind, IntArray, Pool, Shape
from sdann.mapper.check import ImageError, check_image
from sdann.mapper.image import ProgramImage
from sdann.mapper.program import Program
from sdann.mapper.words import CoreWords, Part

__all__ = ["assemble_file"]

Pair = tuple[int, int]
Fields = dict[str, int]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Array(_Model):
    """A weight array: its shape, and its values in a row or one value for all."""

    shape: list[Annotated[int, Field(ge=1)]]
    values: list[int] | None = None
    fill: int | None = None


class _Edge(_Model):
    weight: _Array | list[Any]
    kind: EdgeKind = "conv"
    stride: int = 1
    padding: int = 0
    channel0: int = 0
    fields: Fields = {}


class _Route(_Model):
    to: tuple[int, int, int, int]
    edge: int = 0
    age: int = 0
    fields: Fields = {}


class _Constants(_Model):
    mult: int | list[int]
    shift: int | list[int]
    bias: int | list[int] = 0


class _Part(_Model):
    phase: int
    target: Pair


class _Core(_Model):
    tile: Pair
    layer: str
    rows: Pair | None = None
    columns: Pair | None = None
    channels: Pair | None = None
    part: _Part | None = None
    edge: list[_Edge] = []
    route: list[_Route] = []
    constants: _Constants | None = None
    weights: list[list[int]] = []
    fields: Fields = {}
    checksums: Fields = {}


class _Pool(_Model):
    kernel: int
    stride: Literal[1, 2, 4]
    padding: int = 0


class _Layer(_Model):
    name: str
    shape: Shape
    stage: int | None = None
    signed: bool = False
    readout: Literal["none", "act", "wide", "raw"] = "none"
    pool: _Pool | None = None
    scale: float | None = None
    fields: Fields = {}


class _Program(_Model):
    name: str = "assembled"
    steps: int | None = None
    registers: Fields = {}


class _File(_Model):
    chip: dict[str, int | str]
    program: _Program = _Program()
    layer: list[_Layer]
    core: list[_Core]


def assemble_file(path: str | Path, *, checked: bool = True) -> ProgramImage:
    """The image that a TOML file describes; ``checked``: it must pass the image checker.

    Raises :class:`FileFormatError` that names file, table and field.
    """
    path = Path(path)
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; docs/assembler.md shows how to write one")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: not TOML: {error}") from None
    try:
        file = _File.model_validate(_lists_as_tuples(content))
    except ValidationError as error:
        raise FileFormatError(f"{path}: {_first(error)}") from None
    try:
        image = _program(file).image(checked=False)
        if checked:
            check_image(image)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from None
    except (SdannError, ConfigError) as error:
        raise FileFormatError(f"{path}: {error}") from None
    return image


_TUPLES = {"tile", "rows", "columns", "channels", "target", "to", "shape"}


def _lists_as_tuples(value: Any, name: str = "") -> Any:
    """TOML knows lists only; the fields of fixed length are tuples here."""
    if isinstance(value, dict):
        # a weight's shape may have any length, so that the message about it can be better
        return {k: v if name == "weight" else _lists_as_tuples(v, k) for k, v in value.items()}
    if isinstance(value, list):
        items = [_lists_as_tuples(item, "") for item in value] if value and isinstance(value[0], dict) else value
        return tuple(items) if name in _TUPLES else items
    return value


def _first(error: ValidationError) -> str:
    """The first fault: table with its number (from 1, as one counts in a file), field, what is wrong."""
    fault = error.errors()[0]
    place = ""
    for step in fault["loc"]:
        if isinstance(step, int):
            place += f" {step + 1}"
        elif step not in ("_Array", "list[any]", "int", "list[int]"):  # pydantic's names of alternatives
            place += f"{', ' if place else ''}{step}"
    what = {"extra_forbidden": "unknown field", "missing": "is missing"}.get(fault["type"], fault["msg"])
    return f"{place}: {what}"


def _chip(fields: dict[str, int | str]) -> ChipConfig:
    changes: dict[str, Any] = dict(fields)
    name = changes.pop("preset", None)
    if name is None:
        return ChipConfig.from_dict(changes)
    if name not in PRESETS:
        raise SdannError(f"chip, preset: unknown preset {name!r}; known presets: {', '.join(PRESETS)}")
    try:
        return PRESETS[name].replace(**changes)
    except ConfigError as error:
        raise SdannError(f"chip: {error}") from None


def _program(file: _File) -> Program:
    registers = {"STEPS", "STAGES", "READOUT_FLITS", "PARTS"}
    if unknown := sorted(set(file.program.registers) - registers):
        raise SdannError(f"program, registers, {unknown[0]}: unknown; there are {', '.join(sorted(registers))}")
    program = Program(
        _chip(file.chip), steps=file.program.steps, name=file.program.name, registers=file.program.registers
    )
    for number, layer in enumerate(file.layer, 1):
        pool = Pool(**layer.pool.model_dump()) if layer.pool else None
        try:
            program.layer(
                layer.name, layer.shape, stage=layer.stage, signed=layer.signed, readout=layer.readout, pool=pool,
                scale=layer.scale, fields=layer.fields,
            )  # fmt: skip
        except SdannError as error:
            raise SdannError(f"layer {number}: {error}") from None
    for number, core in enumerate(file.core, 1):
        try:
            _core(program, core)
        except SdannError as error:
            raise SdannError(f"core {number}: {error}") from None
    return program


def _core(program: Program, core: _Core) -> None:
    words = program.core(
        core.tile, core.layer, rows=core.rows, columns=core.columns, channels=core.channels,
        part=Part(core.part.phase, core.part.target) if core.part else None, checksums=core.checksums,
        fields=core.fields,
    )  # fmt: skip
    for number, edge in enumerate(core.edge, 1):
        weight = _weight(edge.weight, f"edge {number}")
        words.edge(
            weight, kind=edge.kind, stride=edge.stride, padding=edge.padding, channel0=edge.channel0, fields=edge.fields
        )
    if core.weights:
        words.weights(_array(core.weights, "weights"))
    for route in core.route:
        words.route(route.to, edge=route.edge, age=route.age, fields=route.fields)
    if core.constants is not None:
        _constants(words, core.constants)


def _constants(words: CoreWords, given: _Constants) -> None:
    columns = (
        np.full(words.region.channels, value) if isinstance(value, int) else _array(value, "constants")
        for value in (given.mult, given.shift, given.bias)
    )
    words.constants(*columns)


def _array(values: list[Any], where: str) -> IntArray:
    try:
        found = np.array(values)
    except ValueError:
        raise SdannError(f"{where}: rows of different lengths") from None
    if found.dtype.kind != "i":
        raise SdannError(f"{where}: {found.dtype} values; integers are needed")
    return np.asarray(found, dtype=np.int64)


def _weight(given: _Array | list[Any], where: str) -> IntArray:
    if isinstance(given, list):
        return _array(given, f"{where}, weight")
    if (given.values is None) == (given.fill is None):
        raise SdannError(f"{where}, weight: either values or fill must be given")
    size = int(np.prod(given.shape))
    if given.values is None:
        return np.full(given.shape, given.fill, dtype=np.int64)
    if len(given.values) != size:
        raise SdannError(f"{where}, weight: {len(given.values)} values for shape {given.shape}, which has {size}")
    return np.array(given.values, dtype=np.int64).reshape(given.shape)
