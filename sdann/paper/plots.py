"""Pictures of the experiments, as PNG files' bytes."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .experiment import Result

__all__ = [
    "biases", "bits", "boxes", "chip_energy", "energy", "factors", "hybrid", "membrane_scores", "membranes", "none",
    "pipeline", "scores", "sops", "spikes",
]  # fmt: skip

STYLE: dict[Any, Any] = {
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left",
    "axes.titlesize": 11, "axes.titleweight": "bold", "axes.grid": True, "axes.axisbelow": True,
    "grid.color": "#e4e4e4", "grid.linewidth": 0.8,
}  # fmt: skip
COLOURS = ("#2b6cb0", "#dd8452", "#55a868", "#8172b3", "#937860")


def _canvas(columns: int = 1, width: float = 7.0, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    canvas = Figure(figsize=(width, height), layout="constrained")
    return canvas, list(np.atleast_1d(canvas.subplots(1, columns)))


def _png(canvas: Figure) -> bytes:
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def _bars(axes: Axes, groups: Sequence[str], series: dict[str, list[float]]) -> None:
    width = 0.8 / len(series)
    for number, (name, values) in enumerate(series.items()):
        at = np.arange(len(groups)) + (number - (len(series) - 1) / 2) * width
        axes.bar(at, values, width, label=name, color=COLOURS[number % len(COLOURS)])
    axes.set_xticks(range(len(groups)), groups)
    axes.grid(visible=False, axis="x")
    axes.legend(frameon=False)


def none(result: Result) -> bytes:
    """A table that is better read than seen."""
    return b""


def scores(result: Result) -> bytes:
    """Scores side by side, in percent."""
    columns = [
        c for c in result.columns
        if c in ("float", "quantized", "SDANN") or (c.endswith("scaled") and not c.startswith("saturations"))
    ]  # fmt: skip
    with mpl.rc_context(STYLE):
        canvas, (axes,) = _canvas()
        _bars(axes, [r["network"] for r in result.rows], {c: [100 * (r[c] or 0) for r in result.rows] for c in columns})
        axes.set(ylabel="score in %", ylim=(0, 120))
        axes.legend(frameon=False, ncols=len(columns), loc="upper center")
        return _png(canvas)


def factors(result: Result) -> bytes:
    """The value against the factor, a line per network."""
    values = [c for c in result.columns if c.startswith(("k =", "n =")) and not c.endswith("change")]
    share = result.data["what"] == "sops"
    with mpl.rc_context(STYLE):
        canvas, (axes,) = _canvas()
        for row, colour in zip(result.rows, COLOURS, strict=False):
            points = [row["original"], *(row[c] for c in values)]
            scaled = [100 * p / (points[0] if share else 1) for p in points]
            axes.plot(["none", *values], scaled, marker="o", label=row["network"], color=colour)
        axes.set(ylabel="SOPs in % of the original" if share else "score in %", ylim=(0, 105))
        axes.legend(frameon=False)
        return _png(canvas)


def hybrid(result: Result) -> bytes:
    """SOPs of the original, of the search and of random search, in percent of the original."""
    names = {"SOPs without": "none", "SOPs with": "search", "random search: SOPs": "random search"}
    with mpl.rc_context(STYLE):
        canvas, (axes,) = _canvas()
        series = {n: [100 * r[c] / r["SOPs without"] for r in result.rows] for c, n in names.items()}
        _bars(axes, [r["network"] for r in result.rows], series)
        axes.set(ylabel="SOPs in % of the original")
        return _png(canvas)


def energy(result: Result) -> bytes:
    """The paper's estimate and the extended one."""
    columns = ("ANN nJ", "SDANN nJ", "ANN nJ, extended", "SDANN nJ, extended")
    with mpl.rc_context(STYLE):
        canvas, (axes,) = _canvas()
        _bars(axes, [r["network"] for r in result.rows], {c: [r[c] for r in result.rows] for c in columns})
        axes.set(ylabel="nJ per sample", yscale="log")
        return _png(canvas)


def _by_network(result: Result, kind: str, value: str) -> tuple[list[str], dict[str, list[float]]]:
    """Networks, and by each value of column ``kind`` the values of column ``value``, in rows' order."""
    series: dict[str, list[float]] = {}
    for row in result.rows:
        series.setdefault(row[kind], []).append(row[value])
    return list(dict.fromkeys(row["network"] for row in result.rows)), series


def membrane_scores(result: Result) -> bytes:
    """The RTL's scores by membrane, in percent."""
    names, series = _by_network(result, "V", "score")
    with mpl.rc_context(STYLE):
        canvas, (axes,) = _canvas()
        _bars(axes, names, {kind: [100 * score for score in scores] for kind, scores in series.items()})
        axes.set(ylabel="score in %", ylim=(0, 120))
        axes.legend(frameon=False, ncols=len(series), loc="upper center")
        return _png(canvas)


def chip_energy(result: Result) -> bytes:
    """Energy per sample without and with sparsity."""
    with mpl.rc_context(STYLE):
        canvas, both = _canvas(2, width=9)
        for axes, value in zip(both, ("nJ", "nJ, extended"), strict=True):
            names, series = _by_network(result, "sparsity", value)
            _bars(axes, names, {f"sparsity: {kind}": energies for kind, energies in series.items()})
            axes.set(ylabel=f"{value}, per sample")
        return _png(canvas)


def biases(result: Result) -> bytes:
    """Histograms of quantized biases."""
    with mpl.rc_context(STYLE):
        canvas, both = _canvas(2)
        for axes, (name, values), colour in zip(both, result.data["values"].items(), COLOURS, strict=False):
            axes.hist(values, bins=41, color=colour)
            axes.set(title=f"{name}: {min(values):,} .. {max(values):,}", xlabel="quantized bias", ylabel="channels")
        return _png(canvas)


def membranes(result: Result) -> bytes:
    """V(t) before and after scaling, with the limits of 16 bits."""
    data = result.data
    with mpl.rc_context(STYLE):
        canvas, both = _canvas(2)
        for axes, name, colour in zip(both, ("not scaled", "scaled"), COLOURS, strict=False):
            axes.stairs(data[name], data["bins"], fill=True, color=colour)
            for limit in (-data["limit"], data["limit"]):
                axes.axvline(limit, color="#4a4a4a", linestyle="--")
            axes.set(title=f"V(t) of {data['layer']}, {name}", xlabel="V(t); dashed: 16 bits", yscale="log")
        return _png(canvas)


def bits(result: Result) -> bytes:
    """Spikes and their worth, by time step."""
    steps = [str(r["time step"]) for r in result.rows]
    with mpl.rc_context(STYLE):
        canvas, (axes,) = _canvas()
        _bars(axes, steps, {c: [r[c] for r in result.rows] for c in ("set in all layers", "share of the sum")})
        axes.set(xlabel="time step (0: most significant bit)", ylabel="share")
        return _png(canvas)


def spikes(result: Result) -> bytes:
    """Spikes of each layer."""
    with mpl.rc_context(STYLE):
        canvas, (axes,) = _canvas(height=4.2)
        labels = [f"{r['network']} {r['layer']}" for r in result.rows]
        names = list(dict.fromkeys(r["network"] for r in result.rows))
        colours = [COLOURS[names.index(r["network"]) % len(COLOURS)] for r in result.rows]
        axes.barh(labels, [r["spikes"] for r in result.rows], color=colours)
        axes.invert_yaxis()
        axes.set(xlabel="spikes per sample")
        axes.grid(visible=False, axis="y")
        return _png(canvas)


def pipeline(result: Result) -> bytes:
    """Layers over windows, a colour per sample, shaded by the spikes of each step."""
    data: Any = result.data
    order = data["stages"]
    with mpl.rc_context(STYLE):
        canvas, (axes,) = _canvas(height=0.5 * len(order) + 1.4)
        for row, (name, stage) in enumerate(order.items()):
            counts = data["spikes"].get(name)
            for sample in range(data["samples"]):
                colour = COLOURS[sample % len(COLOURS)]
                for step in range(data["steps"]):
                    most = max(map(max, counts)) if counts else 1
                    shade = 0.25 + 0.75 * (counts[sample][step] / max(1, most) if counts else 1)
                    place = (stage + sample + step / data["steps"], row - 0.4)
                    axes.add_patch(Rectangle(place, 1 / data["steps"], 0.8, color=colour, alpha=shade, linewidth=0))
                axes.text(stage + sample + 0.5, row, str(sample), ha="center", va="center", fontsize=9)
        axes.set(
            xlim=(0, data["windows"]), ylim=(len(order) - 0.4, -0.6), xlabel="window (numbers: sample)",
            yticks=range(len(order)), yticklabels=list(order),
        )  # fmt: skip
        return _png(canvas)


def sops(result: Result) -> bytes:
    """SOPs by layer, and total SOPs with accuracy."""
    with mpl.rc_context(STYLE):
        canvas, (left, right) = _canvas(2, width=10)
        for (name, layers), colour in zip(result.data["series"].items(), COLOURS, strict=False):
            left.plot(list(layers), list(layers.values()), marker="o", label=name, color=colour)
        left.set(title="SOPs by layer", xlabel="layer", ylabel="SOPs per sample")
        left.legend(frameon=False)
        for row, colour in zip(result.rows, COLOURS, strict=False):
            right.scatter(row["SOPs"], 100 * row["accuracy"], color=colour, s=60)
            right.annotate(row["encoding"], (row["SOPs"], 100 * row["accuracy"]), (6, 4), textcoords="offset points")
        right.set(title="Accuracy and SOPs", xlabel="SOPs per sample", ylabel="accuracy in %")
        right.margins(0.3)
        return _png(canvas)


def boxes(result: Result) -> bytes:
    """Images with what each network found; true boxes dotted."""
    data: Any = result.data
    names = list(data["drawn"])
    with mpl.rc_context(STYLE | {"axes.grid": False}):
        canvas = Figure(figsize=(2.1 * len(data["images"]), 2.3 * len(names)), layout="constrained")
        grid = np.atleast_2d(canvas.subplots(len(names), len(data["images"])))
        for line, name in zip(grid, names, strict=True):
            for number, (axes, image) in enumerate(zip(line, data["images"], strict=True)):
                height, width = np.shape(image)
                axes.imshow(image, cmap="gray", extent=(0, width, height, 0))
                marks = [(b[:4], "", ":", COLOURS[2]) for b in data["truth"][number]]
                marks += [
                    (b[:4], f"{data['classes'][b[4]]} {b[5]:.2f}", "-", COLOURS[1])
                    for b in data["drawn"][name][number]
                ]  # fmt: skip
                for (x0, y0, x1, y1), label, style, colour in marks:
                    place = (x0 * width, y0 * height)
                    side = ((x1 - x0) * width, (y1 - y0) * height)
                    axes.add_patch(
                        Rectangle(place, *side, fill=False, linestyle=style, edgecolor=colour, linewidth=1.5)
                    )
                    axes.text(place[0], place[1] - 0.4, label, color=colour, fontsize=7)
                axes.set(xticks=[], yticks=[], title=name if number == 0 else "")
        return _png(canvas)
