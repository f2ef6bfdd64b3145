"""A network on a chip: the programs of all its passes."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from hdl.config import ChipConfig

from ..atomic import atomic
from ..html_table import html_table
from ..mapper import NetworkMap, ProgramImage
from ..mapper.assessment import PassFit, assess

__all__ = ["Program", "pass_path"]


def pass_path(out: Path, number: int, passes: int) -> Path:
    """Where the program of a pass goes: ``out`` itself where there is one, else with the pass's number in its name."""
    return out if passes == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")


class Program:
    """What :meth:`sdann.Network.map` makes: ``mapped`` is the mapper's own result, pass by pass."""

    def __init__(self, mapped: NetworkMap) -> None:
        self.mapped = mapped

    @property
    def chip(self) -> ChipConfig:
        """The chip that it is for."""
        return self.mapped.config

    @property
    def passes(self) -> int:
        """Programs that run one after the other; 1 where the network fits the chip."""
        return len(self.mapped.passes)

    @property
    def cores(self) -> int:
        """Cores in use, in the pass that uses most."""
        return max(one.cores for one in self.mapped.passes)

    @cached_property
    def fit(self) -> tuple[PassFit, ...]:
        """Of each pass: fill of the memories, balance, traffic."""
        return tuple(assess(self.mapped, number) for number in range(self.passes))

    def images(self) -> Iterator[ProgramImage]:
        """The words of every core's memories, one program at a time, since they may be large."""
        return self.mapped.images()

    def save(self, path: str | Path) -> list[Path]:
        """Writes the programs, as `sdann map` does; returns their paths.

        ``path`` itself where there is one, else with -0, -1 ... in its name. Raises OSError.
        """
        paths = []
        for number, image in enumerate(self.images()):
            paths.append(pass_path(Path(path), number, self.passes))
            with atomic(paths[-1]) as temporary:
                image.save(temporary)
        return paths

    def __repr__(self) -> str:
        return (
            f"Program({self.mapped.network.name!r} on {self.chip.name!r}, {self.cores} of {len(self.chip.cores)} "
            f"cores, {self.passes} pass{'' if self.passes == 1 else 'es'})"
        )

    def _repr_html_(self) -> str:
        return html_table(
            f"{self.mapped.network.name} on chip {self.chip.name}",
            ("pass", "layer", "cores", "rows x columns x channels", "parts", "fullest memory", "SOPs / sample"),
            (
                (
                    fit.number, row.layer, row.cores, f"{row.rows} x {row.columns} x {row.channels}", row.parts,
                    f"{row.binds}: {row.used[row.binds][0]:,} of {row.used[row.binds][1]:,}", f"{row.sops:,.0f}",
                )
                for fit in self.fit
                for row in fit.layers
            ),
        )  # fmt: skip
