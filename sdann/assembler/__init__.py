"""Program images by hand: a builder in Python, networks on chosen tiles, and TOML files."""

from sdann.assembler.toml_file import assemble_file
from sdann.mapper.feeds import Place
from sdann.mapper.placing import place_network
from sdann.mapper.program import Program

__all__ = ["Place", "Program", "assemble_file", "place_network"]
