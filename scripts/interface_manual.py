"""Writes the generated parts of docs/interface.md: its tables, and its timing diagrams from simulations.

Usage: python scripts/interface_manual.py [--check]. With --check nothing is written; the exit code is 1 where the
manual is not up to date.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import wavedrom
from amaranth.hdl import Value
from amaranth.sim import Simulator

from hdl.axi_lite import RegisterPort, Response
from hdl.axi_stream import WordsIn
from hdl.bridge import HostBridge
from hdl.config import preset
from hdl.flit import Flit
from hdl.host import Command, HostIn, HostOp, HostOut, Register, RunState
from hdl.pack import pack, unpack
from hdl.register_texts import layout_table, markdown_table
from hdl.sequencer import Sequencer

DOCS = Path(__file__).resolve().parents[1] / "docs"
MANUAL = DOCS / "interface.md"
CONFIG = preset("demo")


def tables() -> dict[str, str]:
    """The manual's tables by the name in their marker."""
    return {
        "registers": markdown_table(CONFIG),
        "host word in": layout_table(HostIn(CONFIG)),
        "host word out": layout_table(HostOut(CONFIG)),
        "flit": layout_table(Flit(CONFIG)),
    }


class Recorder:
    """Lets cycles pass in a simulation, and keeps what the watched signals were before each clock edge.

    ``watched``: name in the diagram, signal, and how to show its value (None: as one bit), which may say None for
    "does not matter".
    """

    def __init__(self, dut, watched) -> None:
        self.dut, self.watched = dut, watched
        self.rows: list[list[object]] = [[] for _ in watched]

    def run(self, body) -> "Recorder":
        simulator = Simulator(self.dut)
        simulator.add_clock(1e-6)

        async def testbench(ctx):
            self.ctx = ctx
            await body(self)

        simulator.add_testbench(testbench)
        simulator.run()
        return self

    async def tick(self, count: int = 1, **values) -> None:
        """``values``: members to set before the first of ``count`` cycles, "axi__wvalid" for ``axi.wvalid``."""
        for name, value in values.items():
            target = self.dut
            for part in name.split("__"):
                target = getattr(target, part)
            self.ctx.set(target, value)
        for _ in range(count):
            for row, (_, signal, show) in zip(self.rows, self.watched, strict=True):
                value = self.ctx.get(Value.cast(signal))
                row.append(value if show is None else show(value, self.ctx))
            await self.ctx.tick()

    def svg(self, caption: str) -> str:
        cycles = len(self.rows[0])
        signals = [{"name": "clk", "wave": "p" + "." * (cycles - 1)}]
        for row, (name, _, show) in zip(self.rows, self.watched, strict=True):
            wave, data, last = "", [], object()
            for value in row:
                if value == last:
                    wave += "."
                elif show is None:
                    wave += str(value)
                elif value is None:
                    wave += "x"
                else:
                    wave += "="
                    data.append(str(value))
                last = value
            signals.append({"name": name, "wave": wave} | ({"data": data} if data else {}))
        source = {"signal": signals, "head": {"text": caption}}
        return _used_only(wavedrom.render(json.dumps(source)).tostring())


def _used_only(svg: str) -> str:
    """``svg`` without the bricks that it does not use, which are most of its text."""
    for prefix, name in (("", "http://www.w3.org/2000/svg"), ("xlink", "http://www.w3.org/1999/xlink")):
        ElementTree.register_namespace(prefix, name)
    root = ElementTree.fromstring(svg)
    used = {value.removeprefix("#") for part in root.iter() for key, value in part.attrib.items() if "href" in key}
    for definitions in root.iter("{http://www.w3.org/2000/svg}defs"):
        for part in list(definitions):
            if part.get("id") not in used and part.tag.endswith("}g"):
                definitions.remove(part)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def word_stream() -> str:
    """Two words go in, of which one asks for a register; the host takes the answer late."""
    dut = HostBridge(CONFIG)

    def sent(value, ctx):
        return _host_word(value) if ctx.get(dut.i.valid) else None

    def answered(value, ctx):
        return "REGISTER STEPS = 8" if ctx.get(dut.o.valid) else None

    def word(op, **fields):
        return pack(HostIn(CONFIG), {"op": op} | {f"payload.register.{k}": v for k, v in fields.items()})

    async def body(bench):
        await bench.tick(value=8, o__ready=0)
        await bench.tick(i__valid=1, i__payload=word(HostOp.SET, address=Register.STEPS, value=8))
        await bench.tick(i__payload=word(HostOp.GET, address=Register.STEPS))
        await bench.tick(5, i__valid=0)
        await bench.tick(o__ready=1)
        await bench.tick(2, o__ready=0)

    watched = [
        ("i__payload", dut.i.payload, sent), ("i__valid", dut.i.valid, None), ("i__ready", dut.i.ready, None),
        ("o__payload", dut.o.payload, answered), ("o__valid", dut.o.valid, None), ("o__ready", dut.o.ready, None),
    ]  # fmt: skip
    return Recorder(dut, watched).run(body).svg("Word streams: a word moves where valid and ready are both high")


def _host_word(value: int) -> str:
    values = unpack(HostIn(CONFIG), value)
    op = HostOp(values["op"])
    if op in (HostOp.SET, HostOp.GET):
        return f"{op.name} {Register(values['payload.register.address']).name}"
    return op.name


def axi_lite() -> str:
    """A write whose data come first and whose response waits; then a read of what is not there."""
    dut = RegisterPort(CONFIG)
    axi = dut.axi

    def when(valid, show):
        return lambda value, ctx: show(value) if ctx.get(valid) else None

    async def body(bench):
        await bench.tick()
        await bench.tick(axi__wvalid=1, axi__wdata=8, axi__wstrb=15)
        await bench.tick(axi__wvalid=0, axi__awvalid=1, axi__awaddr=Register.STEPS.value * 4)
        await bench.tick(3, axi__awvalid=0)
        await bench.tick(axi__bready=1, axi__arvalid=1, axi__araddr=0xF0)
        await bench.tick(axi__bready=0, axi__arvalid=0)
        await bench.tick(axi__rready=1)
        await bench.tick(axi__rready=0)

    watched = [
        ("awaddr", axi.awaddr, when(axi.awvalid, hex)), ("awvalid", axi.awvalid, None), ("awready", axi.awready, None),
        ("wdata", axi.wdata, when(axi.wvalid, str)), ("wvalid", axi.wvalid, None), ("wready", axi.wready, None),
        ("bresp", axi.bresp, when(axi.bvalid, lambda v: Response(v).name)), ("bvalid", axi.bvalid, None),
        ("bready", axi.bready, None),
        ("araddr", axi.araddr, when(axi.arvalid, hex)), ("arvalid", axi.arvalid, None), ("arready", axi.arready, None),
        ("rresp", axi.rresp, when(axi.rvalid, lambda v: Response(v).name)), ("rvalid", axi.rvalid, None),
        ("rready", axi.rready, None),
    ]  # fmt: skip
    return Recorder(dut, watched).run(body).svg("AXI4-Lite: a write, data first; a read of an unknown address")


def axi_stream() -> str:
    """A sample of two words, two beats each; TLAST makes its SAMPLE_END."""
    dut = WordsIn(CONFIG, data_bytes=4)

    def shown(value, ctx):
        return _host_word(value) if ctx.get(dut.o.valid) else None

    async def body(bench):
        await bench.tick(o__ready=1, axis__tkeep=15)
        for word in range(2):
            value = pack(HostIn(CONFIG), {"op": HostOp.SAMPLE, "payload.flit.dst.x0": 1})
            for beat in range(2):
                await bench.tick(
                    axis__tvalid=1, axis__tdata=value >> 32 * beat & 0xFFFFFFFF, axis__tlast=int(word == beat == 1)
                )
        await bench.tick(4, axis__tvalid=0, axis__tlast=0)

    beats = iter(["word 0 low", "word 0 high", "word 1 low", "word 1 high"])
    watched = [
        ("tdata", dut.axis.tdata, lambda value, ctx: next(beats) if ctx.get(dut.axis.tvalid) else None),
        ("tlast", dut.axis.tlast, None), ("tvalid", dut.axis.tvalid, None), ("tready", dut.axis.tready, None),
        ("host word", dut.o.payload, shown), ("valid", dut.o.valid, None), ("ready", dut.o.ready, None),
    ]  # fmt: skip
    return Recorder(dut, watched).run(body).svg("AXI4-Stream: a sample of two words, with 4 bytes of TDATA")


def window() -> str:
    """START, one sample, and the window that takes it in, with T = 2, on a mesh that answers at once."""
    dut = Sequencer(CONFIG, round_trip=3)

    async def body(bench):
        await bench.tick(quiescent=1, set_valid=1, set={"address": Register.STEPS, "value": 2})
        bench.rows = [[] for _ in bench.watched]
        await bench.tick(set={"address": Register.CONTROL, "value": 1})
        await bench.tick(12, set_valid=0)
        await bench.tick(sample_pending=1)
        for _ in range(26):
            taken = bench.ctx.get(dut.sample_take)
            command = bench.ctx.get(dut.command.op) is not Command.NONE
            await bench.tick()
            bench.ctx.set(dut.quiescent, 0 if command else 1)
            if taken:
                bench.ctx.set(dut.sample_pending, 0)

    def command(value, ctx):
        op = ctx.get(dut.command.op)
        return None if op is Command.NONE else op.name + (" 0" if ctx.get(dut.command.first) else "")

    watched = [
        ("state", dut.state, lambda value, ctx: RunState(value).name), ("command", dut.command.op, command),
        ("quiescent", dut.quiescent, None), ("sample pending", dut.sample_pending, None),
        ("sample taken", dut.sample_take, None),
    ]  # fmt: skip
    return Recorder(dut, watched).run(body).svg("START, a sample, and its first window (T = 2)")


DIAGRAMS: dict[str, Callable[[], str]] = {
    "word_stream": word_stream, "axi_lite": axi_lite, "axi_stream": axi_stream, "window": window,
}  # fmt: skip


def manual(text: str) -> str:
    """``text`` with the tables between its markers made anew."""
    for name, table in tables().items():
        begin, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise SystemExit(f"{MANUAL}: there is no table {name!r}")
        text = f"{before}{begin}\n{table}\n{end}{after}"
    return text


def main() -> int:
    check = sys.argv[1:] == ["--check"]
    files = {MANUAL: manual(MANUAL.read_text())}
    files |= {DOCS / "images" / f"{name}.svg": make() for name, make in DIAGRAMS.items()}
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path} is not what the sources say; run scripts/interface_manual.py", file=sys.stderr)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(files[path])
            print(f"wrote {path}")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
