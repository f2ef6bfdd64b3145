"""``sdann bench sim``: the fast models against float inference, SNN libraries and onnxruntime, in one run."""

import statistics
import tempfile
import time

import click

from .outcome import Outcome, command, progress
from .tables import figure_text

__all__ = ["bench_sim_command"]

STEPS = 8


@command("sim")
@click.option("--width", type=click.IntRange(1), default=256, show_default=True, help="Channels of CIFAR10Net.")
@click.option("--batch", type=click.IntRange(1), default=8, show_default=True, help="Images at a time.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True, help="Threads of every contestant.")
@click.option("--runs", type=click.IntRange(1, 100), default=5, show_default=True, help="Of each, in turn.")
def bench_sim_command(width: int, batch: int, threads: int, runs: int) -> Outcome:
    """Time the exact models on CIFAR10Net with seeded weights, calibrated on seeded noise.

    All contestants take the same images, one after the other, and again; medians count.
    """
    import numpy as np
    import torch

    from sdann.fast import IntegerNetwork, SpikingNetwork, rivals
    from sdann.quantization import QuantizeOptions, quantize, quantize_input
    from sdann.results import Figure, broken
    from sdann.torch_import import from_torch
    from sdann.zoo import build

    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    seconds: dict[str, list[float]] = {}
    try:
        with progress() as steps, tempfile.TemporaryDirectory() as folder:
            with steps.step("quantize"), torch.random.fork_rng():
                torch.manual_seed(0)
                module = build("cifar10net", width=width).eval()
                images = np.random.default_rng(0).random((batch, 3, 32, 32), dtype=np.float32)
                model = from_torch(module, (3, 32, 32), name="cifar10net")
                network, _ = quantize(model, images[:2], QuantizeOptions(time_steps=STEPS, peak_images=0))
                x = quantize_input(network, images)
                integer, spiking = IntegerNetwork(network), SpikingNetwork(network)
                calls: dict[str, rivals.Call] = {
                    "integer": lambda: integer.run(x, record=()),
                    "torch_float": rivals.float_torch(module, images),
                    "spiking": lambda: spiking.run(x),
                    "snntorch": rivals.snntorch_lif(module, images, STEPS),
                    "spikingjelly": rivals.spikingjelly_lif(module, images, STEPS),
                    "onnxruntime_int8": rivals.onnx_int8(model, images, threads, folder),
                }
            with steps.step("compare"):
                exact, spikes = integer.run(x).activations, spiking.run(x).activations
                different = sum(int((exact[name] != spikes[name]).sum()) for name in exact)
            advance = steps.bar("contestants")
            for number in range(runs + 1):
                for name, call in calls.items():
                    started = time.perf_counter()
                    call()
                    if number:  # the first one only warms up
                        seconds.setdefault(name, []).append(time.perf_counter() - started)
                advance(number + 1, runs + 1)
    finally:
        torch.set_num_threads(threads_before)

    def ratio(slow: str, fast: str) -> float:
        return statistics.median(a / b for a, b in zip(seconds[slow], seconds[fast], strict=True))

    library = min(("snntorch", "spikingjelly"), key=lambda name: statistics.median(seconds[name]))
    figures = [
        Figure(name="differing_activations", value=different, unit="", bound=0, relation="=="),
        Figure(name="integer_vs_torch_float", value=ratio("torch_float", "integer"), unit="x", bound=1.5),
        Figure(name="spiking_vs_snn_library", value=ratio(library, "spiking"), unit="x", bound=3),
        *(
            Figure(name=f"{name}_images_per_second", value=batch / statistics.median(times), unit="images/s")
            for name, times in seconds.items()
        ),
    ]
    text = (
        f"CIFAR10Net, {width} channels, seeded weights, calibrated on seeded noise: batch {batch}, {threads} threads, "
        f"T = {STEPS}, {integer.backends[0]} products; the faster SNN library is {library}"
    )
    return Outcome(
        data={
            "figures": [figure.as_dict() for figure in figures], "runs": runs, "batch": batch, "threads": threads,
            "width": width, "backend": integer.backends[0], "library": library, "seconds": seconds,
        },
        text=[text, figure_text(figures)], failures=broken(figures),
    )  # fmt: skip
