"""What a campaign has found so far, from its file alone."""

import sqlite3
from dataclasses import dataclass

from .results import Results

__all__ = ["LayerSummary", "RunSummary", "summarize"]

_DONE = "t.run = c.run AND t.pass = c.pass AND t.y = c.y AND t.x = c.x"


@dataclass(frozen=True, kw_only=True)
class LayerSummary:
    """A layer of a run, over all passes that have it on the chip. ``source``: as it comes from the host to them.

    ``cores``: its tiles, as far as its passes are made, ``wanted`` those that some command asked for, ``done`` those
    that were run. ``activations``: that its tiles hold in all passes; ``compared``: those that were compared.
    """

    layer: str
    source: bool
    cores: int
    wanted: int
    done: int
    activations: int
    compared: int
    mismatches: int
    cycles: int


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A network with one sample. ``cores``: of its plan; ``made``: passes whose files are there. ``seconds``: of the
    workers, summed; ``preparation``: to write the passes. ``retries``: jobs that were sent out again, ``failed``: tiles
    given up, which may have been run later. ``problems``: a line for each tile that is not as it must be.
    """

    network: str
    about: str
    sample: int
    passes: int
    made: int
    cores: int
    wanted: int
    done: int
    layers: tuple[LayerSummary, ...]
    seconds: float
    preparation: float
    retries: int
    failed: int
    problems: tuple[str, ...]

    @property
    def cycles(self) -> int:
        """Tile-cycles of all layers."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def compared(self) -> int:
        """Activations that were compared, those that come from the host included."""
        return sum(layer.compared for layer in self.layers)

    @property
    def mismatches(self) -> int:
        """Of those, the ones that differ."""
        return sum(layer.mismatches for layer in self.layers)

    @property
    def complete(self) -> bool:
        """Whether every tile of every pass was run, and every activation of every layer compared."""
        whole = all(layer.compared == layer.activations for layer in self.layers)
        return self.made == self.passes and self.done == self.cores and whole


def summarize(results: Results) -> list[RunSummary]:
    """Every run in the file, in the order in which they were added."""
    return [_run(results, row) for row in results.query("SELECT * FROM runs ORDER BY run")]


def _run(results: Results, run: sqlite3.Row) -> RunSummary:
    key = (run["run"],)
    passes = results.query("SELECT cores, image IS NOT NULL AS made, seconds FROM passes WHERE run = ?", key)
    sizes = results.query(
        "SELECT layer, stage, SUM(channels * height * width) AS activations FROM extents WHERE run = ? "
        "GROUP BY layer, stage ORDER BY MIN(pass), MIN(position)", key,
    )  # fmt: skip
    counted = {
        (row["layer"], row["source"]): row
        for row in results.query(
            "SELECT layer, stage = 0 AS source, COUNT(*) AS cores, SUM(wanted) AS wanted, COUNT(t.run) AS done, "
            "TOTAL(compared) AS compared, TOTAL(mismatches) AS mismatches, TOTAL(t.cycles) AS cycles "
            f"FROM cores c LEFT JOIN tiles t ON {_DONE} WHERE c.run = ? GROUP BY layer, source", key,
        )
    }  # fmt: skip
    layers = []
    for row in sizes:
        source = row["stage"] == 0
        found = counted.get((row["layer"], int(source)))
        values = {
            name: int(found[name]) if found else 0
            for name in ("cores", "wanted", "done", "compared", "mismatches", "cycles")
        }
        layers.append(LayerSummary(layer=row["layer"], source=source, activations=row["activations"], **values))
    events = {
        row[0]: row[1] for row in results.query("SELECT kind, COUNT(*) FROM events WHERE run = ? GROUP BY kind", key)
    }
    failed = events.pop("failed", 0)
    return RunSummary(
        network=run["network"], about=run["about"], sample=run["sample"], passes=len(passes),
        made=sum(row["made"] for row in passes), cores=sum(row["cores"] for row in passes),
        wanted=sum(layer.wanted for layer in layers), done=sum(layer.done for layer in layers), layers=tuple(layers),
        seconds=results.query("SELECT TOTAL(seconds) FROM tiles WHERE run = ?", key)[0][0],
        preparation=sum(row["seconds"] or 0.0 for row in passes), retries=sum(events.values()), failed=failed,
        problems=tuple(_problems(results, run["run"], run["network"])),
    )  # fmt: skip


def _problems(results: Results, run: int, network: str) -> list[str]:
    """A line for each tile with something wrong: what differs first, or else what the bench has to say."""
    lines = []
    for row in results.query(
        f"SELECT c.*, t.* FROM tiles t JOIN cores c ON {_DONE} WHERE t.run = ? AND (mismatches OR problems != '' OR "
        "compared != activations) ORDER BY c.pass, c.y, c.x", (run,),
    ):  # fmt: skip
        where = f"{network}, pass {row['pass']}, layer {row['layer']!r}, core {row['y'], row['x']}"
        if row["mismatches"]:
            lines.append(f"{where}: {row['mismatches']:,} of {row['compared']:,} activations differ; {row['first']}")
        elif row["problems"]:
            lines.append(f"{where}: {row['problems'].splitlines()[0]}")
        else:
            lines.append(f"{where}: {row['compared']:,} activations compared, it holds {row['activations']:,}")
    return lines
