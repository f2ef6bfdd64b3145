"""All experiments by name."""

from functools import partial

from ..errors import SdannError
from . import plots
from .boxes import fig13
from .conversion import table2, table3
from .costs import table1, table9
from .distributions import fig4, fig7, fig8, fig9
from .experiment import Experiment, Progress, Result, Setup
from .hybrid import table8
from .on_rtl import table3_rtl, table10
from .pipeline import fig11
from .snn import fig12
from .sparse import sparsity_table

__all__ = ["EXPERIMENTS", "experiment"]

_ALL = ("digit-cnn", "digit-resnet", "digit-yolo")


def _sparsity(method: str, what: str, setup: Setup, progress: Progress) -> Result:
    return sparsity_table(setup, method, what, progress)  # type: ignore[arg-type]


EXPERIMENTS = {
    e.name: e
    for e in (
        Experiment(name="table1", title="Neuromorphic hardware", networks=_ALL, run=table1, plot=plots.none),
        Experiment(name="table2", title="Conversion loss", networks=_ALL, run=table2, plot=plots.scores),
        Experiment(name="table3", title="Scaled integration", networks=_ALL, run=table3, plot=plots.scores),
        Experiment(
            name="table3-rtl", title="Scaled integration on the RTL", networks=_ALL, run=table3_rtl,
            plot=plots.membrane_scores,
        ),
        Experiment(
            name="table4", title="RoT: score", networks=_ALL, run=partial(_sparsity, "rot", "score"), plot=plots.factors
        ),
        Experiment(
            name="table5", title="RoT: SOPs", networks=_ALL, run=partial(_sparsity, "rot", "sops"), plot=plots.factors
        ),
        Experiment(
            name="table6", title="DRLO: score", networks=_ALL, run=partial(_sparsity, "drlo", "score"),
            plot=plots.factors,
        ),
        Experiment(
            name="table7", title="DRLO: SOPs", networks=_ALL, run=partial(_sparsity, "drlo", "sops"),
            plot=plots.factors,
        ),
        Experiment(name="table8", title="Hybrid sparsity", networks=_ALL, run=table8, plot=plots.hybrid),
        Experiment(name="table9", title="Energy per sample", networks=_ALL, run=table9, plot=plots.energy),
        Experiment(
            name="table10", title="Energy and speed on the RTL", networks=("digit-cnn", "digit-yolo"), run=table10,
            plot=plots.chip_energy,
        ),
        Experiment(name="fig4", title="Quantized biases", networks=("digit-cnn",), run=fig4, plot=plots.biases),
        Experiment(name="fig7", title="Membranes and 16 bits", networks=("digit-cnn",), run=fig7, plot=plots.membranes),
        Experiment(name="fig8", title="Use of each bit", networks=("digit-cnn",), run=fig8, plot=plots.bits),
        Experiment(name="fig9", title="Spikes of each layer", networks=_ALL, run=fig9, plot=plots.spikes),
        Experiment(name="fig11", title="Pipeline", networks=("digit-cnn",), run=fig11, plot=plots.pipeline),
        Experiment(name="fig12", title="LIF networks' SOPs", networks=("digit-cnn",), run=fig12, plot=plots.sops),
        Experiment(name="fig13", title="Detected boxes", networks=("digit-yolo",), run=fig13, plot=plots.boxes),
    )
}  # fmt: skip
"""The paper's tables and figures; its numbers."""


def experiment(name: str) -> Experiment:
    """The experiment called ``name``; raises SdannError that lists the known ones."""
    try:
        return EXPERIMENTS[name]
    except KeyError:
        raise SdannError(f"unknown table or figure {name!r}; known ones: {', '.join(EXPERIMENTS)}") from None
