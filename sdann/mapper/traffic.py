"""What a placement costs the network: bundles times hops, and the least that any placement could cost."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from hdl.config import ChipConfig
from sdann.mapper.geometry import groups_of
from sdann.mapper.grids import EMIT_LEAST
from sdann.mapper.image import Coordinate
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.routing import RouteEntry
from sdann.mapper.work import Spikes
from sdann.mesh_model import deliver

__all__ = ["Traffic", "emission_cycles", "most_routes", "traffic_of"]


@dataclass(frozen=True)
class Traffic:
    """Per sample: ``hops``, bundles times the links that they cross; ``least``, at least so many in any placement.

    ``through``: bundles that each tile hands to a neighbour.
    """

    hops: float
    least: float
    through: Mapping[Coordinate, float]


def bundles_of(entry: RouteEntry, name: str, spikes: Spikes) -> float:
    """Bundles per sample that a route sends."""
    (y0, y1), (x0, x1), (g0, g1) = entry.box
    own = spikes.bundles[name][g0 : g1 + 1]
    log2, phase_y, phase_x = entry.kind.phase
    step = 1 << log2
    rows, columns = (
        slice(first + (phase - first) % step, last + 1, step)
        for first, last, phase in ((y0, y1, phase_y), (x0, x1, phase_x))
    )
    return float(own[:, rows, columns].sum())


def _words(name: str, held: RegionEntry, spikes: Spikes) -> tuple[float, int]:
    """(bundles per sample, words) of some activations."""
    own = spikes.bundles[name]
    first, last = held.channel0 // spikes.lanes, groups_of(held.channel0 + held.channels, spikes.lanes)
    own = own[first:last, held.y0 : held.y0 + held.height, held.x0 : held.x0 + held.width]
    return float(own.sum()), own.size


def emission_cycles(name: str, held: RegionEntry, spikes: Spikes, steps: int, routes: int) -> float:
    """Cycles per window in which a core emits: a word with spikes takes one for each route, the others take one."""
    bundles, words = _words(name, held, spikes)
    return bundles * (max(EMIT_LEAST, routes) - 1) + steps * words


def most_routes(name: str, held: RegionEntry, spikes: Spikes, steps: int, cycles: float) -> int | None:
    """Route entries with which emission takes so many cycles at most, but at least one; None: any number."""
    if name not in spikes.bundles:
        return None
    bundles, words = _words(name, held, spikes)
    return max(1, int((cycles - steps * words) / bundles + 1)) if bundles else None


def traffic_of(
    routes: Mapping[Coordinate, Sequence[RouteEntry]], layer_of: Mapping[Coordinate, str], spikes: Spikes,
    config: ChipConfig, quiet: Collection[str] = (),
) -> Traffic:  # fmt: skip
    """Traffic of the spikes over ``routes``, by source core; ``layer_of``: what each core holds.

    ``quiet``: names of which no spikes are known. A bundle for n tiles crosses n links at least, since a link leads to
    one tile and no tile is its own target.
    """
    hops = least = 0.0
    through: dict[Coordinate, float] = {}
    for source, entries in routes.items():
        name = layer_of[source]
        if name in quiet:
            continue
        for entry in entries:
            bundles = bundles_of(entry, name, spikes)
            way = deliver(config.rows, config.cols, source, entry.dst)
            assert way is not None
            for tile, copies in way.hops:
                through[tile] = through.get(tile, 0.0) + bundles * copies
                hops += bundles * copies
            least += bundles * len(way.tiles)
    return Traffic(hops, least, through)
