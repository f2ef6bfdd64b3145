"""What a campaign runs: networks are opened and mapped, and pass after pass is written where workers find it."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hdl.config import ChipConfig
from sdann import reference
from sdann.errors import MismatchError
from sdann.graph import INPUT, IntArray
from sdann.mapper import NetworkMap, ProgramImage, network_hash, plan_network
from sdann.mapper.manifest import RegionEntry
from sdann.mapper.work import count_spikes
from sdann.network_source import open_source
from sdann.tile_model import TileModel

from .pass_files import Digests, save_pass
from .results import CoreRow, PassPlan
from .shapes import tile_shape

__all__ = ["Opened", "Prepared", "Request", "core_rows", "open_request", "prepare"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A network, as :func:`sdann.network_source.open_source` takes it, with one sample on one chip. ``sample``: its
    number.
    """

    what: str
    config: ChipConfig
    sample: int = 0
    seed: int = 0
    data: str | None = None
    calibration: int = 8

    def identity(self) -> dict[str, Any]:
        """What makes it the same request in another process; a file is what it holds."""
        path, what = Path(self.what), self.what
        if path.is_file():
            with path.open("rb") as file:
                what = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            "network": what, "chip": self.config.as_dict(), "sample": self.sample, "seed": self.seed, "data": self.data,
            "calibration": self.calibration,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """A request with its network mapped. ``activations``: the golden's [1, C, H, W] of all layers, relays included."""

    request: Request
    about: str
    mapped: NetworkMap
    activations: Mapping[str, IntArray]

    def entry(self) -> dict[str, Any]:
        """What :meth:`sim.campaign.results.Results.add_run` takes."""
        passes = [
            PassPlan(cores=one.cores, sources=one.frame.sources, layers=one.frame.layers) for one in self.mapped.passes
        ]
        places = [(plan, {n: list(map(list, t)) for n, t in one.tiles.items()}, one.grids)
                  for plan, one in zip(passes, self.mapped.passes, strict=True)]  # fmt: skip
        sample = hashlib.sha256(self.activations[INPUT].tobytes()).hexdigest()
        return {
            "identity": self.request.identity(), "network": self.mapped.network.name, "about": self.about,
            "network_hash": network_hash(self.mapped.network), "sample": self.request.sample,
            "seed": self.request.seed, "chip": self.request.config.as_dict(),
            "plan": hashlib.sha256(f"{places} {sample}".encode()).hexdigest(), "passes": passes,
        }  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A pass whose files are made."""

    number: int
    digests: Digests
    cores: list[CoreRow]
    seconds: float


def open_request(request: Request) -> Opened:
    """Opens and maps a network. Raises SdannError, as opening and mapping do, and MismatchError where the passes of the
    plan do not compute everything.
    """
    source = open_source(
        request.what, samples=request.sample + 1, data=request.data, calibration=request.calibration, seed=request.seed
    )
    x = source.x[request.sample :]
    activations = reference.run(source.network, x).activations
    spikes = count_spikes(source.network, activations, request.config.lanes)
    mapped = plan_network(source.network, request.config, spikes=spikes)
    if len(mapped.relayed.layers) > len(source.network.layers):
        activations = reference.run(mapped.relayed, x).activations
    for layer in mapped.relayed.layers:
        parts = [one.frame.layers[layer.name] for one in mapped.passes if layer.name in one.frame.layers]
        shape = activations[layer.name].shape[1:]
        require_cover(parts, RegionEntry(channel0=0, channels=shape[0], y0=0, height=shape[1], x0=0, width=shape[2]),
                      f"the plan of {source.network.name!r}: passes with layer {layer.name!r}", once=False)  # fmt: skip
    return Opened(request=request, about=source.about, mapped=mapped, activations=activations)


def require_cover(parts: Sequence[RegionEntry], whole: RegionEntry, what: str, *, once: bool) -> None:
    """Raises :class:`MismatchError` unless ``parts`` are ``whole``, each position and channel of it at least once, or
    exactly ``once``.
    """
    times = np.zeros((whole.channels, whole.height, whole.width), dtype=np.int64)
    for part in parts:
        if not part.within(whole):
            raise MismatchError(f"{what}: {part} is outside {whole}")
        c, y, x = part.channel0 - whole.channel0, part.y0 - whole.y0, part.x0 - whole.x0
        times[c : c + part.channels, y : y + part.height, x : x + part.width] += 1
    if not times.all() or (once and times.max() > 1):
        place = tuple(int(i) for i in np.argwhere((times != 1) if once else (times == 0))[0])
        raise MismatchError(f"{what}: {times[place]} of them hold (channel, y, x) {place} of {whole}")


def core_rows(image: ProgramImage) -> list[CoreRow]:
    """Every tile of a program. Raises :class:`MismatchError` unless each activation of it is in exactly one."""
    for layer in image.manifest.layers:
        holders = [core.outputs for core in image.holders(layer.name)]
        what = f"pass {image.manifest.pass_number}, layer {layer.name!r}: cores"
        require_cover(holders, layer.held, what, once=True)
    return [
        CoreRow(core=core, layer=entry.layer, stage=entry.stage, part=entry.part, shape=tile_shape(image, core),
                activations=0 if entry.part else entry.outputs.size)
        for core, entry in image.cores.items()
    ]  # fmt: skip


def prepare(opened: Opened, folder: Path, numbers: Sequence[int], go_on: Callable[[], bool]) -> Iterator[Prepared]:
    """Writes the files of the passes ``numbers`` into ``folder``, one after the other, as long as ``go_on`` says so.

    A pass takes from the host what the golden computes, so that no pass waits for another one.
    """
    for number in numbers:
        if not go_on():
            return
        started = time.perf_counter()
        image = opened.mapped.image(number)
        sources = {source.name: opened.activations[source.name] for source in image.sources}
        result = TileModel(image).run(sources)
        expected = {}
        for layer in image.manifest.layers:
            r = layer.held
            whole = opened.activations[layer.name][0]
            expected[layer.name] = whole[
                r.channel0 : r.channel0 + r.channels, r.y0 : r.y0 + r.height, r.x0 : r.x0 + r.width
            ]
        digests = save_pass(folder, number, image, result, expected)
        yield Prepared(number=number, digests=digests, cores=core_rows(image), seconds=time.perf_counter() - started)
