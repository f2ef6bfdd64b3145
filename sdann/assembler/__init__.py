"""Program images by hand: a builder in Python, and TOML files."""

from sdann.assembler.program import Program
from sdann.assembler.toml_file import assemble_file

__all__ = ["Program", "assemble_file"]
