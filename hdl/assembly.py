"""Two ways to put a part into a module: as its Amaranth object, or as a Verilog instance of a module made once.

Amaranth gives every object a module of its own, so that the cost of a mesh of objects grows with its tiles.
Instances of one generated module cost their wiring only.
"""

from collections.abc import Callable, Mapping
from typing import Any

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Shape, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

from .target import is_verilog

__all__ = ["add_part"]


def _plain(signature: wiring.Signature) -> wiring.Signature:
    """The same ports as plain vectors: a structured signal costs a wire for each of its fields."""
    members = {}
    for name, member in signature.members.items():
        if member.is_port:
            plain = wiring.Member(member.flow, Shape.cast(member.shape))
        else:
            plain = wiring.Member(wiring.Out, _plain(member.signature))  # `signature` is flipped already where needed
        members[name] = plain
    return wiring.Signature(members)


def add_part(
    m: Module,
    name: str,
    make: Callable[[], wiring.Component],
    signature: wiring.Signature,
    module: str,
    platform: object,
    *,
    links: Mapping[str, Any] | None = None,
    parameters: Mapping[str, int] | None = None,
) -> Any:
    """Adds submodule ``name`` to ``m`` and returns the interface object to wire it by.

    ``make`` builds the object, ``signature`` is its. For Verilog, an instance of ``module``, with ports as
    :func:`hdl.verilog.convert` names them and ``parameters``, takes its place. ``links``: members to connect to
    interface objects of other parts (an instance then shares their signals, which is cheaper than connecting its own).
    """
    links = links or {}
    if not is_verilog(platform):
        m.submodules[name] = part = make()
        for member, other in links.items():
            wiring.connect(m, getattr(part, member), other)
        return part
    part = _plain(signature).create()
    for member, other in links.items():
        setattr(part, member, other)
    ports: dict[str, Any] = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
    for path, member, value in _plain(signature).flatten(part):
        flow = "o" if member.flow == Out else "i"
        ports[f"{flow}_{'__'.join(map(str, path))}"] = Value.cast(value)
    ports |= {f"p_{parameter}": value for parameter, value in (parameters or {}).items()}
    m.submodules[name] = Instance(module, **ports)
    return part
