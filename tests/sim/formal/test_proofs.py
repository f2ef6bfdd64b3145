"""Every proof holds. Those that take more than some seconds: `pytest -m long`."""

import pytest

from sim.formal.engine import ProofError, prove
from sim.formal.proofs import PROOFS, choose


@pytest.mark.parametrize(
    "proof", [pytest.param(p, id=p.name, marks=[pytest.mark.long] if p.long else []) for p in PROOFS]
)
def test_it_holds(proof):
    result = prove(proof)
    assert result.holds, f"violated: {result.violated}\n{result.detail}"


def test_names_are_unique_and_choose_by_pattern():
    assert len({proof.name for proof in PROOFS}) == len(PROOFS)
    assert choose() == list(PROOFS)
    assert [proof.name for proof in choose(["arbiter_*", "queue_order"])] == [
        "queue_order", "arbiter_2", "arbiter_4", "arbiter_5",
    ]  # fmt: skip
    assert not any(proof.long for proof in choose(quick=True))
    assert choose(["router_*"], quick=True) == []
    with pytest.raises(ProofError, match="no proof is called 'rooter'; there are: generation, "):
        choose(["rooter"])
