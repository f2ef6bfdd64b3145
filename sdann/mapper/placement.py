"""Where each layer's rectangle of cores lies on the mesh: constraint programming, reproducible from run to run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ortools.sat.python import cp_model

from hdl.config import ChipConfig
from sdann.errors import DoesNotFitError
from sdann.mapper.tiling import Tiling

__all__ = ["Placed", "place", "validate"]

_EFFORT = 2.0  # deterministic time units: the result must not depend on how busy the machine is


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A tiling and the mesh coordinate of its first core; region [r][c] is in tile (y + r, x + c)."""

    tiling: Tiling
    y: int
    x: int

    @property
    def cores(self) -> list[tuple[int, int]]:
        """Coordinates (y, x), row-major."""
        t = self.tiling
        return [(self.y + r, self.x + c) for r in range(t.row_tiles) for c in range(t.channel_tiles)]


def place(
    options: Sequence[Sequence[Tiling]], links: Mapping[tuple[str, str], int], config: ChipConfig
) -> dict[str, Placed]:
    """Places one tiling of each list of options on the mesh; tile (0, 0) stays free for the host.

    The first option of each list is taken where those pack, else the placement may choose among all. ``links``:
    (producer, consumer) to traffic, the weight of their distance. Raises :class:`DoesNotFitError` where nothing packs.
    """
    needed, available = sum(tilings[0].cores for tilings in options), len(config.cores)
    if needed > available:
        detail = ", ".join(f"{tilings[0].name} {tilings[0].cores}" for tilings in options)
        raise DoesNotFitError(f"the network needs {needed} cores, the chip has {available} ({detail})")
    placed = _solve([tilings[:1] for tilings in options], links, config) or _solve(options, links, config)
    if placed is None:
        shapes = ", ".join(f"{t[0].name} {t[0].row_tiles}x{t[0].channel_tiles}" for t in options)
        raise DoesNotFitError(
            f"the layers' rectangles need {needed} of {available} cores but do not pack on the "
            f"{config.rows}x{config.cols} mesh (rows x columns: {shapes}): give other tilings or a larger mesh"
        )
    validate(placed.values(), config)
    return placed


def _solve(
    options: Sequence[Sequence[Tiling]], links: Mapping[tuple[str, str], int], config: ChipConfig
) -> dict[str, Placed] | None:
    model = cp_model.CpModel()
    xs: list[cp_model.IntervalVar] = [model.new_fixed_size_interval_var(0, 1, "host_x")]
    ys: list[cp_model.IntervalVar] = [model.new_fixed_size_interval_var(0, 1, "host_y")]
    corners: dict[str, tuple[cp_model.IntVar, cp_model.IntVar, cp_model.IntVar]] = {}
    centres: dict[str, tuple[cp_model.LinearExpr, cp_model.LinearExpr]] = {}
    costs: list[cp_model.LinearExprT] = []
    sizes: list[cp_model.IntVar] = []
    total = sum(links.values()) + 1
    for tilings in options:
        name = tilings[0].name
        choice = model.new_int_var(0, len(tilings) - 1, f"{name}_choice")
        height, width = model.new_int_var(1, config.rows, f"{name}_h"), model.new_int_var(1, config.cols, f"{name}_w")
        model.add_allowed_assignments(
            [choice, height, width], [(i, t.row_tiles, t.channel_tiles) for i, t in enumerate(tilings)]
        )
        y, x = model.new_int_var(0, config.rows - 1, f"{name}_y"), model.new_int_var(0, config.cols - 1, f"{name}_x")
        y_end, x_end = model.new_int_var(1, config.rows, f"{name}_ye"), model.new_int_var(1, config.cols, f"{name}_xe")
        ys.append(model.new_interval_var(y, height, y_end, f"{name}_rows"))
        xs.append(model.new_interval_var(x, width, x_end, f"{name}_columns"))
        corners[name] = (y, x, choice)
        centres[name] = (y + y_end, x + x_end)  # twice the centre
        costs.append(choice * (2 * total * (config.rows + config.cols)))  # a better tiling before a shorter way
        sizes += [choice, y, x]
    model.add_no_overlap_2d(xs, ys)
    for (producer, consumer), traffic in links.items():
        for axis, span in ((0, config.rows), (1, config.cols)):
            distance = model.new_int_var(0, 2 * span, f"{producer}_{consumer}_{axis}")
            model.add_abs_equality(distance, centres[producer][axis] - centres[consumer][axis])
            costs.append(distance * traffic)
    model.minimize(sum(costs))
    model.add_decision_strategy(sizes, cp_model.CHOOSE_FIRST, cp_model.SELECT_MIN_VALUE)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = _EFFORT
    if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    result: dict[str, Placed] = {}
    for tilings in options:
        y, x, choice = corners[tilings[0].name]
        result[tilings[0].name] = Placed(tiling=tilings[solver.value(choice)], y=solver.value(y), x=solver.value(x))
    return result


def validate(placed: Iterable[Placed], config: ChipConfig) -> None:
    """Independent check: raises :class:`DoesNotFitError` where cores overlap, lie on the host or outside the mesh."""
    owner: dict[tuple[int, int], str] = {(0, 0): "the host"}
    for item in placed:
        for core in item.cores:
            if not (0 <= core[0] < config.rows and 0 <= core[1] < config.cols):
                raise DoesNotFitError(f"{item.tiling.name!r} is placed on tile {core}, outside the mesh")
            if core in owner:
                raise DoesNotFitError(f"{item.tiling.name!r} is placed on tile {core}, which belongs to {owner[core]}")
            owner[core] = item.tiling.name
