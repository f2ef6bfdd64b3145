"""The PLL of a Lattice ECP5 (EHXPLLL): one output from one input clock.

By hand in Verilog, because place and route reads its attributes, which generated text does not carry.
"""

from dataclasses import dataclass

__all__ = ["PLL_MODULE", "PllSettings", "pll_settings", "pll_verilog"]

PLL_MODULE = "sdann_pll"

_PHASE_DETECTOR = (3.125, 400.0)  # MHz, allowed range of input / CLKI_DIV
_OSCILLATOR = (400.0, 800.0)  # MHz


@dataclass(frozen=True)
class PllSettings:
    """Dividers: oscillator = input / ``input_div`` * ``feedback_div`` * ``output_div``, output = that / output_div."""

    input_div: int
    feedback_div: int
    output_div: int
    mhz: float


def pll_settings(input_mhz: float, wanted_mhz: float) -> PllSettings:
    """Settings for the output frequency nearest to ``wanted_mhz`` that is not above it.

    Raises ValueError where there is none.
    """
    best: PllSettings | None = None
    for input_div in range(1, 129):
        reference = input_mhz / input_div
        if not _PHASE_DETECTOR[0] <= reference <= _PHASE_DETECTOR[1]:
            continue
        feedback_div = min(80, int(wanted_mhz / reference + 1e-9))
        if feedback_div < 1:
            continue
        mhz = reference * feedback_div
        # As high as the oscillator goes: less jitter.
        output_div = min(128, int(_OSCILLATOR[1] / mhz))
        if output_div < 1 or mhz * output_div < _OSCILLATOR[0]:
            continue
        if best is None or mhz > best.mhz + 1e-9:
            best = PllSettings(input_div, feedback_div, output_div, mhz)
    if best is None:
        raise ValueError(f"the PLL cannot make {wanted_mhz} MHz from {input_mhz} MHz")
    return best


def pll_verilog(settings: PllSettings, *, input_mhz: float) -> str:
    """Module :data:`PLL_MODULE`: clock ``i`` to clock ``o``; ``locked`` when ``o`` has its frequency."""
    s = settings
    return f"""\
module {PLL_MODULE}(input i, output o, output locked);
  (* FREQUENCY_PIN_CLKI="{input_mhz:g}", FREQUENCY_PIN_CLKOP="{s.mhz:g}" *)
  (* ICP_CURRENT="12", LPF_RESISTOR="8", MFG_ENABLE_FILTEROPAMP="1", MFG_GMCREF_SEL="2" *)
  EHXPLLL #(
    .PLLRST_ENA("DISABLED"), .INTFB_WAKE("DISABLED"), .STDBY_ENABLE("DISABLED"), .DPHASE_SOURCE("DISABLED"),
    .OUTDIVIDER_MUXA("DIVA"), .OUTDIVIDER_MUXB("DIVB"), .OUTDIVIDER_MUXC("DIVC"), .OUTDIVIDER_MUXD("DIVD"),
    .CLKI_DIV({s.input_div}), .CLKFB_DIV({s.feedback_div}), .FEEDBK_PATH("CLKOP"),
    .CLKOP_ENABLE("ENABLED"), .CLKOP_DIV({s.output_div}), .CLKOP_CPHASE({s.output_div // 2}), .CLKOP_FPHASE(0)
  ) pll (
    .RST(1'b0), .STDBY(1'b0), .CLKI(i), .CLKOP(o), .CLKFB(o), .CLKINTFB(),
    .PHASESEL0(1'b0), .PHASESEL1(1'b0), .PHASEDIR(1'b1), .PHASESTEP(1'b1), .PHASELOADREG(1'b1),
    .PLLWAKESYNC(1'b0), .ENCLKOP(1'b0), .LOCK(locked)
  );
endmodule
"""
