"""Other groupings of a router's turns into queues, to measure against the one that was chosen."""

from collections.abc import Mapping

from hdl.router import QUEUES, TURNS, Port, Router

__all__ = ["GROUPINGS", "router_with"]

_INPUT = {port: (outs,) for port, outs in TURNS.items()}
_OUTPUT = {port: tuple((out,) for out in outs) for port, outs in TURNS.items()}

GROUPINGS: dict[str, Mapping[Port, tuple[tuple[Port, ...], ...]]] = {
    "input": _INPUT,
    "column": {**_INPUT, Port.SOUTH: QUEUES[Port.SOUTH], Port.NORTH: QUEUES[Port.NORTH]},
    "straight": QUEUES,
    "output": {**_OUTPUT, Port.LOCAL: _INPUT[Port.LOCAL]},
}
"""``input``: one queue per input. ``column``: the straight way apart at the inputs along Y. ``straight``: along X as
well, the chosen one. ``output``: a queue per input and output (the core's input keeps one)."""


def router_with(grouping: str) -> type[Router]:
    """The router with another grouping."""
    return type("Router", (Router,), {"queues": GROUPINGS[grouping]})
