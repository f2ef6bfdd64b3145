"""Arithmetic on the masks of spike bundles, in few levels of logic."""

from amaranth.hdl import Cat, Const, Module, Signal, Value

__all__ = ["index_of", "lowest_and_highest", "popcount"]

_BLOCK = 4  # inputs of a lookup table


def _count_of_four(bits) -> Value:
    """Number of set bits of up to four: three tables of four inputs, where sums of single bits would take carries."""
    a, b, c, d = (bits[n] if n < len(bits) else Const(0, 1) for n in range(_BLOCK))
    return Cat(a ^ b ^ c ^ d, (a & b) ^ (c & d) ^ ((a ^ b) & (c ^ d)), a & b & c & d)


def popcount(mask) -> Value:
    """Number of set bits, as a balanced sum."""
    terms = [_count_of_four(mask[start : start + _BLOCK]) for start in range(0, len(mask), _BLOCK)]
    while len(terms) > 1:
        terms = [sum(terms[n + 1 : n + 2], terms[n]) for n in range(0, len(terms), 2)]
    return terms[0]


def _any_below(m: Module, mask, name: str) -> Signal:
    """For each bit, whether a lower one is set."""
    blocks = [mask[start : start + _BLOCK] for start in range(0, len(mask), _BLOCK)]
    some, below = Signal(len(blocks), name=f"{name}_some"), Signal(len(mask), name=name)
    m.d.comb += [
        some.eq(Cat(block.any() for block in blocks)),
        below.eq(Cat(some[:b].any() | block[:n].any() for b, block in enumerate(blocks) for n in range(len(block)))),
    ]
    return below


def lowest_and_highest(m: Module, mask) -> tuple[Signal, Signal, Signal]:
    """(mask of the lowest set bit, of the highest set bit, mask without both)."""
    lowest, highest, between = (Signal(len(mask), name=name) for name in ("lowest", "highest", "between"))
    below = _any_below(m, mask, "below")
    above = _any_below(m, Cat(reversed(mask)), "above_reversed")
    above = Cat(reversed(above))
    m.d.comb += [lowest.eq(mask & ~below), highest.eq(mask & ~above), between.eq(mask & below & above)]
    return lowest, highest, between


def index_of(one_hot) -> Value:
    """Number of the set bit of ``one_hot``; 0 where there is none."""
    bits = max(1, (len(one_hot) - 1).bit_length())
    return Cat(Cat(one_hot[n] for n in range(len(one_hot)) if n >> b & 1).any() for b in range(bits))
