"""Tables as notebooks show them."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["html_table"]


def html_table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """An HTML table; ``title`` is its caption. All texts are escaped."""

    def line(tag: str, cells: Iterable[object]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"

    body = "\n".join(line("td", row) for row in rows)
    return (
        f"<table>\n<caption>{escape(title)}</caption>\n<thead>{line('th', head)}</thead>\n<tbody>\n{body}\n"
        "</tbody>\n</table>"
    )
