"""What an experiment of the paper is given, and what it leaves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SdannError
from .chip import ChipOptions
from .subject import Subject

__all__ = ["Experiment", "Progress", "Result", "Setup"]

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


@dataclass(frozen=True, kw_only=True)
class Setup:
    """``subjects``: the networks to report on. ``folder``: where trained weights are kept. ``quick``: the size for
    continuous integration: fewer samples, epochs and trials. ``seed``: of everything random. ``chip``: for
    tables of the RTL.
    """

    subjects: tuple[Subject, ...]
    folder: Path
    quick: bool = False
    seed: int = 0
    chip: ChipOptions = field(default_factory=ChipOptions)

    def __post_init__(self) -> None:
        if not self.subjects:
            raise SdannError("there are no networks to report on: name one of the zoo")

    @property
    def first(self) -> Subject:
        """The network of a figure that shows one."""
        return self.subjects[0]


@dataclass(frozen=True, kw_only=True)
class Result:
    """``rows``: values by column, plain numbers, strings or None. ``data``: what the plot needs beyond the rows.
    ``notes``: what a reader must know, such as what was chosen here. ``failures``: where what must be equal is not.
    """

    columns: Sequence[str]
    rows: Sequence[Mapping[str, Any]]
    data: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    failures: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """``name``: "table4". ``title``: what it shows. ``networks``: the default ones. ``run``: does it; ``plot``: PNG
    bytes of its result, none where a table says it better.
    """

    name: str
    title: str
    networks: tuple[str, ...]
    run: Callable[[Setup, Progress], Result]
    plot: Callable[[Result], bytes]
