// One tile alone: flits go in at its northern link, all that leaves it is taken at once and kept.
//
// From the north a flit can only be delivered here or go on southwards, so the tile stands at any place of any mesh.

#include <cstdint>
#include <memory>
#include <vector>

#include "ports.h"

namespace {

using namespace sdann;

constexpr int FLIT_WORDS = words_of<Flit>();
constexpr int COMMAND_WORDS = words_of<Command>();

class Alone {
public:
    Alone(int y, int x) : tile_(&context_, "tile") {
        ports_of(tile_, in_, out_);
        for (int side = 0; side < SIDES; ++side) {
            *in_[side].valid = 0;
            *out_[side].ready = 1;
        }
        place(y, x);
    }
    ~Alone() { tile_.final(); }

    // Puts the tile elsewhere, in reset. Its memories keep what they hold.
    void place(int y, int x) {
        tile_.y = y;
        tile_.x = x;
        tile_.rst = 1;
        for (int n = 0; n < 3; ++n) edge(tile_);
        tile_.rst = 0;
        left_.clear();
    }

    // One cycle of `command` (none: null), then `count` flits as fast as they are taken, then on until the tile is
    // idle. Cycles that it took, -1 when `limit` did not do.
    int64_t run(const uint32_t* command, const uint32_t* flits, size_t count, int64_t limit) {
        In& in = in_[NORTH];
        int64_t cycle = 0;
        if (command) {
            read_words(tile_.command, command);
            edge(tile_);
            keep();
            tile_.command = Command{};
            ++cycle;
        }
        size_t next = 0;
        // The core answers a command one cycle after it has come.
        for (int64_t least = cycle + 2; next < count || !tile_.idle || sends() || cycle < least; ++cycle) {
            if (cycle >= limit) return -1;
            const bool offered = next < count;
            *in.valid = offered;
            if (offered) {
                read_words(*in.payload, flits + next * FLIT_WORDS);
                if (*in.ready) ++next;
            }
            edge(tile_);
            keep();
        }
        *in.valid = 0;
        cycles_ += cycle;
        return cycle;
    }

    const std::vector<uint32_t>& left() const { return left_; }
    void forget() { left_.clear(); }
    bool sound() const { return tile_.sound; }
    uint64_t cycles() const { return cycles_; }

private:
    bool sends() const {
        for (const Out& out : out_)
            if (*out.valid) return true;
        return false;
    }
    // What stands at an output after an edge leaves with the next one: every neighbour is ready.
    void keep() {
        for (uint32_t side = 0; side < SIDES; ++side) {
            if (!*out_[side].valid) continue;
            left_.push_back(side);
            left_.resize(left_.size() + FLIT_WORDS);
            write_words(*out_[side].payload, left_.data() + left_.size() - FLIT_WORDS);
        }
    }

    VerilatedContext context_;
    Tile tile_;
    In in_[SIDES];
    Out out_[SIDES];
    std::vector<uint32_t> left_;
    uint64_t cycles_ = 0;
};

}  // namespace

extern "C" {

void* sdann_tile_new(int y, int x) { return new Alone(y, x); }
void sdann_tile_delete(void* tile) { delete static_cast<Alone*>(tile); }
void sdann_tile_place(void* tile, int y, int x) { static_cast<Alone*>(tile)->place(y, x); }
int sdann_flit_words() { return FLIT_WORDS; }
int sdann_command_words() { return COMMAND_WORDS; }
int64_t sdann_tile_run(void* tile, const uint32_t* command, const uint32_t* flits, size_t count, int64_t limit) {
    return static_cast<Alone*>(tile)->run(command, flits, count, limit);
}
// What has left: of each flit the side (0 north, 1 east, 2 south, 3 west), then its words.
size_t sdann_tile_left(void* tile) { return static_cast<Alone*>(tile)->left().size() / (1 + FLIT_WORDS); }
const uint32_t* sdann_tile_left_words(void* tile) { return static_cast<Alone*>(tile)->left().data(); }
void sdann_tile_forget(void* tile) { static_cast<Alone*>(tile)->forget(); }
int sdann_tile_sound(void* tile) { return static_cast<Alone*>(tile)->sound(); }
uint64_t sdann_tile_cycles(void* tile) { return static_cast<Alone*>(tile)->cycles(); }
}
