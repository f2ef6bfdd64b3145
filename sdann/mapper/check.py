"""The image checker: a program that the chip could misunderstand is refused before it is loaded."""

from typing import Any

from hdl.config import ChipConfig, ConfigError
from hdl.program import Memory, chunks_of, memory_depths, memory_layouts
from sdann.errors import FileFormatError
from sdann.graph import INPUT
from sdann.mapper.image import PROGRAM_MEMORIES, Coordinate, ProgramImage, checksum
from sdann.mapper.manifest import CoreEntry
from sdann.mapper.packing import to_ints, unpack

__all__ = ["ImageError", "check_image"]


class ImageError(FileFormatError):
    """A program image whose content is not a program for its chip; the message says where and why."""


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise ImageError(message)


def check_image(image: ProgramImage) -> None:
    """Checks everything that the image says against its chip and itself; the first fault raises :class:`ImageError`."""
    manifest = image.manifest
    try:
        config = ChipConfig.from_dict(manifest.chip)
    except ConfigError as error:
        raise ImageError(f"chip configuration: {error}") from None
    found = manifest.fingerprint
    _need(
        found == config.fingerprint,
        f"chip fingerprint is {found:#010x}, the configuration's is {config.fingerprint:#010x}",
    )
    registers = manifest.registers
    _need(2 <= registers.STEPS <= config.time_steps, f"STEPS {registers.STEPS} is not in 2..{config.time_steps}")
    deepest = max(layer.stage for layer in manifest.layers)
    _need(
        registers.STAGES == deepest <= config.stages,
        f"STAGES {registers.STAGES}, layers reach {deepest}, chip {config.stages}",
    )
    _check_layers(image)
    names = [layer.name for layer in manifest.layers]
    _need(len(image.cores) == len(manifest.cores), "two entries claim the same core")
    _need(set(image.cores) == set(image.memories), "cores with an entry and cores with memory words differ")
    readout = 0
    cores: dict[Coordinate, dict[str, Any]] = {}
    for core, entry in image.cores.items():
        where = f"core {core} ({entry.layer})"
        _need(
            core in config.cores, f"{where}: not a core of the {config.rows}x{config.cols} mesh ((0, 0) is the host's)"
        )
        _need(entry.layer in names, f"{where}: unknown layer")
        _check_memories(image, core, entry, config, where)
        cores[core] = _check_core(image, core, entry, config, where)
        if cores[core]["readout"]:
            readout += cores[core]["words"] * chunks_of(config, Memory.ACT)
    _need(readout == registers.READOUT_FLITS, f"READOUT_FLITS is {registers.READOUT_FLITS}, the cores send {readout}")
    _need(0 < readout <= config.readout_depth, f"{readout} read-out flits exceed readout_depth {config.readout_depth}")
    for core in cores:
        _check_edges(image, core, cores[core], config, f"core {core} ({image.cores[core].layer})")
    for core in cores:
        _check_routes(image, core, cores, config, f"core {core} ({image.cores[core].layer})")


def _check_layers(image: ProgramImage) -> None:
    """Regions must cover every layer's map exactly once, in their places of the layer's rectangle."""
    layers = image.manifest.layers
    _need(len({layer.name for layer in layers}) == len(layers), "two layers have the same name")
    _need(layers[0].name == INPUT and layers[0].stage == 0, "the first layer must be the input, in stage 0")
    for layer in layers:
        cores = image.cores_of(layer.name)
        expected = [
            (layer.y + r, layer.x + c) for r in range(layer.row_tiles) for c in range(layer.channel_tiles)
        ]  # fmt: skip
        _need([(c.y, c.x) for c in cores] == expected, f"layer {layer.name!r}: cores do not fill its rectangle")
        seen = 0
        for core in cores:
            r = core.region
            _need(core.stage == layer.stage, f"core {core.y, core.x}: stage {core.stage}, its layer has {layer.stage}")
            inside = (
                r.channel0 + r.channels <= layer.shape[0] and r.y0 + r.height <= layer.shape[1]
                and (r.x0, r.width) == (0, layer.shape[2])
            )  # fmt: skip
            _need(inside, f"core {core.y, core.x}: region outside layer {layer.name!r}")
            for other in cores:
                s = other.region
                apart = (
                    r.y0 + r.height <= s.y0 or s.y0 + s.height <= r.y0
                    or r.channel0 + r.channels <= s.channel0 or s.channel0 + s.channels <= r.channel0
                )  # fmt: skip
                _need(other is core or apart, f"cores {core.y, core.x} and {other.y, other.x} hold the same neurons")
            seen += r.channels * r.height * r.width
        size = layer.shape[0] * layer.shape[1] * layer.shape[2]
        _need(seen == size, f"layer {layer.name!r}: cores hold {seen} of {size} neurons")


def _check_memories(image: ProgramImage, core: Coordinate, entry: CoreEntry, config: ChipConfig, where: str) -> None:
    memories = image.memories[core]
    _need(set(memories) == set(PROGRAM_MEMORIES), f"{where}: memories {sorted(m.name for m in memories)}")
    for memory, blob in memories.items():
        size, depth = memory_layouts(config)[memory].size, memory_depths(config)[memory]
        place = f"{where}: {memory.name}"
        _need(len(blob) <= depth, f"{place} has {len(blob)} words, the chip has {depth}")
        _need(blob.shape[1] == -(-size // 8), f"{place} has words of {blob.shape[1]} bytes, not {-(-size // 8)}")
        _need(entry.checksums.get(memory.name) == checksum(blob), f"{place}: checksum differs: the file is damaged")
        spare = size % 8
        _need(not spare or not (blob[:, -1] >> spare).any(), f"{place}: bits set beyond the word")


def _check_core(
    image: ProgramImage, core: Coordinate, entry: CoreEntry, config: ChipConfig, where: str
) -> dict[str, Any]:
    memories = image.memories[core]
    _need(len(memories[Memory.CORE]) == 1, f"{where}: CORE must be one word")
    fields: dict[str, Any] = unpack(memory_layouts(config)[Memory.CORE], to_ints(memories[Memory.CORE])[0])
    r, is_input = entry.region, entry.layer == INPUT
    groups = -(-r.channels // config.lanes)
    expected = {
        "enable": 1, "stage": entry.stage, "height": r.height, "width": r.width, "groups": groups,
        "words": r.height * r.width * groups, "y0": r.y0, "x0": r.x0, "group0": r.channel0 // config.lanes,
        "last_lanes": r.channels - (groups - 1) * config.lanes, "routes": len(memories[Memory.ROUTE]),
        "readout": int(entry.layer == image.output_layer.name),
    }  # fmt: skip
    for name, value in expected.items():
        _need(fields[name] == value, f"{where}: {name} is {fields[name]}, the manifest says {value}")
    _need(r.channel0 % config.lanes == 0, f"{where}: region starts inside a channel group")
    _need(
        fields["words"] <= config.neuron_words,
        f"{where}: {fields['words']} words exceed neuron_words {config.neuron_words}",
    )
    _need(groups <= config.group_words, f"{where}: {groups} groups exceed group_words {config.group_words}")
    steps = config.act_bits
    signed, half = image.output_layer.signed and fields["readout"], 1 << (steps - 1)
    low, high = (-half, half - 1) if signed else (0, (1 << steps) - 1)
    _need(
        low <= fields["lo"] <= 0 <= fields["hi"] <= high,
        f"{where}: clamp {fields['lo']}..{fields['hi']} not in {low}..{high}",
    )
    _need(not signed or not (fields["rot"] or fields["drlo"]), f"{where}: RoT or DRLO on signed values")
    _need(fields["rot"] < steps and fields["drlo"] <= steps, f"{where}: rot or drlo out of range")
    _need(fields["shift1"] <= config.max_shift, f"{where}: shift1 exceeds max_shift {config.max_shift}")
    _need(not is_input or not len(memories[Memory.EDGE]), f"{where}: an input tile has edges")
    constants = memories[Memory.REQUANT]
    needed = 0 if is_input else groups * config.requant_subwords
    _need(len(constants) == needed, f"{where}: {len(constants)} words of constants, not {needed}")
    for word in to_ints(constants):
        for lane in unpack(memory_layouts(config)[Memory.REQUANT], word):
            _need(1 <= lane["shift"] <= config.max_shift, f"{where}: requantization shift {lane['shift']}")
    return fields


def _check_edges(image: ProgramImage, core: Coordinate, fields: dict[str, Any], config: ChipConfig, where: str) -> None:
    words = image.words(core, Memory.EDGE)
    available = len(image.memories[core][Memory.WEIGHT])
    for number, word in enumerate(words):
        place, e = f"{where} edge {number}", unpack(memory_layouts(config)[Memory.EDGE], word)
        _need(e["enable"] == 1, f"{place}: not enabled")
        _need(e["shift"] <= config.max_edge_shift, f"{place}: shift exceeds max_edge_shift {config.max_edge_shift}")
        sides = (e["kernel_h"], e["kernel_w"])
        _need(min(sides) >= 1 and max(sides) <= config.map_side, f"{place}: kernel {sides}")
        _need(e["groups"] >= 1 and e["group0"] + e["groups"] <= config.map_groups, f"{place}: groups out of range")
        stride_y = e["kernel_w"] * fields["groups"]
        _need(e["stride_y"] == stride_y, f"{place}: stride_y is {e['stride_y']}, not {stride_y}")
        if e["depthwise"]:
            own = (e["group0"], e["groups"]) == (fields["group0"], fields["groups"])
            _need(own, f"{place}: depthwise edge of other groups than the core's")
            used = e["kernel_h"] * stride_y
        else:
            _need(e["stride_g"] == e["kernel_h"] * stride_y, f"{place}: stride_g is {e['stride_g']}")
            _need(1 << e["row_shift"] <= config.lanes, f"{place}: row_shift {e['row_shift']}")
            _need(e["groups"] == 1 or 1 << e["row_shift"] == config.lanes, f"{place}: several groups, but not all rows")
            used = e["groups"] * e["stride_g"] << e["row_shift"]
        last = e["weight_base"] + used
        _need(last <= available, f"{place}: reads weight words up to {last}, the program has {available}")


def _check_routes(
    image: ProgramImage, core: Coordinate, cores: dict[Coordinate, dict[str, Any]], config: ChipConfig, where: str
) -> None:
    for number, word in enumerate(image.words(core, Memory.ROUTE)):
        place, r = f"{where} route {number}", unpack(memory_layouts(config)[Memory.ROUTE], word)
        dst = r["dst"]
        for low, high in (("y0", "y1"), ("x0", "x1"), ("group0", "group1")):
            _need(r[low] <= r[high], f"{place}: {low} {r[low]} is above {high} {r[high]}")
        for low, high, size in (("y0", "y1", config.rows), ("x0", "x1", config.cols)):
            _need(dst[low] <= dst[high] < size, f"{place}: rectangle {dst} is inverted or outside the mesh")
        for target in [(y, x) for y in range(dst["y0"], dst["y1"] + 1) for x in range(dst["x0"], dst["x1"] + 1)]:
            _need(target in cores, f"{place}: goes to tile {target}, which holds no program")
            stages = cores[core]["stage"], cores[target]["stage"]
            _need(
                stages[1] == stages[0] + 1,
                f"{place}: goes from stage {stages[0]} to core {target} of stage {stages[1]}",
            )
            _need(
                r["edge"] < len(image.memories[target][Memory.EDGE]), f"{place}: core {target} has no edge {r['edge']}"
            )
