"""`sdann bench sim`, on a narrow network: what it prints, not how fast."""


def test_figures(sdann):
    result = sdann("bench", "sim", "--width", "4", "--batch", "2", "--threads", "1", "--runs", "1", "--json")
    figures = {figure["name"]: figure for figure in result.data["figures"]}
    assert figures["differing_activations"]["value"] == 0
    bounds = {"integer_vs_torch_float": 1.5, "spiking_vs_snn_library": 3, "onnxruntime_int8_images_per_second": None}
    assert {name: figures[name]["bound"] for name in bounds} == bounds
    assert all(figure["value"] > 0 for name, figure in figures.items() if name != "differing_activations")
    assert result.data["library"] in ("snntorch", "spikingjelly") and len(result.data["seconds"]) == 6
    broken = any(figure["bound"] and figure["value"] < figure["bound"] for figure in figures.values())
    assert result.exit_code == (1 if broken else 0) and bool(result.data["failures"]) == broken
