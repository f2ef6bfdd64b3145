"""Tables 4 to 7: the same RoT or DRLO for every layer."""

from typing import Any, Literal

from ..graph import QuantizedNetwork
from ..sparsity import with_sparsity
from .experiment import Progress, Result, Setup

__all__ = ["FACTORS", "everywhere", "sparsity_table"]

Method = Literal["rot", "drlo", "truncate"]

FACTORS: dict[Method, tuple[int, ...]] = {"rot": (1, 2, 3), "drlo": (5, 4, 3), "truncate": (1, 2, 3)}
"""RoT's k, DRLO's n and truncated bits, from the mildest on."""


def everywhere(network: QuantizedNetwork, method: Method, factor: int) -> QuantizedNetwork:
    """The network with one method in every layer that emits spikes."""
    chosen = {layer.name: factor for layer in network.layers if not layer.signed}
    return with_sparsity(network, **{method: chosen})


def sparsity_table(setup: Setup, method: Method, what: Literal["score", "sops"], progress: Progress) -> Result:
    """``what``: the score (Tables 4 and 6) or SOPs per sample (Tables 5 and 7), with the change beside it."""
    factors = FACTORS[method]
    rows: list[dict[str, Any]] = []
    total = len(setup.subjects) * (1 + len(factors))
    for subject in setup.subjects:
        original = subject.measure_network(subject.network)
        progress(len(rows) * (1 + len(factors)) + 1, total)
        row: dict[str, Any] = {"dataset": subject.dataset.name, "network": subject.name}
        base = original.score if what == "score" else original.total_sops
        row |= {"measure": subject.measure if what == "score" else "SOPs / sample", "original": base}
        for factor in factors:
            found = subject.measure_network(everywhere(subject.network, method, factor))
            value = found.score if what == "score" else found.total_sops
            label = f"{'n' if method == 'drlo' else 'k'} = {factor}"
            row[label] = value
            row[f"{label}, change"] = value - base if what == "score" else value / base - 1
        rows.append(row)
        progress(len(rows) * (1 + len(factors)), total)
    return Result(columns=tuple(rows[0]), rows=rows, data={"method": method, "what": what, "factors": list(factors)})
