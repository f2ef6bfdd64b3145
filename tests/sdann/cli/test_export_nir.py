"""``sdann export --nir``: alone and beside ONNX."""

import sys

import nir


def test_nir_alone(sdann, files, tmp_path) -> None:
    found = sdann("export", files.network, "--nir", "net.nir", "--json").data
    assert found["nir"] == "net.nir" and found["samples"] == 0 and "out" not in found
    graph = nir.read(tmp_path / "net.nir")
    assert len(graph.nodes) == found["nir_nodes"] and "sdann" in graph.metadata
    assert "nodes of NIR; wrote net.nir" in sdann("export", files.network, "--nir", "net.nir").stdout


def test_nir_beside_onnx(sdann, files, tmp_path) -> None:
    found = sdann("export", files.network, "--nir", "net.nir", "--onnx", "net.onnx", "--json").data
    assert found["nir"] == "net.nir" and found["out"] == "net.onnx" and found["different"] == 0
    assert (tmp_path / "net.nir").is_file() and (tmp_path / "net.onnx").is_file()


def test_nothing_to_write(sdann, files) -> None:
    result = sdann("export", files.network)
    assert result.exit_code == 2 and "say what to write: --onnx FILE, --nir FILE, or both" in result.stderr


def test_without_the_package(refused, files, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "nir", None)
    monkeypatch.delitem(sys.modules, "sdann.nir_export", raising=False)
    assert 'needs the package nir: pip install "sdann[nir]"' in refused("export", files.network, "--nir", "net.nir")
