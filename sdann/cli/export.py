"""``sdann export``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sdann.atomic import atomic

from .options import OUT_FILE, source_options
from .outcome import Outcome, command, progress

if TYPE_CHECKING:
    from sdann.graph import QuantizedNetwork

__all__ = ["export_command"]


def _write_nir(network: "QuantizedNetwork", path: Path) -> dict[str, Any]:
    from sdann.nir_export import save_nir

    with atomic(path) as temporary:
        nodes = save_nir(network, temporary)
    return {"nir": str(path), "nir_nodes": nodes}


def _nir_text(data: dict[str, Any]) -> str:
    return f"{data['nir_nodes']:,} nodes of NIR; wrote {data['nir']}"


@command("export")
@click.argument("what", metavar="NETWORK")
@click.option("--onnx", "onnx_file", metavar="FILE", type=OUT_FILE, help="The ONNX file to write.")
@click.option("--nir", "nir_file", metavar="FILE", type=OUT_FILE, help="The NIR file to write; needs the extra nir.")
@source_options(samples=2, what="Inputs to run in onnxruntime and compare with the golden model; 0: only write.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of onnxruntime.")
def export_command(
    what: str, onnx_file: Path | None, nir_file: Path | None, samples: int, data: str | None, calibration: int,
    seed: int, threads: int,
) -> Outcome:  # fmt: skip
    """Write NETWORK as an ONNX model of integer operators, and judge it; or as a graph of NIR.

    Runs the ONNX model in onnxruntime and compares every accumulator and activation with the golden model. NETWORK is
    a file of `sdann quantize`, weights of `sdann train`, or a name of `sdann zoo`.
    """
    if onnx_file is None and nir_file is None:
        raise click.UsageError("say what to write: --onnx FILE, --nir FILE, or both")
    from sdann.network_source import open_source
    from sdann.onnx_export import OPSET, STAGE, compare_with_onnxruntime, export_network

    from .tables import export_table

    with progress() as steps:
        with steps.step("network"):
            source = open_source(what, samples=max(samples, 1), data=data, calibration=calibration, seed=seed)
        network = source.network
        nir_data: dict[str, Any] = {}
        if nir_file is not None:
            with steps.step("NIR"):
                nir_data = _write_nir(network, nir_file)
        if onnx_file is None:
            return Outcome(
                data={"network": network.name, "source": source.about, "samples": 0, **nir_data},
                text=[_nir_text(nir_data)],
            )  # fmt: skip
        with steps.step("export"):
            exported = export_network(network)
            with atomic(onnx_file) as temporary:
                exported.save(temporary)
        rows = []
        if samples:
            with steps.step(f"golden, {STAGE}"):
                rows = compare_with_onnxruntime(network, source.x, exported=exported, threads=threads)
    wrong = [row for row in rows if row.mismatches]
    layers: list[dict[str, Any]] = []
    for number, (layer, made) in enumerate(zip(network.layers, exported.layers, strict=True)):
        row: dict[str, Any] = {
            "layer": layer.name, "shape": list(layer.output_shape), "form": made.form, "accumulator": made.accumulator,
            "activation": made.activation,
        }  # fmt: skip
        if samples:
            sums, activations = rows[2 * number : 2 * number + 2]
            row["compared"] = {"accumulators": sums.compared, "activations": activations.compared}
            row["different"] = {"accumulators": sums.mismatches, "activations": activations.mismatches}
        layers.append(row)
    size = onnx_file.stat().st_size
    text = f"{source.about}; {exported.nodes:,} operators of opset {OPSET}; wrote {onnx_file}, {size:,} bytes"
    return Outcome(
        data={
            "network": network.name, "source": source.about, "samples": samples, "opset": OPSET,
            "operators": exported.nodes, "bytes": size, "compared": sum(row.compared for row in rows),
            "different": sum(row.mismatches for row in rows), "layers": layers, "out": str(onnx_file), **nir_data,
        },
        text=[export_table(layers), text, *([_nir_text(nir_data)] if nir_data else [])],
        failures=[f"{row.mismatches} of {row.compared} differ; the first: {row.first}" for row in wrong],
    )  # fmt: skip
