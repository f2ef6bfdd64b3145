"""The chip's driver: speaks the host protocol of :mod:`hdl.host`, whatever moves the words.

The same code drives the chip in Amaranth's simulator and, under cocotb, in Verilator and Icarus; a
:class:`sim.host_port.HostPort` moves the words in each.
"""

from collections.abc import Sequence

import numpy as np

from hdl.config import ChipConfig
from hdl.flit import FlitKind
from hdl.host import (
    ErrorCode,
    HostIn,
    HostOp,
    HostOut,
    HostTag,
    PauseMode,
    Register,
    RunState,
    StatusWord,
)
from hdl.pack import fields, pack, unpack
from hdl.program import Memory, chunks_of, memory_depths
from sdann.errors import ChipError
from sdann.graph import IntArray
from sdann.mapper import ProgramImage

from .host_port import HostPort

__all__ = ["ChipDriver", "ChipError", "ChipTimeoutError", "Core"]

Core = tuple[int, int]
"""(y, x) of a tile."""

START, RESUME, STOP = 1, 2, 4  # values of Register.CONTROL
POLL_CYCLES = 32


class ChipTimeoutError(ChipError):
    """An answer did not come within the allowed number of cycles."""


class ChipDriver:
    """Loads a program image, sends samples, reads results.

    ``answer_limit``: cycles without any movement after which an answer counts as missing. ``step_limit``: the chip's
    own
    watchdog, cycles per step.
    """

    def __init__(
        self, port: HostPort, image: ProgramImage, *, answer_limit: int = 20_000, step_limit: int = 1_000_000
    ) -> None:
        self.port = port
        self.image = image
        self.config: ChipConfig = image.config
        self.answer_limit = answer_limit
        self.step_limit = step_limit
        self._in, self._out = HostIn(self.config), HostOut(self.config)
        self._in_fields, self._out_fields = fields(self._in), fields(self._out)
        self._status = StatusWord(self.config)
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
    def readout_cores(self) -> list[Core]:
        """Tiles that send the read-out."""
        return [(core.y, core.x) for core in self.image.holders(self.image.output_layer.name)]

    # -- words ----------------------------------------------------------------------------------

    def _word(self, op: HostOp, **values: object) -> int:
        return pack(self._in, {"op": op} | {k.replace("__", "."): v for k, v in values.items()}, self._in_fields)

    def _memory_flit(
        self,
        op: HostOp,
        core: Core,
        kind: FlitKind,
        memory: Memory,
        address: int,
        chunk: int = 0,
        last: int = 0,
        data: int = 0,
    ) -> int:
        y, x = core
        flit = "payload.flit."
        return pack(
            self._in,
            {
                "op": op, flit + "kind": kind,
                flit + "dst.x0": x, flit + "dst.x1": x, flit + "dst.y0": y, flit + "dst.y1": y,
                flit + "payload.memory.mem": memory, flit + "payload.memory.addr": address,
                flit + "payload.memory.chunk": chunk, flit + "payload.memory.last": last,
                flit + "payload.memory.data": data,
            },
            self._in_fields,
        )  # fmt: skip

    def write_words(self, core: Core, memory: Memory, address: int, word: int, op: HostOp = HostOp.FLIT) -> list[int]:
        """The host words that write one memory word, chunk by chunk."""
        count, width = chunks_of(self.config, memory), self.config.data_bits
        return [
            self._memory_flit(
                op, core, FlitKind.WRITE, memory, address, chunk, int(chunk == count - 1),
                (word >> (chunk * width)) & ((1 << width) - 1),
            )
            for chunk in range(count)
        ]  # fmt: skip

    # -- registers ------------------------------------------------------------------------------

    def set(self, register: Register, value: int) -> None:
        """Writes a register (in order with everything else that is sent)."""
        self.port.send([self._word(HostOp.SET, payload__register__address=register, payload__register__value=value)])

    async def get(self, register: Register) -> int:
        """Reads a register. Read-outs that arrive meanwhile are kept in :attr:`readouts`."""
        self.port.send([self._word(HostOp.GET, payload__register__address=register)])
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
        self.port.send(self._memory_flit(HostOp.FLIT, core, FlitKind.READ, memory, a) for a in addresses)
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
        """Checks that the chip is the one that the image was made for, then writes program and settings."""
        identity = await self.get(Register.CONFIG_ID)
        if identity != self.config.fingerprint:
            raise ChipError(
                f"the image is for chip configuration {self.config.fingerprint:#010x} ({self.config.name}), "
                f"this chip is {identity:#010x}; map the network again for this chip"
            )
        depths = memory_depths(self.config)
        for core in self.config.cores:
            programmed = core in self.image.memories
            for memory in self.image.memories[core] if programmed else (Memory.CORE,):
                for address, word in enumerate(self.image.words(core, memory) if programmed else [0]):
                    self.port.send(self.write_words(core, memory, address, word))
            # What the program does not use is switched off: memories come up unknown, or hold an earlier program.
            used = len(self.image.memories[core][Memory.EDGE]) if programmed else 0
            for address in range(used, depths[Memory.EDGE]):
                self.port.send(self.write_words(core, Memory.EDGE, address, 0))
        self.set(Register.STEPS, self.image.time_steps)
        self.set(Register.STAGES, self.stages)
        self.set(Register.READOUT_FLITS, self.readout_flits)
        self.set(Register.PARTS, self.image.manifest.registers.PARTS)
        self.set(Register.WATCHDOG, self.step_limit)

    async def start(self, pause: PauseMode = PauseMode.NONE) -> None:
        """Clears the chip's state and starts a run; raises :class:`ChipError` when the chip refuses."""
        self.readouts.clear()
        self.set(Register.PAUSE, pause.value)
        self.set(Register.CONTROL, START)
        await self.check()

    async def check(self) -> RunState:
        """The run state; a failed run raises :class:`ChipError` with step and cause."""
        state, error, step, missing = await self.status()
        if state == RunState.FAILED:
            window = await self.get(Register.WINDOWS)
            cause = {
                ErrorCode.WATCHDOG: f"the step did not end within {self.step_limit} cycles",
                ErrorCode.READOUT: f"{missing} of {self.readout_flits} read-out flits did not arrive, "
                f"expected from tiles {self.readout_cores}",
                ErrorCode.SETTINGS: "STEPS, STAGES or READOUT_FLITS is out of the chip's range",
            }.get(error, f"error {error.name}")
            raise ChipError(f"the run failed in window {window}, step {step}: {cause}")
        return state

    def send_sample(self, sample: IntArray) -> None:
        """Queues one sample, [C, H, W] integers of T bits."""
        for core, words in self.image.encode_sample(sample).items():
            for address, word in words:
                self.port.send(self.write_words(core, Memory.ACT, address, word, HostOp.SAMPLE))
        self.port.send([self._word(HostOp.SAMPLE_END)])

    async def wait_for(self, wanted: RunState) -> None:
        """Polls until the run is in that state. The chip's watchdog bounds each step; this bounds their number."""
        for _ in range(self.step_limit):
            if await self.check() == wanted:
                return
            await self.port.wait(POLL_CYCLES)
        raise ChipTimeoutError(f"the run did not reach {wanted.name} within {self.step_limit} polls")

    async def collect(self, samples: int, limit: int) -> list[IntArray]:
        """Outputs of that many samples, in order; ``limit`` bounds the cycles without any movement.

        Each is the last layer's [C, H, W]. On a time-out the message says which tiles are silent and
        in what step the chip stands.
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
