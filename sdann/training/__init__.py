"""Training of the float networks, their weights as files, and how well they do."""

from .evaluate import Score, evaluate
from .loop import train
from .options import TrainOptions
from .weights import init_from, load_float, load_trained, save_float

__all__ = [
    "Score", "TrainOptions", "evaluate", "init_from", "load_float", "load_trained", "save_float", "train",
]  # fmt: skip
