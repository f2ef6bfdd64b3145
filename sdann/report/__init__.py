"""The report of a run: data, how it is gathered, and the page that shows it."""

from .collect import collect
from .data import ReportData, load_report
from .page import html_page, write_report
from .recorder import WindowRecorder
from .run import check_one_pass, run_report

__all__ = [
    "ReportData",
    "WindowRecorder",
    "check_one_pass",
    "collect",
    "html_page",
    "load_report",
    "run_report",
    "write_report",
]
