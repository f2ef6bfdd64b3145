// The whole chip Verilated flat, at rest: how many cycles a second, for comparison. Argument: cycles.

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "Vsdann_chip.h"

int main(int, char** argv) {
    VerilatedContext context;
    Vsdann_chip chip(&context);
    chip.i___05Fvalid = 0;
    chip.o___05Fready = 1;
    auto run = [&](long cycles) {
        for (long n = 0; n < cycles; ++n) {
            chip.clk = 1;
            chip.eval();
            chip.clk = 0;
            chip.eval();
        }
    };
    chip.rst = 1;
    run(3);
    chip.rst = 0;
    const long cycles = std::atol(argv[1]);
    const auto started = std::chrono::steady_clock::now();
    run(cycles);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - started;
    std::printf("%.9g\n", cycles / seconds.count());
}
