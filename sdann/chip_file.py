"""A chip's Verilog as a file that says which configuration it was generated from."""

import json
from pathlib import Path
from typing import Final

from hdl.config import ChipConfig, ConfigError

from .atomic import atomic
from .errors import FileFormatError

__all__ = ["load_chip", "save_chip"]

HEAD: Final = "// SDANN chip, format 1, configuration "


def save_chip(config: ChipConfig, verilog: str, path: Path) -> None:
    """Writes the chip's ``verilog`` below a first line that holds its configuration."""
    with atomic(path) as temporary:
        temporary.write_text(f"{HEAD}{json.dumps(config.as_dict())}\n{verilog}")


def load_chip(path: Path) -> tuple[ChipConfig, str]:
    """(configuration, Verilog without the first line) of what :func:`save_chip` wrote; raises FileFormatError."""
    if not path.is_file():
        raise FileFormatError(f"{path}: no such file; write one with `sdann verilog`")
    try:
        head, _, verilog = path.read_text().partition("\n")
        if not head.startswith(HEAD):
            raise FileFormatError(
                f"{path}: not a chip that `sdann verilog` wrote: its first line names no configuration"
            )
        return ChipConfig.from_dict(json.loads(head.removeprefix(HEAD))), verilog
    except (UnicodeDecodeError, json.JSONDecodeError, ConfigError, TypeError) as error:
        raise FileFormatError(f"{path}: damaged chip configuration in its first line: {error}") from None
