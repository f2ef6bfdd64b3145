"""The program ``sdann``, also as ``python -m sdann``: says what to do where the command line cannot even start."""

import sys

__all__ = ["main"]


def main() -> None:
    """Runs the command line; without its libraries, the examination of `sdann doctor` or a pointer to it."""
    try:
        from .cli import main as run
    except ModuleNotFoundError as error:
        if sys.argv[1:2] == ["doctor"]:
            from .doctor.__main__ import main as examine

            sys.exit(examine())
        print(f"Error: the Python package {error.name} is missing; `sdann doctor` says how to get it", file=sys.stderr)
        sys.exit(2)
    run(prog_name="sdann")


if __name__ == "__main__":
    main()
