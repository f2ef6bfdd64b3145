"""What is installed, what is missing, and how to get it.

Needs nothing but Python, so that it can say so of everything else: ``python -m sdann.doctor``.
"""

from .finding import Finding
from .packages import package_findings
from .tools import tool_findings

__all__ = ["Finding", "examine", "failures", "plain_lines"]


def examine() -> list[Finding]:
    """Everything that `sdann` uses: Python and its packages, simulators, compilers, FPGA tools, viewers."""
    return [*package_findings(), *tool_findings()]


def failures(findings: list[Finding]) -> list[str]:
    """A line for each required thing that is missing, too old or broken, with the remedy."""
    return [f"{one.name} {one.problem}: {one.remedy}" for one in findings if one.required and one.problem]


def plain_lines(findings: list[Finding]) -> list[str]:
    """The findings for people, where even the library that draws tables may be missing."""
    return [
        f"{'ok  ' if not one.problem else 'FAIL' if one.required else 'none'} {one.name} {one.found or one.problem}"
        + (f": {one.remedy}" if one.problem else "")
        for one in findings
    ]
