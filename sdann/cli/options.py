"""Options that several commands share, and their types."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hdl.config import PRESETS, ChipConfig, preset
from sim.simulators import ABOUT, simulators

__all__ = [
    "IN_FILE", "OUT_FILE", "PICTURE_FILE", "chip_from", "chip_options", "cosim_options", "membrane_options",
    "out_option", "quantize_options", "sample_options", "source_options", "sparsity_options", "split_option",
    "tune_option",
]  # fmt: skip

if TYPE_CHECKING:
    _Parameter = click.ParamType[Any]
else:  # generic since click 8.4
    _Parameter = click.ParamType

Command = TypeVar("Command", bound=Callable[..., Any])

IN_FILE = click.Path(path_type=Path)
"""A file to read; its loader says what is wrong with it."""
OUT_FILE = click.Path(path_type=Path, dir_okay=False)
"""A file to write."""


class _Picture(click.Path):
    """A file to write whose name ends in one of :attr:`FORMS`."""

    FORMS = ("svg", "png")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if Path(value).suffix.lstrip(".") not in self.FORMS:
            self.fail(f"{str(value)!r} must end in .{' or .'.join(self.FORMS)}", param, ctx)
        return super().convert(value, param, ctx)


PICTURE_FILE = _Picture(path_type=Path, dir_okay=False)
"""A picture to write, in the format that its name says."""


class _Field(_Parameter):
    """FIELD=VALUE of a chip configuration."""

    name = "field=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        known = [f.name for f in dataclasses.fields(ChipConfig) if f.name != "name"]
        field, equals, number = str(value).partition("=")
        if not equals or not re.fullmatch(r"-?\d+", number):
            self.fail(f"{value!r} is not of the form FIELD=INTEGER", param, ctx)
        if field not in known:
            self.fail(f"unknown chip field {field!r}; known fields: {', '.join(known)}", param, ctx)
        return field, int(number)


class _LayerValue(_Parameter):
    """LAYER=INTEGER."""

    name = "layer=n"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(.+)=(\d+)", str(value))
        if match is None:
            self.fail(f"{value!r} is not of the form LAYER=INTEGER, such as conv2=1", param, ctx)
        return match[1], int(match[2])


class _Split(_Parameter):
    """LAYER=ROWSxCHANNELS, the number of tiles in each direction."""

    name = "layer=RxC"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[int, int]]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(.+)=([1-9]\d*)x([1-9]\d*)", str(value))
        if match is None:
            self.fail(f"{value!r} is not of the form LAYER=ROWSxCHANNELS, such as conv2=2x2", param, ctx)
        return match[1], (int(match[2]), int(match[3]))


def _several(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def decorate(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def chip_options(*, default: str | None) -> Callable[[Command], Command]:
    """``--preset`` and ``--set``; read them with :func:`chip_from`."""
    return _several(
        click.option(
            "--preset", "preset_name", metavar="NAME", default=default, show_default=default is not None,
            help=f"Chip configuration: {', '.join(PRESETS)}.",
        ),
        click.option(
            "--set", "fields", metavar="FIELD=VALUE", type=_Field(), multiple=True,
            help="Change a field of the chip configuration. May be repeated.",
        ),
    )  # fmt: skip


def chip_from(preset_name: str, fields: tuple[tuple[str, int], ...], membrane_bits: int | None = None) -> ChipConfig:
    """The configuration that the options describe; raises :class:`hdl.config.ConfigError`."""
    changes = dict(fields) | ({} if membrane_bits is None else {"membrane_bits": membrane_bits})
    config = preset(preset_name)
    return config.replace(**changes) if changes else config


def out_option(default: str, what: str) -> Callable[[Command], Command]:
    """``--out``."""
    return click.option("--out", type=OUT_FILE, default=default, show_default=True, help=f"Where to write {what}.")


def split_option() -> Callable[[Command], Command]:
    """``--split``: a list of pairs for ``dict``."""
    return click.option(
        "--split", "splits", metavar="LAYER=RxC", type=_Split(), multiple=True,
        help="Cut a layer (or the input) into R row tiles and C channel tiles. May be repeated.",
    )  # fmt: skip


def tune_option() -> Callable[[Command], Command]:
    """``--tune``."""
    return click.option(
        "--tune", is_flag=True,
        help="Choose among several cuts and places by the cycles that the cycle model predicts, which takes longer.",
    )  # fmt: skip


def sparsity_options() -> Callable[[Command], Command]:
    """``--rot`` and ``--drlo``: lists of pairs for ``dict``, see :func:`sdann.sparsity.with_sparsity`."""
    return _several(
        click.option(
            "--rot", metavar="LAYER=K", type=_LayerValue(), multiple=True,
            help="Round a layer's activations to multiples of 2^K (eq. 22), which saves spikes. May be repeated.",
        ),
        click.option(
            "--drlo", metavar="LAYER=N", type=_LayerValue(), multiple=True,
            help="Keep only the N most significant spikes of each of a layer's trains. May be repeated.",
        ),
    )  # fmt: skip


def membrane_options() -> Callable[[Command], Command]:
    """``--time-steps``, ``--membrane-bits`` and ``--scaled``."""
    return _several(
        click.option(
            "--time-steps", type=click.IntRange(2, 16), default=8, show_default=True,
            help="T: bits of input and activations.",
        ),
        click.option(
            "--membrane-bits", type=int, default=None, help="Bits of V(t); short for --set membrane_bits=N."
        ),
        click.option(
            "--scaled/--no-scaled", default=False, show_default=True,
            help="Scaled integration into the membrane (eqs. 15-18), or exact.",
        ),
    )  # fmt: skip


def quantize_options() -> Callable[[Command], Command]:
    """The options of :class:`sdann.quantization.QuantizeOptions` that the chip does not decide."""
    return _several(
        membrane_options(),
        click.option(
            "--weight-bits", type=click.IntRange(2, 8), default=None, help="Bits of a weight. Default: the chip's."
        ),
        click.option("--per-channel/--per-layer", default=False, show_default=True, help="Weight scales."),
        click.option(
            "--weight-observer", type=click.Choice(["minmax", "mse"]), default="minmax", show_default=True,
            help="How the range of weights is chosen; mse pays at few bits.",
        ),
        click.option(
            "--observer", type=click.Choice(["minmax", "percentile", "mse"]), default="minmax", show_default=True,
            help="How the range of activations is chosen.",
        ),
        click.option(
            "--percentile", type=click.FloatRange(0, 100, min_open=True), default=99.9, show_default=True,
            help="For --observer percentile.",
        ),
        click.option(
            "--activations", type=click.Choice(["unsigned", "signed"]), default="unsigned", show_default=True,
            help="0..2^T-1, or 0..2^(T-1)-1.",
        ),
        click.option(
            "--bias", type=click.Choice(["auto", "sum", "scaled"]), default="auto", show_default=True,
            help="Eq. 9's bias (sum), eq. 10's (scaled), or whichever the chip needs.",
        ),
        click.option(
            "--out-bits", type=click.IntRange(2, 16), default=8, show_default=True,
            help="Bits of the last layer's values, where it has no ReLU.",
        ),
        click.option(
            "--calibration", type=click.IntRange(1), default=256, show_default=True,
            help="Training images to calibrate with.",
        ),
    )  # fmt: skip


def source_options(*, samples: int | None, what: str, least: int = 0) -> Callable[[Command], Command]:
    """``--samples``, ``--data``, ``--calibration`` and ``--seed`` of :func:`sdann.network_source.open_source`."""
    return _several(
        click.option(
            "--samples", type=click.IntRange(least), default=samples, show_default=samples is not None, help=what
        ),
        click.option(
            "--data", metavar="DATA",
            help="Inputs of a network of the zoo: as of `sdann train`, or photographs. [default: the network's own, if "
            "it needs no path; else photographs]",
        ),
        click.option(
            "--calibration", type=click.IntRange(2), default=8, show_default=True,
            help="Images that ranges and seeded weights of a network of the zoo are fitted to.",
        ),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of everything random."),
    )  # fmt: skip


def sample_options(default: int) -> Callable[[Command], Command]:
    """``--samples`` and ``--seed``."""
    return _several(
        click.option(
            "--samples", type=click.IntRange(1), default=default, show_default=True, help="Number of samples."
        ),
        click.option("--seed", type=int, default=0, show_default=True, help="Of everything random."),
    )


def cosim_options() -> Callable[[Command], Command]:
    """``--simulator``, ``--stall`` and ``--build-dir``."""
    return _several(
        click.option(
            "--simulator", type=click.Choice(simulators()), default="verilator", show_default=True,
            help="; ".join(f"{name}: {ABOUT[name]}" for name in simulators()) + ".",
        ),
        click.option(
            "--stall", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
            help="Probability that the host stalls, per cycle and stream.",
        ),
        click.option(
            "--build-dir", type=click.Path(path_type=Path, file_okay=False), default=Path("build/sim"),
            show_default=True, help="Where simulator builds are kept.",
        ),
    )  # fmt: skip
