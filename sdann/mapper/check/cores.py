"""One core: its memories' sizes, its descriptor and its constants."""

from hdl.pack import to_ints, unpack
from hdl.program import Memory, Readout, memory_depths, memory_layouts
from sdann.mapper.check.decoded import Decoded, Fields, need
from sdann.mapper.geometry import groups_of
from sdann.mapper.image import PROGRAM_MEMORIES, READOUT_NAMES, Coordinate, ProgramImage, checksum
from sdann.mapper.samples import words_of

__all__ = ["check_core", "check_memories"]


def check_memories(image: ProgramImage, core: Coordinate) -> None:
    """Which memories there are, their words' number and size, and their checksums."""
    config, entry, memories = image.config, image.cores[core], image.memories[core]
    where = f"core {core} ({entry.layer})"
    need(set(memories) == set(PROGRAM_MEMORIES), f"{where}: memories {sorted(m.name for m in memories)}")
    for memory, blob in memories.items():
        size, depth = memory_layouts(config)[memory].size, memory_depths(config)[memory]
        place = f"{where}: {memory.name}"
        need(len(blob) <= depth, f"{place} has {len(blob)} words, the chip has {depth}")
        need(blob.shape[1] == -(-size // 8), f"{place} has words of {blob.shape[1]} bytes, not {-(-size // 8)}")
        need(entry.checksums.get(memory.name) == checksum(blob), f"{place}: checksum differs: the file is damaged")
        spare = size % 8
        need(not spare or not (blob[:, -1] >> spare).any(), f"{place}: bits set beyond the word")
    need(len(memories[Memory.CORE]) == 1, f"{where}: CORE must be one word")


def check_core(decoded: Decoded, core: Coordinate) -> None:
    """The descriptor against the manifest and the chip, and the constants."""
    image, config, where, d = decoded.image, decoded.config, decoded.where(core), decoded.core[core]
    entry, layer = image.cores[core], image.layer(image.cores[core].layer)
    r, out = entry.region, entry.outputs
    groups = groups_of(r.channels, config.lanes)
    names = {name: kind for kind, name in READOUT_NAMES.items()}
    expected = {
        "enable": 1, "stage": entry.stage, "height": r.height, "width": r.width, "groups": groups,
        "words": words_of(r, config.lanes), "y0": out.y0, "x0": out.x0, "group0": out.channel0 // config.lanes,
        "last_lanes": r.channels - (groups - 1) * config.lanes, "routes": len(decoded.routes[core]),
        "readout": Readout.NONE.value if entry.part else names[layer.readout].value,
        "pool": int(entry.pooled is not None), "part": entry.part,
        "out_width": out.width, "out_words": words_of(out, config.lanes),
    }  # fmt: skip
    for name, value in expected.items():
        need(d[name] == value, f"{where}: {name} is {d[name]}, the manifest says {value}")
    need(d["words"] <= config.neuron_words, f"{where}: {d['words']} words exceed neuron_words {config.neuron_words}")
    need(groups <= config.group_words, f"{where}: {groups} groups exceed group_words {config.group_words}")
    need(1 <= d["ages"] < d["slots"], f"{where}: ages {d['ages']} need more slots than {d['slots']}")
    need(d["slots"] <= config.slots, f"{where}: slots {d['slots']} exceed the chip's {config.slots}")
    ring = d["slots"] * d["out_words"]
    need(ring <= config.act_words, f"{where}: slots of {ring} words in all exceed act_words {config.act_words}")
    _check_values(decoded, core, d)
    _check_constants(image, core, groups, where)


def _check_values(decoded: Decoded, core: Coordinate, d: Fields) -> None:
    """Clamp, sparsity, scaling: what the neurons' values may be."""
    image, config, where = decoded.image, decoded.config, decoded.where(core)
    layer, steps = image.layer(image.cores[core].layer), image.time_steps
    kind = Readout(d["readout"])
    signed = layer.signed and layer.stage > 0
    bits = {Readout.NONE: steps, Readout.ACT: config.act_bits}.get(kind, config.out_bits)
    two = signed or kind in (Readout.WIDE, Readout.RAW)  # two's complement
    if kind is Readout.WIDE:
        bits = min(bits, config.membrane_word_bits)
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if two else (0, (1 << bits) - 1)
    clamped = low <= d["lo"] <= 0 <= d["hi"] <= high or image.cores[core].part > 0  # a part clamps nothing
    need(clamped, f"{where}: clamp {d['lo']}..{d['hi']} not in {low}..{high}")
    sparse = d["rot"] or d["drlo"] or d["truncate"]
    need(not (two and sparse), f"{where}: RoT, truncation or DRLO (rot {d['rot']}, drlo {d['drlo']}) on signed values")
    need(d["rot"] < steps and d["drlo"] <= steps, f"{where}: rot {d['rot']} or drlo {d['drlo']} out of range")
    need(d["rot"] > 0 or not d["truncate"], f"{where}: truncate without a number of bits (rot 0)")
    need(d["shift1"] <= config.max_shift, f"{where}: shift1 {d['shift1']} exceeds max_shift {config.max_shift}")
    need(not (d["scaled"] and d["bias_in_sum"]), f"{where}: scaled integration with bias_in_sum (eq. 9's bias)")
    need(not d["scaled"] or d["mult1"] > 0, f"{where}: scaled integration with mult1 0")
    need(not (d["pool"] and two), f"{where}: pool on signed values or with readout {kind.name}")


def _check_constants(image: ProgramImage, core: Coordinate, groups: int, where: str) -> None:
    config, entry = image.config, image.cores[core]
    constants = image.memories[core][Memory.REQUANT]
    needed = 0 if entry.stage == 0 or entry.part else groups * config.requant_subwords
    need(len(constants) == needed, f"{where}: {len(constants)} words of constants, not {needed}")
    for number, word in enumerate(to_ints(constants)):
        values = unpack(memory_layouts(config)[Memory.REQUANT], word)
        for lane in range(config.requant_lanes):
            channel = number * config.requant_lanes + lane
            mult, shift, bias = (values[f"{lane}.{name}"] for name in ("mult", "shift", "bias"))
            place = f"{where}: channel {entry.region.channel0 + channel}"
            need(1 <= shift <= config.max_shift, f"{place}: requantization shift {shift} not in 1..{config.max_shift}")
            need(
                channel < entry.region.channels or (mult, bias) == (0, 0),
                f"{place} does not exist, but has mult {mult}, bias {bias}: it could spike",
            )
