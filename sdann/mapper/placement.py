"""Where each layer's cores lie on the mesh: constraint programming, reproducible from run to run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

from hdl.config import ChipConfig
from sdann.errors import DoesNotFitError
from sdann.mapper.image import Coordinate

__all__ = ["Block", "local_placement", "rectangle_placement", "row_placement", "snake_placement", "validate"]

_EFFORT = 2.0  # deterministic time units: the result must not depend on how busy the machine is
_WASTE = 0.15  # of a rectangle, that may stay empty


@dataclass(frozen=True)
class Block:
    """``cores`` cores of ``name``; runs of ``inner`` of them get the same bundles.

    ``centres``: of each run, its place (y, x) on the map, 0..1.
    """

    name: str
    cores: int
    inner: int
    centres: tuple[tuple[float, float], ...] = ()


Placement = dict[str, list[Coordinate]]
"""Tiles of each block's cores, in their order."""


def row_placement(blocks: Sequence[Block], config: ChipConfig) -> Placement:
    """One block after the other, row by row: what one would do by hand."""
    return _along(blocks, config.cores)


def snake_placement(blocks: Sequence[Block], config: ChipConfig) -> Placement:
    """One block after the other along a band of two rows that turns at the mesh's sides: neighbours stay near."""
    tiles: list[Coordinate] = []
    for number, low in enumerate(range(0, config.rows, 2)):
        columns = range(config.cols) if number % 2 == 0 else range(config.cols - 1, -1, -1)
        tiles += [(y, x) for x in columns for y in range(low, min(low + 2, config.rows))]
    return _along(blocks, [tile for tile in tiles if tile != (0, 0)])


def local_placement(blocks: Sequence[Block], config: ChipConfig, bands: int) -> Placement:
    """What lies at one place of different maps lies together on the mesh: maps in ``bands`` bands, back and forth."""
    _check(blocks, len(config.cores))
    runs: list[tuple[int, float, float, int, str, int]] = []
    for number, block in enumerate(blocks):
        for run, (y, x) in enumerate(block.centres):
            band = min(int(y * bands), bands - 1)
            runs.append((band, x if band % 2 == 0 else 1 - x, y, number, block.name, run))
    sizes = {block.name: block.inner for block in blocks}
    height = -(-config.rows // bands)
    tiles: list[Coordinate] = []
    for band, low in enumerate(range(0, config.rows, height)):
        columns = range(config.cols) if band % 2 == 0 else range(config.cols - 1, -1, -1)
        tiles += [(y, x) for x in columns for y in range(low, min(low + height, config.rows)) if (y, x) != (0, 0)]
    placed: dict[str, dict[int, list[Coordinate]]] = {block.name: {} for block in blocks}
    first = 0
    for *_, name, run in sorted(runs):
        placed[name][run] = tiles[first : first + sizes[name]]
        first += sizes[name]
    return {name: [tile for run in sorted(found) for tile in found[run]] for name, found in placed.items()}


def _along(blocks: Sequence[Block], tiles: Sequence[Coordinate]) -> Placement:
    _check(blocks, len(tiles))
    placed: Placement = {}
    first = 0
    for block in blocks:
        placed[block.name] = list(tiles[first : first + block.cores])
        first += block.cores
    return placed


def _check(blocks: Sequence[Block], available: int) -> None:
    if (needed := sum(block.cores for block in blocks)) > available:
        detail = ", ".join(f"{block.name} {block.cores}" for block in blocks)
        raise DoesNotFitError(f"the network needs {needed} cores, the chip has {available} ({detail})")


def _shapes(block: Block, config: ChipConfig) -> list[tuple[int, int]]:
    """Rectangles (rows, columns) that hold the block, those first that keep its runs whole and waste the least."""
    found = []
    for width in range(1, min(config.cols, block.cores) + 1):
        height = -(-block.cores // width)
        waste = height * width - block.cores
        if height <= config.rows and waste <= _WASTE * block.cores:
            broken = width % block.inner > 0 and block.inner % width > 0
            found.append((broken, waste, abs(height - width), height, width))
    return [(height, width) for *_, height, width in sorted(found)]


def rectangle_placement(
    blocks: Sequence[Block], links: Mapping[tuple[str, str], int], config: ChipConfig
) -> Placement | None:
    """A rectangle for each block so that traffic times the distance of centres is small; None where none pack.

    ``links``: (producer, consumer) to traffic. Tile (0, 0) stays free for the host.
    """
    _check(blocks, len(config.cores))
    model = cp_model.CpModel()
    xs: list[cp_model.IntervalVar] = [model.new_fixed_size_interval_var(0, 1, "host_x")]
    ys: list[cp_model.IntervalVar] = [model.new_fixed_size_interval_var(0, 1, "host_y")]
    corners: dict[str, tuple[cp_model.IntVar, cp_model.IntVar, cp_model.IntVar]] = {}
    centres: dict[str, tuple[cp_model.LinearExpr, cp_model.LinearExpr]] = {}
    costs: list[cp_model.LinearExprT] = []
    decisions: list[cp_model.IntVar] = []
    options = {block.name: _shapes(block, config) for block in blocks}
    for name, shapes in options.items():
        if not shapes:
            return None
        choice = model.new_int_var(0, len(shapes) - 1, f"{name}_choice")
        height, width = model.new_int_var(1, config.rows, f"{name}_h"), model.new_int_var(1, config.cols, f"{name}_w")
        model.add_allowed_assignments([choice, height, width], [(i, *shape) for i, shape in enumerate(shapes)])
        y, x = model.new_int_var(0, config.rows - 1, f"{name}_y"), model.new_int_var(0, config.cols - 1, f"{name}_x")
        y_end, x_end = model.new_int_var(1, config.rows, f"{name}_ye"), model.new_int_var(1, config.cols, f"{name}_xe")
        ys.append(model.new_interval_var(y, height, y_end, f"{name}_rows"))
        xs.append(model.new_interval_var(x, width, x_end, f"{name}_columns"))
        corners[name] = (y, x, choice)
        centres[name] = (y + y_end, x + x_end)  # twice the centre
        decisions += [choice, y, x]
    model.add_no_overlap_2d(xs, ys)
    for (producer, consumer), traffic in links.items():
        for axis, span in ((0, config.rows), (1, config.cols)):
            distance = model.new_int_var(0, 2 * span, f"{producer}_{consumer}_{axis}")
            model.add_abs_equality(distance, centres[producer][axis] - centres[consumer][axis])
            costs.append(distance * traffic)
    model.minimize(sum(costs))
    model.add_decision_strategy(decisions, cp_model.CHOOSE_FIRST, cp_model.SELECT_MIN_VALUE)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = _EFFORT
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    placed: Placement = {}
    for block in blocks:
        top, left, chosen = (solver.value(variable) for variable in corners[block.name])
        across = options[block.name][chosen][1]
        placed[block.name] = [(top + i // across, left + i % across) for i in range(block.cores)]
    return placed


def validate(placed: Mapping[str, Sequence[Coordinate]], config: ChipConfig) -> None:
    """Independent check: raises :class:`DoesNotFitError` where cores overlap, lie on the host or outside the mesh."""
    owner: dict[Coordinate, str] = {(0, 0): "the host"}
    for name, tiles in placed.items():
        for tile in tiles:
            if not (0 <= tile[0] < config.rows and 0 <= tile[1] < config.cols):
                raise DoesNotFitError(f"{name!r} is placed on tile {tile}, outside the mesh")
            if tile in owner:
                raise DoesNotFitError(f"{name!r} is placed on tile {tile}, which belongs to {owner[tile]}")
            owner[tile] = name
