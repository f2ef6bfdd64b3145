"""The page in a browser: every number that it shows, in every window and for every core, against the JSON."""

import json
import re
from pathlib import Path

import pytest

from sdann.errors import ToolMissingError
from sdann.report import html_page, write_report

from .browser import SIZES, View, chromium, find_chromium

looks = pytest.mark.parametrize(("size", "scheme"), [(size, s) for size in SIZES for s in ("light", "dark")])


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def file(report, tmp_path_factory) -> Path:
    return write_report(report, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def data(file):
    return json.loads(file.with_suffix(".json").read_text())


@pytest.fixture
def view(browser, file):
    """Opens a page and closes it in the end."""
    opened = []

    def show(text: str | None = None, size: str = "desktop", scheme: str = "light") -> View:
        shown = file if text is None else file.with_name("changed.html")
        if text is not None:
            shown.write_text(text)
        opened.append(View(browser, shown, size, scheme))
        return opened[-1]

    yield show
    for one in opened:
        one.close()


def clean(one: View, data) -> None:
    assert one.wrong(data) == []
    assert (one.complaints, one.requests, one.too_wide()) == ([], [], 0)


@looks
def test_every_size_and_scheme(view, data, size, scheme):
    one = view(size=size, scheme=scheme)
    dark = one.page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert dark == (scheme == "dark")
    one.page.click("#next")
    clean(one, data)


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desktop", "dark")])
def test_no_barriers(view, size, scheme):
    one = view(size=size, scheme=scheme)
    one.page.click("summary")
    one.page.click("#next")
    assert one.barriers() == []


def test_everything_of_the_run_is_shown(view, data):
    shown = {path for path, *_ in view().shown()}
    for n, stage in enumerate(data["stages"]):
        assert {f"stages.{n}.{name}" for name in stage if name not in ("name", "duplicate_sops")} <= shown
    for n, layer in enumerate(data["layers"]):
        assert {f"layers.{n}.compared", f"layers.{n}.sops.golden"} <= shown
        assert {f"layers.{n}.mismatches.{stage}" for stage in layer["mismatches"]} <= shown
    assert {f"spikes.{n}.steps.{t}" for n in range(len(data["spikes"])) for t in range(data["time_steps"])} <= shown
    assert {f"energy.{n}.parts_nj.{part}" for n, row in enumerate(data["energy"]) for part in row["parts_nj"]} <= shown
    assert {f"figures.{n}.value" for n in range(len(data["figures"]))} <= shown
    for n, core in enumerate(data["cores"]):
        assert {f"cores.{n}.memory.{name}.{what}" for name in core["memory"] for what in ("used", "depth")} <= shown
        if core["layer"] is not None:
            assert {f"cores.{n}.counters.{name}" for name in ("SOPS", "SPIKES_IN", "SPIKES_OUT", "BUSY")} <= shown
    for n, window in enumerate(data["windows"]):
        assert {f"windows.{n}.sops@{layer['layer']}" for layer in data["layers"]} <= shown
        assert {f"windows.{n}.work.{row}" for row, sample in enumerate(window["work"]) if sample is not None} <= shown


def test_stepping_through_the_windows(view, data):
    one, busiest = view(), max(n for window in data["windows"] for n in window["sops"])
    used = [n for n, core in enumerate(data["cores"]) if core["layer"] is not None]
    for number in [*range(len(data["windows"])), 0]:
        one.page.click("#next")
        assert one.page.text_content("#shown") == f"Window {number}"
        assert {f"windows.{number}.sops.{core}" for core in used} <= {path for path, *_ in one.shown()}
        assert one.page.locator("td.now").count() == len(data["pipeline"])
        levels = one.page.eval_on_selector_all(".level", "all => all.map(one => one.style.clipPath)")
        empty = sorted(float(re.match(r"inset\(([\d.]+)%", level)[1]) for level in levels)
        wanted = sorted([100.0, *(100 - 100 * n / busiest for n in data["windows"][number]["sops"])])
        assert empty == pytest.approx(wanted, abs=1e-3)
        assert one.page.locator(".mesh .link").count() == sum(n > 0 for n in data["windows"][number]["flits"])
        clean(one, data)
    one.page.click("#back")
    assert one.page.text_content("#shown") == f"Window {len(data['windows']) - 1}"
    one.page.fill("#window", "2")
    assert one.page.text_content("#shown") == "Window 2"
    one.page.locator("th[data-window='3']").click()
    assert one.page.text_content("#shown") == "Window 3" and one.page.input_value("#window") == "3"
    one.page.click("#play")
    assert one.page.text_content("#shown") == "Window 4" and one.page.text_content("#play") == "Pause"
    one.page.click("#whole")
    assert one.page.text_content("#shown") == "Whole run" and one.page.text_content("#play") == "Play"
    clean(one, data)


@pytest.mark.parametrize("how", ["hover", "tap", "keys"])
def test_facts_of_every_core(view, data, how):
    one = view(size="phone" if how == "tap" else "desktop")
    one.page.click("#next")
    one.page.click("#next")
    rows, cols = data["chip"]["rows"], data["chip"]["cols"]
    if how == "keys":  # to the corner where the walk begins
        one.page.locator(".tile[tabindex='0']").focus()
        for key in ["ArrowUp"] * rows + ["ArrowRight"] * cols:
            one.page.keyboard.press(key)
    numbers = {(core["y"], core["x"]): n for n, core in enumerate(data["cores"])}
    for step in range(rows * cols):
        y, x = rows - 1 - step // cols, step % cols
        x = cols - 1 - x if (rows - 1 - y) % 2 == 0 else x  # there and back, row by row
        tile = one.page.locator(f".tile[aria-label^='Tile y {y}, x {x}:']")
        if how == "keys":
            if step:
                one.page.keyboard.press(
                    "ArrowDown" if step % cols == 0 else "ArrowLeft" if (rows - 1 - y) % 2 == 0 else "ArrowRight"
                )
        else:
            getattr(tile, how)()
        assert tile.get_attribute("aria-pressed") == "true" and f"tile y {y}, x {x}" in one.page.text_content("#facts")
        inside = set(one.page.eval_on_selector_all("#facts [data-path]", "all => all.map(one => one.dataset.path)"))
        out = {f"windows.1.flits.{n}" for n, link in enumerate(data["links"]) if (link["y"], link["x"]) == (y, x)}
        assert out <= inside
        if (core := numbers.get((y, x))) is not None and data["cores"][core]["layer"] is not None:
            own = {f"windows.1.{name}.{core}" for name in ("sops", "spikes_in", "spikes_out")}
            assert own | {f"cores.{core}.counters.BUSY", f"cores.{core}.memory.weights.used"} <= inside
    clean(one, data)


def test_colours_can_be_chosen(view):
    one = view(scheme="light")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = one.page.evaluate(colour)
    one.page.get_by_role("radio", name="Dark").check()
    assert one.page.evaluate(colour) != light
    one.page.get_by_role("radio", name="Auto").check()
    assert one.page.evaluate(colour) == light


def test_a_chip_of_many_tiles(view, report):
    """The same run in a corner of 24 x 24 tiles: it fits on a phone, and in a file of moderate size."""
    seen = {(core.y, core.x) for core in report.cores} | {(0, 0)}
    blank = next(core for core in report.cores if core.layer is None)
    places = [(y, x) for y in range(24) for x in range(24) if (y, x) not in seen]
    free = [blank.model_copy(update={"y": y, "x": x, "counters": dict.fromkeys(blank.counters, 0)}) for y, x in places]
    many = report.model_copy(update={
        "chip": report.chip.model_copy(update={"rows": 24, "cols": 24}), "cores": report.cores + free,
        "windows": [
            window.model_copy(update={
                name: getattr(window, name) + [0] * len(free) for name in ("sops", "spikes_in", "spikes_out", "hops")
            })
            for window in report.windows
        ],
    })  # fmt: skip
    text = html_page(many)
    assert len(text) < 2_000_000
    one = view(text, size="phone")
    assert one.page.locator(".tile").count() == 24 * 24
    one.page.locator(".tile[aria-label^='Tile y 23, x 23:']").tap()
    one.page.click("#next")
    assert "Free tile" in one.page.text_content("#facts")
    clean(one, many.model_dump(mode="json"))


# ---- what must be noticed -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["stages.3.sops", "energy.1.extended_nj", "windows.1.work.1", "windows.2.sops@conv2", "stages.*.mismatches"]
)
def test_a_number_changed_in_the_page(view, file, data, path):
    place = re.compile(rf'(data-path="{re.escape(path)}" data-form="[^"]*">)([^<]*)')
    text = file.read_text()
    assert place.search(text)
    wrong = view(place.sub(lambda found: found[1] + found[2] + "1", text)).wrong(data)
    assert wrong and all(line.startswith(f"{path}: ") for line in wrong)


def test_a_number_changed_in_the_json(view, report, data):
    """The JSON that the page holds, and draws the mesh from, is not the one that was printed."""
    window = report.windows[1]
    core = max(range(len(window.sops)), key=lambda n: window.sops[n])
    sops = [n + (number == core) for number, n in enumerate(window.sops)]
    other = [window if n != 1 else window.model_copy(update={"sops": sops}) for n, window in enumerate(report.windows)]
    one = view(html_page(report.model_copy(update={"windows": other})))
    assert {line.split(":")[0] for line in one.wrong(data)} == {f"windows.1.sops@{report.cores[core].layer}"}
    one.page.click("#next")
    one.page.click("#next")
    assert f"windows.1.sops.{core}" in {line.split(":")[0] for line in one.wrong(data)}


@pytest.mark.parametrize(
    ("element", "where"),
    [
        ('<img alt="" src="https://example.org/x.png">', "complaints"),
        ('<script>throw new Error("no")</script>', "complaints"), ('<script>console.log("no")</script>', "complaints"),
        ('<link rel="stylesheet" href="other.css">', "complaints"),
    ],
)  # fmt: skip
def test_requests_and_errors_are_noticed(view, file, element, where):
    assert getattr(view(file.read_text().replace("</main>", element + "</main>")), where)


def test_a_request_is_noticed_without_the_policy(view, file):
    text = file.read_text().replace("Content-Security-Policy", "X-Nothing")
    assert view(text.replace("</main>", '<img alt="" src="other.png"></main>')).requests


def test_faint_text_and_wide_content_are_noticed(view, file):
    faint = file.read_text().replace("</style>", ".about { color: #bbb; background: #ccc; }</style>")
    assert any(line.startswith("color-contrast: ") for line in view(faint).barriers(".about"))
    wide = file.read_text().replace("</style>", ".scroll { min-width: 500px; }</style>")
    assert view(wide, size="phone").too_wide() > 100


def test_a_missing_browser_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissingError, match="sudo apt-get install chromium"):
        find_chromium()
