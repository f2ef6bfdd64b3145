"""Results as tables for people."""

import dataclasses
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table

if TYPE_CHECKING:
    from sdann.cycles import CycleReport
    from sdann.mapper import ProgramImage
    from sdann.mapper.assessment import PassFit
    from sdann.quantization import QuantizeReport
    from sdann.results import Figure
    from sdann.stages import StageResult
    from sdann.validation import Validation
    from sim.campaign.summary import RunSummary
    from sim.formal.engine import Proof, Result
    from sim.traffic.sweep import Curve

__all__ = [
    "agreement_table", "campaign_text", "cycle_table", "export_table", "figure_text", "fit_rows", "fit_text",
    "layer_table", "load_table", "map_rows", "map_text", "proof_table", "quantize_table", "stage_text", "stages_table",
    "table", "validation_text", "zoo_table",
]  # fmt: skip

MOST_LISTED, MOST_COLUMNS = 8, 10
"""Cores that a row lists, and columns of a mesh that a table shows."""


def _table(title: str, *columns: str, left: int = 1) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right")
    return table


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> Table:
    """A table of text; the first ``left`` columns are flush left, the others flush right."""
    made = _table(title, *columns, left=left)
    for row in rows:
        made.add_row(*row)
    return made


def quantize_table(report: "QuantizeReport") -> Table:
    """What quantization chose, layer by layer."""
    table = _table(
        "Quantized layers",
        "layer",
        "scale",
        "bias",
        "bias bits eq. 9 / eq. 10",
        "|I(t)| at most",
        "V bits",
        "overflow",
        "k_e",
        "skip's error",
        "non-zero",
    )
    for layer in report.layers:
        table.add_row(
            layer.name, f"{layer.scale:.4g}", layer.bias_mode, f"{layer.bias_bits_sum} / {layer.bias_bits_scaled}",
            f"{layer.isum_bound:,}", str(layer.membrane_bits), layer.overflow,
            " ".join(map(str, layer.shifts)), "" if layer.skip_error is None else f"{layer.skip_error:.2%}",
            f"{layer.alive:.0%}",
        )  # fmt: skip
    return table


def map_rows(image: "ProgramImage") -> list[dict[str, Any]]:
    """Tiles, cores and memory use per layer."""
    from sdann.mapper import map_table

    rows = []
    for use in map_table(image):
        row = dataclasses.asdict(use)
        del row["sops"]  # a mapping has run nothing yet
        for memory in ("neuron_words", "weight_words", "edges", "routes"):
            row[memory] = {"used": row[memory][0], "available": row[memory][1]}
        rows.append(row)
    return rows


def map_text(image: "ProgramImage") -> list[RenderableType]:
    """The same as tables, with the mesh where it is narrow (``sdann map --picture`` draws any)."""
    from sdann.mapper import map_table, mesh_text

    used, available = len(image.cores), len(image.config.cores)
    title = f"{image.manifest.network} on chip {image.config.name!r}: {used} of {available} cores"
    table = _table(title, "layer", "shape", "tiles", "cores", "neuron words", "weight words", "edges", "routes", left=4)
    for use in map_table(image):
        memories = [f"{used} / {depth}" for used, depth in (use.neuron_words, use.weight_words, use.edges, use.routes)]
        few = use.cores if len(use.cores) <= MOST_LISTED else (*use.cores[: MOST_LISTED - 1], use.cores[-1])
        listed = [f"{y},{x}" for y, x in few]
        cores = " ".join(listed if few is use.cores else [*listed[:-1], "..", listed[-1], f"({len(use.cores)})"])
        shape = " x ".join(map(str, use.shape))
        table.add_row(use.layer, shape, f"{use.row_tiles} x {use.channel_tiles}", cores, *memories)
    if image.config.cols > MOST_COLUMNS:
        return [table]
    mesh = _table(
        "Mesh (x to the right, y upwards)", "y", *map(str, range(image.config.cols)), left=image.config.cols + 1
    )
    for y, row in reversed(list(enumerate(mesh_text(image)))):
        mesh.add_row(str(y), *(name or "-" for name in row))
    return [table, mesh]


def fit_rows(fits: Sequence["PassFit"]) -> list[dict[str, Any]]:
    """Fill, balance and traffic of each pass."""
    return [
        {
            "pass": fit.number, "cores": fit.cores, "method": fit.method, "window_cycles": fit.window,
            "busiest_over_mean_sops": fit.balance.ratio, "busiest_sops": fit.balance.busiest,
            "naive_busiest_sops": fit.naive_balance.busiest, "hops": fit.traffic.hops, "least_hops": fit.traffic.least,
            "naive_hops": None if fit.naive is None else fit.naive.hops,
            "layers": [
                {
                    "layer": row.layer, "from_host": row.source, "stage": row.stage, "rows": row.rows,
                    "columns": row.columns, "channels": row.channels, "parts": row.parts, "cores": row.cores,
                    "used": {name: {"used": a, "available": b} for name, (a, b) in row.used.items()},
                    "binds": row.binds, "sops": row.sops, "busiest_over_mean_sops": row.balance.ratio,
                    "load_cycles": row.load,
                }
                for row in fit.layers
            ],
        }
        for fit in fits
    ]  # fmt: skip


def fit_text(fits: Sequence["PassFit"]) -> list[RenderableType]:
    """The same as tables: the layers, then the passes."""
    layers = _table(
        "Layers: estimates per sample", "pass", "layer", "rows x columns x channels x parts", "cores", "binds", "full",
        "SOPs", "busiest / mean", "cycles", "of window", left=3,
    )  # fmt: skip
    for fit in fits:
        for row in fit.layers:
            used, available = row.used[row.binds]
            layers.add_row(
                str(fit.number), row.layer + (" (host)" if row.source and row.layer != "input" else ""),
                f"{row.rows} x {row.columns} x {row.channels} x {row.parts}", str(row.cores), row.binds,
                f"{used / max(1, available):.0%}", f"{row.sops:,.0f}", f"{row.balance.ratio:.2f}", f"{row.load:,.0f}",
                f"{row.load / fit.window:.0%}" if fit.window else "-",
            )  # fmt: skip
    passes = _table(
        "Passes: busiest core and traffic, beside the least possible and equal tiles in rows", "pass", "cores",
        "places", "window cycles", "busiest / mean SOPs", "busiest SOPs", "(naive)", "hops", "(least)", "(naive)",
        left=1,
    )  # fmt: skip
    for fit in fits:
        passes.add_row(
            str(fit.number), f"{fit.cores} / {fit.available}", fit.method, f"{fit.window:,.0f}",
            f"{fit.balance.ratio:.2f}", f"{fit.balance.busiest:,.0f}", f"{fit.naive_balance.busiest:,.0f}",
            f"{fit.traffic.hops:,.0f}", f"{fit.traffic.least:,.0f}",
            "-" if fit.naive is None else f"{fit.naive.hops:,.0f}",
        )  # fmt: skip
    return [layers, passes]


def validation_text(found: "Validation") -> Table:
    """Every layer's comparison."""
    title = (
        f"{found.network}: {found.samples} samples, {found.passes} pass(es), golden against the programs' tile model"
    )
    table = _table(title, "layer", "compared", "differ", "not zero", "SOPs", "SOPs differ")
    for row in found.layers:
        table.add_row(
            row.layer, f"{row.compared:,}", f"{row.different:,}", f"{row.alive:.0%}", f"{row.sops:,}",
            f"{row.sops - row.expected_sops:,}",
        )  # fmt: skip
    table.add_row("all", f"{sum(r.compared for r in found.layers):,}", f"{found.different:,}", "",
                  f"{sum(r.sops for r in found.layers):,}", "")  # fmt: skip
    return table


def _or_dash(value: int | float | None, form: str = ",") -> str:
    return "-" if value is None else format(value, form)


def layer_table(stages: Sequence["StageResult"]) -> Table:
    """Mismatches per layer and stage, and the golden's SOPs."""
    compared = [stage for stage in stages if stage.layers]
    table = _table("Layers: activations that differ", "layer", "compared", *(stage.name for stage in compared), "SOPs")
    found = [{row.layer: str(row.mismatches) for row in stage.layers} for stage in compared]
    for row in compared[0].layers:
        wrong = [layers.get(row.layer, "-") for layers in found]
        table.add_row(row.layer, f"{row.compared:,}", *wrong, f"{compared[0].layer_sops[row.layer]:,}")
    return table


def stage_text(stages: Sequence["StageResult"], image: "ProgramImage") -> list[RenderableType]:
    """A table of the stages and one of the layers."""
    return [stages_table(stages, len(image.cores)), layer_table(stages)]


def stages_table(stages: Sequence["StageResult"], cores: int) -> Table:
    """What each stage found."""
    table = _table(
        f"Stages: {stages[0].samples} samples, {cores} cores", "stage", "compared", "mismatches", "accuracy",
        "SOPs", "saturations", "cycles", "cycles / image",
    )  # fmt: skip
    for stage in stages:
        table.add_row(
            stage.name, _or_dash(stage.compared), _or_dash(stage.mismatches), _or_dash(stage.accuracy, ".2%"),
            _or_dash(stage.sops), _or_dash(stage.saturations), _or_dash(stage.cycles),
            _or_dash(None if stage.cycles is None else stage.cycles / stage.samples, ",.0f"),
        )  # fmt: skip
    return table


def cycle_table(report: "CycleReport") -> Table:
    """Predicted cycles per window of each layer's busiest core, and of the whole chip per sample."""
    table = _table(
        f"Predicted cycles per sample: {report.per_sample:,.0f}; their SOPs alone, at best: {report.bound:,.0f} "
        f"({report.bound / report.per_sample:.1%})",
        "layer", "cores", "busiest core", "BUSY", "emission", "passes", "pooling", "utilisation",
    )  # fmt: skip
    for row in report.by_layer():
        table.add_row(
            row.layer, str(row.cores), f"{row.busiest[0]},{row.busiest[1]}", f"{row.busy:,.0f}", f"{row.emit:,.0f}",
            f"{row.passes:,.0f}", f"{row.pool:,.0f}", f"{row.utilisation:.1%}",
        )  # fmt: skip
    return table


def figure_text(figures: Sequence["Figure"]) -> Table:
    """Figures and their bounds."""
    table = _table("Figures", "name", "value", "unit", "bound")
    for figure in figures:
        bound = "" if figure.bound is None else f"{figure.relation} {figure.bound:,g}"
        table.add_row(figure.name, f"{figure.value:,.4g}", figure.unit, bound)
    return table


def zoo_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The networks of the zoo."""
    table = _table(
        "Networks (parameters with BatchNorm folded)", "network", "task", "layers from", "input", "classes", "width",
        "layers", "parameters", "MACs", left=3,
    )  # fmt: skip
    for row in rows:
        table.add_row(
            row["network"], row["task"], row["source"], " x ".join(map(str, row["input_shape"])), str(row["classes"]),
            str(row["width"]), str(row["layers"]), f"{row['parameters']:,}", f"{row['macs']:,}",
        )  # fmt: skip
    return table


def agreement_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Golden and spiking models on whole networks."""
    models = " / ".join(rows[0]["different"])
    table = _table(
        "Golden and spiking models", "network", "weights", "inputs", "layers", "compared", f"differ: {models}",
        "least non-zero", "SOPs / sample", f"seconds: golden / {models}", "peak GiB", left=3,
    )  # fmt: skip
    for row in rows:
        peak = row["peak_memory_bytes"]
        table.add_row(
            row["network"], PurePath(row["weights"]).name, row["inputs"], str(len(row["layers"])),
            f"{row['compared']:,}", " / ".join(f"{count:,}" for count in row["different"].values()),
            f"{row['least_alive']:.1%} {row['least_alive_layer']}", f"{row['sops_per_sample']:,.0f}",
            " / ".join(f"{seconds:.1f}" for seconds in row["seconds"].values()),
            _or_dash(peak and peak / (1 << 30), ".2f"),
        )  # fmt: skip
    return table


def export_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Layers as ONNX operators, and how onnxruntime's results compare."""
    table = _table(
        "Integer network in onnxruntime", "layer", "activations", "integrates by", "accumulators", "differ",
        "activations", "differ", left=3,
    )  # fmt: skip
    for row in rows:
        counts = [
            f"{row[what][which]:,}" if what in row else "-"
            for which in ("accumulators", "activations")
            for what in ("compared", "different")
        ]
        table.add_row(row["layer"], " x ".join(map(str, row["shape"])), row["form"], *counts)
    return table


def load_table(curves: Sequence["Curve"]) -> Table:
    """Latency of synthetic traffic at each load, and what is accepted at full load."""
    loads = [point.offered / curves[0].bound for point in curves[0].points]
    table = _table(
        "Mean latency in cycles, by offered load as a share of the bound", "mesh", "pattern", "bound",
        *(f"{load:.0%}" for load in loads), "accepted at full load", "share", left=2,
    )  # fmt: skip
    for curve in curves:
        table.add_row(
            f"{curve.side} x {curve.side}", curve.pattern, f"{curve.bound:.4f}",
            *(f"{point.traffic.latency:.1f}" for point in curve.points), f"{curve.full.accepted:.4f}",
            f"{curve.share:.3f}",
        )  # fmt: skip
    return table


def proof_table(proofs: Sequence["Proof"], results: Sequence["Result"]) -> Table:
    """Proofs, what they say, and whether they hold."""
    made = _table("Proofs", "proof", "says", "method", "depth", "seconds", "holds", left=3)
    for proof, result in zip(proofs, results, strict=True):
        made.add_row(
            proof.name, proof.states, result.method, _or_dash(result.depth or None), f"{result.seconds:.1f}",
            "yes" if result.holds else "NO",
        )  # fmt: skip
    return made


def campaign_text(runs: Sequence["RunSummary"]) -> list[RenderableType]:
    """Every layer of a campaign's networks, then the networks."""
    layers = _table(
        "Tiles on the RTL, one by one", "network", "layer", "tiles", "done", "compared", "of", "differ", "tile-cycles",
        left=2,
    )  # fmt: skip
    for run in runs:
        for row in run.layers:
            layers.add_row(
                run.network, row.layer + (" (host)" if row.source and row.layer != "input" else ""), f"{row.cores:,}",
                f"{row.done:,}", f"{row.compared:,}", f"{row.activations:,}", f"{row.mismatches:,}", f"{row.cycles:,}",
            )  # fmt: skip
    networks = _table(
        "Networks", "network", "sample", "passes", "tiles", "done", "complete", "compared", "differ", "wrong tiles",
        "tile-cycles", "worker seconds", "jobs again", "given up", left=1,
    )  # fmt: skip
    for run in runs:
        networks.add_row(
            run.network, str(run.sample), f"{run.made} / {run.passes}", f"{run.cores:,}", f"{run.done:,}",
            "yes" if run.complete else "no", f"{run.compared:,}", f"{run.mismatches:,}", f"{len(run.problems):,}",
            f"{run.cycles:,}", f"{run.seconds:,.0f}", f"{run.retries:,}", f"{run.failed:,}",
        )  # fmt: skip
    return [layers, networks]
