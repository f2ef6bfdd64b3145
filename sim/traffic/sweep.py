"""Latency against load, saturation and cycles per hop of meshes of routers, and their plot."""

import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hdl.router import Router

from .patterns import PATTERNS, bound
from .run import Traffic, build, mesh_config, run_traffic

__all__ = ["LOADS", "Curve", "Point", "cycles_per_hop", "load_plot", "sweep"]

LOADS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
"""Offered loads, as shares of the bound."""
LIGHT = 0.01
"""Share of the bound at which most flits meet no other one."""


@dataclass(frozen=True)
class Point:
    """One run. ``offered``: flits per sending tile and cycle."""

    offered: float
    traffic: Traffic


@dataclass(frozen=True)
class Curve:
    """One pattern on one mesh. ``bound``: flits per sender and cycle; ``full``: every sender always has a flit."""

    side: int
    pattern: str
    bound: float
    points: tuple[Point, ...]
    full: Traffic

    @property
    def share(self) -> float:
        """Accepted flits at full load as a share of the bound.

        Where senders are not equal it may exceed 1: the bound is for equal rates, and a full load serves some better.
        """
        return self.full.accepted / self.bound

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        points = [{"offered": p.offered, **asdict(p.traffic)} for p in self.points]
        return {
            "side": self.side, "pattern": self.pattern, "bound": self.bound, "share": self.share,
            "points": points, "full": asdict(self.full),
        }  # fmt: skip


def sweep(
    side: int,
    patterns: Sequence[str],
    folder: Path,
    *,
    loads: Sequence[float] = LOADS,
    seed: int = 1,
    measured: int = 8000,
    depth: int | None = None,
    router: type[Router] = Router,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Curve], float]:
    """Curves of ``patterns`` on a ``side`` x ``side`` mesh, and its cycles per hop.

    ``loads``: shares of each pattern's bound. ``depth``: of the queues, default the preset's. Raises
    :class:`sim.traffic.run.TrafficError` when a flit goes astray.
    """
    config = mesh_config(side, **({} if depth is None else {"queue_depth": depth}))
    program = build(config, folder, router=router)
    curves, done, total = [], 0, len(patterns) * (len(loads) + 1) + 1
    light = PATTERNS["uniform"](side, side)
    hop = cycles_per_hop(
        run_traffic(program, config, light, rate=LIGHT * bound(light), seed=seed, measured=20 * measured)
    )
    for name in patterns:
        pattern = PATTERNS[name](side, side)
        most = bound(pattern)
        runs = []
        for rate in [*(load * most for load in loads), 1.0]:
            done += 1
            runs.append(Point(rate, run_traffic(program, config, pattern, rate=rate, seed=seed, measured=measured)))
            if progress is not None:
                progress(done, total)
        curves.append(Curve(side, name, most, tuple(runs[:-1]), runs[-1].traffic))
    if progress is not None:
        progress(total, total)
    return curves, hop


def cycles_per_hop(traffic: Traffic) -> float:
    """Cycles that each further hop adds to the fastest flit, from light traffic that covered all distances."""
    reached = [(hops, cycles) for hops, cycles in enumerate(traffic.fastest) if cycles is not None]
    if len(reached) < 2:
        raise ValueError("needs flits of two distances")
    (near, least), (far, most) = reached[0], reached[-1]
    return (most - least) / (far - near)


def load_plot(curves: Sequence[Curve]) -> bytes:
    """SVG: mean latency over accepted flits, one panel per mesh, one line per pattern, the uniform bound dashed."""
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    sides = sorted({curve.side for curve in curves})
    with mpl.rc_context(
        {"svg.hashsalt": "sdann", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        canvas = Canvas(figsize=(4.2 * len(sides), 3.2), layout="constrained")
        for axes, side in zip(canvas.subplots(1, len(sides), squeeze=False)[0], sides, strict=True):
            for curve in (curve for curve in curves if curve.side == side):
                rates = [point.traffic.accepted for point in curve.points]
                line = axes.plot(rates, [p.traffic.latency for p in curve.points], marker=".", label=curve.pattern)
                if curve.pattern == "uniform":
                    axes.axvline(curve.bound, linestyle="--", color=line[0].get_color(), linewidth=1)
                    axes.axvline(curve.full.accepted, linestyle=":", color=line[0].get_color(), linewidth=1)
            axes.set(
                title=f"{side} x {side}", xlabel="accepted flits per sender and cycle", ylabel="mean latency, cycles",
                ylim=(0, 150), xlim=(0, None),
            )  # fmt: skip
            axes.legend(frameon=False)
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        return buffer.getvalue()
