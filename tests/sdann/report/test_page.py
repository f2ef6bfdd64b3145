"""The page as text; what a browser makes of it is in test_browser.py."""

import json
import re

import pytest

from sdann.report import ReportData, html_page, write_report
from sdann.report.page import resolve

EMBEDDED = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def changed(report: ReportData, **values) -> ReportData:
    return ReportData.model_validate(report.model_dump() | values)


def test_the_json_is_in_the_page_and_beside_it(report, tmp_path):
    page = write_report(report, tmp_path / "new" / "run.html")
    text = page.read_text()
    assert ReportData.model_validate_json(EMBEDDED.search(text)[1]) == report
    assert ReportData.model_validate_json((tmp_path / "new" / "run.json").read_text()) == report
    assert {path.name for path in page.parent.iterdir()} == {"run.html", "run.json"}


def test_the_page_needs_nothing_else(report):
    text = html_page(report)
    assert "default-src 'none'" in text and "http://" not in text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https:|src=|href=|@import|url\(", text)
    assert text == html_page(report)


def test_names_cannot_become_markup(report):
    name = "</script><b onclick=x()>&"
    text = html_page(changed(report, network=name, source=name, failures=[name], ok=False))
    assert name not in text and "<b" not in re.sub("<b(utton|ody)", "", text)
    assert json.loads(EMBEDDED.search(text)[1])["network"] == name
    assert text.count("&lt;/script&gt;&lt;b onclick=x()&gt;&amp;") == 4  # title, heading, source, failure


def test_failures_are_told(report):
    good, bad = html_page(report), html_page(changed(report, ok=False, failures=["layer 'conv2' differs"]))
    assert "All models agree" in good and "All models agree" not in bad
    assert "layer &#39;conv2&#39; differs" in bad
    first = {
        "stage": "rtl", "layer": "conv2", "sample": 3, "neuron": [4, 5, 6], "expected": 7, "found": -8, "core": [1, 2],
        "step": "requantization",
    }  # fmt: skip
    text = html_page(changed(report, first_difference=first))
    assert "(4, 5, 6)" in text and "core (1, 2)" in text and "step requantization" in text
    assert 'data-path="first_difference.found" data-form=",">-8<' in text


def test_without_accuracy_quantization_or_rtl(report):
    stages = [stage.model_copy(update={"accuracy": None}) for stage in report.stages]
    assert "Accuracy</dt>" in html_page(report)
    assert "Accuracy</dt>" not in html_page(report.model_copy(update={"stages": stages}))
    assert 'id="quantization"' not in html_page(report)
    assert "no RTL" in html_page(report) and "no RTL" not in html_page(changed(report, simulator="compiled"))


@pytest.mark.parametrize(
    ("path", "value"),
    [("a", 3), ("rows.1.n", 5), ("rows.*.n", 9), ("rows.*.deep.m", 3), ("rows.0.v@one", 6), ("rows.0.v@*", 7)],
)
def test_paths(path, value):
    data = {
        "a": 3, "cores": [{"layer": "one"}, {"layer": None}, {"layer": "one"}],
        "rows": [
            {"n": 4, "v": [2, 1, 4], "deep": {"m": 1}}, {"n": 5, "deep": {"m": 2}}, {"n": None, "deep": {"m": 0}},
        ],
    }  # fmt: skip
    assert resolve(data, path) == value
