"""From a chip configuration to an FPGA: synthesis, place and route, bitstream, with open tools from Python packages."""
