// The chip as one Verilated tile module, instantiated for every tile, and the Verilated host tile.
//
// What the Verilog of rows and of the chip adds to these two is wiring and trees of registers. It is done here: every
// output of a tile comes from registers, so all inputs of a cycle are known before its edge, and a tree in which all
// leaves have one latency is a delay line. A tile that has been idle for a while, and to which nothing comes, has only
// its counters' visits going round, and is left out: when it is wanted again, it is first brought to the right one.
// tests/sim/compiled holds this against the Verilog of the whole chip.
//
// The build defines SDANN_WAVES where waves are wanted, SDANN_COVERAGE where coverage is.

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "ports.h"
#ifdef SDANN_WAVES
#include "verilated_vcd_c.h"
#endif
#ifdef SDANN_COVERAGE
#include "verilated_cov.h"
#endif

namespace {

using namespace sdann;

// Cycles beyond a round of visits that an idle tile is still evaluated, until all of it but the visits stands still.
constexpr int SETTLE = 8;

// A tile's place in the mesh; the host tile has no model of its own here.
struct Place {
    std::unique_ptr<Tile> model;
    In in[SIDES];
    Out out[SIDES];
    int neighbour[SIDES];  // index of the place behind each side, -1 at the border
    int rest = 0;          // cycles without work
    bool awake = true, left_out = false;
    uint64_t since = 0;    // the first cycle in which it was left out
    bool idle = false, sound = false;
};

class Mesh {
public:
    Mesh(int rows, int cols, int latency, int visits, uint32_t op)
        : visits_(visits), op_(op), commands_(latency), idle_(latency), sound_(latency) {
        context_.randReset(0);
        host_ = std::make_unique<Host>(&context_, "host_tile");
        places_.resize(size_t(rows) * cols);
        for (int y = 0; y < rows; ++y)
            for (int x = 0; x < cols; ++x) {
                const int index = y * cols + x;
                Place& place = places_[index];
                place.neighbour[NORTH] = y + 1 < rows ? index + cols : -1;
                place.neighbour[SOUTH] = y > 0 ? index - cols : -1;
                place.neighbour[EAST] = x + 1 < cols ? index + 1 : -1;
                place.neighbour[WEST] = x > 0 ? index - 1 : -1;
                if (index == 0) {
                    ports_of(*host_, place.in, place.out);
                    continue;
                }
                const std::string name = "tile_" + std::to_string(y) + "_" + std::to_string(x);
                place.model = std::make_unique<Tile>(&context_, name.c_str());
                place.model->y = y;
                place.model->x = x;
                ports_of(*place.model, place.in, place.out);
            }
        for (Place& place : places_)  // at the border nothing comes, and nothing is taken
            for (int side = 0; side < SIDES; ++side)
                if (place.neighbour[side] < 0) *place.in[side].valid = *place.out[side].ready = 0;
        host_->bus___05Fvalid = 0;
        busy_ = unsound_ = int(places_.size()) - 1;
        reset();
    }

    ~Mesh() {
        for (auto& place : places_)
            if (place.model) place.model->final();
        host_->final();
    }

    // Three cycles of reset, as the benches give.
    void reset() {
        out_.clear();
        in_.clear();
        offered_ = false;
        host_->i___05Fvalid = host_->o___05Fready = 0;
        host_->rst = 1;
        for (auto& place : places_)
            if (place.model) place.model->rst = 1;
        for (int n = 0; n < 3; ++n) {
            std::fill(commands_.begin(), commands_.end(), Command{});
            std::fill(idle_.begin(), idle_.end(), false);
            std::fill(sound_.begin(), sound_.end(), false);
            wake_all();
            uint32_t ignored[words_of<decltype(Host::o___05Fpayload)>()];
            cycle(nullptr, false, ignored);
        }
        std::fill(commands_.begin(), commands_.end(), Command{});
        std::fill(idle_.begin(), idle_.end(), false);
        std::fill(sound_.begin(), sound_.end(), false);
        host_->rst = 0;
        for (auto& place : places_)
            if (place.model) place.model->rst = 0;
        wake_all();
        cycles_ = evaluations_ = 0;
    }

    void set_stalls(double probability, const std::string& state) {
        stall_ = probability;
        if (!state.empty()) std::istringstream(state) >> random_;
    }
    void set_skip(bool skip) {
        skip_ = skip;
        wake_all();
    }
    void send(const uint32_t* words, size_t count) {
        constexpr int size = IN_WORDS;
        for (size_t n = 0; n < count; ++n) {
            std::array<uint32_t, IN_WORDS> word;
            std::copy_n(words + n * size, size, word.begin());
            out_.push_back(word);
        }
    }
    // The next word from the chip; false when nothing moved in either direction for `limit` cycles.
    bool receive(int64_t limit, uint32_t* word) {
        for (int64_t idle = 0; in_.empty() && idle < limit;) idle = tick() ? 0 : idle + 1;
        if (in_.empty()) return false;
        std::copy(in_.front().begin(), in_.front().end(), word);
        in_.pop_front();
        return true;
    }
    void wait(int64_t cycles) {
        for (int64_t n = 0; n < cycles; ++n) tick();
    }
    uint64_t cycles() const { return cycles_; }
    uint64_t evaluations() const { return evaluations_; }

    static constexpr int IN_WORDS = words_of<Value<decltype(Host::i___05Fpayload)>>();
    static constexpr int OUT_WORDS = words_of<Value<decltype(Host::o___05Fpayload)>>();

#ifdef SDANN_WAVES
    // Waves of the tiles in `wanted` (by index; 0 is the host tile), in the cycles from `first` to before `end`.
    bool trace(const std::string& path, const int* wanted, int count, uint64_t first, uint64_t end) {
        context_.traceEverOn(true);
        waves_ = std::make_unique<VerilatedVcdC>();
        for (int n = 0; n < count; ++n) {
            const int index = wanted[n];
            if (index == 0) host_->trace(waves_.get(), 99);
            else places_[index].model->trace(waves_.get(), 99);
        }
        waves_->open(path.c_str());
        waves_from_ = first;
        waves_end_ = end;
        return waves_->isOpen();
    }
    void end_trace() {
        if (waves_) waves_->close();
        waves_.reset();
    }
#endif

#ifdef SDANN_COVERAGE
    void coverage(const char* path) { context_.coveragep()->write(path); }
#endif

private:
    bool stalls() {
        if (stall_ <= 0) return false;
        const uint32_t a = uint32_t(random_()) >> 5, b = uint32_t(random_()) >> 6;  // as Python's random()
        return (a * 67108864.0 + b) / 9007199254740992.0 < stall_;
    }

    // As HostPort._tick: one cycle; whether a word moved.
    bool tick() {
        offered_ = !out_.empty() && (offered_ || !stalls());
        const bool taking = !stalls();
        std::array<uint32_t, OUT_WORDS> word;
        const auto [accepted, came] = cycle(offered_ ? out_.front().data() : nullptr, taking, word.data());
        if (accepted) {
            out_.pop_front();
            offered_ = false;
        }
        if (came) in_.push_back(word);
        return accepted || came;
    }

    struct Moved {
        bool accepted, came;
    };

    Moved cycle(const uint32_t* offered, bool taking, uint32_t* word) {
        // -- before the edge: what the host tile shows, with its inputs of this cycle
        Host& host = *host_;
        host.i___05Fvalid = offered != nullptr;
        if (offered) read_words(host.i___05Fpayload, offered);
        host.o___05Fready = taking;
        host.quiescent = idle_[at_idle_];
        host.sound = sound_[at_idle_];
        take_inputs(places_[0]);
        host.clk = 0;
        host.eval();
        const bool accepted = offered && host.i___05Fready;
        const bool came = taking && host.o___05Fvalid;
        if (came) write_words(host.o___05Fpayload, word);
        const Command said = host.command;
        const bool idle = busy_ == 0 && host.idle;
        const bool sound = unsound_ == 0;

        const Command command = commands_[at_command_];
        const bool commanded = (low_bits(command) & op_) != 0;
        if (commanded) wake_all();
        for (int side = 0; side < SIDES; ++side) wake_behind(places_[0], side);

        active_.clear();
        for (size_t index = 1; index < places_.size(); ++index) {
            Place& place = places_[index];
            if (!place.awake) continue;
            if (place.left_out) catch_up(place);
            active_.push_back(int(index));
            place.model->command = command;
            place.rest = take_inputs(place) || commanded ? 0 : place.rest + 1;
        }

        // -- the edge
        host.clk = 1;
        host.eval();
        for (int index : active_) edge(*places_[index].model);
        for (int index : active_) after(places_[index]);
        // Only now: a tile may come to rest in the very cycle in which a neighbour begins to offer a flit.
        for (int index : active_)
            for (int side = 0; side < SIDES; ++side) wake_behind(places_[index], side);
        evaluations_ += active_.size();

        commands_[at_command_] = said;
        at_command_ = at_command_ + 1 == commands_.size() ? 0 : at_command_ + 1;
        idle_[at_idle_] = idle;
        sound_[at_idle_] = sound;
        at_idle_ = at_idle_ + 1 == idle_.size() ? 0 : at_idle_ + 1;
        ++cycles_;
#ifdef SDANN_WAVES
        if (waves_ && cycles_ > waves_from_ && cycles_ <= waves_end_) waves_->dump(cycles_);
#endif
        return {accepted, came};
    }

    // Puts what the neighbours offer at the tile's inputs; whether there is a flit.
    bool take_inputs(Place& place) {
        bool any = false;
        for (int side = 0; side < SIDES; ++side) {
            if (place.neighbour[side] < 0) continue;
            Place& other = places_[place.neighbour[side]];
            const Out& from = other.out[opposite(side)];
            const bool valid = *from.valid;
            *place.in[side].valid = valid;
            if (valid) *place.in[side].payload = *from.payload;
            any |= valid;
            *place.out[side].ready = *other.in[opposite(side)].ready;
        }
        return any;
    }

    void after(Place& place) {
        Tile& tile = *place.model;
        if (bool(tile.idle) != place.idle) {
            place.idle = tile.idle;
            busy_ += place.idle ? -1 : 1;
        }
        if (bool(tile.sound) != place.sound) {
            place.sound = tile.sound;
            unsound_ += place.sound ? -1 : 1;
        }
        bool sends = false;
        for (const Out& out : place.out) sends |= bool(*out.valid);
        if (!place.idle || sends) place.rest = 0;
        if (skip_ && place.rest > visits_ + SETTLE) {
            place.awake = false;
            place.left_out = true;
            place.since = cycles_ + 1;
        }
    }

    // Brings the visits of a tile that was left out to where they would be.
    void catch_up(Place& place) {
        Tile& tile = *place.model;
        place.left_out = false;
        for (int side = 0; side < SIDES; ++side) *place.in[side].valid = 0;
        tile.command = Command{};
        for (uint64_t due = (cycles_ - place.since) % visits_; due > 0; --due, ++evaluations_) edge(tile);
    }

    void wake_behind(Place& place, int side) {
        if (place.neighbour[side] >= 0 && *place.out[side].valid) wake(places_[place.neighbour[side]]);
    }

    void wake(Place& place) {
        if (place.awake) return;
        place.awake = true;
        place.rest = 0;
    }
    void wake_all() {
        for (Place& place : places_) {
            place.awake = true;
            place.rest = 0;
        }
    }

    const int visits_;
    const uint32_t op_;  // the bits of a command that say what it is; all zero: none
    VerilatedContext context_;
    std::unique_ptr<Host> host_;
    std::vector<Place> places_;
    std::vector<int> active_;
    std::vector<Command> commands_;  // ring: what the host tile said `size` cycles ago
    std::vector<char> idle_, sound_;
    size_t at_command_ = 0, at_idle_ = 0;
    int busy_ = 0, unsound_ = 0;
    std::deque<std::array<uint32_t, IN_WORDS>> out_;
    std::deque<std::array<uint32_t, OUT_WORDS>> in_;
    bool offered_ = false, skip_ = true;
    double stall_ = 0;
    std::mt19937 random_;
    uint64_t cycles_ = 0, evaluations_ = 0;
#ifdef SDANN_WAVES
    std::unique_ptr<VerilatedVcdC> waves_;
    uint64_t waves_from_ = 0, waves_end_ = 0;
#endif
};

}  // namespace

extern "C" {

void* sdann_new(int rows, int cols, int latency, int visits, uint32_t op) {
    return new Mesh(rows, cols, latency, visits, op);
}
void sdann_delete(void* mesh) { delete static_cast<Mesh*>(mesh); }
int sdann_words_in() { return Mesh::IN_WORDS; }
int sdann_words_out() { return Mesh::OUT_WORDS; }
void sdann_reset(void* mesh) { static_cast<Mesh*>(mesh)->reset(); }
void sdann_stalls(void* mesh, double probability, const char* state) {
    static_cast<Mesh*>(mesh)->set_stalls(probability, state);
}
void sdann_skip(void* mesh, int skip) { static_cast<Mesh*>(mesh)->set_skip(skip); }
void sdann_send(void* mesh, const uint32_t* words, size_t count) { static_cast<Mesh*>(mesh)->send(words, count); }
int sdann_receive(void* mesh, int64_t limit, uint32_t* word) {
    return static_cast<Mesh*>(mesh)->receive(limit, word);
}
void sdann_wait(void* mesh, int64_t cycles) { static_cast<Mesh*>(mesh)->wait(cycles); }
uint64_t sdann_cycles(void* mesh) { return static_cast<Mesh*>(mesh)->cycles(); }
uint64_t sdann_evaluations(void* mesh) { return static_cast<Mesh*>(mesh)->evaluations(); }
#ifdef SDANN_WAVES
int sdann_trace(void* mesh, const char* path, const int* tiles, int count, uint64_t first, uint64_t end) {
    return static_cast<Mesh*>(mesh)->trace(path, tiles, count, first, end);
}
void sdann_end_trace(void* mesh) { static_cast<Mesh*>(mesh)->end_trace(); }
#endif
#ifdef SDANN_COVERAGE
void sdann_coverage(void* mesh, const char* path) { static_cast<Mesh*>(mesh)->coverage(path); }
#endif
}
