"""The stand-alone example of a Verilog package: a plain Verilog test bench, and the words that it sends and expects."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from hdl.config import ChipConfig
from hdl.host import PROGRAM_VERSION, Control, HostOp, HostOut, HostTag, Register, host_in_bits, host_out_bits
from hdl.pack import pack
from hdl.program import Memory, chunks_of
from sdann.graph import INPUT, Edge, IntArray, Layer, QuantizedNetwork

__all__ = ["EXAMPLE_MODULE", "Example", "example", "example_bench"]

EXAMPLE_MODULE: Final = "sdann_example"
_QUIET_CYCLES: Final = 10_000


@dataclass(frozen=True)
class Example:
    """Host words in order: what is sent, and what comes back. ``outputs``: the golden's, one per neuron."""

    sent: list[int]
    expected: list[int]
    outputs: list[int]


def _network(config: ChipConfig) -> QuantizedNetwork:
    """2x2 inputs of one channel, a linear layer of ``lanes`` neurons with small known weights."""
    neurons = config.lanes
    weights = (np.arange(neurons * 4).reshape(neurons, 1, 2, 2) * 7) % 15 - 6
    top = (1 << config.time_steps) - 1
    layer = Layer(
        name="out", shape=(neurons, 1, 1), edges=(Edge(source=INPUT, kind="linear", weight=weights),),
        mult=np.ones(neurons, dtype=np.int64), shift=np.full(neurons, 3), bias=np.arange(neurons) % 5,
        bias_mode="scaled", lo=0, hi=top, signed=False,
    )  # fmt: skip
    return QuantizedNetwork(
        name="example", input_shape=(1, 2, 2), input_signed=False, time_steps=config.time_steps,
        membrane_bits=config.membrane_bits, weight_bits=config.weight_bits, layers=(layer,),
    )  # fmt: skip


def example(config: ChipConfig) -> Example:
    """A small program, one sample and its read-out. Raises :class:`sdann.errors.DoesNotFitError` where even that does
    not fit the chip.
    """
    from sdann import reference
    from sdann.mapper import map_network
    from sim.program import HostWords, checksum, program_words

    network = _network(config)
    image = map_network(network, config)
    top = (1 << config.time_steps) - 1
    sample = np.array([[[3, top], [top // 2, 1]]], dtype=np.int64)
    make = HostWords(config)
    program = list(program_words(image))
    activations = [
        word
        for core, words in image.encode_sample(sample).items()
        for address, value in words
        for word in make.write(core, Memory.ACT, address, value, HostOp.SAMPLE)
    ]
    registers = image.manifest.registers
    settings = {
        Register.PROGRAM_VERSION: PROGRAM_VERSION, Register.PROGRAM_FLITS: len(program),
        Register.PROGRAM_CHECKSUM: checksum(config, program), Register.SAMPLE_FLITS: len(activations),
        Register.STEPS: registers.STEPS, Register.STAGES: registers.STAGES,
        Register.READOUT_FLITS: registers.READOUT_FLITS, Register.CONTROL: Control.START.value,
    }  # fmt: skip

    def assign(register: Register, value: int) -> int:
        return make.word(HostOp.SET, register__address=register, register__value=value)

    sent = [
        assign(Register.CONTROL, Control.LOAD.value), *program,
        *(assign(register, value) for register, value in settings.items()),
        *activations, make.word(HostOp.SAMPLE_END),
    ]  # fmt: skip
    outputs = reference.run(network, sample[None]).activations["out"][0].reshape(-1)
    ((core, entry),) = [(core, entry) for core, entry in image.cores.items() if entry.layer == "out"]
    assert entry.region.channels == config.lanes
    return Example(sent, _readout(config, core, outputs), [int(value) for value in outputs])


def _readout(config: ChipConfig, core: tuple[int, int], outputs: IntArray) -> list[int]:
    word = sum(int(value) << lane * config.act_bits for lane, value in enumerate(outputs))
    mask = (1 << config.data_bits) - 1
    place = {"payload.readout.src_y": core[0], "payload.readout.src_x": core[1], "payload.readout.mem": Memory.ACT}
    return [
        pack(
            HostOut(config),
            {
                "tag": HostTag.READOUT, **place, "payload.readout.chunk": chunk,
                "payload.readout.data": word >> chunk * config.data_bits & mask,
            },
        )
        for chunk in range(chunks_of(config, Memory.ACT))
    ]  # fmt: skip


def example_bench(config: ChipConfig, words: Example) -> str:
    """The test bench. It reads ``words_in.hex`` and ``words_out.hex`` from the folder that it runs in."""
    data = HostOut(config)["payload"].offset + HostOut(config)["payload"].shape["readout"].shape["data"].offset
    return _TEMPLATE.format(
        module=EXAMPLE_MODULE, in_bits=host_in_bits(config), out_bits=host_out_bits(config), sent=len(words.sent),
        expected=len(words.expected), quiet=_QUIET_CYCLES, data=data, data_bits=config.data_bits,
        act_bits=config.act_bits, lanes=config.lanes,
    )  # fmt: skip


_TEMPLATE: Final = """\
// Loads a small program into sdann_chip, runs one sample, prints the read-out, and says PASS or FAIL.
// Plain Verilog: words_in.hex holds the host words to send, words_out.hex those that must come back.
`timescale 1ns / 1ps

module {module};
  localparam IN_BITS = {in_bits}, OUT_BITS = {out_bits}, SENT = {sent}, EXPECTED = {expected};
  localparam DATA = {data}, DATA_BITS = {data_bits}, ACT_BITS = {act_bits}, LANES = {lanes};

  reg clk = 0, rst = 1;
  always #5 clk = ~clk;

  reg [IN_BITS-1:0] words_in [0:SENT-1];
  reg [OUT_BITS-1:0] words_out [0:EXPECTED-1];
  integer sent = 0, received = 0, wrong = 0, cycle = 0, quiet = 0, lane;
  reg [EXPECTED*DATA_BITS-1:0] values;

  wire i_ready, o_valid;
  wire [OUT_BITS-1:0] o_payload;
  wire [2:0] state;
  wire i_valid = ~rst & (sent < SENT);

  sdann_chip chip (
    .clk(clk), .rst(rst),
    .i__payload(words_in[sent < SENT ? sent : 0]), .i__valid(i_valid), .i__ready(i_ready),
    .o__payload(o_payload), .o__valid(o_valid), .o__ready(1'b1),
    .state(state)
  );

  initial begin
    $readmemh("words_in.hex", words_in);
    $readmemh("words_out.hex", words_out);
    repeat (4) @(posedge clk);
    #1 rst = 0;
  end

  // Values of an edge are those before it, so all is taken at the falling edge in between.
  always @(negedge clk) if (~rst) begin
    cycle = cycle + 1;
    quiet = (i_valid & i_ready) | o_valid ? 0 : quiet + 1;
    if (o_valid & (received < EXPECTED)) begin
      values[received*DATA_BITS +: DATA_BITS] = o_payload[DATA +: DATA_BITS];
      if (o_payload !== words_out[received]) begin
        wrong = wrong + 1;
        $display("word %0d is %h, expected %h", received, o_payload, words_out[received]);
      end
      received = received + 1;
    end
    if (received == EXPECTED) begin
      for (lane = 0; lane < LANES; lane = lane + 1)
        $display("neuron %0d: %0d", lane, values[lane*ACT_BITS +: ACT_BITS]);
      if (wrong == 0) $display("PASS: %0d words in, %0d words out, %0d cycles", SENT, EXPECTED, cycle);
      else $display("FAIL: %0d of %0d words are wrong", wrong, EXPECTED);
      $finish;
    end else if (quiet == {quiet}) begin
      $display("FAIL: %0d of %0d words sent, %0d of %0d received, state %0d", sent, SENT, received, EXPECTED, state);
      $finish;
    end
  end

  always @(posedge clk) if (i_valid & i_ready) sent <= sent + 1;
endmodule
"""
