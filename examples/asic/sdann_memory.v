// What an ASIC flow puts in place of rtl/sdann_memory.v: the same two modules around memory macros. Here the macros are
// behavioural stand-ins with the pins that memory compilers usually give; a real flow takes one macro per size of
// asic/memories.json and chooses by the parameters.

// One write port with an enable per part of the word, one read port.
module sdann_ram #(
  parameter PART = 8, parameter PARTS = 1, parameter DEPTH = 2, parameter ADDRESS = 1
) (
  input clk,
  input [PARTS-1:0] w_en,
  input [ADDRESS-1:0] w_addr,
  input [PARTS*PART-1:0] w_data,
  input r_en,
  input [ADDRESS-1:0] r_addr,
  output [PARTS*PART-1:0] r_data
);
  wire [PARTS*PART-1:0] bits; // macros have a write enable per bit
  genvar k;
  generate
    for (k = 0; k < PARTS; k = k + 1) begin : part
      assign bits[k*PART +: PART] = {PART{w_en[k]}};
    end
  endgenerate
  macro_1r1w #(.WIDTH(PARTS*PART), .DEPTH(DEPTH), .ADDRESS(ADDRESS)) macro (
    .clk(clk), .ceb_w(~|w_en), .bwe(bits), .addr_w(w_addr), .d(w_data),
    .ceb_r(~r_en), .addr_r(r_addr), .q(r_data)
  );
endmodule

// Port A reads, or writes in place of that; port B reads.
module sdann_ram_2r #(
  parameter WIDTH = 8, parameter DEPTH = 2, parameter ADDRESS = 1
) (
  input clk,
  input w_en,
  input a_en,
  input [ADDRESS-1:0] a_addr,
  input [WIDTH-1:0] w_data,
  output [WIDTH-1:0] a_data,
  input b_en,
  input [ADDRESS-1:0] b_addr,
  output [WIDTH-1:0] b_data
);
  macro_dual #(.WIDTH(WIDTH), .DEPTH(DEPTH), .ADDRESS(ADDRESS)) macro (
    .clk(clk), .ceb_a(~(w_en | a_en)), .web_a(~w_en), .addr_a(a_addr), .d_a(w_data), .q_a(a_data),
    .ceb_b(~b_en), .addr_b(b_addr), .q_b(b_data)
  );
endmodule

// A two-port macro: enables are active low, `bwe` is a write enable per bit.
module macro_1r1w #(parameter WIDTH = 8, parameter DEPTH = 2, parameter ADDRESS = 1) (
  input clk, input ceb_w, input [WIDTH-1:0] bwe, input [ADDRESS-1:0] addr_w, input [WIDTH-1:0] d,
  input ceb_r, input [ADDRESS-1:0] addr_r, output reg [WIDTH-1:0] q
);
  reg [WIDTH-1:0] words [0:DEPTH-1];
  always @(posedge clk) begin
    if (!ceb_w) words[addr_w] <= (d & bwe) | (words[addr_w] & ~bwe);
    if (!ceb_r) q <= words[addr_r];
  end
endmodule

// A dual-port macro; port A holds what it showed while it writes.
module macro_dual #(parameter WIDTH = 8, parameter DEPTH = 2, parameter ADDRESS = 1) (
  input clk, input ceb_a, input web_a, input [ADDRESS-1:0] addr_a, input [WIDTH-1:0] d_a, output reg [WIDTH-1:0] q_a,
  input ceb_b, input [ADDRESS-1:0] addr_b, output reg [WIDTH-1:0] q_b
);
  reg [WIDTH-1:0] words [0:DEPTH-1];
  always @(posedge clk) begin
    if (!ceb_a && !web_a) words[addr_a] <= d_a;
    if (!ceb_a && web_a) q_a <= words[addr_a];
    if (!ceb_b) q_b <= words[addr_b];
  end
endmodule
