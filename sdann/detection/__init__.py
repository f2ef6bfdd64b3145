"""Object detection: YOLOv1's grid, loss, non-maximum suppression, mean average precision.

The last is in :mod:`sdann.detection.mean_ap`, which imports much.
"""

from .boxes import Boxes, Detections, iou
from .decode import decode, suppress
from .grid import Grid

__all__ = ["Boxes", "Detections", "Grid", "decode", "iou", "suppress"]
