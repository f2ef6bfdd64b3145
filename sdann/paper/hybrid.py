"""Table 8: RoT and DRLO chosen layer by layer, for the fewest SOPs within an accuracy budget.

The search is Optuna's tree-structured Parzen estimator under the constraint, on the validation part, started from each
choice in all layers at once; the choices of a layer are ordered by what they save, so the search sees a scale. Random
search gets the same number of networks to try. Both report on the test part what they chose on the validation part.
"""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..graph import QuantizedNetwork
from ..sparsity import with_sparsity
from .experiment import Progress, Result, Setup
from .subject import Measured, Subject

__all__ = ["BUDGET", "CHOICES", "Found", "search", "table8"]

BUDGET = 0.01
"""Accuracy (or mAP) that sparsity may cost on the validation part."""

CHOICES: tuple[tuple[int, int], ...] = ((0, 0), (0, 5), (0, 4), (1, 0), (1, 4), (2, 0), (2, 3), (3, 0), (3, 2), (4, 0))
"""(RoT k, DRLO n) of one layer, 0: off."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best network within the budget. ``choices``: index into :data:`CHOICES` by layer. ``tried``: networks."""

    choices: dict[str, int]
    validation: Measured
    tried: int


def apply(network: QuantizedNetwork, choices: dict[str, int]) -> QuantizedNetwork:
    """The network with each layer's choice."""
    return with_sparsity(
        network, rot={name: CHOICES[c][0] for name, c in choices.items()},
        drlo={name: CHOICES[c][1] for name, c in choices.items()},
    )  # fmt: skip


def search(
    subject: Subject, *, trials: int, guided: bool, seed: int, budget: float = BUDGET,
    step: Callable[[], None] = lambda: None,
) -> Found:  # fmt: skip
    """The fewest SOPs with a validation score of at least the original's less ``budget``.

    ``guided``: by Optuna's sampler, else at random; both try ``trials`` networks, the unchanged one among them.
    """
    import optuna

    logging.getLogger("optuna").setLevel(logging.WARNING)
    network = subject.network
    layers = [layer.name for layer in network.layers if not layer.signed]
    least = subject.measure_network(network, "validation").score - budget
    measured: dict[tuple[int, ...], Measured] = {}

    def objective(trial: Any) -> float:
        chosen = tuple(trial.suggest_int(name, 0, len(CHOICES) - 1) for name in layers)
        if chosen not in measured:
            measured[chosen] = subject.measure_network(
                apply(network, dict(zip(layers, chosen, strict=True))), "validation"
            )
        trial.set_constraint("score", least - measured[chosen].score)
        step()
        return measured[chosen].total_sops

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # sampling layers jointly may change
        sampler: Any = optuna.samplers.RandomSampler(seed=seed)
        if guided:
            sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=len(CHOICES))
    study = optuna.create_study(sampler=sampler)
    for choice in range(len(CHOICES)) if guided else (0,):
        study.enqueue_trial(dict.fromkeys(layers, choice))
    study.optimize(objective, n_trials=trials)
    within = {chosen: found for chosen, found in measured.items() if found.score >= least}
    best = min(within, key=lambda chosen: within[chosen].total_sops)
    return Found(choices=dict(zip(layers, best, strict=True)), validation=within[best], tried=trials)


def table8(setup: Setup, progress: Progress) -> Result:
    """Hybrid sparsity, and what random search of the same cost finds."""
    trials = 24 if setup.quick else 150
    rows: list[dict[str, Any]] = []
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, 2 * trials * len(setup.subjects))

    for subject in setup.subjects:
        original = subject.measure_network(subject.network)
        found = {
            guided: search(subject, trials=trials, guided=guided, seed=setup.seed, step=step)
            for guided in (True, False)
        }
        tested = {guided: subject.measure_network(apply(subject.network, f.choices)) for guided, f in found.items()}
        rows.append({
            "dataset": subject.dataset.name, "network": subject.name, "measure": subject.measure,
            "score without": original.score, "SOPs without": original.total_sops,
            "score with": tested[True].score, "score change": tested[True].score - original.score,
            "SOPs with": tested[True].total_sops, "SOPs change": tested[True].total_sops / original.total_sops - 1,
            "random search: score": tested[False].score, "random search: SOPs": tested[False].total_sops,
            "choices": ", ".join(
                f"{name} RoT {CHOICES[c][0]} DRLO {CHOICES[c][1]}" for name, c in found[True].choices.items()
            ),
        })  # fmt: skip
    return Result(
        columns=tuple(column for column in rows[0] if column != "choices"), rows=rows, data={"trials": trials},
        notes=(
            f"searched on the validation part with {trials} networks, budget {BUDGET:.1%}; scores are of the test part",
        ),
    )  # fmt: skip
