"""Formal proofs about the hardware: harnesses in Amaranth, checked by the SAT solver of Yosys.

``python -m sim.formal`` runs them all.
"""
