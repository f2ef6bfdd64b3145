import pytest

from sdann.atomic import atomic


def test_makes_folders_and_leaves_nothing_else(tmp_path):
    with atomic(tmp_path / "a" / "b" / "file.txt") as path:
        path.write_text("new")
        assert not (tmp_path / "a" / "b" / "file.txt").exists()
    assert [p.name for p in (tmp_path / "a" / "b").iterdir()] == ["file.txt"]
    assert (tmp_path / "a" / "b" / "file.txt").read_text() == "new"


def test_failure_keeps_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")

    def write() -> None:
        with atomic(target) as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert target.read_text() == "old" and list(tmp_path.iterdir()) == [target]
