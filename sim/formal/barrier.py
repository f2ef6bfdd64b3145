"""The barrier: the tree's output says that all flags were set in one and the same cycle."""

from functools import partial

from amaranth.hdl import Cat, Module, Signal

from hdl.barrier import QuiescenceTree

from .engine import Harness, Proof

__all__ = ["PROOFS", "TreeExact"]


class TreeExact(Harness):
    """Free flags against the tree's output, ``latency`` cycles later: true where all were set, and only there."""

    def __init__(self, *, inputs: int, arity: int = 4, tree: type[QuiescenceTree] = QuiescenceTree) -> None:
        self.tree = tree(inputs=inputs, arity=arity)
        super().__init__({"idle": inputs})

    def statements(self, m: Module) -> None:
        """See :class:`TreeExact`."""
        m.submodules.tree = tree = self.tree
        m.d.comb += tree.i.eq(self.idle)
        history = Signal(tree.latency)  # whether all were set, by age
        m.d.sync += history.eq(Cat(self.idle.all(), history))
        self.claim(m, "true_only_when_all_were_idle", ~tree.o | history[-1])
        self.claim(m, "true_when_all_were_idle", tree.o | ~history[-1])
        m.d.comb += self.reached.eq(tree.o & ~self.idle.any())


PROOFS = [
    Proof(
        name=f"quiescence_tree_{inputs}", make=partial(TreeExact, inputs=inputs, arity=arity),
        states=f"of {inputs} tiles, the tree is true exactly when all were idle in one earlier cycle",
        method="induction", depth=8, reach=8,
    )
    for inputs, arity in ((6, 4), (16, 4), (24, 4), (9, 2))
]  # fmt: skip
