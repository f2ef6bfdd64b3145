"""Tables 1 and 9: other hardware, and energy."""

from typing import Any

from ..energy import ann_energy, load_constants, macs, sdann_energy
from .experiment import Progress, Result, Setup

__all__ = ["table1", "table9"]

PUBLISHED: tuple[tuple[str, str, str, int, str], ...] = (
    ("Massa et al. 2020", "CIFAR10", "Loihi", 9, "77.40 %"),
    ("Massa et al. 2020", "MNIST", "Loihi", 9, "98.70 %"),
    ("Shrestha et al. 2021", "MNIST", "Loihi", 8, "94.70 %"),
    ("Shrestha et al. 2021", "Fashion-MNIST", "Loihi", 8, "84.80 %"),
    ("Shrestha et al. 2021", "CIFAR10", "Loihi", 8, "62.20 %"),
    ("Renner et al. 2024", "MNIST", "Loihi", 8, "97.50 %"),
    ("Frenkel et al. 2020", "MNIST", "SPOON", 8, "97.50 %"),
    ("Göltz et al. 2021", "MNIST", "BrainScaleS-2", 6, "96.90 %"),
    ("Göltz et al. 2021", "Yin-Yang", "BrainScaleS-2", 6, "95.00 %"),
    ("Spilger et al. 2023", "Yin-Yang", "BrainScaleS-2", 6, "94.63 %"),
    ("Huang et al. 2023", "Radar gestures", "SpiNNaker 2", 8, "97.60 %"),
    ("SDANN paper", "CIFAR10", "Darwin3", 8, "91.89 %"),
    ("SDANN paper", "ImageNet", "Darwin3", 8, "54.05 %"),
    ("SDANN paper", "VOC2007", "Darwin3", 8, "46.96 mAP"),
)
"""(work, data, hardware, weight bits, performance), as the paper's Table 1 has them."""


def table1(setup: Setup, progress: Progress) -> Result:
    """The paper's comparison, with rows of this toolchain's chip."""
    columns = ("work", "data", "hardware", "precision", "performance")
    rows: list[dict[str, Any]] = [dict(zip(columns, row, strict=True)) for row in PUBLISHED]
    for done, subject in enumerate(setup.subjects):
        found = subject.measure_network(subject.network)
        unit = "%" if subject.measure == "accuracy" else "mAP"
        rows.append({
            "work": f"this, {subject.name}", "data": subject.dataset.name, "hardware": "SDANN chip (RTL)",
            "precision": subject.network.weight_bits, "performance": f"{100 * found.score:.2f} {unit}",
        })  # fmt: skip
        progress(done + 1, len(setup.subjects))
    return Result(
        columns=columns, rows=rows,
        notes=(
            "published rows are quoted from the paper; data sets differ, so the rows compare scope, not quality",
            "the chip's outputs equal the integer network's in every bit: `sdann cosim`, `sdann demo`",
        ),
    )  # fmt: skip


def table9(setup: Setup, progress: Progress) -> Result:
    """Energy of the quantized ANN and of the SDANN, per sample."""
    constants = load_constants()
    rows: list[dict[str, Any]] = []
    for done, subject in enumerate(setup.subjects):
        found = subject.measure_network(subject.network)
        operations = macs(subject.network)
        ann, spiking = ann_energy(operations, constants), sdann_energy(subject.network, found.total_sops, constants)
        rows.append({
            "dataset": subject.dataset.name, "network": subject.name, "MACs": operations, "ANN nJ": ann.paper_nj,
            "ACs": found.total_sops, "SDANN nJ": spiking.paper_nj, "ANN / SDANN": ann.paper_nj / spiking.paper_nj,
            "ANN nJ, extended": ann.extended_nj, "SDANN nJ, extended": spiking.extended_nj,
        })  # fmt: skip
        progress(done + 1, len(setup.subjects))
    return Result(
        columns=tuple(rows[0]), rows=rows, data={"pj": dict(constants.pj)},
        notes=(
            "MAC 0.23 pJ, AC 0.03 pJ as in the paper; the extended columns add memory, membranes and requantization "
            "(sdann/energy.toml), which the paper leaves out",
        ),
    )  # fmt: skip
