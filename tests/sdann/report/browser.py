"""The page in a headless Chromium: what it shows, what it complains of, what it asks the network for."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from sdann.errors import ToolMissingError

SIZES = {"phone": (360, 740), "desktop": (1280, 900)}

SHOWN = """() => [...document.querySelectorAll('[data-path]')].map(element =>
  [element.dataset.path, element.dataset.form, element.dataset.per ?? null, element.textContent])"""


def find_chromium() -> str:
    """Path of the system's Chromium; raises :class:`ToolMissingError` where there is none."""
    found = shutil.which("chromium")
    if found is None:
        raise ToolMissingError("Chromium is not installed; install it with: sudo apt-get install chromium")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless browser."""
    path = find_chromium()
    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class View:
    """One page at one size and in one colour scheme. ``complaints``: of the console; ``requests``: for anything but the
    file itself.
    """

    def __init__(self, browser: Browser, file: Path, size: str = "desktop", scheme: str = "light") -> None:
        width, height = SIZES[size]
        self._context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=size == "phone"
        )
        self.page: Page = self._context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.requests.remove(file.as_uri())

    def close(self) -> None:
        """Forgets the page."""
        self._context.close()

    def shown(self) -> list[list[Any]]:
        """[path, form, path of the divisor, text] of everything that the page shows of the JSON, hidden or not."""
        found: list[list[Any]] = self.page.evaluate(SHOWN)
        return found

    def wrong(self, data: dict[str, Any]) -> list[str]:
        """A line for everything shown that is not what ``data`` says. Empty: all is."""
        found = []
        for path, form, per, text in self.shown():
            value = look_up(data, path)
            if value is not None and per is not None:
                value = value / look_up(data, per)
            wanted = "–" if value is None else value if isinstance(value, str) else format(value, form)
            if text != wanted:
                found.append(f"{path}: {text!r} is shown, {wanted!r} is right")
        return found

    def too_wide(self) -> int:
        """Pixels by which the page is wider than the screen."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - innerWidth"))

    def barriers(self, inside: str | None = None) -> list[str]:
        """What axe-core finds against accessibility, in the page or in an element of it."""
        found = Axe().run(self.page, inside).response["violations"]
        return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


def look_up(data: Any, path: str) -> Any:
    """What ``path`` means in the JSON: written apart from the page's own, so that none hides the other's fault."""
    if match := re.fullmatch(r"windows\.(\d+)\.(\w+)@(.+)", path):
        window, name, layer = data["windows"][int(match[1])], match[2], match[3]
        layers = [core["layer"] for core in data["cores"]]
        return sum(n for n, own in zip(window[name], layers, strict=True) if layer in ("*", own))
    if match := re.fullmatch(r"(\w+)\.\*\.(.+)", path):
        return sum(look_up(entry, match[2]) or 0 for entry in data[match[1]])
    first, _, rest = path.partition(".")
    value = data[int(first)] if first.isdecimal() else data[first]
    return look_up(value, rest) if rest else value
