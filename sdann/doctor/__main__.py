"""``python -m sdann.doctor``: the examination in plain text, whatever is missing."""

import sys

from . import examine, failures, plain_lines

__all__ = ["main"]


def main() -> int:
    """Prints what was found; returns the exit code, 1 where something required is missing."""
    findings = examine()
    print("\n".join(plain_lines(findings)))
    wrong = failures(findings)
    for line in wrong:
        print(f"Failed: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
