"""From a float network and images to an integer network."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict, Unpack, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from torch.export import ExportedProgram

from hdl.config import ChipConfig

from ..errors import SdannError
from ..finetune import FinetuneOptions, finetune
from ..float_model import FloatModel
from ..observers import Observer
from ..quantization import quantize as quantized
from ..quantization import quantize_input
from ..quantization.weights import WeightObserver
from ..recipe import options_for
from ..sparsity import with_sparsity
from ..torch_import import from_exported, from_torch
from .arguments import chip_of, images_of, labels_of, numbers_of
from .network import KEPT, Network

__all__ = ["Options", "quantize"]


class Options(TypedDict, total=False):
    """What a user can choose beside the chip; :class:`sdann.quantization.QuantizeOptions` says what they mean.

    ``weight_bits``: None takes the chip's.
    """

    time_steps: int
    weight_bits: int | None
    per_channel: bool
    weight_observer: WeightObserver
    observer: Observer
    percentile: float
    activations: Literal["unsigned", "signed"]
    bias: Literal["auto", "sum", "scaled"]
    input_signed: bool | None
    input_range: float | None
    out_bits: int
    raw: bool
    scaled: bool
    peak_images: int | None


def _checked(options: Mapping[str, Any]) -> None:
    """Raises SdannError for an option that there is not, or of another type."""
    known = get_type_hints(Options)
    for name, value in options.items():
        if name not in known:
            raise SdannError(f"there is no option {name!r}; the options are {', '.join(known)}")
        try:
            TypeAdapter(known[name]).validate_python(value, strict=True)
        except ValidationError as error:
            raise SdannError(f"option {name} = {value!r}: {error.errors()[0]['msg'].lower()}") from None


def _float_graph(model: Any, calibration: Any, name: str | None) -> FloatModel:
    if isinstance(model, FloatModel):
        return model
    if isinstance(model, ExportedProgram):
        return from_exported(model, name=name or "network")
    if isinstance(model, torch.nn.Module):
        shape = numbers_of(calibration, "calibration images").shape[1:]
        return from_torch(model, shape, name=name or type(model).__name__.lower())
    raise SdannError(
        f"the model must be a torch.nn.Module or a program of torch.export.export, not {type(model).__name__}"
    )


def quantize(
    model: "torch.nn.Module | ExportedProgram | FloatModel",
    calibration: Any,
    *,
    chip: ChipConfig | str = "darwin",
    name: str | None = None,
    labels: Any = None,
    finetuning: FinetuneOptions | None = None,
    rot: Mapping[str, int] | None = None,
    drlo: Mapping[str, int] | None = None,
    **options: Unpack[Options],
) -> Network:
    """The integer network of ``model``, with ranges from real images ``calibration`` [N, C, H, W], [N, C, L] or [N, F].

    ``model``: docs/bring-your-network.md lists what is taken. ``chip``: a configuration or a preset's name; it decides
    the widths that ``options`` do not. ``labels``: classes [N] of the images. ``finetuning``: train with the integers'
    values on them first; needs labels. ``rot``, ``drlo``: k or n by layer, see docs/numerics.md. The first few of
    the images stay with the network.

    Raises SdannError that names argument, layer and remedy (UnsupportedError for an operation, DoesNotFitError for a
    limit), ConfigError for an unknown preset.
    """
    _checked(options)
    config = chip_of(chip)
    chosen = options_for(config, **options)
    graph = _float_graph(model, calibration, name)
    images = images_of(calibration, graph.input_shape, "calibration images")
    classes = None if labels is None else labels_of(labels, len(images))
    if finetuning is not None:
        if classes is None:
            raise SdannError("fine-tuning needs labels, one integer per image")
        graph = finetune(graph, images, classes, chosen, finetuning)
    network, choices = quantized(graph, images, chosen)
    network = with_sparsity(network, rot=dict(rot or {}), drlo=dict(drlo or {}))
    return Network(
        graph=network, x=quantize_input(network, images[:KEPT]), chip=config, choices=choices, host=graph.host,
        labels=None if classes is None else classes[:KEPT],
    )  # fmt: skip
