"""The report as one HTML file that needs nothing else: a view of :class:`ReportData`, which is embedded in it.

Every number on the page is an element with the path of its value in the JSON (``data-path``) and its format
(``data-form``, as in Python's ``format``; ``data-per`` is the path of what the value is divided by). So a test can hold
what a browser shows against the JSON.
"""

from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sdann.atomic import atomic
from sdann.results import json_text

from .data import MEMORIES, ReportData

__all__ = ["html_page", "resolve", "write_report"]

NOTHING = "–"
"""Shown where a value is None."""

HUE, GOLDEN_ANGLE = 255.0, 137.508
"""The first layer's hue, and the step that keeps neighbours apart however many there are."""


def resolve(data: Any, path: str) -> Any:
    """The value at ``path`` in the JSON: names and indices between dots.

    ``LIST.*.NAME``: the sum over the list, None being 0. ``PATH@LAYER``: the list at PATH has an entry per core; the
    sum of those of LAYER, of all for ``*``.
    """
    path, _, layer = path.partition("@")
    before, star, after = path.partition(".*.")
    if star:
        return sum(resolve(entry, after) or 0 for entry in resolve(data, before))
    value = data
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    if layer:
        return sum(n for n, core in zip(value, data["cores"], strict=True) if layer in ("*", core["layer"]))
    return value


def _show(data: Any, path: str, form: str = ",", per: str | None = None) -> Markup:
    """The value at ``path``, as the page shows it."""
    value = resolve(data, path)
    if value is not None and per is not None:
        value /= resolve(data, per)
    text = NOTHING if value is None else value if isinstance(value, str) else format(value, form)
    divided = Markup(' data-per="{}"').format(per) if per is not None else Markup()
    return Markup('<span data-path="{}" data-form="{}"{}>{}</span>').format(path, form, divided, text)


def html_page(report: ReportData) -> str:
    """The page as text."""
    data = report.model_dump(mode="json")
    layers = list(dict.fromkeys(core["layer"] for core in data["cores"] if core["layer"] is not None))
    order = [row["layer"] for row in data["spikes"] if row["layer"] in layers]
    environment = Environment(
        loader=PackageLoader("sdann.report", "view"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    assert environment.loader is not None
    style, script = (environment.loader.get_source(environment, name)[0] for name in ("style.css", "script.js"))
    return environment.get_template("page.html").render(
        data=data, show=partial(_show, data), memories=MEMORIES, nothing=NOTHING, style=Markup(style),
        script=Markup(script), hues={name: round((HUE + n * GOLDEN_ANGLE) % 360, 1) for n, name in enumerate(order)},
        # "<" would end the element that holds the text
        embedded=Markup(report.model_dump_json().replace("<", "\\u003c")),
    )  # fmt: skip


def write_report(report: ReportData, page: Path) -> Path:
    """Writes ``page`` and the JSON beside it, as ``.json``; returns ``page``."""
    with atomic(page.with_suffix(".json")) as path:
        path.write_text(json_text(report.model_dump(mode="json")) + "\n")
    with atomic(page) as path:
        path.write_text(html_page(report))
    return page
