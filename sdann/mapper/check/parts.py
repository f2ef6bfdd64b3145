"""Fan-in split over cores: who sends partial sums to whom, and when."""

from sdann.mapper.check.decoded import Decoded, need
from sdann.mapper.image import Coordinate

__all__ = ["check_parts"]


def check_parts(decoded: Decoded) -> None:
    """Every part sends to a core of the same neurons that still adds, and no two at the same time."""
    image, config = decoded.image, decoded.config
    senders: dict[Coordinate, dict[int, Coordinate]] = {}
    for core, entry in image.cores.items():
        d, where = decoded.core[core], decoded.where(core)
        if not entry.part:
            need((d["part_y"], d["part_x"]) == (0, 0), f"{where}: part_y, part_x without a part")
            continue
        target = d["part_y"], d["part_x"]
        need(entry.stage > 0, f"{where}: part {entry.part} of what the host sends")
        need(not d["routes"], f"{where}: part {entry.part} has routes {d['routes']}, but no activations")
        need(target in image.cores, f"{where}: part_y, part_x: tile {target} holds no program")
        other = image.cores[target]
        need(other.layer == entry.layer, f"{where}: part_y, part_x: core {target} is of layer {other.layer!r}")
        need(other.region == entry.region, f"{where}: part_y, part_x: core {target} has other neurons")
        need(
            other.part == 0 or other.part > entry.part,
            f"{where}: sends in part {entry.part} to core {target}, which itself sends in part {other.part}",
        )
        before = senders.setdefault(target, {}).setdefault(entry.part, core)
        need(before == core, f"{where}: core {before} sends to {target} in the same part {entry.part}")
        scale = ("scaled", "mult1", "shift1")
        need(
            all(d[name] == decoded.core[target][name] for name in scale),
            f"{where}: scaled, mult1 or shift1 differ from those of core {target}, which adds its sums",
        )
    for core in senders:
        if not image.cores[core].part:
            count = _cores_below(core, senders)
            need(
                count <= config.parts,
                f"{decoded.where(core)}: adds up {count} parts, the chip's membrane words hold {config.parts} (parts)",
            )


def _cores_below(core: Coordinate, senders: dict[Coordinate, dict[int, Coordinate]]) -> int:
    return 1 + sum(_cores_below(other, senders) for other in senders.get(core, {}).values())
