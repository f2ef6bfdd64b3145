"""``sdann agree``."""

from typing import Any

import click

from sdann.liveness import LEAST_ALIVE

from .outcome import Outcome, command, progress

__all__ = ["agree_command"]

STEPS = 4
"""Of each network: made, golden, and two spiking models."""


@command("agree")
@click.argument("whats", metavar="[NETWORK]...", nargs=-1)
@click.option("--samples", type=click.IntRange(1), default=2, show_default=True, help="Inputs to run.")
@click.option(
    "--data",
    metavar="DATA",
    help="Inputs: as of `sdann train`, or photographs. [default: the network's own, if it needs no path; else "
    "photographs]",
)
@click.option(
    "--calibration",
    type=click.IntRange(2),
    default=8,
    show_default=True,
    help="Images that ranges and seeded weights are fitted to.",
)
@click.option("--width", type=click.IntRange(1), help="Channels of the first convolution, for narrower forms.")
@click.option(
    "--least-alive",
    type=click.FloatRange(0, 1),
    default=LEAST_ALIVE,
    show_default=True,
    help="Share of each hidden layer's activations that must not be zero.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of seeded weights and photographs.")
def agree_command(
    whats: tuple[str, ...], samples: int, data: str | None, calibration: int, width: int | None, least_alive: float,
    seed: int,
) -> Outcome:  # fmt: skip
    """Compare the golden and the spiking models on whole networks, every activation of every layer.

    NETWORK is a name of `sdann zoo`, which gets seeded weights fitted to its inputs, or a file of `sdann train`
    (.safetensors). Default: cifar10net and the eight networks of the paper's table 2, at full size. Exit code 1 if
    anything differs, or a hidden layer is nearly dead.
    """
    from sdann.agreement import compare
    from sdann.memory import peak_memory, reset_peak_memory
    from sdann.zoo import TABLE2
    from sdann.zoo_network import zoo_network

    from .tables import agreement_table

    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    names = whats or ("cifar10net", *TABLE2)
    with progress() as steps:
        for what in names:
            advance = steps.bar(what)
            advance(0, STEPS)
            reset_peak_memory()
            made = zoo_network(what, data=data, width=width, samples=samples, calibration=calibration, seed=seed)
            advance(1, STEPS)
            ran: list[str] = []

            def done(model: str, ran: list[str] = ran, advance: Any = advance) -> None:
                ran.append(model)
                advance(1 + len(ran), STEPS)

            found = compare(made.network, made.x, done=done)
            failures += found.problems(least_alive)
            rows.append({
                "network": found.network, "weights": made.weights, "inputs": made.inputs, "samples": samples,
                "layers": [
                    {
                        "layer": layer.layer, "compared": layer.compared, "different": layer.different,
                        "alive": layer.alive, "sops": layer.sops,
                    }
                    for layer in found.layers
                ],
                "compared": found.compared, "different": found.different, "least_alive": found.least_alive.alive,
                "least_alive_layer": found.least_alive.layer, "sops_per_sample": found.sops / samples,
                "seconds": found.seconds, "peak_memory_bytes": peak_memory(),
            })  # fmt: skip
            del made, found  # one network in memory at a time
    text = f"{samples} inputs each, {calibration} to calibrate; activations of all layers, golden against both models"
    return Outcome(
        data={
            "networks": rows, "samples": samples, "calibration": calibration, "least_alive": least_alive, "seed": seed,
        },
        text=[agreement_table(rows), text], failures=failures,
    )  # fmt: skip
