"""What all checks share: the fault, and an image's words as fields."""

from hdl.pack import fields, unpack
from hdl.program import Memory, memory_layouts
from sdann.errors import FileFormatError
from sdann.mapper.image import Coordinate, ProgramImage

__all__ = ["Decoded", "Fields", "ImageError", "need"]

Fields = dict[str, int]


class ImageError(FileFormatError):
    """A program image whose content is not a program for its chip; the message says where and why."""


def need(condition: bool, message: str) -> None:
    """Raises :class:`ImageError` unless ``condition`` holds."""
    if not condition:
        raise ImageError(message)


class Decoded:
    """The fields of every descriptor of ``image``; its memories have the chip's sizes."""

    def __init__(self, image: ProgramImage) -> None:
        self.image, self.config = image, image.config
        self.core: dict[Coordinate, Fields] = {c: self._fields(c, Memory.CORE)[0] for c in image.cores}
        self.edges: dict[Coordinate, list[Fields]] = {c: self._fields(c, Memory.EDGE) for c in image.cores}
        self.routes: dict[Coordinate, list[Fields]] = {c: self._fields(c, Memory.ROUTE) for c in image.cores}

    def _fields(self, core: Coordinate, memory: Memory) -> list[Fields]:
        layout = memory_layouts(self.config)[memory]
        table = fields(layout)
        return [unpack(layout, word, table) for word in self.image.words(core, memory)]

    def where(self, core: Coordinate) -> str:
        """How a message names a core."""
        return f"core {core} ({self.image.cores[core].layer})"
