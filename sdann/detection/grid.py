"""YOLOv1's grid: how a map of numbers stands for boxes.

A detector's output is [N, channels, side, side]. Channels 5 b .. 5 b + 4 of a cell are, for its box b: x and y of the
box's centre inside the cell (0..1), the square roots of its width and height (of the image's: 0..1) and its
confidence (0..1); channel 5 ``boxes`` + c is the probability of class c (0..1). The network computes all of them by a
linear layer: there is no sigmoid, and squaring is left to the host, so that few bits serve.
"""

from dataclasses import dataclass

__all__ = ["Grid"]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """``side`` x ``side`` cells of ``boxes`` boxes and one of ``classes`` classes each (YOLOv1's S, B, C)."""

    side: int
    boxes: int
    classes: int

    @property
    def channels(self) -> int:
        """Numbers per cell."""
        return 5 * self.boxes + self.classes
