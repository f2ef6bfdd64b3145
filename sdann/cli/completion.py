"""``sdann completion``."""

import click
from click.shell_completion import get_completion_class
from rich.text import Text

from .outcome import Outcome, command

__all__ = ["SHELLS", "completion_command"]

SHELLS = ("bash", "zsh", "fish")


@command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(context: click.Context, shell: str) -> Outcome:
    """Print what makes SHELL complete commands and options.

    bash: eval "$(sdann completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc; fish: sdann completion fish >
    ~/.config/fish/completions/sdann.fish
    """
    made = get_completion_class(shell)
    assert made is not None
    script = made(context.find_root().command, {}, "sdann", "_SDANN_COMPLETE").source()
    return Outcome(data={"shell": shell, "script": script}, text=[Text(script, no_wrap=True, overflow="ignore")])
