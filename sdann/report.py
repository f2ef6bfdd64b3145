"""The demonstration's report: one HTML file that needs nothing else, and the same results as JSON."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

from .atomic import atomic
from .demo import DemoResult
from .mapper import map_table
from .plots import accuracy_plot, busy_plot, layer_plot, mesh_plot
from .results import json_text

__all__ = ["html_report", "write_report"]

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>SDANN: $network on chip $chip</title>
<style>
body { font: 15px/1.5 sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: right; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
img { max-width: 100%; margin: .5rem 0 1rem; }
.verdict { padding: .6rem 1rem; border-left: .4rem solid $colour; background: #f6f6f6; }
</style>
</head>
<body>
<h1>$network on chip $chip</h1>
<p class="verdict">$verdict</p>
$body
</body>
</html>
""")


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    def line(tag: str, cells: Iterable[object]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    return "<table>\n" + "\n".join([line("th", head), *(line("td", row) for row in rows)]) + "\n</table>"


def _number(value: float | None, form: str = ",") -> str:
    return "-" if value is None else format(value, form)


def _picture(png: bytes, alt: str) -> str:
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def html_report(result: DemoResult, plots: dict[str, bytes]) -> str:
    """The report as one HTML page; ``plots``: PNG bytes by name, as of :func:`write_report`."""
    data, image = result.data, result.image
    compared = [stage for stage in result.stages if stage.layers]
    stages = _table(
        ("stage", "samples", "compared", "mismatches", "accuracy", "SOPs", "saturations", "cycles", "cycles per image"),
        (
            (
                s.name, s.samples, _number(s.compared), _number(s.mismatches), _number(s.accuracy, ".2%"),
                _number(s.sops), _number(s.saturations), _number(s.cycles),
                _number(None if s.cycles is None else s.cycles / s.samples, ",.0f"),
            )
            for s in result.stages
        ),
    )  # fmt: skip
    layers = _table(
        ("layer", "compared", *(s.name for s in compared), "SOPs"),
        (
            (
                row.layer, f"{row.compared:,}", *(s.layers[n].mismatches for s in compared),
                f"{compared[0].layer_sops[row.layer]:,}",
            )
            for n, row in enumerate(compared[0].layers)
        ),
    )  # fmt: skip
    figures = _table(
        ("figure", "value", "unit", "bound"),
        (
            (f.name, f"{f.value:,.4g}", f.unit, "" if f.bound is None else f"{f.relation} {f.bound:,g}")
            for f in result.figures
        ),
    )
    chosen = _table(
        ("layer", "scale", "bias", "bias bits eq. 9 / eq. 10", "safe V bits", "overflow", "non-zero"),
        (
            (
                q.name, f"{q.scale:.4g}", q.bias_mode, f"{q.bias_bits_sum} / {q.bias_bits_scaled}", q.membrane_bits,
                q.overflow, f"{q.alive:.0%}",
            )
            for q in result.quantized.layers
        ),
    )  # fmt: skip
    use = _table(
        ("layer", "shape", "row x channel tiles", "cores", "neuron words", "weight words", "edges", "routes"),
        (
            (
                u.layer, " x ".join(map(str, u.shape)), f"{u.row_tiles} x {u.channel_tiles}", len(u.cores),
                *(f"{used} / {depth}" for used, depth in (u.neuron_words, u.weight_words, u.edges, u.routes)),
            )
            for u in map_table(image)
        ),
    )  # fmt: skip
    total = sum(stage.compared or 0 for stage in result.stages)
    verdict = f"All models agree: {total:,} activations compared, none differs." if not result.failures else (
        "<br>".join(escape(line) for line in result.failures)
    )  # fmt: skip
    body = [
        f"<p>T = {data['time_steps']} time steps, membranes of {data['membrane_bits']} bits, "
        f"{'scaled' if data['scaled'] else 'exact'} integration, RTL simulated by {data['simulator']}; "
        f"{data['seconds']} s.</p>",
        "<h2>Stages</h2>", stages, _picture(plots["accuracy"], "accuracy per stage"),
        "<h2>Layers: activations that differ</h2>", layers, _picture(plots["layers"], "spikes and SOPs per layer"),
        "<h2>Figures</h2>", figures, "<h2>On the chip</h2>", _picture(plots["mesh"], "the mesh"), use,
        _picture(plots["busy"], "busy cycles per core"), "<h2>Quantization</h2>", chosen,
    ]  # fmt: skip
    return _PAGE.substitute(
        network=escape(data["network"]), chip=escape(data["preset"]), body="\n".join(body), verdict=verdict,
        colour="#b03030" if result.failures else "#2f855a",
    )  # fmt: skip


def write_report(result: DemoResult, out: Path) -> Path:
    """Writes ``report.html``, ``report.json`` and ``plots/*.png`` into ``out``; returns the HTML file."""
    plots = {
        "accuracy": accuracy_plot(result.stages, result.figures),
        "layers": layer_plot(result.network, result.golden),
        "mesh": mesh_plot(result.image),
        "busy": busy_plot(result.image, result.run),
    }
    for name, png in plots.items():
        with atomic(out / "plots" / f"{name}.png") as path:
            path.write_bytes(png)
    with atomic(out / "report.json") as path:
        path.write_text(json_text(result.data) + "\n")
    page = out / "report.html"
    with atomic(page) as path:
        path.write_text(html_report(result, plots))
    return page
