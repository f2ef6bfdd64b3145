"""Table 3's experiment on the RTL, and Table 10: energy and speed of the chip without and with sparsity."""

from dataclasses import replace
from typing import Any

from ..energy import load_constants, sdann_energy
from ..graph import QuantizedNetwork
from ..membrane import with_membrane
from .chip import ChipRun, run_on_chip
from .conversion import MEMBRANE_BITS
from .experiment import Progress, Result, Setup
from .hybrid import BUDGET, CHOICES, apply, search

__all__ = ["PUBLISHED_MJ", "table3_rtl", "table10"]

PUBLISHED_MJ = {"Tiny-VGG": (1.79, 1.62), "Tiny-YOLO": (2.97, 2.40)}
"""The paper's Table 10: mJ per sample on Darwin3, without and with sparsity."""


def _compared(run: ChipRun) -> dict[str, Any]:
    return {
        "samples": run.samples, "compared": run.compared, "different": run.different,
        "SOPs, RTL": run.sops / run.samples, "SOPs, golden": run.golden_sops / run.samples,
    }  # fmt: skip


def table3_rtl(setup: Setup, progress: Progress) -> Result:
    """Wide membranes, 16 bits with scaled integration and without, each on a chip of that width."""
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    for subject in setup.subjects:
        wide = subject.network
        options = replace(subject.options, membrane_bits=MEMBRANE_BITS, scaled=True)
        variants: dict[str, QuantizedNetwork] = {
            f"{wide.membrane_bits} bits": wide,
            f"{MEMBRANE_BITS} bits, scaled": subject.quantize(options)[0],
            f"{MEMBRANE_BITS} bits, not scaled": with_membrane(wide, MEMBRANE_BITS, scaled=False),
        }
        for what, network in variants.items():
            run = run_on_chip(subject, network, setup.chip, what=what)
            failures += run.failures
            rows.append({
                "dataset": subject.dataset.name, "network": subject.name, "V": what, "chip": run.chip.name,
                "measure": subject.measure, "score": run.score, **_compared(run),
                "saturations, RTL": run.saturations, "saturations, golden": run.golden_saturations,
            })  # fmt: skip
            progress(len(rows), len(variants) * len(setup.subjects))
    return Result(
        columns=tuple(rows[0]), rows=rows, failures=failures,
        notes=(
            "score, SOPs (per sample) and saturations (of all samples) are those of the RTL: read-outs and counters",
            "different: activations of all layers, RTL against the golden of that membrane",
        ),
    )  # fmt: skip


def table10(setup: Setup, progress: Progress) -> Result:
    """Energy from the RTL's counters, and speed at a clock that place and route reached."""
    constants, clock = load_constants(), setup.chip.clock
    trials = 24 if setup.quick else 150
    total = len(setup.subjects) * (trials + 2)
    rows: list[dict[str, Any]] = []
    failures: list[str] = []
    choices: dict[str, str] = {}
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    for subject in setup.subjects:
        found = search(subject, trials=trials, guided=True, seed=setup.seed, step=step)
        choices[subject.name] = ", ".join(
            f"{name} RoT {CHOICES[c][0]} DRLO {CHOICES[c][1]}" for name, c in found.choices.items()
        )
        for what, network in {"none": subject.network, "hybrid": apply(subject.network, found.choices)}.items():
            run = run_on_chip(subject, network, setup.chip, what=f"sparsity {what}")
            failures += run.failures
            energy = sdann_energy(
                network, (run.sops + run.twice) / run.samples, constants, hops=run.hops / run.samples
            )  # fmt: skip
            rows.append({
                "dataset": subject.dataset.name, "network": subject.name, "sparsity": what, "chip": run.chip.name,
                "measure": subject.measure, "score": subject.measure_network(network).score, **_compared(run),
                "SOPs twice": run.twice / run.samples, "hops": run.hops / run.samples,
                "nJ": energy.paper_nj, "nJ, extended": energy.extended_nj,
                "cycles / image": run.cycles / run.samples, "MHz": clock.mhz,
                "images / s": clock.mhz * 1e6 * run.samples / run.cycles, "latency us": run.alone / clock.mhz,
            })  # fmt: skip
            step()
    published = "; ".join(f"{name} {a} and {b} mJ" for name, (a, b) in PUBLISHED_MJ.items())
    return Result(
        columns=tuple(rows[0]), rows=rows, failures=failures,
        data={"choices": choices, "trials": trials, "clock": clock.source, "pj": dict(constants.pj)},
        notes=(
            f"the clock is from {clock.source}; the chip that ran is the one in the row",
            "compared, SOPs and hops (per sample): activations and counters of the RTL; nJ: its SOPs, those of neurons "
            "that two cores compute among them, times the paper's 0.03 pJ; extended: see sdann/energy.toml",
            "images / s: of all samples together, filling and emptying the pipeline included; latency: one sample on "
            "an empty chip; loading the program is not in them",
            f"sparsity is searched on the validation part with {trials} networks, budget {BUDGET:.1%}; the score is "
            "that of the test part",
            f"the paper on Darwin3, power measured: {published}",
        ),
    )  # fmt: skip
