import random

from amaranth.sim import Simulator

from hdl.board.serial import QUEUE_WORDS, FromHost, SerialBridge, ToHost
from hdl.config import preset

CONFIG = preset("test")
TIME_OUT = 20_000


class Bench:
    """Bytes on one side, words on the other; the chip takes a word with probability ``take``."""

    def __init__(self, body, *, take: float = 0.5, answers: list[int] | None = None, seed: int = 1) -> None:
        self.dut, self.take, self.rng = SerialBridge(CONFIG), take, random.Random(seed)
        self.answers, self.words, self.sent, self.resets = list(answers or []), [], bytearray(), 0
        self.in_bytes, self.out_bytes = self.dut.in_bits // 8, self.dut.out_bits // 8
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)

        async def main(ctx) -> None:
            self.ctx = ctx
            await body(self)

        simulator.add_testbench(main)
        for task in (self._chip_in, self._chip_out, self._line):
            simulator.add_testbench(task, background=True)
        simulator.run()

    async def send(self, data: bytes) -> None:
        for byte in data:
            self.ctx.set(self.dut.i.payload, byte)
            self.ctx.set(self.dut.i.valid, 1)
            *_, ready = await self.ctx.tick().sample(self.dut.i.ready)
            assert ready  # the receiver behind the line cannot wait
            self.ctx.set(self.dut.i.valid, 0)
            for _ in range(self.rng.randrange(3)):
                await self.ctx.tick()

    async def word(self, value: int) -> None:
        await self.send(bytes([FromHost.WORD]) + value.to_bytes(self.in_bytes, "little"))

    async def rest(self, cycles: int = 200) -> None:
        await self.ctx.tick().repeat(cycles)

    async def _chip_in(self, ctx) -> None:
        while True:
            ready = self.rng.random() < self.take
            ctx.set(self.dut.words.ready, ready)
            *_, valid, payload, reset = await ctx.tick().sample(
                self.dut.words.valid, self.dut.words.payload, self.dut.reset
            )
            self.resets += reset
            if valid and ready:
                self.words.append(payload)

    async def _chip_out(self, ctx) -> None:
        while True:
            ctx.set(self.dut.answers.valid, bool(self.answers))
            ctx.set(self.dut.answers.payload, self.answers[0] if self.answers else 0)
            *_, ready = await ctx.tick().sample(self.dut.answers.ready)
            if self.answers and ready:
                self.answers.pop(0)

    async def _line(self, ctx) -> None:
        while True:
            ready = self.rng.random() < 0.3
            ctx.set(self.dut.o.ready, ready)
            *_, valid, payload = await ctx.tick().sample(self.dut.o.valid, self.dut.o.payload)
            if valid and ready:
                self.sent.append(payload)


def test_words_and_credits() -> None:
    values = [random.Random(5).getrandbits(SerialBridge(CONFIG).in_bits) for _ in range(20)]

    async def body(bench: Bench) -> None:
        for value in values:
            await bench.word(value)
        await bench.rest()

    bench = Bench(body)
    assert bench.words == values
    assert bench.sent == bytes([ToHost.TAKEN] * len(values))


def test_answers_between_credits() -> None:
    out = SerialBridge(CONFIG).out_bits
    answers = [random.Random(6).getrandbits(out) for _ in range(6)]

    async def body(bench: Bench) -> None:
        for value in range(10):
            await bench.word(value)
        await bench.rest(800)

    bench = Bench(body, answers=answers)
    found, rest = [], bytes(bench.sent)
    while rest:
        if rest[0] == ToHost.WORD:
            found.append(int.from_bytes(rest[1 : 1 + bench.out_bytes], "little"))
            rest = rest[1 + bench.out_bytes :]
        else:
            assert rest[0] == ToHost.TAKEN
            rest = rest[1:]
    assert found == answers and bench.words == list(range(10))


def test_reset_from_anywhere() -> None:
    async def body(bench: Bench) -> None:
        await bench.word(1)
        await bench.word(2)
        await bench.send(bytes([FromHost.WORD, 7, 7]))  # a word that is cut off
        await bench.send(bytes([FromHost.RESET] * (bench.in_bytes + 1)))
        await bench.rest()
        assert bench.resets > 0
        bench.sent.clear()
        bench.take = 1.0
        await bench.send(bytes([FromHost.RESET]))
        await bench.rest(60)
        assert bench.sent == bytes([ToHost.RESET])
        bench.words.clear()
        await bench.word(99)
        await bench.rest(60)
        assert bench.words == [99] and bench.sent == bytes([ToHost.RESET, ToHost.TAKEN])

    Bench(body, take=0.0)


def test_a_host_that_sends_too_much_is_noticed() -> None:
    async def body(bench: Bench) -> None:
        for value in range(QUEUE_WORDS):
            await bench.word(value)
        assert not bench.ctx.get(bench.dut.overrun)
        for value in range(4):
            await bench.word(value)
        await bench.rest(3)
        assert bench.ctx.get(bench.dut.overrun)

    Bench(body, take=0.0)
