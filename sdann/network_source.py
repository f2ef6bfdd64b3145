"""What a user can name as a network: a file of an integer network or of trained weights, a quantized ONNX model, or a
network of the zoo.
"""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from .graph import IntArray, QuantizedNetwork
from .network_file import load_network
from .recipe import samples_for
from .training.weights import FORMAT as FLOAT_FORMAT
from .zoo import NETWORKS
from .zoo_network import zoo_network

__all__ = ["NetworkSource", "open_source"]


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkSource:
    """``network`` with inputs ``x`` for it, int64 [N, C, H, W]. ``about``: where both are from, for people."""

    network: QuantizedNetwork
    x: IntArray
    labels: IntArray | None
    about: str


def _is_trained(path: Path) -> bool:
    try:
        with safe_open(path, framework="numpy") as file:
            return (file.metadata() or {}).get("format") == FLOAT_FORMAT
    except (SafetensorError, OSError):
        return False


def open_source(
    what: str, *, samples: int, seed: int = 0, data: str | None = None, calibration: int = 8
) -> NetworkSource:
    """The network that ``what`` names, and ``samples`` inputs.

    A file of ``sdann quantize`` runs on test digits if it takes them, else on random inputs. A file of ``sdann train``,
    or a name of the zoo (with seeded weights), is quantized with ``calibration`` images of ``data``, see
    :func:`sdann.zoo_network.zoo_network`. An ONNX model that is quantized already is taken as it is. Raises SdannError.
    """
    path = Path(what)
    if path.suffix == ".onnx":
        from .onnx_import.samples import load_quantized  # onnx takes a second to load

        network = load_quantized(path)
        x, labels = samples_for(network, samples, seed)
        return NetworkSource(network=network, x=x, labels=labels, about=f"integers of {what}")
    if (not path.is_file() and what in NETWORKS) or _is_trained(path):
        made = zoo_network(what, data=data, samples=samples, calibration=calibration, seed=seed)
        about = f"{made.network.name}, weights {made.weights}, inputs {made.inputs}"
        return NetworkSource(network=made.network, x=made.x, labels=None, about=about)
    network = load_network(path)
    x, labels = samples_for(network, samples, seed)
    return NetworkSource(network=network, x=x, labels=labels, about=f"{network.name} of {what}")
