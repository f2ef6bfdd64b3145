"""What Verilator's files say, and what is made of files that say something else."""

import pytest

from sdann.errors import FileFormatError
from sim.rtl_coverage.points import Point, read_points


def entry(page: str, line: int, what: str, count: int, lines: str = "") -> str:
    fields = {"page": page, "f": "some/where/queue.v", "l": str(line), "n": "5", "o": what}
    if lines:
        fields["S"] = lines
    return "C '" + "".join(f"\x01{key}\x02{value}" for key, value in fields.items()) + f"\x01h\x02top.q' {count}\n"


TEXT = (
    "# SystemC::Coverage-3\n"
    + entry("v_line/queue", 7, "block", 9, "7-8")
    + entry("v_branch/queue", 8, "if", 3, "8-9")
    + entry("v_branch/queue", 8, "else", 0)
    + entry("v_line/queue", 11, "elsif", 0, "11")
    + entry("v_toggle/queue", 3, "head[2]:0->1", 4)
)


def test_points_and_their_kinds(tmp_path):
    path = tmp_path / "coverage.dat"
    path.write_text(TEXT)
    found = read_points(path)
    assert {(p.line, p.what): (p.kinds, count) for p, count in found.items()} == {
        (7, "block"): (("line",), 9),
        (8, "if"): (("line", "branch"), 3),
        (8, "else"): (("branch",), 0),
        (11, "elsif"): (("line", "branch"), 0),
        (3, "head[2]:0->1"): (("toggle",), 4),
    }
    assert {(p.file, p.module, p.column) for p in found} == {("queue.v", "queue", 5)}


def test_the_same_point_twice_is_summed(tmp_path):
    path = tmp_path / "coverage.dat"
    path.write_text(TEXT + entry("v_branch/queue", 8, "if", 5, "8-9"))
    point = Point("queue.v", "queue", 8, 5, "if", arm=True)
    assert read_points(path)[point] == 8


@pytest.mark.parametrize("line", ["C '' 3", "nonsense", "C '\x01page\x02v_line/queue\x01l\x02x' 1", TEXT[30:90]])
def test_other_files_are_refused(tmp_path, line):
    path = tmp_path / "coverage.dat"
    path.write_text(TEXT + line + "\n")
    with pytest.raises(FileFormatError, match="line 7: not a counter of Verilator"):
        read_points(path)
    with pytest.raises(FileFormatError, match="No such file"):
        read_points(tmp_path / "missing.dat")
