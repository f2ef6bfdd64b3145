"""A picture of the mapped chip: which layer sits where, how busy each core is, and what crosses each tile."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.ticker
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from hdl.config import ChipConfig

from .mapper.assessment import PassFit
from .mapper.build import MappedPass, NetworkMap
from .mapper.image import Coordinate
from .mapper.sizing import Size

__all__ = ["chip_picture", "size_plot"]

STYLE: dict[Any, Any] = {
    "font.size": 9, "axes.titlelocation": "left", "axes.titlesize": 10, "axes.titleweight": "bold",
    "svg.fonttype": "none", "svg.hashsalt": "sdann",
}  # fmt: skip
FREE, HOST, SENT = "#f1f1f1", "#4a4a4a", "#d5d5d5"
MOST = 12
"""Passes that one picture shows."""


def _written(canvas: Figure, form: str) -> bytes:
    """The file's bytes, the same for the same picture: without the date, or the library's name."""
    buffer = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else {"Software": None} if form == "png" else None
    canvas.savefig(buffer, format=form, dpi=120, metadata=metadata)
    return buffer.getvalue()


def _frame(axes: Axes, config: ChipConfig, title: str) -> None:
    axes.set(xlim=(0, config.cols), ylim=(0, config.rows), aspect="equal", title=title, xlabel="x", ylabel="y")
    step = max(1, config.cols // 8)
    axes.set_xticks(np.arange(0, config.cols, step) + 0.5, [str(n) for n in range(0, config.cols, step)])
    axes.set_yticks(np.arange(0, config.rows, step) + 0.5, [str(n) for n in range(0, config.rows, step)])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _tile(axes: Axes, tile: Coordinate, colour: Any) -> None:
    axes.add_patch(Rectangle((tile[1] + 0.05, tile[0] + 0.05), 0.9, 0.9, facecolor=colour, edgecolor="none"))


def _layers(axes: Axes, config: ChipConfig, one: MappedPass, fit: PassFit, passes: int) -> None:
    """A colour for each layer; what the host sends is grey."""
    colours = mpl.colormaps["tab20"]
    for tile in config.tiles:
        _tile(axes, tile, HOST if tile == (0, 0) else FREE)
    patches = [Patch(color=HOST, label="host")]
    number = 0
    for row in fit.layers:
        colour: Any = SENT
        if not row.source:
            colour = colours(number % 20)
            number += 1
        for tile in one.tiles[row.layer]:
            _tile(axes, tile, colour)
        patches.append(Patch(color=colour, label=f"{row.layer}{' (host)' if row.source else ''}: {row.cores}"))
    which = f"pass {fit.number}: " if passes > 1 else ""
    _frame(axes, config, f"{which}{fit.cores} of {fit.available} cores")
    axes.legend(handles=patches, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=7, handlelength=1)


def _heat(axes: Axes, config: ChipConfig, values: Mapping[Coordinate, float], title: str, canvas: Figure) -> None:
    """Shades of one colour; a tile without a value is empty."""
    for tile in config.tiles:
        _tile(axes, tile, HOST if tile == (0, 0) and tile not in values else FREE)
    most = max(values.values(), default=1.0) or 1.0
    shades = mpl.colormaps["viridis_r"]
    for tile, value in values.items():
        _tile(axes, tile, shades(value / most))
    _frame(axes, config, title)
    canvas.colorbar(
        mpl.cm.ScalarMappable(mpl.colors.Normalize(0, most), shades), ax=axes, shrink=0.7, format="{x:,.0f}",
    )  # fmt: skip


def chip_picture(mapped: NetworkMap, fits: Sequence[PassFit], form: str = "svg") -> bytes:
    """The picture as a file's bytes, in a format of matplotlib (svg, png, pdf); of many passes the first ones."""
    config, shown = mapped.config, list(fits)[:MOST]
    side = min(4.2, max(2.6, 0.32 * config.cols))
    with mpl.rc_context(STYLE):
        height = len(shown) * (side * config.rows / config.cols + 0.7)
        canvas = Figure(figsize=(3 * side + 4.5, height), layout="constrained")
        panels = canvas.subplots(len(shown), 3, squeeze=False)
        for row, fit in zip(panels, shown, strict=True):
            one = mapped.passes[fit.number]
            _layers(row[0], config, one, fit, len(fits))
            _heat(row[1], config, fit.sops, "synaptic operations per sample", canvas)
            _heat(row[2], config, dict(fit.traffic.through), "spike bundles handed on per sample", canvas)
        more = f", the first {MOST} of {len(fits)} passes" if len(fits) > MOST else ""
        canvas.suptitle(f"{mapped.network.name} on chip {config.name!r}{more}", x=0.01, ha="left", weight="bold")
        return _written(canvas, form)


def size_plot(name: str, found: Sequence[Size], best: Sequence[Size], form: str = "svg") -> bytes:
    """Cycles over cores, a colour for each number of lanes; those of ``best`` stand out. See :func:`chip_picture`."""
    with mpl.rc_context(STYLE):
        canvas = Figure(figsize=(6.5, 4), layout="constrained")
        axes = canvas.subplots()
        for number, lanes in enumerate(sorted({size.config.lanes for size in found})):
            own = [size for size in found if size.config.lanes == lanes]
            colour = mpl.colormaps["tab10"](number)
            axes.scatter([s.cores for s in own], [s.window for s in own], s=14, color=colour, label=f"{lanes} lanes")
        axes.scatter(
            [s.cores for s in best], [s.window for s in best], s=60, facecolors="none", edgecolors="black",
            label="no other has less memory and fewer cycles",
        )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="cores", ylabel="cycles a sample (busiest core)",
                 title=f"{name}: chips that hold it at once")  # fmt: skip
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter("{x:,.0f}")
            axis.set_minor_formatter(mpl.ticker.NullFormatter())
        axes.grid(visible=True, which="both", color="#e4e4e4", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, fontsize=8)
        return _written(canvas, form)
