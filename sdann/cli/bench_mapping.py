"""``sdann bench mapping``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.console import RenderableType

from .options import chip_from, chip_options, source_options, tune_option
from .outcome import Outcome, command, progress

if TYPE_CHECKING:
    from sdann.mapping_cost import PassCost

__all__ = ["bench_mapping_command"]

UNEVEN, OVER, ERROR = 1.3, 1.25, 0.02
"""Bounds: SOPs of the busiest core over the mean, cycles over the busiest cores' visits, cycles off the RTL's."""


@command("mapping")
@click.argument("what", metavar="NETWORK")
@chip_options(default="demo")
@click.option(
    "--cores", "budgets", type=click.IntRange(1), multiple=True,
    help="Use so many cores at most. May be repeated, for a curve. [default: all]",
)  # fmt: skip
@source_options(
    samples=16, what="Inputs whose spikes the choice of tiles goes by; the cycles are those of others.", least=1
)
@tune_option()
@click.option("--windows", type=click.IntRange(1, 1000), default=4, show_default=True, help="Full windows to predict.")
@click.option(
    "--over", type=click.FloatRange(1), default=OVER, show_default=True,
    help="Cycles over the busiest cores' visits that some mapping must keep.",
)  # fmt: skip
@click.option("--rtl", is_flag=True, help="Count the cycles on the RTL as well, in Verilator; in one pass only.")
@click.option(
    "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/sim"), show_default=True,
    help="Folder for simulator builds.",
)  # fmt: skip
def bench_mapping_command(
    what: str, preset_name: str, fields: tuple[tuple[str, int], ...], budgets: tuple[int, ...], samples: int,
    data: str | None, calibration: int, seed: int, tune: bool, windows: int, over: float, rtl: bool, build_dir: Path,
) -> Outcome:  # fmt: skip
    """Say how even a mapping of NETWORK is, and what its windows take beside their least.

    NETWORK is a file of `sdann quantize`, weights of `sdann train`, or a name of `sdann zoo`. Cycles are those of the
    cycle model, per window in which every layer holds a sample. Bounds, step by step: "at peak", SOPs of the busiest
    core with all lanes and weight ports; "visits", its accumulator's, which takes one for every two spikes of a bundle;
    "chip", its visits and passes, and the barrier. Fails unless one of the mappings is even enough and near enough to
    its visits in all its passes.
    """
    config = chip_from(preset_name, fields)
    from sdann.fast import IntegerNetwork
    from sdann.graph import INPUT
    from sdann.mapper import plan_network
    from sdann.mapper.work import count_spikes
    from sdann.mapping_cost import judge_cycles, pass_cost
    from sdann.network_source import open_source

    with progress() as steps:
        advance = steps.bar("network")
        advance(0, 1)
        source = open_source(what, samples=samples + windows, data=data, calibration=calibration, seed=seed)
        network = source.network
        found = IntegerNetwork(network).run(source.x).activations
        activations = {name: np.asarray(found[name]).astype(np.int64) for name in (INPUT, *found)}
        first = {name: values[:samples] for name, values in activations.items()}
        others = {name: values[samples:] for name, values in activations.items()}
        spikes = count_spikes(network, first, config.lanes)
        judge = judge_cycles(network, config, first) if tune else None
        advance(1, 1)
        rows: list[tuple[int | None, int, PassCost, dict[str, Any]]] = []
        predicting = steps.bar("mappings")
        for number, cores in enumerate(budgets or (None,)):
            predicting(number, len(budgets) or 1)
            mapped = plan_network(network, config, spikes=spikes, cores=cores, judge=judge)
            if rtl and len(mapped.passes) > 1:
                raise click.UsageError(f"--rtl needs one pass, {network.name!r} takes {len(mapped.passes)}")
            for one in range(len(mapped.passes)):
                cost = pass_cost(mapped, one, others, windows)
                rows.append((cores, one, cost, _counted(cost, build_dir) if rtl else {}))
        predicting(1, 1)
    kept = [
        all(
            cost.busiest_over_mean <= UNEVEN and cost.bounds.over_visits <= over
            for budget, _, cost, _ in rows if budget == cores
        )
        for cores in budgets or (None,)
    ]  # fmt: skip
    failures = [problem for *_, counted in rows for problem in counted.get("failures", ())]
    if not any(kept):
        failures.append(
            f"no mapping keeps {UNEVEN:g} of busiest over mean SOPs and {over:g} of cycles over visits in all passes"
        )
    return Outcome(
        data={
            "network": network.name, "source": source.about, "preset": config.name, "samples": samples,
            "windows": windows, "bounds": {"busiest_over_mean": UNEVEN, "over_visits": over},
            "mappings": [_row(*row) for row in rows],
        },
        text=_text(network.name, windows, rows),
        failures=failures,
    )  # fmt: skip


def _counted(cost: "PassCost", build_dir: Path) -> dict[str, Any]:
    """What the RTL says of a mapping in one pass."""
    from sim.cycles import compare_cycles

    (x,) = cost.samples.values()
    found = compare_cycles(cost.image, x, build_dir=build_dir)
    failures = [str(difference) for difference in found.differences[:10]]
    if found.error > ERROR:
        failures.append(f"predicted cycles are {found.error:.2%} off the RTL's, which must be <= {ERROR:.0%}")
    return {
        "cycles_predicted": found.report.cycles, "cycles_measured": found.cycles, "cycles_error": found.error,
        "counters_wrong": len(found.differences), "failures": failures,
    }  # fmt: skip


def _row(cores: int | None, number: int, cost: "PassCost", counted: dict[str, Any]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "cores_at_most": cores, "pass": number, "cores": cost.cores, "working_cores": cost.working,
        "busiest_over_mean_sops": cost.busiest_over_mean, **cost.bounds.as_dict(), "shares": asdict(cost.shares),
        "layers": [
            {"layer": row.layer, "cores": row.cores, **row.bounds.as_dict()} for row in cost.layers
        ],
        **({"rtl": counted} if counted else {}),
    }  # fmt: skip


def _text(
    name: str, windows: int, rows: list[tuple[int | None, int, "PassCost", dict[str, Any]]]
) -> list[RenderableType]:
    from .tables import table

    several = len(rows) > 1
    chip = table(
        f"{name}: predicted cycles per window, the mean of {windows}",
        (
            "pass", "cores", "working", "busiest / mean SOPs", "cycles", "at peak", "/ peak", "visits", "/ visits",
            "chip", "/ chip", "RTL, all windows",
        ),
        [
            (
                str(number), str(cost.cores), str(cost.working), f"{cost.busiest_over_mean:.2f}",
                f"{cost.bounds.cycles:,.0f}", f"{cost.bounds.peak:,.0f}", f"{cost.bounds.over_peak:.2f}",
                f"{cost.bounds.visits:,.0f}", f"{cost.bounds.over_visits:.3f}", f"{cost.bounds.chip:,.0f}",
                f"{cost.bounds.over_chip:.3f}",
                f"{counted['cycles_measured']:,} ({counted['cycles_error']:.2%} off)" if counted else "-",
            )
            for _, number, cost, counted in rows
        ],
    )  # fmt: skip
    shares = table(
        "Where they go: of the core that ends each step, and of all",
        ("cores", "visits", "passes", "waiting", "barrier", "ending"),
        [
            (
                str(cost.cores),
                *(
                    f"{share / cost.bounds.cycles:.1%}"
                    for share in (
                        cost.shares.visits, cost.shares.passes, cost.shares.waiting, cost.shares.barrier,
                        cost.shares.ending,
                    )
                ),
            )
            for _, _, cost, _ in rows
        ],
    )  # fmt: skip
    layers = table(
        "Layers: a window that waited for this one only",
        ("layer", "pass", "cores", "cycles", "at peak", "/ peak", "visits", "/ visits", "chip", "/ chip"),
        [
            (
                row.layer, str(number), str(row.cores), f"{row.bounds.cycles:,.0f}", f"{row.bounds.peak:,.0f}",
                f"{row.bounds.over_peak:.2f}", f"{row.bounds.visits:,.0f}", f"{row.bounds.over_visits:.3f}",
                f"{row.bounds.chip:,.0f}", f"{row.bounds.over_chip:.3f}",
            )
            for _, number, cost, _ in rows
            for row in cost.layers
        ],
    )  # fmt: skip
    alone = not several or len({cores for cores, *_ in rows}) == 1
    return [chip, shares, *([layers] if alone else [])]
