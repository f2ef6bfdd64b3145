"""From an integer network to program images: passes, tiles, their places, routes and words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hdl.config import ChipConfig
from sdann.check import check_network
from sdann.errors import DoesNotFitError, SdannError, UnsupportedError
from sdann.graph import INPUT, QuantizedNetwork
from sdann.mapper.feeds import Place, held, network_routes
from sdann.mapper.grids import EMITTING, Grid, Taste
from sdann.mapper.hashing import network_hash
from sdann.mapper.image import Coordinate, ProgramImage
from sdann.mapper.limits import check_limits
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.placement import (
    Block,
    Placement,
    local_placement,
    rectangle_placement,
    row_placement,
    snake_placement,
    validate,
)
from sdann.mapper.placing import place_network
from sdann.mapper.plan import Frame, Planner, allocate
from sdann.mapper.relays import with_relays
from sdann.mapper.routing import RouteEntry
from sdann.mapper.traffic import Traffic, emission_cycles, most_routes, traffic_of
from sdann.mapper.work import Spikes, assumed_spikes, with_repeated

__all__ = ["Judge", "MappedPass", "NetworkMap", "map_network", "pass_on_tiles", "plan_network", "with_parts"]

_BUDGETS = (1.0, 0.85, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05, 0.02, 0.0)
"""Shares of the spare cores that are given out: fewer where routes run out, since they grow with the cuts."""


_BANDS = (1, 2, 4, 8)

_TASTES = (Taste(), Taste(tolerance=0.1, rows=2.0), Taste(tolerance=0.2, rows=2.0))
"""What is tried where a judge decides; the first one is taken where none does."""

_JUDGED = 3
"""Placements of each of them that are shown to the judge."""

Judge = Callable[[ProgramImage], float]
"""Says how good a program is, in cycles per sample or anything else: less is better."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MappedPass:
    """One pass on the mesh.

    ``grids``: how everything on the chip is cut. ``tiles``: where the pieces lie. ``network``: with the fan-in of its
    layers split as the grids say. ``traffic``: of its spikes; ``method``: how the places were found.
    ``routes``: entries of each core. ``emission``: cycles per window of the core that takes longest to emit its spikes.
    ``least``: the grids with the fewest cores.
    """

    frame: Frame
    grids: Mapping[str, Grid]
    tiles: Placement
    network: QuantizedNetwork
    traffic: Traffic
    method: str
    routes: Mapping[Coordinate, Sequence[RouteEntry]]
    emission: float
    least: Mapping[str, Grid]

    @property
    def cores(self) -> int:
        """Cores in use."""
        return sum(len(tiles) for tiles in self.tiles.values())

    @property
    def places(self) -> dict[str, list[Place]]:
        """What each core holds, by name."""
        return _places(self.grids, self.tiles)


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkMap:
    """A network on a chip: the passes that compute it, one after the other.

    ``network``: the user's; ``relayed``: with the identity layers that long skips need. ``spikes``: what the choice of
    tiles went by.
    """

    network: QuantizedNetwork
    relayed: QuantizedNetwork
    config: ChipConfig
    spikes: Spikes
    passes: tuple[MappedPass, ...]

    def image(self, number: int) -> ProgramImage:
        """The program of one pass, checked."""
        return _image(self.passes[number], self.config, number, len(self.passes), network_hash(self.network))

    def images(self) -> Iterator[ProgramImage]:
        """The programs in the order in which they run; one at a time, since they may be large."""
        return (self.image(number) for number in range(len(self.passes)))


def _image(one: MappedPass, config: ChipConfig, number: int, passes: int, identity: str) -> ProgramImage:
    return place_network(
        one.network, config, one.places, sources=set(one.frame.sources), extents=_partial(one), pass_number=number,
        passes=passes, identity=identity, routes=one.routes,
    )  # fmt: skip


def _partial(one: MappedPass) -> dict[str, RegionEntry]:
    """The extents that are not whole maps."""
    found = {}
    for name, extent in one.frame.extents.items():
        channels, height, width = one.network.shape_of(name)
        if (extent.channels, extent.height, extent.width) != (channels, height, width):
            found[name] = extent
    return found


def _places(grids: Mapping[str, Grid], tiles: Mapping[str, list[Coordinate]]) -> dict[str, list[Place]]:
    return {
        name: [
            Place(tile=tile, rows=piece.rows, columns=piece.columns, channels=piece.channels, part=piece.part)
            for tile, piece in zip(tiles[name], grid.pieces, strict=True)
        ]
        for name, grid in grids.items()
    }


def with_parts(network: QuantizedNetwork, grids: Mapping[str, Grid], frame: Frame) -> QuantizedNetwork:
    """The network with the fan-in of what the pass computes split as the grids say."""
    layers = tuple(
        replace(layer, parts=grids[layer.name].parts)
        if layer.name in frame.layers and len(grids[layer.name].parts) > 1
        else layer
        for layer in network.layers
    )
    return replace(network, layers=layers)


def _links(network: QuantizedNetwork, frame: Frame, spikes: Spikes) -> dict[tuple[str, str], int]:
    """Bundles per sample from each producer to each consumer on the chip."""
    links: dict[tuple[str, str], int] = {}
    for name in frame.layers:
        # not a set: the solver must see the same model in every run
        for source in dict.fromkeys(edge.source for edge in network.layer(name).edges):
            links[source, name] = 1 + round(float(spikes.bundles[source].sum()))
    return links


def _placed(
    network: QuantizedNetwork,
    frame: Frame,
    grids: Mapping[str, Grid],
    config: ChipConfig,
    spikes: Spikes,
) -> list[MappedPass]:
    """The placements that are tried, the one with the least traffic first; before that, those that emit fast enough."""
    split = with_parts(network, grids, frame)
    blocks = [
        Block(name, grid.cores, grid.inner, grid.centres(*network.shape_of(name)[1:])) for name, grid in grids.items()
    ]
    candidates: dict[str, Placement | None] = {
        "rectangles": rectangle_placement(blocks, _links(network, frame, spikes), config),
        "bands": snake_placement(blocks, config),
        "rows": row_placement(blocks, config),
        **{f"local {bands}": local_placement(blocks, config, bands) for bands in _BANDS if bands <= config.rows},
    }
    window = max(grid.load for grid in grids.values())
    found: list[MappedPass] = []
    refusal: DoesNotFitError | None = None
    for method, tiles in candidates.items():
        if tiles is None:
            continue
        validate(tiles, config)
        try:
            found.append(pass_on_tiles(split, frame, grids, tiles, config, spikes, method))
        except DoesNotFitError as error:
            refusal = refusal or error
    if not found:
        assert refusal is not None
        raise refusal
    return sorted(found, key=lambda one: (max(one.emission, EMITTING * window), one.traffic.hops))


def pass_on_tiles(
    network: QuantizedNetwork, frame: Frame, grids: Mapping[str, Grid], tiles: Placement, config: ChipConfig,
    spikes: Spikes, method: str,
) -> MappedPass:  # fmt: skip
    """A pass on given tiles with its traffic; raises :class:`DoesNotFitError` where the routes do not suffice."""
    window = max(grid.load for grid in grids.values())

    def wanted(name: str, held: RegionEntry) -> int | None:
        """So many that emission leaves the cores that it feeds most of the window."""
        return most_routes(name, held, spikes, network.time_steps, EMITTING * window)

    places = _places(grids, tiles)
    routes = network_routes(network, places, set(frame.sources), config, wanted)
    names = {tile: name for name, own in tiles.items() for tile in own}
    emission = 0.0
    for name, own in places.items():
        layer = None if name in frame.sources else network.layer(name)
        for place in own:
            if entries := routes.get(place.tile):
                _, region = held(network, name, layer, place)
                emission = max(emission, emission_cycles(name, region, spikes, network.time_steps, len(entries)))
    return MappedPass(
        frame=frame,
        grids=grids,
        tiles=tiles,
        network=network,
        traffic=traffic_of(routes, names, spikes, config),
        method=method, routes=routes, emission=emission, least=grids,
    )  # fmt: skip


def plan_network(
    network: QuantizedNetwork,
    config: ChipConfig,
    *,
    spikes: Spikes | None = None,
    overrides: Mapping[str, tuple[int, int]] | None = None,
    cores: int | None = None,
    one_pass: bool = False,
    judge: Judge | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> NetworkMap:
    """Maps ``network`` on a chip, in as many passes as it needs.

    ``spikes``: of a calibration run (:func:`sdann.mapper.work.count_spikes`); the busiest core is to have as little to
    do as it can. Without them all sources are taken to be equally busy. ``overrides``: (row tiles, channel tiles) of
    the input or a layer by name. ``cores``: at most so many are used (1 ..). ``one_pass``: refuse a network that does
    not fit the chip at once. ``judge``: chooses among several ways to cut and place each pass, by its programs, instead
    of the estimates; :func:`sdann.mapping_cost.judge_cycles` makes one of the cycle model. ``progress``: called with
    (passes placed, all).

    The same arguments give the same map. Raises :class:`DoesNotFitError` that names layer, limit, needed and available,
    :class:`UnsupportedError` for a graph that no chip of this kind runs, and :class:`sdann.errors.SdannError` for a
    faulty network.
    """
    check_network(network)
    overrides = dict(overrides or {})
    if unknown := sorted(set(overrides) - {INPUT, *(layer.name for layer in network.layers)}):
        raise DoesNotFitError(f"a tiling is given for {unknown[0]!r}, which is not in the network")
    check_limits(network, config)
    read = {edge.source for layer in network.layers for edge in layer.edges}
    if unread := [layer.name for layer in network.layers[:-1] if layer.name not in read]:
        raise UnsupportedError(f"layer {unread[0]!r} is read by no layer; only the last one is read out: remove it")
    relayed = with_relays(network, config.slots - 1)
    if spikes is None:
        spikes = assumed_spikes(network, config.lanes)
    if spikes.lanes != config.lanes:
        raise SdannError(f"the spikes are counted in groups of {spikes.lanes} lanes, the chip has {config.lanes}")
    spikes = with_repeated(spikes, relayed)
    budget = len(config.cores) if cores is None else min(len(config.cores), cores)
    planners = [Planner(relayed, config, spikes, overrides, budget, taste) for taste in _TASTES[: 3 if judge else 1]]
    frames = [planners[0].frame(relayed.layers)] if one_pass else planners[0].frames()
    identity = network_hash(network)
    passes = []
    for number, frame in enumerate(frames):
        found = [_pass(planner, relayed, frame, config, spikes, budget) for planner in planners]
        if judge is None:
            passes.append(found[0][0])
        else:
            shown = [one for some in found for one in some[:_JUDGED]]
            passes.append(min(shown, key=lambda one: judge(_image(one, config, number, len(frames), identity))))
        progress(number + 1, len(frames))
    return NetworkMap(network=network, relayed=relayed, config=config, spikes=spikes, passes=tuple(passes))


def _pass(
    planner: Planner, network: QuantizedNetwork, frame: Frame, config: ChipConfig, spikes: Spikes, budget: int
) -> list[MappedPass]:
    """The most cores for which the routes suffice, in several places."""
    options = planner.grids(frame)
    fewest = sum(grids[0].cores for grids in options.values())
    refusal: DoesNotFitError | None = None
    tried: set[int] = set()
    for share in _BUDGETS:
        grids = allocate(options, fewest + int((budget - fewest) * share))
        if (cores := sum(grid.cores for grid in grids.values())) in tried:
            continue
        tried.add(cores)
        try:
            found = _placed(network, frame, grids, config, spikes)
        except DoesNotFitError as error:
            refusal = error
        else:
            return [replace(one, least={name: options[name][0] for name in grids}) for one in found]
    assert refusal is not None
    raise refusal


def map_network(
    network: QuantizedNetwork,
    config: ChipConfig,
    overrides: Mapping[str, tuple[int, int]] | None = None,
    *,
    spikes: Spikes | None = None,
    cores: int | None = None,
) -> ProgramImage:
    """The program of a network that must fit the chip at once; arguments and errors as of :func:`plan_network`."""
    return plan_network(network, config, spikes=spikes, overrides=overrides, cores=cores, one_pass=True).image(0)
