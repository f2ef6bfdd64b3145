"""One register description: the C header, the tables and the hardware say the same."""

import json
import re
import subprocess

import pytest
from click.testing import CliRunner

from hdl.config import PRESETS
from hdl.host import PROGRAM_VERSION, Control, ErrorCode, HostIn, Register, RunState, StatusWord
from hdl.pack import fields
from hdl.program import Counter, Memory
from hdl.register_texts import c_header, describe, markdown_table
from hdl.registers import ADDRESS_BITS, Access, register_map, reset_value
from sdann.cli import main

CONFIG = PRESETS["test"]


def test_every_register_is_described_once_and_fits():
    entries = register_map(CONFIG)
    assert list(entries) == list(Register)
    addresses = [entry.address for entry in entries.values()]
    assert addresses == [4 * register.value for register in Register]
    assert max(addresses) < 1 << ADDRESS_BITS
    for entry in entries.values():
        taken = 0
        for field in entry.fields:
            assert not taken & field.mask, f"{entry.name}.{field.name} overlaps another field"
            taken |= field.mask
        assert taken < 1 << 32 and entry.mask == taken
        assert entry.reset & ~taken == 0 or entry.name == "CONFIG_ID"
    assert entries[Register.CONTROL].access is Access.W
    assert reset_value(CONFIG, Register.STEPS) == CONFIG.time_steps


def printed(compiler: str, header: str, names: list[str], tmp_path) -> dict[str, int]:
    """Values of the header's macros, as a compiled program prints them."""
    (tmp_path / "sdann.h").write_text(header)
    body = "".join(f'  printf("{name} %lu\\n", (unsigned long)({name}));\n' for name in names)
    source = tmp_path / ("main.c" if compiler == "gcc" else "main.cpp")
    source.write_text(f'#include <stdio.h>\n#include "sdann.h"\nint main(void) {{\n{body}  return 0;\n}}\n')
    program = tmp_path / "main"
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-std=c99" if compiler == "gcc" else "-std=c++17"]
    subprocess.run([compiler, *strict, "-o", program, source], check=True)
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    return {name: int(value) for name, value in (line.split() for line in lines)}


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_the_c_header_says_what_python_says(compiler, tmp_path):
    header = c_header(CONFIG)
    names = re.findall(r"^#define (SDANN_\w+) \w", header, re.MULTILINE)
    assert len(names) == len(set(names)) > 150
    values = printed(compiler, header, names, tmp_path)
    for register in Register:
        assert values.pop(f"SDANN_{register.name}_OFFSET") == 4 * register.value
    for field, place in fields(StatusWord(CONFIG)).items():
        assert values.pop(f"SDANN_STATUS_{field.upper()}_LSB") == place.offset
        assert values.pop(f"SDANN_STATUS_{field.upper()}_MASK") == ((1 << place.width) - 1) << place.offset
    for prefix, enumeration in {
        "STATE": RunState, "ERROR": ErrorCode, "MEMORY": Memory, "COUNTER": Counter, "CONTROL_BIT": Control,
    }.items():  # fmt: skip
        for member in enumeration:
            assert values.pop(f"SDANN_{prefix}_{member.name}") == int(member.value)
    assert values.pop("SDANN_CONFIG_ID") == values.pop("SDANN_CONFIG_ID_RESET") == CONFIG.fingerprint
    assert values.pop("SDANN_CURRENT_PROGRAM_VERSION") == PROGRAM_VERSION
    data = fields(HostIn(CONFIG))["payload.flit.payload.memory.data"]
    assert values.pop("SDANN_IN_FLIT_MEMORY_DATA_LSB") == data.offset
    assert values.pop("SDANN_IN_FLIT_MEMORY_DATA_BITS") == data.width


def test_the_table_has_every_register_and_field():
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in markdown_table(CONFIG).splitlines()]
    assert {len(row) for row in rows} == {6}
    registers = {row[1]: row for row in rows[2:] if row[0]}
    for entry in register_map(CONFIG).values():
        assert registers[entry.name][0] == f"{entry.address:#04x}"
        assert registers[entry.name][2] == entry.access.value
    assert [row[1] for row in rows if row[0] == ""].count("START") == 1


def test_the_command_prints_all_formats(tmp_path):
    def run(*options: str) -> str:
        done = CliRunner().invoke(main, ["registers", "--preset", "test", *options])
        assert done.exit_code == 0, done.output
        return done.output

    assert run().strip() == markdown_table(CONFIG).strip()
    assert run("--format", "c-header").strip() == c_header(CONFIG).strip()
    assert json.loads(run("--format", "json")) == json.loads(json.dumps(describe(CONFIG)))
    run("--format", "c-header", "--out", str(tmp_path / "s.h"))
    assert (tmp_path / "s.h").read_text() == c_header(CONFIG)
    done = CliRunner().invoke(main, ["registers", "--preset", "nope"])
    assert done.exit_code == 2 and "known presets" in done.stderr
