import pytest

from hdl.config import preset
from sdann.chip_file import load_chip, save_chip
from sdann.errors import FileFormatError


def test_round_trip(tmp_path):
    save_chip(preset("test"), "module a;\nendmodule\n", tmp_path / "chip.v")
    assert load_chip(tmp_path / "chip.v") == (preset("test"), "module a;\nendmodule\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names no configuration"),
        (b"module a;\nendmodule\n", "names no configuration"),
        (b"\xff\xfe", "damaged"),
        (b"// SDANN chip, format 2, configuration {}\n", "names no configuration"),
        (b"// SDANN chip, format 1, configuration {\n", "damaged"),
        (b"// SDANN chip, format 1, configuration []\n", "damaged"),
        (b'// SDANN chip, format 1, configuration {"rows": 2}\n', "damaged.*lacks: cols"),
        (b'// SDANN chip, format 1, configuration {"rows": 2, "cols": 0}\n', "damaged.*cols must be"),
        (b'// SDANN chip, format 1, configuration {"rows": 2, "cols": 2, "x": 1}\n', "damaged.*unknown"),
    ],
)
def test_refuses(tmp_path, content, message):
    (tmp_path / "chip.v").write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        load_chip(tmp_path / "chip.v")
    with pytest.raises(FileFormatError, match="no such file"):
        load_chip(tmp_path / "none.v")
