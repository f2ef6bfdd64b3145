"""What the quantizer can be told, and what it tells."""

from dataclasses import dataclass
from typing import Literal

from ..check import MAX_OUT_BITS
from ..errors import SdannError
from ..graph import BiasMode
from ..observers import Observer
from .weights import WeightObserver

__all__ = ["LayerReport", "Overflow", "QuantizeOptions", "QuantizeReport"]

Overflow = Literal["impossible", "unlikely", "expected", "unknown"]


@dataclass(frozen=True, kw_only=True)
class QuantizeOptions:
    """How to quantize. Widths in bits; those of the target chip limit what the quantizer accepts.

    ``time_steps`` T: bits of input and activations. ``weight_bits``: of weights, 2..8. ``per_channel``: a weight scale
    per output channel instead of per layer. ``weight_observer``: how it is chosen, see
    :func:`sdann.quantization.weights.edge_weights`. ``observer``, ``percentile``: of activations, see
    :meth:`sdann.observers.Statistics.range`. ``activations``: "unsigned" 0..2^T-1, or "signed" [0, 2^(T-1)-1].
    ``bias``: "sum" (eq. 9), "scaled" (eq. 10), or "auto": eq. 10 where eq. 9's bias exceeds ``bias_bits``.
    ``input_signed``: None takes what the calibration images need. ``input_range``: the input's largest magnitude, None
    takes the images'. ``out_bits``: of a last layer without ReLU, 2..16. ``raw``: such a layer's output is its
    accumulator instead, to which the host adds the bias. ``scaled``: scaled integration into the membrane of
    ``membrane_bits`` (always with eq. 10's bias). ``max_edge_shift``: largest k_e. ``peak_images``: how many
    calibration images the integer network is run on for V_max and the report; None: as many as take a bounded time, 0:
    none.
    """

    time_steps: int = 8
    weight_bits: int = 8
    per_channel: bool = False
    weight_observer: WeightObserver = "minmax"
    observer: Observer = "minmax"
    percentile: float = 99.9
    activations: Literal["unsigned", "signed"] = "unsigned"
    bias: Literal["auto", "sum", "scaled"] = "auto"
    input_signed: bool | None = None
    input_range: float | None = None
    out_bits: int = 8
    raw: bool = False
    membrane_bits: int = 32
    scaled: bool = False
    bias_bits: int = 16
    mult_bits: int = 16
    max_shift: int = 31
    max_edge_shift: int = 7
    isum_bits: int = 24
    peak_images: int | None = None

    def check(self) -> None:
        """Raises SdannError for values that exclude each other or that no integer network can have."""
        for field, low, high in (
            ("time_steps", 2, 16), ("weight_bits", 2, 16), ("out_bits", 2, MAX_OUT_BITS), ("max_edge_shift", 0, 15),
        ):  # fmt: skip
            value = getattr(self, field)
            if not low <= value <= high:
                raise SdannError(f"{field} must be {low}..{high}, not {value}")
        if self.scaled and self.bias == "sum":
            raise SdannError('scaled integration needs eq. 10\'s bias: use bias="scaled" or "auto"')
        if self.scaled and self.peak_images == 0:
            raise SdannError("scaled integration needs V_max from calibration: let peak_images be at least 1")

    @property
    def levels(self) -> int:
        """Largest activation."""
        return (1 << self.time_steps - (self.activations == "signed")) - 1


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """What quantization chose for one layer.

    ``scale``: real value of one unit of its activations. ``bias_bits_sum``, ``bias_bits_scaled``: bits that eq. 9's
    and eq. 10's bias need. ``shifts``: k_e of its edges. ``skip_error``: largest relative error of an identity edge's
    weight beside other edges; None without one. ``isum_bound``: worst-case |I(t)|. ``membrane_bits``: width that no
    input can saturate. ``membrane_peak``: largest |V(t)| on the calibration set, in units of the unscaled sum; None
    where the integer network was not run. ``overflow``: of the network's membrane. ``alive``: share of non-zero
    activations.
    """

    name: str
    scale: float
    bias_mode: BiasMode
    bias_bits_sum: int
    bias_bits_scaled: int
    shifts: tuple[int, ...]
    skip_error: float | None
    isum_bound: int
    membrane_bits: int
    membrane_peak: int | None
    overflow: Overflow
    alive: float


@dataclass(frozen=True, kw_only=True)
class QuantizeReport:
    """One entry per layer, in graph order."""

    layers: tuple[LayerReport, ...]
