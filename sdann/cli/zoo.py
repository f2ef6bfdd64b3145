"""``sdann zoo``."""

from dataclasses import asdict

import click

from .outcome import Outcome, command
from .tables import zoo_table

__all__ = ["zoo_command"]


@command("zoo")
@click.option("--width", type=click.IntRange(1), help="Channels of the first convolution, for narrower forms.")
def zoo_command(width: int | None) -> Outcome:
    """List the networks that can be built by name."""
    from sdann.zoo import NETWORKS, cost

    specs = [spec if width is None else spec.with_options(width=width) for spec in NETWORKS.values()]
    rows = [
        {
            "network": spec.name, "task": spec.task, "input_shape": list(spec.input_shape), **spec.options,
            "data": spec.data, "source": spec.source, **asdict(cost(spec)),
        }
        for spec in specs
    ]  # fmt: skip
    return Outcome(data={"networks": rows}, text=[zoo_table(rows)])
