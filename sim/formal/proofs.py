"""All proofs."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from . import accumulator, arbiter, barrier, lockstep, mesh, numerics, queue, router
from .engine import Proof, ProofError

__all__ = ["PROOFS", "choose"]

PROOFS: tuple[Proof, ...] = tuple(
    proof
    for module in (numerics, queue, arbiter, barrier, router, mesh, lockstep, accumulator)
    for proof in module.PROOFS
)
"""In the order of docs/formal.md."""


def choose(patterns: Iterable[str] = (), *, quick: bool = False) -> list[Proof]:
    """Proofs whose name fits one of ``patterns`` (with ``*`` and ``?``), or all; ``quick``: without those that take
    long. Raises ProofError for a pattern that fits none.
    """
    patterns = list(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(proof.name, pattern) for proof in PROOFS):
            names = ", ".join(proof.name for proof in PROOFS)
            raise ProofError(f"no proof is called {pattern!r}; there are: {names}")
    return [
        proof
        for proof in PROOFS
        if (not patterns or any(fnmatchcase(proof.name, pattern) for pattern in patterns))
        and not (quick and proof.long)
    ]
