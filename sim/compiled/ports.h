// The ports of the Verilated modules, whatever their widths: words of 32 bits, least significant first.

#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "Vsdann_host_tile.h"
#include "Vsdann_tile.h"
#include "Vsdann_tile___024root.h"
#include "verilated.h"

namespace sdann {

using Host = Vsdann_host_tile;
using Tile = Vsdann_tile;
template <class Port> using Value = std::remove_reference_t<Port>;
using Flit = Value<decltype(Tile::o_north___05Fpayload)>;
using Command = Value<decltype(Tile::command)>;

enum Side { NORTH, EAST, SOUTH, WEST };
constexpr int SIDES = 4;
constexpr Side opposite(int side) { return Side((side + 2) % SIDES); }

template <class Port> void read_words(Port& port, const uint32_t* words) {
    if constexpr (std::is_integral_v<Port>) {
        uint64_t value = words[0];
        if constexpr (sizeof(Port) > 4) value |= uint64_t(words[1]) << 32;
        port = Port(value);
    } else {
        for (size_t k = 0; k < sizeof(Port) / 4; ++k) port[k] = words[k];
    }
}

template <class Port> void write_words(const Port& port, uint32_t* words) {
    if constexpr (std::is_integral_v<Port>) {
        words[0] = uint32_t(uint64_t(port));
        if constexpr (sizeof(Port) > 4) words[1] = uint32_t(uint64_t(port) >> 32);
    } else {
        for (size_t k = 0; k < sizeof(Port) / 4; ++k) words[k] = port[k];
    }
}

template <class Port> constexpr int words_of() { return sizeof(Port) <= 4 ? 1 : int(sizeof(Port) / 4); }

inline uint32_t low_bits(const Command& command) {
    uint32_t words[words_of<Command>()];
    write_words(command, words);
    return words[0];
}

// A rising edge of the clock. Nothing happens at a falling one, so what Verilator remembers of the clock is set back
// instead: one evaluation instead of two.
inline void edge(Tile& tile) {
    tile.clk = 1;
    tile.eval();
    tile.rootp->__Vtrigprevexpr___TOP__clk__0 = 0;
}

// One direction of a link at one tile, as pointers to the model's ports.
struct Out {
    const CData* valid = nullptr;
    const Flit* payload = nullptr;
    CData* ready = nullptr;
};
struct In {
    CData* valid = nullptr;
    Flit* payload = nullptr;
    const CData* ready = nullptr;
};

// Verilator spells the double underscore of a port's name ___05F.
template <class Model> void ports_of(Model& model, In (&in)[SIDES], Out (&out)[SIDES]) {
    in[NORTH] = {&model.i_north___05Fvalid, &model.i_north___05Fpayload, &model.i_north___05Fready};
    in[EAST] = {&model.i_east___05Fvalid, &model.i_east___05Fpayload, &model.i_east___05Fready};
    in[SOUTH] = {&model.i_south___05Fvalid, &model.i_south___05Fpayload, &model.i_south___05Fready};
    in[WEST] = {&model.i_west___05Fvalid, &model.i_west___05Fpayload, &model.i_west___05Fready};
    out[NORTH] = {&model.o_north___05Fvalid, &model.o_north___05Fpayload, &model.o_north___05Fready};
    out[EAST] = {&model.o_east___05Fvalid, &model.o_east___05Fpayload, &model.o_east___05Fready};
    out[SOUTH] = {&model.o_south___05Fvalid, &model.o_south___05Fpayload, &model.o_south___05Fready};
    out[WEST] = {&model.o_west___05Fvalid, &model.o_west___05Fpayload, &model.o_west___05Fready};
}

}  // namespace sdann
