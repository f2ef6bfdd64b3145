"""Why a run failed, in words: what the chip's error code means, which registers say so, and what to do."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from hdl.host import PROGRAM_VERSION, ErrorCode, Register
from hdl.program import Counter, Memory
from hdl.registers import register_map

from .program import out_of_range

if TYPE_CHECKING:
    from .driver import ChipDriver

__all__ = ["explain"]


async def explain(driver: "ChipDriver", error: ErrorCode, missing: int) -> str:
    """Cause and remedy of ``error``; may read registers and counters of the failed chip."""
    explanation = _EXPLANATIONS.get(error)
    if explanation is None:
        return f"error {error.name}"
    return await explanation(driver, missing)


async def _watchdog(driver: "ChipDriver", missing: int) -> str:
    return (
        f"the step did not end within {driver.step_limit} cycles (register WATCHDOG): raise the limit, or look for the "
        "tile that is busy"
    )


async def _readout(driver: "ChipDriver", missing: int) -> str:
    return (
        f"{missing} of {driver.readout_flits} read-out flits did not arrive (register READOUT_FLITS), "
        f"expected from tiles {driver.readout_cores}"
    )


async def _settings(driver: "ChipDriver", missing: int) -> str:
    names = (Register.STEPS, Register.STAGES, Register.PARTS, Register.READOUT_FLITS)
    ranges = "; ".join(register_map(driver.config)[name].meaning.rstrip(".") for name in names)
    declared = ", ".join(f"{name.name} = {driver.written[name]}" for name in names if name in driver.written)
    return (
        f"a setting is out of the chip's range: the driver wrote {declared}; STEPS, STAGES, PARTS, READOUT_FLITS are: "
        f"{ranges}. Map the network again for this chip"
    )


async def _version(driver: "ChipDriver", missing: int) -> str:
    found = await driver.get(Register.PROGRAM_VERSION)
    return (
        f"register PROGRAM_VERSION declares program version {found}, the chip runs version {PROGRAM_VERSION}: map the "
        "network again with the tools that the chip was made with"
    )


async def _checksum(driver: "ChipDriver", missing: int) -> str:
    loaded, declared = await driver.get(Register.LOADED_CHECKSUM), await driver.get(Register.PROGRAM_CHECKSUM)
    return (
        f"program words were changed on their way: register LOADED_CHECKSUM is {loaded:#010x}, PROGRAM_CHECKSUM "
        f"declares {declared:#010x}. Load the program again; if that does not help, check the link to the chip"
    )


async def _program(driver: "ChipDriver", missing: int) -> str:
    loaded, declared = await driver.get(Register.LOADED_FLITS), await driver.get(Register.PROGRAM_FLITS)
    if loaded != declared:
        return (
            f"program words were {'lost' if loaded < declared else 'sent twice'}: register LOADED_FLITS counts "
            f"{loaded} flits, PROGRAM_FLITS declares {declared}. Load the program again"
        )
    faults = out_of_range(driver.image)
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        return f"a core refuses its program: {faults[0]}{more}. Map the network again for this chip"
    rejecting = []
    for core in driver.config.cores:
        if (await driver.read_words(core, Memory.COUNTER, [Counter.REJECTED.value]))[0]:
            rejecting.append(core)
    where = f"; flits were rejected in tiles {rejecting}" if rejecting else ""
    return (
        "a core refused a WRITE flit: no such memory or address, or the chunks of a word out of order"
        f"{where}. Load the program again, each word's chunks in order"
    )


async def _sample(driver: "ChipDriver", missing: int) -> str:
    return (
        "a sample was cut short, or too long: it did not have the "
        f"{driver.written.get(Register.SAMPLE_FLITS)} flits that register SAMPLE_FLITS declares. Start again and send "
        "whole samples"
    )


async def _protocol(driver: "ChipDriver", missing: int) -> str:
    return (
        "the host sent a word that it must not send: an unknown operation, a flit that is no WRITE or READ to a core, "
        "a sample flit that writes no activations, or a SET of a register that cannot be written. "
        f"Register STRAY counts {await driver.get(Register.STRAY)}. Load the program again"
    )


async def _framing(driver: "ChipDriver", missing: int) -> str:
    return (
        "a host word was cut short: TLAST or a missing byte (TKEEP) in the middle of a word. Send whole words, of "
        f"{-(-driver.word_bits // 8)} bytes padded to the port's width, then load the program again"
    )


_EXPLANATIONS: dict[ErrorCode, Callable[["ChipDriver", int], Awaitable[str]]] = {
    ErrorCode.WATCHDOG: _watchdog, ErrorCode.READOUT: _readout, ErrorCode.SETTINGS: _settings,
    ErrorCode.VERSION: _version, ErrorCode.CHECKSUM: _checksum, ErrorCode.PROGRAM: _program,
    ErrorCode.SAMPLE: _sample, ErrorCode.PROTOCOL: _protocol, ErrorCode.FRAMING: _framing,
}  # fmt: skip
