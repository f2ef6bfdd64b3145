"""The report's plots, as PNG files' bytes."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from hdl.program import Counter

from .golden import GoldenResult
from .graph import INPUT, IntArray, QuantizedNetwork
from .mapper import ProgramImage
from .results import Figure
from .stages import RtlRun, StageResult

__all__ = ["accuracy_plot", "busy_plot", "layer_plot", "mesh_plot"]

STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left",
    "axes.titlesize": 11, "axes.titleweight": "bold", "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#e4e4e4", "grid.linewidth": 0.8,
}  # fmt: skip
MAIN, OTHER, FREE, HOST = "#2b6cb0", "#9db8d6", "#f4f4f4", "#4a4a4a"


def _png(canvas: Canvas) -> bytes:
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def _canvas(width: float, height: float, columns: int = 1) -> tuple[Canvas, list[Axes]]:
    canvas = Canvas(figsize=(width, height), layout="constrained")
    return canvas, list(np.atleast_1d(canvas.subplots(1, columns)))


def _colours(image: ProgramImage) -> dict[str, tuple[float, float, float, float]]:
    table = mpl.colormaps["Set3"]
    return {layer.name: table(number % 12) for number, layer in enumerate(image.manifest.layers)}


def accuracy_plot(stages: Sequence[StageResult], figures: Sequence[Figure]) -> bytes:
    """Accuracy of every stage on the co-simulated samples, and of float and integer network on the whole test set."""
    rows = [(stage.name, stage.accuracy, MAIN) for stage in stages if stage.accuracy is not None]
    rows += [
        (f"{f.name.removesuffix(' test accuracy')}, all test images", f.value, OTHER)
        for f in figures
        if f.name.endswith("test accuracy")
    ]
    with mpl.rc_context(STYLE):
        canvas, (axes,) = _canvas(7, 0.4 * len(rows) + 1.1)
        names, values, colours = zip(*rows, strict=True)
        bars = axes.barh(names, [100 * v for v in values], color=colours, height=0.65)
        axes.bar_label(bars, fmt="%.2f %%", padding=4)
        axes.invert_yaxis()
        axes.set(
            xlim=(0, 122),
            xticks=range(0, 101, 20),
            xlabel="accuracy in %",
            title=f"Accuracy, {stages[0].samples} co-simulated images",
        )
        axes.grid(visible=False, axis="y")
        return _png(canvas)


def _spikes(a: IntArray, steps: int) -> int:
    return int(np.bitwise_count((a & ((1 << steps) - 1)).astype(np.uint64)).sum())


def layer_plot(network: QuantizedNetwork, golden: GoldenResult) -> bytes:
    """Per image and layer: spikes that it sends (all steps), synaptic operations that reach it."""
    samples = len(golden.activations[INPUT])
    spikes = {
        name: _spikes(a, network.time_steps) / samples
        for name, a in golden.activations.items()
        if name != network.layers[-1].name  # read out as numbers, not sent as spikes
    }
    sops = {name: count / samples for name, count in golden.sops.items()}
    with mpl.rc_context(STYLE):
        canvas, axes = _canvas(9, 3.2, 2)
        for ax, values, title in zip(axes, (spikes, sops), ("Spikes sent per image", "SOPs per image"), strict=True):
            bars = ax.bar(list(values), list(values.values()), color=MAIN, width=0.7)
            ax.bar_label(bars, fmt="{:,.0f}", padding=2, fontsize=9)
            ax.set(title=title)
            ax.yaxis.set_major_formatter("{x:,.0f}")
            ax.margins(y=0.12)
            ax.grid(visible=False, axis="x")
        return _png(canvas)


def _span(what: str, start: int, size: int) -> str:
    return f"{what} {start}" if size == 1 else f"{what}s {start}-{start + size - 1}"


def mesh_plot(image: ProgramImage) -> bytes:
    """The chip with the network on it: a colour per layer, with each core's rows and channels."""
    config, colours = image.config, _colours(image)
    with mpl.rc_context(STYLE):
        canvas, (axes,) = _canvas(max(4.0, 1.45 * config.cols + 0.6), max(2.5, 1.15 * config.rows + 0.8))
        for y, x in config.tiles:
            core = image.cores.get((y, x))
            colour = HOST if (y, x) == (0, 0) else colours[core.layer] if core else FREE
            axes.add_patch(
                Rectangle((x + 0.04, y + 0.04), 0.92, 0.92, facecolor=colour, edgecolor="#888888", linewidth=0.8)
            )
            name, detail, ink = ("host", "", "white") if (y, x) == (0, 0) else ("free", "", "#999999")
            if core is not None:
                r = core.region
                name, ink = core.layer, "black"
                detail = f"{_span('row', r.y0, r.height)}\n{_span('channel', r.channel0, r.channels)}"
            axes.text(x + 0.5, y + (0.68 if detail else 0.5), name, ha="center", va="center", color=ink, weight="bold")
            axes.text(x + 0.5, y + 0.34, detail, ha="center", va="center", color=ink, fontsize=8.5)
        axes.set(
            xlim=(0, config.cols), ylim=(0, config.rows), aspect="equal",
            title=f"{image.manifest.network} on chip {config.name!r}: {len(image.cores)} of {len(config.cores)} cores",
            xticks=np.arange(config.cols) + 0.5, yticks=np.arange(config.rows) + 0.5, xlabel="x", ylabel="y",
            xticklabels=range(config.cols), yticklabels=range(config.rows),
        )  # fmt: skip
        axes.grid(visible=False)
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        return _png(canvas)


def busy_plot(image: ProgramImage, run: RtlRun) -> bytes:
    """Cycles per image in which each core's accumulator worked, against all cycles per image: what bounds the speed."""
    streamed, colours = run.streamed, _colours(image)
    cores = [core for core, entry in image.cores.items() if entry.layer != INPUT]
    busy = [streamed.counters[core][Counter.BUSY.name] / streamed.samples for core in cores]
    whole = streamed.cycles / streamed.samples
    names = [f"{image.cores[core].layer} ({core[0]}, {core[1]})" for core in cores]
    with mpl.rc_context(STYLE):
        canvas, (axes,) = _canvas(8, 0.28 * len(cores) + 1.2)
        places = range(len(cores))
        bars = axes.barh(
            places,
            busy,
            color=[colours[image.cores[core].layer] for core in cores],
            height=0.75,
            edgecolor="#888888",
            linewidth=0.6,
        )
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=9)
        axes.set_yticks(places, names)
        axes.axvline(whole, color="#b03030", linewidth=1.5)
        axes.text(whole, -0.9, f"all: {whole:,.0f} ", color="#b03030", ha="right", va="center", fontsize=9)
        axes.set(
            xlim=(0, 1.08 * whole),
            ylim=(len(cores) - 0.4, -1.5),
            xlabel="cycles",
            title="Cycles per image: busy accumulators",
        )
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(visible=False, axis="y")
        return _png(canvas)
