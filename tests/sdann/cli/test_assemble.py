"""``sdann assemble``: the documented example becomes an image; bad files end with exit code 2 and a message."""

import re
from pathlib import Path

from sdann.mapper import load_image

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "assembler.md"
EXAMPLE = re.search(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[1]


def test_assemble(sdann):
    Path("example.toml").write_text(EXAMPLE)
    result = sdann("assemble", "example.toml", "--out", "image.safetensors", "--json")
    assert result.exit_code == 0 and result.data["ok"]
    assert result.data["cores"] == {"used": 4, "available": 5}
    assert [row["layer"] for row in result.data["layers"]] == ["input", "conv", "out"]
    assert load_image("image.safetensors").manifest.network == "example"
    assert "example on chip 'test'" in sdann("assemble", "example.toml").stdout


def test_refusals(sdann):
    result = sdann("assemble", "missing.toml")
    assert result.exit_code == 2 and "missing.toml: no such file" in result.stderr
    Path("bad.toml").write_text(EXAMPLE.replace("age = 1 ", "age = 0 "))
    result = sdann("assemble", "bad.toml")
    assert result.exit_code == 2 and "bad.toml: core (0, 1) (input) route 1: goes from stage 0" in result.stderr
    assert not Path("build").exists()
    result = sdann("assemble", "bad.toml", "--no-check", "--out", "bad.safetensors")
    assert result.exit_code == 0 and Path("bad.safetensors").exists()
