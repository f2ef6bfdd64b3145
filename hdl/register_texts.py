"""The register description as a C header, a markdown table and JSON, all from :func:`hdl.registers.register_map`."""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

from amaranth.lib import data

from .config import ChipConfig
from .flit import FlitKind, flit_bits
from .host import (
    PROGRAM_VERSION,
    Control,
    ErrorCode,
    HostIn,
    HostOp,
    HostOut,
    HostTag,
    PauseMode,
    RunState,
    host_in_bits,
    host_out_bits,
)
from .pack import fields
from .program import Counter, Memory
from .registers import register_map

__all__ = ["c_header", "describe", "layout_table", "markdown_table"]

_ENUMERATIONS: dict[str, type[Enum]] = {
    "CONTROL_BIT": Control, "STATE": RunState, "ERROR": ErrorCode, "PAUSE_MODE": PauseMode, "OP": HostOp,
    "TAG": HostTag, "FLIT": FlitKind, "MEMORY": Memory, "COUNTER": Counter,
}  # fmt: skip


def _constants(config: ChipConfig) -> Iterator[tuple[str, str, int]]:
    """(section, name, value) of every constant of the C header."""
    for entry in register_map(config).values():
        section = f"{entry.name} ({entry.access.value}): {entry.meaning}"
        yield section, f"{entry.name}_OFFSET", entry.address
        if entry.access.readable:
            yield section, f"{entry.name}_RESET", entry.reset
        for field in entry.fields:
            yield section, f"{entry.name}_{field.name}_LSB", field.low
            yield section, f"{entry.name}_{field.name}_MASK", field.mask
    for name, enumeration in _ENUMERATIONS.items():
        for member in enumeration:
            yield f"values of {enumeration.__name__}", f"{name}_{member.name}", int(member.value)
    section = "the chip"
    yield section, "CONFIG_ID", config.fingerprint
    yield section, "CURRENT_PROGRAM_VERSION", PROGRAM_VERSION
    yield section, "ROWS", config.rows
    yield section, "COLS", config.cols
    yield section, "LANES", config.lanes
    yield section, "DATA_BITS", config.data_bits
    yield section, "FLIT_BITS", flit_bits(config)
    yield section, "IN_BITS", host_in_bits(config)
    yield section, "OUT_BITS", host_out_bits(config)
    for prefix, layout in (("IN", HostIn(config)), ("OUT", HostOut(config))):
        for path, place in fields(layout).items():
            name = re.sub(r"^PAYLOAD_", "", path.upper().replace(".", "_")).replace("FLIT_PAYLOAD_", "FLIT_")
            yield f"fields of a host word, {prefix.lower()}", f"{prefix}_{name}_LSB", place.offset
            yield f"fields of a host word, {prefix.lower()}", f"{prefix}_{name}_BITS", place.width


def c_header(config: ChipConfig) -> str:
    """Header for C and C++: ``SDANN_<REGISTER>_OFFSET``, ``_RESET``, ``_<FIELD>_LSB`` and ``_MASK``, the values of all
    enumerations, and the places of the host words' fields.
    """
    lines = [
        f"/* Registers and host words of an SDANN chip, configuration {config.name!r} ({config.fingerprint:#010x}).",
        "   Generated. Do not edit. */", "#ifndef SDANN_H", "#define SDANN_H", "",
    ]  # fmt: skip
    last = ""
    for section, name, value in _constants(config):
        if section != last:
            lines += [*([""] if last else []), f"/* {section} */"]
        last = section
        lines.append(f"#define SDANN_{name} {f'{value:#x}' if value > 255 else value}u")
    return "\n".join([*lines, "", "#endif", ""])


def describe(config: ChipConfig) -> dict[str, Any]:
    """The description as plain data, for JSON."""
    return {
        "config": config.as_dict(),
        "config_id": config.fingerprint,
        "registers": [
            {
                "name": entry.name, "number": entry.register.value, "address": entry.address,
                "access": entry.access.value, "reset": entry.reset, "meaning": entry.meaning,
                "fields": [
                    {
                        "name": field.name, "low": field.low, "width": field.width, "meaning": field.meaning,
                        "values": {m.name: int(m.value) for m in field.values} if field.values else None,
                    }
                    for field in entry.fields
                ],
            }
            for entry in register_map(config).values()
        ],
    }  # fmt: skip


def markdown_table(config: ChipConfig) -> str:
    """One table of registers and their fields. Reset values that are the configuration's are those of ``config``."""
    lines = ["| address | register | access | reset | bits | meaning |", "|---|---|---|---|---|---|"]
    for entry in register_map(config).values():
        reset = f"{entry.reset:#x}" if entry.access.readable else ""
        single = entry.fields[0] if len(entry.fields) == 1 else None
        bits = _bits(single.low, single.width) if single else ""
        meaning = entry.meaning
        if single and single.values:
            meaning += f" {_values(single.values)}"
        lines.append(f"| {entry.address:#04x} | {entry.name} | {entry.access.value} | {reset} | {bits} | {meaning} |")
        if single is None:
            for field in entry.fields:
                values = f": {_values(field.values)}" if field.values and field.values is not Memory else ""
                lines.append(
                    f"| | {field.name} | | | {_bits(field.low, field.width)} | {field.meaning}{values} |"
                )  # fmt: skip
    return "\n".join(lines) + "\n"


def layout_table(layout: data.Layout) -> str:
    """Markdown table of a word's leaf fields; members of a union share their bits."""
    lines = ["| bits | field |", "|---|---|"]
    lines += [f"| {_bits(place.offset, place.width)} | {path} |" for path, place in fields(layout).items()]
    return "\n".join(lines) + "\n"


def _bits(low: int, width: int) -> str:
    return f"{low}" if width == 1 else f"{low + width - 1}:{low}"


def _values(enumeration: type[Enum]) -> str:
    return ", ".join(f"{member.value} {member.name}" for member in enumeration)
