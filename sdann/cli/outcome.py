"""What every command has in common: one result as text or JSON, one place for errors, progress on standard error."""

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, NoReturn

import click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hdl.config import ConfigError
from sdann.errors import ChipError, MismatchError, SdannError

__all__ = ["BAD_INPUT", "DISAGREE", "Outcome", "Steps", "command", "progress"]

DISAGREE, BAD_INPUT = 1, 2
"""Exit codes."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """``data``: the JSON object. ``text``: the same for people. ``failures``: why the exit code is 1."""

    data: dict[str, Any]
    text: list[RenderableType] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def command(name: str) -> Callable[[Callable[..., Outcome]], click.Command]:
    """Decorator: makes a function that returns an :class:`Outcome` the command ``name``, with ``--json``."""

    def decorate(function: Callable[..., Outcome]) -> click.Command:
        @functools.wraps(function)
        def run(*args: Any, as_json: bool, **kwargs: Any) -> None:
            stdout = sys.stdout
            try:
                # Whatever a library prints must not get between the results.
                with redirect_stdout(sys.stderr):
                    outcome = function(*args, **kwargs)
            except (MismatchError, ChipError) as error:
                _fail(str(error), DISAGREE)
            except (SdannError, ConfigError) as error:
                _fail(str(error), BAD_INPUT)
            except ModuleNotFoundError as error:
                name = (error.name or "").partition(".")[0]
                if name in ("", "hdl", "sdann", "sim"):
                    raise
                _fail(f"the Python package {name} is not installed; `sdann doctor` says how to get it", BAD_INPUT)
            except OSError as error:
                _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), BAD_INPUT)
            if as_json:
                from sdann.results import json_text

                data = {**outcome.data, "ok": not outcome.failures, "failures": outcome.failures}
                print(json_text(data), file=stdout)
            else:
                # In a file or a pipe nothing is narrow, and no line is to be broken.
                console = Console(file=stdout, width=None if stdout.isatty() else 160)
                for part in outcome.text:
                    console.print(part, soft_wrap=isinstance(part, str), highlight=False)
            if outcome.failures:
                _fail("\n".join(outcome.failures), DISAGREE)

        json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
        return click.command(name)(json_option(run))

    return decorate


def _fail(message: str, code: int) -> NoReturn:
    click.echo(f"{'Failed' if code == DISAGREE else 'Error'}: {message}", err=True)
    raise SystemExit(code)


class Steps:
    """Progress bars, one per step, on standard error."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def bar(self, what: str) -> Callable[[int, int], None]:
        """A bar for the step ``what``; call the result with (done, total)."""
        task = self._bars.add_task(what, total=None)
        return lambda done, total: self._bars.update(task, completed=done, total=total)

    def report(self, what: str) -> Callable[[int, int, str], None]:
        """A bar with a text beside it; call the result with (done, total, text)."""
        task = self._bars.add_task(what, total=None)
        return lambda done, total, text: self._bars.update(
            task, completed=done, total=total, description=f"{what} {text}"
        )

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """A bar that only tells when ``what`` begins and ends."""
        advance = self.bar(what)
        yield
        advance(1, 1)


@contextmanager
def progress() -> Iterator[Steps]:
    """Shows the bars of a :class:`Steps` while the block runs."""
    columns = (
        SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield Steps(bars)
