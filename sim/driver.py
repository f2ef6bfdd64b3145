"""The chip's driver: speaks the host protocol of :mod:`hdl.host`, whatever moves the words.

The same code drives the chip in Amaranth's simulator and, under cocotb, in Verilator and Icarus; a
:class:`sim.host_port.WordPort` moves the words in each.
"""

from collections.abc import Sequence

import numpy as np

from hdl.config import ChipConfig
from hdl.flit import FlitKind
from hdl.host import (
    PROGRAM_VERSION,
    Control,
    ErrorCode,
    HostOp,
    HostOut,
    HostTag,
    PauseMode,
    Register,
    RunState,
    StatusWord,
    host_in_bits,
)
from hdl.pack import fields, unpack
from hdl.program import Memory, chunks_of
from sdann.errors import ChipError
from sdann.graph import IntArray
from sdann.mapper import ProgramImage
from sdann.mapper.samples import Inputs

from .complaints import explain
from .host_port import WordPort
from .program import Core, HostWords, checksum, program_words

__all__ = ["ChipDriver", "ChipError", "ChipTimeoutError", "Core"]

START, RESUME, STOP = Control.START.value, Control.RESUME.value, Control.STOP.value
POLL_CYCLES = 32


class ChipTimeoutError(ChipError):
    """An answer did not come within the allowed number of cycles."""


class ChipDriver:
    """Loads a program image, sends samples, reads results.

    ``answer_limit``: cycles without any movement after which an answer counts as missing. ``step_limit``: the chip's
    own watchdog, cycles per step.
    """

    def __init__(
        self, port: WordPort, image: ProgramImage, *, answer_limit: int = 20_000, step_limit: int = 1_000_000
    ) -> None:
        self.port = port
        self.image = image
        self.config: ChipConfig = image.config
        self.answer_limit = answer_limit
        self.step_limit = step_limit
        self.words = HostWords(self.config)
        self._out = HostOut(self.config)
        self._out_fields = fields(self._out)
        self._status = StatusWord(self.config)
        self.written: dict[Register, int] = {}
        """The last value written to each register."""
        self.readouts: list[dict[str, int]] = []
        """Read-out payloads that arrived and were not asked for by a READ: the last layer's results."""

    @property
    def stages(self) -> int:
        """Pipeline stages after the input."""
        return self.image.manifest.registers.STAGES

    @property
    def readout_flits(self) -> int:
        """Read-out flits of one sample."""
        return self.image.manifest.registers.READOUT_FLITS

    @property
    def word_bits(self) -> int:
        """Width of a host word."""
        return host_in_bits(self.config)

    @property
    def readout_cores(self) -> list[Core]:
        """Tiles that send the read-out."""
        output = self.image.output_layer
        return [] if output is None else [(core.y, core.x) for core in self.image.holders(output.name)]

    # -- registers ------------------------------------------------------------------------------

    def set(self, register: Register, value: int) -> None:
        """Writes a register (in order with everything else that is sent)."""
        self.written[register] = value
        self.port.send([self.words.word(HostOp.SET, register__address=register, register__value=value)])

    async def get(self, register: Register) -> int:
        """Reads a register. Read-outs that arrive meanwhile are kept in :attr:`readouts`."""
        self.port.send([self.words.word(HostOp.GET, register__address=register)])
        while True:
            word = await self._receive(f"register {register.name}")
            if word["tag"] == HostTag.REGISTER.value:
                if word["payload.register.address"] != register.value:
                    raise ChipError(
                        f"asked for register {register.name}, got number {word['payload.register.address']}"
                    )
                return word["payload.register.value"]
            self._keep_readout(word)

    async def status(self) -> tuple[RunState, ErrorCode, int, int]:
        """Run state, error code, step, and the number of read-out flits still missing."""
        values = unpack(self._status, await self.get(Register.STATUS))
        return RunState(values["state"]), ErrorCode(values["error"]), values["step"], values["readout_missing"]

    async def _receive(self, what: str) -> dict[str, int]:
        word = await self.port.receive(self.answer_limit)
        if word is None:
            raise ChipTimeoutError(f"no answer and no movement for {self.answer_limit} cycles: {what}")
        return unpack(self._out, word, self._out_fields)

    def _keep_readout(self, word: dict[str, int]) -> None:
        prefix = "payload.readout."
        self.readouts.append({k[len(prefix) :]: v for k, v in word.items() if k.startswith(prefix)})

    # -- memories -------------------------------------------------------------------------------

    async def read_words(self, core: Core, memory: Memory, addresses: Sequence[int]) -> list[int]:
        """Memory words of one core. The run must be stopped, paused, failed or waiting for a sample."""
        count, width = chunks_of(self.config, memory), self.config.data_bits
        self.port.send(self.words.memory_flit(HostOp.FLIT, core, FlitKind.READ, memory, a) for a in addresses)
        words = []
        for address in addresses:
            value = 0
            for _ in range(count):
                what = f"memory {memory.name}, word {address} of the core in tile {core}"
                word = await self._receive(what)
                values = {k.removeprefix("payload.readout."): v for k, v in word.items()}
                source = (values["src_y"], values["src_x"])
                if word["tag"] != HostTag.READOUT.value or (source, values["mem"], values["addr"]) != (
                    core, memory.value, address,
                ):  # fmt: skip
                    raise ChipError(f"asked for {what}, got an answer from tile {source}: {values}")
                value |= values["data"] << (values["chunk"] * width)
            words.append(value)
        return words

    # -- program and run ------------------------------------------------------------------------

    async def load(self) -> None:
        """Checks that the chip is the one that the image was made for, then writes program and settings.

        Raises :class:`ChipError` when the chip refuses a word.
        """
        identity = await self.get(Register.CONFIG_ID)
        if identity != self.config.fingerprint:
            raise ChipError(
                f"the image is for chip configuration {self.config.fingerprint:#010x} ({self.config.name}), "
                f"this chip is {identity:#010x}; map the network again for this chip"
            )
        self.set(Register.CONTROL, Control.LOAD.value)
        words = list(program_words(self.image))
        self.port.send(words)
        sample_flits = chunks_of(self.config, Memory.ACT) * sum(
            self.image.word_count((core.y, core.x), Memory.ACT)
            for layer in self.image.sources
            for core in self.image.holders(layer.name)
        )
        for register, value in {
            Register.PROGRAM_VERSION: PROGRAM_VERSION,
            Register.PROGRAM_FLITS: len(words),
            Register.PROGRAM_CHECKSUM: checksum(self.config, words),
            Register.SAMPLE_FLITS: sample_flits,
            Register.STEPS: self.image.time_steps,
            Register.STAGES: self.stages,
            Register.READOUT_FLITS: self.readout_flits,
            Register.PARTS: self.image.manifest.registers.PARTS,
            Register.WATCHDOG: self.step_limit,
        }.items():
            self.set(register, value)
        await self.check()

    async def start(self, pause: PauseMode = PauseMode.NONE) -> None:
        """Checks the program, clears the chip's state and starts a run; raises :class:`ChipError` when the chip
        refuses.
        """
        self.set(Register.PAUSE, pause.value)
        self.set(Register.CONTROL, START)
        await self._cleared()
        self.readouts.clear()  # of an earlier run

    async def reset(self) -> None:
        """Brings the chip back to its state after power-up (memories excepted), whatever it was doing."""
        self.set(Register.CONTROL, Control.RESET.value)
        await self._cleared()
        self.readouts.clear()

    async def _cleared(self) -> None:
        for _ in range(self.step_limit):
            if await self.check() != RunState.CLEARING:
                return
            await self.port.wait(POLL_CYCLES)
        raise ChipTimeoutError(f"the chip is still being cleared after {self.step_limit} polls")

    async def check(self) -> RunState:
        """The run state; a failed run raises :class:`ChipError` with window, step, cause and remedy."""
        state, error, step, missing = await self.status()
        if state == RunState.FAILED:
            window = await self.get(Register.WINDOWS)
            raise ChipError(
                f"the run failed in window {window}, step {step}: {await explain(self, error, missing)} [{error.name}]"
            )
        return state

    def send_sample(self, sample: Inputs) -> None:
        """Queues one sample, [C, H, W] integers of T bits, of every source of the program."""
        for core, words in self.image.encode_sample(sample).items():
            for address, word in words:
                self.port.send(self.words.write(core, Memory.ACT, address, word, HostOp.SAMPLE))
        self.port.send([self.words.word(HostOp.SAMPLE_END)])

    async def wait_for(self, wanted: RunState) -> None:
        """Polls until the run is in that state. The chip's watchdog bounds each step; this bounds their number."""
        for _ in range(self.step_limit):
            if await self.check() == wanted:
                return
            await self.port.wait(POLL_CYCLES)
        raise ChipTimeoutError(f"the run did not reach {wanted.name} within {self.step_limit} polls")

    async def collect(self, samples: int, limit: int) -> list[IntArray]:
        """Outputs of that many samples, in order; ``limit`` bounds the cycles without any movement.

        Each is the last layer's [C, H, W], or empty where the program reads nothing out. On a time-out the message says
        which tiles are silent and in what step the chip stands.
        """
        per_sample = self.readout_flits
        while len(self.readouts) < samples * per_sample:
            word = await self.port.receive(limit)
            if word is None:
                await self.check()
                state, _, step, _ = await self.status()
                window = await self.get(Register.WINDOWS)
                if len(self.readouts) >= samples * per_sample:
                    break
                raise ChipTimeoutError(
                    f"only {len(self.readouts)} of {samples * per_sample} read-out flits came from tiles "
                    f"{self.readout_cores}, then nothing for {limit} cycles; "
                    f"the chip is {state.name}, window {window}, step {step}"
                )
            self._keep_readout(unpack(self._out, word, self._out_fields))
        outputs = [self._assemble(self.readouts[k * per_sample : (k + 1) * per_sample]) for k in range(samples)]
        del self.readouts[: samples * per_sample]
        return outputs

    def _assemble(self, flits: Sequence[dict[str, int]]) -> IntArray:
        """One sample's output from its read-out flits, which come in any order between cores."""
        if self.image.output_layer is None:
            return np.zeros(0, dtype=np.int64)
        layer = self.image.output_layer.name
        memory = self.image.result_memory(layer)
        words = {core: [0] * self.image.word_count(core, memory) for core in self.readout_cores}
        for flit in flits:
            core = (flit["src_y"], flit["src_x"])
            if core not in words or flit["mem"] != memory.value or flit["addr"] >= len(words[core]):
                place = f"memory {flit['mem']}, word {flit['addr']}"
                raise ChipError(f"read-out from tile {core}, {place}, which holds no output neuron")
            words[core][flit["addr"]] |= flit["data"] << (flit["chunk"] * self.config.data_bits)
        return np.asarray(self.image.assemble(layer, words))
