"""``python -m sim.formal``: the command ``sdann formal``."""

from sdann.cli.formal import formal_command

if __name__ == "__main__":
    formal_command(prog_name="python -m sim.formal")
