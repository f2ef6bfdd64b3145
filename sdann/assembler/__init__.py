"""Program images by hand: a builder in Python, networks on chosen tiles, and TOML files."""

from sdann.assembler.placing import Place, place_network
from sdann.assembler.program import Program
from sdann.assembler.toml_file import assemble_file

__all__ = ["Place", "Program", "assemble_file", "place_network"]
