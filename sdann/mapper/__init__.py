"""The mapper: from an integer network to a program image, the image's file and its checker."""

from sdann.mapper.build import NetworkMap, map_network, plan_network
from sdann.mapper.check import ImageError, check_image
from sdann.mapper.hashing import network_hash
from sdann.mapper.image import ProgramImage, load_image
from sdann.mapper.summary import LayerUse, map_table, mesh_text

__all__ = [
    "ImageError", "LayerUse", "NetworkMap", "ProgramImage", "check_image", "load_image", "map_network", "map_table",
    "mesh_text", "network_hash", "plan_network",
]  # fmt: skip
