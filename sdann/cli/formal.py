"""``sdann formal``."""

import click

from .outcome import Outcome, command, progress

__all__ = ["formal_command"]


@command("formal")
@click.argument("names", nargs=-1)
@click.option("--quick", is_flag=True, help="Leave out the proofs that take more than some seconds.")
def formal_command(names: tuple[str, ...], quick: bool) -> Outcome:
    """Prove what the hardware must never do wrong, with a SAT solver; takes minutes.

    NAMES are the proofs to carry out, say `router_exact` or `'arbiter_*'`; without any, all of them. What each says,
    and how far: docs/formal.md.
    """
    from sim.formal.engine import prove
    from sim.formal.proofs import choose

    from .tables import proof_table

    proofs = choose(names, quick=quick)
    results = []
    with progress() as steps:
        advance = steps.bar("proofs")
        for number, proof in enumerate(proofs):
            advance(number, len(proofs))
            results.append(prove(proof))
        advance(len(proofs), len(proofs))
    return Outcome(
        data={
            "proofs": [
                {**result.as_dict(), "states": proof.states} for proof, result in zip(proofs, results, strict=True)
            ],
            "seconds": sum(result.seconds for result in results),
        },
        text=[
            proof_table(proofs, results),
            f"{sum(result.holds for result in results)} of {len(results)} proofs hold; "
            f"{sum(result.seconds for result in results):.0f} s of processor time",
        ],
        failures=[
            f"{result.name} does not hold: {', '.join(result.violated)}" for result in results if not result.holds
        ],
    )
