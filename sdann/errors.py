"""Errors that a user can act on. The command line prints them without a traceback and exits with code 2."""

__all__ = [
    "ChipError",
    "DoesNotFitError",
    "FileFormatError",
    "MismatchError",
    "SdannError",
    "ToolMissingError",
    "UnsupportedError",
]


class SdannError(Exception):
    """Base of all errors with a message for the user: what was wrong, where, what to do."""


class FileFormatError(SdannError):
    """A file that is missing, damaged, of another kind or of another version."""


class UnsupportedError(SdannError):
    """A network (or option) that the toolchain does not support; the message names the layer and the remedy."""


class DoesNotFitError(SdannError):
    """A network that exceeds a limit of the chip; the message says which, where and by how much."""


class ToolMissingError(SdannError):
    """A simulator or compiler that is not installed; the message says how to install it."""


class MismatchError(SdannError):
    """Two models disagree; the message names the first difference."""


class ChipError(SdannError):
    """The chip refused something, went silent, or a run on it failed; the message names window, step, tile and
    cause.
    """
