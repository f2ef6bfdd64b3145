"""The image checker: a program that the chip could misunderstand is refused before it is loaded."""

from sdann.mapper.check.cores import check_core, check_memories
from sdann.mapper.check.decoded import Decoded, ImageError
from sdann.mapper.check.edges import check_edges
from sdann.mapper.check.layers import check_chip, check_layers, check_output
from sdann.mapper.check.parts import check_parts
from sdann.mapper.check.pooling import check_pooling
from sdann.mapper.check.routes import check_routes
from sdann.mapper.image import ProgramImage

__all__ = ["ImageError", "check_image"]


def check_image(image: ProgramImage) -> None:
    """Checks everything that the image says against its chip and itself.

    The first fault raises :class:`ImageError`, which names core and field.
    """
    check_chip(image)
    check_layers(image)
    for core in image.cores:
        check_memories(image, core)
    decoded = Decoded(image)
    for core in image.cores:
        check_core(decoded, core)
    check_pooling(decoded)
    check_parts(decoded)
    check_output(decoded)
    for core in image.cores:
        check_edges(decoded, core)
    check_routes(decoded)
