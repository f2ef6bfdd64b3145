"""Selection of one of several values by one bit each: cheaper in small look-up tables than by a number."""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Value

__all__ = ["decoded", "selected"]


def decoded(number: Value, count: int) -> Value:
    """``count`` bits, of which bit ``number`` is set if there is one."""
    return Cat(number == n for n in range(count))


def selected(bits: Value, values: list[Value]) -> Value:
    """Value n where bit n is set, 0 where none is. At most one may be."""
    return reduce(or_, (value & bits[n].replicate(len(value)) for n, value in enumerate(values)))
