"""Boards: what stands between a chip and the pins of an FPGA."""
