"""``sdann doctor``."""

from typing import TYPE_CHECKING

from .outcome import Outcome, command
from .tables import table

if TYPE_CHECKING:
    from sdann.doctor import Finding

__all__ = ["doctor_command"]


def _note(one: "Finding") -> str:
    if not one.problem:
        return "ok"
    return f"{'required' if one.required else f'optional ({one.purpose})'}: {one.remedy}"


@command("doctor")
def doctor_command() -> Outcome:
    """Say what is installed, what is missing, and how to get it.

    Exit code 1 where something is missing that `sdann demo` needs. `python -m sdann.doctor` says the same where even
    this command cannot start.
    """
    from sdann.doctor import examine, failures

    findings = examine()
    rows = [[one.group, one.name, one.wanted, one.found, _note(one)] for one in findings]
    missing = [one for one in findings if one.problem and not one.required]
    return Outcome(
        data={"findings": [one.as_dict() for one in findings]},
        text=[
            table("What is installed", ["group", "name", "wanted", "found", "remedy"], rows, left=5),
            f"{len(findings)} looked for; {len(failures(findings))} that are required and {len(missing)} that are "
            "optional do not serve",
        ],
        failures=failures(findings),
    )  # fmt: skip
