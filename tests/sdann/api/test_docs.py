"""docs/api.md: its program runs, and every public name of the API is on the page."""

import re
from pathlib import Path

import torch
from torch import nn

import sdann
from sdann.api import Options

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "api.md").read_text()


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(144, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.conv1(x).relu().flatten(1))


def test_the_program(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert "network.verify(program=program)" in program  # the RTL is compiled by other tests
    torch.manual_seed(0)
    variables = {"model": Model(), "images": torch.rand(8, 1, 6, 6)}
    exec(program.replace("program=program)", 'program=program, simulation="tiles")'), variables)
    assert "<!doctype html>" in (tmp_path / "net.html").read_text()[:100].lower()
    assert (tmp_path / "net.safetensors").is_file() and isinstance(variables["network"], sdann.Network)


def public(kind: type) -> set[str]:
    return {name for name in {*dir(kind), *getattr(kind, "__annotations__", {})} if not name.startswith("_")}


def test_every_public_name_is_described():
    words = set(re.findall(r"\w+", PAGE))
    names = {*public(sdann.Network), *public(sdann.Spiking), *public(sdann.Program)}
    names -= {"name", "samples", "network"}  # say themselves
    assert names - words == set()
    assert {name for name in sdann.__all__ if name != "__version__"} - words == set()
    assert {"time_steps", "per_channel", "observer"} <= set(Options.__annotations__)
