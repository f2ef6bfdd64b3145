"""Where a component is elaborated for: Amaranth's simulator, or Verilog text (Amaranth's ``platform`` argument)."""

__all__ = ["VERILOG", "VerilogTarget", "is_verilog"]


class VerilogTarget:
    """Elaborate for Verilog: parts that exist once as modules of their own become instances of them."""


VERILOG = VerilogTarget()


def is_verilog(platform: object) -> bool:
    """Whether ``platform`` asks for Verilog."""
    return isinstance(platform, VerilogTarget)
