// A mesh of Verilated routers under random traffic. One model of one router, instantiated per tile: their outputs come
// from registers, so the links can be copied between clock edges (that they do is checked in every cycle).
//
// Reads a job (numbers, see sim/traffic/run.py) from standard input, prints one JSON object. Exit code 1: a flit was
// lost, duplicated, misrouted or reordered, or the mesh did not drain; the message is on standard error.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "Vrouter.h"
#include "verilated.h"

namespace {

enum Port { LOCAL, NORTH, EAST, SOUTH, WEST, PORTS };
constexpr Port OPPOSITE[PORTS] = {LOCAL, SOUTH, WEST, NORTH, EAST};

struct Links {  // pointers to one router's ports, by direction
    CData* i_valid[PORTS];
    CData* i_ready[PORTS];
    QData* i_payload[PORTS];
    CData* o_valid[PORTS];
    CData* o_ready[PORTS];
    QData* o_payload[PORTS];
};

#define LINK(port, name)                                  \
    links.i_valid[port] = &v.i_##name##___05Fvalid;       \
    links.i_ready[port] = &v.i_##name##___05Fready;       \
    links.i_payload[port] = &v.i_##name##___05Fpayload;   \
    links.o_valid[port] = &v.o_##name##___05Fvalid;       \
    links.o_ready[port] = &v.o_##name##___05Fready;       \
    links.o_payload[port] = &v.o_##name##___05Fpayload;

struct Random {  // xorshift64*, one per purpose and tile, so that no stream depends on another's use
    uint64_t state;
    explicit Random(uint64_t seed) : state(seed * 0x9E3779B97F4A7C15ull + 0x1234567ull) {
        for (int i = 0; i < 8; i++) next();
    }
    uint32_t next() {
        state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
        return static_cast<uint32_t>((state * 0x2545F4914F6CDD1Dull) >> 32);
    }
};

struct Choice {
    uint64_t limit;  // taken when the draw is below
    int x0, x1, y0, y1;
};

struct Waiting {
    QData flit;
    uint64_t born;
};

struct Copy {
    uint32_t number;
    uint64_t born;
    bool counted;
};

struct Tile {
    std::unique_ptr<Vrouter> router;
    Links links;
    std::vector<Choice> choices;
    std::deque<Waiting> source;
    uint32_t numbers = 0;
    uint64_t accepted = 0;
};

[[noreturn]] void fail(const std::string& message) {
    std::cerr << message << std::endl;
    std::exit(1);
}

template <typename T>
T read() {
    T value;
    if (!(std::cin >> value)) fail("the job ends too early");
    return value;
}

}  // namespace

int main() {
    const int rows = read<int>(), cols = read<int>(), nodes = rows * cols;
    const int at_x0 = read<int>(), at_x1 = read<int>(), at_y0 = read<int>(), at_y1 = read<int>();
    const int at_source = read<int>(), source_bits = read<int>(), number_bits = read<int>();
    const uint64_t seed = read<uint64_t>(), rate = read<uint64_t>(), stall = read<uint64_t>();  // of 2^32
    const uint64_t warm_up = read<uint64_t>(), measured = read<uint64_t>(), patience = read<uint64_t>();
    const size_t source_limit = read<size_t>();
    const uint32_t number_mask = (1u << number_bits) - 1;

    VerilatedContext context;
    std::vector<Tile> tiles(nodes);
    std::vector<Random> births, targets, stalls;
    for (int n = 0; n < nodes; n++) {
        Tile& tile = tiles[n];
        tile.router = std::make_unique<Vrouter>(&context);
        Vrouter& v = *tile.router;
        Links& links = tile.links;
        LINK(LOCAL, local) LINK(NORTH, north) LINK(EAST, east) LINK(SOUTH, south) LINK(WEST, west)
        v.x = n % cols, v.y = n / cols;
        for (int p = 0; p < PORTS; p++) *links.i_valid[p] = 0, *links.i_payload[p] = 0, *links.o_ready[p] = 0;
        for (int count = read<int>(); count > 0; count--) {
            Choice c;
            c.limit = read<uint64_t>();
            c.x0 = read<int>(), c.x1 = read<int>(), c.y0 = read<int>(), c.y1 = read<int>();
            tile.choices.push_back(c);
        }
        births.emplace_back(3 * (seed * 4096 + n)), targets.emplace_back(3 * (seed * 4096 + n) + 1);
        stalls.emplace_back(3 * (seed * 4096 + n) + 2);
        v.rst = 1;
        for (int edge = 0; edge < 4; edge++) v.clk = edge & 1, v.eval();
        v.rst = 0, v.clk = 0, v.eval();
    }

    // expected[target][source]: copies on their way, oldest first
    std::vector<std::vector<std::deque<Copy>>> expected(nodes, std::vector<std::deque<Copy>>(nodes));
    uint64_t born = 0, delivered = 0, delivered_in_time = 0, due = 0, hops = 0, dropped = 0;
    uint64_t latency_sum = 0, latency_count = 0, latency_most = 0, cycle = 0, last_move = 0;
    std::vector<uint64_t> fastest(rows + cols, UINT64_MAX);  // by distance, unicast

    const auto neighbour = [&](int n, int port) {
        const int x = n % cols, y = n / cols;
        if (port == NORTH) return y + 1 < rows ? n + cols : -1;
        if (port == SOUTH) return y > 0 ? n - cols : -1;
        if (port == EAST) return x + 1 < cols ? n + 1 : -1;
        return x > 0 ? n - 1 : -1;
    };
    const uint64_t end = warm_up + measured;
    for (;; cycle++) {
        const bool in_window = cycle >= warm_up && cycle < end;
        // Offers: new flits, then every link's two ends see each other's registers.
        for (int n = 0; n < nodes; n++) {
            Tile& tile = tiles[n];
            if (cycle < end && !tile.choices.empty() && births[n].next() < rate && tile.source.size() < source_limit) {
                const uint32_t draw = targets[n].next();
                const auto c = std::find_if(tile.choices.begin(), tile.choices.end(),
                                            [&](const Choice& choice) { return draw < choice.limit; });
                const QData number = tile.numbers++ & number_mask;
                const QData flit = QData(c->x0) << at_x0 | QData(c->x1) << at_x1 | QData(c->y0) << at_y0 |
                                   QData(c->y1) << at_y1 | (number << source_bits | QData(n)) << at_source;
                tile.source.push_back({flit, cycle});
                born++;
                for (int y = c->y0; y <= c->y1; y++)
                    for (int x = c->x0; x <= c->x1; x++) {
                        expected[y * cols + x][n].push_back({uint32_t(number), cycle, in_window});
                        due++;
                    }
            }
            *tile.links.i_valid[LOCAL] = !tile.source.empty();
            if (!tile.source.empty()) *tile.links.i_payload[LOCAL] = tile.source.front().flit;
            *tile.links.o_ready[LOCAL] = stalls[n].next() >= stall;
            for (int p = NORTH; p < PORTS; p++) {
                const int other = neighbour(n, p);
                if (other < 0) {
                    if (*tile.links.o_valid[p]) fail("a flit left the mesh at tile " + std::to_string(n));
                    continue;
                }
                const Links& far = tiles[other].links;
                *tile.links.i_valid[p] = *far.o_valid[OPPOSITE[p]];
                *tile.links.i_payload[p] = *far.o_payload[OPPOSITE[p]];
                *tile.links.o_ready[p] = *far.i_ready[OPPOSITE[p]];
            }
        }
        bool idle = true;
        for (int n = 0; n < nodes; n++) {
            Tile& tile = tiles[n];
            uint64_t before = 0, after = 0;
            for (int p = 0; p < PORTS; p++) before = before * 4 + *tile.links.o_valid[p] * 2 + *tile.links.i_ready[p];
            tile.router->clk = 0, tile.router->eval();
            for (int p = 0; p < PORTS; p++) after = after * 4 + *tile.links.o_valid[p] * 2 + *tile.links.i_ready[p];
            if (before != after) fail("a router's valid or ready depends on its inputs");
            hops += tile.router->hop, dropped += tile.router->dropped;
            idle &= tile.router->idle && tile.source.empty();
            if (*tile.links.i_valid[LOCAL] && *tile.links.i_ready[LOCAL]) {
                tile.source.pop_front();
                if (in_window) tile.accepted++;
                last_move = cycle;
            }
            if (*tile.links.o_valid[LOCAL] && *tile.links.o_ready[LOCAL]) {
                const QData tag = *tile.links.o_payload[LOCAL] >> at_source;
                const uint32_t from = tag & ((1u << source_bits) - 1), number = (tag >> source_bits) & number_mask;
                if (from >= uint32_t(nodes)) fail("a flit of no sender arrived at tile " + std::to_string(n));
                auto& queue = expected[n][from];
                if (queue.empty() || queue.front().number != number)
                    fail("tile " + std::to_string(n) + " got flit " + std::to_string(number) + " of tile " +
                         std::to_string(from) + ", and expected " +
                         (queue.empty() ? std::string("none") : std::to_string(queue.front().number)));
                const Copy& copy = queue.front();
                const uint64_t latency = cycle - copy.born;
                if (copy.counted) {
                    latency_sum += latency, latency_count++;
                    latency_most = std::max(latency_most, latency);
                }
                const int distance = std::abs(n % cols - int(from) % cols) + std::abs(n / cols - int(from) / cols);
                fastest[distance] = std::min(fastest[distance], latency);
                queue.pop_front();
                delivered++, due--;
                if (in_window) delivered_in_time++;
                last_move = cycle;
            }
        }
        for (Tile& tile : tiles) tile.router->clk = 1, tile.router->eval();
        if (cycle >= end && idle) break;
        if (cycle - last_move > patience && (due || !idle)) fail(std::to_string(due) + " copies never arrived");
    }
    if (due) fail(std::to_string(due) + " copies never arrived, and the mesh is idle");
    if (dropped) fail(std::to_string(dropped) + " flits were dropped");

    std::vector<uint64_t> accepted;
    for (const Tile& tile : tiles)
        if (!tile.choices.empty()) accepted.push_back(tile.accepted);
    uint64_t sum = 0;
    for (uint64_t a : accepted) sum += a;
    std::printf("{\"cycles\": %llu, \"flits\": %llu, \"delivered\": %llu, \"hops\": %llu, ",
                (unsigned long long)cycle, (unsigned long long)born, (unsigned long long)delivered,
                (unsigned long long)hops);
    std::printf("\"accepted\": %.6f, \"accepted_least\": %.6f, \"delivered_rate\": %.6f, ",
                double(sum) / accepted.size() / measured,
                double(*std::min_element(accepted.begin(), accepted.end())) / measured,
                double(delivered_in_time) / nodes / measured);
    std::printf("\"latency\": %.4f, \"latency_most\": %llu, \"fastest\": [",
                latency_count ? double(latency_sum) / latency_count : 0.0, (unsigned long long)latency_most);
    for (size_t d = 0; d < fastest.size(); d++)
        std::printf("%s%lld", d ? ", " : "", fastest[d] == UINT64_MAX ? -1ll : (long long)fastest[d]);
    std::printf("]}\n");
    return 0;
}
